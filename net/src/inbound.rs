//! Reading an open connection: bytes in, messages to the shard.
//!
//! Invariants:
//! - A connection without an incomplete frame owns no read buffer.
//! - After one read, [`MESSAGES_PER_TURN`] messages or [`BYTES_PER_TURN`] of them the other connections have their turn.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use crosspoint_codec::frame::websocket::Skim;
use crosspoint_core::ids::ConnKey;
use crosspoint_shard::{Reading, Shard};

use crate::protocol::{Input, Protocol};
use crate::scratch::Received;

/// Messages of one connection that are handled in one go.
const MESSAGES_PER_TURN: usize = 128;

/// Bytes of messages of one connection after which no further one is handled in one go. Twice what one read brings, so
/// that only long, compressed or batched messages get this far: what comes of them is to be written before there is more
/// of it than an outbox takes.
const BYTES_PER_TURN: usize = 128 * 1024;

/// Until a reader that was told to wait asks again, at first; in between the time doubles, four times at most.
const PAUSE: Duration = Duration::from_millis(1);

/// How an open connection ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The peer ended the stream.
    EndOfStream,
    /// The connection is lost.
    #[expect(dead_code, reason = "for the log")]
    Lost(io::Error),
}

/// What a connection's peer sent and nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Inbound {
    protocol: Protocol,
    received: Received,
    /// There may be whole frames in what was received.
    unhandled: bool,
    /// The peer said that it ends, or broke the rules: the rest does not matter.
    finished: bool,
    /// How often in a row reading was put off.
    pauses: u32,
}

impl Inbound {
    /// `received` is what came along with the handshake.
    pub(crate) fn new(protocol: Protocol, mut received: Received) -> Self {
        // It may be some time until the next read, or the end of a pause.
        received.keep(0);
        Self {
            protocol,
            unhandled: !received.bytes.is_empty(),
            received,
            finished: false,
            pauses: 0,
        }
    }

    /// Whether something came along with the handshake.
    pub(crate) fn has_unhandled(&self) -> bool {
        self.unhandled
    }

    /// For how long not to read, if so.
    pub(crate) fn pause(&mut self, shard: &mut Shard, conn: ConnKey) -> Option<Duration> {
        if shard.pause(conn).is_none() {
            self.pauses = 0;
            return None;
        }
        let pause = PAUSE * (1 << self.pauses.min(4));
        self.pauses += 1;
        Some(pause)
    }

    /// Takes what was read.
    pub(crate) fn append(&mut self, read: BytesMut) {
        if !self.finished {
            self.received.append(read);
            self.unhandled = true;
        }
    }

    /// Hands whole messages to the shard.
    pub(crate) fn handle(&mut self, shard: &mut Shard, conn: ConnKey) -> Reading {
        if !self.unhandled {
            return Reading::Drained;
        }
        let (mut messages, mut bytes) = (0, 0);
        while messages < MESSAGES_PER_TURN && bytes < BYTES_PER_TURN {
            messages += 1;
            let Some(input) = self.protocol.next(&mut self.received.bytes) else {
                self.unhandled = false;
                self.received.keep(self.protocol.missing(&self.received.bytes));
                return Reading::Drained;
            };
            match input {
                Input::Message(message) => {
                    bytes += message.len();
                    shard.receive(conn, message);
                    if shard.is_flush_due() {
                        break;
                    }
                }
                Input::Ping(pong) => shard.queue(conn, pong),
                Input::Pong => {}
                Input::Framing(framing) => shard.set_framing(conn, framing),
                Input::End { last, fault } => {
                    if let Some(fault) = fault {
                        tracing::debug!(conn = conn.slot, fault, "the peer broke the transport's rules");
                    }
                    shard.finish(conn, last);
                    self.finished = true;
                    self.unhandled = false;
                    self.received = Received::default();
                    return Reading::Drained;
                }
            }
        }
        // Until it is handled it must not keep a chunk that others could use.
        self.protocol.keep();
        self.received.keep(self.protocol.missing(&self.received.bytes));
        Reading::More
    }

    /// What follows now that the connection is closed on our side; what was received and not handled is dropped.
    pub(crate) fn rest(&mut self) -> Rest {
        let received = std::mem::take(&mut self.received);
        Rest {
            skim: self.protocol.skim().filter(|_| !self.finished),
            received,
        }
    }
}

/// What a peer sends after our last octet.
#[derive(Debug)]
pub(crate) struct Rest {
    /// Set where the peer is to say that it closes too, and has not yet.
    skim: Option<Skim>,
    received: Received,
}

impl Rest {
    /// Takes what was read. Whether the connection was closed by the peer as well, as the transport provides.
    pub(crate) fn ends_with(&mut self, read: BytesMut) -> bool {
        let Some(skim) = &mut self.skim else {
            return false;
        };
        self.received.append(read);
        let ends = skim.ends(&mut self.received.bytes);
        self.received.keep(0);
        ends
    }
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;
