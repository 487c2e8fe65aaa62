//! Retained events (specification, "Event Retention"): kept by the owner of their topic, sent to those who subscribe
//! later and ask for them.
//!
//! A new subscriber's shard asks after SUBSCRIBED: the owner of an exact topic, all shards for a pattern. A live
//! publication that is to be retained itself and reaches the subscriber before the answer does supersedes the
//! retained event of its topic: the subscriber never gets the older after the newer.
//!
//! A publication that a shard was told to retain is posted after the same publication to its subscribers. So it is
//! there for every SUBSCRIBE that begins after PUBLISHED.

use std::sync::Arc;
use std::time::Duration;

use ahash::{HashMap, RandomState};
use bytestring::ByteString;

use super::detached::detached;
use super::filter::Filter;
use super::kept::{Event, Kept, Reader, Share};
use super::publish::event;
use crate::config::Retention;
use crate::effect::{Effect, Effects};
use crate::error_uri as uri;
use crate::ids::{ConnKey, RealmId, SessionId, SubscriptionId};
use crate::options::MatchPolicy;
use crate::pattern::relation::Pattern;
use crate::peer::{Disclosed, FindRetained, Key, PeerMessage, Publication, Retain, Retained, Token};
use crate::router::{Refusal, Router};
use crate::timers::Timer;
use crate::value::Dict;

/// PUBLISH.Options: milliseconds after which an event is no longer retained. Not in the specification, which leaves
/// names that begin like this to implementations.
const EXPIRES: &str = "_expires";

/// Most bytes of retained events that one SUBSCRIBE gets, so that they fit into its outbox.
const ANSWER_BYTES: usize = 1 << 20;

/// What expired is forgotten no later than this after it did, and no more often than each second.
const SWEEP: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long a publication asks to be retained: no longer than its realm allows.
pub(crate) fn retain_for(options: &Dict, retention: &Retention) -> Result<Option<Duration>, Refusal> {
    let Some(value) = options.get(EXPIRES) else {
        return Ok(retention.expiry);
    };
    let Some(millis) = value.as_u64() else {
        return Err(Refusal::new(
            uri::INVALID_ARGUMENT,
            "_expires must be a number of milliseconds, an integer of at least 0",
        ));
    };
    let asked = Duration::from_millis(millis);
    Ok(Some(retention.expiry.map_or(asked, |most| asked.min(most))))
}

/// A realm's retained events on one shard.
#[derive(Debug)]
pub(super) struct Retaining {
    kept: Kept,
    share: Share,
    /// Whether a timer is set for what expires.
    is_sweeping: bool,
    searches: HashMap<Token, Search>,
}

/// A new subscriber's question for retained events.
#[derive(Debug)]
struct Search {
    conn: ConnKey,
    session: SessionId,
    subscription: SubscriptionId,
    key: Key,
    waiting_for: u16,
    found: Vec<Retained>,
    /// Topics of which the subscriber got something newer in the meantime.
    superseded: Vec<ByteString>,
}

impl Retaining {
    pub(super) fn new(hasher: &RandomState, retention: &Retention, shards: u16) -> Self {
        let share = |whole: usize| whole.div_ceil(usize::from(shards));
        Self {
            kept: Kept::default(),
            share: Share {
                events: share(retention.events),
                bytes: share(retention.bytes),
                per_topic: retention.per_topic,
            },
            is_sweeping: false,
            searches: HashMap::with_hasher(hasher.clone()),
        }
    }

    /// Subscribers that wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        self.searches.len()
    }

    /// A session is no longer subscribed.
    pub(super) fn forget(&mut self, conn: ConnKey, subscription: SubscriptionId) {
        if !self.searches.is_empty() {
            self.searches
                .retain(|_, search| (search.conn, search.subscription) != (conn, subscription));
        }
    }
}

impl Router {
    /// Has the owner of a publication's topic retain it.
    pub(super) fn retain(
        &mut self,
        publication: Arc<Publication>,
        excluded: Option<SessionId>,
        expires: Option<Duration>,
        fx: &mut Effects,
    ) {
        let hasher = &self.realms[publication.realm.0 as usize].hasher;
        let owner = hasher.owner(hasher.hash(MatchPolicy::Exact, &publication.topic));
        let retain = Retain {
            publication,
            excluded,
            expires,
        };
        self.post(owner, PeerMessage::Retain(Box::new(retain)), fx);
    }

    /// As owner: retains a publication.
    pub(crate) fn own_retain(&mut self, retain: &Retain, fx: &mut Effects) {
        let (now, realm) = (self.now, retain.publication.realm);
        let expires = retain.expires.map(|span| now.after(span));
        let event = Event::new(detached(&retain.publication), retain.excluded, (now, expires));
        let retaining = &mut self.realm(realm).broker.retaining;
        retaining.kept.expire(now);
        let share = retaining.share;
        fx.evicted += retaining.kept.put(event, share);
        self.sweep_later(realm);
    }

    /// What expired is forgotten; it is not found before that either.
    pub(crate) fn expire_retained(&mut self, realm: RealmId) {
        let now = self.now;
        let retaining = &mut self.realm(realm).broker.retaining;
        retaining.is_sweeping = false;
        retaining.kept.expire(now);
        self.sweep_later(realm);
    }

