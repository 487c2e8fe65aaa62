//! Writing to clients that may have stopped to read.
//!
//! Invariant: the time runs only while there is something to take and the client takes nothing of it, so that one which is
//! slow gets all of a response, and one which is gone or will not read holds its connection and the response for so long
//! at most.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::time::{Sleep, sleep};

use super::give_back::Asked;

/// A writer that fails with [`io::ErrorKind::TimedOut`] once nothing was taken for `timeout`.
#[derive(Debug)]
pub(super) struct StallTimeout<W> {
    writer: W,
    timeout: Duration,
    asked: Asked,
    /// Set while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<W> StallTimeout<W> {
    /// `asked` is told whenever all is written.
    pub(super) fn new(writer: W, timeout: Duration, asked: Asked) -> Self {
        Self {
            writer,
            timeout,
            asked,
            stalled: None,
        }
    }

    pub(super) fn into_inner(self) -> W {
        self.writer
    }

    /// What becomes of a write.
    fn bound(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        let over = stalled.as_mut().poll(cx);
        over.map(|()| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client takes nothing",
            ))
        })
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for StallTimeout<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.writer).poll_write(cx, buf);
        self.bound(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.writer).poll_write_vectored(cx, bufs);
        self.bound(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.writer.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.writer).poll_flush(cx);
        if flushed.is_ready() {
            self.asked.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}
