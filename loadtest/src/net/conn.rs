//! One connection, from its first octet to its session.

use std::fmt;

use bytes::BytesMut;
use mio::net::TcpStream;

use super::dialect::Dialect;

/// A connection of one driver, numbered from 0 in the order in which they were begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId(pub(crate) usize);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// TCP.
    Connecting,
    /// The transport's own handshake.
    Upgrading,
    /// HELLO is sent.
    Joining,
    /// WELCOME has come.
    Open,
    /// GOODBYE is sent, or the transport is being closed.
    Leaving,
    /// There is nothing any more.
    Closed,
}

pub(super) struct Conn {
    pub(super) stream: Option<TcpStream>,
    pub(super) stage: Stage,
    pub(super) dialect: Box<dyn Dialect>,
    /// The beginning of an incomplete frame.
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    /// Whether there is output that no turn has yet tried to write.
    pub(super) dirty: bool,
    /// Whether the kernel takes no more output for now.
    pub(super) blocked: bool,
    /// Whether nothing is to be read.
    pub(super) paused: bool,
    /// When it was begun, or should have been.
    pub(super) begun: u64,
    pub(super) last_request: u64,
}

impl Conn {
    pub(super) fn new(stream: TcpStream, dialect: Box<dyn Dialect>, begun: u64) -> Self {
        Self {
            stream: Some(stream),
            stage: Stage::Connecting,
            dialect,
            input: BytesMut::new(),
            output: BytesMut::new(),
            dirty: false,
            blocked: false,
            paused: false,
            begun,
            last_request: 0,
        }
    }
}
