//! What becomes of connections before they are open; from there on the shards count.

use std::sync::atomic::AtomicU64;

/// One number each for all shards and listeners: they change once in a connection's life.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    /// Connections that were accepted.
    pub accepted: AtomicU64,
    /// Of these, those above the limit of their listener, which were refused.
    pub over_limit: AtomicU64,
    /// Those whose handshake was refused for what they asked.
    pub refused: AtomicU64,
    /// Those that took too long for their handshake.
    pub timed_out: AtomicU64,
    /// Those that were handed off.
    pub handed_off: AtomicU64,
    /// Those that came back to ask for WebSocket.
    pub returned: AtomicU64,
    /// Connections that began inside the process; see [`Connector`](crate::Connector). They count nowhere else here.
    pub inside: AtomicU64,
}
