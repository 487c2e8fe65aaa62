//! The owner's view of its keys: which shards have subscribers, and which ids are taken.

use ahash::{HashMap, RandomState};
use smallvec::SmallVec;

use crate::ids::{ShardId, ShardSet, SubscriptionId};
use crate::key_hash::KeyHasher;
use crate::peer::Key;
use crate::time::Time;

/// The keys that one shard owns in one realm.
#[derive(Debug)]
pub(super) struct Directory {
    /// Keys by hash; nearly always one each.
    keys: HashMap<u64, SmallVec<[Owned; 1]>>,
    /// Ids that do not equal their key's hash, because another key had it. Empty unless keys clash.
    moved: HashMap<SubscriptionId, u64>,
}

/// A subscription, as its key's owner knows it.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) key: Key,
    pub(crate) id: SubscriptionId,
    /// When it got its first subscriber.
    pub(crate) created: Time,
    shards: ShardSet,
    /// Whether it stays although nobody subscribes to it.
    is_kept: bool,
}

impl Owned {
    fn is_idle(&self) -> bool {
        self.shards.is_empty()
    }
}

impl Directory {
    pub(super) fn new(hasher: &RandomState) -> Self {
        Self {
            keys: HashMap::with_hasher(hasher.clone()),
            moved: HashMap::with_hasher(hasher.clone()),
        }
    }

    /// Entries that are not there from the start.
    pub(super) fn len(&self) -> usize {
        let all = || self.keys.values().flatten();
        let is_idle = |id: &SubscriptionId| all().any(|owned| owned.id == *id && owned.is_idle());
        let moved = self.moved.keys().filter(|id| !is_idle(id)).count();
        self.iter().count() + moved
    }

    /// Gives `key` an id that it keeps as long as the router runs.
    pub(super) fn reserve(&mut self, hasher: &KeyHasher, key: Key, hash: u64) {
        let id = self.take_id(hasher, hash);
        self.keys.entry(hash).or_default().push(Owned {
            key,
            id,
            created: Time::default(),
            shards: ShardSet::EMPTY,
            is_kept: true,
        });
    }

    /// A new id for a key of this hash.
    fn take_id(&mut self, hasher: &KeyHasher, hash: u64) -> SubscriptionId {
        let id = hasher.free_id(hash, |id| self.is_taken(id));
        if id != hash {
            self.moved.insert(SubscriptionId(id), hash);
        }
        SubscriptionId(id)
    }

    /// Adds `shard` to those with subscribers to `key`. Answers the key's id, and whether it is the first.
    pub(super) fn add(
        &mut self,
        hasher: &KeyHasher,
        (key, hash): (&Key, u64),
        shard: ShardId,
        now: Time,
    ) -> (SubscriptionId, bool) {
        if let Some(owned) = self
            .keys
            .get_mut(&hash)
            .and_then(|keys| keys.iter_mut().find(|owned| owned.key == *key))
        {
            let is_first = owned.is_idle();
            if is_first {
                owned.created = now;
            }
            owned.shards.insert(shard);
            return (owned.id, is_first);
        }
        let id = self.take_id(hasher, hash);
        let mut shards = ShardSet::EMPTY;
        shards.insert(shard);
        let owned = Owned {
            key: key.clone(),
            id,
            created: now,
            shards,
            is_kept: false,
        };
        self.keys.entry(hash).or_default().push(owned);
        (id, true)
    }

    /// Takes `shard` out of those with subscribers to `key`. Answers the key's id if it was the last.
    pub(super) fn remove(&mut self, key: &Key, hash: u64, shard: ShardId) -> Option<SubscriptionId> {
        let keys = self.keys.get_mut(&hash)?;
        let place = keys.iter().position(|owned| owned.key == *key)?;
        keys[place].shards.remove(shard);
        if !keys[place].shards.is_empty() {
            return None;
        }
        if keys[place].is_kept {
            return Some(keys[place].id);
        }
        let gone = keys.swap_remove(place);
        self.moved.remove(&gone.id);
        if keys.is_empty() {
            self.keys.remove(&hash);
        }
        Some(gone.id)
    }

    /// All keys with subscribers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Owned> {
        self.keys.values().flatten().filter(|owned| !owned.is_idle())
    }

    /// What is known of a key.
    pub(super) fn get(&self, key: &Key, hash: u64) -> Option<&Owned> {
        self.keys.get(&hash)?.iter().find(|owned| owned.key == *key)
    }

    /// What is known of the key of an id.
    pub(super) fn by_id(&self, id: SubscriptionId) -> Option<&Owned> {
        let hash = self.moved.get(&id).copied().unwrap_or(id.0);
        self.keys.get(&hash)?.iter().find(|owned| owned.id == id)
    }

    /// What is announced about `key`: for exact keys the shards of all keys of the hash, since that is what
    /// other shards look up; a shard that has no subscriber after all drops what it gets.
    pub(super) fn announced(&self, key: &Key, hash: u64) -> ShardSet {
        let keys = self.keys.get(&hash).map_or(&[][..], |keys| keys.as_slice());
        let is_exact = |key: &Key| key.policy == crate::options::MatchPolicy::Exact;
        let counts = |owned: &&Owned| owned.key == *key || (is_exact(key) && is_exact(&owned.key));
        keys.iter()
            .filter(counts)
            .fold(ShardSet::EMPTY, |shards, owned| shards.union(owned.shards))
    }

    fn is_taken(&self, id: u64) -> bool {
        let has_its_hash = |keys: &SmallVec<[Owned; 1]>| keys.iter().any(|owned| owned.id.0 == id);
        self.keys.get(&id).is_some_and(has_its_hash) || self.moved.contains_key(&SubscriptionId(id))
    }
}
