//! SUBSCRIBE and UNSUBSCRIBE, and what shards tell each other about them.

use std::sync::Arc;

use smallvec::smallvec;

use super::{Asking, Grant, Subscription, Waiting};
use crate::authorize::Action;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{ConnKey, RealmId, SessionId, ShardId, SubscriptionId};
use crate::message::{Message, RequestKind, Subscribe, Subscribed, Unsubscribe, Unsubscribed};
use crate::options::MatchPolicy;
use crate::peer::{Grant as Asked, Interest, Key, PeerMessage, SubscriptionGrant, Token};
use crate::router::{Pending, Refusal, Router, invalid_uri};
use crate::small_set::SmallSet;

impl Router {
    pub(crate) fn subscribe(&mut self, conn: ConnKey, subscribe: Subscribe, fx: &mut Effects) {
        if let Err(refusal) = self.try_subscribe(conn, &subscribe, fx) {
            self.refuse(conn, (RequestKind::Subscribe, subscribe.request), refusal, fx);
        }
    }

    fn try_subscribe(
        &mut self,
        conn: ConnKey,
        subscribe: &Subscribe,
        fx: &mut Effects,
    ) -> Result<(), Refusal> {
        let Some(session) = self.conns.session(conn) else {
            return Ok(());
        };
        let (realm, policy) = (session.realm, subscribe.options.match_policy.unwrap_or_default());
        let waiting = Waiting {
            conn,
            session: session.id,
            request: subscribe.request,
            get_retained: subscribe.options.get_retained,
        };
        if !self.realms[realm.0 as usize].uris.allow(policy, &subscribe.topic) {
            return Err(invalid_uri("the topic is no valid URI for its match policy"));
        }
        let role = &self.realm_config(realm).roles[session.role()];
        if !role.decide(Action::Subscribe, &subscribe.topic, policy).allowed {
            return Err(Refusal::new(
                uri::NOT_AUTHORIZED,
                "the role may not subscribe to this",
            ));
        }
        let broker = &self.realms[realm.0 as usize].broker;
        if waiting.get_retained {
            broker.searches.check_limit(conn)?;
        }
        let known = broker.local.get(policy, &subscribe.topic).copied();
        if let Some(slot) = known {
            return self.join(slot, realm, (waiting, policy), fx);
        }
        self.check_subscription_limit(conn, policy)?;
        let key = Key {
            realm,
            policy,
            uri: Arc::from(&*subscribe.topic),
        };
        self.ask_for_subscription(key, waiting, fx);
        Ok(())
    }

    /// Whether there is room for one more of the session on `conn`.
    fn check_subscription_limit(&self, conn: ConnKey, policy: MatchPolicy) -> Result<(), Refusal> {
        let Some(session) = self.conns.session(conn) else {
            return Ok(());
        };
        let limits = &self.config.limits;
        let (most, most_wildcards) = (limits.subscriptions, limits.wildcard_subscriptions);
        let message = if session.subscriptions.len() + session.subscribing as usize >= most {
            format!("a session may have {most} subscriptions")
        } else if policy == MatchPolicy::Wildcard && session.wildcards as usize >= most_wildcards {
            format!("a session may have {most_wildcards} wildcard subscriptions")
        } else {
            return Ok(());
        };
        Err(Refusal::new(uri::LIMIT_EXCEEDED, message))
    }

    /// One more subscriber, or the same again, to a subscription that this shard has or waits for.
    fn join(
        &mut self,
        slot: u32,
        realm: RealmId,
        (waiting, policy): (Waiting, MatchPolicy),
        fx: &mut Effects,
    ) -> Result<(), Refusal> {
        let Some(subscription) = self.realm(realm).broker.subscriptions.slot_mut(slot) else {
            return Ok(());
        };
        match &mut subscription.state {
            Grant::Granted(id) => {
                let id = *id;
                if !subscription.subscribers.contains(waiting.conn) {
                    self.check_subscription_limit(waiting.conn, policy)?;
                }
                self.add_subscriber(realm, slot, id, waiting, fx);
            }
            Grant::Pending(asking) => {
                asking.waiting.push(waiting);
                self.check_subscription_limit(waiting.conn, policy)
                    .inspect_err(|_| {
                        if let Some(place) = self.realms[realm.0 as usize].broker.subscriptions.slot_mut(slot)
                            && let Grant::Pending(asking) = &mut place.state
                        {
                            asking.waiting.pop();
                        }
                    })?;
                self.begin_subscribing(waiting.conn, policy);
            }
        }
        Ok(())
    }

