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
    /// Questions for kept events that wait for their turn.
    Turns,
}

/// So many deadlines are kept, whether or not they count.
const FEW: usize = 1024;

/// All deadlines of one shard.
#[derive(Debug)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Time, Timer)>>,
    /// At this number those of calls that have ended are to go: most calls end long before their time is over.
    crowd: usize,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            crowd: FEW,
        }
    }
}

impl Timers {
    pub(crate) fn set(&mut self, at: Time, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    /// A call has ended: lets go of what is there for such calls, when it has become much.
    pub(crate) fn call_ended(&mut self, is_open: impl Fn(CallKey) -> bool) {
        if self.heap.len() >= self.crowd {
            self.heap.retain(|Reverse((_, timer))| match timer {
                Timer::Call(call) => is_open(*call),
                Timer::Conn(_) | Timer::Retained(_) | Timer::Histories(_) | Timer::Turns => true,
            });
            // Only when there are twice as many again, so that no call pays for more than a few.
            self.crowd = FEW.max(2 * self.heap.len());
        }
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next timer that is due.
    pub(crate) fn take(&mut self, now: Time) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, timer))| timer)
    }
}
