//! Meta events: about sessions, registrations and subscriptions that there are, in an order that never contradicts
//! itself. Whoever begins to listen may miss part of what was under way; from the next quiet moment on nothing is left
//! out or comes twice.

use std::collections::BTreeMap;

use crosspoint_codec::PayloadValues;
use crosspoint_core::arguments::Values;
use crosspoint_core::message::Event;
use crosspoint_core::value::{Dict, Value};

use super::Oracle;
use crate::broken::{Broken, Check, ensure, found};

/// What a subscription to meta topics has told so far.
#[derive(Default)]
pub(super) struct Told {
    /// Whether there was a quiet moment since SUBSCRIBED.
    is_settled: bool,
    /// Sessions, and whether they have left.
    sessions: BTreeMap<u64, bool>,
    registrations: BTreeMap<u64, Thing>,
    subscriptions: BTreeMap<u64, Thing>,
}

/// A registration or subscription, as far as it was told.
#[derive(Default)]
struct Thing {
    /// Whether it is there.
    exists: Known,
    /// Its sessions, and whether they are still with it.
    members: BTreeMap<u64, Known>,
}

/// What was told last about something that is true or not, by turns.
type Known = Option<bool>;

/// Whether `value` may come next.
fn take(known: &mut Known, value: bool) -> bool {
    known.replace(value) != Some(value)
}

impl Told {
    /// Nothing is under way: what comes from now on happened while the listener was there.
    pub(super) fn settle(&mut self) {
        if !self.is_settled {
            // What was told may be over, and its end have gone unheard.
            *self = Self {
                is_settled: true,
                ..Self::default()
            };
        }
    }
}

impl Thing {
    /// Whether `what` may come next.
    fn take(&mut self, what: &str, session: u64) -> bool {
        match what {
            "on_create" | "on_delete" => {
                self.members.clear();
                take(&mut self.exists, what == "on_create")
            }
            joins_or_leaves => {
                let is_there = matches!(joins_or_leaves, "on_register" | "on_subscribe");
                self.exists != Some(false) && take(self.members.entry(session).or_default(), is_there)
            }
        }
    }
}

impl Oracle {
    /// The topic of an event, if it is one of the router's own.
    pub(super) fn meta_topic(&self, place: usize, event: &Event) -> Option<String> {
        let of_pattern = event.details.topic.as_deref();
        let held = self.sessions[place].subscriptions.get(&event.subscription);
        let topic = of_pattern.or_else(|| held.map(|held| &*held.key.uri))?;
        topic.starts_with("wamp.").then(|| topic.to_owned())
    }

    pub(super) fn meta_event(&mut self, place: usize, topic: &str, event: &Event) -> Check {
        let id = self.sessions[place].id;
        let arguments = PayloadValues.read(&event.payload);
        let list = arguments.map(|arguments| arguments.list).unwrap_or_default();
        let mut parts = topic.split('.').skip(1);
        let (about, what) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let subject = found!(
            subject(what, &list),
            "a meta event has the arguments that its topic wants",
            "session {id} gets {topic} {list:?}"
        );
        self.check_subject(place, (topic, what), &subject)?;
        let subscription = found!(
            self.sessions[place].subscriptions.get_mut(&event.subscription),
            "no EVENT comes before SUBSCRIBED, after UNSUBSCRIBE, or after the session",
            "session {id} gets {topic}"
        );
        let told = &mut subscription.told;
        let fits = match (about, what) {
            ("session", "on_join") => told.sessions.insert(subject.session, false).is_none(),
            ("session", _) => told.sessions.insert(subject.session, true) != Some(true),
            ("registration", _) => {
                let thing = told.registrations.entry(subject.thing).or_default();
                thing.take(what, subject.session)
            }
            _ => {
                let thing = told.subscriptions.entry(subject.thing).or_default();
                thing.take(what, subject.session)
            }
        };
        ensure!(
            fits || !told.is_settled,
            "meta events about one thing come in an order that makes sense, and once",
            "session {id} gets {topic} {list:?}"
        );
        self.tally.add("meta events");
        Ok(())
    }

    fn check_subject(&mut self, place: usize, (topic, what): (&str, &str), subject: &Subject) -> Check {
        let session = self.by_id.iter().find(|(id, _)| id.0 == subject.session);
        let session = found!(
            session.map(|(_, place)| *place),
            "a meta event is about a session that there is or was",
            "{topic} is about session {}",
            subject.session
        );
        ensure!(
            self.sessions[session].realm == self.sessions[place].realm,
            "meta events stay in their realm",
            "{topic} is about session {} of another",
            subject.session
        );
        if what == "on_leave" {
            self.this_step.left.push(session);
        }
        let uri = subject.details.as_ref().and_then(|details| details.get("uri"));
        let is_shown = uri
            .and_then(Value::as_str)
            .is_none_or(|uri| !uri.starts_with("wamp"));
        ensure!(
            is_shown,
            "nobody is told who listens to the router's own topics",
            "{topic} tells {uri:?}"
        );
        Ok(())
    }

    /// Who was said to have left in this step has left by its end.
    pub(super) fn check_left(&self) -> Check {
        let stays = |session: &&usize| self.sessions[**session].is_alive;
        match self.this_step.left.iter().find(stays) {
            None => Ok(()),
            Some(session) => Err(Broken {
                invariant: "only sessions that have ended are said to have left",
                detail: format!("session {} is open", self.sessions[*session].id),
            }),
        }
    }
}

/// What a meta event is about.
struct Subject {
    session: u64,
    /// The registration or subscription; 0 for events about sessions.
    thing: u64,
    details: Option<Dict>,
}

fn subject(what: &str, list: &[Value]) -> Option<Subject> {
    let id = |place: usize| list.get(place).and_then(Value::as_u64);
    let details = |place: usize| list.get(place).and_then(Value::as_dict).cloned();
    Some(match (what, list.len()) {
        ("on_join", 1) => Subject {
            session: details(0)?.get("session")?.as_u64()?,
            thing: 0,
            details: details(0),
        },
        ("on_leave", 3) => Subject {
            session: id(0)?,
            thing: 0,
            details: None,
        },
        ("on_create", 2) => Subject {
            session: id(0)?,
            thing: details(1)?.get("id")?.as_u64()?,
            details: details(1),
        },
        ("on_register" | "on_unregister" | "on_subscribe" | "on_unsubscribe" | "on_delete", 2) => Subject {
            session: id(0)?,
            thing: id(1)?,
            details: None,
        },
        _ => return None,
    })
}
