//! What a shard counts.
//!
//! Invariants: a counter is written by its shard's thread alone, so counting is a plain load and store and no
//! core waits for another; any thread may read. A reader sees each number as it was a moment ago, and numbers
//! that belong together possibly of different moments.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crosspoint_core::ids::ShardId;

/// A number that only grows, but for wrapping at 2^64.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What one shard counts; two shards never share a cache line of it.
#[derive(Debug)]
#[repr(align(128))]
pub struct Counters {
    /// WAMP messages received from connections, well-formed or not.
    pub received: Counter,
    /// Bytes of these.
    pub received_bytes: Counter,
    /// Messages received that were none: the session was aborted.
    pub malformed: Counter,
    /// Messages queued to single connections.
    pub sent: Counter,
    /// Events queued, one for each receiver.
    pub events: Counter,
    /// Encodings that [`events`](Self::events) needed: one per serializer and framing among an event's receivers.
    pub event_encodings: Counter,
    /// Events dropped because their receiver reads too slowly, under [`SlowConsumer::Drop`](crate::SlowConsumer).
    pub events_dropped_slow: Counter,
    /// Events dropped because they are larger than their receiver takes.
    pub events_dropped_large: Counter,
    /// Results and invocations answered by an error because they are larger than their receiver takes.
    pub replies_too_large: Counter,
    /// Other messages dropped because they are larger than their receiver takes.
    pub dropped_large: Counter,
    /// Retained events forgotten, or not kept at all, since their realm's bounds had no room for them. Those that expired or
    /// were replaced by newer ones do not count.
    pub retained_evicted: Counter,
    /// Connections closed because too much was queued for them.
    pub closed_slow: Counter,
    /// Connections closed because they took nothing for too long.
    pub closed_stalled: Counter,
    /// Connections closed because writing to them failed.
    pub closed_broken: Counter,
    /// Times that a reader was told to wait: a shard's mailbox is over its limit.
    pub pauses_mailbox: Counter,
    /// Turns in which connections were not read from, since their shard is behind with its writes.
    pub pauses_behind: Counter,
    /// Times that a reader was told to wait: its connection leaves replies unread.
    pub pauses_unread: Counter,
    /// Vectored writes.
    pub writes: Counter,
    /// Writes that found the kernel's buffer full, in whole or in part.
    pub writes_blocked: Counter,
    /// Bytes written.
    pub written_bytes: Counter,
    /// Slices of flushing, each followed by a turn of the reactor where more was left.
    pub flush_slices: Counter,
    /// Batches taken from the mailbox.
    pub mail_batches: Counter,
    /// Messages in these.
    pub mail_messages: Counter,
    /// What was posted to each shard, by its number.
    pub posts: Box<[PostCounters]>,
}

/// What one shard posted to one other.
#[derive(Debug, Default)]
pub struct PostCounters {
    /// Messages.
    pub messages: Counter,
    /// Batches that carried them.
    pub batches: Counter,
    /// Batches that found the shard asleep and woke it.
    pub wakes: Counter,
    /// Batches that found the mailbox full and had to wait at the sender.
    pub overflows: Counter,
    /// Messages lost because the shard has ended.
    pub lost: Counter,
}

impl Counters {
    /// All zero, for a mesh of `shards`.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        Self {
            received: Counter::default(),
            received_bytes: Counter::default(),
            malformed: Counter::default(),
            sent: Counter::default(),
            events: Counter::default(),
            event_encodings: Counter::default(),
            events_dropped_slow: Counter::default(),
            events_dropped_large: Counter::default(),
            replies_too_large: Counter::default(),
            dropped_large: Counter::default(),
            retained_evicted: Counter::default(),
            closed_slow: Counter::default(),
            closed_stalled: Counter::default(),
            closed_broken: Counter::default(),
            pauses_mailbox: Counter::default(),
            pauses_behind: Counter::default(),
            pauses_unread: Counter::default(),
            writes: Counter::default(),
            writes_blocked: Counter::default(),
            written_bytes: Counter::default(),
            flush_slices: Counter::default(),
            mail_batches: Counter::default(),
            mail_messages: Counter::default(),
            posts: (0..shards).map(|_| PostCounters::default()).collect(),
        }
    }

    /// Changes whenever the shard did something: what tells a busy shard from an idle one.
    #[cfg(feature = "glommio")]
    pub(crate) fn activity(&self) -> u64 {
        let inputs = self.received.get().wrapping_add(self.mail_batches.get());
        inputs.wrapping_add(self.flush_slices.get())
    }

    pub(crate) fn post(&self, to: ShardId) -> &PostCounters {
        &self.posts[usize::from(to.0)]
    }
}
