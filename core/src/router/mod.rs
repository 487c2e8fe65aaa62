//! One shard's part of the router: the sessions that live there, and what it knows of all others.
//!
//! A [`Router`] takes messages of its sessions and of the other shards' routers, one at a time, and says what is
//! to happen. It never waits: what needs an answer from another shard is kept under a [`Token`] until the answer
//! comes in as an input of its own.
//!
//! Invariants: a connection gets exactly one [`Effect::Close`], or none if it was lost first; after it, nothing is
//! sent to that connection. Every question to other shards is answered, so `pending` empties when input stops.

mod closing;
mod established;
mod hello;

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::{HashMap, RandomState};
use smallvec::SmallVec;

use crate::broker::{Broker, Turns};
use crate::config::{Access, RealmConfig, RouterConfig};
use crate::dealer::{Calls, Dealer, Incarnation};
use crate::effect::{Effect, Effects};
use crate::features::router_roles;
use crate::ids::{ConnKey, ID_MAX, RealmId, RegistrationId, RequestId, SHARDS_MAX, SessionRef, ShardId};
use crate::key_hash::KeyHasher;
use crate::message::Message;
use crate::meta::{Gathering, MetaTopics};
use crate::peer::{Grant, Key, PeerMessage, Revocation, Token};
use crate::session::{Conn, Conns, Session, State};
use crate::session_id::SessionIds;
use crate::time::Time;
use crate::timers::{Timer, Timers};
use crate::uri::UriRules;
use crate::value::Dict;

pub(crate) use closing::Farewell;
pub(crate) use established::{Refusal, invalid_uri, is_passthru, passthru};
pub(crate) use hello::{AUTH_METHOD, AUTH_PROVIDER};

/// The router of one shard.
#[derive(Debug)]
pub struct Router {
    pub(crate) me: ShardId,
    pub(crate) shards: u16,
    pub(crate) config: Arc<RouterConfig>,
    pub(crate) realms: Vec<Realm>,
    pub(crate) conns: Conns,
    pub(crate) calls: Calls,
    pub(crate) timers: Timers,
    pub(crate) pending: HashMap<Token, Pending>,
    pub(crate) now: Time,
    pub(crate) rng: fastrand::Rng,
    pub(crate) hasher: RandomState,
    pub(crate) session_ids: SessionIds,
    /// Of looking through kept events.
    pub(crate) turns: Turns,
    /// Permuted into session ids, so that none comes twice and none tells how many there were.
    next_session: u64,
    last_token: u64,
    loopback: VecDeque<PeerMessage>,
    shutting_down: bool,
}

/// One realm on one shard.
#[derive(Debug)]
pub(crate) struct Realm {
    pub(crate) hasher: KeyHasher,
    pub(crate) uris: UriRules,
    pub(crate) broker: Broker,
    pub(crate) dealer: Dealer,
    /// Open sessions of this shard by role, in the order of the realm's roles.
    pub(crate) sessions: Vec<u32>,
    /// Set where the realm has a meta API.
    pub(crate) meta: Option<Box<MetaTopics>>,
    /// WELCOME.Details.roles.
    pub(crate) roles: Dict,
}

/// A question to other shards.
#[derive(Debug)]
pub(crate) enum Pending {
    /// A subscription that is not yet known everywhere.
    Subscribe {
        realm: RealmId,
        slot: u32,
        waiting_for: u16,
    },
    /// A registration that is not yet known everywhere.
    Register(Box<PendingRegister>),
    /// A registration's end that is not yet known everywhere.
    Unregister {
        callee: SessionRef,
        request: RequestId,
        waiting_for: u16,
    },
    /// A call of a meta procedure that not all shards have answered.
    Meta(Box<Gathering>),
}

