//! Calls whose arguments come in parts, each in a CALL of its own (specification, "Progressive Call Invocations").
//!
//! All parts go to the callee that the first one went to, by the same way, and so in order. If it turns out that
//! the callee was gone before it saw the first, all that were sent come back, also in order; meanwhile the caller's
//! further ones wait here. Then all go to another callee.

use std::collections::VecDeque;

use bytestring::ByteString;

use super::calls::CallState;
use crate::detached::{dict, payload, text};
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{CallKey, ConnKey};
use crate::message::Call;
use crate::payload::Payload;
use crate::peer::{Invoke, Part, PeerMessage};
use crate::router::Router;

/// What a part that waits costs beside its payload, in bytes.
const PART_COST: usize = 64;

/// Bytes that a further part holds while it waits.
fn part_cost(payload: &Payload) -> usize {
    payload.len() + PART_COST
}

/// The parts of one call, on its caller's shard.
#[derive(Debug)]
pub(super) struct Parts {
    procedure: ByteString,
    /// What the first one said, for the others: options are those of the first.
    template: Option<Box<Invoke>>,
    /// How many were sent to the callee.
    sent: usize,
    /// How many of these are still to come back.
    returning: usize,
    /// The first one, where all come back.
    first: Option<Box<Invoke>>,
    /// Those that came back, and behind them those that the caller sent since.
    returned: VecDeque<(Part, Payload)>,
    waiting: VecDeque<(Part, Payload)>,
    /// Those of `returned` and `waiting`.
    waiting_bytes: usize,
    /// Whether the caller sent the last one.
    pub(super) is_complete: bool,
}

impl Parts {
    pub(super) fn new(procedure: &ByteString) -> Self {
        Self {
            procedure: text(procedure),
            template: None,
            sent: 0,
            returning: 0,
            first: None,
            returned: VecDeque::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            is_complete: false,
        }
    }

    /// Takes a part that the callee's shard sent back. The first one, once all are back.
    pub(super) fn came_back(&mut self, invoke: Invoke) -> Option<Invoke> {
        if invoke.part.is_first() {
            self.returning = self.sent;
            self.first = Some(Box::new(invoke.detached()));
        } else if self.returning > 0 {
            self.waiting_bytes += part_cost(&invoke.payload);
            self.returned.push_back((invoke.part, payload(&invoke.payload)));
        } else {
            // The callee had the first one: its answer, or its end, is what counts.
            return None;
        }
        self.returning -= 1;
        if self.returning > 0 {
            return None;
        }
        self.template = None;
        self.first.take().map(|first| *first)
    }

    /// Takes a part that the caller sent before the first has gone to a callee.
    fn wait(&mut self, part: Part, arguments: &Payload) {
        self.waiting_bytes += part_cost(arguments);
        self.waiting.push_back((part, payload(arguments)));
    }

    /// Bytes of all that waits here.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.first.as_ref().map_or(0, |first| first.cost()) + self.waiting_bytes
    }

    /// Whether the callee was gone, and parts are on their way back.
    pub(super) fn are_returning(&self) -> bool {
        self.returning > 0
    }

    /// Whether further parts have to wait, until the first has gone to a callee.
    fn must_wait(&self) -> bool {
        self.returning > 0 || self.template.is_none()
    }

    /// Takes the first one as not sent, if no other was sent. Whether that is so.
    pub(super) fn first_is_back(&mut self) -> bool {
        if self.sent == 1 {
            self.template = None;
        }
        self.sent == 1
    }
}

impl Router {
    /// A CALL with the id of one before.
    pub(super) fn further_call(&mut self, conn: ConnKey, key: CallKey, call: Call, fx: &mut Effects) {
        let part = if call.options.progress {
            Part::Next
        } else {
            Part::Last
        };
        let Some(state) = self.calls.get_mut(key) else {
            // The call has ended, which its caller could not know yet.
            if part == Part::Last
                && let Some(session) = self.conns.session_mut(conn)
            {
                session.forget_ended(call.request);
            }
            return;
        };
        let is_killed = state.killed;
        let Some(parts) = state.parts_mut().filter(|parts| !parts.is_complete) else {
            return self.violate(conn, "CALL.Request is that of a call in progress", fx);
        };
        if parts.procedure != call.procedure {
            return self.violate(conn, "CALL.Procedure is not that of the call it continues", fx);
        }
        parts.is_complete = part == Part::Last;
        if is_killed {
            return;
        }
        if parts.must_wait() {
            parts.wait(part, &call.payload);
            if !self.count_waiting(key) {
                self.fail_call(key, uri::LIMIT_EXCEEDED, fx);
            }
            return;
        }
        self.send_part(key, part, call.payload, fx);
    }

    /// The first part was sent to a callee.
    pub(super) fn first_part_sent(&mut self, invoke: &Invoke) {
        if let Some(parts) = self.calls.get_mut(invoke.call).and_then(CallState::parts_mut) {
            parts.sent = 1;
            parts.template = Some(Box::new(Invoke {
                procedure: parts.procedure.clone(),
                rest: dict(&invoke.rest),
                caller: invoke.caller.clone(),
                payload: Payload::EMPTY,
                ..*invoke
            }));
        }
    }

    fn send_part(&mut self, key: CallKey, part: Part, payload: Payload, fx: &mut Effects) {
        let Some(parts) = self.calls.get_mut(key).and_then(CallState::parts_mut) else {
            return;
        };
        let Some(template) = &parts.template else {
            return;
        };
        parts.sent += 1;
        let invoke = Invoke {
            part,
            payload,
            ..Invoke::clone(template)
        };
        self.post(invoke.callee.shard, PeerMessage::Invoke(Box::new(invoke)), fx);
    }

    /// The first part was sent to another callee: the others follow.
    pub(super) fn send_waiting_parts(&mut self, key: CallKey, fx: &mut Effects) {
        let Some(parts) = self.calls.get_mut(key).and_then(CallState::parts_mut) else {
            return;
        };
        let mut others = std::mem::take(&mut parts.returned);
        others.append(&mut parts.waiting);
        parts.waiting_bytes = 0;
        self.count_waiting(key);
        for (part, payload) in others {
            self.send_part(key, part, payload, fx);
        }
    }
}
