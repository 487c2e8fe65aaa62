//! Deadlines of sessions and calls.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::ids::{CallKey, ConnKey, RealmId};
use crate::time::Time;

/// What a deadline is for. Whoever owns the deadline knows whether it still counts: timers are not taken
/// back, they find nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A HELLO, or a GOODBYE, that has not come.
    Conn(ConnKey),
    /// A call that has not been answered.
    Call(CallKey),
    /// Retained events of a realm that expire.
    Retained(RealmId),
    /// Past events of a realm that grow too old.
    Histories(RealmId),
}

/// All deadlines of one shard.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Time, Timer)>>);

impl Timers {
    pub(crate) fn set(&mut self, at: Time, timer: Timer) {
        self.0.push(Reverse((at, timer)));
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// The next timer that is due.
    pub(crate) fn take(&mut self, now: Time) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, timer))| timer)
    }
}
