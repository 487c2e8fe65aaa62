//! Subscribers that wait for retained events (specification, "Event Retention").
//!
//! A new subscriber's shard asks after SUBSCRIBED: the owner of an exact topic, all shards for a pattern. A live
//! publication that is to be retained itself and reaches the subscriber before the answer does supersedes the
//! retained event of its topic: the subscriber never gets the older after the newer.
//!
//! Invariant: of one connection's questions for patterns no more than one is under way; the others stand in a line. So
//! nobody's questions keep another's waiting, and those that are given up in the line cost no shard anything.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use ahash::{HashMap, RandomState};

use super::kept::fitting;
use super::live::Live;
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

/// For so many topics it is known at least that something newer came live.
const LIVE: usize = 10_000;

/// A realm's subscribers on one shard that wait for retained events.
#[derive(Debug)]
pub(super) struct Searches {
    searches: HashMap<Token, Search>,
    lines: HashMap<ConnKey, Line>,
    /// Counts the live publications that supersede something.
    moment: u64,
    /// Most topics of one connection of which it is known that something newer came live.
    most_live: usize,
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
    /// The questions that somebody waits for still; the first was asked first.
    open: BTreeSet<Token>,
    /// What came live since the first of `open` was asked: it supersedes what is found of the same topic, whatever the
    /// subscription, since a publication reaches all that match it at once.
    live: Live,
}

impl Searches {
    /// For a realm that retains no more than `events`.
    pub(super) fn new(hasher: &RandomState, events: usize) -> Self {
        Self {
            most_live: events.saturating_mul(2).max(LIVE),
            searches: HashMap::with_hasher(hasher.clone()),
            lines: HashMap::with_hasher(hasher.clone()),
            moment: 0,
            hasher: hasher.clone(),
        }
    }

    /// Entries of all tables.
    pub(super) fn held(&self) -> usize {
        let live = self.lines.values().map(|line| line.live.len());
        self.searches.len() + self.lines.len() + live.sum::<usize>()
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
            open: BTreeSet::new(),
            live: Live::new(hasher),
        });
        line.len += 1;
        line.open.insert(token);
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
        search.drop_superseded(&line.live, &self.hasher);
        line.open.remove(&token);
        line.forget_live(&self.searches);
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
            line.open.remove(&token);
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
        line.forget_live(&self.searches);
        self.drop_if_empty(conn);
    }

    /// A live publication that is retained too reaches the session on `conn`, which needs no older one of its topic.
    fn came_live(&mut self, conn: ConnKey, topic: u64) {
        let Some(line) = self.lines.get_mut(&conn).filter(|line| !line.open.is_empty()) else {
            return;
        };
        line.live.came(topic, self.moment);
        if line.live.len() <= self.most_live {
            return;
        }
        // After the oldest quarter came half as many others again as all shards retain, so that it is hardly found any more;
        // what is found already is dropped here.
        for token in &line.open {
            if let Some(search) = self.searches.get_mut(token) {
                search.drop_superseded(&line.live, &self.hasher);
            }
        }
        line.live.forget_quarter();
    }
}

impl Search {
    /// Drops what is found of topics of which something newer came live.
    fn drop_superseded(&mut self, live: &Live, hasher: &RandomState) {
        let since = self.since;
        self.found
            .retain(|event| !live.is_newer(hasher.hash_one(&event.publication.topic), since));
    }
}

impl Line {
    /// Forgets what came live before all questions that somebody waits for.
    fn forget_live(&mut self, searches: &HashMap<Token, Search>) {
        let first = self.open.first().and_then(|token| searches.get(token));
        self.live
            .forget_until(first.map_or(u64::MAX, |search| search.since));
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
        searches.moment += 1;
        for effect in &fx.list[begun..] {
            if let Effect::Deliver { receivers, .. } = effect {
                for conn in &fx.receivers[receivers.clone()] {
                    searches.came_live(*conn, topic);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PublicationId;
    use crate::payload::Payload;
    use crate::session::Identity;
    use crate::time::Time;
    use crate::value::Dict;

    fn search(conn: ConnKey) -> Search {
        let identity = Identity {
            authid: "somebody".into(),
            authrole: "user".into(),
        };
        Search {
            conn,
            subscriber: Disclosed {
                session: SessionId(1),
                identity: Arc::new(identity),
            },
            subscription: SubscriptionId(1),
            key: Key {
                realm: RealmId(0),
                policy: MatchPolicy::Prefix,
                uri: Arc::from(""),
            },
            waiting_for: 2,
            found: Vec::new(),
            since: 0,
            is_over: false,
        }
    }

    fn retained(topic: &'static str) -> Retained {
        let publication = Publication {
            realm: RealmId(0),
            topic: topic.into(),
            publication: PublicationId(1),
            publisher: None,
            trustlevel: None,
            receivers: None,
            retain: true,
            rest: Dict::new(),
            payload: Payload::EMPTY,
        };
        Retained {
            at: Time::default(),
            bytes: 1,
            publication: Arc::new(publication),
        }
    }

    /// What one shard found is superseded, also if so much came live until the other has answered that not all is known.
    #[test]
    fn what_is_found_before_much_comes_live_is_superseded_too() {
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let mut searches = Searches::new(&hasher, 0);
        let (conn, token) = (
            ConnKey {
                slot: 0,
                generation: 0,
            },
            Token(1),
        );
        searches.open(token, search(conn));
        assert!(
            searches
                .answered(token, vec![retained("old"), retained("other")])
                .is_none()
        );
        let others = (0..3 * LIVE as u64).filter(|topic| *topic != hasher.hash_one("other"));
        for topic in [hasher.hash_one("old")].into_iter().chain(others) {
            searches.moment += 1;
            searches.came_live(conn, topic);
        }
        assert!(searches.held() <= LIVE + 2);
        let found = searches.answered(token, Vec::new()).map(|search| search.found);
        let found = found.iter().flatten().map(|event| &*event.publication.topic);
        assert_eq!(found.collect::<Vec<_>>(), ["other"]);
        searches.drop_if_empty(conn);
        assert_eq!(searches.held(), 0);
    }
}
