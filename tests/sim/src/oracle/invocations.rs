//! Calls, as their callees see them: each is invoked once at most, in order, on a session that serves it.

use std::cmp::Ordering;

use bytestring::ByteString;
use crosspoint_core::error_uri as uri;
use crosspoint_core::ids::RequestId;
use crosspoint_core::message::{Error, Interrupt, Invocation, Yield};
use crosspoint_core::options::{CancelMode, InvocationDetails, MatchPolicy};
use crosspoint_core::payload::Payload;

use super::Oracle;
use super::calls::{Answer, Call, Invoked};
use crate::broken::{Check, ensure, found};
use crate::uris::Key;
use crate::workload::token_of;

/// Whether a callee had its registration already when a call began. Where callees have left, older calls may have been
/// sent to an earlier registration of the same callee, where they took their place, and arrive when this one is in force.
fn began_under(call: &Call, place: usize, granted: u64) -> bool {
    let mut candidates = call.candidates.iter();
    candidates.any(|candidate| (candidate.callee, candidate.granted) == (place, granted))
}

impl Oracle {
    pub(super) fn invocation(&mut self, place: usize, invocation: &Invocation) -> Check {
        let token = token_of(&invocation.payload).unwrap_or_default();
        if let Some(part) = self.parts.get(&token) {
            return self.part(place, *part, invocation);
        }
        let session = &self.sessions[place];
        let id = session.id;
        let call = found!(
            self.calls.get(&token),
            "invocations are what somebody called",
            "session {id} gets {invocation:?}"
        );
        ensure!(
            invocation.request.0 == session.invocations.len() as u64 + 1,
            "invocations of a callee are numbered 1, 2, 3",
            "session {id} gets {invocation:?} after {}",
            session.invocations.len()
        );
        ensure!(
            call.invoked.is_none() && call.payload == invocation.payload && call.refusal().is_none(),
            "a call is invoked once at most, with its own arguments",
            "session {id} gets {invocation:?}"
        );
        let registration = found!(
            session.registrations.get(&invocation.registration),
            "no INVOCATION comes before REGISTERED, after UNREGISTER, or after the session",
            "session {id} gets {invocation:?}"
        );
        ensure!(
            registration.key.matches(&call.procedure)
                && registration.key.realm == self.sessions[call.caller].realm,
            "a callee is called for what it registered",
            "session {id} gets a call to {} for {:?}",
            call.procedure,
            registration.key
        );
        let is_taken = |(tried, key): &(Vec<usize>, Key)| tried.contains(&place) || *key != registration.key;
        ensure!(
            !call.left.as_ref().is_some_and(is_taken),
            "a callee that is not available leaves a call to others of its registration, each once",
            "session {id} gets {invocation:?}"
        );
        let granted = registration.granted;
        let is_counted = began_under(call, place, granted) || self.procedures[&registration.key].keeps_all();
        // A call that has ended while it was on its way has left its place to another.
        if call.is_open && is_counted {
            self.check_concurrency(place, granted)?;
        }
        let mut expected = self.details(call, place, &registration.key);
        if let (true, Some(all), Some(got)) = (call.may_be_late, expected.timeout, invocation.details.timeout)
            && (self.time_left(call)..=all).contains(&got)
        {
            // What was left when it was sent on.
            expected.timeout = Some(got);
        }
        ensure!(
            invocation.details == expected,
            "INVOCATION.Details has the procedure of patterns, and what caller and callee agreed on",
            "session {id} gets {:?} instead of {expected:?}",
            invocation.details
        );
        self.check_precedence(call, &registration.key)?;
        self.check_queue_order(token, &registration.key)?;
        self.check_call_order(token, place)?;
        self.begin_invocation(token, (place, granted, is_counted), invocation);
        Ok(())
    }

    /// A callee is to get one more call by a registration: there must be room for it.
    fn check_concurrency(&self, place: usize, granted: u64) -> Check {
        let Some(most) = self.sessions[place].persona.concurrency else {
            return Ok(());
        };
        let open = self.open_calls.iter().map(|token| &self.calls[token]);
        let is_counted = |call: &&Call| {
            let invoked = call.invoked.as_ref();
            invoked.is_some_and(|invoked| {
                (invoked.callee, invoked.granted) == (place, granted) && invoked.is_counted
            })
        };
        let busy = open.filter(is_counted).count() as u64;
        ensure!(
            busy < most,
            "no callee gets more calls at a time than it wants",
            "session {} has {busy} of {most} and gets another",
            self.sessions[place].id
        );
        Ok(())
    }

