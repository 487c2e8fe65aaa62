//! Routers with mailboxes that the test empties, and sessions whose messages are read as short texts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use crosspoint_core::authorize::{Allow, Disclose, Permission, Role};
use crosspoint_core::config::{Access, Anonymous, Limits, RealmConfig, RouterConfig};
use crosspoint_core::dealer::Procedure;
use crosspoint_core::effect::{Effect, Effects, HistoryChange, StoredEvent};
use crosspoint_core::ids::{ConnKey, PublicationId, RegistrationId, SessionId, ShardId, SubscriptionId};
use crosspoint_core::message::{Hello, Message};
use crosspoint_core::peer::PeerMessage;
use crosspoint_core::router::{Leftovers, Router};
use crosspoint_core::time::Time;
use crosspoint_core::value::Dict;

use crate::say::text;
use crate::values::JsonValues;

/// A session, by the order in which it joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who(pub(crate) usize);

/// How a session joins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joining {
    pub(crate) shard: u16,
    pub(crate) authid: &'static str,
    pub(crate) role: &'static str,
    /// What its roles announce.
    pub(crate) features: &'static [&'static str],
}

/// What most sessions announce.
pub(crate) const ALL_FEATURES: &[&str] = &[
    "call_canceling",
    "call_reroute",
    "call_timeout",
    "payload_passthru_mode",
    "progressive_call_invocations",
    "progressive_call_results",
];

struct Session {
    shard: ShardId,
    conn: ConnKey,
    id: SessionId,
    inbox: Vec<Message>,
    is_closed: bool,
}

/// Routers of some shards.
pub(crate) struct Mesh {
    routers: Vec<Router>,
    mail: Vec<Vec<VecDeque<PeerMessage>>>,
    sessions: Vec<Session>,
    now: Time,
    /// Retained events that there was no room for.
    pub(crate) evicted: u64,
    /// What is to be stored, and by which shard.
    pub(crate) changes: Vec<(u16, HistoryChange)>,
}

impl Mesh {
    pub(crate) fn new(shards: u16) -> Self {
        Self::with(shards, |_| {})
    }

    pub(crate) fn with(shards: u16, change: impl FnOnce(&mut RouterConfig)) -> Self {
        let mut config = config();
        change(&mut config);
        let config = Arc::new(config);
        let router = |shard| Router::new(ShardId(shard), shards, Arc::clone(&config), u64::from(shard) + 1);
        let queues = || (0..shards).map(|_| VecDeque::new()).collect();
        Self {
            routers: (0..shards).map(router).collect(),
            mail: (0..shards).map(|_| queues()).collect(),
            sessions: Vec::new(),
            now: Time::default(),
            evicted: 0,
            changes: Vec::new(),
        }
    }

    /// All routers take back what `past` holds of their histories, before anything else.
    pub(crate) fn restore(&mut self, past: impl Fn(usize) -> Vec<StoredEvent>) {
        for shard in 0..self.routers.len() {
            let mut fx = Effects::default();
            self.routers[shard].restore(self.now, |_, history| past(history), &mut fx);
            self.carry_out(ShardId(shard as u16), fx);
        }
    }

    /// Joins as nobody in particular, on the shard whose turn it is.
    pub(crate) fn join(&mut self) -> Who {
        self.join_with(ALL_FEATURES)
    }

