//! When all is quiet, everything that was to come has come.

use crosspoint_core::ids::ShardId;
use crosspoint_core::router::Leftovers;

use super::Oracle;
use crate::broken::{Check, ensure, found};

impl Oracle {
    /// Nothing is under way to or between routers, and no deadline has passed unseen.
    pub(crate) fn quiet(&mut self) -> Check {
        for (_, session) in self.live() {
            ensure!(
                session.requests.is_empty() && session.meta_calls.is_empty(),
                "every request is answered",
                "session {} waits for {:?} and {:?}",
                session.id,
                session.requests,
                session.meta_calls
            );
            for (id, subscription) in &session.subscriptions {
                ensure!(
                    subscription.expected.is_empty(),
                    "no event is missed after SUBSCRIBED",
                    "session {} did not get {:?} for {id}, {:?}",
                    session.id,
                    subscription.expected,
                    subscription.key
                );
            }
        }
        self.quiet_calls()?;
        self.quiet_retained()?;
        for procedure in self.procedures.values_mut() {
            procedure.settle();
        }
        let subscriptions = self
            .sessions
            .iter_mut()
            .flat_map(|session| session.subscriptions.values_mut());
        for subscription in subscriptions {
            subscription.told.settle();
        }
        self.forget();
        self.tally.add("quiet moments");
        Ok(())
    }

    fn quiet_calls(&self) -> Check {
        for (token, call) in &self.calls {
            let Some(invoked) = &call.invoked else {
                ensure!(
                    !call.is_open || self.may_wait(*token, call),
                    "every call is invoked or answered",
                    "call {token} to {} is neither",
                    call.procedure
                );
                continue;
            };
            ensure!(
                !call.is_open || (call.answers.is_empty() && !invoked.is_answered),
                "callers get their callees' answers",
                "call {token} to {} waits for {:?}",
                call.procedure,
                call.answers
            );
            ensure!(
                !call.is_open || call.is_killed || invoked.is_answered || call.parts.are_delivered(),
                "all parts of a call arrive",
                "the callee of call {token} to {} does not have all of {}",
                call.procedure,
                call.parts.sent()
            );
            let callee = &self.sessions[invoked.callee];
            ensure!(
                call.stop.is_none()
                    || invoked.is_answered
                    || invoked.is_interrupted
                    || !callee.persona.call_canceling,
                "callees who understand INTERRUPT get it",
                "session {} still works on invocation {}, whose caller gave up",
                callee.id,
                invoked.request
            );
        }
        Ok(())
    }

    /// Forgets what can not matter any more, to stay fast: calls that are over on both sides, and events.
    fn forget(&mut self) {
        self.calls.retain(|_, call| {
            let is_worked_on = call.invoked.as_ref().is_some_and(|invoked| !invoked.is_answered);
            call.is_open || is_worked_on
        });
        let calls = &self.calls;
        self.parts.retain(|_, (call, _)| calls.contains_key(call));
        self.forget_waiters();
        self.forget_past();
        for session in self.sessions.iter_mut().filter(|session| session.is_alive) {
            session.events.clear();
        }
    }

    /// What the router of a shard holds is what its sessions need.
    pub(crate) fn check_leftovers(&self, shard: ShardId, left: Leftovers) -> Check {
        let is_here = |session: usize| self.sessions[session].shard == shard;
        let open = || self.open_calls.iter().map(|token| &self.calls[token]);
        let called = open().filter(|call| is_here(call.caller)).count();
        let invoked = open().filter_map(|call| call.invoked.as_ref());
        let invoked = invoked.filter(|invoked| is_here(invoked.callee)).count();
        let expected = (self.connections_of(shard), called, invoked, 0);
        ensure!(
            (left.connections, left.calls, left.invocations, left.pending) == expected,
            "a router holds nothing for what is over",
            "shard {shard} holds {left:?}; connections, calls, invocations and questions should be {expected:?}"
        );
        let (topics, procedures) = (self.topics.len(), self.procedures.values());
        let is_unused = topics == 0 && procedures.clone().all(|procedure| procedure.callees.is_empty());
        ensure!(
            !is_unused || (left.subscriptions, left.procedures) == (0, 0),
            "a router holds nothing for what is over",
            "shard {shard} holds {left:?} though nobody subscribes or serves"
        );
        Ok(())
    }

    /// After the last connection: nothing at all is held.
    pub(crate) fn check_empty(&self, shard: ShardId, left: Leftovers) -> Check {
        ensure!(
            left == Leftovers::default(),
            "nothing is left over when all sessions are gone",
            "shard {shard} holds {left:?}"
        );
        let alive = self.live().next();
        found!(
            alive.is_none().then_some(()),
            "a session ends with its connection",
            "a session is open without one"
        );
        Ok(())
    }
}
