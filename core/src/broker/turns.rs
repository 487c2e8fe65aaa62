//! Whose turn it is to look through kept events: all that a shard looks for shares one allowance of its time.
//!
//! Invariant: each realm with questions of a kind stands in the ring once for that kind. It has one question looked at, then
//! it stands at the end again, so that neither a realm nor a kind keeps another waiting for more than a turn.

use std::collections::VecDeque;
use std::time::Duration;

use crate::effect::Effects;
use crate::ids::RealmId;
use crate::router::Router;
use crate::time::Time;
use crate::timers::Timer;

/// How much of its time a shard may spend on looking through kept events, in what [`Kept::walk`] counts.
///
/// What the last look costs beyond what is left is a debt: nothing is looked at until it is paid.
///
/// [`Kept::walk`]: super::kept::Kept::walk
#[derive(Debug)]
struct Allowance {
    left: i64,
    /// What can be saved up, and so most that one step takes, but for its last look.
    most: i64,
    /// When something was added last.
    since: Time,
}

impl Allowance {
    /// The time in which it becomes one more: about twice what one takes.
    const NANOS: u64 = 16;
    /// When nothing is left, it goes on after this time.
    const PAUSE: Duration = Duration::from_micros(500);

    fn new(most: usize) -> Self {
        Self {
            left: units(most),
            most: units(most),
            since: Time::default(),
        }
    }

    /// What is left at `now`.
    fn at(&mut self, now: Time) -> &mut i64 {
        let more = now.0.saturating_sub(self.since.0) / Self::NANOS;
        if more > 0 {
            let more = i64::try_from(more).unwrap_or(i64::MAX);
            self.left = self.left.saturating_add(more).min(self.most);
            self.since = now;
        }
        &mut self.left
    }

    /// After which time it goes on, when nothing is left.
    fn pause(&self) -> Duration {
        let debt = self.left.min(0).unsigned_abs();
        Self::PAUSE.max(Duration::from_nanos(debt.saturating_mul(Self::NANOS)))
    }
}

/// What something costs that takes so many of an allowance's units, such as octets.
pub(super) fn units(cost: usize) -> i64 {
    i64::try_from(cost).unwrap_or(i64::MAX)
}

/// Questions of one kind, about one realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For retained events.
    Retained(RealmId),
    /// For past events.
    Past(RealmId),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Turns {
    allowance: Allowance,
    ring: VecDeque<Kind>,
    /// When they go on, if a timer is set for that.
    next: Option<Time>,
}

impl Turns {
    /// `most` is the work of one step.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            allowance: Allowance::new(most),
            ring: VecDeque::new(),
            next: None,
        }
    }
}

impl Router {
    /// A question was added to those of a kind: it has its turn, at once if nothing waits.
    pub(super) fn await_turn(&mut self, kind: Kind, fx: &mut Effects) {
        if !self.turns.ring.contains(&kind) {
            self.turns.ring.push_back(kind);
        }
        if self.turns.next.is_none() {
            self.take_turns(fx);
        }
    }

    /// A timer is over, perhaps the one that questions wait for.
    pub(crate) fn turns_timeout(&mut self, fx: &mut Effects) {
        if self.turns.next.is_some_and(|at| at <= self.now) {
            self.turns.next = None;
            self.take_turns(fx);
        }
    }

    /// One question after the other, for as long as the allowance lasts.
    fn take_turns(&mut self, fx: &mut Effects) {
        let mut left = *self.turns.allowance.at(self.now);
        while left > 0
            && let Some(kind) = self.turns.ring.pop_front()
        {
            let waits = match kind {
                Kind::Retained(realm) => self.look_up(realm, &mut left, fx),
                Kind::Past(realm) => self.recall(realm, &mut left, fx),
            };
            if waits {
                self.turns.ring.push_back(kind);
            }
        }
        *self.turns.allowance.at(self.now) = left;
        if !self.turns.ring.is_empty() {
            let at = self.now.after(self.turns.allowance.pause());
            self.turns.next = Some(at);
            self.timers.set(at, Timer::Turns);
        }
    }
}
