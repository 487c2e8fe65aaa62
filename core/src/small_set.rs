//! A set that is nearly always tiny and may be large: a session's subscriptions, a subscription's subscribers.
//!
//! Invariant: the index is there if there are more than [`SCAN_MAX`] values, or were and are more than half as
//! many still; it then holds the place of every value.

use std::hash::Hash;

use ahash::{HashMap, RandomState};
use smallvec::SmallVec;

/// Values up to this many are looked up from front to back.
const SCAN_MAX: usize = 8;

/// A set of small values, in one piece of memory to go over; one or two need no memory of their own.
#[derive(Debug)]
pub(crate) struct SmallSet<T> {
    values: SmallVec<[T; 2]>,
    /// The place of each value.
    index: Option<Box<HashMap<T, u32>>>,
}

impl<T> Default for SmallSet<T> {
    fn default() -> Self {
        Self {
            values: SmallVec::new(),
            index: None,
        }
    }
}

impl<T: Copy + Eq + Hash> SmallSet<T> {
    /// All values. Their order depends on nothing but the operations before.
    pub(crate) fn as_slice(&self) -> &[T] {
        &self.values
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn contains(&self, value: T) -> bool {
        self.place(value).is_some()
    }

    /// Puts `value` in; `hasher` is for the index, where one is needed. Whether it was not there.
    pub(crate) fn insert(&mut self, value: T, hasher: &RandomState) -> bool {
        if self.contains(value) {
            return false;
        }
        if let Some(index) = &mut self.index {
            index.insert(value, self.values.len() as u32);
        }
        self.values.push(value);
        if self.index.is_none() && self.values.len() > SCAN_MAX {
            let mut index = HashMap::with_capacity_and_hasher(2 * SCAN_MAX, hasher.clone());
            index.extend(self.values.iter().copied().zip(0..));
            self.index = Some(Box::new(index));
        }
        true
    }

    /// Takes `value` out. Whether it was there.
    pub(crate) fn remove(&mut self, value: T) -> bool {
        let Some(place) = self.place(value) else {
            return false;
        };
        self.values.swap_remove(place);
        if let Some(index) = &mut self.index {
            index.remove(&value);
            if let Some(moved) = self.values.get(place) {
                index.insert(*moved, place as u32);
            }
        }
        if self.values.len() <= SCAN_MAX / 2 {
            self.index = None;
            self.values.shrink_to_fit();
        }
        true
    }

    /// Where `value` is in [`as_slice`](Self::as_slice).
    pub(crate) fn place(&self, value: T) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(&value).map(|place| *place as usize),
            None => self.values.iter().position(|held| *held == value),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0..30_u8), 0..300)) {
            let hasher = RandomState::with_seeds(1, 2, 3, 4);
            let (mut set, mut expected) = (SmallSet::default(), BTreeSet::new());
            for (put, value) in steps {
                if put {
                    prop_assert_eq!(set.insert(value, &hasher), expected.insert(value));
                } else {
                    prop_assert_eq!(set.remove(value), expected.remove(&value));
                }
                prop_assert_eq!(set.len(), expected.len());
                prop_assert_eq!(set.as_slice().iter().copied().collect::<BTreeSet<_>>(), expected.clone());
                for value in 0..30 {
                    prop_assert_eq!(set.contains(value), expected.contains(&value));
                }
            }
        }
    }

    #[test]
    fn a_set_that_was_large_gives_its_memory_back() {
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let mut set = SmallSet::default();
        for value in 0..10_000_u64 {
            set.insert(value, &hasher);
        }
        assert!(set.index.is_some());
        for value in 2..10_000 {
            assert!(set.remove(value));
        }
        assert!(set.index.is_none() && !set.values.spilled());
    }

    #[test]
    fn one_or_two_values_cost_the_set_alone() {
        assert_eq!(size_of::<SmallSet<u64>>(), 32);
        let mut set = SmallSet::default();
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        set.insert(1_u64, &hasher);
        set.insert(2, &hasher);
        assert!(!set.values.spilled());
    }
}
