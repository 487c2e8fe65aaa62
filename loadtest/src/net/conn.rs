//! One connection, from its first octet to its session.

use std::fmt;

use bytes::BytesMut;
use mio::net::TcpStream;

use super::dialect::Dialect;
use super::tls::Tls;

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
    /// What lies between `output` and the socket, if anything does.
    tls: Option<Box<Tls>>,
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
    pub(super) fn new(
        stream: TcpStream,
        tls: Option<Box<Tls>>,
        dialect: Box<dyn Dialect>,
        begun: u64,
    ) -> Self {
        Self {
            stream: Some(stream),
            stage: Stage::Connecting,
            dialect,
            tls,
            input: BytesMut::new(),
            output: BytesMut::new(),
            dirty: false,
            blocked: false,
            paused: false,
            begun,
            last_request: 0,
        }
    }

    /// Appends to `buf` what `octets` from the socket bring.
    pub(super) fn take_in(&mut self, octets: &[u8], buf: &mut BytesMut) -> anyhow::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.open(octets, buf),
            None => {
                buf.extend_from_slice(octets);
                Ok(())
            }
        }
    }

    /// Whether there is anything to write.
    pub(super) fn has_output(&self) -> bool {
        self.queued() > 0 || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Octets that wait to be written.
    pub(super) fn queued(&self) -> usize {
        self.output.len() + self.tls.as_ref().map_or(0, |tls| tls.sealed.len())
    }

    /// Makes what is queued ready for the socket.
    pub(super) fn seal(&mut self) -> anyhow::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.seal(&mut self.output),
            None => Ok(()),
        }
    }

    /// The socket and what is to be written to it, if there is both.
    pub(super) fn unwritten(&mut self) -> Option<(&mut TcpStream, &mut BytesMut)> {
        let waiting = match &mut self.tls {
            Some(tls) => &mut tls.sealed,
            None => &mut self.output,
        };
        let stream = self.stream.as_mut().filter(|_| !waiting.is_empty())?;
        Some((stream, waiting))
    }
}
