//! Whether a shard is behind with its writes.
//!
//! What comes in is handled faster than what comes of it is written, by as much as events have receivers. A peer that
//! reads as fast as it can must not be taken for a slow one then: its socket has room, and nobody has tried. So once
//! much waits for such a connection, publishers wait: hardly anything more is read, and no mail taken, until it was
//! written to. What waits for a blocked connection, on the other hand, is its peer's affair and slows nobody.

use crate::config::ShardConfig;
use crate::table::Connection;

/// The part of what an outbox may hold above which its connection is laden.
const LADEN_PART: usize = 4;

/// The connections for which much waits though their sockets have room, as far as is known.
#[derive(Debug)]
pub(super) struct Backlog {
    /// The bytes above which a connection is one of them.
    bound: usize,
    laden: usize,
}

impl Backlog {
    pub(super) fn new(config: &ShardConfig) -> Self {
        Self {
            bound: config.outbox_bytes / LADEN_PART,
            laden: 0,
        }
    }

    /// Whether there is one.
    pub(super) fn is_behind(&self) -> bool {
        self.laden > 0
    }

    /// Whether a connection for which so much waits is laden by one frame more. A large frame alone is no load.
    #[inline]
    pub(super) fn is_much(&self, waiting: usize) -> bool {
        waiting > self.bound
    }

    /// A frame is queued to a connection for which [much](Self::is_much) waits.
    pub(super) fn load(&mut self, connection: &mut Connection) {
        if !connection.laden && !connection.blocked {
            connection.laden = true;
            self.laden += 1;
        }
    }

    /// The kernel took something of the connection's, or nothing.
    pub(super) fn wrote(&mut self, connection: &mut Connection) {
        if connection.blocked || !self.is_much(connection.outbox.cost()) {
            self.ended(connection);
        }
    }

    /// Nothing more is written to the connection.
    pub(super) fn ended(&mut self, connection: &mut Connection) {
        if connection.laden {
            connection.laden = false;
            self.laden -= 1;
        }
    }
}
