//! What is kept of calls beyond the turn in which they came, and how much of it.
//!
//! Invariants: what is kept has memory of its own; a session counts the bytes that are kept for it, as a caller and as a
//! callee, and never keeps more than [`Limits::kept_bytes`](crate::config::Limits::kept_bytes) of either kind.

use super::calls::{Rare, Waiting};
use super::parts::Parts;
use crate::detached::{dict, dict_cost, payload, text};
use crate::ids::CallKey;
use crate::peer::Invoke;
use crate::router::Router;

impl Invoke {
    /// The same call in memory of its own.
    pub(crate) fn detached(&self) -> Self {
        Self {
            procedure: text(&self.procedure),
            rest: dict(&self.rest),
            payload: payload(&self.payload),
            caller: self.caller.clone(),
            ..*self
        }
    }

    /// Bytes that the call holds, about.
    pub(crate) fn cost(&self) -> usize {
        size_of::<Self>() + self.procedure.len() + self.payload.len() + dict_cost(&self.rest)
    }
}

impl Rare {
    /// Bytes that wait on the caller's shard.
    fn waiting_bytes(&self) -> usize {
        let call = self
            .waiting
            .as_ref()
            .map_or(0, |Waiting { invoke, .. }| invoke.cost());
        call + self.parts.as_ref().map_or(0, Parts::waiting_bytes)
    }
}

impl Router {
    /// To be called whenever more, or less, of a call waits on its caller's shard. Whether its caller may have that much.
    pub(super) fn count_waiting(&mut self, key: CallKey) -> bool {
        let limit = self.config.limits.kept_bytes;
        let Some(call) = self.calls.get_mut(key) else {
            return true;
        };
        let (Some(rare), Some(session)) = (&mut call.rare, self.conns.session_mut(call.caller)) else {
            return true;
        };
        let bytes = rare.waiting_bytes();
        session.waiting_bytes += bytes;
        session.waiting_bytes -= std::mem::replace(&mut rare.counted_bytes, bytes);
        session.waiting_bytes <= limit
    }
}
