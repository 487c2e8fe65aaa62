//! One connected socket as its tasks share it: the reader, and the shard's flusher.
//!
//! Invariants:
//! - No borrow of the stream is held across an await.
//! - After a write that the kernel did not take whole, the next write begins with the bytes that were left: a
//!   byte stream has no other continuation. [`Link::writable`] relies on that.
//! - Whatever waits on the socket ends when it is shut down, so nothing outlives [`Link::shut_down`] for long.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use futures_io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};

use crate::fd;
use crate::scratch::Scratch;

/// A connected socket, TCP or Unix.
#[derive(Debug)]
pub(crate) struct Link {
    stream: RefCell<TcpStream>,
    /// The byte after those that the kernel took, where it did not take all.
    refused: Cell<u8>,
    /// Whether that byte was sent by [`Link::writable`] since.
    ahead: Cell<bool>,
    /// Set once the peer was told that nothing more follows.
    ended: Cell<bool>,
    /// Set once somebody else serves the socket, which then stays open.
    given_up: Cell<bool>,
}

impl Link {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream: RefCell::new(stream),
            refused: Cell::new(0),
            ahead: Cell::new(false),
            ended: Cell::new(false),
            given_up: Cell::new(false),
        }
    }

    /// Reads what there is, at least one byte, as a slice of `scratch`; nothing at the end of the stream.
    pub(crate) async fn read(&self, scratch: &RefCell<Scratch>) -> io::Result<BytesMut> {
        poll_fn(|cx| {
            let mut scratch = scratch.borrow_mut();
            let mut stream = self.stream.borrow_mut();
            Pin::new(&mut *stream)
                .poll_read(cx, scratch.room())
                .map_ok(|len| scratch.take(len))
        })
        .await
    }

    /// Lets reads that begin from now on fail with [`io::ErrorKind::TimedOut`] when nothing comes for `span`.
    pub(crate) fn set_read_timeout(&self, span: Option<Duration>) {
        // Zero, which is refused, would mean that the time is over already.
        let span = span.map(|span| span.max(Duration::from_nanos(1)));
        let _ = self.stream.borrow().set_read_timeout(span);
    }

    /// Writes all of `bytes`, waiting where necessary. Only for handshakes, before the shard writes.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written =
                poll_fn(|cx| Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, bytes)).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Writes what the kernel takes now of at most 1024 buffers (`IOV_MAX`).
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if that is nothing: [`Link::writable`] tells when to try again.
    pub(crate) fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.ahead.take() {
            return self.send(bufs);
        }
        // One byte of these has left already.
        let Some((first, rest)) = bufs.split_first() else {
            self.ahead.set(true);
            return Ok(0);
        };
        debug_assert_eq!(
            first.first(),
            Some(&self.refused.get()),
            "a write goes on where the last one ended"
        );
        let mut remaining = Vec::with_capacity(bufs.len());
        if first.len() > 1 {
            remaining.push(IoSlice::new(&first[1..]));
        }
        remaining.extend(rest.iter().map(|buf| IoSlice::new(buf)));
        if remaining.is_empty() {
            return Ok(1);
        }
        match self.send(&remaining) {
            Ok(written) => Ok(written + 1),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(1),
            Err(error) => Err(error),
        }
    }

    fn send(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let stream = self.stream.borrow();
        let socket = fd::borrow(&stream);
        let result = match bufs {
            [only] => rustix::net::send(socket, only, flags),
            _ => rustix::net::sendmsg(socket, bufs, &mut SendAncillaryBuffer::default(), flags),
        };
        let taken = match result {
            Ok(taken) => taken,
            Err(rustix::io::Errno::AGAIN) => 0,
            Err(error) => return Err(error.into()),
        };
        if let Some(refused) = byte_at(bufs, taken) {
            self.refused.set(refused);
            if taken == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        Ok(taken)
    }

    /// Waits until the kernel takes bytes again, or the connection is gone. To be called after a write that
    /// it did not take whole, and by one task at a time.
    ///
    /// glommio has no way to wait for that alone: it waits in order to send. So the next byte is sent here,
    /// and the next write leaves it out.
    pub(crate) async fn writable(&self) {
        if self.ahead.get() {
            return;
        }
        let byte = [self.refused.get()];
        let sent = poll_fn(|cx| Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, &byte)).await;
        // Of an error the next write tells.
        self.ahead.set(matches!(sent, Ok(1)));
    }

    /// Says to the peer that nothing more follows.
    pub(crate) fn end_writing(&self) {
        self.ended.set(true);
        self.shut(Shutdown::Write);
    }

    /// Whether [`end_writing`](Self::end_writing) was called.
    pub(crate) fn has_ended_writing(&self) -> bool {
        self.ended.get()
    }

    /// Ends the connection both ways. Reading then ends too.
    pub(crate) fn shut_down(&self) {
        self.shut(Shutdown::Both);
    }

    fn shut(&self, how: Shutdown) {
        if self.given_up.get() {
            return;
        }
        // It fails where the connection is gone already, which is as well.
        let _ = rustix::net::shutdown(fd::borrow(&self.stream.borrow()), how);
    }

    /// Whether small writes are to leave at once; without meaning on Unix sockets.
    pub(crate) fn set_nodelay(&self, on: bool) {
        let _ = rustix::net::sockopt::set_tcp_nodelay(fd::borrow(&self.stream.borrow()), on);
    }

    /// Another descriptor of the socket, in non-blocking mode, for somebody else to go on with. From here on
    /// the connection is not shut down when it ends here.
    pub(crate) fn give_up(&self) -> io::Result<OwnedFd> {
        let socket = fd::borrow(&self.stream.borrow()).try_clone_to_owned()?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        self.given_up.set(true);
        Ok(socket)
    }
}

/// The byte of `bufs` behind the first `len`.
fn byte_at(bufs: &[IoSlice<'_>], mut len: usize) -> Option<u8> {
    for buf in bufs {
        match buf.get(len) {
            Some(byte) => return Some(*byte),
            None => len -= buf.len(),
        }
    }
    None
}

/// Prepares an accepted socket: glommio lets children inherit it.
pub(crate) fn prepare(stream: &TcpStream) {
    // It cannot fail on a descriptor that is open.
    let _ = rustix::io::fcntl_setfd(fd::borrow(stream), rustix::io::FdFlags::CLOEXEC);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refused_byte_is_the_next_one() {
        let bufs = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"c")];
        let bytes: Vec<_> = (0..4).map(|len| byte_at(&bufs, len)).collect();
        assert_eq!(bytes, [Some(b'a'), Some(b'b'), Some(b'c'), None]);
    }
}
