//! From a checked configuration to what the shards are told.

use std::io;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::SystemTime;

use ahash::RandomState;
use crosspoint_codec::frame::http::SERVER;
use crosspoint_codec::frame::rawsocket::MaxLength;
use crosspoint_codec::frame::websocket::handshake::{Origins, Upgrade};
use crosspoint_codec::{Limits as DecodeLimits, PayloadValues};
use crosspoint_core::authorize::{Allow, Disclose, Permission, Role};
use crosspoint_core::config as core;
use crosspoint_core::time::UnixTime;
use crosspoint_core::uri::UriCheck;
use crosspoint_net as net;
use crosspoint_shard::{ShardConfig, SlowConsumer, Storage};
use tokio::sync::mpsc;
use tracing::warn;

use crate::config::{self, Config, Listener, Router, Service, Shards};
use crate::control::Connection;

/// What WELCOME and HTTP responses call the router: its version is nobody's business.
const AGENT: &str = "Crosspoint";

/// Bits of the hash that subscription and registration ids begin with: WAMP's ids have 53.
const ID_BITS: u32 = 53;

/// Random numbers that nobody can guess, new for each start.
#[derive(Clone, Copy)]
pub(crate) struct Secret([u64; 7]);

impl Secret {
    /// # Errors
    /// If the system has no randomness to give.
    pub(crate) fn draw() -> io::Result<Self> {
        let mut numbers = [0; 7];
        for number in &mut numbers {
            let mut bytes = [0; 8];
            // Up to 256 bytes arrive in one piece.
            rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
            *number = u64::from_ne_bytes(bytes);
        }
        Ok(Self(numbers))
    }
}

/// What the shards are told. HTTP that they do not speak goes to `connections`, durable histories to `storage`.
pub(crate) fn server_spec(
    config: &Config,
    shards: NonZeroU16,
    secret: Secret,
    (connections, storage): (mpsc::Sender<Connection>, Option<Arc<dyn Storage>>),
) -> net::ServerSpec {
    let router = &config.router;
    let [k0, k1, seed, hash @ ..] = secret.0;
    net::ServerSpec {
        shards,
        spin: router.spin,
        pin: !router.cpus.is_empty(),
        router: Arc::new(core::RouterConfig {
            realms: router
                .realms
                .iter()
                .map(|realm| realm_config(realm, hash))
                .collect(),
            limits: session_limits(&router.limits),
            key: [k0, k1],
            agent: AGENT.to_owned(),
            id_bits: ID_BITS,
            search_step: core::RouterConfig::SEARCH_STEP,
            values: &PayloadValues,
            started: now(),
        }),
        seed,
        storage,
        shard: shard_config(&router.limits),
        listeners: router
            .listeners
            .iter()
            .map(|listener| listener_spec(listener, &router.limits))
            .collect(),
        handoff: Some(Arc::new(move |handoff| hand_over(handoff, &connections))),
    }
}

/// The number of shards to run on `cpus` usable CPUs.
pub(crate) fn shard_count(router: &Router, cpus: usize) -> NonZeroU16 {
    const MOST: usize = 64;
    let count = match router.shards {
        Shards::PerCpu => cpus,
        Shards::Exactly(count) => count.get(),
    };
    let count = u16::try_from(count.min(MOST)).ok();
    count.and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MIN)
}

/// Called by shards: never waits.
fn hand_over(handoff: net::Handoff, connections: &mpsc::Sender<Connection>) {
    let net::Handoff {
        socket,
        received,
        listener,
        way_back,
    } = handoff;
    let give_back = move |socket, received| {
        if let Err(error) = way_back.give_back(socket, received) {
            warn!(%error, "a connection that asks for WebSocket cannot go back to its shard");
        }
    };
    let connection = Connection {
        socket,
        received,
        listener,
        way_back: Box::new(give_back),
    };
    if connections.try_send(connection).is_err() {
        warn!("the web server is behind or stopping; an HTTP connection is closed");
    }
}

fn realm_config(realm: &config::Realm, hash: [u64; 4]) -> core::RealmConfig {
    let [a, b, c, d] = hash;
    let hasher = || RandomState::with_seeds(a, b, c, d);
    let role = |role: &config::Role| {
        Role::new(
            role.name.as_str(),
            role.permissions.iter().map(permission),
            hasher(),
        )
    };
    core::RealmConfig {
        name: realm.name.clone(),
        roles: realm.roles.iter().map(role).collect(),
        uri_check: match realm.uri_check {
            config::UriCheck::Loose => UriCheck::Loose,
            config::UriCheck::Strict => UriCheck::Strict,
        },
        strict_request_ids: realm.strict_request_ids,
        allow_disclose: realm.allow_disclose,
        retention: realm.retention.clone(),
        calls: realm.calls.clone(),
        enable_meta_api: realm.enable_meta_api,
        histories: realm.histories.clone(),
    }
}

