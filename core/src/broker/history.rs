//! Event history (specification, "Event History"): past events of the topics and patterns that a realm's
//! configuration names, whether or not anybody subscribes to them.
//!
//! A history is kept by its key's owner, in the order in which publications arrive there, which is that of each
//! publisher. Its subscription id is taken from the start, so that it can be asked for before the first SUBSCRIBE.
//! Publications for lists of sessions are never kept: sessions end, and their lists mean nothing afterwards. Neither
//! are the router's own events, which are published only where somebody hears them.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;

use super::detached::{cost, detached};
use super::directory::Directory;
use super::filter::Filter;
use super::log::{Log, Past, Selection};
use super::publish::event;
use crate::authorize::Action;
use crate::config::History;
use crate::effect::{Effect, Effects, HistoryChange, StoredEvent};
use crate::error_uri as uri;
use crate::ids::{PublicationId, RealmId, ShardId, ShardSet, SubscriptionId, is_valid_id};
use crate::key_hash::KeyHasher;
use crate::meta::{Answer, MetaCall, Query, Step, Whom, expected};
use crate::options::{EventDetails, MatchPolicy};
use crate::pattern::PatternMap;
use crate::peer::{Disclosed, Key, PeerMessage, Publication};
use crate::router::{Refusal, Router};
use crate::time::{Time, UnixTime};
use crate::timers::Timer;
use crate::uri::is_reserved;
use crate::value::{Dict, Value};

/// What is too old is forgotten no later than this after it is.
const SWEEP: Duration = Duration::from_secs(60);

/// A realm's histories as one shard knows them: all keys, and the events of those that it owns.
#[derive(Debug)]
pub(super) struct Histories {
    /// Places in `histories`.
    keys: PatternMap<usize>,
    histories: Vec<Kept>,
    /// Whether a timer is set for what grows too old.
    is_sweeping: bool,
}

