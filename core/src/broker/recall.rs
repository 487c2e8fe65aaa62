//! Past events as they are asked for: `wamp.subscription.get_events` (specification, "Event History").
//!
//! Events of a topic, or for a caller, may have to be looked for among all that a history has. So this takes no more than
//! a share of the shard's time, as looking for retained events does: what does not fit into the step waits for a timer, and
//! all that wait have their turns.

use std::collections::VecDeque;
use std::sync::Arc;

use bytestring::ByteString;

use super::detached::cost;
use super::filter::Filter;
use super::log::{Past, Scan, Selection};
use super::look_up::{PER_QUESTION, units};
use super::publish::event;
use crate::authorize::Action;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{PublicationId, RealmId, SubscriptionId, is_valid_id};
use crate::meta::{Answer, MetaCall, Query, Question, Step, Whom, expected};
use crate::options::{EventDetails, MatchPolicy};
use crate::payload::Payload;
use crate::peer::{Disclosed, Publication};
use crate::router::{Refusal, Router};
use crate::time::{Time, UnixTime};
use crate::timers::Timer;
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

/// The questions about a realm's histories that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Recalls {
    waiting: VecDeque<Recall>,
    /// When they go on, if a timer is set for that.
    next: Option<Time>,
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
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
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
            Ok(()) => self.recall(question.realm, fx),
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
        let is_same = |recall: &&Recall| recall.query.caller.session == query.caller.session;
        if histories.recalls.waiting.iter().filter(is_same).count() >= OPEN {
            return Err(uri::LIMIT_EXCEEDED);
        }
        histories.expire(time);
        histories.recalls.waiting.push_back(Recall {
            question: Arc::clone(question),
            query: query.clone(),
            place,
            scan: histories.histories[place].log.select(&query.selection),
        });
        Ok(())
    }

    /// A timer is over, perhaps the one that questions wait for.
    pub(super) fn recall_if_due(&mut self, realm: RealmId, fx: &mut Effects) {
        let now = self.now;
        if let Some(histories) = &mut self.realm(realm).broker.histories
            && histories.recalls.next.is_some_and(|at| at <= now)
        {
            histories.recalls.next = None;
            self.recall(realm, fx);
        }
    }

    /// Answers questions for as long as the allowance lasts.
    fn recall(&mut self, realm: RealmId, fx: &mut Effects) {
        while let Some((question, answer)) = self.recall_on(realm) {
            self.answer(&question, answer, fx);
        }
        let at = self.now.after(self.look_up_allowance.pause());
        if let Some(histories) = &mut self.realm(realm).broker.histories
            && !histories.recalls.waiting.is_empty()
            && histories.recalls.next.is_none()
        {
            histories.recalls.next = Some(at);
            self.timers.set(at, Timer::Histories(realm));
        }
    }

    /// Goes on with the next question. Returns it if it is answered.
    fn recall_on(&mut self, realm: RealmId) -> Option<(Arc<Question>, Answer)> {
        let left = self.look_up_allowance.at(self.now);
        if *left <= 0 {
            return None;
        }
        let histories = self.realms[realm.0 as usize].broker.histories.as_mut()?;
        let mut recall = histories.recalls.waiting.pop_front()?;
        let query = &recall.query;
        let caller = &query.caller;
        let admits = |publication: &Publication| {
            let lists = publication.receivers.as_deref();
            lists.is_none_or(|lists| Filter::of_sorted(lists).admits(caller.session, &caller.identity))
        };
        let history = &histories.histories[recall.place];
        let policy = history.bounds.match_policy;
        let scan = (&mut recall.scan, &query.selection);
        let is_done = history.log.scan(scan, admits, left);
        *left -= PER_QUESTION;
        if !is_done {
            // The others first: one that takes long keeps none waiting that does not.
            histories.recalls.waiting.push_back(recall);
            return None;
        }
        let subscription = query.subscription;
        let found = std::mem::take(&mut recall.scan.found);
        let item = |past: &Past| past_event(past, subscription, policy);
        let bytes = found
            .iter()
            .map(|past| cost(&past.publication) + PAST_VALUES)
            .sum();
        // Somebody writes all of it, perhaps in another form than it has.
        *left -= units(bytes);
        let answer = Answer::Events {
            bytes,
            events: found.iter().map(item).collect(),
        };
        Some((recall.question, answer))
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
