//! WAMP RawSocket: a handshake of four octets each way, then frames with a header of four octets.
//!
//! ```text
//! bits 31..28 reserved, 0 | bit 27 length 2^24 | bits 26..24 type | bits 23..0 length
//! ```
//! Bit 27 is the 25th bit of the length: it is set for a payload of exactly 2^24 octets only, and the other
//! length bits are then 0.

mod decoder;
mod encode;
mod handshake;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, FrameError, Incoming};
pub use encode::{append_message, finish_message, ping, pong};
pub use handshake::{Accepted, HandshakeError, MAGIC, MaxLength, Refusal, accept, read_reply, request};

/// Octets of a frame's header.
pub const HEADER_LEN: usize = 4;

/// The longest payload that a header can express, in octets.
pub const MAX_PAYLOAD: usize = 1 << 24;

/// Bit 27, the 25th bit of the length.
const LENGTH_BIT_24: u32 = 1 << 27;

/// Bits 23..0, the other bits of the length.
const LENGTH_MASK: u32 = (1 << 24) - 1;

/// Where the type begins.
const TYPE_SHIFT: u32 = 24;

/// A frame with a WAMP message.
const TYPE_MESSAGE: u32 = 0;
/// A frame that asks for a [`TYPE_PONG`] with the same payload.
const TYPE_PING: u32 = 1;
/// The answer to a [`TYPE_PING`].
const TYPE_PONG: u32 = 2;