    /// A SUBSCRIBE waits for its grant.
    fn begin_subscribing(&mut self, conn: ConnKey, policy: MatchPolicy) {
        if let Some(session) = self.conns.session_mut(conn) {
            session.subscribing += 1;
            session.wildcards += u32::from(policy == MatchPolicy::Wildcard);
        }
    }

    /// The first subscriber on this shard: the key's owner makes it known to all shards.
    fn ask_for_subscription(&mut self, key: Key, waiting: Waiting, fx: &mut Effects) {
        self.begin_subscribing(waiting.conn, key.policy);
        let broker = &mut self.realm(key.realm).broker;
        let state = Grant::Pending(Box::new(Asking {
            id: None,
            waiting: smallvec![waiting],
        }));
        let (slot, _) = broker.subscriptions.insert(Subscription {
            key: key.clone(),
            state,
            subscribers: SmallSet::default(),
        });
        broker.local.insert(key.policy, Arc::clone(&key.uri), slot);
        let token = self.new_token();
        let pending = Pending::Subscribe {
            realm: key.realm,
            slot,
            waiting_for: self.shards,
        };
        self.pending.insert(token, pending);
        let hasher = &self.realm(key.realm).hasher;
        let owner = hasher.owner(hasher.hash(key.policy, &key.uri));
        let (from, session) = (self.me, waiting.session);
        let message = PeerMessage::Subscribe {
            from,
            key,
            session,
            token,
        };
        self.post(owner, message, fx);
    }

    /// As owner: `from` has its first subscriber.
    pub(crate) fn own_subscribe(
        &mut self,
        from: ShardId,
        (key, session): (Key, SessionId),
        token: Token,
        fx: &mut Effects,
    ) {
        let now = self.now;
        let realm = self.realm(key.realm);
        let hash = realm.hasher.hash(key.policy, &key.uri);
        let directory = &mut realm.broker.directory;
        let (subscription, is_new) = directory.add(&realm.hasher, (&key, hash), from, now);
        if is_new {
            self.tell_subscription_created(&key, subscription, session, fx);
        }
        let realm = self.realm(key.realm);
        let shards = realm.broker.directory.announced(&key, hash);
        let grant = Some(SubscriptionGrant {
            grant: Asked { to: from, token },
            subscription,
        });
        self.post_all(
            &PeerMessage::Interest(Interest {
                key,
                hash,
                shards,
                grant,
            }),
            fx,
        );
    }

    /// As owner: `from` has no subscriber any more; `session` was its last.
    pub(crate) fn own_unsubscribe(
        &mut self,
        from: ShardId,
        (key, session): (&Key, SessionId),
        fx: &mut Effects,
    ) {
        let realm = self.realm(key.realm);
        let hash = realm.hasher.hash(key.policy, &key.uri);
        let gone = realm.broker.directory.remove(key, hash, from);
        let shards = realm.broker.directory.announced(key, hash);
        if let Some(subscription) = gone {
            self.tell_subscription_deleted(key, subscription, session, fx);
        }
        self.post_all(
            &PeerMessage::Interest(Interest {
                key: key.clone(),
                hash,
                shards,
                grant: None,
            }),
            fx,
        );
    }

    /// The owner of a key says which shards want it.
    pub(crate) fn learn_interest(&mut self, interest: Interest, fx: &mut Effects) {
        let broker = &mut self.realm(interest.key.realm).broker;
        broker.set_interest(&interest.key, interest.hash, interest.shards);
        let Some(SubscriptionGrant { grant, subscription }) = interest.grant else {
            return;
        };
        if grant.to != self.me {
            return self.acknowledge(grant, fx);
        }
        if let Some(Pending::Subscribe { realm, slot, .. }) = self.pending.get(&grant.token) {
            let (realm, slot) = (*realm, *slot);
            if let Some(place) = self.realm(realm).broker.subscriptions.slot_mut(slot)
                && let Grant::Pending(asking) = &mut place.state
            {
                asking.id = Some(subscription);
            }
        }
        self.acknowledged(grant.token, fx);
    }

    /// Every shard knows of the subscription in `slot`: it is in force.
    pub(crate) fn subscribed(&mut self, realm: RealmId, slot: u32, fx: &mut Effects) {
        let broker = &mut self.realm(realm).broker;
        let Some(subscription) = broker.subscriptions.slot_mut(slot) else {
            return;
        };
        let Some((id, waiting)) = subscription.state.asked() else {
            unreachable!("a subscription is granted once, by its owner's announcement");
        };
        subscription.state = Grant::Granted(id);
        let is_wildcard = subscription.key.policy == MatchPolicy::Wildcard;
        broker.by_id.insert(id, slot);
        let Some(last) = waiting.last().map(|waiting| waiting.session) else {
            unreachable!("somebody asked for the subscription");
        };
        for waiting in waiting {
            if let Some(session) = self
                .conns
                .session_mut(waiting.conn)
                .filter(|session| session.id == waiting.session)
            {
                session.subscribing -= 1;
                session.wildcards -= u32::from(is_wildcard);
                self.add_subscriber(realm, slot, id, waiting, fx);
            }
        }
        self.drop_if_unused(realm, slot, last, fx);
    }

