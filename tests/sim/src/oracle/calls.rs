//! Calls, as their callers see them: every one is answered once, and by what its callee said.

use std::collections::VecDeque;
use std::time::Duration;

use bytestring::ByteString;
use crosspoint_core::config::Limits;
use crosspoint_core::error_uri as uri;
use crosspoint_core::ids::RequestId;
use crosspoint_core::message::{Call as CallMessage, CallResult, Cancel, Error};
use crosspoint_core::options::{CancelMode, InvocationDetails};
use crosspoint_core::payload::Payload;
use crosspoint_core::time::Time;

use super::Oracle;
use super::parts::Parts;
use super::procedures::{Candidate, is_invalid_procedure};
use crate::broken::{Broken, Check, ensure, found};
use crate::uris::{Key, is_reserved};
use crate::workload::token_of;

/// A call, also after its end.
pub(super) struct Call {
    /// The step in which it began.
    pub(super) began: u64,
    pub(super) caller: usize,
    pub(super) request: RequestId,
    pub(super) procedure: ByteString,
    pub(super) payload: Payload,
    pub(super) wants_progress: bool,
    /// Milliseconds.
    pub(super) timeout: Option<u64>,
    /// Whether the caller is disclosed, whatever the callee wants.
    pub(super) is_disclosed: bool,
    refusal: Option<&'static str>,
    /// When it times out, unless its callee keeps the time.
    pub(super) deadline: Option<Time>,
    /// Registrations that could serve it when it began.
    pub(super) candidates: Vec<Candidate>,
    /// The callee that it was last sent to, where that is known.
    pub(super) target: Option<usize>,
    /// It was held for a registration, or sent on to another callee: later calls may be there before it.
    pub(super) may_be_late: bool,
    pub(super) invoked: Option<Invoked>,
    pub(super) parts: Parts,
    /// Callees that left it to others, and the registration of all.
    pub(super) left: Option<(Vec<usize>, Key)>,
    /// What the last of them said with it.
    pub(super) left_with: Payload,
    /// What the callee answered and the caller has not got yet.
    pub(super) answers: VecDeque<Answer>,
    /// Cancelled with mode kill, and waiting for the callee.
    pub(super) is_killed: bool,
    /// Why the callee is interrupted, if it is.
    pub(super) stop: Option<CancelMode>,
    /// The caller waits.
    pub(super) is_open: bool,
    /// The step since which it does not.
    pub(super) ended: Option<u64>,
}

impl Call {
    /// The error that must be the answer, at once.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        self.refusal
    }
}

/// The invocation of a call.
pub(super) struct Invoked {
    pub(super) callee: usize,
    pub(super) registration: Key,
    /// The step in which the registration was granted.
    pub(super) granted: u64,
    /// Whether it surely has a place by that registration, and not by an earlier one of the same callee.
    pub(super) is_counted: bool,
    pub(super) request: RequestId,
    pub(super) details: InvocationDetails,
    pub(super) wants_progress: bool,
    /// Whether a progressive result was sent.
    pub(super) has_begun: bool,
    pub(super) is_interrupted: bool,
    /// Whether the callee gave its final answer, or left.
    pub(super) is_answered: bool,
}

/// What the caller must get.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Progress(Payload),
    Result(Payload),
    Error(ByteString, Payload),
}

impl Oracle {
    /// Whether a CALL is a violation.
    pub(super) fn is_bad_call(&self, session: usize, call: &CallMessage) -> bool {
        let state = &self.sessions[session];
        if state.ended.contains(&call.request) {
            return false;
        }
        match state.calls.get(&call.request).map(|token| &self.calls[token]) {
            Some(open) => !open.parts.may_continue() || open.procedure != call.procedure,
            None => call.options.progress && !state.persona.calls_progressively,
        }
    }

    pub(super) fn call(&mut self, session: usize, call: &CallMessage) {
        let (state, options) = (&self.sessions[session], &call.options);
        let asks = options.disclose_me == Some(true);
        let refusal = if is_invalid_procedure(&call.procedure) {
            Some(uri::INVALID_URI)
        } else if asks && !self.allows_disclosure() {
            Some(uri::DISCLOSE_ME_DISALLOWED)
        } else if state.calls.len() + state.asking() >= self.config.limits.pending_calls {
            Some(uri::LIMIT_EXCEEDED)
        } else if is_reserved(&call.procedure) {
            Some(uri::NO_SUCH_PROCEDURE)
        } else {
            None
        };
        let timeout = options.timeout.filter(|millis| *millis > 0);
        let token = token_of(&call.payload).unwrap_or_default();
        let began = Call {
            began: self.step,
            caller: session,
            request: call.request,
            procedure: call.procedure.clone(),
            payload: call.payload.clone(),
            wants_progress: options.receive_progress,
            timeout,
            is_disclosed: asks || state.is_shown(),
            refusal,
            deadline: timeout.map(|millis| self.now.after(Duration::from_millis(millis))),
            candidates: self.candidates(state.realm, &call.procedure),
            target: None,
            may_be_late: false,
            invoked: None,
            parts: Parts::new(options.progress),
            left: None,
            left_with: Payload::EMPTY,
            answers: VecDeque::new(),
            is_killed: false,
            stop: None,
            is_open: true,
            ended: None,
        };
        self.calls.insert(token, began);
        self.open_calls.insert(token);
        self.sessions[session].calls.insert(call.request, token);
        self.this_step.call = Some(token);
        self.tally.add("calls");
    }

