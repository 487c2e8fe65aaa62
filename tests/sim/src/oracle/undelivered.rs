//! What outboxes have no room for: the call ends, as if its callee had refused it, and nobody waits in vain.

use bytestring::ByteString;
use crosspoint_core::dealer::Undelivered;
use crosspoint_core::error_uri as uri;
use crosspoint_core::ids::RequestId;
use crosspoint_core::message::Interrupt;
use crosspoint_core::options::CancelMode;
use crosspoint_core::payload::Payload;

use super::Oracle;
use super::calls::Answer;
use super::invocations::nth;
use crate::broken::{Check, ensure};

impl Oracle {
    /// A message that was sent on a connection in this step did not reach it.
    pub(crate) fn undelivered(&mut self, connection: usize, message: Undelivered) {
        let Some(session) = self.connections[connection].session() else {
            return;
        };
        match message {
            Undelivered::Invocation {
                request,
                parts,
                error,
            } => self.invocation_undelivered(session, (request, parts as usize), error),
            Undelivered::Progress { request } => self.progress_undelivered(session, request),
        }
    }

    fn invocation_undelivered(
        &mut self,
        session: usize,
        (request, parts): (RequestId, usize),
        error: &'static str,
    ) {
        let Some(token) = nth(&self.sessions[session].invocations, request) else {
            return;
        };
        let is_known = self.calls[&token].parts.invocations() > parts;
        let invoked = self.calls[&token].invoked.as_ref();
        let works = invoked.is_some_and(|invoked| !invoked.is_answered && !invoked.is_interrupted);
        if is_known && works && self.sessions[session].persona.call_canceling {
            self.this_step.misses_part = Some((session, request));
        }
        self.tally.add("invocations without room");
        let answer = Answer::Error(ByteString::from_static(error), Payload::EMPTY);
        self.answered(session, request, answer);
        let has_ended = self.calls[&token].ended == Some(self.step);
        let invocations = &mut self.sessions[session].invocations;
        if !is_known && !has_ended && request.0 == invocations.len() as u64 {
            // The next one has this id, unless its caller ended the call in the step that sent it.
            invocations.pop();
        }
    }

    fn progress_undelivered(&mut self, session: usize, request: RequestId) {
        let Some(token) = self.sessions[session].calls.get(&request) else {
            return;
        };
        if let Some(call) = self.calls.get_mut(token) {
            call.stop.get_or_insert(CancelMode::KillNoWait);
            call.answers.clear();
            let error = ByteString::from_static(uri::PAYLOAD_SIZE_EXCEEDED);
            call.answers.push_back(Answer::Error(error, Payload::EMPTY));
        }
        self.tally.add("progressive results without room");
    }

    /// Whether a callee is interrupted since it did not get a further part of a call.
    pub(super) fn is_interrupt_for_refused(&mut self, session: usize, interrupt: &Interrupt) -> bool {
        let mode = interrupt.options.get("mode").and_then(|mode| mode.as_str());
        self.this_step
            .misses_part
            .take_if(|missed| {
                *missed == (session, interrupt.request) && mode == Some(CancelMode::KillNoWait.name())
            })
            .is_some()
    }

    /// After each step: a callee that has some parts of a call, and did not get another, was interrupted.
    pub(super) fn check_misses_part(&self) -> Check {
        ensure!(
            self.this_step.misses_part.is_none(),
            "who misses a part of a call is interrupted",
            "session and invocation {:?}",
            self.this_step.misses_part
        );
        Ok(())
    }
}
