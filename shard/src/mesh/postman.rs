//! The sender's end of all other shards' mailboxes.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use crosspoint_core::ids::{ShardId, ShardSet};
use crosspoint_core::peer::PeerMessage;

use super::{Envelope, Mesh, Posted, cost};
use crate::counters::Counters;

/// Messages after which an envelope is sent before the turn ends, so that a long turn keeps nobody waiting.
const BATCH_MAX: usize = 128;

/// Bytes after which one is: its receiver handles an envelope as a whole, whatever that makes it write.
const BATCH_BYTES_MAX: usize = 128 << 10;

/// What a shard posts, collected until the end of its turn.
#[derive(Debug)]
pub(crate) struct Postman {
    me: ShardId,
    mesh: Arc<Mesh>,
    counters: Arc<Counters>,
    outgoing: Vec<Outgoing>,
    /// The shards for which something waits here.
    waiting: ShardSet,
    /// The same in the order in which the turn first posted to them, which is the order of sending: what a
    /// step posted first is then in its mailbox, unless that is full, before anybody hears what it posted next.
    order: Vec<ShardId>,
    /// The shards to which something was posted since somebody asked.
    posted: ShardSet,
}

/// What waits for one shard.
#[derive(Debug, Default)]
struct Outgoing {
    /// Collected in this turn.
    batch: Vec<PeerMessage>,
    batch_bytes: usize,
    /// Older: the mailbox was full.
    overflow: VecDeque<Envelope>,
}

impl Postman {
    pub(crate) fn new(me: ShardId, mesh: Arc<Mesh>, counters: Arc<Counters>) -> Self {
        let outgoing = (0..mesh.shards()).map(|_| Outgoing::default()).collect();
        Self {
            me,
            mesh,
            counters,
            outgoing,
            waiting: ShardSet::EMPTY,
            order: Vec::new(),
            posted: ShardSet::EMPTY,
        }
    }

    pub(crate) fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Takes `message` along with what else goes to `to`.
    pub(crate) fn post(&mut self, to: ShardId, message: PeerMessage) {
        debug_assert!(to != self.me, "a shard does not post to itself");
        let outgoing = &mut self.outgoing[usize::from(to.0)];
        outgoing.batch_bytes += cost(&message);
        outgoing.batch.push(message);
        if !self.waiting.contains(to) {
            self.waiting.insert(to);
            self.order.push(to);
        }
        self.posted.insert(to);
        if outgoing.batch.len() >= BATCH_MAX || outgoing.batch_bytes >= BATCH_BYTES_MAX {
            // All, since what was posted before it to others must not come later.
            self.send();
        }
    }

    /// The shards to which something was posted since this was asked last.
    pub(crate) fn take_posted(&mut self) -> ShardSet {
        mem::take(&mut self.posted)
    }

    /// Sends what was collected. Whether all of it is in the mailboxes now; otherwise this is to be called
    /// again soon, since nobody says when a mailbox has room.
    pub(crate) fn send(&mut self) -> bool {
        let mut order = mem::take(&mut self.order);
        for &to in &order {
            self.send_to(to);
        }
        order.retain(|to| self.waiting.contains(*to));
        self.order = order;
        self.is_empty()
    }

    /// Whether nothing waits here.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn send_to(&mut self, to: ShardId) {
        let outgoing = &mut self.outgoing[usize::from(to.0)];
        let counters = self.counters.post(to);
        if !outgoing.batch.is_empty() {
            let envelope = Envelope {
                from: self.me,
                bytes: mem::take(&mut outgoing.batch_bytes),
                messages: mem::take(&mut outgoing.batch),
            };
            counters.messages.add(envelope.messages.len() as u64);
            counters.batches.one();
            self.mesh.charge(to, envelope.bytes);
            outgoing.overflow.push_back(envelope);
        }
        // The envelope passes through the overflow queue, which is empty but for a mailbox that was full, so
        // that it cannot overtake what waits there.
        while let Some(envelope) = outgoing.overflow.pop_front() {
            match self.mesh.inbox(to).post(envelope) {
                Posted::Taken { woken } => counters.wakes.add(u64::from(woken)),
                Posted::Full(envelope) => {
                    outgoing.overflow.push_front(envelope);
                    counters.overflows.one();
                    return;
                }
                Posted::Lost(envelope) => {
                    self.mesh.discharge(to, envelope.bytes);
                    counters.lost.add(envelope.messages.len() as u64);
                }
            }
        }
        self.waiting.remove(to);
    }
}
