//! Subscribers that wait for retained events (specification, "Event Retention").
//!
//! A new subscriber's shard asks after SUBSCRIBED: the owner of an exact topic, all shards for a pattern. A live
//! publication that is to be retained itself and reaches the subscriber before the answer does supersedes the
//! retained event of its topic: the subscriber never gets the older after the newer.
//!
//! Invariant: of one connection's questions for patterns no more than one is under way; the others stand in a line. So
//! nobody's questions keep another's waiting, and those that are given up in the line cost no shard anything.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::{HashMap, RandomState};

use super::kept::fitting;
use super::look_up::ANSWER_BYTES;
use super::publish::event;
use crate::effect::{Effect, Effects};
use crate::error_uri as uri;
use crate::ids::{ConnKey, RealmId, SessionId, SubscriptionId};
use crate::options::MatchPolicy;
use crate::peer::{Disclosed, FindRetained, Key, PeerMessage, Publication, Retained, Token};
use crate::router::{Refusal, Router};

/// Most questions of one session.
const QUESTIONS: usize = 10_000;

/// A realm's subscribers on one shard that wait for retained events.
#[derive(Debug)]
pub(super) struct Searches {
    searches: HashMap<Token, Search>,
    lines: HashMap<ConnKey, Line>,
    /// Counts the live publications that supersede something.
    moment: u64,
    hasher: RandomState,
}

/// A new subscriber's question for retained events.
#[derive(Debug)]
struct Search {
    conn: ConnKey,
    subscriber: Disclosed,
    subscription: SubscriptionId,
    key: Key,
    /// How many shards have not answered.
    waiting_for: u16,
    found: Vec<Retained>,
    /// What came live until then supersedes nothing.
    since: u64,
    /// Whether nobody waits for it any more.
    is_over: bool,
}

/// All that one connection waits for.
#[derive(Debug)]
struct Line {
    /// In the order in which they were asked, and so about that of the answers.
    by_subscription: HashMap<SubscriptionId, VecDeque<Token>>,
    /// The questions for patterns. The first is under way; of the others some may have been given up.
    patterns: VecDeque<Token>,
    /// How many questions there are, with those that were given up.
    len: usize,
    /// When something came live last, by the hash of its topic.
    live: HashMap<(SubscriptionId, u64), u64>,
}

impl Searches {
    pub(super) fn new(hasher: &RandomState) -> Self {
        Self {
            searches: HashMap::with_hasher(hasher.clone()),
            lines: HashMap::with_hasher(hasher.clone()),
            moment: 0,
            hasher: hasher.clone(),
        }
    }

    /// Entries of all tables.
    pub(super) fn held(&self) -> usize {
        self.searches.len() + self.lines.len()
    }

    /// Whether there is room for one more of the session on `conn`.
    pub(super) fn check_limit(&self, conn: ConnKey) -> Result<(), Refusal> {
        if self.lines.get(&conn).is_none_or(|line| line.len < QUESTIONS) {
            return Ok(());
        }
        let message = format!("a session may wait for the retained events of {QUESTIONS} SUBSCRIBEs");
        Err(Refusal::new(uri::LIMIT_EXCEEDED, message))
    }

    /// Takes note of a question. Whether it is to be asked now.
    fn open(&mut self, token: Token, search: Search) -> bool {
        let hasher = &self.hasher;
        let line = self.lines.entry(search.conn).or_insert_with(|| Line {
            by_subscription: HashMap::with_hasher(hasher.clone()),
            patterns: VecDeque::new(),
            len: 0,
            live: HashMap::with_hasher(hasher.clone()),
        });
        line.len += 1;
        let of_subscription = line.by_subscription.entry(search.subscription);
        of_subscription.or_default().push_back(token);
        let is_pattern = search.key.policy != MatchPolicy::Exact;
        self.searches.insert(token, search);
        if is_pattern {
            line.patterns.push_back(token);
        }
        !is_pattern || line.patterns.len() == 1
    }

    /// The question for a pattern that was under way on `conn` is answered: the next is to be asked.
    fn next(&mut self, conn: ConnKey) -> Option<Token> {
        let line = self.lines.get_mut(&conn)?;
        while let Some(token) = line.patterns.front() {
            if self.searches.contains_key(token) {
                return Some(*token);
            }
            line.patterns.pop_front();
            line.len -= 1;
        }
        self.drop_if_empty(conn);
        None
    }

    fn drop_if_empty(&mut self, conn: ConnKey) {
        if self.lines.get(&conn).is_some_and(|line| line.len == 0) {
            self.lines.remove(&conn);
        }
    }

