//! Retained events: each SUBSCRIBE that asks gets the newest of each topic once, none that is not for it, none that
//! was surely replaced, and none after a newer one came live.

use std::collections::BTreeSet;

use bytestring::ByteString;
use crosspoint_core::message::{Event, Publish};
use crosspoint_core::options::MatchPolicy;

use super::Oracle;
use super::events::{Publication, details};
use super::session::Session;
use crate::broken::{Check, ensure, found};

/// How a publication is retained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retain {
    /// Milliseconds; `None` means until it is replaced.
    expires: Option<u64>,
}

/// A SUBSCRIBE with `get_retained` that was granted, until all is quiet.
#[derive(Debug)]
pub(super) struct Ask {
    /// How many quiet moments there were when SUBSCRIBE was taken.
    pub(super) epoch: u64,
    /// Topics of which it got the retained event.
    got: BTreeSet<ByteString>,
    /// Topics of which a publication to be retained came live since.
    live: BTreeSet<ByteString>,
}

impl Ask {
    pub(super) fn new(epoch: u64) -> Self {
        Self {
            epoch,
            got: BTreeSet::new(),
            live: BTreeSet::new(),
        }
    }

    /// A live publication to be retained came.
    pub(super) fn came_live(&mut self, topic: &ByteString) {
        self.live.insert(topic.clone());
    }

    fn is_open_for(&self, topic: &ByteString) -> bool {
        !self.got.contains(topic) && !self.live.contains(topic)
    }
}

/// How a PUBLISH asks to be retained; an error if it does so in a way that is refused.
pub(super) fn asks_to_be_retained(publish: &Publish) -> Result<Option<Retain>, ()> {
    if !publish.options.retain {
        return Ok(None);
    }
    match publish.options.rest.get("_expires").map(|value| value.as_u64()) {
        Some(None) => Err(()),
        expires => Ok(Some(Retain {
            expires: expires.flatten(),
        })),
    }
}

impl Publication {
    /// Whether this surely replaced `older` for a session when SUBSCRIBE was taken in `epoch`.
    fn replaced(&self, older: &Self, (place, session): (usize, &Session), epoch: u64) -> bool {
        let is_newer =
            older.epoch < self.epoch || (older.publisher == self.publisher && older.token < self.token);
        let lasts = self.retain.is_some_and(|retain| retain.expires.is_none());
        let replaces = self.receivers.is_none() || (self.is_for(place, session) && lasts);
        self.epoch < epoch && is_newer && replaces
    }
}

impl Oracle {
    /// A retained event reaches a session.
    pub(super) fn retained_event(&mut self, place: usize, event: &Event, token: u64) -> Check {
        let publication = &self.publications[&token];
        let session = &self.sessions[place];
        let id = session.id;
        let is_kept = publication.retain.is_some_and(|retain| retain.expires != Some(0));
        ensure!(
            is_kept,
            "only what is to be retained is",
            "session {id} gets {event:?}"
        );
        let subscription = found!(
            session.subscriptions.get(&event.subscription),
            "no EVENT comes before SUBSCRIBED, after UNSUBSCRIBE, or after the session",
            "session {id} gets {event:?}"
        );
        ensure!(
            subscription.key.matches(&publication.topic),
            "an event's topic matches its subscription",
            "session {id} gets {} for {:?}",
            publication.topic,
            subscription.key
        );
        let mut expected = details(
            publication,
            &self.sessions[publication.publisher],
            subscription.key.policy != MatchPolicy::Exact,
        );
        expected.retained = true;
        ensure!(
            event.details == expected,
            "EVENT.Details says that the event is retained, and no more than it did live",
            "session {id} gets {:?} instead of {expected:?}",
            event.details
        );
        let of_topic = &self.retained[&(publication.realm, publication.topic.clone())];
        let is_current = |ask: &Ask| {
            let replaced =
                |other: &u64| self.publications[other].replaced(publication, (place, session), ask.epoch);
            !of_topic.iter().any(replaced)
        };
        // The newest that it can be for: what is left for older ones may be older.
        let ask = subscription
            .asks
            .iter()
            .rposition(|ask| ask.is_open_for(&publication.topic) && is_current(ask));
        let ask = found!(
            ask,
            "the retained event comes once for each SUBSCRIBE that asks, before any newer one",
            "session {id} gets {event:?}; it asked {:?}",
            subscription.asks
        );
        let topic = publication.topic.clone();
        if let Some(subscription) = self.sessions[place].subscriptions.get_mut(&event.subscription) {
            subscription.asks[ask].got.insert(topic);
        }
        self.tally.add("retained events");
        Ok(())
    }

    /// All is quiet: whoever asked got what there was.
    pub(super) fn quiet_retained(&mut self) -> Check {
        for (place, session) in self.live() {
            for subscription in session.subscriptions.values() {
                let topics = self
                    .retained
                    .iter()
                    .filter(|((realm, topic), _)| *realm == session.realm && subscription.key.matches(topic));
                for ((_, topic), tokens) in topics {
                    for ask in subscription.asks.iter().filter(|ask| ask.is_open_for(topic)) {
                        ensure!(
                            !self.must_get(tokens, (place, session), ask.epoch),
                            "who asks for the retained event gets it",
                            "session {} got none of {topic} for {:?}",
                            session.id,
                            subscription.key
                        );
                    }
                }
            }
        }
        for session in &mut self.sessions {
            for subscription in session.subscriptions.values_mut() {
                subscription.asks.clear();
            }
        }
        self.epoch += 1;
        Ok(())
    }

    /// Whether there was one for everybody, and everything that may have replaced it is for this session too.
    fn must_get(&self, tokens: &[u64], (place, session): (usize, &Session), epoch: u64) -> bool {
        let for_all = || {
            let publications = tokens.iter().map(|token| &self.publications[token]);
            publications.filter(|publication| publication.receivers.is_none())
        };
        let stays = |publication: &Publication| {
            publication.is_for(place, session)
                && publication.retain.is_some_and(|retain| retain.expires.is_none())
        };
        for_all().any(|publication| {
            publication.epoch < epoch
                && for_all()
                    .filter(|other| other.epoch >= publication.epoch)
                    .all(stays)
        })
    }
}
