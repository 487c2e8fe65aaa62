//! Deadlines: the router's, the transports', and those of connections that take nothing.

use std::cmp::Reverse;
use std::rc::Rc;
use std::time::Duration;

use crosspoint_core::ids::ConnKey;
use crosspoint_core::router::Router;
use crosspoint_core::time::Time;

use super::Shard;
use crate::table::Phase;
use crate::wire::Wire;

impl Shard {
    /// When [`run_timers`](Self::run_timers) is to be called next, if nothing changes.
    fn next_deadline(&self) -> Option<Time> {
        let stall = self.stalls.peek().map(|Reverse((at, _))| *at);
        [self.router.next_timeout(), self.wheel.next(), stall]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due. Returns the transports whose timers are over: [`Wire::timer`] is to be called on each
    /// when the shard is no longer borrowed.
    #[must_use = "the transports wait for their timers"]
    pub fn run_timers(&mut self) -> Vec<Rc<dyn Wire>> {
        let now = self.clock.now();
        if self.router.next_timeout().is_some_and(|at| at <= now) {
            self.step(Router::timeout);
        }
        self.close_stalled(now);
        let mut expired = Vec::new();
        for entry in self.wheel.take_due(now) {
            if let Some(connection) = self.table.get_mut(entry.conn)
                && self.wheel.fires(&mut connection.timer, entry)
            {
                expired.push(Rc::clone(&connection.wire));
            }
        }
        expired
    }

    /// The time until [`run_timers`](Self::run_timers) is to be called. The caller waits for that long, or for
    /// [`work`](Self::work), which an earlier deadline raises.
    #[must_use]
    pub fn plan(&mut self) -> Option<Duration> {
        self.planned = self.next_deadline();
        self.planned.map(|at| self.clock.now().until(at))
    }

    /// Whether [`run_timers`](Self::run_timers) has something to do.
    #[must_use]
    pub fn timers_due(&self) -> bool {
        self.next_deadline().is_some_and(|at| at <= self.clock.now())
    }

    /// Wakes the shard's task if it sleeps for too long.
    pub(super) fn replan(&mut self) {
        if let Some(next) = self.next_deadline()
            && self.planned.is_none_or(|planned| next < planned)
        {
            self.planned = Some(next);
            self.work.raise();
        }
    }

    /// Notes to look at `at` whether a blocked connection made progress.
    pub(super) fn watch(&mut self, conn: ConnKey, at: Time) {
        self.stalls.push(Reverse((at, conn)));
        self.replan();
    }

    fn close_stalled(&mut self, now: Time) {
        while let Some(&Reverse((at, conn))) = self.stalls.peek()
            && at <= now
        {
            self.stalls.pop();
            let Some(connection) = self.table.get_mut(conn) else {
                continue;
            };
            let deadline = connection.progress.after(self.config.stall_timeout);
            if !connection.blocked || connection.phase == Phase::Closed {
                connection.watched = false;
            } else if deadline > now {
                self.stalls.push(Reverse((deadline, conn)));
            } else if self.takes_some(conn) {
                self.stalls
                    .push(Reverse((now.after(self.config.stall_timeout), conn)));
            } else {
                self.counters.closed_stalled.one();
                tracing::info!(
                    shard = self.me.0,
                    conn = conn.slot,
                    "connection closed: its peer takes nothing"
                );
                self.close_now(conn);
            }
        }
    }

    /// Whether a blocked connection makes progress after all: the kernel tells of room only once much of the socket's buffer
    /// is free, which takes a peer that reads slowly longer than the stall timeout. What is queued later waits for that
    /// nevertheless.
    #[cold]
    fn takes_some(&mut self, conn: ConnKey) -> bool {
        let Some(connection) = self.table.get_mut(conn) else {
            return false;
        };
        if !connection.outbox.is_empty() {
            let mut slices = Vec::new();
            let offered = connection.outbox.offer(&mut slices);
            let written = connection.wire.write(&slices);
            self.counters.writes.one();
            match connection.outbox.wrote(offered, written) {
                Ok(wrote) if wrote.bytes > 0 => self.counters.written_bytes.add(wrote.bytes as u64),
                _ => return false,
            }
        }
        connection.progress = self.clock.now();
        if connection.outbox.is_empty() {
            self.close_if_written(conn);
        }
        true
    }
}
