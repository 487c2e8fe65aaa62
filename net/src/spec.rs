//! What a server is told at its start: checked values only.

use std::io;
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crosspoint_codec::frame::rawsocket::MaxLength;
use crosspoint_codec::frame::websocket::handshake::Upgrade;
use crosspoint_core::config::{Access, RouterConfig};
use crosspoint_core::payload::Format;
use crosspoint_shard::{ShardConfig, Storage};

use crate::inbox::{Handed, Inbox, Returned};
use crate::listen::Endpoint;
use crate::permit::Permit;

/// A whole server: shards and where they listen.
pub struct ServerSpec {
    /// How many shards to run.
    pub shards: NonZeroU16,
    /// How long at most a shard looks for work before it waits; see [`Options`](crosspoint_shard::rt::Options).
    pub spin: Duration,
    /// Whether shards keep to processors even where there are more of these; see [`Options`](crosspoint_shard::rt::Options).
    pub pin: bool,
    /// What the router's rules are told.
    pub router: Arc<RouterConfig>,
    /// Where all randomness of the shards comes from: new for each start.
    pub seed: u64,
    /// Limits and policies of every shard.
    pub shard: ShardConfig,
    /// Where durable histories are stored, if there are any.
    pub storage: Option<Arc<dyn Storage>>,
    /// Where to listen.
    pub listeners: Vec<ListenerSpec>,
    /// Who answers HTTP requests that are no WebSocket upgrade; `None` answers them with status 404.
    pub handoff: Option<HandoffFn>,
}

/// One listening transport.
#[derive(Clone, Debug)]
pub struct ListenerSpec {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Most connections at a time, over all shards; those handed off count too.
    pub max_connections: usize,
    /// From the connection to the end of the transport's handshake.
    pub opening_timeout: Duration,
    /// Set where RawSocket is served.
    pub rawsocket: Option<RawSocketSpec>,
    /// Set where HTTP, and so possibly WebSocket, is served.
    pub http: Option<HttpSpec>,
}

/// RawSocket on a listener.
#[derive(Clone, Debug)]
pub struct RawSocketSpec {
    /// The serializers that are offered.
    pub formats: Vec<Format>,
    /// Who may join.
    pub access: Arc<Access>,
    /// The longest message that is taken.
    pub max_message: MaxLength,
}

/// HTTP on a listener.
#[derive(Clone, Debug, Default)]
pub struct HttpSpec {
    /// What answers where; the longest path that fits decides. What fits none is handed off.
    pub routes: Vec<Route>,
    /// What refusals that no route is responsible for call the server (the header field `Server`).
    pub server: String,
}

/// What answers on a path and below.
#[derive(Clone, Debug)]
pub struct Route {
    /// `/`, or `/a/b` without a slash at its end.
    pub path: String,
    /// What upgrades to WebSocket become; `None` hands off every request.
    pub websocket: Option<Arc<WebSocketSpec>>,
}

/// WAMP over WebSocket, or a testee.
#[derive(Clone, Debug)]
pub struct WebSocketSpec {
    /// Whether every message is sent back as it is, for test suites, instead of being one of WAMP's. Then no subprotocol
    /// is needed, `access` means nothing, and there are no pings.
    pub testee: bool,
    /// The subprotocols and origins that are accepted.
    pub upgrade: Upgrade,
    /// Who may join.
    pub access: Arc<Access>,
    /// Longest message that is taken, in bytes.
    pub max_message_size: usize,
    /// From our close frame to the end of the connection.
    pub closing_timeout: Duration,
    /// Set where idle clients are sent pings.
    pub auto_ping: Option<Arc<AutoPing>>,
    /// Whether small writes leave at once (TCP_NODELAY).
    pub tcp_nodelay: bool,
}

/// Pings that the router sends by itself.
#[derive(Clone, Debug)]
pub struct AutoPing {
    /// Time between pings.
    pub interval: Duration,
    /// Time for an answer before the connection is closed; `None` waits for ever.
    pub timeout: Option<Duration>,
    /// Bytes of payload in each ping, at most 125.
    pub size: usize,
    /// Whether anything that arrives counts as a sign of life, so that busy clients are not pinged.
    pub restart_on_any_traffic: bool,
}

/// A connection for somebody else to serve.
#[derive(Debug)]
pub struct Handoff {
    /// The socket, TCP or Unix, in non-blocking mode.
    pub socket: OwnedFd,
    /// What was read from it: at least the head of a request.
    pub received: Bytes,
    /// Index of the listener in [`ServerSpec::listeners`].
    pub listener: usize,
    /// To be kept as long as the connection, which counts as long as this exists.
    pub way_back: WayBack,
}

/// A handed off connection's place among those of its listener, and its way back to the shard that had it.
#[derive(Debug)]
pub struct WayBack {
    pub(crate) shard: Inbox,
    pub(crate) listener: usize,
    pub(crate) permit: Permit,
}

impl WayBack {
    /// Gives the connection back, since a request on it asks for WebSocket after others that did not: that is served, or
    /// refused, like any first request. `received` is what was read from it from that request's head on. Whatever
    /// else it asks for is refused, so that no connection goes to and fro. Where the shard is stopping the connection
    /// is closed.
    ///
    /// # Errors
    /// If the socket is none; then it is closed.
    pub fn give_back(self, socket: OwnedFd, received: Bytes) -> io::Result<()> {
        // A shard waits in its own way.
        rustix::io::ioctl_fionbio(&socket, false)?;
        let Self {
            shard,
            listener,
            permit,
        } = self;
        // Where nobody receives any more the router is ending, and so is the connection.
        let _ = shard.send(Handed::Returned(Returned {
            listener,
            socket,
            received,
            permit,
        }));
        Ok(())
    }
}

/// Takes connections over; called on a shard's thread, so it must not block.
pub type HandoffFn = Arc<dyn Fn(Handoff) + Send + Sync>;

impl HttpSpec {
    /// The route that answers `path`, a request's path without its query.
    pub(crate) fn route(&self, path: &str) -> Option<&Route> {
        self.routes
            .iter()
            .filter(|route| route.covers(path))
            .max_by_key(|route| route.path.len())
    }
}

impl Route {
    fn covers(&self, path: &str) -> bool {
        self.path == "/"
            || path
                .strip_prefix(self.path.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_decides() {
        let route = |path: &str| Route {
            path: path.to_owned(),
            websocket: None,
        };
        let http = HttpSpec {
            routes: vec![route("/"), route("/a/b"), route("/a")],
            ..HttpSpec::default()
        };
        let found = |path| http.route(path).map(|route| route.path.as_str());
        assert_eq!(found("/"), Some("/"));
        assert_eq!(found("/ab"), Some("/"));
        assert_eq!(found("/a"), Some("/a"));
        assert_eq!(found("/a/c"), Some("/a"));
        assert_eq!(found("/a/b/c"), Some("/a/b"));
        assert!(
            HttpSpec {
                routes: vec![route("/ws")],
                ..HttpSpec::default()
            }
            .route("/")
            .is_none()
        );
    }
}
