//! Writing out what was queued: batches to other shards first, then one vectored write per dirty connection.

use std::io::{self, IoSlice};
use std::mem;
use std::ops::Range;
use std::time::Duration;

use crosspoint_core::ids::ConnKey;
use crosspoint_core::time::Time;

use super::Shard;
use super::dirty::Haste;
use crate::config::{FLUSH_BATCH, FLUSH_CONNECTIONS_MAX};
use crate::table::{Phase, Table};
use crate::wire::{Job, OneByOne, Sender};

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

/// A connection in a batch of writes.
#[derive(Debug)]
pub(super) struct Pick {
    conn: ConnKey,
    /// Of the batch's slices, those that it is to send.
    slices: Range<usize>,
    /// Bytes of these.
    offered: usize,
    result: io::Result<usize>,
}

impl Shard {
    /// Sends what was posted, then writes to dirty connections for `budget` at most, to one batch of them at
    /// least if there are any. While something waits that should come in, what is left of a large fan-out is put
    /// off, unless the shard is [behind](Self::is_behind).
    pub fn flush(&mut self, budget: Duration) -> Flushed {
        self.flush_with(&mut OneByOne, budget)
    }

    /// The same by way of `sender`.
    pub fn flush_with(&mut self, sender: &mut dyn Sender, budget: Duration) -> Flushed {
        self.counters.flush_slices.one();
        debug_assert!(self.backlog_agrees(), "{:?}", self.backlog);
        self.backlog.flushes();
        let sent = self.postman.send();
        let end = self.clock.now().after(budget);
        for _ in 0..FLUSH_CONNECTIONS_MAX / FLUSH_BATCH {
            if self.dirty.is_empty() {
                break;
            }
            self.flush_batch(sender);
            // What is left of a large fan-out waits for whatever else there is to do.
            let only_bulk = !self.dirty.has_prompt();
            if self.clock.now() >= end || only_bulk && !self.backlog.is_behind() && sender.is_wanted() {
                break;
            }
        }
        match (self.dirty.is_empty(), sent) {
            (true, true) => Flushed::All,
            (true, false) => Flushed::Held,
            (false, _) => Flushed::More,
        }
    }

    /// Whether the backlog is what the connections say; where there are many of these, they are looked at now and then only.
    fn backlog_agrees(&self) -> bool {
        const FEW: usize = 100;
        let slices = self.counters.flush_slices.get();
        let is_turn = slices.is_multiple_of(FEW as u64) || self.table.iter().take(FEW).count() < FEW;
        !is_turn || self.backlog.agrees_with(self.table.iter())
    }

    fn flush_batch(&mut self, sender: &mut dyn Sender) {
        let mut picks = mem::take(&mut self.picks);
        self.pick_batch(&mut picks);
        if !picks.is_empty() {
            send_batch(&self.table, &mut picks, sender);
            let now = self.clock.now();
            for pick in picks.drain(..) {
                self.wrote(pick, now);
            }
        }
        self.picks = picks;
    }

    /// Takes the connections of the next batch off the lists.
    fn pick_batch(&mut self, picks: &mut Vec<Pick>) {
        let (mut prompt, mut slices) = (0, 0);
        while picks.len() < FLUSH_BATCH
            && let Some((conn, haste)) = self.dirty.take(prompt)
        {
            let Some(connection) = self.table.get_mut(conn) else {
                continue;
            };
            connection.dirty.taken(haste);
            if connection.phase == Phase::Closed || connection.blocked {
                continue;
            }
            let count = connection.outbox.slices();
            if count == 0 {
                self.close_if_written(conn);
                continue;
            }
            prompt += usize::from(haste == Haste::Prompt);
            // A connection in both lists has all that it may send already.
            if picks.iter().any(|pick: &Pick| pick.conn == conn) {
                continue;
            }
            picks.push(Pick {
                conn,
                slices: slices..slices + count,
                offered: 0,
                result: Ok(0),
            });
            slices += count;
        }
    }

    /// Notes what a write achieved.
    fn wrote(&mut self, pick: Pick, now: Time) {
        let conn = pick.conn;
        let Some(connection) = self.table.get_mut(conn) else {
            return;
        };
        self.counters.writes.one();
        match connection.outbox.wrote(pick.offered, pick.result) {
            Ok(wrote) => {
                self.counters.written_bytes.add(wrote.bytes as u64);
                connection.blocked = wrote.blocked;
                self.backlog.wrote(connection, wrote.frames);
                if wrote.blocked {
                    self.block(conn, now);
                } else if connection.outbox.is_empty() {
                    self.close_if_written(conn);
                } else {
                    self.mark_dirty(conn, Haste::Bulk);
                }
            }
            Err(error) => {
                self.counters.closed_broken.one();
                tracing::debug!(shard = self.me.0, conn = conn.slot, %error, "connection broken");
                self.close_now(conn);
            }
        }
    }

    #[inline]
    pub(super) fn close_if_written(&mut self, conn: ConnKey) {
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
        connection.progress = now;
        connection.wire.wait_writable();
        if !connection.watched {
            connection.watched = true;
            self.watch(conn, now.after(self.config.stall_timeout));
        }
    }
}

/// Offers what the picked connections have queued, all in one go.
fn send_batch(table: &Table, picks: &mut [Pick], sender: &mut dyn Sender) {
    let total = picks.last().map_or(0, |pick| pick.slices.end);
    let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(total);
    for pick in picks.iter_mut() {
        if let Some(connection) = table.get(pick.conn) {
            pick.offered = connection.outbox.offer(&mut slices);
        }
        debug_assert_eq!(
            slices.len(),
            pick.slices.end,
            "nothing happened since it was picked"
        );
    }
    let jobs = picks.iter().filter_map(|pick| {
        Some(Job {
            wire: &*table.get(pick.conn)?.wire,
            bufs: slices.get(pick.slices.clone())?,
            result: Ok(0),
        })
    });
    let mut jobs: Vec<_> = jobs.collect();
    sender.send(&mut jobs);
    for (pick, job) in picks.iter_mut().zip(jobs) {
        pick.result = job.result;
    }
}
