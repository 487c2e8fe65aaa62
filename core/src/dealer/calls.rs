//! The calls that this shard's sessions wait for.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::load::QueuePlace;
use super::parts::Parts;
use super::{Callee, Procedure};
use crate::ids::{CallKey, ConnKey, RegistrationId, RequestId, SessionRef, ShardId};
use crate::payload::Payload;
use crate::peer::Invoke;
use crate::small_set::SmallSet;
use crate::table::Table;
use crate::time::Time;
use crate::value::Dict;

/// One call, from CALL to its final RESULT or ERROR.
#[derive(Debug)]
pub(super) struct CallState {
    pub(super) caller: ConnKey,
    pub(super) request: RequestId,
    /// Who has it, or had it last; `None` before it has one.
    pub(super) callee: Option<SessionRef>,
    /// Whether that one understands INTERRUPT.
    pub(super) can_be_cancelled: bool,
    /// Whether the caller, or its role, wants it disclosed.
    pub(super) disclose: bool,
    pub(super) want_progress: bool,
    /// Whether the caller cancelled with mode kill, and the callee's answer is awaited.
    pub(super) killed: bool,
    /// When it was made. A callee that has sent a progressive result keeps the call, so that this need not move.
    pub(super) began: Time,
    /// Milliseconds from then that caller and realm give it, whoever has it.
    pub(super) given: Option<NonZeroU64>,
    /// Milliseconds that caller, realm and its present callee give it, whichever are fewest.
    pub(super) timeout: Option<NonZeroU64>,
    /// Set where this shard keeps the time.
    pub(super) deadline: Option<Time>,
    /// The callee in whose load it has a place, where places are counted.
    pub(super) place: Option<Box<Callee>>,
    /// What few calls need.
    pub(super) rare: Option<Box<Rare>>,
}

/// What calls need that do not go to the first callee at once and in one piece.
#[derive(Debug, Default)]
pub(super) struct Rare {
    pub(super) tried: AllTried,
    /// Whether a callee left it to another one of its registration.
    pub(super) rerouted: bool,
    /// What came with the error of a callee that leaves it to others, until the call itself comes back.
    pub(super) left_with: Option<(Dict, Payload)>,
    /// Set while it waits for a callee.
    pub(super) waiting: Option<Waiting>,
    /// Set where the arguments come in parts.
    pub(super) parts: Option<Parts>,
    /// What its caller's session counts for it, see [`Router::count_waiting`](crate::router::Router::count_waiting).
    pub(super) counted_bytes: usize,
}

/// A call that waits for a callee that has a place for it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) invoke: Invoke,
    /// Whose callees it waits for.
    pub(super) procedure: Arc<Procedure>,
    /// In that one's queue.
    pub(super) place: QueuePlace,
}

impl CallState {
    /// When the time is over that caller and realm give it.
    pub(super) fn end_of_given(&self) -> Option<Time> {
        let millis = self.given?.get();
        Some(self.began.after(Duration::from_millis(millis)))
    }

    /// The session that works on it, if one does.
    pub(super) fn served_by(&self) -> Option<SessionRef> {
        let is_elsewhere =
            |rare: &Rare| rare.waiting.is_some() || rare.parts.as_ref().is_some_and(Parts::are_returning);
        self.callee
            .filter(|_| !self.rare.as_deref().is_some_and(is_elsewhere))
    }

    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(super) fn parts(&self) -> Option<&Parts> {
        self.rare.as_ref()?.parts.as_ref()
    }

    pub(super) fn parts_mut(&mut self) -> Option<&mut Parts> {
        self.rare.as_mut()?.parts.as_mut()
    }
}

/// The callees that a call was sent to in vain.
#[derive(Debug, Default)]
pub(super) struct AllTried {
    /// Those that were not available, or turned out to be gone and have no load that says so. Each may still serve the
    /// call by another registration.
    pub(super) callees: SmallSet<(RegistrationId, SessionRef)>,
    /// The place of the last one, as it was then.
    pub(super) last_place: usize,
}

impl AllTried {
    pub(super) fn contains(&self, procedure: &Procedure, place: usize) -> bool {
        let callee = procedure.callees.get(place);
        callee.is_some_and(|callee| self.callees.contains((procedure.registration, callee.session)))
    }
}

/// All calls of one shard.
#[derive(Debug, Default)]
pub(crate) struct Calls(Table<CallState>);

impl Calls {
    pub(super) fn insert(&mut self, shard: ShardId, call: CallState) -> CallKey {
        let (slot, generation) = self.0.insert(call);
        CallKey {
            shard,
            slot,
            generation,
        }
    }

    pub(super) fn get(&self, key: CallKey) -> Option<&CallState> {
        self.0.get(key.slot, key.generation)
    }

    pub(super) fn get_mut(&mut self, key: CallKey) -> Option<&mut CallState> {
        self.0.get_mut(key.slot, key.generation)
    }

    pub(super) fn remove(&mut self, key: CallKey) -> Option<CallState> {
        self.0.remove(key.slot, key.generation)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