    /// Calls whose callers wait for this registration of a session.
    pub(super) fn busy(&self, place: usize, granted: u64) -> u64 {
        let open = self
            .open_calls
            .iter()
            .filter_map(|token| self.calls[token].invoked.as_ref());
        open.filter(|invoked| (invoked.callee, invoked.granted) == (place, granted))
            .count() as u64
    }

    fn details(&self, call: &Call, callee: usize, key: &Key) -> InvocationDetails {
        let (caller, persona) = (&self.sessions[call.caller], &self.sessions[callee].persona);
        let is_pattern = key.policy != MatchPolicy::Exact;
        let mut details = InvocationDetails {
            procedure: is_pattern.then(|| call.procedure.clone()),
            timeout: call.timeout.filter(|_| self.keeps_time(callee)),
            receive_progress: call.wants_progress
                && persona.progressive_call_results
                && persona.call_canceling,
            progress: call.parts.are_several(),
            ..InvocationDetails::default()
        };
        if call.is_disclosed || persona.disclose_caller {
            details.caller = Some(caller.id);
            details.caller_authid = Some(caller.authid.clone());
            details.caller_authrole = Some(caller.authrole.clone());
        }
        details
    }

    /// The least that a callee which keeps time may be given now, in milliseconds.
    fn time_left(&self, call: &Call) -> u64 {
        let left = call
            .deadline
            .map_or(0, |deadline| self.now.until(deadline).as_nanos());
        (left.div_ceil(1_000_000) as u64).max(1)
    }

    /// No registration that was there all the time would have been the better choice.
    fn check_precedence(&self, call: &Call, chosen: &Key) -> Check {
        let better = call.candidates.iter().find(|candidate| {
            call.left.is_none()
                && candidate.key.precedence(chosen) == Ordering::Greater
                && self.stands(candidate)
        });
        if let Some(better) = better {
            ensure!(
                false,
                "a call goes to the most specific registration",
                "a call to {} goes to {chosen:?} instead of {:?}",
                call.procedure,
                better.key
            );
        }
        Ok(())
    }

    fn check_call_order(&mut self, token: u64, callee: usize) -> Check {
        let call = &self.calls[&token];
        if call.may_be_late {
            return Ok(());
        }
        let last = self.call_order.entry((call.caller, callee)).or_default();
        ensure!(
            *last < token,
            "a caller's calls reach a callee in order",
            "call {token} comes after {last}"
        );
        *last = token;
        Ok(())
    }

    fn begin_invocation(
        &mut self,
        token: u64,
        (callee, granted, is_counted): (usize, u64, bool),
        invocation: &Invocation,
    ) {
        let key = self.sessions[callee].registrations[&invocation.registration]
            .key
            .clone();
        if let Some(call) = self.calls.get_mut(&token) {
            call.target = Some(callee);
            call.invoked = Some(Invoked {
                callee,
                granted,
                is_counted,
                registration: key,
                request: invocation.request,
                details: invocation.details.clone(),
                wants_progress: invocation.details.receive_progress,
                has_begun: false,
                is_interrupted: false,
                is_answered: false,
            });
        }
        self.sessions[callee].invocations.push(token);
        self.this_step.has_served = true;
        self.tally.add("invocations");
    }

