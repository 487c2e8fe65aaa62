//! Remote procedure calls (specification, "Remote Procedure Calls").
//!
//! Every shard holds the whole table of procedures with their callees, so a call finds its callee without a
//! question to anybody. The shard that a key's hash names is its **owner**: it decides conflicts, and announces
//! the new list of callees to all shards after each change. A call in progress is known to two shards: the
//! caller's holds the state of the call with its timeout, the callee's the invocation.
//!
//! Invariants: REGISTERED is sent only when every shard has acknowledged the announcement, and before the first
//! INVOCATION of that registration. Each CALL gets exactly one RESULT without progress, or one ERROR, unless its
//! caller left. The state of a call is on the caller's shard exactly until then.

mod call;
mod calls;
mod cancel;
mod choose;
mod elsewhere;
mod ended;
mod held;
mod invocation;
mod kept;
mod load;
mod owner;
mod parts;
mod register;
mod replies;
mod serving;
mod undelivered;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use ahash::{HashMap, RandomState};

pub(crate) use self::calls::Calls;
pub(crate) use self::ended::EndedCalls;
pub(crate) use self::held::Held;
pub use self::load::{Load, Queue};
pub(crate) use self::serving::Serving;
pub use self::undelivered::Undelivered;
use crate::features::ClientFeatures;
use crate::ids::{RegistrationId, SessionRef};
use crate::options::InvokePolicy;
use crate::pattern::PatternMap;
use crate::peer::Key;
use crate::time::Time;

/// A procedure, or a pattern of procedures, with those who serve it.
#[derive(Debug)]
pub struct Procedure {
    /// What is registered.
    pub key: Key,
    /// The registration's id, the same for all callees.
    pub registration: RegistrationId,
    /// Which of those that had this id it is.
    pub incarnation: Incarnation,
    /// Which callee gets a call.
    pub invoke: InvokePolicy,
    /// When it got its first callee.
    pub created: Time,
    /// In the order of their registration.
    pub callees: Vec<Callee>,
    /// Where calls wait while all callees are busy, in realms that have them wait.
    pub queue: Option<Arc<Queue>>,
    /// Calls so far, for [`InvokePolicy::RoundRobin`] and others; shared by all shards and versions, so that the round is
    /// one round.
    pub turn: Arc<AtomicUsize>,
}

/// Tells a procedure from earlier and later ones with the same id. Ids are given again, to the same key or,
/// where keys clash, to another, while calls for the one before are still on their way. Counted by the owner,
/// which is the same for all that can have an id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incarnation(pub u64);

/// One session that serves a procedure.
#[derive(Clone, Debug)]
pub struct Callee {
    /// The session.
    pub session: SessionRef,
    /// What its client understands.
    pub features: ClientFeatures,
    /// Whether it wants to know its callers.
    pub disclose_caller: bool,
    /// Whether it wants to keep time itself.
    pub forward_timeout: bool,
    /// Milliseconds that it wants a call to take at most.
    pub timeout: Option<NonZeroU64>,
    /// How busy it is, where that is counted: it has a limit, the policy is [`InvokePolicy::Load`], or calls may wait.
    pub load: Option<Arc<Load>>,
}

/// The dealer's tables of one realm on one shard.
#[derive(Debug)]
pub(crate) struct Dealer {
    /// What can be called: the same on every shard once it is quiet.
    procedures: PatternMap<Arc<Procedure>>,
    /// The owner's view of its own keys, which is ahead of the announcements.
    owned: PatternMap<Arc<Procedure>>,
    /// Registration ids given out by this owner, and for what.
    taken: HashMap<RegistrationId, Key>,
    /// The incarnation that this owner gave out last.
    last_incarnation: u64,
}

impl Dealer {
    pub(crate) fn new(hasher: &RandomState) -> Self {
        Self {
            procedures: PatternMap::new(hasher.clone()),
            owned: PatternMap::new(hasher.clone()),
            taken: HashMap::with_hasher(hasher.clone()),
            last_incarnation: 0,
        }
    }

    /// What can be called.
    pub(crate) fn procedures(&self) -> &PatternMap<Arc<Procedure>> {
        &self.procedures
    }

    /// The procedure of an id that this owner gave out.
    pub(crate) fn owned_by_id(&self, id: RegistrationId) -> Option<&Arc<Procedure>> {
        let key = self.taken.get(&id)?;
        self.owned.get(key.policy, &key.uri)
    }

    /// Entries of all tables together.
    pub(crate) fn held(&self) -> usize {
        self.procedures.len() + self.owned.len() + self.taken.len()
    }
}
