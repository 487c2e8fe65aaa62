//! Event history (specification, "Event History"): past events of the topics and patterns that a realm's
//! configuration names, whether or not anybody subscribes to them.
//!
//! A history is kept by its key's owner, in the order in which publications arrive there, which is that of each
//! publisher. Its subscription id is taken from the start, so that it can be asked for before the first SUBSCRIBE.
//! Publications for lists of sessions are never kept: sessions end, and their lists mean nothing afterwards. Neither
//! are the router's own events, which are published only where somebody hears them.

use std::sync::Arc;
use std::time::Duration;

use super::detached::{cost, detached};
use super::directory::Directory;
use super::log::{Log, Past};
use super::recall::Recalls;
use crate::config::History;
use crate::effect::{Effect, Effects, HistoryChange, StoredEvent};
use crate::ids::{RealmId, ShardId, ShardSet};
use crate::key_hash::KeyHasher;
use crate::pattern::PatternMap;
use crate::peer::{Key, PeerMessage, Publication};
use crate::router::Router;
use crate::time::{Time, UnixTime};
use crate::timers::Timer;
use crate::uri::is_reserved;

/// What is too old is forgotten no later than this after it is.
const SWEEP: Duration = Duration::from_secs(60);

/// A realm's histories as one shard knows them: all keys, and the events of those that it owns.
#[derive(Debug)]
pub(super) struct Histories {
    /// Places in `histories`.
    pub(super) keys: PatternMap<usize>,
    pub(super) histories: Vec<Kept>,
    /// When what is too old by then is forgotten, if a timer is set for that.
    sweep: Option<Time>,
    pub(super) recalls: Recalls,
}

#[derive(Debug)]
pub(super) struct Kept {
    owner: ShardId,
    pub(super) bounds: History,
    /// Empty on shards that do not own the key.
    pub(super) log: Log,
}

impl Kept {
    /// What the stored copy of this history, the one at `place`, is to do.
    fn change(&mut self, realm: RealmId, place: usize) -> Option<Effect> {
        let (added, first) = self.log.change()?;
        Some(Effect::Store(Box::new(HistoryChange {
            realm,
            history: place,
            bytes: added.as_ref().map_or(0, |event| cost(&event.publication)),
            added,
            first,
        })))
    }
}

impl Histories {
    /// The histories of a realm, if it has any; the ids of those that shard `me` owns are taken in its `directory`.
    pub(super) fn new(
        configured: &[History],
        (me, realm): (ShardId, RealmId),
        (hasher, directory): (&KeyHasher, &mut Directory),
        random: &ahash::RandomState,
    ) -> Option<Box<Self>> {
        if configured.is_empty() {
            return None;
        }
        let mut keys = PatternMap::new(random.clone());
        let mut histories = Vec::new();
        for bounds in configured {
            let (policy, uri) = (bounds.match_policy, &*bounds.uri);
            let hash = hasher.hash(policy, uri);
            let owner = hasher.owner(hash);
            if owner == me {
                let key = Key {
                    realm,
                    policy,
                    uri: Arc::from(uri),
                };
                directory.reserve(hasher, key, hash);
            }
            keys.insert(policy, uri, histories.len());
            histories.push(Kept {
                owner,
                bounds: bounds.clone(),
                log: Log::new(bounds.durable && owner == me, random),
            });
        }
        Some(Box::new(Self {
            keys,
            histories,
            sweep: None,
            recalls: Recalls::new(random),
        }))
    }

    /// The shards that keep a publication.
    pub(super) fn owners(&self, publication: &Publication) -> ShardSet {
        let mut owners = ShardSet::EMPTY;
        let lists = publication.receivers.as_deref();
        if is_reserved(&publication.topic)
            || lists.is_some_and(|lists| lists.eligible.is_some() || lists.exclude.is_some())
        {
            return owners;
        }
        let histories = &self.histories;
        self.keys.matches(&publication.topic, |_, _, place| {
            owners.insert(histories[*place].owner)
        });
        owners
    }

