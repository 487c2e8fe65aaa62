//! Event histories: what each may hold. The disk has of durable ones what they hold, and a router that starts takes it
//! back.

use std::collections::BTreeSet;
use std::sync::Arc;

use crosspoint_core::config::{self, RouterConfig};
use crosspoint_core::effect::StoredEvent;
use crosspoint_core::ids::{RealmId, SubscriptionId};
use crosspoint_core::peer;
use crosspoint_core::time::UnixTime;

use super::Oracle;
use super::events::Publication;
use super::evidence::Evidence;
use super::recall::Recall;
use super::session::Session;
use crate::broken::{Check, ensure, found};
use crate::store::Place;
use crate::uris::Key;
use crate::workload::token_of;

/// A history that a realm's configuration names.
pub(super) struct History {
    place: Place,
    pub(super) key: Key,
    pub(super) bounds: config::History,
    /// The subscription's id, once it is known.
    pub(super) id: Option<SubscriptionId>,
    /// Publications that it may hold.
    pub(super) past: Vec<Past>,
    /// The most events that it ever could hold: the disk may not yet know that it is fewer now.
    longest: usize,
    /// Those that the disk did not take.
    unstored: BTreeSet<u64>,
}

/// A publication that a history keeps, or kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) token: u64,
    /// The publisher, and its publication's place among all of its own.
    pub(super) publisher: usize,
    pub(super) place: (bool, u64),
    /// Quiet moments before it.
    pub(super) epoch: u64,
    /// When it was made, which is before it came to the history.
    pub(super) made: UnixTime,
}

impl Past {
    /// Whether this is before `other` in every log that holds both.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        self.epoch < other.epoch || (self.publisher == other.publisher && self.place < other.place)
    }
}

/// Bytes that one event of these runs takes in a history: at least, and at most.
const COSTS: (usize, usize) = (384, 1024);

impl History {
    fn new(place: Place, bounds: &config::History) -> Self {
        let realm = place.0.0 as usize;
        let (_, longest) = lengths(bounds);
        Self {
            place,
            key: Key::new(realm, bounds.match_policy, &bounds.uri.as_str().into()),
            bounds: bounds.clone(),
            id: None,
            past: Vec::new(),
            longest,
            unstored: BTreeSet::new(),
        }
    }

    /// How many events it holds if no age bounds it and there were enough: at least, and at most.
    pub(super) fn lengths(&self) -> (usize, usize) {
        lengths(&self.bounds)
    }

    /// What was there then may have been forgotten for its age by `now`.
    pub(super) fn may_be_too_old(&self, past: &Past, now: UnixTime) -> bool {
        self.bounds.max_age.is_some_and(|age| past.made < now.before(age))
    }
}

fn lengths(bounds: &config::History) -> (usize, usize) {
    let (least, most) = COSTS;
    let fits = |cost| bounds.events.min(bounds.bytes / cost);
    (fits(most), fits(least))
}

/// The histories of a configuration.
pub(super) fn histories(config: &RouterConfig) -> Vec<History> {
    let mut all = Vec::new();
    for (realm, config) in config.realms.iter().enumerate() {
        let histories = config.histories.iter().enumerate();
        all.extend(histories.map(|(place, bounds)| History::new((RealmId(realm as u32), place), bounds)));
    }
    all
}

impl Oracle {
    pub(super) fn civil_time(&self) -> UnixTime {
        self.config.started.at(self.now)
    }

    /// A publication is made.
    pub(super) fn remember(&mut self, token: u64) {
        let publication = &self.publications[&token];
        if !publication.is_kept() {
            return;
        }
        let past = Past {
            token,
            publisher: publication.publisher,
            place: (publication.is_testament, token),
            epoch: self.epoch,
            made: self.config.started.at(self.now),
        };
        for history in &mut self.histories {
            if history.key.realm == publication.realm && history.key.matches(&publication.topic) {
                history.past.push(past);
            }
        }
    }

    /// A key has an id: that of a history is there from the start, and stays.
    pub(super) fn history_has_id(&mut self, key: &Key, id: SubscriptionId) -> Check {
        if let Some(history) = self.histories.iter_mut().find(|history| history.key == *key) {
            let known = *history.id.get_or_insert(id);
            ensure!(
                known == id,
                "the id of a history stays",
                "{key:?} has the ids {known} and {id}"
            );
        }
        Ok(())
    }

