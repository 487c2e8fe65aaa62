//! Event history: an answer is part of a log that holds the last publications to a topic or pattern, each once, in an
//! order that agrees with that of each publisher, and that the asker may see.
//!
//! In which order publications of several publishers reach the log is not seen from outside. Known is that all that was
//! published before a quiet moment is there before what came later. What is taken for missing, or for out of place, is so
//! in every order that there may have been.

use crosspoint_codec::PayloadValues;
use crosspoint_core::arguments::Values;
use crosspoint_core::config::RouterConfig;
use crosspoint_core::error_uri as uri;
use crosspoint_core::ids::{PublicationId, SubscriptionId};
use crosspoint_core::options::MatchPolicy;
use crosspoint_core::payload::Payload;
use crosspoint_core::value::{Dict, Value};

use super::Oracle;
use super::events::{Publication, details};
use crate::broken::{Broken, Check, ensure, found};
use crate::uris::Key;

/// A history that a realm's configuration names.
pub(super) struct History {
    key: Key,
    /// Most events.
    limit: usize,
    /// The subscription's id, once it is known.
    id: Option<SubscriptionId>,
    /// Publications that it may hold.
    past: Vec<Past>,
}

/// A publication that a history keeps, or kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Past {
    token: u64,
    /// The publisher, and its publication's place among all of its own.
    publisher: usize,
    place: (bool, u64),
    /// Quiet moments before it.
    epoch: u64,
}

impl Past {
    /// Whether this is before `other` in every log that holds both.
    fn is_before(&self, other: &Self) -> bool {
        self.epoch < other.epoch || (self.publisher == other.publisher && self.place < other.place)
    }
}

/// A call of `wamp.subscription.get_events`.
#[derive(Clone, Debug, Default)]
pub(super) struct Recall {
    subscription: u64,
    reverse: bool,
    limit: Option<usize>,
    topic: Option<String>,
    /// Quiet moments before it.
    epoch: u64,
}

/// The log that an answer is taken from, and what is in it.
struct Evidence<'a> {
    history: &'a History,
    recall: &'a Recall,
    /// The answer, oldest first.
    got: Vec<Past>,
}

/// The histories of a configuration.
pub(super) fn histories(config: &RouterConfig) -> Vec<History> {
    let realms = config.realms.iter().enumerate();
    let all = realms.flat_map(|(realm, config)| config.histories.iter().map(move |held| (realm, held)));
    let history = |(realm, held): (usize, &crosspoint_core::config::History)| History {
        key: Key::new(realm, held.match_policy, &held.uri.as_str().into()),
        limit: held.events,
        id: None,
        past: Vec::new(),
    };
    all.map(history).collect()
}

impl Oracle {
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

    /// Takes the arguments of a call.
    pub(super) fn recall(&self, list: &[Value], dict: &Dict) -> Recall {
        let number = |value: &Value| value.as_u64();
        Recall {
            subscription: list.first().and_then(number).unwrap_or_default(),
            reverse: dict.get("reverse").is_some(),
            limit: dict.get("limit").and_then(number).map(|limit| limit as usize),
            topic: dict.get("topic").and_then(Value::as_str).map(str::to_owned),
            epoch: self.epoch,
        }
    }

    /// What [`Recall`] asks for is refused.
    pub(super) fn recall_refused(&self, session: usize, recall: &Recall, error: &str) -> Check {
        let id = SubscriptionId(recall.subscription);
        let is_known = self.history_of(session, id).is_some();
        let is_due = match error {
            uri::NO_SUCH_SUBSCRIPTION | uri::HISTORY_UNAVAILABLE => !is_known,
            uri::LIMIT_EXCEEDED => {
                let state = &self.sessions[session];
                // The call itself is among those that wait no more.
                state.calls.len() + state.asking() >= self.config.limits.pending_calls
            }
            _ => false,
        };
        ensure!(
            is_due,
            "past events are refused only where there is no history",
            "session {} gets {error} for {recall:?}",
            self.sessions[session].id
        );
        Ok(())
    }