    fn add_subscriber(
        &mut self,
        realm: RealmId,
        slot: u32,
        id: SubscriptionId,
        who: Waiting,
        fx: &mut Effects,
    ) {
        let broker = &mut self.realms[realm.0 as usize].broker;
        if let Some(subscription) = broker.subscriptions.slot_mut(slot)
            && subscription.subscribers.insert(who.conn, &self.hasher)
        {
            let is_wildcard = subscription.key.policy == MatchPolicy::Wildcard;
            if let Some(session) = self.conns.session_mut(who.conn) {
                session.wildcards += u32::from(is_wildcard);
            }
            self.tell_owner(realm, (id, slot), (who.session, true), fx);
        }
        if let Some(session) = self.conns.session_mut(who.conn) {
            session.subscriptions.insert(id, &self.hasher);
        }
        fx.send(
            who.conn,
            Message::Subscribed(Subscribed {
                request: who.request,
                subscription: id,
            }),
        );
        if who.get_retained {
            self.ask_for_retained(realm, slot, id, (who.conn, who.session), fx);
        }
    }

    pub(crate) fn unsubscribe(&mut self, conn: ConnKey, unsubscribe: &Unsubscribe, fx: &mut Effects) {
        let Some(session) = self.conns.session_mut(conn) else {
            return;
        };
        if !session.subscriptions.remove(unsubscribe.subscription) {
            let refusal = Refusal::new(uri::NO_SUCH_SUBSCRIPTION, "");
            return self.refuse(conn, (RequestKind::Unsubscribe, unsubscribe.request), refusal, fx);
        }
        let (realm, session) = (session.realm, session.id);
        self.remove_subscriber((conn, session), realm, unsubscribe.subscription, fx);
        let reply = Unsubscribed {
            request: unsubscribe.request,
            details: None,
        };
        fx.send(conn, Message::Unsubscribed(reply));
    }

    /// The session `who` ended.
    pub(crate) fn end_subscriptions(
        &mut self,
        who: (ConnKey, SessionId),
        realm: RealmId,
        subscriptions: &SmallSet<SubscriptionId>,
        fx: &mut Effects,
    ) {
        for id in subscriptions.as_slice() {
            self.remove_subscriber(who, realm, *id, fx);
        }
    }

    pub(super) fn remove_subscriber(
        &mut self,
        (conn, session): (ConnKey, SessionId),
        realm: RealmId,
        id: SubscriptionId,
        fx: &mut Effects,
    ) {
        let broker = &mut self.realm(realm).broker;
        broker.searches.forget(conn, id);
        let Some(slot) = broker.by_id.get(&id).copied() else {
            return;
        };
        if let Some(subscription) = broker.subscriptions.slot_mut(slot)
            && subscription.subscribers.remove(conn)
        {
            let is_wildcard = subscription.key.policy == MatchPolicy::Wildcard;
            // Nothing is left to count where the session has ended.
            let still = self.conns.session_mut(conn).filter(|still| still.id == session);
            if let Some(still) = still {
                still.wildcards -= u32::from(is_wildcard);
            }
            self.tell_owner(realm, (id, slot), (session, false), fx);
        }
        self.drop_if_unused(realm, slot, session, fx);
    }

    /// The last subscriber of this shard, `session`, is gone: the key's owner makes it known.
    fn drop_if_unused(&mut self, realm: RealmId, slot: u32, session: SessionId, fx: &mut Effects) {
        let Some(subscription) = self.realm(realm).broker.subscriptions.slot(slot) else {
            return;
        };
        let Grant::Granted(id) = subscription.state else {
            return;
        };
        if !subscription.subscribers.is_empty() {
            return;
        }
        let broker = &mut self.realm(realm).broker;
        let Some(Subscription { key, .. }) = broker.subscriptions.remove_slot(slot) else {
            return;
        };
        broker.by_id.remove(&id);
        broker.local.remove(key.policy, &key.uri);
        let hasher = &self.realm(realm).hasher;
        let owner = hasher.owner(hasher.hash(key.policy, &key.uri));
        let from = self.me;
        self.post(owner, PeerMessage::Unsubscribe { from, key, session }, fx);
    }
}
