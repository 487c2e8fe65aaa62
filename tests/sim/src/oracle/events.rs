//! Publish and subscribe: no event before SUBSCRIBED or after UNSUBSCRIBE, none missed between, none twice,
//! none out of order, none to whom it is not for.

use bytes::Bytes;
use bytestring::ByteString;
use crosspoint_core::error_uri as uri;
use crosspoint_core::ids::{PublicationId, SubscriptionId};
use crosspoint_core::message::{
    Event, Publish, Published, RequestKind, Subscribe, Subscribed, Unsubscribe, Unsubscribed,
};
use crosspoint_core::options::{EventDetails, MatchPolicy, Receivers};
use crosspoint_core::payload::{Format, Payload};

use super::Oracle;
use super::retained::{Ask, Retain, asks_to_be_retained};
use super::session::{Asked, Session, Subscription};
use crate::broken::{Check, ensure, found};
use crate::uris::{Key, is_invalid, is_reserved};
use crate::workload::token_of;

/// A publication that the router took.
pub(super) struct Publication {
    pub(super) token: u64,
    pub(super) publisher: usize,
    pub(super) realm: usize,
    pub(super) topic: ByteString,
    pub(super) receivers: Option<Box<Receivers>>,
    to_publisher: bool,
    is_disclosed: bool,
    pub(super) is_refused: bool,
    pub(super) is_testament: bool,
    payload: Payload,
    id: Option<PublicationId>,
    pub(super) retain: Option<Retain>,
    /// Quiet moments before it.
    pub(super) epoch: u64,
}

impl Publication {
    /// Whether its lists let a session have it.
    pub(super) fn admits(&self, session: &Session) -> bool {
        let has =
            |list: &Option<Vec<ByteString>>, name: &ByteString| list.as_ref().map(|list| list.contains(name));
        self.receivers.as_deref().is_none_or(|lists| {
            let eligible = lists.eligible.as_ref().map(|ids| ids.contains(&session.id));
            let exclude = lists.exclude.as_ref().map(|ids| ids.contains(&session.id));
            eligible != Some(false)
                && has(&lists.eligible_authid, &session.authid) != Some(false)
                && has(&lists.eligible_authrole, &session.authrole) != Some(false)
                && exclude != Some(true)
                && has(&lists.exclude_authid, &session.authid) != Some(true)
                && has(&lists.exclude_authrole, &session.authrole) != Some(true)
        })
    }

    /// Whether a session may get it.
    pub(super) fn is_for(&self, place: usize, session: &Session) -> bool {
        self.admits(session)
            && !self.is_refused
            && session.realm == self.realm
            && (place != self.publisher || self.to_publisher)
    }
}

impl Oracle {
    pub(super) fn publish(&mut self, session: usize, publish: &Publish) {
        let options = &publish.options;
        let asks = options.disclose_me == Some(true);
        let refusal = if is_invalid(MatchPolicy::Exact, &publish.topic) || is_reserved(&publish.topic) {
            Some(uri::INVALID_URI)
        } else if asks && !self.allows_disclosure() {
            Some(uri::DISCLOSE_ME_DISALLOWED)
        } else {
            asks_to_be_retained(publish).err().map(|()| uri::INVALID_ARGUMENT)
        };
        let token = token_of(&publish.payload).unwrap_or_default();
        if options.acknowledge {
            self.asked(session, publish.request, Asked::Publish { token }, refusal);
        }
        let retain = asks_to_be_retained(publish)
            .ok()
            .flatten()
            .filter(|_| refusal.is_none());
        let publication = Publication {
            token,
            publisher: session,
            realm: self.sessions[session].realm,
            topic: publish.topic.clone(),
            receivers: options.receivers.clone(),
            to_publisher: options.exclude_me == Some(false),
            is_disclosed: asks || self.sessions[session].is_shown(),
            is_refused: refusal.is_some(),
            is_testament: false,
            payload: publish.payload.clone(),
            id: None,
            retain,
            epoch: self.epoch,
        };
        if retain.is_some() {
            let place = (publication.realm, publication.topic.clone());
            self.retained.entry(place).or_default().push(token);
        }
        self.publications.insert(token, publication);
        self.expect(token);
        self.tally.add("publications");
    }

