//! Limits and policies of a shard, and why their defaults are what they are.

use std::time::Duration;

/// What a shard is told at start.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Bytes queued to one connection from which on it gets no more events; see [`SlowConsumer`]. Counted are
    /// the frames, shared or not, and [`FRAME_COST`] for each. Replies and control frames may use as much
    /// again before the connection is closed, and so may events while the kernel takes all that it is offered. A frame is taken or refused whole, so that one message of any
    /// allowed size passes; the bound is therefore exceeded by at most one frame.
    pub outbox_bytes: usize,
    /// What happens to a subscriber whose outbox is full.
    pub slow_consumer: SlowConsumer,
    /// A connection whose peer takes none of what is queued for this long is closed.
    pub stall_timeout: Duration,
    /// How the bytes of a message are read: limits of the codec.
    pub decode: crosspoint_codec::Limits,
}

impl Default for ShardConfig {
    /// 4 MiB is what a subscriber of a thousand events of 400 bytes a second misses in ten seconds: a pause of
    /// a garbage collector or a radio link passes, a reader that is too slow does not go on for minutes. The
    /// stall timeout is thirty seconds because nothing less tells a dead peer from a sleepy one.
    fn default() -> Self {
        Self {
            outbox_bytes: 4 << 20,
            slow_consumer: SlowConsumer::Disconnect,
            stall_timeout: Duration::from_secs(30),
            decode: crosspoint_codec::Limits::default(),
        }
    }
}

/// What happens to a subscriber that reads more slowly than events come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowConsumer {
    /// Its connection is closed: it knows that it missed something, and may come back.
    Disconnect,
    /// It misses events, which are counted; its replies are never among them.
    Drop,
}

/// What a queued frame costs beside its bytes.
pub const FRAME_COST: usize = size_of::<bytes::Bytes>();

/// Frames in one vectored write: more bring nothing (the cost per frame is flat from 16 on).
pub(crate) const SLICES_MAX: usize = 64;

/// Connections that are written to in one go, at 3 to 5 microseconds each.
pub(crate) const FLUSH_BATCH: usize = 32;

/// Connections that one slice of flushing writes to.
pub(crate) const FLUSH_CONNECTIONS_MAX: usize = 256;

/// Frames that wait for all connections of a shard, as far as these are not known to be blocked, from which on nothing more is
/// read before some are written. A publication to a hundred thousand subscribers is no reason to wait; two to three of them
/// are, which take 8 MiB of queues and about a tenth of a second to write.
pub(crate) const BACKLOG_FRAMES: usize = 1 << 18;

/// Events queued in one turn, one for each receiver, after which it is the flush's turn: about two milliseconds' work.
pub(crate) const QUEUED_PER_TURN: usize = 1 << 15;

/// Envelopes that one slice of the mailbox pump takes.
pub(crate) const PUMP_BATCHES_MAX: usize = 256;

/// Messages of one envelope after which the mailbox pump looks at its time.
pub(crate) const PUMP_MESSAGES: usize = 16;

/// Bytes of envelopes after which the mailbox pump takes no further one: what comes of them is to be written before there
/// is more of it than an outbox takes. Short messages take longer than [`SLICE`] before there are so many.
pub(crate) const PUMP_BYTES_MAX: usize = 1 << 20;

/// How long a slice of work goes on before other tasks and the reactor get their turn.
pub const SLICE: Duration = Duration::from_millis(1);