    pub(super) fn cancel(&mut self, session: usize, cancel: &Cancel) {
        let Some(token) = self.sessions[session].calls.get(&cancel.request).copied() else {
            return;
        };
        let mode = cancel.options.mode.unwrap_or(CancelMode::KillNoWait);
        if let Some(call) = self.calls.get_mut(&token)
            && mode != CancelMode::Skip
        {
            call.stop.get_or_insert(mode);
        }
        self.this_step.cancel = Some((token, mode));
        self.tally.add("calls cancelled");
    }

    /// After each step: a call begun or cancelled in it is where it should be.
    pub(super) fn check_cancel(&mut self) -> Check {
        if let Some(call) = self.this_step.call.and_then(|token| self.calls.get_mut(&token)) {
            ensure!(
                call.refusal.is_none() || !call.is_open,
                "what needs no other shard is answered at once",
                "a call to {} waits, though it must be refused with {:?}",
                call.procedure,
                call.refusal
            );
            if call.is_open && call.target.is_none() {
                call.may_be_late = true;
                self.tally.add("calls held on their own shard");
            }
        }
        let Some((token, mode)) = self.this_step.cancel else {
            return Ok(());
        };
        let Some(call) = self.calls.get_mut(&token) else {
            return Ok(());
        };
        let callee = call
            .invoked
            .as_ref()
            .map(|invoked| &self.sessions[invoked.callee].persona);
        let waits = mode == CancelMode::Kill && callee.is_none_or(|persona| persona.call_canceling);
        ensure!(
            waits || !call.is_open,
            "a cancelled call ends at once, unless mode kill waits for the callee",
            "the call to {} goes on after CANCEL {mode:?}",
            call.procedure
        );
        ensure!(
            !waits || call.is_open || callee.is_none(),
            "mode kill waits for the callee's answer",
            "the call to {} ended at once",
            call.procedure
        );
        call.is_killed |= call.is_open;
        Ok(())
    }

    /// After each look at a clock: no call is open whose deadline is over.
    pub(super) fn check_timeouts(&self) -> Check {
        let Some(shard) = self.this_step.timer else {
            return Ok(());
        };
        for token in &self.open_calls {
            let call = &self.calls[token];
            let keeps_time = call.target.is_none_or(|callee| self.keeps_time(callee));
            let is_over = call.deadline.is_some_and(|deadline| deadline <= self.now);
            ensure!(
                !is_over
                    || call.is_killed
                    || call.may_be_late
                    || keeps_time
                    || self.sessions[call.caller].shard != shard,
                "a call whose time is over fails",
                "the call to {} has waited {:?} ms and more",
                call.procedure,
                call.timeout
            );
        }
        Ok(())
    }

    /// Whether a callee keeps the time itself.
    pub(super) fn keeps_time(&self, callee: usize) -> bool {
        let persona = &self.sessions[callee].persona;
        persona.forward_timeout && persona.call_timeout
    }

    /// The call that an answer is for.
    fn answered_call(&mut self, session: usize, request: RequestId) -> Result<u64, Broken> {
        let state = &self.sessions[session];
        let token = found!(
            state.calls.get(&request),
            "every call gets one final answer and nothing after it",
            "session {} gets an answer to call {request}, which does not wait for one",
            state.id
        );
        Ok(*token)
    }

    fn close_call(&mut self, token: u64) {
        if let Some(call) = self.calls.get_mut(&token) {
            call.is_open = false;
            call.ended = Some(self.step);
            let session = &mut self.sessions[call.caller];
            session.calls.remove(&call.request);
            if call.parts.may_continue() {
                session.ended.push_back(call.request);
                if session.ended.len() > self.config.limits.pending_calls {
                    session.ended.pop_front();
                }
            }
        }
        self.open_calls.remove(&token);
    }

    pub(super) fn result(&mut self, session: usize, result: &CallResult) -> Check {
        if self.meta_answer(session, result.request, Ok(&result.payload))? {
            return Ok(());
        }
        let token = self.answered_call(session, result.request)?;
        let now = self.now;
        let call = found!(self.calls.get_mut(&token), "a call is known", "{token}");
        let is_progress = result.details.progress;
        let got = if is_progress {
            Answer::Progress(result.payload.clone())
        } else {
            Answer::Result(result.payload.clone())
        };
        let said = call.answers.pop_front();
        ensure!(
            said.as_ref() == Some(&got) && (call.wants_progress || !is_progress),
            "a caller gets what its callee answered, all of it and in order",
            "call {token} gets {got:?}, its callee said {said:?} and then {:?}",
            call.answers
        );
        if is_progress {
            call.deadline = call
                .timeout
                .map(|millis| now.after(Duration::from_millis(millis)));
            self.tally.add("progressive results");
        } else {
            self.close_call(token);
            self.tally.add("results");
        }
        Ok(())
    }