/// See [`Pending::Register`].
#[derive(Debug)]
pub(crate) struct PendingRegister {
    pub(crate) callee: SessionRef,
    pub(crate) request: RequestId,
    pub(crate) key: Key,
    /// Known from the owner's announcement on.
    pub(crate) registration: Option<(RegistrationId, Incarnation)>,
    /// Set if the session lost the registration before it was granted.
    pub(crate) revoked: Option<Revocation>,
    /// Registrations of this key that the session, which had them by earlier requests, gave up after this one.
    pub(crate) given_up: SmallVec<[RegistrationId; 1]>,
    pub(crate) waiting_for: u16,
}

impl Router {
    /// The router of shard `me` of `shards`. `seed` is the source of all randomness of this shard and should
    /// differ between shards.
    ///
    /// # Panics
    /// If `me` is not below `shards`, or `shards` is above [`crate::ids::SHARDS_MAX`].
    #[must_use]
    pub fn new(me: ShardId, shards: u16, config: Arc<RouterConfig>, seed: u64) -> Self {
        assert!(me.0 < shards && shards <= SHARDS_MAX, "shard {me} of {shards}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let hasher = RandomState::with_seeds(rng.u64(..), rng.u64(..), rng.u64(..), rng.u64(..));
        let next_session = rng.u64(..);
        let realm = |(id, realm): (usize, &RealmConfig)| {
            let keys = KeyHasher::new(config.key, &realm.name, config.id_bits, shards);
            Realm {
                uris: UriRules {
                    check: realm.uri_check,
                    len_max: config.limits.uri_bytes,
                },
                broker: Broker::new(&hasher, &keys, (me, shards), (RealmId(id as u32), realm)),
                dealer: Dealer::new(&hasher),
                sessions: vec![0; realm.roles.len()],
                meta: realm.enable_meta_api.then(|| Box::new(MetaTopics::new(&keys))),
                roles: router_roles(realm.enable_meta_api),
                hasher: keys,
            }
        };
        Self {
            me,
            shards,
            realms: config.realms.iter().enumerate().map(realm).collect(),
            conns: Conns::default(),
            calls: Calls::default(),
            timers: Timers::default(),
            pending: HashMap::with_hasher(hasher.clone()),
            now: Time::default(),
            rng,
            hasher,
            session_ids: SessionIds::new(config.key),
            turns: Turns::new(config.search_step),
            config,
            next_session,
            last_token: 0,
            loopback: VecDeque::new(),
            shutting_down: false,
        }
    }

    /// A connection is there; HELLO is expected on it.
    pub fn open(&mut self, now: Time, access: Arc<Access>) -> ConnKey {
        self.now = now;
        let deadline = now.after(self.config.limits.hello_timeout);
        let conn = self.conns.insert(Conn {
            access,
            state: State::AwaitingHello { deadline },
        });
        self.timers.set(deadline, Timer::Conn(conn));
        conn
    }

    /// A message of the peer of `conn`.
    pub fn message(&mut self, now: Time, conn: ConnKey, message: Message, fx: &mut Effects) {
        self.now = now;
        match self.conns.get(conn).map(|conn| &conn.state) {
            Some(State::AwaitingHello { .. }) => self.before_session(conn, message, fx),
            Some(State::Established(_)) => self.in_session(conn, message, fx),
            Some(State::ShuttingDown { .. }) => self.after_goodbye(conn, &message, fx),
            Some(State::Closed) | None => {}
        }
        self.deliver_loopback(fx);
    }

    /// The peer of `conn` sent something that is no message. `text` says what, for humans.
    pub fn violation(&mut self, now: Time, conn: ConnKey, text: &str, fx: &mut Effects) {
        self.now = now;
        match self.conns.get(conn).map(|conn| &conn.state) {
            Some(State::AwaitingHello { .. } | State::Established(_)) => self.violate(conn, text, fx),
            Some(State::ShuttingDown { .. } | State::Closed) | None => {}
        }
        self.deliver_loopback(fx);
    }

    /// The transport of `conn` is gone; its key is free for another connection.
    pub fn lost(&mut self, now: Time, conn: ConnKey, fx: &mut Effects) {
        self.now = now;
        self.leave(conn, false, fx);
        self.conns.remove(conn);
        self.deliver_loopback(fx);
    }

    /// A message of another shard.
    pub fn peer(&mut self, now: Time, from: ShardId, message: PeerMessage, fx: &mut Effects) {
        debug_assert!(from != self.me && from.0 < self.shards);
        self.now = now;
        self.peer_message(message, fx);
        self.deliver_loopback(fx);
    }

    /// When [`Router::timeout`] is to be called next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// How many deadlines are set, of which some may not count any more.
    #[must_use]
    pub fn deadlines(&self) -> usize {
        self.timers.len()
    }

    /// Deadlines may have passed. Calling it too often does no harm.
    pub fn timeout(&mut self, now: Time, fx: &mut Effects) {
        self.now = now;
        while let Some(timer) = self.timers.take(now) {
            match timer {
                Timer::Conn(conn) => self.conn_timeout(conn, fx),
                Timer::Call(call) => self.call_timeout(call, fx),
                Timer::Retained(realm) => self.retained_timeout(realm),
                Timer::Histories(realm) => self.histories_timeout(realm, fx),
                Timer::Turns => self.turns_timeout(fx),
            }
        }
        self.deliver_loopback(fx);
    }

    /// Says GOODBYE to every session and closes every other connection. Connections that come later are
    /// turned away.
    pub fn shutdown(&mut self, now: Time, fx: &mut Effects) {
        self.now = now;
        self.shutting_down = true;
        for conn in self.conns.keys() {
            self.shut_down_conn(conn, fx);
        }
        self.deliver_loopback(fx);
    }

    /// Connections that are open, or closed and not yet [lost](Router::lost).
    #[must_use]
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// Questions for kept events that are not answered yet: some wait for a timer.
    #[must_use]
    pub fn searching(&self) -> usize {
        self.realms.iter().map(|realm| realm.broker.searching()).sum()
    }

    /// What is still held for sessions, calls and keys: all zero on a router that no session uses any more,
    /// once all messages between shards are delivered.
    #[must_use]
    pub fn leftovers(&self) -> Leftovers {
        let mut left = Leftovers {
            connections: self.conns.len(),
            calls: self.calls.len(),
            invocations: self.conns.sessions().map(|session| session.work.len()).sum(),
            pending: self.pending.len(),
            ..Leftovers::default()
        };
        for realm in &self.realms {
            left.subscriptions += realm.broker.held();
            left.procedures += realm.dealer.held();
        }
        left
    }

    pub(crate) fn realm_config(&self, realm: RealmId) -> &RealmConfig {
        &self.config.realms[realm.0 as usize]
    }

    pub(crate) fn realm(&mut self, realm: RealmId) -> &mut Realm {
        &mut self.realms[realm.0 as usize]
    }

    /// The session on `conn` as other shards know it.
    pub(crate) fn session_ref(&self, conn: ConnKey, session: &Session) -> SessionRef {
        SessionRef {
            shard: self.me,
            conn,
            id: session.id,
        }
    }

    pub(crate) fn new_token(&mut self) -> Token {
        self.last_token += 1;
        Token(self.last_token)
    }

    /// A random id of WAMP's global scope.
    pub(crate) fn random_id(&mut self) -> u64 {
        self.rng.u64(1..=ID_MAX)
    }

    /// Posts to any shard; what this shard tells itself is handled before the step ends.
    pub(crate) fn post(&mut self, to: ShardId, message: PeerMessage, fx: &mut Effects) {
        if to == self.me {
            self.loopback.push_back(message);
        } else {
            fx.list.push(Effect::Post { to, message });
        }
    }

    /// Posts to all shards, this one included.
    pub(crate) fn post_all(&mut self, message: &PeerMessage, fx: &mut Effects) {
        for shard in 0..self.shards {
            self.post(ShardId(shard), message.clone(), fx);
        }
    }

    pub(crate) fn deliver_loopback(&mut self, fx: &mut Effects) {
        while let Some(message) = self.loopback.pop_front() {
            self.peer_message(message, fx);
        }
    }

    fn peer_message(&mut self, message: PeerMessage, fx: &mut Effects) {
        match message {
            PeerMessage::Publication(publication) => self.deliver(&publication, None, fx),
            PeerMessage::Subscribe {
                from,
                key,
                session,
                token,
            } => self.own_subscribe(from, (key, session), token, fx),
            PeerMessage::Unsubscribe { from, key, session } => {
                self.own_unsubscribe(from, (&key, session), fx)
            }
            PeerMessage::Subscriber {
                realm,
                subscription,
                session,
                joined,
            } => self.tell_subscriber(realm, subscription, (session, joined), fx),
            PeerMessage::Interest(interest) => self.learn_interest(interest, fx),
            PeerMessage::Record(publication) => self.own_record(&publication, fx),
            PeerMessage::Retain(retain) => self.own_retain(&retain, fx),
            PeerMessage::FindRetained(asked) => self.find_retained(*asked, fx),
            PeerMessage::Retained { realm, token, events } => self.retained(realm, token, events, fx),
            PeerMessage::Register(request) => self.own_register(*request, fx),
            PeerMessage::Unregister {
                key,
                registration,
                callee,
                token,
            } => {
                self.own_unregister(&key, (registration, callee), token, fx);
            }
            PeerMessage::RegisterRefused { token, error } => self.register_refused(token, error, fx),
            PeerMessage::Procedure { procedure, grant } => self.learn_procedure(procedure, grant, fx),
            PeerMessage::Revoked {
                registration,
                callee,
                why,
            } => self.revoked(registration, callee, &why, fx),
            PeerMessage::Ask(question) => self.asked(&question, fx),
            PeerMessage::Answer { token, answer } => self.answered(token, *answer, fx),
            PeerMessage::Ack { token } => self.acknowledged(token, fx),
            PeerMessage::Invoke(invoke) => self.invoke(invoke, fx),
            PeerMessage::Bounce(invoke) => self.bounced(*invoke, fx),
            PeerMessage::Unavailable(invoke) => self.unavailable(*invoke, fx),
            PeerMessage::Turn { call, callee } => self.turn(call, callee, fx),
            PeerMessage::Reply(reply) => self.replied(*reply, fx),
            PeerMessage::Cancel {
                call,
                callee,
                mode,
                reason,
            } => {
                self.cancel_invocation(call, callee, mode, reason, fx);
            }
        }
    }

    /// One more shard knows what `token` waits for.
    pub(crate) fn acknowledged(&mut self, token: Token, fx: &mut Effects) {
        let Some(pending) = self.pending.get_mut(&token) else {
            return;
        };
        let waiting_for = match pending {
            Pending::Subscribe { waiting_for, .. } | Pending::Unregister { waiting_for, .. } => waiting_for,
            Pending::Register(register) => &mut register.waiting_for,
            Pending::Meta(gathering) => &mut gathering.waiting_for,
        };
        *waiting_for -= 1;
        if *waiting_for > 0 {
            return;
        }
        match self.pending.remove(&token) {
            Some(Pending::Subscribe { realm, slot, .. }) => self.subscribed(realm, slot, fx),
            Some(Pending::Register(register)) => self.registered(token, *register, fx),
            Some(Pending::Unregister { callee, request, .. }) => self.unregistered(callee, request, fx),
            Some(Pending::Meta(gathering)) => self.conclude(*gathering, fx),
            None => {}
        }
    }

    /// Tells the shard that waits that this one knows.
    pub(crate) fn acknowledge(&mut self, grant: Grant, fx: &mut Effects) {
        self.post(grant.to, PeerMessage::Ack { token: grant.token }, fx);
    }
}

/// See [`Router::leftovers`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field counts what its name says")]
pub struct Leftovers {
    pub connections: usize,
    pub subscriptions: usize,
    pub procedures: usize,
    pub calls: usize,
    pub invocations: usize,
    pub pending: usize,
}