/// The system's time.
fn now() -> UnixTime {
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    UnixTime(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
}

fn permission(from: &config::Permission) -> Permission {
    let config::Permission {
        call,
        register,
        publish,
        subscribe,
        ..
    } = *from;
    Permission {
        uri: from.uri.clone(),
        match_policy: from.policy,
        allow: Allow {
            call,
            register,
            publish,
            subscribe,
        },
        disclose: Disclose {
            caller: from.disclose_caller,
            publisher: from.disclose_publisher,
        },
        trustlevel: from.trustlevel,
    }
}

fn session_limits(limits: &config::Limits) -> core::Limits {
    core::Limits {
        uri_bytes: limits.uri_length,
        subscriptions: limits.subscriptions_per_session,
        wildcard_subscriptions: limits.wildcard_subscriptions_per_session,
        registrations: limits.registrations_per_session,
        wildcard_registrations: limits.wildcard_registrations_per_session,
        registration_bytes: limits.registration_bytes_per_session,
        pending_calls: limits.pending_calls_per_session,
        kept_bytes: limits.call_bytes_per_session,
        testaments: limits.testaments_per_session,
        testament_bytes: limits.testament_bytes_per_session,
        hello_timeout: limits.handshake_timeout,
        ..core::Limits::default()
    }
}

/// What the shards are told.
pub(crate) fn shard_config(limits: &config::Limits) -> ShardConfig {
    ShardConfig {
        outbox_bytes: limits.outbox_bytes,
        slow_consumer: match limits.slow_consumer {
            config::SlowConsumer::Disconnect => SlowConsumer::Disconnect,
            config::SlowConsumer::Drop => SlowConsumer::Drop,
        },
        decode: decode_limits(limits),
        ..ShardConfig::default()
    }
}

/// How the bytes of a message are read.
pub(crate) fn decode_limits(limits: &config::Limits) -> DecodeLimits {
    DecodeLimits {
        depth: limits.nesting_depth,
        ..DecodeLimits::default()
    }
}

/// Where to listen.
pub(crate) fn endpoint(from: &config::Endpoint) -> net::Endpoint {
    match from.clone() {
        config::Endpoint::Tcp { address, backlog } => net::Endpoint::Tcp { address, backlog },
        config::Endpoint::Unix { path, backlog } => net::Endpoint::Unix {
            path,
            backlog,
            mode: None,
        },
    }
}

fn listener_spec(listener: &Listener, limits: &config::Limits) -> net::ListenerSpec {
    let rawsocket = listener.rawsocket.as_ref().map(|raw| net::RawSocketSpec {
        formats: raw.serializers.clone(),
        access: Arc::new(access(&raw.access)),
        max_message: MaxLength::at_least(raw.max_message_size),
    });
    let routes = listener.http.iter().flat_map(|http| &http.routes);
    // Until the first request is there nobody knows its path, so that the most patient service decides.
    let patience = routes.clone().filter_map(|route| match &route.service {
        Service::WebSocket(websocket) | Service::Testee(websocket) => Some(websocket.open_handshake_timeout),
        _ => None,
    });
    net::ListenerSpec {
        endpoint: endpoint(&listener.endpoint),
        max_connections: listener.max_connections,
        opening_timeout: patience.max().unwrap_or(limits.handshake_timeout),
        rawsocket,
        http: listener.http.as_ref().map(|_| net::HttpSpec {
            server: server(routes.clone()).to_owned(),
            routes: routes.map(route).collect(),
        }),
    }
}

fn route(from: &config::Route) -> net::Route {
    let websocket = match &from.service {
        Service::WebSocket(websocket) => Some(Arc::new(websocket_spec(websocket))),
        Service::Testee(websocket) => Some(Arc::new(net::WebSocketSpec {
            testee: true,
            ..websocket_spec(websocket)
        })),
        _ => None,
    };
    net::Route {
        path: from.path.clone(),
        websocket,
    }
}

/// What the refusals of a transport call the server where no service has to do with them: its version only if all
/// services that could hide it show it.
fn server<'r>(routes: impl Iterator<Item = &'r config::Route>) -> &'static str {
    let mut shows = routes.filter_map(|route| match &route.service {
        Service::WebSocket(websocket) | Service::Testee(websocket) => Some(websocket.show_server_version),
        _ => None,
    });
    let first = shows.next().unwrap_or(false);
    if first && shows.all(|shows| shows) {
        SERVER
    } else {
        AGENT
    }
}

fn websocket_spec(from: &config::WebSocket) -> net::WebSocketSpec {
    let auto_ping = from.auto_ping.as_ref().map(|ping| net::AutoPing {
        interval: ping.interval,
        timeout: ping.timeout,
        size: ping.size,
        restart_on_any_traffic: ping.restart_on_any_traffic,
    });
    net::WebSocketSpec {
        testee: false,
        upgrade: Upgrade {
            formats: from.serializers.clone(),
            batched: from.batched,
            compression: from.compression,
            origins: Origins::new(&from.allowed_origins, from.allow_null_origin),
            server: if from.show_server_version { SERVER } else { AGENT }.to_owned(),
        },
        access: Arc::new(access(&from.access)),
        max_message_size: from.max_message_size,
        closing_timeout: from.close_handshake_timeout,
        auto_ping: auto_ping.map(Arc::new),
        tcp_nodelay: from.tcp_nodelay,
    }
}

/// Who may join.
pub(crate) fn access(from: &config::Access) -> core::Access {
    let config::Access { role, realm, authid } = from.clone();
    core::Access {
        anonymous: Some(core::Anonymous { role, realm, authid }),
    }
}