    pub(super) fn call_error(&mut self, session: usize, error: &Error) -> Check {
        if self.meta_answer(session, error.request, Err(&error.error))? {
            return Ok(());
        }
        let token = self.answered_call(session, error.request)?;
        let call = found!(self.calls.get_mut(&token), "a call is known", "{token}");
        let got = Answer::Error(error.error.clone(), error.payload.clone());
        if call.answers.front() == Some(&got) {
            self.close_call(token);
            self.tally.add("errors of callees");
            return Ok(());
        }
        let call = &self.calls[&token];
        let is_due = match &*error.error {
            refusal if call.refusal == Some(refusal) => self.this_step.call == Some(token),
            uri::CANCELED => {
                let is_cancelled = self
                    .this_step
                    .cancel
                    .is_some_and(|(cancelled, _)| cancelled == token);
                is_cancelled || (call.is_killed && call.invoked.is_none())
            }
            uri::TIMEOUT => {
                let keeps_time = call.target.is_some_and(|callee| self.keeps_time(callee));
                let is_over = call.deadline.is_some_and(|deadline| deadline <= self.now);
                // By a timer, or where it would be sent on.
                let is_noticed = self.this_step.timer.is_some() || call.may_be_late;
                let on_time = is_noticed && is_over && !call.is_killed;
                on_time && (call.may_be_late || !keeps_time)
            }
            uri::NO_SUCH_PROCEDURE => self.may_find_nobody(call)?,
            uri::FEATURE_NOT_SUPPORTED => call.parts.are_several() && call.invoked.is_none(),
            uri::NO_AVAILABLE_CALLEE => call.left.is_some() && call.invoked.is_none(),
            uri::UNAVAILABLE => {
                let may_not_go_on = call.is_killed || call.parts.sent() > 1 || self.keeps_little();
                call.left.is_some() && call.invoked.is_none() && may_not_go_on
            }
            uri::LIMIT_EXCEEDED => self.may_have_no_room(call),
            uri::MAX_CONCURRENCY_REACHED => {
                call.invoked.is_none() && call.left.is_none() && self.has_limits(call)
            }
            _ => false,
        };
        let said = match &*error.error {
            uri::UNAVAILABLE => &call.left_with,
            _ => &Payload::EMPTY,
        };
        ensure!(
            is_due && error.payload == *said,
            "a call fails only for a reason",
            "call {token} to {} gets {error:?}, its callee said {:?}",
            call.procedure,
            call.answers
        );
        // A callee to which it is on its way need not go on.
        let stopped = match &*error.error {
            uri::TIMEOUT => Some("timeouts"),
            uri::LIMIT_EXCEEDED if call.refusal.is_none() => Some("calls that there was no room to keep"),
            _ => None,
        };
        if let (Some(tally), Some(call)) = (stopped, self.calls.get_mut(&token)) {
            call.stop.get_or_insert(CancelMode::KillNoWait);
            self.tally.add(tally);
        }
        self.close_call(token);
        Ok(())
    }

    /// Whether there may be no room for what is kept of a call: where it would have to wait it fails, and to another callee it
    /// does not go.
    pub(super) fn keeps_little(&self) -> bool {
        self.config.limits.kept_bytes < Limits::default().kept_bytes
    }

    /// Whether a call may fail since it, or a further part of it, cannot wait.
    fn may_have_no_room(&self, call: &Call) -> bool {
        let may_wait = call.invoked.is_none() || call.parts.are_several();
        self.keeps_little() && may_wait && call.refusal.is_none()
    }

    fn may_find_nobody(&self, call: &Call) -> Result<bool, Broken> {
        let standing = call.candidates.iter().find(|candidate| self.stands(candidate));
        if let Some(candidate) = standing {
            ensure!(
                false,
                "a call begun after REGISTERED finds its procedure",
                "a call to {} finds nobody, though {:?} is served all the time",
                call.procedure,
                candidate.key
            );
        }
        Ok(call.invoked.is_none() && call.left.is_none() && call.refusal.is_none())
    }

    /// Whether there is a callee that a call could have found busy.
    fn has_limits(&self, call: &Call) -> bool {
        let realm = self.sessions[call.caller].realm;
        let mut callees = self.sessions.iter();
        callees.any(|session| session.realm == realm && session.persona.concurrency.is_some())
    }

    /// The caller's session ended.
    pub(super) fn caller_left(&mut self, token: u64) {
        if let Some(call) = self.calls.get_mut(&token) {
            call.is_open = false;
            call.ended = Some(self.step);
            call.stop.get_or_insert(CancelMode::KillNoWait);
        }
        self.open_calls.remove(&token);
        self.tally.add("callers who left");
    }
}
