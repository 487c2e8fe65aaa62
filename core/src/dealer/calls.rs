//! The calls that this shard's sessions wait for.

use smallvec::SmallVec;

use super::Callee;
use super::parts::Parts;
use crate::ids::{CallKey, ConnKey, RegistrationId, RequestId, SessionRef, ShardId};
use crate::table::Table;
use crate::time::Time;

/// One call, from CALL to its final RESULT or ERROR.
#[derive(Debug)]
pub(super) struct CallState {
    pub(super) caller: ConnKey,
    pub(super) request: RequestId,
    pub(super) callee: Callee,
    /// Whether the caller, or its role, wants it disclosed.
    pub(super) disclose: bool,
    pub(super) want_progress: bool,
    /// Milliseconds; `None` where the call has no timeout.
    pub(super) timeout: Option<u64>,
    /// Set where this shard keeps the time.
    pub(super) deadline: Option<Time>,
    /// Whether the caller cancelled with mode kill, and the callee's answer is awaited.
    pub(super) killed: bool,
    /// Callees that turned out to be gone.
    pub(super) tried: SmallVec<[Tried; 1]>,
    /// Set where the arguments come in parts.
    pub(super) parts: Option<Box<Parts>>,
}

/// A callee that does not serve a registration any more; it may still serve the call by another.
pub(super) type Tried = (RegistrationId, SessionRef);

/// The key of a call that was refused before it had one: names none.
pub(super) const NO_CALL: CallKey = CallKey {
    shard: ShardId(u16::MAX),
    slot: u32::MAX,
    generation: u32::MAX,
};

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
