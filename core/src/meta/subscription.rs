//! Meta procedures and events about subscriptions (specification, "Subscription Meta API").
//!
//! A key's owner knows its id and which shards have subscribers; who they are each shard knows of its own. So ids are
//! asked of the owners, and subscribers of everybody. Sessions that come to a subscription or leave it are told to its
//! owner, which publishes the events, only where somebody hears of them.

use std::sync::Arc;

use super::arguments::{options_key, revocation_reason};
use super::{Answer, MetaCall, MetaEvent, Query, Step, Whom};
use crate::broker::Owned;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{ConnKey, RealmId, SessionId, SubscriptionId};
use crate::options::MatchPolicy;
use crate::peer::{Key, PeerMessage};
use crate::router::{Refusal, Router};
use crate::uri::is_reserved;
use crate::value::{Dict, Value};

impl Router {
    pub(super) fn subscription_list(&mut self, call: &MetaCall, fx: &mut Effects) -> Result<Step, Refusal> {
        let lists = |answer: Answer| Ok(answer.by_policy());
        self.ask(call, (Whom::All, Query::SubscriptionList), lists, fx)
    }

    pub(super) fn subscription_lookup(&mut self, call: &MetaCall, fx: &mut Effects) -> Result<Step, Refusal> {
        let (policy, topic) = options_key(call, "topic")?;
        let place = &self.realms[call.realm.0 as usize];
        if !place.uris.allow(policy, &topic) {
            // Nobody can subscribe to it, and it may be far longer than what one can.
            return Ok(Step::Done(vec![Value::Null]));
        }
        let key = Key {
            realm: call.realm,
            policy,
            uri: Arc::from(&*topic),
        };
        let owner = place.hasher.owner(place.hasher.hash(policy, &topic));
        let id = |answer| match answer {
            Answer::Count(id) => Ok(vec![id.into()]),
            _ => Ok(vec![Value::Null]),
        };
        self.ask(call, (Whom::One(owner), Query::Subscription(key)), id, fx)
    }

    pub(super) fn subscription_match(&mut self, call: &MetaCall, fx: &mut Effects) -> Result<Step, Refusal> {
        let topic = call.text(0, "topic")?;
        if !self.realms[call.realm.0 as usize]
            .uris
            .allow(MatchPolicy::Exact, topic)
        {
            return Ok(Step::Done(vec![Value::Null]));
        }
        let query = Query::SubscriptionMatch(topic.clone());
        let ids = |answer| match answer {
            Answer::Nothing => Ok(vec![Value::Null]),
            answer => Ok(answer.sorted().ids()),
        };
        self.ask(call, (Whom::All, query), ids, fx)
    }

    pub(super) fn subscription_get(&mut self, call: &MetaCall, fx: &mut Effects) -> Result<Step, Refusal> {
        let id = SubscriptionId(call.id(0, "subscription")?);
        let owner = self.realms[call.realm.0 as usize].hasher.owner(id.0);
        let details = |answer: Answer| answer.details(no_such_subscription);
        let query = Query::SubscriptionDetails(id);
        self.ask(call, (Whom::One(owner), query), details, fx)
    }

    pub(super) fn subscription_list_subscribers(
        &mut self,
        call: &MetaCall,
        fx: &mut Effects,
    ) -> Result<Step, Refusal> {
        let query = Query::Subscribers(SubscriptionId(call.id(0, "subscription")?));
        let subscribers = |answer: Answer| Ok(answer.or_refuse(no_such_subscription)?.sorted().ids());
        self.ask(call, (Whom::All, query), subscribers, fx)
    }

    pub(super) fn subscription_count_subscribers(
        &mut self,
        call: &MetaCall,
        fx: &mut Effects,
    ) -> Result<Step, Refusal> {
        let query = Query::SubscriberCount(SubscriptionId(call.id(0, "subscription")?));
        let subscribers = |answer: Answer| Ok(answer.or_refuse(no_such_subscription)?.count());
        self.ask(call, (Whom::All, query), subscribers, fx)
    }

    /// Crossbar.io's; the specification has revocation, and leaves open what causes it.
    pub(super) fn subscription_remove_subscriber(
        &mut self,
        call: &MetaCall,
        fx: &mut Effects,
    ) -> Result<Step, Refusal> {
        let query = Query::RemoveSubscriber {
            subscription: SubscriptionId(call.id(0, "subscription")?),
            session: SessionId(call.id(1, "session")?),
            reason: revocation_reason(call)?,
        };
        let removed = |answer: Answer| answer.removed(no_such_subscription, "it is not subscribed to this");
        self.ask(call, (Whom::All, query), removed, fx)
    }

    /// Counts what was removed; the owner answers even if that is nothing.
    pub(super) fn remove_subscriber_here(
        &mut self,
        (realm, subscription, session): (RealmId, SubscriptionId, SessionId),
        reason: Option<&str>,
        fx: &mut Effects,
    ) -> Answer {
        let is_known = self.subscribers_here(realm, subscription).is_some();
        let conn = self.session_here(realm, session).map(|(conn, _)| conn);
        if is_known && conn.is_some_and(|conn| self.revoke_subscription(conn, subscription, reason, fx)) {
            Answer::Count(1)
        } else if is_known {
            Answer::Count(0)
        } else {
            Answer::Nothing
        }
    }

    /// As owner of some keys.
    pub(super) fn list_subscriptions(&self, realm: RealmId) -> Answer {
        let mut lists = [const { Vec::new() }; 3];
        for owned in self.realms[realm.0 as usize].broker.owned().filter(is_shown) {
            lists[owned.key.policy as usize].push(owned.id.0);
        }
        Answer::ByPolicy(lists)
    }

