//! The configuration once it has been checked: plain values with every default filled in.
//!
//! Nothing here knows of files, keys or JSON. An `Option` means that there are two ways to run, never that
//! something was left out.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crosspoint_codec::frame::websocket::deflate::Compression;
use crosspoint_core::config::{CallRules, History, Retention};
use crosspoint_core::options::MatchPolicy;
use crosspoint_core::payload::Format;

/// A whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The node's id (`controller.id`).
    pub node: String,
    /// What the process calls itself in logs (`controller.options.title`).
    pub title: String,
    /// The router worker.
    pub router: Router,
}

/// The one router of a node, whatever the number of its shards.
#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    /// The worker's id.
    pub id: String,
    /// How many shards to run.
    pub shards: Shards,
    /// The CPUs that shards may be pinned to; empty means all that the process may use.
    pub cpus: Vec<usize>,
    /// How long at most a shard looks for work before it waits.
    pub spin: Duration,
    /// Bounds for every session.
    pub limits: Limits,
    /// The realms, in the order of the file; their names are unique.
    pub realms: Vec<Realm>,
    /// The listening transports, in the order of the file; their endpoints are distinct.
    pub listeners: Vec<Listener>,
}

/// How many shards a router runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shards {
    /// One on each usable CPU.
    PerCpu,
    /// This many.
    Exactly(NonZeroUsize),
}

/// Bounds on what one session or connection can make the router hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How deep lists and dictionaries of a message may nest.
    pub nesting_depth: u8,
    /// Longest URI, in bytes.
    pub uri_length: usize,
    /// Most subscriptions of a session.
    pub subscriptions_per_session: usize,
    /// Most of them that are wildcards.
    pub wildcard_subscriptions_per_session: usize,
    /// Most registrations of a session.
    pub registrations_per_session: usize,
    /// Most of them that are wildcards.
    pub wildcard_registrations_per_session: usize,
    /// Most bytes of the URIs of a session's registrations.
    pub registration_bytes_per_session: usize,
    /// Most calls of a session that wait for an answer.
    pub pending_calls_per_session: usize,
    /// Most bytes of calls that are kept for a session, of each kind.
    pub call_bytes_per_session: usize,
    /// Most testaments of a session.
    pub testaments_per_session: usize,
    /// Most bytes of a session's testaments.
    pub testament_bytes_per_session: usize,
    /// Bytes that may wait to be sent to one client.
    pub outbox_bytes: usize,
    /// What happens to a client whose outbox is full.
    pub slow_consumer: SlowConsumer,
    /// From the connection to a HELLO that is accepted.
    pub handshake_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            nesting_depth: 64,
            uri_length: 1024,
            subscriptions_per_session: 100_000,
            wildcard_subscriptions_per_session: 5_000,
            registrations_per_session: 100_000,
            wildcard_registrations_per_session: 5_000,
            registration_bytes_per_session: 16 << 20,
            pending_calls_per_session: 10_000,
            call_bytes_per_session: 16 << 20,
            testaments_per_session: 100,
            testament_bytes_per_session: 1 << 20,
            outbox_bytes: 4 << 20,
            slow_consumer: SlowConsumer::Disconnect,
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// What happens to a client that does not read what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowConsumer {
    /// Its connection is closed.
    Disconnect,
    /// Events for it are dropped, counted and reported; replies never are.
    Drop,
}

/// One realm.
#[derive(Clone, Debug, PartialEq)]
pub struct Realm {
    /// Its URI.
    pub name: String,
    /// Its roles; their names are unique.
    pub roles: Vec<Role>,
    /// How URIs of messages are checked.
    pub uri_check: UriCheck,
    /// Whether request ids must be 1, 2, 3…
    pub strict_request_ids: bool,
    /// Whether `disclose_me` of a client is honoured; otherwise it is refused.
    pub allow_disclose: bool,
    /// Bounds on its retained events.
    pub retention: Retention,
    /// How long calls take, and which of them wait.
    pub calls: CallRules,
    /// Whether there are meta procedures and meta events.
    pub enable_meta_api: bool,
    /// The topics and patterns of which past events are kept; each is there once.
    pub histories: Vec<History>,
    /// Where they are stored; `None` keeps them in memory only.
    pub storage: Option<Storage>,
}