    pub(super) fn interrupt(&mut self, place: usize, interrupt: &Interrupt) -> Check {
        if self.is_interrupt_for_refused(place, interrupt) {
            self.tally.add("interrupts of those who miss a part");
            return Ok(());
        }
        let session = &self.sessions[place];
        let id = session.id;
        let token = found!(
            nth(&session.invocations, interrupt.request),
            "INTERRUPT names an invocation",
            "session {id} gets {interrupt:?}"
        );
        let can_be = session.persona.call_canceling;
        let reason = interrupt.options.get("reason").and_then(|reason| reason.as_str());
        let is_without_room = reason == Some(uri::LIMIT_EXCEEDED) && self.keeps_little();
        let call = found!(self.calls.get_mut(&token), "a call is known", "{token}");
        let mode = interrupt.options.get("mode").and_then(|mode| mode.as_str());
        let stop = if is_without_room && call.parts.are_several() {
            // A further part of it cannot wait for the callee, whatever its caller has said meanwhile.
            Some(CancelMode::KillNoWait.name())
        } else {
            call.stop.map(|stop| stop.name())
        };
        let invoked = found!(
            call.invoked
                .as_mut()
                .filter(|invoked| (invoked.callee, invoked.request) == (place, interrupt.request)),
            "INTERRUPT goes to the callee",
            "session {id} gets {interrupt:?}"
        );
        ensure!(
            can_be && !invoked.is_interrupted && !invoked.is_answered && stop.is_some() && mode == stop,
            "INTERRUPT comes once, to callees that understand it, while they work on what is cancelled",
            "session {id} gets {interrupt:?} for a call cancelled with {stop:?}"
        );
        invoked.is_interrupted = true;
        self.tally.add("interrupts");
        Ok(())
    }

    /// Whether an answer is for an invocation that its session never got.
    pub(super) fn is_unknown(&self, session: usize, request: RequestId) -> bool {
        request.0 > self.sessions[session].invocations.len() as u64
    }

    pub(super) fn answered_by_yield(&mut self, session: usize, answer: &Yield) {
        let payload = answer.payload.clone();
        if answer.options.progress {
            self.answered(session, answer.request, Answer::Progress(payload));
        } else {
            self.answered(session, answer.request, Answer::Result(payload));
        }
    }

    pub(super) fn answered_by_error(&mut self, session: usize, error: &Error) {
        let answer = Answer::Error(error.error.clone(), error.payload.clone());
        self.answered(session, error.request, answer);
    }

    pub(super) fn answered(&mut self, session: usize, request: RequestId, answer: Answer) {
        let Some(token) = nth(&self.sessions[session].invocations, request) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&token) else {
            return;
        };
        let is_it = |invoked: &&mut Invoked| (invoked.callee, invoked.request) == (session, request);
        let invoked = call.invoked.as_mut().filter(is_it);
        let Some(invoked) = invoked.filter(|invoked| !invoked.is_answered) else {
            return;
        };
        match &answer {
            Answer::Progress(_) if !invoked.wants_progress => return,
            Answer::Progress(_) => invoked.has_begun = true,
            Answer::Error(error, payload)
                if *error == uri::UNAVAILABLE
                    && self.sessions[session].persona.call_reroute
                    && !invoked.has_begun
                    && !invoked.is_interrupted =>
            {
                call.left_with = payload.clone();
                return self.leave_to_others(token, session);
            }
            Answer::Result(_) | Answer::Error(..) => invoked.is_answered = true,
        }
        // What comes after the caller's answer is dropped.
        if call.is_open {
            call.answers.push_back(answer);
        }
    }

    /// The callee is not available for a call: another one may be.
    fn leave_to_others(&mut self, token: u64, callee: usize) {
        let Some(call) = self.calls.get_mut(&token) else {
            return;
        };
        let granted = call.invoked.take().map(|invoked| invoked.registration);
        let Some(key) = granted else {
            return;
        };
        call.left.get_or_insert_with(|| (Vec::new(), key)).0.push(callee);
        call.may_be_late = true;
        self.tally.add("calls left to others");
    }

    /// The callee's session ended: its callers get an error for what it worked on.
    pub(super) fn callee_left(&mut self, place: usize) {
        for number in 1..=self.sessions[place].invocations.len() {
            let canceled = ByteString::from_static(uri::CANCELED);
            let answer = Answer::Error(canceled, Payload::EMPTY);
            self.answered(place, RequestId(number as u64), answer);
        }
    }
}

/// The call of an invocation.
pub(super) fn nth(invocations: &[u64], request: RequestId) -> Option<u64> {
    let place = usize::try_from(request.0).ok()?.checked_sub(1)?;
    invocations.get(place).copied()
}