    /// Likewise, as a callee that announces `features`.
    pub(crate) fn join_with(&mut self, features: &'static [&'static str]) -> Who {
        let joining = self.anybody(features);
        self.join_as(joining)
    }

    /// [`Mesh::join`] in another realm.
    pub(crate) fn join_in(&mut self, realm: &str) -> Who {
        let joining = self.anybody(ALL_FEATURES);
        self.join_realm(realm, joining)
    }

    fn anybody(&self, features: &'static [&'static str]) -> Joining {
        Joining {
            shard: (self.sessions.len() % self.routers.len()) as u16,
            authid: "somebody",
            role: "user",
            features,
        }
    }

    pub(crate) fn join_as(&mut self, joining: Joining) -> Who {
        self.join_realm("realm1", joining)
    }

    fn join_realm(&mut self, realm: &str, joining: Joining) -> Who {
        let access = Access {
            anonymous: Some(Anonymous {
                role: joining.role.into(),
                realm: Some(realm.into()),
                authid: Some(joining.authid.into()),
            }),
        };
        let shard = ShardId(joining.shard);
        let conn = self.routers[usize::from(shard.0)].open(self.now, Arc::new(access));
        self.sessions.push(Session {
            shard,
            conn,
            id: SessionId(0),
            inbox: Vec::new(),
            is_closed: false,
        });
        let who = Who(self.sessions.len() - 1);
        self.tell(who, hello(joining.features));
        match &self.sessions[who.0].inbox[..] {
            [Message::Welcome(welcome)] => self.sessions[who.0].id = welcome.session,
            other => panic!("no WELCOME: {other:?}"),
        }
        self.sessions[who.0].inbox.clear();
        who
    }

    pub(crate) fn id(&self, who: Who) -> SessionId {
        self.sessions[who.0].id
    }

    /// The router takes a message; what it posts to other shards waits in the mailboxes.
    pub(crate) fn tell(&mut self, who: Who, message: Message) {
        let (shard, conn) = (self.sessions[who.0].shard, self.sessions[who.0].conn);
        let mut fx = Effects::default();
        self.routers[usize::from(shard.0)].message(self.now, conn, message, &mut fx);
        self.carry_out(shard, fx);
    }

    /// [`Mesh::tell`], and all mailboxes are emptied.
    pub(crate) fn say(&mut self, who: Who, message: Message) {
        self.tell(who, message);
        self.settle();
    }

    /// The transport breaks.
    pub(crate) fn lose(&mut self, who: Who) {
        let (shard, conn) = (self.sessions[who.0].shard, self.sessions[who.0].conn);
        let mut fx = Effects::default();
        self.routers[usize::from(shard.0)].lost(self.now, conn, &mut fx);
        self.carry_out(shard, fx);
        self.settle();
    }

    /// Time passes on all shards.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
        for shard in 0..self.routers.len() {
            let mut fx = Effects::default();
            self.routers[shard].timeout(self.now, &mut fx);
            self.carry_out(ShardId(shard as u16), fx);
        }
        self.settle();
    }

    /// How many deadlines all shards have set.
    pub(crate) fn deadlines(&self) -> usize {
        self.routers.iter().map(Router::deadlines).sum()
    }

    /// Shard `to` takes all that `from` has posted to it so far.
    pub(crate) fn deliver(&mut self, from: u16, to: u16) {
        let waiting = std::mem::take(&mut self.mail[usize::from(from)][usize::from(to)]);
        for message in waiting {
            let mut fx = Effects::default();
            self.routers[usize::from(to)].peer(self.now, ShardId(from), message, &mut fx);
            self.carry_out(ShardId(to), fx);
        }
    }

    /// How many messages `from` has posted to `to` that have not arrived.
    pub(crate) fn waiting(&self, from: u16, to: u16) -> usize {
        self.mail[usize::from(from)][usize::from(to)].len()
    }

    /// The procedures that `from` has announced to `to`, and that have not arrived.
    pub(crate) fn announced(&self, from: u16, to: u16) -> Vec<Arc<Procedure>> {
        let waiting = self.mail[usize::from(from)][usize::from(to)].iter();
        let announced = waiting.filter_map(|message| match message {
            PeerMessage::Procedure { procedure, .. } => Some(Arc::clone(procedure)),
            _ => None,
        });
        announced.collect()
    }

    /// Empties all mailboxes.
    pub(crate) fn settle(&mut self) {
        let shards = self.routers.len();
        while self.mail.iter().flatten().any(|queue| !queue.is_empty()) {
            for from in 0..shards {
                for to in 0..shards {
                    self.deliver(from as u16, to as u16);
                }
            }
        }
    }

    /// What a session got since it was asked last.
    pub(crate) fn got(&mut self, who: Who) -> Vec<Message> {
        std::mem::take(&mut self.sessions[who.0].inbox)
    }

    /// [`Mesh::got`] as texts.
    pub(crate) fn heard(&mut self, who: Who) -> Vec<String> {
        let ids: Vec<SessionId> = self.sessions.iter().map(|session| session.id).collect();
        self.got(who).iter().map(|message| text(message, &ids)).collect()
    }

    /// The ids of all sessions in digits, with their names as in [`Mesh::heard`].
    pub(crate) fn names(&self) -> Vec<(String, String)> {
        let sessions = self.sessions.iter().enumerate();
        sessions
            .map(|(place, session)| (session.id.to_string(), format!("#{place}")))
            .collect()
    }

    pub(crate) fn is_closed(&self, who: Who) -> bool {
        self.sessions[who.0].is_closed
    }

    /// Says REGISTER and takes the id from REGISTERED.
    pub(crate) fn register(&mut self, who: Who, register: Message) -> RegistrationId {
        self.say(who, register);
        match self.got(who).pop() {
            Some(Message::Registered(registered)) => registered.registration,
            other => panic!("no REGISTERED: {other:?}"),
        }
    }

    /// Says SUBSCRIBE and takes the id from SUBSCRIBED.
    pub(crate) fn subscribe(&mut self, who: Who, subscribe: Message) -> SubscriptionId {
        self.say(who, subscribe);
        match self.got(who).pop() {
            Some(Message::Subscribed(subscribed)) => subscribed.subscription,
            other => panic!("no SUBSCRIBED: {other:?}"),
        }
    }

    /// The publications of the events that a session got since it was asked last.
    pub(crate) fn publications(&mut self, who: Who) -> Vec<PublicationId> {
        let events = self.got(who).into_iter().map(|message| match message {
            Message::Event(event) => event.publication,
            other => panic!("no EVENT: {other:?}"),
        });
        events.collect()
    }

    pub(crate) fn shards(&self) -> u16 {
        self.routers.len() as u16
    }

    pub(crate) fn leftovers(&self, shard: u16) -> Leftovers {
        self.routers[usize::from(shard)].leftovers()
    }

    fn carry_out(&mut self, shard: ShardId, fx: Effects) {
        self.evicted += fx.evicted;
        for effect in fx.list {
            match effect {
                Effect::Send { to, message } => self.arrive(shard, to, *message),
                Effect::Deliver { event, receivers } => {
                    for to in &fx.receivers[receivers] {
                        self.arrive(shard, *to, Message::Event((*event).clone()));
                    }
                }
                Effect::Post { to, message } => {
                    self.mail[usize::from(shard.0)][usize::from(to.0)].push_back(message);
                }
                Effect::Close { conn, .. } => self.session(shard, conn).is_closed = true,
                Effect::Store(change) => self.changes.push((shard.0, *change)),
            }
        }
    }

    fn arrive(&mut self, shard: ShardId, conn: ConnKey, message: Message) {
        self.session(shard, conn).inbox.push(message);
    }

    fn session(&mut self, shard: ShardId, conn: ConnKey) -> &mut Session {
        let mut sessions = self.sessions.iter_mut();
        sessions
            .find(|session| (session.shard, session.conn) == (shard, conn))
            .expect("a session of the test")
    }
}

