//! A connected socket in the hands of glommio: while a connection is being opened, and after it has been closed on our
//! side. In between it is a [`SocketWire`](crate::wire::SocketWire).
//!
//! Invariants:
//! - No borrow of the stream is held across an await.
//! - Whatever waits on the socket ends when it is shut down, so nothing outlives [`Link::shut_down`] for long.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use futures_io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use rustix::net::Shutdown;

use crate::fd;
use crate::scratch::Scratch;

/// A connected socket, TCP or Unix.
#[derive(Debug)]
pub(crate) struct Link {
    stream: RefCell<TcpStream>,
    /// Set once somebody else serves the socket, which then stays open.
    given_up: Cell<bool>,
}

impl Link {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream: RefCell::new(stream),
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

    /// Lets writes fail with [`io::ErrorKind::TimedOut`] when the peer takes nothing for `span`.
    pub(crate) fn set_write_timeout(&self, span: Duration) {
        // Zero, which is refused, would mean that there is no time to wait.
        let _ = self
            .stream
            .borrow()
            .set_write_timeout(Some(span.max(Duration::from_nanos(1))));
    }

    /// Writes all of `bytes`, waiting where necessary. Only for handshakes, before the shard writes, and for the testee.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written =
                poll_fn(|cx| Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, bytes)).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Lets small writes wait for more; without meaning on Unix sockets.
    pub(crate) fn delay_small_writes(&self) {
        let _ = rustix::net::sockopt::set_tcp_nodelay(fd::borrow(&self.stream.borrow()), false);
    }

    /// Says to the peer that nothing more follows.
    pub(crate) fn end_writing(&self) {
        self.shut(Shutdown::Write);
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

    /// Another descriptor of the socket, in non-blocking mode, for somebody else to go on with once this one is
    /// [given up](Self::give_up).
    ///
    /// # Errors
    /// If there are no descriptors left.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        let socket = fd::borrow(&self.stream.borrow()).try_clone_to_owned()?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(socket)
    }

    /// From here on the connection is not shut down when it ends here.
    pub(crate) fn give_up(&self) {
        self.given_up.set(true);
    }
}

/// Prepares an accepted socket: glommio lets children inherit it.
pub(crate) fn prepare(stream: &TcpStream) {
    // It cannot fail on a descriptor that is open.
    let _ = rustix::io::fcntl_setfd(fd::borrow(stream), rustix::io::FdFlags::CLOEXEC);
}
