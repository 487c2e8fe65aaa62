//! PUBLISH: from one session to the subscribers of all shards.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::filter::Filter;
use super::retain::retain_for;
use super::{Broker, Grant, Subscription};
use crate::authorize::Action;
use crate::effect::{Effect, Effects};
use crate::error_uri as uri;
use crate::ids::{ConnKey, PublicationId, SessionId, ShardSet, SubscriptionId};
use crate::message::{Event, Message, Publish, Published, RequestKind};
use crate::options::{EventDetails, MatchPolicy, Receivers};
use crate::peer::{Disclosed, PeerMessage, Publication};
use crate::router::{Refusal, Router, invalid_uri, is_passthru, passthru};
use crate::session::{Conns, Session};
use crate::session_id::Location;
use crate::uri::is_reserved;

impl Router {
    pub(crate) fn publish(&mut self, conn: ConnKey, publish: Publish, fx: &mut Effects) {
        if is_passthru(&publish.options.rest) && !self.may_publish_passthru(conn) {
            let text = "PUBLISH.Options: the publisher did not announce payload_passthru_mode";
            return self.violate(conn, text, fx);
        }
        let (request, acknowledge) = (publish.request, publish.options.acknowledge);
        match self.try_publish(conn, publish, fx) {
            Err(refusal) if acknowledge => self.refuse(conn, (RequestKind::Publish, request), refusal, fx),
            // Without acknowledgement a publisher hears nothing, good or bad.
            Err(_) | Ok(()) => {}
        }
    }

    /// Whether the session on `conn` announced payload passthru mode as a publisher.
    pub(crate) fn may_publish_passthru(&self, conn: ConnKey) -> bool {
        let session = self.conns.session(conn);
        session.is_some_and(|session| session.features.publisher_passthru)
    }

    fn try_publish(&mut self, conn: ConnKey, publish: Publish, fx: &mut Effects) -> Result<(), Refusal> {
        let Some(session) = self.conns.session(conn) else {
            return Ok(());
        };
        let (realm, options) = (session.realm, publish.options);
        let (publisher, trustlevel) = self.admit_publish(session, &publish.topic, options.disclose_me)?;
        let retain_for = options
            .retain
            .then(|| retain_for(&options.rest, &self.realm_config(realm).retention))
            .transpose()?;
        let exclude = (options.exclude_me != Some(false)).then_some((conn, session.id));
        let id = PublicationId(self.random_id());
        if options.acknowledge {
            fx.send(
                conn,
                Message::Published(Published {
                    request: publish.request,
                    publication: id,
                }),
            );
        }
        let publication = Publication {
            realm,
            topic: publish.topic,
            publication: id,
            publisher,
            trustlevel,
            receivers: options.receivers,
            retain: options.retain,
            rest: passthru(options.rest),
            payload: publish.payload,
        };
        self.distribute(publication, exclude, retain_for, fx);
        Ok(())
    }

    /// Whether a session may publish to `topic`, and if so what subscribers are told about it: who it is and how far
    /// it is trusted.
    pub(crate) fn admit_publish(
        &self,
        session: &Session,
        topic: &str,
        disclose_me: Option<bool>,
    ) -> Result<(Option<Disclosed>, Option<u32>), Refusal> {
        let realm = &self.realms[session.realm.0 as usize];
        if !realm.uris.allow(MatchPolicy::Exact, topic) {
            return Err(invalid_uri("the topic is no valid URI"));
        }
        if is_reserved(topic) {
            return Err(invalid_uri("topics that begin with 'wamp.' are the router's own"));
        }
        let config = self.realm_config(session.realm);
        let decision = config.roles[session.role()].decide(Action::Publish, topic, MatchPolicy::Exact);
        if !decision.allowed {
            return Err(Refusal::new(
                uri::NOT_AUTHORIZED,
                "the role may not publish to this",
            ));
        }
        let asks_to_be_disclosed = disclose_me == Some(true);
        if asks_to_be_disclosed && !config.allow_disclose {
            return Err(Refusal::new(
                uri::DISCLOSE_ME_DISALLOWED,
                "this realm discloses nobody",
            ));
        }
        let publisher = (asks_to_be_disclosed || decision.disclose).then(|| Disclosed {
            session: session.id,
            identity: Arc::clone(&session.identity),
        });
        Ok((publisher, decision.trustlevel))
    }

