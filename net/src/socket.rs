//! System calls on the socket of an open connection, none of which waits.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use bytes::BytesMut;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};

use crate::scratch::Scratch;

/// What a read brought.
#[derive(Debug)]
pub(crate) enum Read {
    /// Bytes, at least one; and whether there may be more.
    Some(BytesMut, bool),
    /// Nothing now.
    Nothing,
    /// The end of the stream.
    End,
}

/// Reads what there is, as a slice of `scratch`.
///
/// # Errors
/// The connection is broken.
pub(crate) fn read(socket: &OwnedFd, scratch: &mut Scratch) -> io::Result<Read> {
    let room = scratch.room();
    let most = room.len();
    match rustix::net::recv(socket, &mut *room, RecvFlags::DONTWAIT) {
        Ok((0, _)) => Ok(Read::End),
        Ok((len, _)) => Ok(Read::Some(scratch.take(len), len == most)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Read::Nothing),
        Err(error) => Err(error.into()),
    }
}

/// Writes what the kernel takes now of at most 1024 buffers (`IOV_MAX`).
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if that is nothing; others if the connection is broken.
pub(crate) fn write(socket: &OwnedFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let written = match bufs {
        [only] => rustix::net::send(socket, only, flags),
        _ => rustix::net::sendmsg(socket, bufs, &mut SendAncillaryBuffer::default(), flags),
    };
    Ok(written?)
}

/// Whether something has arrived that was not read.
pub(crate) fn has_unread(socket: &OwnedFd) -> bool {
    let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
    rustix::net::recv(socket, &mut [0; 1], flags).is_ok_and(|(len, _)| len > 0)
}

/// Ends the connection, one way or both.
pub(crate) fn shut(socket: &OwnedFd, how: Shutdown) {
    // It fails where the connection is gone already, which is as well.
    let _ = rustix::net::shutdown(socket, how);
}

/// Lets small writes wait for more; without meaning on Unix sockets.
pub(crate) fn delay_small_writes(socket: &OwnedFd) {
    let _ = rustix::net::sockopt::set_tcp_nodelay(socket, false);
}
