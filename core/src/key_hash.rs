//! Hashes of subscription and registration keys: where ids begin, and who owns a key.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::ids::{ID_MAX, ShardId};
use crate::options::MatchPolicy;

/// Hashes the keys of one realm. Keyed, since strangers choose URIs; and the same for a (realm, policy, URI) on
/// every shard that has the router's key, whatever its processor, so that one may also live on another machine.
#[derive(Clone, Debug)]
pub(crate) struct KeyHasher {
    key: [u64; 2],
    mask: u64,
    shards: u16,
}

impl KeyHasher {
    pub(crate) fn new(router: [u64; 2], realm: &str, bits: u32, shards: u16) -> Self {
        let seeded = |salt: u8| {
            let mut hasher = SipHasher13::new_with_keys(router[0], router[1]);
            hasher.write_u8(salt);
            hasher.write(realm.as_bytes());
            hasher.finish()
        };
        Self {
            key: [seeded(0), seeded(1)],
            mask: (1 << bits.clamp(1, 53)) - 1,
            shards,
        }
    }

    /// The key's hash, a valid WAMP id.
    pub(crate) fn hash(&self, policy: MatchPolicy, uri: &str) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key[0], self.key[1]);
        hasher.write_u8(policy as u8);
        hasher.write(uri.as_bytes());
        (hasher.finish() & self.mask) + 1
    }

    /// The shard that keeps the directory entry of every key with this hash or id.
    pub(crate) fn owner(&self, hash: u64) -> ShardId {
        ShardId((hash % u64::from(self.shards)) as u16)
    }

    /// The first free id for a key: its hash, or the next of the same owner.
    pub(crate) fn free_id(&self, hash: u64, is_taken: impl Fn(u64) -> bool) -> u64 {
        let step = u64::from(self.shards);
        let mut id = hash;
        while is_taken(id) {
            id = if id + step <= ID_MAX {
                id + step
            } else {
                (id - 1) % step + 1
            };
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::is_valid_id;

    #[test]
    fn ids_of_clashing_keys_keep_their_owner() {
        let hasher = KeyHasher::new([1, 2], "realm1", 53, 7);
        for hash in [1, 5, ID_MAX, ID_MAX - 3] {
            let mut taken = vec![hash];
            for _ in 0..20 {
                let id = hasher.free_id(hash, |id| taken.contains(&id));
                assert!(is_valid_id(id) && !taken.contains(&id));
                assert_eq!(hasher.owner(id), hasher.owner(hash));
                taken.push(id);
            }
        }
    }

    #[test]
    fn realm_and_policy_are_part_of_the_hash() {
        let one = KeyHasher::new([1, 2], "realm1", 53, 4);
        let two = KeyHasher::new([1, 2], "realm2", 53, 4);
        let hash = one.hash(MatchPolicy::Exact, "com.example");
        assert_eq!(hash, one.clone().hash(MatchPolicy::Exact, "com.example"));
        assert_ne!(hash, one.hash(MatchPolicy::Prefix, "com.example"));
        assert_ne!(hash, two.hash(MatchPolicy::Exact, "com.example"));
    }
}
