//! Queues of registrations: a call waits only while all callees are busy, and no later one gets a callee before it.
//!
//! Where a call waits is not seen from outside. Of most it is clear: of those that no other shard hears of when they
//! begin, whose registration was the best by far, and whose shard has no callee that calls may be held for.

use std::cmp::Ordering;

use crosspoint_core::ids::ShardId;
use crosspoint_core::message::RequestKind;

use super::Oracle;
use super::calls::Call;
use super::procedures::Procedure;
use crate::broken::{Check, ensure};
use crate::uris::Key;

/// A call that surely joined the queue of a registration when it began.
pub(super) struct Waiter {
    token: u64,
    key: Key,
}

impl Oracle {
    /// After each step: the call that began in it may have joined a queue.
    pub(super) fn note_waiter(&mut self) -> Check {
        let Some(token) = self.this_step.call else {
            return Ok(());
        };
        let call = &self.calls[&token];
        let realm = self.sessions[call.caller].realm;
        if !is_nowhere(call) || self.may_hold(call) {
            return Ok(());
        }
        ensure!(
            !self.config.realms[realm].calls.queues.is_empty(),
            "a call waits only where there is a queue",
            "a call to {} goes nowhere",
            call.procedure
        );
        let candidates = call.candidates.iter().map(|candidate| &candidate.key);
        let Some(key) = candidates.max_by(|one, other| one.precedence(other)).cloned() else {
            return Ok(());
        };
        let mut matching = self.matching(call);
        let is_best = matching.all(|(other, procedure)| {
            let is_better = other.precedence(&key) == Ordering::Greater;
            !is_better || (procedure.callees.is_empty() && procedure.is_settled())
        });
        if is_best {
            drop(matching);
            self.waiters.push(Waiter { token, key });
            self.tally.add("calls that waited in a queue");
        }
        Ok(())
    }

    /// A callee gets call `token` by `key`: it must not come before those that waited when it began.
    pub(super) fn check_queue_order(&self, token: u64, key: &Key) -> Check {
        let began = self.calls[&token].began;
        let ahead = self.waiters.iter().find(|waiter| {
            let call = &self.calls[&waiter.token];
            waiter.key == *key && call.began < began && self.still_waits(waiter, call)
        });
        if let Some(ahead) = ahead {
            ensure!(
                false,
                "calls that wait get their callees in the order in which they joined the queue",
                "call {token} is served by {key:?} before call {}",
                ahead.token
            );
        }
        Ok(())
    }

    /// Whether a call is surely in the queue that it joined.
    fn still_waits(&self, waiter: &Waiter, call: &Call) -> bool {
        let mut candidates = call.candidates.iter();
        let has_turn = self.turns[usize::from(self.sessions[call.caller].shard.0)] > 0;
        is_nowhere(call)
            && !has_turn
            && !self.may_hold(call)
            && candidates.any(|candidate| candidate.key == waiter.key && self.stands(candidate))
    }

    /// Whether a session of the caller's shard may hold the call until it is registered, unseen by others.
    fn may_hold(&self, call: &Call) -> bool {
        let (shard, realm) = (self.sessions[call.caller].shard, self.sessions[call.caller].realm);
        let mut live = self.live();
        live.any(|(_, session)| {
            let is_there = session.shard == shard && session.realm == realm;
            is_there && session.waiting(RequestKind::Register) > 0
        })
    }

    fn matching<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = (&'a Key, &'a Procedure)> {
        let realm = self.sessions[call.caller].realm;
        let procedures = self.procedures.iter();
        procedures.filter(move |(key, _)| key.realm == realm && key.matches(&call.procedure))
    }

    /// Whether it is right that a call waits when all is quiet: it waits for a registration whose callees are all busy.
    pub(super) fn may_wait(&self, token: u64, call: &Call) -> bool {
        let realm = self.sessions[call.caller].realm;
        let known = self.waiters.iter().find(|waiter| waiter.token == token);
        let known = known.filter(|waiter| self.still_waits(waiter, call));
        let is_busy = |(key, procedure): (&Key, &Procedure)| {
            let mut callees = procedure.callees.keys();
            let is_it = known.is_none_or(|waiter| waiter.key == *key);
            is_it && !procedure.callees.is_empty() && callees.all(|callee| self.is_full(*callee, key))
        };
        let has_queues = !self.config.realms[realm].calls.queues.is_empty();
        call.left.is_none() && has_queues && self.matching(call).any(is_busy)
    }

    fn is_full(&self, callee: usize, key: &Key) -> bool {
        let session = &self.sessions[callee];
        let held = session.registrations.values().find(|held| held.key == *key);
        let most = session.persona.concurrency;
        held.zip(most)
            .is_some_and(|(held, most)| self.busy(callee, held.granted) >= most)
    }

    /// A shard is told that one of its calls has its turn.
    pub(super) fn turn_posted(&mut self, shard: ShardId) {
        self.turns[usize::from(shard.0)] += 1;
    }

    /// After each step: the turn that a shard was told of in it has been taken. What became of a call is not always seen:
    /// its callee, on the same shard, may hold it or be gone.
    pub(super) fn take_turn(&mut self) {
        if let Some(shard) = self.this_step.turn {
            self.turns[usize::from(shard.0)] -= 1;
            if !self.this_step.has_served {
                self.lose_sight(shard);
            }
        }
        if let Some(session) = self.this_step.registering.map(|place| &self.sessions[place])
            && session.waiting(RequestKind::Register) > 0
        {
            self.lose_sight(session.shard);
        }
    }

    /// From now on it is not clear any more where the calls of a shard are that waited.
    fn lose_sight(&mut self, shard: ShardId) {
        let (calls, sessions) = (&self.calls, &self.sessions);
        self.waiters
            .retain(|waiter| sessions[calls[&waiter.token].caller].shard != shard);
    }

    /// Forgets those that do not wait any more.
    pub(super) fn forget_waiters(&mut self) {
        let calls = &self.calls;
        self.waiters
            .retain(|waiter| calls.get(&waiter.token).is_some_and(is_nowhere));
    }
}

/// Whether a call is on its way to nobody.
fn is_nowhere(call: &Call) -> bool {
    call.is_open && call.target.is_none() && call.invoked.is_none()
}