/// Where a realm's histories are stored, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Where the configuration says so, such as `workers[0].realms[1].store`.
    pub key_path: String,
    /// A directory that no other realm uses. It need not exist.
    pub path: PathBuf,
    /// Whether what is there is served, and nothing added.
    pub readonly: bool,
    /// Whether every batch is on the disk before the next one begins.
    pub sync: bool,
    /// Most events of a batch.
    pub max_buffer: usize,
    /// How long an event waits at most for its batch to begin.
    pub buffer_flush: Duration,
}

/// How strictly the URIs in messages are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UriCheck {
    /// Components of anything but white space, `.` and `#`.
    #[default]
    Loose,
    /// Components of lower-case letters, digits and underscores.
    Strict,
}

/// One role of a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name: what WELCOME says as `authrole`.
    pub name: String,
    /// What its sessions may do; what no permission names is denied.
    pub permissions: Vec<Permission>,
}

/// What a role may do with the URIs that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The URI or pattern, with the star of Crossbar.io's short form removed.
    pub uri: String,
    /// How `uri` is compared.
    pub policy: MatchPolicy,
    /// Whether its sessions may call.
    pub call: bool,
    /// Whether its sessions may register.
    pub register: bool,
    /// Whether its sessions may publish.
    pub publish: bool,
    /// Whether its sessions may subscribe.
    pub subscribe: bool,
    /// Whether callees always learn who calls.
    pub disclose_caller: bool,
    /// Whether subscribers always learn who publishes.
    pub disclose_publisher: bool,
    /// How far its calls and publications are trusted, as receivers are told.
    pub trustlevel: Option<u32>,
}

/// One listening transport: an endpoint and what is spoken there.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Where the configuration says so, such as `workers[0].transports[1]`.
    pub key_path: String,
    /// Its id.
    pub id: String,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Most connections at a time, over all shards.
    pub max_connections: usize,
    /// Set where RawSocket is served.
    pub rawsocket: Option<RawSocket>,
    /// Set where HTTP, and so possibly WebSocket, is served.
    pub http: Option<Http>,
}

/// Where a transport listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP port. Port 0 lets the system choose one, for tests.
    Tcp {
        /// Address and port.
        address: SocketAddr,
        /// Connections that may wait to be accepted.
        backlog: u32,
    },
    /// A Unix domain socket.
    Unix {
        /// Its path; a socket file left over from before is replaced.
        path: PathBuf,
        /// Connections that may wait to be accepted.
        backlog: u32,
    },
}

/// RawSocket on a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSocket {
    /// The serializers that are offered.
    pub serializers: Vec<Format>,
    /// Who may join.
    pub access: Access,
    /// Longest message that is taken, in bytes: a power of two from 512 to 16 MiB, as the handshake announces it.
    pub max_message_size: usize,
}

/// Who may join over a transport. Sessions without credentials are all there is so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The role of sessions that join without credentials.
    pub role: String,
    /// The realm that they are put in; `None` leaves the choice to them.
    pub realm: Option<String>,
    /// Their authid; `None` draws one for each session.
    pub authid: Option<String>,
}

/// HTTP on a transport.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// What is served where; the longest path that fits a request decides. Paths are unique.
    pub routes: Vec<Route>,
    /// Whether each request is logged at `info` rather than at `debug`.
    pub access_log: bool,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
}

/// One entry of the routes of a transport.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The path: `/`, or `/a/b` without a slash at its end.
    pub path: String,
    /// What answers there and below.
    pub service: Service,
}

