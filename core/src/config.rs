//! What the router's rules are told once, at start: realms, roles, who may join over which transport, limits.
//!
//! These types hold checked values only; reading and checking a configuration file is `node`'s work.

use std::time::Duration;

use crate::arguments::Values;
use crate::authorize::Role;
use crate::options::MatchPolicy;
use crate::pattern::relation::Pattern;
use crate::time::UnixTime;
use crate::uri::UriCheck;

/// Everything that all shards of one router share.
#[derive(Debug)]
pub struct RouterConfig {
    /// The realms; a [`RealmId`](crate::ids::RealmId) is an index into this list.
    pub realms: Vec<RealmConfig>,
    /// Limits for every session.
    pub limits: Limits,
    /// Secret key of ids and hashes: the same on all shards, new on every start.
    pub key: [u64; 2],
    /// What WELCOME.Details.agent says.
    pub agent: String,
    /// Bits of the hash that subscription and registration ids begin with: 53, but for tests that want clashes.
    pub id_bits: u32,
    /// Most work on looking through kept events in one step, in what takes some 8 ns. It is
    /// [`RouterConfig::SEARCH_STEP`], but for tests that want many steps.
    pub search_step: usize,
    /// The codec's part of the meta API.
    pub values: &'static dyn Values,
    /// When the router's clock stood at zero. Should the system's clock be set later on, the router's dates follow
    /// only at the next start: they never go back.
    pub started: UnixTime,
}

impl RouterConfig {
    /// About half a millisecond; a millisecond where names are long.
    pub const SEARCH_STEP: usize = 1 << 16;

    /// A router with default limits that began in 1970; `key` is [`RouterConfig::key`].
    #[must_use]
    pub fn new(realms: Vec<RealmConfig>, key: [u64; 2], values: &'static dyn Values) -> Self {
        Self {
            realms,
            limits: Limits::default(),
            key,
            agent: String::new(),
            id_bits: 53,
            search_step: Self::SEARCH_STEP,
            values,
            started: UnixTime::default(),
        }
    }
}

/// One realm.
#[derive(Debug)]
pub struct RealmConfig {
    /// Its URI.
    pub name: String,
    /// The roles that sessions can have in it.
    pub roles: Vec<Role>,
    /// How strictly URIs are checked.
    pub uri_check: UriCheck,
    /// Whether request ids that are not 1, 2, 3… are a violation. Off by default: clients in use send others.
    pub strict_request_ids: bool,
    /// Whether a client's `disclose_me` is honoured; otherwise it is refused.
    pub allow_disclose: bool,
    /// Whether there are meta procedures and meta events.
    pub enable_meta_api: bool,
    /// What is kept of publications that ask for it.
    pub retention: Retention,
    /// How long calls take, and which of them wait.
    pub calls: CallRules,
    /// Topics and patterns of which past events are kept; each is there once.
    pub histories: Vec<History>,
}

/// A topic or pattern of which past events are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The topic or pattern.
    pub uri: String,
    /// How it is compared.
    pub match_policy: MatchPolicy,
    /// Most events.
    pub events: usize,
    /// Most bytes of all events.
    pub bytes: usize,
    /// How long events are kept; `None` means until there are too many.
    pub max_age: Option<Duration>,
    /// Whether every change is to be stored: [`Effect::Store`](crate::effect::Effect::Store).
    pub durable: bool,
}

/// What a realm says about its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallRules {
    /// How long a call may take, where neither its caller nor its callee want it shorter; `None`: for ever.
    pub timeout: Option<Duration>,
    /// The registrations whose calls wait where all callees work on as many as they want; the first that fits counts.
    pub queues: Vec<CallQueue>,
}

/// A queue for each registration that a pattern covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallQueue {
    /// How `uri` is compared with that of the registration.
    pub policy: MatchPolicy,
    /// A URI or pattern.
    pub uri: String,
    /// Most calls that wait for one registration.
    pub limit: usize,
}

