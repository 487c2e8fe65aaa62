//! The receiver's end of one mailbox.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::vec;

use crossbeam_channel::Receiver;
use crosspoint_core::ids::ShardId;
use crosspoint_core::peer::PeerMessage;
use crosspoint_core::time::Time;

use super::{Envelope, Mesh};

/// How often the mailbox's limit is set to what its shard handles.
const WINDOW: Duration = Duration::from_millis(25);

/// How long what a mailbox may hold takes its shard, as far as the last window tells.
const WAIT: Duration = Duration::from_millis(100);

/// A shard's own mailbox, emptied by one task of that shard.
#[derive(Debug)]
pub struct Mailbox {
    me: ShardId,
    mesh: Arc<Mesh>,
    receiver: Receiver<Envelope>,
    /// What is left of the oldest envelope, from whom it is.
    opened: Option<(ShardId, vec::IntoIter<PeerMessage>)>,
    /// When the window began, and the bytes of the envelopes that were opened in it.
    window: (Time, usize),
    /// The waker that senders have, kept here too so that nothing is locked while it stays the same.
    registered: Option<Waker>,
}

impl Mailbox {
    pub(super) fn new(me: ShardId, mesh: Arc<Mesh>, receiver: Receiver<Envelope>) -> Self {
        Self {
            me,
            mesh,
            receiver,
            opened: None,
            window: (Time::default(), 0),
            registered: None,
        }
    }

    /// Whose mailbox this is.
    #[must_use]
    pub fn shard(&self) -> ShardId {
        self.me
    }

    /// The mesh it belongs to.
    #[must_use]
    pub fn mesh(&self) -> &Arc<Mesh> {
        &self.mesh
    }

    /// Takes the oldest message out. `opened` hears of the envelope of which it is the first.
    pub(crate) fn take(&mut self, opened: impl FnOnce(&Envelope)) -> Option<(ShardId, PeerMessage)> {
        if let Some((from, rest)) = &mut self.opened {
            if let Some(message) = rest.next() {
                return Some((*from, message));
            }
            self.opened = None;
        }
        let envelope = self.receiver.try_recv().ok()?;
        self.mesh.discharge(self.me, envelope.bytes);
        self.window.1 += envelope.bytes;
        opened(&envelope);
        let mut messages = envelope.messages.into_iter();
        let message = messages.next()?;
        self.opened = (messages.len() > 0).then_some((envelope.from, messages));
        Some((envelope.from, message))
    }

    /// Whether nothing is left of an envelope that was opened.
    pub(crate) fn is_between_envelopes(&self) -> bool {
        self.opened.is_none()
    }

    /// How many envelopes there are to open now.
    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }

    /// Whether there is nothing to take now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.opened.is_none() && self.receiver.is_empty()
    }

    /// Sets the mailbox's limit to what its shard handled lately, if it is time for that. What others have to say to
    /// the shard then waits for [`WAIT`], whether its messages are a microsecond's work each or, with many receivers, a millisecond's.
    pub(crate) fn keep_pace(&mut self, now: Time) {
        let (since, bytes) = self.window;
        let span = since.until(now);
        if span < WINDOW {
            return;
        }
        self.window = (now, 0);
        let handled = bytes as u128 * WAIT.as_nanos() / span.as_nanos();
        self.mesh
            .set_limit(self.me, usize::try_from(handled).unwrap_or(usize::MAX));
    }

    /// Senders need not wake anybody: the mailbox is looked into before [`poll_mail`](Self::poll_mail) is called again.
    pub fn awake(&self) {
        self.mesh.inbox(self.me).sleeping.store(false, Ordering::Relaxed);
    }

    /// Ready once there is something to take; otherwise the next envelope wakes the task.
    pub fn poll_mail(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_empty() {
            return Poll::Ready(());
        }
        let inbox = self.mesh.inbox(self.me);
        if !self
            .registered
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            inbox.register(Some(cx.waker().clone()));
            self.registered = Some(cx.waker().clone());
        }
        // See `Inbox::wake_if_sleeping`.
        inbox.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.receiver.is_empty() {
            return Poll::Pending;
        }
        // Whether a sender took the flag does not matter: a wake-up too many does no harm.
        inbox.sleeping.store(false, Ordering::Relaxed);
        Poll::Ready(())
    }
}

impl Drop for Mailbox {
    /// From here on posts are lost, and nobody wakes the task.
    fn drop(&mut self) {
        self.mesh.inbox(self.me).register(None);
    }
}
