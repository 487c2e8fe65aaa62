//! What a seed decides before the first step: how many shards and sessions, what clashes, who is slow.

use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use crosspoint_codec::PayloadValues;
use crosspoint_core::authorize::{Allow, Disclose, Permission, Role};
use crosspoint_core::config::{Access, Anonymous, CallQueue, History, Limits, RealmConfig, RouterConfig};
use crosspoint_core::options::MatchPolicy;
use fastrand::Rng;

use crate::uris::Uris;

/// How a run departs from what its seed decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The number of shards, instead of 1, 2, 3 or 8 by the seed.
    pub shards: Option<u16>,
    /// A mesh, or a disk, that breaks its promises.
    pub fault: Option<Fault>,
}

/// What a mesh, or a disk, may do wrong. The simulation must notice each of these, or its invariants are worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Messages of one shard to another overtake each other.
    ReorderWithinPair,
    /// Announcements are acknowledged in a shard's name before it has seen them.
    EarlyAcks,
    /// Some publications between shards are lost.
    LosePublications,
    /// Some publications between shards arrive twice.
    RepeatPublications,
    /// Some publications do not arrive in histories of other shards.
    LoseRecords,
    /// The disk loses some changes of durable histories.
    LoseChanges,
    /// Some replies between shards are lost.
    LoseReplies,
    /// Some cancellations between shards are lost.
    LoseCancels,
}

/// Shares of the scheduler's choices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Clients think of something to do.
    pub(crate) act: u32,
    /// What clients sent reaches the router.
    pub(crate) up: u32,
    /// What the router sent reaches clients.
    pub(crate) down: u32,
    /// What shards sent reaches shards.
    pub(crate) mail: u32,
    /// The disk writes.
    pub(crate) disk: u32,
    /// Time passes.
    pub(crate) clock: u32,
}

/// One seed's world.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) shards: u16,
    has_fixed_shards: bool,
    pub(crate) config: Arc<RouterConfig>,
    /// Whether any realm keeps past events.
    pub(crate) has_histories: bool,
    /// Acts between two starts of the router, on average; `None` where it starts once.
    pub(crate) restart_every: Option<u32>,
    /// Most changes of durable histories that wait to be written.
    pub(crate) store_queue: usize,
    /// Ways in, one of which each connection takes.
    pub(crate) accesses: Vec<Arc<Access>>,
    pub(crate) clients: usize,
    /// How often a client acts before all leave.
    pub(crate) acts: u32,
    /// Acts between two moments of quiet, on average.
    pub(crate) quiet_every: u32,
    pub(crate) uris: Uris,
    pub(crate) pace: Pace,
    /// Of 1,000 acts, how many end a session: some in order, some not.
    pub(crate) turnover: u32,
    /// Of 100 mailboxes, how many are slow.
    pub(crate) slow_mailboxes: u32,
    /// Of 1,000 INVOCATIONs and RESULTs with progress, how many their receivers' outboxes have no room for.
    pub(crate) undelivered: u32,
    /// Of 100 registrations, how many are shared, and how many take over by force.
    pub(crate) shared: u32,
    pub(crate) forced: u32,
    /// After how many acts the router begins to shut down.
    pub(crate) shutdown_after: Option<u32>,
    pub(crate) fault: Option<Fault>,
}

/// What is kept of calls has a limit that is not met.
const KEPT_BYTES: usize = 16 << 20;

pub(crate) const REALMS: [&str; 2] = ["realm1", "realm2"];
/// A role whose sessions are disclosed only where they ask for it, and one whose sessions always are.
pub(crate) const ROLES: [&str; 2] = ["plain", "shown"];
pub(crate) const AUTHIDS: [&str; 2] = ["alice", "bob"];

impl Plan {
    pub(crate) fn new(rng: &mut Rng, options: Options) -> Self {
        let drawn = shards(rng);
        let acts = rng.u32(100..2000);
        let uris = Uris::draw(rng);
        let config = config(rng, &uris);
        let mut histories = config.realms.iter().flat_map(|realm| &realm.histories);
        let is_durable = histories.clone().any(|history| history.durable);
        let restart_every = (is_durable && rng.bool()).then(|| rng.u32(100..1000));
        Self {
            shards: options.shards.unwrap_or(drawn),
            has_fixed_shards: options.shards.is_some(),
            has_histories: histories.next().is_some(),
            restart_every,
            store_queue: [2, 100, 100_000][rng.usize(..3)],
            config: Arc::new(config),
            accesses: accesses(),
            clients: rng.usize(2..=14),
            acts,
            quiet_every: rng.u32(20..300),
            uris,
            pace: pace(rng),
            turnover: [3, 10, 40][rng.usize(..3)],
            slow_mailboxes: [0, 10, 50][rng.usize(..3)],
            undelivered: [0, 0, 20, 200][rng.usize(..4)],
            shared: [10, 50, 90][rng.usize(..3)],
            forced: [0, 10, 40][rng.usize(..3)],
            shutdown_after: (rng.u32(..6) == 0).then(|| rng.u32(acts / 2..acts)),
            fault: options.fault,
        }
    }

