//! Session ids that look uniform over WAMP's range and yet name where the session lives.
//!
//! The specification wants session ids drawn at random from 1 ..= 2^53. Here an id is a keyed permutation of
//! (machine slot, shard, random number), plus one: without the key it cannot be told from a uniform draw, and
//! with it the id alone routes, on one machine and on many. All members of a cluster share the key.
//!
//! The permutation is a Feistel network whose halves have 26 and 27 bits, so that it maps 53 bits to 53 bits
//! with nothing to retry. It hides places and load from users; it is not a cipher, and an id is no secret:
//! nothing may be granted to whoever knows one.
//!
//! The random number need not be random, for the permutation makes it look so: a shard that counts from a
//! random start never gives an id twice. Numbers drawn anew for each of n sessions of a shard clash with
//! probability n^2 / 2^36.

use core::fmt;

use crate::ids::{ID_MAX, SessionId, ShardId};

/// Bits of the machine slot.
pub const SLOT_BITS: u32 = 10;
/// Bits of the shard.
pub const SHARD_BITS: u32 = 8;
/// Bits of the random number.
pub const RANDOM_BITS: u32 = 53 - SLOT_BITS - SHARD_BITS;

const RIGHT_BITS: u32 = 27;
const LEFT_MASK: u64 = (1 << (53 - RIGHT_BITS)) - 1;
const RIGHT_MASK: u64 = (1 << RIGHT_BITS) - 1;

/// Four rounds make a Feistel network look random where the round function does; the round function here is a
/// mixer of integers, so there are twice as many.
const ROUNDS: usize = 8;

/// Where a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The machine in its cluster, below 2^10.
    pub slot: u16,
    /// The shard on that machine, below 2^8.
    pub shard: ShardId,
}

/// Makes and reads session ids.
#[derive(Clone)]
pub struct SessionIds {
    round_keys: [u64; ROUNDS],
}

impl fmt::Debug for SessionIds {
    /// Without the keys, which must not get into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionIds").finish_non_exhaustive()
    }
}

impl SessionIds {
    /// Ids under `key`, which users must not know.
    #[must_use]
    pub fn new(key: [u64; 2]) -> Self {
        const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut counter = key[0];
        let round_keys = core::array::from_fn(|_| {
            counter = counter.wrapping_add(GOLDEN_RATIO);
            mix(mix(counter) ^ key[1])
        });
        Self { round_keys }
    }

    /// The id of a session at `location`; only the lower [`RANDOM_BITS`] of `random` count, and equal ones give
    /// equal ids.
    #[must_use]
    pub fn make(&self, location: Location, random: u64) -> SessionId {
        let (slot, shard) = (u64::from(location.slot), u64::from(location.shard.0));
        debug_assert!(slot < 1 << SLOT_BITS && shard < 1 << SHARD_BITS, "{location:?}");
        let random = random & ((1 << RANDOM_BITS) - 1);
        SessionId(self.permute((slot << SHARD_BITS | shard) << RANDOM_BITS | random) + 1)
    }

    /// Where the session of this id lives; `None` if it is not in WAMP's range. An id that somebody made up
    /// names a place as well, though seldom one that exists.
    #[must_use]
    pub fn locate(&self, id: SessionId) -> Option<Location> {
        let place = id.0.checked_sub(1).filter(|&place| place < ID_MAX)?;
        let packed = self.restore(place) >> RANDOM_BITS;
        let shard = packed & ((1 << SHARD_BITS) - 1);
        Some(Location {
            slot: (packed >> SHARD_BITS) as u16,
            shard: ShardId(shard as u16),
        })
    }

    fn permute(&self, value: u64) -> u64 {
        let (mut left, mut right) = (value >> RIGHT_BITS, value & RIGHT_MASK);
        for keys in self.round_keys.as_chunks::<2>().0 {
            left ^= mix(right ^ keys[0]) & LEFT_MASK;
            right ^= mix(left ^ keys[1]) & RIGHT_MASK;
        }
        left << RIGHT_BITS | right
    }

    /// The inverse of [`SessionIds::permute`].
    fn restore(&self, value: u64) -> u64 {
        let (mut left, mut right) = (value >> RIGHT_BITS, value & RIGHT_MASK);
        for keys in self.round_keys.as_chunks::<2>().0.iter().rev() {
            right ^= mix(left ^ keys[1]) & RIGHT_MASK;
            left ^= mix(right ^ keys[0]) & LEFT_MASK;
        }
        left << RIGHT_BITS | right
    }
}