    /// Histories of a realm whose ids somebody knows.
    pub(crate) fn known_histories(&self, realm: usize) -> Vec<SubscriptionId> {
        let of_realm = self.histories.iter().filter(|history| history.key.realm == realm);
        of_realm.filter_map(|history| history.id).collect()
    }

    /// The disk does not take a publication.
    pub(crate) fn not_stored(&mut self, place: Place, publication: &peer::Publication) {
        let token = token_of(&publication.payload);
        if let Some(history) = self.histories.iter_mut().find(|history| history.place == place) {
            history.unstored.extend(token);
            self.tally.add("events that the disk did not take");
        }
    }

    /// All is quiet, and the disk has written all that it took of a history.
    pub(crate) fn check_stored(&mut self, place: Place, stored: &[StoredEvent]) -> Check {
        let invariant = "the disk has what a durable history holds, as it is there";
        let history = self.histories.iter().find(|history| history.place == place);
        let history = found!(history, invariant, "{place:?}");
        let (mut got, mut ids) = (Vec::new(), Vec::new());
        for event in stored {
            let token = token_of(&event.publication.payload).unwrap_or_default();
            let past = history.past.iter().find(|past| past.token == token);
            let past = *found!(past, invariant, "{event:?} of {:?}", history.key);
            ensure!(
                past.made <= event.at && event.at <= self.civil_time(),
                invariant,
                "{event:?} was made at {:?}",
                past.made
            );
            got.push(past);
            ids.push((token, event.publication.publication));
        }
        let evidence = Evidence {
            history,
            recall: &Recall::of_all(self.epoch),
            got,
            now: self.civil_time(),
        };
        evidence.check(|past| !history.unstored.contains(&past.token))?;
        for (token, id) in ids {
            self.publication_has_id(token, id)?;
        }
        self.tally.add("stored histories");
        Ok(())
    }

    /// The router starts again, with a configuration of the same histories and what the disk has of them. No session
    /// is left, and nothing but those histories.
    pub(crate) fn started_again(
        &mut self,
        config: Arc<RouterConfig>,
        shards: u16,
        stored: impl Fn(Place) -> Vec<StoredEvent>,
    ) {
        let before = std::mem::replace(self, Self::new(config, shards));
        self.now = before.now;
        self.step = before.step;
        self.epoch = before.epoch + 1;
        self.tally = before.tally;
        // Who published what is there again is asked for still.
        self.sessions = before.sessions.into_iter().map(Session::after_end).collect();
        self.publications = before.publications;
        self.publication_ids = before.publication_ids;
        for (history, before) in self.histories.iter_mut().zip(before.histories) {
            let stored = stored(history.place);
            let tokens = stored
                .iter()
                .filter_map(|event| token_of(&event.publication.payload));
            let tokens: BTreeSet<u64> = tokens.collect();
            history.longest = history.longest.max(before.longest);
            history.past = before.past;
            history.past.retain(|past| tokens.contains(&past.token));
            for _ in &history.past {
                self.tally.add("past events of earlier runs");
            }
        }
        self.tally.add("restarts");
    }

    /// All is quiet: forgets what no history can hold any more, and no disk either: that forgets only when it takes
    /// something new.
    pub(super) fn forget_past(&mut self) {
        for history in &mut self.histories {
            let unstored = &mut history.unstored;
            let stored = history.past.iter().filter(|past| !unstored.contains(&past.token));
            if let Some(oldest) = stored.rev().nth(history.longest).copied() {
                history.past.retain(|past| past.epoch >= oldest.epoch);
                unstored.retain(|token| history.past.iter().any(|past| past.token == *token));
            }
        }
    }
}

impl Publication {
    /// Whether histories keep it: what is for certain sessions is not.
    fn is_kept(&self) -> bool {
        let lists = self.receivers.as_deref();
        !self.is_refused && lists.is_none_or(|lists| lists.eligible.is_none() && lists.exclude.is_none())
    }
}