    /// What another start changes: the number of shards, the secret key, and how much histories hold.
    pub(crate) fn start_again(&mut self, rng: &mut Rng) {
        if !self.has_fixed_shards {
            self.shards = shards(rng);
        }
        let mut realms = Vec::new();
        for before in &self.config.realms {
            let mut histories = before.histories.clone();
            for history in &mut histories {
                bound(rng, history);
            }
            realms.push(RealmConfig {
                calls: before.calls.clone(),
                histories,
                ..realm(&before.name, before.strict_request_ids, before.allow_disclose)
            });
        }
        self.config = Arc::new(RouterConfig {
            limits: self.config.limits.clone(),
            id_bits: self.config.id_bits,
            search_step: self.config.search_step,
            ..RouterConfig::new(realms, key(rng), &PayloadValues)
        });
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }
}

fn shards(rng: &mut Rng) -> u16 {
    [1, 2, 2, 3, 3, 8][rng.usize(..6)]
}

fn key(rng: &mut Rng) -> [u64; 2] {
    [rng.u64(..), rng.u64(..)]
}

fn pace(rng: &mut Rng) -> Pace {
    Pace {
        act: rng.u32(2..20),
        up: rng.u32(5..20),
        down: rng.u32(3..20),
        mail: rng.u32(2..30),
        disk: rng.u32(1..10),
        clock: rng.u32(0..3),
    }
}

fn config(rng: &mut Rng, uris: &Uris) -> RouterConfig {
    let tight = rng.u32(..4) == 0;
    let mut limit = |most: usize| {
        if tight { rng.usize(1..most) } else { 100_000 }
    };
    let limits = Limits {
        subscriptions: limit(6),
        registrations: limit(6),
        pending_calls: limit(8),
        // Room for one call, or for a few.
        kept_bytes: [KEPT_BYTES, KEPT_BYTES, KEPT_BYTES, rng.usize(1..3000)][rng.usize(..4)],
        hello_timeout: Duration::from_millis(900),
        goodbye_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let (strict, disclose) = (rng.u32(..3) == 0, rng.u32(..4) > 0);
    let queue = (rng.u32(..2) == 0).then(|| CallQueue {
        policy: MatchPolicy::Prefix,
        uri: String::new(),
        limit: rng.usize(1..6),
    });
    let mut realms: Vec<RealmConfig> = REALMS.iter().map(|name| realm(name, strict, disclose)).collect();
    for realm in &mut realms {
        realm.calls.queues.extend(queue.clone());
        realm.histories = histories(rng, uris);
    }
    let key = key(rng);
    RouterConfig {
        limits,
        // Few bits make keys clash, as 53 never do within a lifetime.
        id_bits: [53, 6, 5, 4, 3, 1][rng.usize(..6)],
        // Some look at one topic in a step.
        search_step: [RouterConfig::SEARCH_STEP, 1_000, 1][rng.usize(..3)],
        ..RouterConfig::new(realms, key, &PayloadValues)
    }
}

/// In one of three realms none, else a few.
fn histories(rng: &mut Rng, uris: &Uris) -> Vec<History> {
    let mut histories: Vec<History> = Vec::new();
    for _ in 0..[0, 2, 5][rng.usize(..3)] {
        let (match_policy, uri) = match rng.u32(..3) {
            0 => uris.pattern(rng),
            _ => (MatchPolicy::Exact, uris.valid(rng)),
        };
        let is_there = |held: &History| (held.match_policy, &*held.uri) == (match_policy, uri);
        if !histories.iter().any(is_there) {
            let mut history = History {
                uri: uri.to_owned(),
                match_policy,
                events: 0,
                bytes: 1 << 20,
                max_age: None,
                durable: rng.bool(),
            };
            bound(rng, &mut history);
            histories.push(history);
        }
    }
    histories
}

/// As small, and as short, as makes a history overflow.
fn bound(rng: &mut Rng, history: &mut History) {
    history.events = rng.usize(1..9);
    history.bytes = [1 << 20, 1 << 20, 600 * rng.usize(1..9)][rng.usize(..3)];
    history.max_age = (rng.u32(..3) == 0).then(|| Duration::from_millis(rng.u64(5..200)));
}

fn realm(name: &str, strict_request_ids: bool, allow_disclose: bool) -> RealmConfig {
    RealmConfig {
        strict_request_ids,
        allow_disclose,
        ..RealmConfig::new(name, ROLES.iter().map(|name| role(name)).collect())
    }
}

fn role(name: &'static str) -> Role {
    let disclose = if name == ROLES[1] {
        Disclose::ALL
    } else {
        Disclose::default()
    };
    let everything = Permission::from_starred("*", Allow::ALL, disclose);
    Role::new(name, [everything], RandomState::with_seeds(1, 2, 3, 4))
}

fn accesses() -> Vec<Arc<Access>> {
    let authids = AUTHIDS
        .iter()
        .map(|authid| Some((*authid).to_owned()))
        .chain([None]);
    let access = |role: &str, authid| Access {
        anonymous: Some(Anonymous {
            role: role.into(),
            realm: None,
            authid,
        }),
    };
    authids
        .flat_map(|authid| ROLES.map(|role| Arc::new(access(role, authid.clone()))))
        .collect()
}
