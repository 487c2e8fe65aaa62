//! Publish and subscribe (specification, "Publish and Subscribe").
//!
//! A subscription is one (realm, match policy, URI) key with the same id on every shard. Each shard holds the
//! subscriptions of its own sessions, and of all others only which shards want what: for exact keys by the key's
//! hash, for patterns by the pattern. The shard that a key's hash names is its **owner**: it keeps the list of
//! shards with subscribers, gives out the id, and announces every change to all shards.
//!
//! Invariants: SUBSCRIBED is sent only when every shard has acknowledged the announcement, so no publication
//! that begins after it is missed. A subscription without subscribers and without anyone waiting is not there.

mod detached;
mod directory;
mod filter;
mod history;
mod kept;
mod live;
mod log;
mod look_up;
mod publish;
pub(crate) mod recall;
mod retain;
mod revoke;
mod search;
mod subscribe;
mod turns;

use std::sync::Arc;

use ahash::{HashMap, RandomState};
use smallvec::SmallVec;

pub(crate) use self::detached::{cost, detached};
use self::directory::Directory;
pub(crate) use self::directory::Owned;
use self::history::Histories;
use self::retain::Retaining;
pub(crate) use self::retain::retain_for;
use self::search::Searches;
pub(crate) use self::turns::Turns;
use crate::config::RealmConfig;
use crate::ids::{ConnKey, RealmId, RequestId, SessionId, ShardId, ShardSet, SubscriptionId};
use crate::key_hash::KeyHasher;
use crate::options::MatchPolicy;
use crate::pattern::PatternMap;
use crate::peer::Key;
use crate::small_set::SmallSet;
use crate::table::Table;
use crate::uri::is_reserved;

/// The broker's tables of one realm on one shard.
#[derive(Debug)]
pub(crate) struct Broker {
    /// Slots in `subscriptions`.
    local: PatternMap<u32>,
    subscriptions: Table<Subscription>,
    by_id: HashMap<SubscriptionId, u32>,
    /// Shards with subscribers to exact keys, by the key's hash.
    interest: HashMap<u64, ShardSet>,
    /// Shards with subscribers to patterns.
    pattern_interest: PatternMap<ShardSet>,
    directory: Directory,
    /// Events of this shard's topics that are kept for later subscribers.
    retaining: Retaining,
    /// Subscribers here that wait for such events.
    searches: Searches,
    /// Past events, where the realm keeps some.
    histories: Option<Box<Histories>>,
}

/// A subscription of this shard's sessions.
#[derive(Debug)]
struct Subscription {
    key: Key,
    state: Grant,
    subscribers: SmallSet<ConnKey>,
}

/// How far a subscription has come.
#[derive(Debug)]
enum Grant {
    /// Not every shard knows of it yet.
    Pending(Box<Asking>),
    /// In force.
    Granted(SubscriptionId),
}

impl Grant {
    /// The id that a pending subscription was given, and who waits for it.
    fn asked(&mut self) -> Option<(SubscriptionId, SmallVec<[Waiting; 1]>)> {
        match self {
            Self::Pending(asking) => Some((asking.id?, std::mem::take(&mut asking.waiting))),
            Self::Granted(_) => None,
        }
    }
}

/// See [`Grant::Pending`].
#[derive(Debug)]
struct Asking {
    /// Known from the owner's announcement on.
    id: Option<SubscriptionId>,
    /// Who asked for it.
    waiting: SmallVec<[Waiting; 1]>,
}

/// A SUBSCRIBE that waits for its grant.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    conn: ConnKey,
    session: SessionId,
    request: RequestId,
    get_retained: bool,
}

impl Broker {
    pub(crate) fn new(
        hasher: &RandomState,
        keys: &KeyHasher,
        (me, shards): (ShardId, u16),
        (id, realm): (RealmId, &RealmConfig),
    ) -> Self {
        let mut directory = Directory::new(hasher);
        Self {
            local: PatternMap::new(hasher.clone()),
            subscriptions: Table::default(),
            by_id: HashMap::with_hasher(hasher.clone()),
            interest: HashMap::with_hasher(hasher.clone()),
            pattern_interest: PatternMap::new(hasher.clone()),
            retaining: Retaining::new(&realm.retention, shards),
            searches: Searches::new(hasher, realm.retention.events),
            histories: Histories::new(&realm.histories, (me, id), (keys, &mut directory), hasher),
            directory,
        }
    }

