//! Past events as they are asked for: `wamp.subscription.get_events` (specification, "Event History").
//!
//! Events of a topic, or for a caller, may have to be looked for among all that a history has. So this takes no more than
//! a share of the shard's time, as looking for retained events does: what does not fit into the step waits for its
//! [turn](super::turns).

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::{HashMap, RandomState};
use bytestring::ByteString;

use super::detached::cost;
use super::filter::Filter;
use super::history::Histories;
use super::log::{Log, Past, Scan, Selection};
use super::look_up::PER_QUESTION;
use super::publish::event;
use super::turns::{Kind, units};
use crate::authorize::Action;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{PublicationId, RealmId, SessionId, SubscriptionId, is_valid_id};
use crate::meta::{Answer, MetaCall, Query, Question, Step, Whom, expected};
use crate::options::{EventDetails, MatchPolicy};
use crate::payload::Payload;
use crate::peer::{Disclosed, Publication};
use crate::router::{Refusal, Router};
use crate::time::UnixTime;
use crate::uri::UriRules;
use crate::value::{Dict, Value};

/// Most questions of one session that wait on a shard.
const OPEN: usize = 100;

/// What the values of a past event take in an answer, about, beside the event: two dictionaries with room for eight entries.
const PAST_VALUES: usize = 16 * size_of::<(ByteString, Value)>();

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

/// The questions about a realm's histories that wait for their turn. The sessions have their turns one after the other,
/// and the questions of each are answered in the order in which they were asked.
#[derive(Debug)]
pub(super) struct Recalls {
    by_session: HashMap<SessionId, VecDeque<Recall>>,
    /// Each session that waits, once.
    ring: VecDeque<SessionId>,
}

#[derive(Debug)]
struct Recall {
    question: Arc<Question>,
    /// What it asks for.
    query: EventQuery,
    /// Of the history.
    place: usize,
    scan: Scan,
}

impl Recalls {
    pub(super) fn new(hasher: &RandomState) -> Self {
        Self {
            by_session: HashMap::with_hasher(hasher.clone()),
            ring: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_session.values().map(VecDeque::len).sum()
    }

    fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// How many questions of a session wait.
    fn of(&self, session: SessionId) -> usize {
        self.by_session.get(&session).map_or(0, VecDeque::len)
    }

    fn add(&mut self, recall: Recall) {
        let session = recall.query.caller.session;
        let waiting = self.by_session.entry(session).or_default();
        if waiting.is_empty() {
            self.ring.push_back(session);
        }
        waiting.push_back(recall);
    }

    /// The first question of the session whose turn it is.
    fn first(&mut self) -> Option<&mut Recall> {
        self.by_session.get_mut(self.ring.front()?)?.front_mut()
    }

    /// The turn goes to the next session. Returns the question that had it if that is done with.
    fn end_turn(&mut self, is_done: bool) -> Option<Recall> {
        let session = self.ring.pop_front()?;
        let waiting = self.by_session.get_mut(&session)?;
        let done = if is_done { waiting.pop_front() } else { None };
        if waiting.is_empty() {
            self.by_session.remove(&session);
        } else {
            self.ring.push_back(session);
        }
        done
    }
}

impl Recall {
    /// Looks on, as long as something is `left`. Whether all is found.
    fn go_on(&mut self, log: &Log, left: &mut i64) -> bool {
        let caller = &self.query.caller;
        let admits = |publication: &Publication| {
            let lists = publication.receivers.as_deref();
            lists.is_none_or(|lists| Filter::of_sorted(lists).admits(caller.session, &caller.identity))
        };
        log.scan((&mut self.scan, &self.query.selection), admits, left)
    }

