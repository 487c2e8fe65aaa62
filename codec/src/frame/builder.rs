//! One complete frame around a message that is encoded in place.

use bytes::{Bytes, BytesMut};
use crosspoint_core::payload::Format;

use super::batch::{self, Separator};
use super::{rawsocket, websocket};

/// How messages are delimited on a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// RFC 6455: one message is one WebSocket message, sent as a single frame.
    WebSocket,
    /// The same for a `.batched` subprotocol: each WebSocket message is a [batch](mod@batch), sent here with one message
    /// in it. So a frame does not depend on its receiver, and what is queued for one leaves in one write in any
    /// case: a longer batch would save two to four octets of header for each message.
    Batched(Separator),
    /// WAMP RawSocket: four octets of header, then the message.
    RawSocket,
}

impl Framing {
    /// Octets in front of a message in `format`.
    const fn room(self, format: Format) -> usize {
        match self {
            Self::WebSocket => websocket::HEADER_ROOM,
            Self::Batched(_) => websocket::HEADER_ROOM + batch::room(format),
            Self::RawSocket => rawsocket::HEADER_LEN,
        }
    }
}

/// The message is longer than its framing can express (RawSocket: 2^24 octets; batches: less than 2^32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {len} octets does not fit into one frame")]
pub struct TooLong {
    /// Octets of the encoded message.
    pub len: usize,
}

/// A frame in the making: room for the longest header, and behind it the message as it is encoded.
///
/// The header depends on the message's length, so it is written last, right in front of the message; the room
/// that it did not need is cut off. The message is never moved.
#[derive(Debug)]
pub struct FrameBuilder {
    framing: Framing,
    format: Format,
    /// Octets in front of the message.
    room: usize,
    out: BytesMut,
}

impl FrameBuilder {
    /// Starts a frame for a message in `format`; `capacity` octets are allocated for the message, which may
    /// turn out longer.
    #[must_use]
    pub fn new(framing: Framing, format: Format, capacity: usize) -> Self {
        let room = framing.room(format);
        let mut out = BytesMut::with_capacity(room + capacity);
        out.resize(room, 0);
        Self {
            framing,
            format,
            room,
            out,
        }
    }

    /// Where to encode the message. Only append: what is there already is the room for the header.
    pub fn message(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Octets of the message so far; what a peer's limit is compared with.
    #[must_use]
    pub fn message_len(&self) -> usize {
        self.out.len().saturating_sub(self.room)
    }

    /// The frame as a server sends it: text for JSON, binary for the other serializers.
    ///
    /// # Errors
    /// [`TooLong`] if the framing cannot express the length.
    pub fn finish(mut self) -> Result<Bytes, TooLong> {
        self.finish_batch()?;
        match self.framing {
            Framing::WebSocket | Framing::Batched(_) => Ok(websocket::finish_server_frame(
                self.out,
                websocket::opcode_of(self.format),
            )),
            Framing::RawSocket => rawsocket::finish_message(self.out),
        }
    }

    /// The frame as a client sends it: as [`finish`](Self::finish), but masked with `mask` on WebSocket. The
    /// key must not be predictable by whoever chose the payload (RFC 6455 section 5.3).
    ///
    /// # Errors
    /// [`TooLong`] if the framing cannot express the length.
    pub fn finish_as_client(mut self, mask: [u8; 4]) -> Result<Bytes, TooLong> {
        self.finish_batch()?;
        match self.framing {
            Framing::WebSocket | Framing::Batched(_) => Ok(websocket::finish_client_frame(
                self.out,
                websocket::opcode_of(self.format),
                mask,
            )),
            Framing::RawSocket => rawsocket::finish_message(self.out),
        }
    }

    fn finish_batch(&mut self) -> Result<(), TooLong> {
        match self.framing {
            Framing::Batched(separator) => batch::finish(self.format, separator, self.room, &mut self.out),
            Framing::WebSocket | Framing::RawSocket => Ok(()),
        }
    }
}

/// The server frame around the message that `encode` appends: what all receivers of one serializer and
/// framing share. For an `encode` that can fail, use [`FrameBuilder`].
///
/// # Errors
/// [`TooLong`] if the framing cannot express the length.
pub fn build(framing: Framing, format: Format, encode: impl FnOnce(&mut BytesMut)) -> Result<Bytes, TooLong> {
    /// Most WAMP messages without a large payload fit.
    const CAPACITY: usize = 256;
    let mut frame = FrameBuilder::new(framing, format, CAPACITY);
    encode(frame.message());
    frame.finish()
}