    pub(super) fn expire(&mut self, now: UnixTime) {
        for history in &mut self.histories {
            history.log.expire(now, &history.bounds);
        }
    }

    /// Has what changed done to the stored copies too.
    fn store(&mut self, realm: RealmId, fx: &mut Effects) {
        let histories = self.histories.iter_mut().enumerate();
        fx.list
            .extend(histories.filter_map(|(place, history)| history.change(realm, place)));
    }

    /// How long from `now` until something is too old.
    fn next_expiry(&self, now: UnixTime) -> Option<Duration> {
        let next = |history: &Kept| {
            let age =
                Duration::from_micros(u64::try_from(now.0 - history.log.oldest()?.0).unwrap_or_default());
            Some(history.bounds.max_age?.saturating_sub(age))
        };
        self.histories.iter().filter_map(next).min()
    }
}

impl Router {
    pub(super) fn civil_time(&self) -> UnixTime {
        self.config.started.at(self.now)
    }

    /// Has the owners of its histories keep a publication.
    pub(super) fn record(&mut self, publication: &Arc<Publication>, owners: ShardSet, fx: &mut Effects) {
        for owner in owners.iter() {
            self.post(owner, PeerMessage::Record(Arc::clone(publication)), fx);
        }
    }

    /// As owner of histories: keeps a publication.
    pub(crate) fn own_record(&mut self, publication: &Publication, fx: &mut Effects) {
        let (me, at) = (self.me, self.civil_time());
        let realm = publication.realm;
        let publication = Arc::new(detached(publication));
        let Some(histories) = &mut self.realm(realm).broker.histories else {
            return;
        };
        let Histories { keys, histories, .. } = &mut **histories;
        keys.matches(&publication.topic, |_, _, place| {
            let history = &mut histories[*place];
            if history.owner == me {
                history.log.expire(at, &history.bounds);
                let publication = Arc::clone(&publication);
                history.log.push(Past { at, publication }, &history.bounds);
                fx.list.extend(history.change(realm, *place));
            }
        });
        self.sweep_histories_later(realm);
    }

    /// A timer of a realm's histories is over.
    pub(crate) fn histories_timeout(&mut self, realm: RealmId, fx: &mut Effects) {
        let (now, time) = (self.now, self.civil_time());
        // What is too old is forgotten; it is not found before that either.
        if let Some(histories) = &mut self.realm(realm).broker.histories
            && histories.sweep.is_some_and(|at| at <= now)
        {
            histories.sweep = None;
            histories.expire(time);
            histories.store(realm, fx);
            self.sweep_histories_later(realm);
        }
    }

    /// Before the first message: takes the past events back that `take(realm, history)` has of each of this shard's
    /// histories, in the order of their numbers; what its bounds do not allow any more is forgotten.
    pub fn restore(
        &mut self,
        now: Time,
        mut take: impl FnMut(RealmId, usize) -> Vec<StoredEvent>,
        fx: &mut Effects,
    ) {
        self.now = now;
        let (me, time) = (self.me, self.civil_time());
        for id in 0..self.realms.len() {
            let realm = RealmId(id as u32);
            let Some(histories) = &mut self.realm(realm).broker.histories else {
                continue;
            };
            for (place, history) in histories.histories.iter_mut().enumerate() {
                if history.owner == me {
                    for event in take(realm, place) {
                        history.log.restore(event, &history.bounds);
                    }
                }
            }
            histories.expire(time);
            histories.store(realm, fx);
            self.sweep_histories_later(realm);
        }
    }

    fn sweep_histories_later(&mut self, realm: RealmId) {
        let (now, time) = (self.now, self.civil_time());
        let Some(histories) = &mut self.realm(realm).broker.histories else {
            return;
        };
        if histories.sweep.is_some() {
            return;
        }
        if let Some(span) = histories.next_expiry(time) {
            let at = now.after(span.clamp(Duration::from_secs(1), SWEEP));
            histories.sweep = Some(at);
            self.timers.set(at, Timer::Histories(realm));
        }
    }
}