    fn history_of(&self, session: usize, id: SubscriptionId) -> Option<&History> {
        let realm = self.sessions[session].realm;
        let mut histories = self.histories.iter();
        histories.find(|history| history.key.realm == realm && history.id == Some(id))
    }

    /// What [`Recall`] asks for is there.
    pub(super) fn recalled(&mut self, session: usize, recall: &Recall, payload: &Payload) -> Check {
        let (realm, id) = (self.sessions[session].realm, SubscriptionId(recall.subscription));
        let Some(place) = self
            .histories
            .iter()
            .position(|history| history.key.realm == realm && history.id == Some(id))
        else {
            // Perhaps one that nobody subscribed to yet, but nothing else.
            let other = self
                .topics
                .iter()
                .find(|(key, (held, _))| *held == id && key.realm == realm);
            ensure!(
                other.is_none(),
                "only what has a history answers with one",
                "{id} is {other:?}"
            );
            return Ok(());
        };
        let list = PayloadValues
            .read(payload)
            .map(|arguments| arguments.list)
            .unwrap_or_default();
        let mut got = Vec::new();
        for item in &list {
            got.push(self.past_event(place, session, item)?);
        }
        if recall.reverse {
            got.reverse();
        }
        let history = &self.histories[place];
        let evidence = Evidence { history, recall, got };
        let sees = |past: &Past| {
            let publication = &self.publications[&past.token];
            let is_of_topic = recall
                .topic
                .as_ref()
                .is_none_or(|topic| *topic == *publication.topic);
            is_of_topic && publication.admits(&self.sessions[session])
        };
        evidence.check(sees)?;
        let is_still = history.past.iter().all(|past| past.epoch < recall.epoch);
        self.tally.add(if is_still {
            "histories read when all was quiet"
        } else {
            "histories read"
        });
        if evidence.got.is_empty() {
            self.tally.add("histories without events");
        }
        Ok(())
    }

    /// One of the events of an answer: it is a publication that the history keeps, as its subscribers got it.
    fn past_event(&mut self, place: usize, session: usize, item: &Value) -> Result<Past, Broken> {
        let invariant = "a history holds what was published last, as its subscribers got it";
        let dict = found!(item.as_dict(), invariant, "{item:?}");
        let args = match dict.get("args") {
            Some(Value::List(args)) => &args[..],
            _ => &[],
        };
        let token = args.first().and_then(Value::as_u64).unwrap_or_default();
        let history = &self.histories[place];
        let past = found!(
            history.past.iter().find(|past| past.token == token).copied(),
            invariant,
            "{dict:?} of {:?}",
            history.key
        );
        let publication = &self.publications[&token];
        let is_pattern = history.key.policy != MatchPolicy::Exact;
        let expected = details(publication, &self.sessions[publication.publisher], is_pattern);
        let told = dict.get("details").and_then(Value::as_dict);
        let text = |key| told.and_then(|told| told.get(key)).and_then(Value::as_str);
        let publisher = told
            .and_then(|told| told.get("publisher"))
            .and_then(Value::as_u64);
        let is_true = text("topic") == expected.topic.as_deref()
            && publisher == expected.publisher.map(|id| id.0)
            && text("publisher_authid") == expected.publisher_authid.as_deref()
            && text("publisher_authrole") == expected.publisher_authrole.as_deref()
            && dict.get("subscription").and_then(Value::as_u64) == history.id.map(|id| id.0)
            && dict.get("kwargs").is_none()
            && args.len() == 1;
        ensure!(
            is_true && publication.admits(&self.sessions[session]),
            invariant,
            "session {} gets {dict:?} instead of {expected:?}",
            self.sessions[session].id
        );
        let id = dict
            .get("publication")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        self.publication_has_id(token, PublicationId(id))?;
        Ok(past)
    }

