//! How the transports of a shard say which sockets are to be watched.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll};

use crosspoint_core::ids::ConnKey;

use crate::signal::Signal;

/// A change of what a shard's ring watches. A descriptor is a plain number here: if its socket is closed before the
/// kernel is told, the watch comes to nothing, or to an event of a connection that is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rt) enum Watch {
    /// Report each time that something arrives.
    Readable(ConnKey, RawFd),
    /// Report once that there is room.
    Writable(ConnKey, RawFd),
    /// Report nothing any more.
    Forget(ConnKey),
}

/// What the transports of one shard tell its ring. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Watcher(Rc<State>);

#[derive(Debug, Default)]
struct State {
    changes: RefCell<VecDeque<Watch>>,
    changed: Signal,
    openings: Cell<usize>,
    yield_soon: Cell<bool>,
}

/// A connection that is not open yet, for as long as this exists; see [`Watcher::opening`].
#[derive(Debug)]
pub struct Opening(Watcher);

impl Watcher {
    /// From now on [`Wire::readable`](crate::Wire::readable) is called when something arrives on the socket.
    pub fn readable(&self, conn: ConnKey, socket: BorrowedFd<'_>) {
        self.change(Watch::Readable(conn, socket.as_raw_fd()));
    }

    /// [`Shard::writable`](crate::Shard::writable) is called, once, when the socket has room.
    pub fn writable(&self, conn: ConnKey, socket: BorrowedFd<'_>) {
        self.change(Watch::Writable(conn, socket.as_raw_fd()));
    }

    /// The connection's socket is not watched any more. To be called before it is closed: a watched socket stays
    /// open.
    pub fn forget(&self, conn: ConnKey) {
        self.change(Watch::Forget(conn));
    }

    /// As long as the result exists, other tasks of the executor have work to do at any time: the shard does not
    /// keep the thread to itself.
    #[must_use]
    pub fn opening(&self) -> Opening {
        self.0.openings.set(self.0.openings.get() + 1);
        Opening(self.clone())
    }

    /// Another task of the executor may have become ready: it is to run before the shard waits.
    pub fn yield_soon(&self) {
        self.0.yield_soon.set(true);
    }

    pub(in crate::rt) fn next(&self) -> Option<Watch> {
        self.0.changes.borrow_mut().pop_front()
    }

    /// Ready if there are changes.
    pub(in crate::rt) fn poll_changed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.changed.poll_taken(cx)
    }

    pub(in crate::rt) fn take_yield(&self) -> bool {
        self.0.yield_soon.take()
    }

    /// Whether a result of [`opening`](Self::opening) exists.
    #[must_use]
    pub fn has_openings(&self) -> bool {
        self.0.openings.get() > 0
    }

    fn change(&self, watch: Watch) {
        self.0.changes.borrow_mut().push_back(watch);
        self.0.changed.raise();
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let openings = &self.0.0.openings;
        openings.set(openings.get() - 1);
    }
}