    fn sweep_later(&mut self, realm: RealmId) {
        let now = self.now;
        let retaining = &mut self.realm(realm).broker.retaining;
        if let Some(at) = retaining.kept.next_expiry().filter(|_| !retaining.is_sweeping) {
            retaining.is_sweeping = true;
            let at = at.clamp(now.after(SWEEP.0), now.after(SWEEP.1));
            self.timers.set(at, Timer::Retained(realm));
        }
    }

    /// A new subscriber wants the retained events of its topic or pattern.
    pub(super) fn ask_for_retained(
        &mut self,
        realm: RealmId,
        slot: u32,
        subscription: SubscriptionId,
        (conn, session): (ConnKey, SessionId),
        fx: &mut Effects,
    ) {
        let broker = &self.realms[realm.0 as usize].broker;
        let Some(key) = broker.subscriptions.slot(slot).map(|place| place.key.clone()) else {
            return;
        };
        let Some(identity) = self
            .conns
            .session(conn)
            .map(|session| Arc::clone(&session.identity))
        else {
            return;
        };
        let is_exact = key.policy == MatchPolicy::Exact;
        let token = self.new_token();
        let search = Search {
            conn,
            session,
            subscription,
            key: key.clone(),
            waiting_for: if is_exact { 1 } else { self.shards },
            found: Vec::new(),
            superseded: Vec::new(),
        };
        let place = self.realm(realm);
        let owner = place.hasher.owner(place.hasher.hash(key.policy, &key.uri));
        place.broker.retaining.searches.insert(token, search);
        let asked = FindRetained {
            from: self.me,
            token,
            key,
            subscriber: Disclosed { session, identity },
        };
        let asked = PeerMessage::FindRetained(Box::new(asked));
        if is_exact {
            self.post(owner, asked, fx);
        } else {
            self.post_all(&asked, fx);
        }
    }

    /// As owner: looks up what a new subscriber of any shard may get.
    pub(crate) fn find_retained(&mut self, asked: FindRetained, fx: &mut Effects) {
        let FindRetained {
            from,
            token,
            key,
            subscriber,
        } = asked;
        let most = self.realm_config(key.realm).retention.per_subscribe;
        let pattern = Pattern {
            policy: key.policy,
            uri: &key.uri,
        };
        let reader = Reader {
            session: subscriber.session,
            identity: &subscriber.identity,
            now: self.now,
        };
        let kept = &self.realms[key.realm.0 as usize].broker.retaining.kept;
        let events = kept.find(pattern, &reader, (most, ANSWER_BYTES));
        let realm = key.realm;
        self.post(from, PeerMessage::Retained { realm, token, events }, fx);
    }

    /// A shard says what it retains for a new subscriber.
    pub(crate) fn retained(&mut self, realm: RealmId, token: Token, events: Vec<Retained>, fx: &mut Effects) {
        let most = self.realm_config(realm).retention.per_subscribe;
        let searches = &mut self.realm(realm).broker.retaining.searches;
        let Some(search) = searches.get_mut(&token) else {
            // The subscriber is gone.
            return;
        };
        search.found.extend(events);
        search.waiting_for -= 1;
        if search.waiting_for > 0 {
            return;
        }
        let Some(mut search) = searches.remove(&token) else {
            return;
        };
        let id = search.subscription;
        search
            .found
            .retain(|event| !search.superseded.contains(&event.publication.topic));
        // Oldest first, as they would have come; of too many the newest.
        search
            .found
            .sort_by_key(|event| (event.at, event.publication.publication));
        let too_many = search.found.len().saturating_sub(most);
        let mut bytes = 0;
        let fitting = search.found[too_many..].iter().rev().take_while(|event| {
            let is_first = bytes == 0;
            bytes += event.publication.payload.len();
            is_first || bytes <= ANSWER_BYTES
        });
        let fitting = fitting.count();
        for Retained { publication, .. } in &search.found[search.found.len() - fitting..] {
            let mut event = event(publication, id, search.key.policy);
            event.details.retained = true;
            let first = fx.receivers.len();
            fx.receivers.push(search.conn);
            let receivers = first..fx.receivers.len();
            fx.list.push(Effect::Deliver {
                event: Box::new(event),
                receivers,
            });
        }
    }

    /// A live publication that is retained too: whoever gets it here needs no older one of its topic.
    pub(super) fn supersede(&mut self, publication: &Publication, exclude: Option<ConnKey>) {
        let retaining = &mut self.realms[publication.realm.0 as usize].broker.retaining;
        if retaining.searches.is_empty() {
            return;
        }
        let topic = Pattern {
            policy: MatchPolicy::Exact,
            uri: &publication.topic,
        };
        let lists = publication.receivers.as_deref();
        let filter = lists.map(|lists| Filter::new(lists, &self.hasher));
        for search in retaining.searches.values_mut() {
            let pattern = Pattern {
                policy: search.key.policy,
                uri: &search.key.uri,
            };
            let Some(session) = self.conns.session(search.conn) else {
                continue;
            };
            let is_for_it = filter
                .as_ref()
                .is_none_or(|filter| filter.admits(search.session, &session.identity));
            let gets_it = Some(search.conn) != exclude && is_for_it && pattern.covers(topic);
            if gets_it && !search.superseded.contains(&publication.topic) {
                search.superseded.push(publication.topic.clone());
            }
        }
    }
}
