//! Meta events: publications of the router itself.

use bytestring::ByteString;

use crate::arguments::Arguments;
use crate::effect::Effects;
use crate::ids::{PublicationId, RealmId};
use crate::key_hash::KeyHasher;
use crate::options::MatchPolicy;
use crate::peer::Publication;
use crate::router::Router;
use crate::value::{Dict, Value};

/// What meta events tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetaEvent {
    SessionJoin,
    SessionLeave,
    RegistrationCreate,
    RegistrationRegister,
    RegistrationUnregister,
    RegistrationDelete,
    SubscriptionCreate,
    SubscriptionSubscribe,
    SubscriptionUnsubscribe,
    SubscriptionDelete,
}

impl MetaEvent {
    /// All topics, in the order of the discriminants.
    const TOPICS: [&'static str; 10] = [
        "wamp.session.on_join",
        "wamp.session.on_leave",
        "wamp.registration.on_create",
        "wamp.registration.on_register",
        "wamp.registration.on_unregister",
        "wamp.registration.on_delete",
        "wamp.subscription.on_create",
        "wamp.subscription.on_subscribe",
        "wamp.subscription.on_unsubscribe",
        "wamp.subscription.on_delete",
    ];

    const fn topic(self) -> &'static str {
        Self::TOPICS[self as usize]
    }

    /// What a session did that has joined a subscription, or has left it.
    pub(super) const fn of_subscriber(joined: bool) -> Self {
        if joined {
            Self::SubscriptionSubscribe
        } else {
            Self::SubscriptionUnsubscribe
        }
    }
}

/// The meta topics' hashes in one realm.
#[derive(Debug)]
pub(crate) struct MetaTopics([u64; MetaEvent::TOPICS.len()]);

impl MetaTopics {
    pub(crate) fn new(hasher: &KeyHasher) -> Self {
        Self(MetaEvent::TOPICS.map(|topic| hasher.hash(MatchPolicy::Exact, topic)))
    }
}

impl Router {
    /// Whether a session on any shard wants to hear of `event`; never where the realm has no meta API.
    pub(crate) fn is_heard(&self, realm: RealmId, event: MetaEvent) -> bool {
        let realm = &self.realms[realm.0 as usize];
        realm
            .meta
            .as_ref()
            .is_some_and(|topics| realm.broker.is_wanted(event.topic(), topics.0[event as usize]))
    }

    /// Publishes a meta event; `arguments` are made only where somebody hears it.
    pub(crate) fn tell(
        &mut self,
        realm: RealmId,
        event: MetaEvent,
        arguments: impl FnOnce(&Self) -> Vec<Value>,
        fx: &mut Effects,
    ) {
        if !self.is_heard(realm, event) {
            return;
        }
        let list = arguments(self);
        let payload = self.config.values.write(&Arguments {
            list,
            ..Arguments::default()
        });
        let publication = Publication {
            realm,
            topic: ByteString::from_static(event.topic()),
            publication: PublicationId(self.random_id()),
            publisher: None,
            trustlevel: None,
            receivers: None,
            retain: false,
            rest: Dict::new(),
            payload,
        };
        self.distribute(publication, None, None, fx);
    }
}