/// Runs a scenario on one shard, and with its sessions spread over two.
pub(crate) fn everywhere(scenario: impl Fn(Mesh)) {
    for shards in [1, 2] {
        println!("{shards} shards");
        scenario(Mesh::new(shards));
    }
}

/// [`everywhere`] on routers that disclose nobody.
pub(crate) fn where_nobody_is_disclosed(scenario: impl Fn(Mesh)) {
    for shards in [1, 2] {
        println!("{shards} shards");
        scenario(Mesh::with(shards, |config| {
            config.realms[0].allow_disclose = false
        }));
    }
}

pub(crate) fn hello(features: &[&'static str]) -> Message {
    let mut announced = Dict::new();
    for feature in features {
        announced.push(*feature, true);
    }
    let announced = Dict::new().with("features", announced);
    let roles = Dict::new()
        .with("publisher", announced.clone())
        .with("caller", announced.clone())
        .with("callee", announced);
    Message::Hello(Hello {
        realm: "realm1".into(),
        details: Dict::new().with("roles", roles),
    })
}

/// A realm with roles that may do everything.
pub(crate) fn realm(name: &str) -> RealmConfig {
    let everything = || Permission::from_starred("*", Allow::ALL, Disclose::default());
    let role = |name: &'static str| Role::new(name, [everything()], RandomState::with_seeds(1, 2, 3, 4));
    RealmConfig::new(name, vec![role("user"), role("admin")])
}

fn config() -> RouterConfig {
    let realms = vec![realm("realm1")];
    RouterConfig {
        limits: Limits {
            hello_timeout: Duration::from_secs(3600),
            ..Limits::default()
        },
        ..RouterConfig::new(realms, [1, 2], &JsonValues)
    }
}