    /// As owner of the key.
    pub(super) fn look_subscription_up(&self, key: &Key) -> Answer {
        let realm = &self.realms[key.realm.0 as usize];
        let hash = realm.hasher.hash(key.policy, &key.uri);
        let found = realm.broker.owned_key(key, hash).filter(is_shown);
        found.map_or(Answer::Nothing, |owned| Answer::Count(owned.id.0))
    }

    /// As owner of some of the keys that match.
    pub(super) fn match_subscriptions(&self, realm: RealmId, topic: &str) -> Answer {
        let mut keys = vec![(MatchPolicy::Exact, Arc::from(topic))];
        let place = &self.realms[realm.0 as usize];
        place
            .broker
            .each_pattern(topic, |policy, pattern| keys.push((policy, Arc::from(pattern))));
        let ids = keys.into_iter().filter_map(|(policy, uri)| {
            match self.look_subscription_up(&Key { realm, policy, uri }) {
                Answer::Count(id) => Some(id),
                _ => None,
            }
        });
        let ids: Vec<u64> = ids.collect();
        if ids.is_empty() {
            Answer::Nothing
        } else {
            Answer::Ids(ids)
        }
    }

    /// As owner of the subscription.
    pub(super) fn tell_subscription(&self, realm: RealmId, id: SubscriptionId) -> Answer {
        let owned = self.realms[realm.0 as usize]
            .broker
            .owned_by_id(id)
            .filter(is_shown);
        owned.map_or(Answer::Nothing, |owned| {
            Answer::Details(self.subscription_details(owned))
        })
    }

    pub(super) fn list_subscribers(&self, realm: RealmId, id: SubscriptionId) -> Answer {
        self.subscribers_here(realm, id)
            .map_or(Answer::Nothing, |subscribers| {
                let sessions = subscribers.iter().filter_map(|conn| self.conns.session(*conn));
                Answer::Ids(sessions.map(|session| session.id.0).collect())
            })
    }

    pub(super) fn count_subscribers(&self, realm: RealmId, id: SubscriptionId) -> Answer {
        self.subscribers_here(realm, id)
            .map_or(Answer::Nothing, |subscribers| {
                Answer::Count(subscribers.len() as u64)
            })
    }

    /// Subscribers on this shard; its owner knows of it even if it has none.
    fn subscribers_here(&self, realm: RealmId, id: SubscriptionId) -> Option<&[ConnKey]> {
        let broker = &self.realms[realm.0 as usize].broker;
        match broker.subscribers(id) {
            Some((key, subscribers)) => (!is_reserved(&key.uri)).then_some(subscribers),
            None => broker.owned_by_id(id).filter(is_shown).map(|_| &[][..]),
        }
    }

    /// A session on this shard has come to a subscription, or has left it.
    pub(crate) fn tell_owner(
        &mut self,
        realm: RealmId,
        (subscription, slot): (SubscriptionId, u32),
        (session, joined): (SessionId, bool),
        fx: &mut Effects,
    ) {
        let place = &self.realms[realm.0 as usize];
        if !self.is_heard(realm, MetaEvent::of_subscriber(joined)) || place.broker.is_reserved(slot) {
            return;
        }
        let owner = place.hasher.owner(subscription.0);
        let message = PeerMessage::Subscriber {
            realm,
            subscription,
            session,
            joined,
        };
        self.post(owner, message, fx);
    }

    /// As owner: see [`Router::tell_owner`].
    pub(crate) fn tell_subscriber(
        &mut self,
        realm: RealmId,
        subscription: SubscriptionId,
        (session, joined): (SessionId, bool),
        fx: &mut Effects,
    ) {
        let ids = |_: &Self| vec![session.0.into(), subscription.0.into()];
        self.tell(realm, MetaEvent::of_subscriber(joined), ids, fx);
    }

    /// As owner: a subscription has its first subscriber.
    pub(crate) fn tell_subscription_created(
        &mut self,
        key: &Key,
        subscription: SubscriptionId,
        session: SessionId,
        fx: &mut Effects,
    ) {
        if is_reserved(&key.uri) {
            return;
        }
        let details = |router: &Self| {
            let owned = router.realms[key.realm.0 as usize]
                .broker
                .owned_by_id(subscription);
            let details = owned.map(|owned| router.subscription_details(owned));
            vec![session.0.into(), details.unwrap_or_default().into()]
        };
        self.tell(key.realm, MetaEvent::SubscriptionCreate, details, fx);
    }

    /// As owner: a subscription has lost its last subscriber.
    pub(crate) fn tell_subscription_deleted(
        &mut self,
        key: &Key,
        subscription: SubscriptionId,
        session: SessionId,
        fx: &mut Effects,
    ) {
        if !is_reserved(&key.uri) {
            let ids = |_: &Self| vec![session.0.into(), subscription.0.into()];
            self.tell(key.realm, MetaEvent::SubscriptionDelete, ids, fx);
        }
    }

    fn subscription_details(&self, owned: &Owned) -> Dict {
        Dict::new()
            .with("id", owned.id.0)
            .with("created", self.config.started.at(owned.created).to_rfc3339())
            .with("uri", &*owned.key.uri)
            .with("match", owned.key.policy.name())
    }
}

fn is_shown(owned: &&Owned) -> bool {
    !is_reserved(&owned.key.uri)
}

fn no_such_subscription() -> Refusal {
    Refusal::new(uri::NO_SUCH_SUBSCRIPTION, "")
}
