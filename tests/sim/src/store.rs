//! A disk with the stored copies of durable histories: changes wait in a queue, are written one by one, and those
//! that wait are lost with the router. What the queue does not take is never written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crosspoint_core::effect::{HistoryChange, StoredEvent};
use crosspoint_core::ids::RealmId;
use fastrand::Rng;

use crate::plan::Fault;

/// A history: its realm, and its place in the realm's configuration.
pub(crate) type Place = (RealmId, usize);

/// See the module.
pub(crate) struct Store {
    queue: VecDeque<HistoryChange>,
    /// Most changes that wait.
    limit: usize,
    /// What is written, by history and number.
    written: BTreeMap<Place, BTreeMap<u64, StoredEvent>>,
    /// Histories whose last change was lost: they may hold what should be forgotten.
    stale: BTreeSet<Place>,
    fault: Option<Fault>,
    rng: Rng,
}

impl Store {
    pub(crate) fn new(limit: usize, fault: Option<Fault>, rng: Rng) -> Self {
        Self {
            queue: VecDeque::new(),
            limit,
            written: BTreeMap::new(),
            stale: BTreeSet::new(),
            fault,
            rng,
        }
    }

    /// Whether everything is written.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes a change, or gives it back where too many wait. [`Fault::LoseChanges`] loses some.
    pub(crate) fn post(&mut self, change: HistoryChange) -> Result<(), HistoryChange> {
        let place = (change.realm, change.history);
        if self.fault == Some(Fault::LoseChanges) && self.rng.u32(..4) == 0 {
            return Ok(());
        }
        if self.queue.len() >= self.limit {
            self.stale.insert(place);
            return Err(change);
        }
        self.stale.remove(&place);
        self.queue.push_back(change);
        Ok(())
    }

    /// Writes the next change.
    pub(crate) fn write(&mut self) {
        let Some(change) = self.queue.pop_front() else {
            return;
        };
        let events = self.written.entry((change.realm, change.history)).or_default();
        if let Some(event) = change.added {
            events.insert(event.number, event);
        }
        *events = events.split_off(&change.first);
    }

    /// The router is gone, and with it what was not written.
    pub(crate) fn crash(&mut self) {
        for change in self.queue.drain(..) {
            self.stale.insert((change.realm, change.history));
        }
    }

    /// What is written of a history, oldest first.
    pub(crate) fn events(&self, place: Place) -> Vec<StoredEvent> {
        let events = self.written.get(&place).into_iter();
        events.flat_map(BTreeMap::values).cloned().collect()
    }

    /// Whether a history's last change was lost.
    pub(crate) fn is_stale(&self, place: Place) -> bool {
        self.stale.contains(&place)
    }
}