    /// A session adds a publication for its end.
    pub(super) fn testament(&mut self, session: usize, topic: &ByteString, token: u64) {
        let state = &mut self.sessions[session];
        state.testaments.push(token);
        let publication = Publication {
            token,
            publisher: session,
            realm: state.realm,
            topic: topic.clone(),
            receivers: None,
            to_publisher: false,
            is_disclosed: state.is_shown(),
            is_refused: false,
            is_testament: true,
            payload: Payload {
                format: Format::Json,
                args: Bytes::from(format!("[{token}]")),
                kwargs: Bytes::new(),
            },
            id: None,
            retain: None,
            epoch: self.epoch,
        };
        self.publications.insert(token, publication);
    }

    /// A publication is made: all that are subscribed must get it, but for those who have it already.
    pub(super) fn expect(&mut self, token: u64) {
        self.remember(token);
        let Some(publication) = self.publications.get(&token) else {
            return;
        };
        for (place, session) in self.sessions.iter_mut().enumerate() {
            if !session.is_alive || !publication.is_for(place, session) {
                continue;
            }
            for subscription in session.subscriptions.values_mut() {
                let key = &subscription.key;
                if key.matches(&publication.topic) && !session.events.contains(&(token, key.clone())) {
                    subscription.expected.insert(token);
                }
            }
        }
    }

    pub(super) fn allows_disclosure(&self) -> bool {
        self.config.realms[0].allow_disclose
    }

    pub(super) fn published(&mut self, session: usize, published: &Published) -> Check {
        let asked = self.granted(session, (RequestKind::Publish, published.request))?;
        if let Asked::Publish { token } = asked.what {
            self.publication_has_id(token, published.publication)?;
        }
        Ok(())
    }

    pub(super) fn publication_has_id(&mut self, token: u64, id: PublicationId) -> Check {
        let publication = found!(
            self.publications.get_mut(&token),
            "events are what somebody published",
            "publication {token}"
        );
        let known = *publication.id.get_or_insert(id);
        let other = *self.publication_ids.entry(id).or_insert(token);
        ensure!(
            known == id && other == token,
            "a publication has one id of its own, the same for all",
            "publication {token} has the ids {known} and {id}, which publication {other} has"
        );
        Ok(())
    }

    pub(super) fn subscribe(&mut self, session: usize, subscribe: &Subscribe) {
        let policy = subscribe.options.match_policy.unwrap_or_default();
        let state = &self.sessions[session];
        let key = Key::new(state.realm, policy, &subscribe.topic);
        let holds_it = state.subscriptions.values().any(|held| held.key == key);
        let held = state.subscriptions.len() + state.waiting(RequestKind::Subscribe);
        let refusal = if is_invalid(policy, &subscribe.topic) {
            Some(uri::INVALID_URI)
        } else if held >= self.config.limits.subscriptions && !holds_it {
            Some(uri::LIMIT_EXCEEDED)
        } else {
            None
        };
        let retained = subscribe.options.get_retained.then_some(self.epoch);
        self.asked(
            session,
            subscribe.request,
            Asked::Subscribe { key, retained },
            refusal,
        );
    }

    pub(super) fn subscribed(&mut self, session: usize, subscribed: &Subscribed) -> Check {
        let asked = self.granted(session, (RequestKind::Subscribe, subscribed.request))?;
        let (Asked::Subscribe { key, retained }, id) = (asked.what, subscribed.subscription) else {
            return Ok(());
        };
        self.check_subscription_id(&key, id)?;
        self.history_has_id(&key, id)?;
        let ask = retained.map(Ask::new);
        let state = &mut self.sessions[session];
        if let Some(held) = state.subscriptions.get_mut(&id) {
            ensure!(
                held.key == key,
                "keys that differ have ids that differ",
                "session {} has {:?} and {key:?} under {id}",
                state.id,
                held.key
            );
            held.asks.extend(ask);
            return Ok(());
        }
        let subscription = Subscription {
            key: key.clone(),
            expected: Default::default(),
            asks: ask.into_iter().collect(),
            told: Default::default(),
        };
        state.subscriptions.insert(id, subscription);
        self.topics.entry(key).or_insert((id, 0)).1 += 1;
        self.tally.add("subscriptions");
        Ok(())
    }