    /// All is quiet: forgets what no history can hold any more.
    pub(super) fn forget_past(&mut self) {
        for history in &mut self.histories {
            let past = &mut history.past;
            let newest = past.len().saturating_sub(history.limit);
            if let Some(epoch) = past.get(newest).map(|past| past.epoch) {
                past.retain(|past| past.epoch >= epoch);
            }
        }
    }
}

impl Evidence<'_> {
    /// The answer fits to some order of what was published; `sees` is whether the asker wants and may see it.
    fn check(&self, sees: impl Fn(&Past) -> bool) -> Check {
        let limit = self.recall.limit.unwrap_or(usize::MAX);
        let is_cut = self.got.len() >= limit;
        let invariant = "an answer from a history has its last events, in their order and each once";
        for (place, event) in self.got.iter().enumerate() {
            let is_in_order = self.got[..place]
                .iter()
                .all(|other| other != event && !event.is_before(other));
            ensure!(
                is_in_order && sees(event) && self.got.len() <= limit,
                invariant,
                "{event:?} is out of place in {:?}",
                self.got
            );
            let behind = self.count(|other| event.is_before(other) && self.is_recorded(other));
            ensure!(
                behind < self.history.limit,
                invariant,
                "{event:?} is there, though {behind} came after it: {:?}",
                self.got
            );
        }
        for event in &self.history.past {
            ensure!(
                !sees(event) || self.got.contains(event) || self.may_be_absent(event, is_cut),
                invariant,
                "{event:?} is not in {:?}",
                self.got
            );
        }
        if !is_cut {
            self.check_count(sees)?;
        }
        Ok(())
    }

    /// Whether an event that is not in the answer was perhaps not there yet, not there any more, or left out.
    fn may_be_absent(&self, event: &Past, is_cut: bool) -> bool {
        let is_cut_off = match (self.recall.reverse, self.got.first(), self.got.last()) {
            _ if !is_cut => false,
            (true, Some(oldest), _) => !oldest.is_before(event),
            (false, _, Some(newest)) => !event.is_before(newest),
            _ => true,
        };
        if is_cut_off || !self.is_recorded(event) {
            return true;
        }
        let outlived = self.got.iter().any(|other| other.is_before(event));
        let behind = self.count(|other| other != event && !other.is_before(event));
        !outlived && behind >= self.history.limit
    }

    /// With what others see the history is full, or there is no more.
    fn check_count(&self, sees: impl Fn(&Past) -> bool) -> Check {
        let past = &self.history.past;
        if past.iter().any(|event| !self.is_recorded(event)) {
            return Ok(());
        }
        let limit = self.history.limit;
        let behind = |event: &Past, is_behind: &dyn Fn(&Past, &Past) -> bool| {
            self.count(|other| other != event && is_behind(event, other)) < limit
        };
        let hidden = || past.iter().filter(|event| !sees(event));
        let perhaps = hidden().filter(|event| behind(event, &|event, other| event.is_before(other)));
        let surely = hidden().filter(|event| behind(event, &|event, other| !other.is_before(event)));
        let (least, most) = (self.got.len() + surely.count(), self.got.len() + perhaps.count());
        ensure!(
            least <= limit && most >= limit.min(past.len()),
            "a history holds as many events as it may, and no more",
            "{} of {} are shown, and {least} to {most} are there, of {limit} that may be",
            self.got.len(),
            past.len()
        );
        Ok(())
    }

    /// Whether an event was surely in the log: all was quiet since, or a later one of its publisher is.
    fn is_recorded(&self, event: &Past) -> bool {
        let is_at_least = |other: &Past| other.publisher == event.publisher && other.place >= event.place;
        event.epoch < self.recall.epoch || self.got.iter().any(is_at_least)
    }

    fn count(&self, fits: impl Fn(&Past) -> bool) -> usize {
        self.history.past.iter().filter(|past| fits(past)).count()
    }
}

impl Publication {
    /// Whether histories keep it: what is for certain sessions is not.
    fn is_kept(&self) -> bool {
        let lists = self.receivers.as_deref();
        !self.is_refused && lists.is_none_or(|lists| lists.eligible.is_none() && lists.exclude.is_none())
    }
}
