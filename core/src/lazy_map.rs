//! A hash map of which most sessions never have an entry: one pointer until then.

use std::hash::Hash;

use ahash::{HashMap, RandomState};

/// A hash map that is made at its first entry.
#[derive(Debug)]
pub(crate) struct LazyMap<K, V>(Option<Box<HashMap<K, V>>>);

impl<K, V> Default for LazyMap<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: Eq + Hash, V> LazyMap<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |map| map.len())
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.as_ref()?.get(key)
    }

    /// Sets the value of `key`; `hasher` is that of the map if it has to be made.
    pub(crate) fn insert(&mut self, key: K, value: V, hasher: &RandomState) {
        let make = || Box::new(HashMap::with_hasher(hasher.clone()));
        self.0.get_or_insert_with(make).insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.0.as_mut()?.remove(key)
    }

    /// All entries by key: in an order that is the same in each run.
    pub(crate) fn into_sorted(self) -> Vec<(K, V)>
    where
        K: Copy + Ord,
    {
        let mut entries: Vec<_> = self.0.into_iter().flat_map(|map| *map).collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_made_at_its_first_entry() {
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let mut map = LazyMap::default();
        assert_eq!((map.len(), map.get(&2)), (0, None));
        assert_eq!(map.remove(&2), None);
        assert!(map.0.is_none());
        assert_eq!(size_of_val(&map), size_of::<usize>());
        for key in [3, 1, 2] {
            map.insert(key, key * 10, &hasher);
        }
        assert_eq!(map.remove(&1), Some(10));
        assert!(map.contains_key(&2) && !map.contains_key(&1));
        map.insert(1, 11, &hasher);
        assert_eq!(map.into_sorted(), [(1, 11), (2, 20), (3, 30)]);
    }
}