/// What answers on a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Service {
    /// WAMP over WebSocket.
    WebSocket(WebSocket),
    /// WAMP over HTTP long-polling.
    LongPoll(LongPoll),
    /// A WebSocket that sends every message back. Its serializers and access mean nothing.
    Testee(WebSocket),
    /// Files of a directory.
    Static(StaticFiles),
    /// A fixed JSON value.
    Json(JsonValue),
    /// A redirect to this URL (status 302).
    Redirect(String),
    /// The built-in demo.
    Demo,
    /// Nothing: status 404.
    Nothing,
}

/// WAMP over WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocket {
    /// The serializers that are offered.
    pub serializers: Vec<Format>,
    /// Who may join.
    pub access: Access,
    /// Whether each serializer is also offered in batches.
    pub batched: bool,
    /// Set where messages may be compressed.
    pub compression: Option<Compression>,
    /// Patterns of origins that may connect; `*` stands for any text.
    pub allowed_origins: Vec<String>,
    /// Whether the origin `null` may connect (pages from files).
    pub allow_null_origin: bool,
    /// Longest message that is taken, in bytes.
    pub max_message_size: usize,
    /// From the connection to the complete HTTP request.
    pub open_handshake_timeout: Duration,
    /// From our close frame to the client's.
    pub close_handshake_timeout: Duration,
    /// Set where idle clients are sent pings.
    pub auto_ping: Option<AutoPing>,
    /// Whether TCP_NODELAY is set.
    pub tcp_nodelay: bool,
    /// Whether a plain GET is answered with a page that explains how to connect.
    pub webstatus: bool,
    /// Whether responses say which version answers.
    pub show_server_version: bool,
}

/// Pings that the router sends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoPing {
    /// Time between pings.
    pub interval: Duration,
    /// Time for the pong before the connection is closed; `None` waits for ever.
    pub timeout: Option<Duration>,
    /// Bytes of payload in each ping.
    pub size: usize,
    /// Whether anything that arrives counts as a sign of life, so that busy clients are not pinged.
    pub restart_on_any_traffic: bool,
}

/// WAMP over HTTP long-polling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongPoll {
    /// The serializers that are offered, each but FlatBuffers also batched.
    pub serializers: Vec<Format>,
    /// Who may join.
    pub access: Access,
    /// Patterns of origins that may connect; `*` stands for any text.
    pub allowed_origins: Vec<String>,
    /// Whether the origin `null` may connect (pages from files).
    pub allow_null_origin: bool,
    /// How long a request for messages waits for one.
    pub request_timeout: Duration,
    /// How long a client may stay away before its session is lost.
    pub session_timeout: Duration,
    /// Most bytes of messages in one response, but for a longer message by itself.
    pub queue_limit_bytes: usize,
    /// Most messages in one response.
    pub queue_limit_messages: usize,
    /// Longest body that is taken, in bytes.
    pub max_message_size: usize,
    /// Most transports at a time.
    pub max_transports: usize,
}

/// Files of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticFiles {
    /// The directory, absolute or relative to the working directory.
    pub directory: PathBuf,
    /// Whether a directory without `index.html` is answered with a list of its files.
    pub listing: bool,
    /// Content types by file name extension (lower case, without the dot).
    pub mime_types: Vec<(String, String)>,
    /// How long clients may keep a file; `None` says nothing to them about it.
    pub cache_timeout: Option<Duration>,
    /// The file of the directory that answers where there is no other.
    pub default_file: Option<String>,
}

/// A fixed JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonValue {
    /// The body, encoded.
    pub body: String,
    /// Whether pages of other origins may read it.
    pub allow_cross_origin: bool,
    /// Whether clients are asked not to keep it.
    pub discourage_caching: bool,
}

impl Http {
    /// The route that answers `path` (a request's path without its query): the longest that it lies on.
    pub fn route(&self, path: &str) -> Option<&Route> {
        self.routes
            .iter()
            .filter(|route| route.covers(path))
            .max_by_key(|route| route.path.len())
    }
}

impl Route {
    /// Whether `path` is this route's path or lies below it.
    pub fn covers(&self, path: &str) -> bool {
        self.path == "/"
            || path
                .strip_prefix(self.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