    /// Sends a publication to the subscribers of all shards, but not to `exclude` on this one, and has it retained
    /// where that is asked for.
    pub(crate) fn distribute(
        &mut self,
        publication: Publication,
        exclude: Option<(ConnKey, SessionId)>,
        retain_for: Option<Option<Duration>>,
        fx: &mut Effects,
    ) {
        self.deliver(&publication, exclude.map(|(conn, _)| conn), fx);
        let shards = self.interested_elsewhere(&publication);
        let histories = &self.realms[publication.realm.0 as usize].broker.histories;
        let owners = histories
            .as_ref()
            .map_or(ShardSet::EMPTY, |histories| histories.owners(&publication));
        if shards.is_empty() && owners.is_empty() && retain_for.is_none() {
            return;
        }
        let publication = Arc::new(publication);
        for shard in shards.iter() {
            self.post(shard, PeerMessage::Publication(Arc::clone(&publication)), fx);
        }
        self.record(&publication, owners, fx);
        if let Some(expires) = retain_for {
            self.retain(publication, exclude.map(|(_, session)| session), expires, fx);
        }
    }

    /// The other shards that want a publication.
    fn interested_elsewhere(&self, publication: &Publication) -> ShardSet {
        if self.shards == 1 {
            return ShardSet::EMPTY;
        }
        let realm = &self.realms[publication.realm.0 as usize];
        let hash = realm.hasher.hash(MatchPolicy::Exact, &publication.topic);
        let mut shards = realm.broker.interested(&publication.topic, hash);
        shards.remove(self.me);
        if let Some(eligible) = publication
            .receivers
            .as_ref()
            .and_then(|lists| lists.eligible.as_ref())
        {
            let mut theirs = ShardSet::EMPTY;
            for id in eligible {
                theirs = theirs.union(self.shard_of(*id));
            }
            shards = shards.intersection(theirs);
        }
        shards
    }

    /// The shard that a session id names; none for ids that no session has.
    fn shard_of(&self, id: SessionId) -> ShardSet {
        let mut shards = ShardSet::EMPTY;
        if let Some(Location { shard, .. }) =
            self.session_ids.locate(id).filter(|at| at.shard.0 < self.shards)
        {
            shards.insert(shard);
        }
        shards
    }

    /// Delivers a publication to this shard's subscribers, but not to `exclude`.
    pub(crate) fn deliver(&mut self, publication: &Publication, exclude: Option<ConnKey>, fx: &mut Effects) {
        let broker = &self.realms[publication.realm.0 as usize].broker;
        let mut matched: SmallVec<[u32; 8]> = SmallVec::new();
        broker
            .local
            .matches(&publication.topic, |_, _, slot| matched.push(*slot));
        if matched.is_empty() {
            return;
        }
        let filter = publication
            .receivers
            .as_deref()
            .map(|lists: &Receivers| Filter::new(lists, &self.hasher));
        let begun = fx.list.len();
        for slot in matched {
            deliver_one(
                broker,
                &self.conns,
                slot,
                (publication, exclude, filter.as_ref()),
                fx,
            );
        }
        if publication.retain {
            self.supersede(publication, begun, fx);
        }
    }
}

/// Delivers to the subscribers of one subscription.
fn deliver_one(
    broker: &Broker,
    conns: &Conns,
    slot: u32,
    (publication, exclude, filter): (&Publication, Option<ConnKey>, Option<&Filter<'_>>),
    fx: &mut Effects,
) {
    let Some(Subscription {
        key,
        state: Grant::Granted(id),
        subscribers,
    }) = broker.subscriptions.slot(slot)
    else {
        return;
    };
    let first = fx.receivers.len();
    match filter {
        // Nearly always all get it, but for the publisher.
        None => {
            fx.receivers.extend_from_slice(subscribers.as_slice());
            if let Some(place) = exclude.and_then(|conn| subscribers.place(conn)) {
                fx.receivers.remove(first + place);
            }
        }
        Some(filter) => {
            let admits = |conn: ConnKey| {
                let session = conns.session(conn);
                session.is_some_and(|session| filter.admits(session.id, &session.identity))
            };
            let all = subscribers.as_slice().iter().copied();
            fx.receivers
                .extend(all.filter(|conn| Some(*conn) != exclude && admits(*conn)));
        }
    }
    let receivers = first..fx.receivers.len();
    if receivers.is_empty() {
        return;
    }
    let event = Box::new(event(publication, *id, key.policy));
    fx.list.push(Effect::Deliver { event, receivers });
}

/// EVENT for the subscribers of one subscription.
pub(super) fn event(publication: &Publication, subscription: SubscriptionId, policy: MatchPolicy) -> Event {
    let mut details = EventDetails {
        trustlevel: publication.trustlevel.map(u64::from),
        rest: publication.rest.clone(),
        ..EventDetails::default()
    };
    if policy != MatchPolicy::Exact {
        details.topic = Some(publication.topic.clone());
    }
    if let Some(publisher) = &publication.publisher {
        details.publisher = Some(publisher.session);
        details.publisher_authid = Some(publisher.identity.authid.clone());
        details.publisher_authrole = Some(publisher.identity.authrole.clone());
    }
    Event {
        subscription,
        publication: publication.publication,
        details,
        payload: publication.payload.clone(),
    }
}
