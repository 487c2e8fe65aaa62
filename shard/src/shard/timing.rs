//! Deadlines: the router's, the transports', and those of connections that take nothing.

use std::cmp::Reverse;
use std::rc::Rc;
use std::time::Duration;

use crosspoint_core::ids::ConnKey;
use crosspoint_core::router::Router;
use crosspoint_core::time::Time;

use super::Shard;
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
            if !connection.blocked {
                connection.watched = false;
            } else if deadline <= now {
                self.counters.closed_stalled.one();
                tracing::info!(
                    shard = self.me.0,
                    conn = conn.slot,
                    "connection closed: its peer takes nothing"
                );
                self.close_now(conn);
            } else {
                self.stalls.push(Reverse((deadline, conn)));
            }
        }
    }
}