    /// Entries of all tables together, but for retained events: those stay when all sessions are gone.
    pub(crate) fn held(&self) -> usize {
        self.subscriptions.len()
            + self.local.len()
            + self.by_id.len()
            + self.interest.len()
            + self.pattern_interest.len()
            + self.directory.len()
            + self.searching()
    }

    /// Questions for kept events that wait here, or for this shard.
    pub(crate) fn searching(&self) -> usize {
        let histories = self.histories.as_ref();
        let recalls = histories.map_or(0, |histories| histories.recalls.len());
        self.searches.held() + self.retaining.waiting() + recalls
    }

    /// Takes note of the shards that want a key.
    fn set_interest(&mut self, key: &Key, hash: u64, shards: ShardSet) {
        match (key.policy, shards.is_empty()) {
            (MatchPolicy::Exact, true) => drop(self.interest.remove(&hash)),
            (MatchPolicy::Exact, false) => drop(self.interest.insert(hash, shards)),
            (policy, true) => drop(self.pattern_interest.remove(policy, &key.uri)),
            (policy, false) => drop(self.pattern_interest.insert(policy, Arc::clone(&key.uri), shards)),
        }
    }

    /// The subscriptions that this shard owns.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &Owned> {
        self.directory.iter()
    }

    /// Likewise, the one to a key, whose hash is `hash`.
    pub(crate) fn owned_key(&self, key: &Key, hash: u64) -> Option<&Owned> {
        self.directory.get(key, hash)
    }

    /// Likewise, the one with an id.
    pub(crate) fn owned_by_id(&self, id: SubscriptionId) -> Option<&Owned> {
        self.directory.by_id(id)
    }

    /// The patterns that match a topic, each once: those with subscribers on any shard, and those with a history.
    pub(crate) fn each_pattern<'a>(&'a self, topic: &str, mut visitor: impl FnMut(MatchPolicy, &'a str)) {
        self.pattern_interest
            .matches(topic, |policy, pattern, _| visitor(policy, pattern));
        let Some(histories) = &self.histories else {
            return;
        };
        histories.keys.matches(topic, |policy, pattern, _| {
            if policy != MatchPolicy::Exact && self.pattern_interest.get(policy, pattern).is_none() {
                visitor(policy, pattern);
            }
        });
    }

    /// The subscribers of this shard to a subscription.
    pub(crate) fn subscribers(&self, id: SubscriptionId) -> Option<(&Key, &[ConnKey])> {
        let subscription = self.subscriptions.slot(*self.by_id.get(&id)?)?;
        Some((&subscription.key, subscription.subscribers.as_slice()))
    }

    /// Whether the subscription in `slot` is to the router's own topics.
    pub(crate) fn is_reserved(&self, slot: u32) -> bool {
        let subscription = self.subscriptions.slot(slot);
        subscription.is_some_and(|subscription| is_reserved(&subscription.key.uri))
    }

    /// Whether a shard wants events of `topic`, whose hash as an exact key is `hash`.
    pub(crate) fn is_wanted(&self, topic: &str, hash: u64) -> bool {
        !self.interested(topic, hash).is_empty()
    }

    /// The shards that want events of `topic`, whose hash as an exact key is `hash`.
    fn interested(&self, topic: &str, hash: u64) -> ShardSet {
        let mut shards = self.interest.get(&hash).copied().unwrap_or(ShardSet::EMPTY);
        if !self.pattern_interest.is_empty() {
            self.pattern_interest
                .matches(topic, |_, _, wanted| shards = shards.union(*wanted));
        }
        shards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each subscription costs on a shard, beside its URI and the entries of the indexes.
    #[test]
    fn a_subscription_stays_small() {
        let size = size_of::<Subscription>();
        assert!(size <= 72, "{size} bytes");
    }
}
