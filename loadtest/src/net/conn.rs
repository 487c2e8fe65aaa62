//! One connection, from its first octet to its session.

use std::fmt;

use anyhow::Context;
use bytes::BytesMut;
use crosspoint_codec::core::payload::Format;
use crosspoint_codec::frame::Framing;
use crosspoint_codec::frame::rawsocket::{self, MaxLength};
use crosspoint_codec::frame::websocket::handshake::ClientHandshake;
use mio::net::TcpStream;

use super::wire::Wire;
use crate::target::Target;

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
    pub(super) wire: Wire,
    /// Set while the WebSocket upgrade is under way.
    upgrade: Option<Box<ClientHandshake>>,
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
    pub(super) fn new(stream: TcpStream, framing: Framing, format: Format, begun: u64) -> Self {
        Self {
            stream: Some(stream),
            stage: Stage::Connecting,
            wire: Wire::new(framing, format),
            upgrade: None,
            input: BytesMut::new(),
            output: BytesMut::new(),
            dirty: false,
            blocked: false,
            paused: false,
            begun,
            last_request: 0,
        }
    }

    /// Queues what the transport's handshake begins with.
    pub(super) fn begin_upgrade(&mut self, target: &Target) {
        self.stage = Stage::Upgrading;
        let format = self.wire.format;
        match target.framing {
            Framing::WebSocket => {
                let handshake = ClientHandshake::new(fastrand::u128(..).to_ne_bytes(), vec![format]);
                let request = handshake.request(&target.authority(), &target.path, &[]);
                self.output.extend_from_slice(&request);
                self.upgrade = Some(Box::new(handshake));
            }
            Framing::RawSocket => {
                let request = rawsocket::request(format, MaxLength::LARGEST);
                self.output.extend_from_slice(&request);
            }
        }
    }

    /// Reads the answer to the transport's handshake; whether it is complete.
    pub(super) fn end_upgrade(&mut self, buf: &mut BytesMut) -> anyhow::Result<bool> {
        let done = match &self.upgrade {
            Some(handshake) => handshake
                .read_response(buf)
                .context("WebSocket upgrade")?
                .is_some(),
            None => rawsocket::read_reply(buf, self.wire.format)
                .context("RawSocket handshake")?
                .is_some(),
        };
        if done {
            self.upgrade = None;
        }
        Ok(done)
    }
}