    /// A shard has answered. Returns the question with all that was found if it was the last.
    fn answered(&mut self, token: Token, events: Vec<Retained>) -> Option<Search> {
        let search = self.searches.get_mut(&token)?;
        if !search.is_over {
            search.found.extend(events);
        }
        search.waiting_for -= 1;
        if search.waiting_for > 0 {
            return None;
        }
        let mut search = self.searches.remove(&token)?;
        let line = self.lines.get_mut(&search.conn)?;
        line.len -= 1;
        if line.patterns.front() == Some(&token) {
            line.patterns.pop_front();
        }
        let subscription = search.subscription;
        if let Some(tokens) = line.by_subscription.get_mut(&subscription) {
            if let Some(place) = tokens.iter().position(|other| *other == token) {
                tokens.remove(place);
            }
            if tokens.is_empty() {
                line.by_subscription.remove(&subscription);
            }
        }
        search.found.retain(|event| {
            let topic = self.hasher.hash_one(&event.publication.topic);
            let live = line.live.get(&(subscription, topic));
            live.is_none_or(|moment| *moment <= search.since)
        });
        Some(search)
    }

    /// The session on `conn` is no longer subscribed.
    pub(super) fn forget(&mut self, conn: ConnKey, subscription: SubscriptionId) {
        let Some(line) = self.lines.get_mut(&conn) else {
            return;
        };
        let Some(tokens) = line.by_subscription.remove(&subscription) else {
            return;
        };
        for token in tokens {
            let Some(search) = self.searches.get_mut(&token) else {
                continue;
            };
            if line.patterns.front() == Some(&token) {
                // The shards are at work for it: until they have answered, they get no other.
                search.is_over = true;
                search.found = Vec::new();
                continue;
            }
            let is_in_line = search.key.policy != MatchPolicy::Exact;
            self.searches.remove(&token);
            line.len -= usize::from(!is_in_line);
        }
        self.drop_if_empty(conn);
    }

    /// A live publication that is retained too reaches the session on `conn`, which needs no older one of its topic.
    fn came_live(&mut self, conn: ConnKey, subscription: SubscriptionId, topic: u64) {
        if let Some(line) = self.lines.get_mut(&conn) {
            self.moment += 1;
            line.live.insert((subscription, topic), self.moment);
        }
    }
}

impl Router {
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
        let Some(subscriber) = self.conns.session(conn) else {
            return;
        };
        let identity = Arc::clone(&subscriber.identity);
        let waiting_for = match key.policy {
            MatchPolicy::Exact => 1,
            MatchPolicy::Prefix | MatchPolicy::Wildcard => self.shards,
        };
        let token = self.new_token();
        let searches = &mut self.realm(realm).broker.searches;
        let search = Search {
            conn,
            subscriber: Disclosed { session, identity },
            subscription,
            key,
            waiting_for,
            found: Vec::new(),
            since: searches.moment,
            is_over: false,
        };
        if searches.open(token, search) {
            self.ask_owners(realm, token, fx);
        }
    }

    fn ask_owners(&mut self, realm: RealmId, token: Token, fx: &mut Effects) {
        let from = self.me;
        let place = self.realm(realm);
        let Some(search) = place.broker.searches.searches.get(&token) else {
            return;
        };
        let key = search.key.clone();
        let owner = place.hasher.owner(place.hasher.hash(key.policy, &key.uri));
        let is_exact = key.policy == MatchPolicy::Exact;
        let asked = PeerMessage::FindRetained(Box::new(FindRetained {
            from,
            token,
            key,
            subscriber: search.subscriber.clone(),
        }));
        if is_exact {
            self.post(owner, asked, fx);
        } else {
            self.post_all(&asked, fx);
        }
    }

    /// A shard says what it retains for a new subscriber.
    pub(crate) fn retained(&mut self, realm: RealmId, token: Token, events: Vec<Retained>, fx: &mut Effects) {
        let most = self.realm_config(realm).retention.per_subscribe;
        let searches = &mut self.realm(realm).broker.searches;
        let Some(search) = searches.answered(token, events) else {
            return;
        };
        let next = match search.key.policy {
            MatchPolicy::Exact => {
                searches.drop_if_empty(search.conn);
                None
            }
            MatchPolicy::Prefix | MatchPolicy::Wildcard => searches.next(search.conn),
        };
        send_retained(search, most, fx);
        if let Some(next) = next {
            self.ask_owners(realm, next, fx);
        }
    }

    /// A live publication that is retained too went to those whom effects from the one at `begun` on name.
    pub(super) fn supersede(&mut self, publication: &Publication, begun: usize, fx: &Effects) {
        let searches = &mut self.realms[publication.realm.0 as usize].broker.searches;
        if searches.lines.is_empty() {
            return;
        }
        let topic = searches.hasher.hash_one(&publication.topic);
        for effect in &fx.list[begun..] {
            if let Effect::Deliver { event, receivers } = effect {
                for conn in &fx.receivers[receivers.clone()] {
                    searches.came_live(*conn, event.subscription, topic);
                }
            }
        }
    }
}

/// Sends what was found: oldest first, as it would have come; of too much the newest.
fn send_retained(search: Search, most: usize, fx: &mut Effects) {
    let mut found = search.found;
    found.sort_by_key(|event| (event.at, event.publication.publication));
    let newest_first = found.iter().rev().take(most);
    let count = fitting(newest_first, |event| event.bytes, ANSWER_BYTES).count();
    for Retained { publication, .. } in &found[found.len() - count..] {
        let mut event = event(publication, search.subscription, search.key.policy);
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
