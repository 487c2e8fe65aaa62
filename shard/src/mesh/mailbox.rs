//! The receiver's end of one mailbox.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::task::{Context, Poll, Waker};

use crossbeam_channel::Receiver;
use crosspoint_core::ids::ShardId;

use super::{Envelope, Mesh};

/// A shard's own mailbox, emptied by one task of that shard.
#[derive(Debug)]
pub struct Mailbox {
    me: ShardId,
    mesh: Arc<Mesh>,
    receiver: Receiver<Envelope>,
    /// The waker that senders have, kept here too so that nothing is locked while it stays the same.
    registered: Option<Waker>,
}

impl Mailbox {
    pub(super) fn new(me: ShardId, mesh: Arc<Mesh>, receiver: Receiver<Envelope>) -> Self {
        Self {
            me,
            mesh,
            receiver,
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

    /// Takes the oldest envelope out.
    pub(crate) fn take(&mut self) -> Option<Envelope> {
        let envelope = self.receiver.try_recv().ok()?;
        self.mesh.discharge(self.me, envelope.bytes);
        Some(envelope)
    }

    /// How many envelopes there are to take now.
    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }

    /// Whether there is nothing to take now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// Senders need not wake anybody: the mailbox is looked into before [`poll_mail`](Self::poll_mail) is called again.
    pub fn awake(&self) {
        self.mesh.inbox(self.me).sleeping.store(false, Ordering::Relaxed);
    }

    /// Ready once there is something to take; otherwise the next envelope wakes the task.
    pub fn poll_mail(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.receiver.is_empty() {
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
