//! Listeners and connections of Crosspoint on glommio.
//!
//! [`start`] takes a [`ServerSpec`], probes the system, binds every listener and only then starts the shards,
//! one thread and executor each. From there:
//!
//! - `accept`: each shard accepts its share of every TCP port; a thread deals the connections of a Unix socket.
//! - `connection`: one task per connection until it is open. `opening` finds out from its first bytes what it wants:
//!   WebSocket, RawSocket, or HTTP, which is handed off ([`Handoff`]).
//! - `echo`: the testee, which sends messages back instead of speaking WAMP.
//! - `wire`: an open connection, which its shard calls when there is something to read; `inbound` and `protocol` cut
//!   messages for the shard, `socket` has the system calls.
//! - `connector`: connections whose other end is another thread of the process, for transports that live there.
//! - `link`: a socket in glommio's hands, before it is open and while it is being closed.
//!
//! Everything that names glommio is in `fd`, `link` and `local`.
#![deny(unsafe_code)]

mod accept;
mod batches;
mod connection;
mod connector;
mod counters;
mod echo;
mod fd;
mod inbound;
mod inbox;
mod keepalive;
mod link;
mod listen;
mod local;
mod opening;
mod permit;
mod probe;
mod protocol;
mod scratch;
mod server;
mod socket;
mod spec;
#[cfg(test)]
mod tests;
mod wire;

pub use connector::Connector;
pub use counters::ConnectionCounters;
pub use listen::{Address, BindError, Endpoint};
pub use probe::{Unavailable, probe};
pub use server::{Running, StartError, start};
pub use spec::{
    AutoPing, Handoff, HandoffFn, HttpSpec, ListenerSpec, RawSocketSpec, Route, ServerSpec, WayBack,
    WebSocketSpec,
};