    /// What was found, as an answer to its question.
    fn answer(self, policy: MatchPolicy) -> (Arc<Question>, Answer) {
        let (found, subscription) = (self.scan.found, self.query.subscription);
        let item = |past: &Past| past_event(past, subscription, policy);
        let answer = Answer::Events {
            bytes: found
                .iter()
                .map(|past| cost(&past.publication) + PAST_VALUES)
                .sum(),
            events: found.iter().map(item).collect(),
        };
        (self.question, answer)
    }
}

impl Router {
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
            selection: selection(call, &self.realms[call.realm.0 as usize].uris)?,
        };
        let owner = self.realms[call.realm.0 as usize]
            .hasher
            .owner(query.subscription.0);
        let query = Query::Events(Box::new(query));
        self.ask(call, (Whom::One(owner), query), Answer::events, fx)
    }

    /// As owner: looks past events up. Whoever has too many questions open already is refused.
    pub(crate) fn find_events(&mut self, question: &Arc<Question>, query: &EventQuery, fx: &mut Effects) {
        match self.begin_recall(question, query) {
            Ok(()) => self.await_turn(Kind::Past(question.realm), fx),
            Err(error) => self.answer(question, Answer::Refused(error), fx),
        }
    }

    fn begin_recall(&mut self, question: &Arc<Question>, query: &EventQuery) -> Result<(), &'static str> {
        let (realm, time) = (question.realm, self.civil_time());
        let broker = &self.realms[realm.0 as usize].broker;
        let owned = broker.directory.by_id(query.subscription);
        let key = owned
            .map(|owned| owned.key.clone())
            .ok_or(uri::NO_SUCH_SUBSCRIPTION)?;
        let role = &self.config.realms[realm.0 as usize].roles[query.role];
        if !role.decide(Action::Subscribe, &key.uri, key.policy).allowed {
            return Err(uri::NOT_AUTHORIZED);
        }
        let histories = &mut self.realm(realm).broker.histories;
        let histories = histories.as_mut().ok_or(uri::HISTORY_UNAVAILABLE)?;
        let place = histories.keys.get(key.policy, &key.uri);
        let place = *place.ok_or(uri::HISTORY_UNAVAILABLE)?;
        if histories.recalls.of(query.caller.session) >= OPEN {
            return Err(uri::LIMIT_EXCEEDED);
        }
        histories.expire(time);
        histories.recalls.add(Recall {
            question: Arc::clone(question),
            query: query.clone(),
            place,
            scan: histories.histories[place].log.select(&query.selection),
        });
        Ok(())
    }

    /// Goes on with the first question of the session whose turn it is, as long as something is `left`. Whether any waits
    /// then.
    pub(super) fn recall(&mut self, realm: RealmId, left: &mut i64, fx: &mut Effects) -> bool {
        let Some(histories) = &mut self.realm(realm).broker.histories else {
            return false;
        };
        let Histories {
            histories, recalls, ..
        } = &mut **histories;
        let Some(recall) = recalls.first() else {
            return false;
        };
        let history = &histories[recall.place];
        let policy = history.bounds.match_policy;
        let is_done = recall.go_on(&history.log, left);
        *left -= PER_QUESTION;
        let answered = recalls.end_turn(is_done);
        let waits = !recalls.is_empty();
        if let Some(recall) = answered {
            let (question, answer) = recall.answer(policy);
            // Somebody writes all of it, perhaps in another form than it has.
            *left -= units(answer.cost());
            self.answer(&question, answer, fx);
        }
        waits
    }
}

/// A past event as `get_events` returns it.
fn past_event(past: &Past, subscription: SubscriptionId, policy: MatchPolicy) -> Value {
    let event = event(&past.publication, subscription, policy);
    let mut item = Dict::new()
        .with("timestamp", past.at.to_rfc3339())
        .with("subscription", subscription.0)
        .with("publication", event.publication.0)
        .with("details", details(event.details));
    let Payload { format, args, kwargs } = event.payload;
    match (args.is_empty(), kwargs.is_empty()) {
        (true, true) => {}
        (true, false) => item.push("args", Vec::new()),
        (false, _) => item.push("args", Value::Encoded(format, args)),
    }
    if !kwargs.is_empty() {
        item.push("kwargs", Value::Encoded(format, kwargs));
    }
    item.into()
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
fn selection(call: &MetaCall, uris: &UriRules) -> Result<Selection, Refusal> {
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
        // It is kept until the question has its turn: so no longer than topics are.
        Some(Value::Str(topic)) if uris.allow(MatchPolicy::Exact, topic) => Some(topic.clone()),
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