impl CallRules {
    /// How many calls may wait for a registration, if any.
    #[must_use]
    pub fn queue_limit(&self, policy: MatchPolicy, uri: &str) -> Option<usize> {
        let mut queues = self.queues.iter();
        queues
            .find(|queue| queue.covers(policy, uri))
            .map(|queue| queue.limit)
    }
}

impl CallQueue {
    /// Whether this is for all registrations that are for `uri`, or for procedures that it matches.
    #[must_use]
    pub fn covers(&self, policy: MatchPolicy, uri: &str) -> bool {
        let own = Pattern {
            policy: self.policy,
            uri: &self.uri,
        };
        own.covers(Pattern { policy, uri })
    }
}

impl RealmConfig {
    /// A realm of the configuration's defaults.
    #[must_use]
    pub fn new(name: impl Into<String>, roles: Vec<Role>) -> Self {
        Self {
            name: name.into(),
            roles,
            uri_check: UriCheck::Loose,
            strict_request_ids: false,
            allow_disclose: true,
            enable_meta_api: true,
            retention: Retention::default(),
            calls: CallRules::default(),
            histories: Vec::new(),
        }
    }
}

/// Bounds on the retained events of a realm. Each shard has an equal share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Most events.
    pub events: usize,
    /// Most bytes of all events.
    pub bytes: usize,
    /// Most events of one topic: one for everybody, and newer ones for some.
    pub per_topic: usize,
    /// Most events that one SUBSCRIBE gets, if it is for a pattern.
    pub per_subscribe: usize,
    /// How long an event is retained at most; `None` means until it is replaced.
    pub expiry: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events: 100_000,
            bytes: 64 << 20,
            per_topic: 16,
            per_subscribe: 1_000,
            expiry: None,
        }
    }
}

/// Who may open a session over one transport.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Set where sessions without credentials may join.
    pub anonymous: Option<Anonymous>,
}

/// The identity of sessions that join without credentials.
#[derive(Clone, Debug)]
pub struct Anonymous {
    /// Their role.
    pub role: String,
    /// The realm they are put in; `None` leaves the choice to them.
    pub realm: Option<String>,
    /// Their authid; `None` draws one for each session.
    pub authid: Option<String>,
}

/// Bounds on what one session can make the router hold or do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest URI, in bytes.
    pub uri_bytes: usize,
    /// Most subscriptions of a session.
    pub subscriptions: usize,
    /// Most of them that are wildcards: a topic may have to be compared with all of them, and have no event for anybody.
    pub wildcard_subscriptions: usize,
    /// Most registrations of a session.
    pub registrations: usize,
    /// Most of them that are wildcards, likewise.
    pub wildcard_registrations: usize,
    /// Most bytes of the URIs of a session's registrations, which every shard knows.
    pub registration_bytes: usize,
    /// Most calls of a session that wait for an answer.
    pub pending_calls: usize,
    /// Most bytes of calls that are kept for a session, of each kind: as a caller, what waits for a callee, or of meta
    /// procedures for other calls; as a callee, what waits for its REGISTERED, and copies of calls that it may leave to others.
    pub kept_bytes: usize,
    /// Most testaments of a session.
    pub testaments: usize,
    /// Most bytes that the testaments of a session hold, about.
    pub testament_bytes: usize,
    /// From the connection, or the end of the session before, to a HELLO that is accepted.
    pub hello_timeout: Duration,
    /// From the router's GOODBYE to the client's.
    pub goodbye_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            uri_bytes: 1024,
            subscriptions: 100_000,
            wildcard_subscriptions: 5_000,
            registrations: 100_000,
            wildcard_registrations: 5_000,
            registration_bytes: 16 << 20,
            pending_calls: 10_000,
            kept_bytes: 16 << 20,
            testaments: 100,
            testament_bytes: 1 << 20,
            hello_timeout: Duration::from_secs(10),
            goodbye_timeout: Duration::from_secs(2),
        }
    }
}
