//! URIs that are compared as a whole: a keyed hash map.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

/// Below this capacity a map is not worth shrinking.
const CAPACITY_KEPT: usize = 64;

#[derive(Debug)]
pub(super) struct ExactMap<V> {
    entries: HashMap<Arc<str>, V, RandomState>,
}

impl<V> ExactMap<V> {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self {
            entries: HashMap::with_hasher(hasher),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, uri: &str) -> Option<&V> {
        self.entries.get(uri)
    }

    pub(super) fn get_mut(&mut self, uri: &str) -> Option<&mut V> {
        self.entries.get_mut(uri)
    }

    pub(super) fn get_or_insert_with(&mut self, uri: Arc<str>, value: impl FnOnce() -> V) -> &mut V {
        self.entries.entry(uri).or_insert_with(value)
    }

    /// The entry of `uri` with the map's own copy of it.
    pub(super) fn find(&self, uri: &str) -> Option<(&str, &V)> {
        self.entries
            .get_key_value(uri)
            .map(|(uri, value)| (&**uri, value))
    }

    pub(super) fn remove(&mut self, uri: &str) -> Option<V> {
        let value = self.entries.remove(uri);
        // A map never shrinks by itself: a burst of topics would hold its memory for ever. Shrinking at an
        // eighth to a quarter costs each removal a constant on average.
        let (len, capacity) = (self.entries.len(), self.entries.capacity());
        if capacity > CAPACITY_KEPT && len < capacity / 8 {
            self.entries.shrink_to(len * 2);
        }
        value
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.entries.iter().map(|(uri, value)| (&**uri, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_follows_the_number_of_entries() {
        let mut map = ExactMap::new(RandomState::with_seeds(1, 2, 3, 4));
        for n in 0..10_000 {
            map.get_or_insert_with(format!("com.app.{n}").into(), || n);
        }
        for n in 10..10_000 {
            assert_eq!(map.remove(&format!("com.app.{n}")), Some(n));
        }
        assert_eq!(map.len(), 10);
        assert!(
            map.entries.capacity() <= 2 * CAPACITY_KEPT,
            "{}",
            map.entries.capacity()
        );
        assert_eq!(map.get("com.app.9"), Some(&9));
    }
}
