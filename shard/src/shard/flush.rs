//! Writing out what was queued: batches to other shards first, then one vectored write per dirty connection.

use std::time::Duration;

use crosspoint_core::ids::ConnKey;
use crosspoint_core::time::Time;

use super::Shard;
use crate::config::FLUSH_CONNECTIONS_MAX;
use crate::table::Phase;

/// What a slice of flushing left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing: the next slice is due when something new is queued.
    All,
    /// Dirty connections: the next slice is due after a turn of the reactor.
    More,
    /// Posts that did not fit into a mailbox: the next slice is due after a moment.
    Held,
}

impl Shard {
    /// Sends what was posted, then writes to dirty connections for `budget` at most, to one at least if there is
    /// one.
    pub fn flush(&mut self, budget: Duration) -> Flushed {
        self.counters.flush_slices.one();
        let sent = self.postman.send();
        let end = self.clock.now().after(budget);
        for _ in 0..FLUSH_CONNECTIONS_MAX {
            let Some(conn) = self.dirty.pop_front() else {
                return if sent { Flushed::All } else { Flushed::Held };
            };
            // One clock reading serves the write before and this one.
            let now = self.clock.now();
            self.flush_connection(conn, now);
            if now >= end {
                break;
            }
        }
        if self.dirty.is_empty() && sent {
            Flushed::All
        } else {
            Flushed::More
        }
    }

    fn flush_connection(&mut self, conn: ConnKey, now: Time) {
        let Some(connection) = self.table.get_mut(conn) else {
            return;
        };
        connection.dirty = false;
        if connection.phase == Phase::Closed || connection.blocked {
            return;
        }
        if connection.outbox.is_empty() {
            self.close_if_written(conn);
            return;
        }
        self.counters.writes.one();
        let wrote = connection.outbox.write(|bufs| connection.wire.write(bufs));
        match wrote {
            Ok(wrote) => {
                self.counters.written_bytes.add(wrote.bytes as u64);
                if wrote.blocked {
                    self.block(conn, now);
                } else if connection.outbox.is_empty() {
                    self.close_if_written(conn);
                } else {
                    self.mark_dirty(conn);
                }
            }
            Err(error) => {
                self.counters.closed_broken.one();
                tracing::debug!(shard = self.me.0, conn = conn.slot, %error, "connection broken");
                self.close_now(conn);
            }
        }
    }

    fn close_if_written(&mut self, conn: ConnKey) {
        if self
            .table
            .get(conn)
            .is_some_and(|connection| connection.phase == Phase::Closing)
        {
            self.close_now(conn);
        }
    }

    /// The kernel's buffer is full. A blocked connection that takes nothing for long is found by its stall.
    fn block(&mut self, conn: ConnKey, now: Time) {
        self.counters.writes_blocked.one();
        let Some(connection) = self.table.get_mut(conn) else {
            return;
        };
        connection.blocked = true;
        connection.progress = now;
        connection.wire.wait_writable();
        if !connection.watched {
            connection.watched = true;
            self.watch(conn, now.after(self.config.stall_timeout));
        }
    }
}