/// A permutation of words whose every output bit depends on every input bit: MurmurHash3's finalizer with the
/// constants of SplitMix64.
const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::ids::is_valid_id;

    const KEY: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

    fn location(slot: u16, shard: u16) -> Location {
        Location {
            slot,
            shard: ShardId(shard),
        }
    }

    /// Ids of one shard whose random numbers are the worst possible: 0, 1, 2, ...
    fn ids(count: u64) -> Vec<u64> {
        let ids = SessionIds::new(KEY);
        (0..count)
            .map(|random| ids.make(location(0, 0), random).0)
            .collect()
    }

    proptest! {
        #[test]
        fn an_id_is_in_range_and_names_its_place(
            key: [u64; 2], slot in 0..1_u16 << SLOT_BITS, shard in 0..1_u16 << SHARD_BITS, random: u64,
        ) {
            let ids = SessionIds::new(key);
            let id = ids.make(location(slot, shard), random);
            prop_assert!(is_valid_id(id.0));
            prop_assert_eq!(ids.locate(id), Some(location(slot, shard)));
        }

        #[test]
        fn every_id_is_made_from_something(key: [u64; 2], id in 1..=ID_MAX) {
            let ids = SessionIds::new(key);
            let value = ids.restore(id - 1);
            prop_assert!(value < ID_MAX);
            prop_assert_eq!(ids.permute(value), id - 1);
        }
    }

    #[test]
    fn ids_out_of_range_name_no_place() {
        let ids = SessionIds::new(KEY);
        assert_eq!(ids.locate(SessionId(0)), None);
        assert_eq!(ids.locate(SessionId(ID_MAX + 1)), None);
        assert_eq!(ids.locate(SessionId(u64::MAX)), None);
        assert!(ids.locate(SessionId(1)).is_some());
        assert!(ids.locate(SessionId(ID_MAX)).is_some());
    }

    #[test]
    fn se_003_a_thousand_ids_are_distinct_and_cover_the_upper_bits() {
        let ids = ids(1000);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1000);
        let upper: HashSet<u64> = ids.iter().map(|id| (id - 1) >> 47).collect();
        assert_eq!(upper.len(), 64, "all values of the upper six bits occur");
        assert!(!ids.is_sorted());
    }

    #[test]
    fn ids_are_spread_evenly() {
        const BUCKETS: usize = 256;
        const EACH: u64 = 400;
        let ids = ids(EACH * BUCKETS as u64);
        for shift in [0, 20, 45] {
            let mut counts = [0_u64; BUCKETS];
            for id in &ids {
                counts[((id - 1) >> shift) as usize % BUCKETS] += 1;
            }
            let deviation: u64 = counts.iter().map(|count| count.abs_diff(EACH).pow(2)).sum();
            // Chi-squared with 255 degrees of freedom lies between 170 and 350 but for one draw in 10,000.
            let chi_squared = deviation / EACH;
            assert!(
                (170..350).contains(&chi_squared),
                "bits from {shift}: {chi_squared}"
            );
        }
    }

    #[test]
    fn one_bit_changes_half_of_the_bits() {
        let ids = SessionIds::new(KEY);
        let mut random = fastrand::Rng::with_seed(7);
        for bit in 0..53 {
            let changed: u32 = (0..400)
                .map(|_| random.u64(..ID_MAX))
                .map(|value| (ids.permute(value) ^ ids.permute(value ^ 1 << bit)).count_ones())
                .sum();
            let mean = f64::from(changed) / 400.0;
            assert!(
                (25.5..27.5).contains(&mean),
                "input bit {bit}: {mean} of 53 bits change"
            );
        }
    }

    #[test]
    fn another_key_gives_other_ids() {
        let make = |key| SessionIds::new(key).make(location(1, 2), 3);
        let keys = [KEY, [KEY[0] ^ 1, KEY[1]], [KEY[0], KEY[1] ^ 1], [KEY[1], KEY[0]]];
        assert_eq!(keys.map(make).iter().collect::<HashSet<_>>().len(), keys.len());
    }
}
