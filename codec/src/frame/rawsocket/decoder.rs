//! Received bytes to messages.

use bytes::{Buf, Bytes, BytesMut};

use super::{
    HEADER_LEN, LENGTH_BIT_24, LENGTH_MASK, MAX_PAYLOAD, MaxLength, TYPE_MESSAGE, TYPE_PING, TYPE_PONG,
    TYPE_SHIFT,
};

/// Bits 31..28.
const RESERVED_BITS: u32 = 0xf << 28;
/// Bits 26..24, after shifting.
const TYPE_MASK: u32 = 0x7;

/// What a peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A WAMP message, as it was encoded.
    Message(Bytes),
    /// To be answered by a pong with the same payload.
    Ping(Bytes),
    /// The answer to a ping, or an unsolicited one, which is to be ignored.
    Pong(Bytes),
}

/// A violation after which the connection is to be closed; RawSocket has no way to say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// One of the four highest header bits is set.
    #[error("reserved header bits are set")]
    ReservedBits,
    /// A frame type without a meaning: 3 to 7.
    #[error("frame type {0} is reserved")]
    ReservedType(u8),
    /// The bit for 2^24 is set along with others of the length.
    #[error("a frame must not exceed 2^24 octets")]
    BadLength,
    /// More than we announced in the handshake.
    #[error("a frame must not exceed {limit} octets, as announced")]
    TooLong {
        /// What we announced, in octets.
        limit: usize,
    },
}

/// The receiving half of one connection. It holds no bytes: an incomplete frame stays in the caller's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    limit: usize,
}

impl Decoder {
    /// A decoder that takes payloads up to `announced`, our own length in the handshake.
    #[must_use]
    pub const fn new(announced: MaxLength) -> Self {
        Self {
            limit: announced.octets(),
        }
    }

    /// Takes the next frame off the front of `buf`; `None` when more bytes are needed. Call it until it
    /// returns `None`. After an error nothing is taken any more: it returns the same error again.
    ///
    /// # Errors
    /// [`FrameError`]: the connection is to be closed.
    pub fn next(&self, buf: &mut BytesMut) -> Result<Option<Incoming>, FrameError> {
        let Some(word) = header_word(buf) else {
            return Ok(None);
        };
        let len = self.check(word)?;
        if buf.len() < HEADER_LEN + len {
            return Ok(None);
        }
        buf.advance(HEADER_LEN);
        let payload = buf.split_to(len).freeze();
        Ok(Some(match frame_type(word) {
            TYPE_PING => Incoming::Ping(payload),
            TYPE_PONG => Incoming::Pong(payload),
            _ => Incoming::Message(payload),
        }))
    }

    /// How many more octets the frame at the front of `buf` needs, as far as its header tells; at least one.
    ///
    /// Meant for reserving space after [`next`](Self::next) returned `None`. The peer has only claimed this
    /// length: reserve in proportion to what it has sent, or four bytes of header cost a whole message.
    #[must_use]
    pub fn missing(&self, buf: &[u8]) -> usize {
        let total = header_word(buf).map_or(HEADER_LEN, |word| HEADER_LEN + payload_len(word));
        total.saturating_sub(buf.len()).max(1)
    }

    /// The length of a frame's payload, if the frame is one that we take.
    fn check(&self, word: u32) -> Result<usize, FrameError> {
        if word & RESERVED_BITS != 0 {
            return Err(FrameError::ReservedBits);
        }
        let kind = frame_type(word);
        if !matches!(kind, TYPE_MESSAGE | TYPE_PING | TYPE_PONG) {
            return Err(FrameError::ReservedType(kind as u8));
        }
        let len = payload_len(word);
        if len > MAX_PAYLOAD {
            return Err(FrameError::BadLength);
        }
        if len > self.limit {
            return Err(FrameError::TooLong { limit: self.limit });
        }
        Ok(len)
    }
}

fn header_word(buf: &[u8]) -> Option<u32> {
    buf.first_chunk::<HEADER_LEN>()
        .map(|header| u32::from_be_bytes(*header))
}

const fn frame_type(word: u32) -> u32 {
    word >> TYPE_SHIFT & TYPE_MASK
}

/// The length as 25 bits.
const fn payload_len(word: u32) -> usize {
    let high = if word & LENGTH_BIT_24 != 0 { MAX_PAYLOAD } else { 0 };
    high + (word & LENGTH_MASK) as usize
}
