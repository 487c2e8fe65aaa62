//! Whether a shard is behind with its writes.
//!
//! What comes in is handled faster than what comes of it is written, by as much as events have receivers. A peer that
//! reads as fast as it can must not be taken for a slow one then: its socket has room, and nobody has tried. So once
//! much waits for such a connection, or many frames for all of them, publishers wait: hardly anything more is read, and no mail
//! taken, until it was written to. What waits for a blocked connection, on the other hand, is its peer's affair and slows nobody.
//!
//! Invariants: `frames` is what the outboxes of all connections hold that are not blocked; `laden` is how many of these have
//! their flag set.

use crate::config::{BACKLOG_FRAMES, QUEUED_PER_TURN, ShardConfig};
use crate::table::Connection;

/// The part of what an outbox may hold above which its connection is laden.
const LADEN_PART: usize = 4;

/// What is yet to be written though the sockets have room, as far as is known.
#[derive(Debug)]
pub(super) struct Backlog {
    /// The bytes that an outbox may hold.
    limit: usize,
    /// Connections for which much waits.
    laden: usize,
    /// Frames for all connections.
    frames: usize,
    /// Events queued since the last flush, to blocked connections too.
    queued: usize,
}

impl Backlog {
    pub(super) fn new(config: &ShardConfig) -> Self {
        Self {
            limit: config.outbox_bytes,
            laden: 0,
            frames: 0,
            queued: 0,
        }
    }

    /// Whether so much is to be written that nothing more should come in.
    pub(super) fn is_behind(&self) -> bool {
        self.laden > 0 || self.frames > BACKLOG_FRAMES
    }

    /// Whether it is time to flush, whatever there is to be read.
    pub(super) fn is_flush_due(&self) -> bool {
        self.is_behind() || self.queued > QUEUED_PER_TURN
    }

    /// A flush begins.
    pub(super) fn flushes(&mut self) {
        self.queued = 0;
    }

    /// A frame was queued: an event to `all` its receivers, or something else to nobody of these; and to how many that are not blocked.
    pub(super) fn queued(&mut self, all: usize, unblocked: usize) {
        self.queued += all;
        self.frames += unblocked;
    }

    /// Whether a connection for which so much waits is laden by one frame more. A large frame alone is no load.
    #[inline]
    pub(super) fn is_much(&self, waiting: usize) -> bool {
        waiting > self.limit / LADEN_PART
    }

    /// Whether a connection can have no further frame, where `times` what an outbox may hold is allowed. As long as the
    /// kernel takes what it is offered the reader is not slow, but the shard behind: twice as much is allowed then.
    pub(super) fn is_too_much(&self, connection: &Connection, times: usize) -> bool {
        let limit = self.limit.saturating_mul(times);
        let behind = connection.outbox.behind();
        behind >= limit && (connection.blocked || behind >= limit.saturating_mul(2))
    }

    /// A frame is queued to a connection for which [much](Self::is_much) waits.
    pub(super) fn load(&mut self, connection: &mut Connection) {
        if !connection.laden && !connection.blocked {
            connection.laden = true;
            self.laden += 1;
        }
    }

    /// The kernel took so many frames of the connection's, which was not blocked.
    pub(super) fn wrote(&mut self, connection: &mut Connection, frames: usize) {
        self.frames -= frames;
        if connection.blocked {
            self.frames -= connection.outbox.len();
        }
        if connection.blocked || !self.is_much(connection.outbox.cost()) {
            self.unload(connection);
        }
    }

    /// The connection is not blocked any more.
    pub(super) fn unblocked(&mut self, connection: &Connection) {
        self.frames += connection.outbox.len();
    }

    /// Nothing of what the connection has queued is written any more.
    pub(super) fn ended(&mut self, connection: &mut Connection) {
        if !connection.blocked {
            self.frames -= connection.outbox.len();
        }
        self.unload(connection);
    }

    fn unload(&mut self, connection: &mut Connection) {
        if connection.laden {
            connection.laden = false;
            self.laden -= 1;
        }
    }

    /// What the invariants say, seen by looking at all connections.
    pub(super) fn agrees_with<'c>(&self, connections: impl Iterator<Item = &'c Connection>) -> bool {
        let (mut laden, mut frames) = (0, 0);
        for connection in connections {
            laden += usize::from(connection.laden);
            frames += if connection.blocked {
                0
            } else {
                connection.outbox.len()
            };
        }
        (laden, frames) == (self.laden, self.frames)
    }
}
