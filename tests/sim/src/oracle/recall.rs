//! Calls of `wamp.subscription.get_events` and what they are answered.

use crosspoint_codec::PayloadValues;
use crosspoint_core::arguments::Values;
use crosspoint_core::error_uri as uri;
use crosspoint_core::ids::{PublicationId, SubscriptionId};
use crosspoint_core::options::MatchPolicy;
use crosspoint_core::payload::Payload;
use crosspoint_core::time::UnixTime;
use crosspoint_core::value::{Dict, Value};

use super::Oracle;
use super::events::details;
use super::evidence::Evidence;
use super::history::{History, Past};
use crate::broken::{Broken, Check, ensure, found};

/// A call of `wamp.subscription.get_events`.
#[derive(Clone, Debug, Default)]
pub(super) struct Recall {
    subscription: u64,
    pub(super) reverse: bool,
    pub(super) limit: Option<usize>,
    topic: Option<String>,
    /// Quiet moments before it.
    pub(super) epoch: u64,
    /// When it was called.
    at: UnixTime,
}

impl Recall {
    /// As if all were asked for at a quiet moment.
    pub(super) fn of_all(epoch: u64) -> Self {
        Self {
            epoch,
            ..Self::default()
        }
    }

    /// Events came after they were made, in the order of the answer, and none was too old.
    fn check_times(&self, got: &[Past], times: &[UnixTime], (history, now): (&History, UnixTime)) -> Check {
        let oldest = history.bounds.max_age.map(|age| self.at.before(age));
        for (past, at) in got.iter().zip(times) {
            ensure!(
                past.made <= *at && *at <= now && oldest.is_none_or(|oldest| *at >= oldest),
                "a history says when its events came, and shows none that is too old",
                "{past:?} came at {at:?}, asked at {:?}, answered at {now:?}, of {:?}",
                self.at,
                history.bounds
            );
        }
        ensure!(
            times.is_sorted(),
            "a history says when its events came, and shows none that is too old",
            "{times:?} of {:?}",
            history.bounds
        );
        Ok(())
    }
}

impl Oracle {
    /// Takes the arguments of a call.
    pub(super) fn recall(&self, list: &[Value], dict: &Dict) -> Recall {
        let number = |value: &Value| value.as_u64();
        Recall {
            subscription: list.first().and_then(number).unwrap_or_default(),
            reverse: dict.get("reverse").is_some(),
            limit: dict.get("limit").and_then(number).map(|limit| limit as usize),
            topic: dict.get("topic").and_then(Value::as_str).map(str::to_owned),
            epoch: self.epoch,
            at: self.civil_time(),
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
        let (mut got, mut times) = (Vec::new(), Vec::new());
        for item in &list {
            let (past, at) = self.past_event(place, session, item)?;
            got.push(past);
            times.push(at);
        }
        if recall.reverse {
            got.reverse();
            times.reverse();
        }
        let history = &self.histories[place];
        recall.check_times(&got, &times, (history, self.civil_time()))?;
        let evidence = Evidence {
            history,
            recall,
            got,
            now: self.civil_time(),
        };
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
    fn past_event(&mut self, place: usize, session: usize, item: &Value) -> Result<(Past, UnixTime), Broken> {
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
        let at = dict.get("timestamp").and_then(Value::as_str);
        let at = found!(at.and_then(UnixTime::from_rfc3339), invariant, "{dict:?}");
        Ok((past, at))
    }
}