    /// As long as anybody holds a key its id stays, on every shard, and nothing else has it.
    fn check_subscription_id(&mut self, key: &Key, id: SubscriptionId) -> Check {
        if let Some((held, _)) = self.topics.get(key) {
            ensure!(
                *held == id,
                "a key has the same id on every shard",
                "{key:?} has the ids {held} and {id}"
            );
        }
        let other = self
            .topics
            .iter()
            .find(|(other, (held, _))| *held == id && other.realm == key.realm && *other != key);
        if let Some((other, _)) = other {
            ensure!(
                false,
                "keys that differ have ids that differ",
                "{other:?} and {key:?} both have {id}"
            );
        }
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, session: usize, unsubscribe: &Unsubscribe) {
        let held = self.sessions[session]
            .subscriptions
            .remove(&unsubscribe.subscription);
        let refusal = held.is_none().then_some(uri::NO_SUCH_SUBSCRIPTION);
        if let Some(subscription) = held {
            self.no_longer_subscribed(&subscription.key);
        }
        self.asked(session, unsubscribe.request, Asked::Unsubscribe, refusal);
    }

    pub(super) fn no_longer_subscribed(&mut self, key: &Key) {
        if let Some((_, holders)) = self.topics.get_mut(key) {
            *holders -= 1;
            if *holders == 0 {
                self.topics.remove(key);
            }
        }
    }

    pub(super) fn unsubscribed(&mut self, session: usize, unsubscribed: &Unsubscribed) -> Check {
        self.granted(session, (RequestKind::Unsubscribe, unsubscribed.request))?;
        Ok(())
    }

    pub(super) fn event(&mut self, place: usize, event: &Event) -> Check {
        if let Some(topic) = self.meta_topic(place, event) {
            return self.meta_event(place, &topic, event);
        }
        let token = token_of(&event.payload).unwrap_or_default();
        self.publication_has_id(token, event.publication)?;
        let publication = &self.publications[&token];
        let session = &mut self.sessions[place];
        let id = session.id;
        ensure!(
            publication.is_for(place, session) && publication.payload == event.payload,
            "an event reaches only those it is for, unchanged",
            "session {id} gets {event:?}"
        );
        if event.details.retained {
            return self.retained_event(place, event, token);
        }
        let subscription = found!(
            session.subscriptions.get_mut(&event.subscription),
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
        subscription.expected.remove(&token);
        if publication.retain.is_some() {
            for ask in &mut subscription.asks {
                ask.came_live(&publication.topic);
            }
        }
        let key = subscription.key.clone();
        let is_pattern = key.policy != MatchPolicy::Exact;
        ensure!(
            session.events.insert((token, key)),
            "no event comes twice for a subscription",
            "session {id} gets {event:?} again"
        );
        let publisher = publication.publisher;
        if publication.is_testament {
            self.this_step.left.push(publisher);
            self.tally.add("events of testaments");
        }
        let expected = details(publication, &self.sessions[publisher], is_pattern);
        ensure!(
            event.details == expected,
            "EVENT.Details has the topic of patterns, and names disclosed publishers only",
            "session {id} gets {:?} instead of {expected:?}",
            event.details
        );
        // Testaments were numbered when they were added, but come last.
        let source = (2 * publisher + usize::from(publication.is_testament), place);
        let last = self.event_order.entry(source).or_default();
        ensure!(
            *last <= token,
            "a publisher's events reach a subscriber in order",
            "session {id} gets {token} after {last}"
        );
        *last = token;
        self.tally.add("events");
        Ok(())
    }
}

pub(super) fn details(publication: &Publication, publisher: &Session, is_pattern: bool) -> EventDetails {
    let mut details = EventDetails {
        topic: is_pattern.then(|| publication.topic.clone()),
        ..EventDetails::default()
    };
    if publication.is_disclosed {
        details.publisher = Some(publisher.id);
        details.publisher_authid = Some(publisher.authid.clone());
        details.publisher_authrole = Some(publisher.authrole.clone());
    }
    details
}
