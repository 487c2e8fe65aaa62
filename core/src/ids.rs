//! Identifiers: WAMP's ids (specification, "IDs") and the keys that the router uses inside.

use core::fmt;

/// Largest id that WAMP allows: 2^53.
pub const ID_MAX: u64 = 1 << 53;

/// Whether `id` lies in WAMP's range 1 ..= 2^53.
#[must_use]
pub const fn is_valid_id(id: u64) -> bool {
    id >= 1 && id <= ID_MAX
}

macro_rules! wamp_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

wamp_id!(
    /// A session, as WELCOME announces it. Names its shard, see [`crate::session_id`].
    SessionId
);
wamp_id!(
    /// A request of one peer, unique in one direction of one session.
    RequestId
);
wamp_id!(
    /// One publication, drawn at random over the whole range.
    PublicationId
);
wamp_id!(
    /// A subscription: one (realm, match policy, URI), shared by all its subscribers on all shards.
    SubscriptionId
);
wamp_id!(
    /// A registration: one (realm, match policy, URI), shared by all its callees on all shards.
    RegistrationId
);

/// One shard of the mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Most shards that a mesh can have: a [`ShardSet`] is one word.
pub const SHARDS_MAX: u16 = 64;

/// A set of shards, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardSet(u64);

impl ShardSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// Adds `shard`.
    pub fn insert(&mut self, shard: ShardId) {
        debug_assert!(shard.0 < SHARDS_MAX);
        self.0 |= 1 << shard.0;
    }

    /// Takes `shard` out.
    pub fn remove(&mut self, shard: ShardId) {
        self.0 &= !(1 << shard.0);
    }

    /// Whether `shard` is in the set.
    #[must_use]
    pub fn contains(self, shard: ShardId) -> bool {
        self.0 & (1 << shard.0) != 0
    }

    /// Whether no shard is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number of shards in the set.
    #[must_use]
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The shards of either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The shards of both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The shards in ascending order.
    pub fn iter(self) -> impl Iterator<Item = ShardId> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let shard = rest.trailing_zeros();
            rest &= rest - 1;
            Some(ShardId(shard as u16))
        })
    }
}

/// A realm by its place in the configuration, the same on every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealmId(pub u32);

/// A connection of one shard: a slot in its table and the slot's generation, so that a key kept after
/// the connection ended never names its successor. A connection may carry several sessions in turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnKey {
    /// Index into the shard's table.
    pub slot: u32,
    /// How often the slot was taken before.
    pub generation: u32,
}

/// A session wherever it lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionRef {
    /// The shard that owns the session's connection.
    pub shard: ShardId,
    /// The connection there.
    pub conn: ConnKey,
    /// The session's WAMP id, which also tells this session from a later one on the same connection.
    pub id: SessionId,
}

/// A call in progress, as the caller's shard knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    /// The caller's shard.
    pub shard: ShardId,
    /// Index into that shard's table of calls.
    pub slot: u32,
    /// How often the slot was taken before.
    pub generation: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_set_holds_what_was_put_in() {
        let mut set = ShardSet::EMPTY;
        for shard in [0, 5, 63] {
            set.insert(ShardId(shard));
        }
        set.remove(ShardId(5));
        assert_eq!(set.iter().collect::<Vec<_>>(), [ShardId(0), ShardId(63)]);
        assert!(!set.contains(ShardId(5)));
        assert_eq!(set.len(), 2);
    }

    #[test]
    fn id_range_is_that_of_the_specification() {
        assert!(!is_valid_id(0));
        assert!(is_valid_id(1));
        assert!(is_valid_id(9_007_199_254_740_992));
        assert!(!is_valid_id(9_007_199_254_740_993));
    }
}
