//! Connections that another thread accepted or opened, on their way to a shard. It is used rarely, so a lock is good enough.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;
use crosspoint_shard::Event;

use crate::connector::Inside;
use crate::permit::Permit;

/// A connection for a shard.
#[derive(Debug)]
pub(crate) enum Handed {
    /// One that another thread accepted.
    Accepted(Accepted),
    /// One that was handed off, and asks for WebSocket now.
    Returned(Returned),
    /// One that another thread opened.
    Inside(Inside),
}

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Index of its listener.
    pub(crate) listener: usize,
    pub(crate) socket: OwnedFd,
    /// Its place, if there was one left.
    pub(crate) permit: Option<Permit>,
}

/// A connection that comes back from where it was handed off.
#[derive(Debug)]
pub(crate) struct Returned {
    /// Index of its listener.
    pub(crate) listener: usize,
    pub(crate) socket: OwnedFd,
    /// What was read from it and not answered: at least the head of a request.
    pub(crate) received: Bytes,
    pub(crate) permit: Permit,
}

/// What one shard is handed, shared by its senders and the one task that receives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Handed>,
    /// The receiving task, if it waits.
    receiver: Option<Waker>,
    /// There is no receiver any more.
    closed: bool,
}

impl Inbox {
    /// Hands `connection` over, or closes it where nobody receives any more. Whether somebody does.
    pub(crate) fn send(&self, connection: Handed) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.queue.push_back(connection);
        // Woken under the lock: the executor of the receiver does not end before the receiver has closed this.
        if let Some(receiver) = state.receiver.take() {
            receiver.wake();
        }
        true
    }

    /// The next connection; nothing, from then on, once `end` is set. One task may wait at a time.
    pub(crate) async fn receive(&self, end: &Event) -> Option<Handed> {
        poll_fn(|cx| {
            let mut state = self.lock();
            if end.poll_set(cx).is_ready() {
                *state = State {
                    closed: true,
                    ..State::default()
                };
                return Poll::Ready(None);
            }
            match state.queue.pop_front() {
                Some(connection) => Poll::Ready(Some(connection)),
                None => {
                    state.receiver = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave the state half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    fn accepted(listener: usize) -> Handed {
        let (socket, _) = UnixStream::pair().unwrap();
        Handed::Accepted(Accepted {
            listener,
            socket: socket.into(),
            permit: None,
        })
    }

    #[test]
    fn connections_come_in_order_until_the_end() {
        let (inbox, end) = (Inbox::default(), Event::default());
        let mut cx = Context::from_waker(Waker::noop());
        let mut received = |end: &Event| match pin!(inbox.receive(end)).poll(&mut cx) {
            Poll::Ready(received) => received.map(|handed| match handed {
                Handed::Accepted(accepted) => accepted.listener,
                Handed::Returned(_) | Handed::Inside(_) => unreachable!("nobody sent one"),
            }),
            Poll::Pending => Some(usize::MAX),
        };
        assert!(inbox.send(accepted(1)));
        assert!(inbox.send(accepted(2)));
        assert_eq!((received(&end), received(&end)), (Some(1), Some(2)));
        assert_eq!(received(&end), Some(usize::MAX), "it waits");
        assert!(inbox.send(accepted(3)));
        end.set();
        assert_eq!(received(&end), None);
        assert!(!inbox.send(accepted(4)));
        assert_eq!(received(&end), None);
        assert!(inbox.lock().receiver.is_none(), "no waker outlives the executor");
    }
}