#[derive(Debug)]
struct Kept {
    owner: ShardId,
    bounds: History,
    /// Empty on shards that do not own the key.
    log: Log,
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

/// What is asked of the owner of a history.
#[derive(Clone, Debug)]
pub struct EventQuery {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The caller, who gets only what it may receive.
    pub caller: Disclosed,
    /// Index of the caller's role in its realm's configuration.
    pub role: usize,
    /// Which events.
    pub selection: Selection,
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
                log: Log::new(bounds.durable && owner == me),
            });
        }
        Some(Box::new(Self {
            keys,
            histories,
            is_sweeping: false,
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

    fn expire(&mut self, now: UnixTime) {
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
    fn civil_time(&self) -> UnixTime {
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

    /// What is too old is forgotten; it is not found before that either.
    pub(crate) fn expire_histories(&mut self, realm: RealmId, fx: &mut Effects) {
        let now = self.civil_time();
        if let Some(histories) = &mut self.realm(realm).broker.histories {
            histories.is_sweeping = false;
            histories.expire(now);
            histories.store(realm, fx);
        }
        self.sweep_histories_later(realm);
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
        if histories.is_sweeping {
            return;
        }
        if let Some(span) = histories.next_expiry(time) {
            histories.is_sweeping = true;
            let at = now.after(span.clamp(Duration::from_secs(1), SWEEP));
            self.timers.set(at, Timer::Histories(realm));
        }
    }

    /// `wamp.subscription.get_events(subscription, …)`.
    pub(crate) fn subscription_get_events(
        &mut self,
        call: &MetaCall,
        fx: &mut Effects,
    ) -> Result<Step, Refusal> {
        let Some(session) = self.conns.session(call.caller.conn) else {
            return Ok(Step::Asked);
        };
        let query = EventQuery {
            subscription: SubscriptionId(call.id(0, "subscription")?),
            caller: Disclosed {
                session: session.id,
                identity: Arc::clone(&session.identity),
            },
            role: session.role(),
            selection: selection(call)?,
        };
        let owner = self.realms[call.realm.0 as usize]
            .hasher
            .owner(query.subscription.0);
        let query = Query::Events(Box::new(query));
        self.ask(call, (Whom::One(owner), query), Answer::events, fx)
    }

    /// As owner: looks past events up.
    pub(crate) fn find_events(&mut self, realm: RealmId, query: &EventQuery) -> Answer {
        let now = self.civil_time();
        let refused = |error| Answer::Refused(error);
        if let Some(histories) = &mut self.realm(realm).broker.histories {
            histories.expire(now);
        }
        let broker = &self.realms[realm.0 as usize].broker;
        let Some(key) = broker.directory.by_id(query.subscription).map(|owned| &owned.key) else {
            return refused(uri::NO_SUCH_SUBSCRIPTION);
        };
        let role = &self.config.realms[realm.0 as usize].roles[query.role];
        if !role.decide(Action::Subscribe, &key.uri, key.policy).allowed {
            return refused(uri::NOT_AUTHORIZED);
        }
        let Some(histories) = &broker.histories else {
            return refused(uri::HISTORY_UNAVAILABLE);
        };
        let Some(place) = histories.keys.get(key.policy, &key.uri) else {
            return refused(uri::HISTORY_UNAVAILABLE);
        };
        let admits = |publication: &Publication| {
            let lists = publication.receivers.as_deref();
            lists.is_none_or(|lists| {
                Filter::of_sorted(lists).admits(query.caller.session, &query.caller.identity)
            })
        };
        let found = histories.histories[*place].log.select(&query.selection, admits);
        let item = |past: &&Past| self.past_event(past, query.subscription, key.policy);
        Answer::Events {
            bytes: found.iter().map(|past| cost(&past.publication)).sum(),
            events: found.iter().map(item).collect(),
        }
    }

    /// A past event as `get_events` returns it.
    fn past_event(&self, past: &Past, subscription: SubscriptionId, policy: MatchPolicy) -> Value {
        let event = event(&past.publication, subscription, policy);
        let mut item = Dict::new()
            .with("timestamp", past.at.to_rfc3339())
            .with("subscription", subscription.0)
            .with("publication", event.publication.0)
            .with("details", details(event.details));
        // Without them where they are sealed as a whole, or too many to be read.
        if let Some(arguments) = self.config.values.read(&event.payload) {
            if !arguments.list.is_empty() || !arguments.dict.is_empty() {
                item.push("args", arguments.list);
            }
            if !arguments.dict.is_empty() {
                item.push("kwargs", arguments.dict);
            }
        }
        item.into()
    }
}

/// EVENT.Details as a dictionary.
fn details(details: EventDetails) -> Dict {
    let mut dict = Dict::new();
    if let Some(publisher) = details.publisher {
        dict.push("publisher", publisher.0);
    }
    let texts = [
        ("publisher_authid", details.publisher_authid),
        ("publisher_authrole", details.publisher_authrole),
        ("topic", details.topic),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            dict.push(key, text);
        }
    }
    if let Some(level) = details.trustlevel {
        dict.push("trustlevel", level);
    }
    dict.0.extend(details.rest.0);
    dict
}

/// The keyword arguments of `get_events`.
fn selection(call: &MetaCall) -> Result<Selection, Refusal> {
    let time = |name| match call.named(name) {
        None => Ok(None),
        Some(value) => match value.as_str().and_then(UnixTime::from_rfc3339) {
            Some(time) => Ok(Some(time)),
            None => Err(expected(
                name,
                "a time of RFC 3339, such as \"2014-06-22T16:36:25.448Z\"",
            )),
        },
    };
    let id = |name| match call.named(name) {
        None => Ok(None),
        Some(value) => match value.as_u64().filter(|id| is_valid_id(*id)) {
            Some(id) => Ok(Some(PublicationId(id))),
            None => Err(expected(name, "a publication id: an integer from 1 to 2^53")),
        },
    };
    let limit = match call.argument(1, "limit") {
        None => None,
        Some(value) => match value.as_u64().filter(|limit| *limit > 0) {
            Some(limit) => Some(limit),
            None => return Err(expected("limit", "an integer of at least 1")),
        },
    };
    let reverse = match call.named("reverse") {
        None => false,
        Some(Value::Bool(reverse)) => *reverse,
        Some(_) => return Err(expected("reverse", "true or false")),
    };
    let topic: Option<ByteString> = match call.named("topic") {
        None => None,
        Some(Value::Str(topic)) => Some(topic.clone()),
        Some(_) => return Err(expected("topic", "a URI")),
    };
    Ok(Selection {
        reverse,
        limit,
        from_time: time("from_time")?,
        after_time: time("after_time")?,
        before_time: time("before_time")?,
        until_time: time("until_time")?,
        topic,
        from_publication: id("from_publication")?,
        after_publication: id("after_publication")?,
        before_publication: id("before_publication")?,
        until_publication: id("until_publication")?,
    })
}
