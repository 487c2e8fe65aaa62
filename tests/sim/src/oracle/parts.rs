//! Calls whose arguments come in parts: all to one callee, in order, and none after the end.

use crosspoint_core::ids::RequestId;
use crosspoint_core::message::{Call as CallMessage, Invocation};
use crosspoint_core::payload::Payload;

use super::Oracle;
use crate::broken::{Check, ensure, found};
use crate::workload::token_of;

/// The parts of one call that its caller has sent.
pub(super) struct Parts {
    are_several: bool,
    is_complete: bool,
    /// All but the first.
    further: Vec<Part>,
    /// How many of these the callee has.
    delivered: usize,
}

struct Part {
    payload: Payload,
    is_last: bool,
    /// Sent after CANCEL of mode kill, so that it must not arrive.
    is_late: bool,
}

impl Parts {
    pub(super) fn new(are_several: bool) -> Self {
        Self {
            are_several,
            is_complete: false,
            further: Vec::new(),
            delivered: 0,
        }
    }

    pub(super) fn are_several(&self) -> bool {
        self.are_several
    }

    /// Whether the caller may send another one.
    pub(super) fn may_continue(&self) -> bool {
        self.are_several && !self.is_complete
    }

    pub(super) fn sent(&self) -> usize {
        1 + self.further.len()
    }

    /// INVOCATIONs that its callee got, or was to get.
    pub(super) fn invocations(&self) -> usize {
        1 + self.delivered
    }

    pub(super) fn are_delivered(&self) -> bool {
        self.delivered == self.further.len()
    }
}

impl Oracle {
    /// Whether a CALL with this request id belongs to an earlier one.
    pub(super) fn is_known_call(&self, session: usize, request: RequestId) -> bool {
        let state = &self.sessions[session];
        state.calls.contains_key(&request) || state.ended.contains(&request)
    }

    pub(super) fn further_call(&mut self, session: usize, call: &CallMessage) {
        let is_last = !call.options.progress;
        let state = &mut self.sessions[session];
        let Some(token) = state.calls.get(&call.request).copied() else {
            if is_last {
                state.ended.retain(|ended| *ended != call.request);
            }
            self.tally.add("parts of calls that have ended");
            return;
        };
        if let Some(open) = self.calls.get_mut(&token) {
            let own = token_of(&call.payload).unwrap_or_default();
            self.parts.insert(own, (token, open.parts.further.len()));
            open.parts.is_complete = is_last;
            open.parts.further.push(Part {
                payload: call.payload.clone(),
                is_last,
                is_late: open.is_killed,
            });
        }
        self.tally.add("further parts of calls");
    }

    /// An INVOCATION with a further part.
    pub(super) fn part(
        &mut self,
        place: usize,
        (token, number): (u64, usize),
        message: &Invocation,
    ) -> Check {
        let call = found!(self.calls.get(&token), "a call is known", "{token}");
        let (id, caller) = (self.sessions[place].id, call.caller);
        let part = &call.parts.further[number];
        let invoked = found!(
            call.invoked
                .as_ref()
                .filter(|invoked| (invoked.callee, invoked.request) == (place, message.request)),
            "all parts of a call are one invocation",
            "session {id} gets {message:?}"
        );
        ensure!(
            number == call.parts.delivered && !part.is_late && !invoked.is_answered,
            "the parts of a call arrive in order, and none after the answer or the cancellation",
            "session {id} gets part {number} after {} in {message:?}",
            call.parts.delivered
        );
        let mut expected = invoked.details.clone();
        expected.progress = !part.is_last;
        ensure!(
            message.details == expected && message.payload == part.payload,
            "parts have the details of the first, and their own arguments",
            "session {id} gets {message:?} instead of {expected:?}"
        );
        if !call.may_be_late {
            let own = token_of(&message.payload).unwrap_or_default();
            let last = self.call_order.entry((caller, place)).or_default();
            ensure!(
                *last < own,
                "a caller's calls reach a callee in order",
                "part {own} comes after {last}"
            );
            *last = own;
        }
        if let Some(call) = self.calls.get_mut(&token) {
            call.parts.delivered += 1;
        }
        self.tally.add("further parts delivered");
        Ok(())
    }
}
