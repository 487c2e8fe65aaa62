//! What came live to a connection while it waits for retained events.

use std::collections::BTreeMap;

use ahash::{HashMap, RandomState};

/// The topics of live publications that are retained too, by hash: each with the moment of the newest.
#[derive(Debug)]
pub(super) struct Live {
    by_topic: HashMap<u64, u64>,
    /// The same topics by moments. A publication has a moment, and so no two topics have the same.
    by_moment: BTreeMap<u64, u64>,
}

impl Live {
    pub(super) fn new(hasher: &RandomState) -> Self {
        Self {
            by_topic: HashMap::with_hasher(hasher.clone()),
            by_moment: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_topic.len()
    }

    /// Something of `topic` came.
    pub(super) fn came(&mut self, topic: u64, moment: u64) {
        if let Some(before) = self.by_topic.insert(topic, moment) {
            self.by_moment.remove(&before);
        }
        self.by_moment.insert(moment, topic);
    }

    /// Whether something of `topic` came after `since`.
    pub(super) fn is_newer(&self, topic: u64, since: u64) -> bool {
        self.by_topic.get(&topic).is_some_and(|moment| *moment > since)
    }

    /// Forgets what came until `moment`.
    pub(super) fn forget_until(&mut self, moment: u64) {
        while let Some(oldest) = self.by_moment.first_entry()
            && *oldest.key() <= moment
        {
            self.by_topic.remove(&oldest.remove());
        }
    }

    /// Forgets the oldest quarter.
    pub(super) fn forget_quarter(&mut self) {
        if let Some(moment) = self.by_moment.keys().nth(self.len() / 4).copied() {
            self.forget_until(moment);
        }
    }
}
