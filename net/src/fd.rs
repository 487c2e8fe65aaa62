//! The only unsafe code of this crate: between file descriptors that Rust owns and glommio's types, which
//! know raw ones only.
//!
//! Invariant: every descriptor has one owner at any time.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use glommio::net::{TcpListener, TcpStream};

/// Gives a listening socket of any family to the executor of this thread.
///
/// # Panics
/// Outside of an executor.
pub(crate) fn listener(socket: OwnedFd) -> TcpListener {
    // SAFETY: the descriptor is open and its ownership passes to the listener, which closes it.
    unsafe { TcpListener::from_raw_fd(socket.into_raw_fd()) }
}

/// Gives a connected stream socket of any family to the executor of this thread. glommio calls it a TCP
/// stream but uses `recv`, `send`, `poll` and `shutdown` only.
///
/// # Panics
/// Outside of an executor.
pub(crate) fn stream(socket: OwnedFd) -> TcpStream {
    // SAFETY: the descriptor is open and its ownership passes to the stream, which closes it.
    unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) }
}

/// The descriptor of a stream, for system calls that glommio does not know.
pub(crate) fn borrow(stream: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns the descriptor and never gives it up, and the result cannot outlive it.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}
