//! The four octets that each side sends first.
//!
//! ```text
//! request, accept:  7F | LLLL SSSS | 00 | 00      L: the sender takes messages up to 2^(9+L) octets
//! refusal:          7F | EEEE 0000 | 00 | 00      S: serializer
//! ```

use bytes::{Buf, BytesMut};
use crosspoint_core::payload::Format;

/// The first octet of a handshake. No HTTP request begins with it, so both can share a port.
pub const MAGIC: u8 = 0x7f;

/// Octets of a handshake, each way.
const HANDSHAKE_LEN: usize = 4;

/// The longest message that one side takes, as the handshake expresses it: 2^9 to 2^24 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaxLength(u8);

impl MaxLength {
    /// 16 MiB, the most that can be announced. Some clients go on at nothing less.
    pub const LARGEST: Self = Self(0xf);

    /// The exponent for the shortest length, 512 octets.
    const MIN_EXPONENT: u32 = 9;

    /// The shortest length that takes messages of `octets`; [`LARGEST`](Self::LARGEST) if none does.
    #[must_use]
    pub const fn at_least(octets: usize) -> Self {
        let mut length = Self(0);
        while length.octets() < octets && length.0 < Self::LARGEST.0 {
            length.0 += 1;
        }
        length
    }

    /// The length in octets.
    #[must_use]
    pub const fn octets(self) -> usize {
        1 << (Self::MIN_EXPONENT + self.0 as u32)
    }

    const fn from_nibble(nibble: u8) -> Self {
        Self(nibble & 0xf)
    }
}

impl Default for MaxLength {
    fn default() -> Self {
        Self::LARGEST
    }
}

/// Why a router refuses a client, by the code in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Refusal {
    /// The serializer is unknown or not enabled.
    #[error("serializer unsupported")]
    Serializer = 1,
    /// The client takes only messages that are too short.
    #[error("maximum message length unacceptable")]
    MaxLength = 2,
    /// The third or fourth octet is not 0.
    #[error("use of reserved bits")]
    ReservedBits = 3,
    /// The router has as many connections as it wants.
    #[error("maximum connection count reached")]
    MaxConnections = 4,
}

impl Refusal {
    /// What to send before closing.
    #[must_use]
    pub const fn reply(self) -> [u8; HANDSHAKE_LEN] {
        [MAGIC, (self as u8) << 4, 0, 0]
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Serializer),
            2 => Some(Self::MaxLength),
            3 => Some(Self::ReservedBits),
            4 => Some(Self::MaxConnections),
            _ => None,
        }
    }
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The first octet is not 7F: the peer speaks something else. To be closed without an answer.
    #[error("not RawSocket: the first octet is {0:#04x}")]
    NotRawSocket(u8),
    /// Server: refuse with [`Refusal::reply`] and close. Client: the router said so.
    #[error("{0}")]
    Refused(Refusal),
    /// Client: the router answered with an error code without a meaning.
    #[error("refused with the reserved code {0}")]
    RefusedWith(u8),
    /// Client: the router answered with another serializer than the one asked for, or used reserved bits.
    #[error("the answer does not fit the request")]
    BadAnswer,
}

/// A client that may go on, and what to answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The serializer of all messages, both ways.
    pub format: Format,
    /// The longest message that the client takes: never send it a longer one.
    pub peer_max: MaxLength,
    /// The answer to send.
    pub reply: [u8; HANDSHAKE_LEN],
}

/// Server: takes the client's handshake off the front of `buf` and answers it, announcing `our_max`. `None`
/// while it is incomplete; octets behind it are the client's first frames and stay.
///
/// # Errors
/// [`HandshakeError::NotRawSocket`], at the first octet, or [`HandshakeError::Refused`].
pub fn accept(
    buf: &mut BytesMut,
    enabled: &[Format],
    our_max: MaxLength,
) -> Result<Option<Accepted>, HandshakeError> {
    let Some([choice, reserved @ ..]) = take_handshake(buf)? else {
        return Ok(None);
    };
    if reserved != [0, 0] {
        return Err(HandshakeError::Refused(Refusal::ReservedBits));
    }
    let format = format_of(choice & 0xf, enabled).ok_or(HandshakeError::Refused(Refusal::Serializer))?;
    let peer_max = MaxLength::from_nibble(choice >> 4);
    Ok(Some(Accepted {
        format,
        peer_max,
        reply: request(format, our_max),
    }))
}

/// Client: the handshake that asks for `format` and announces `our_max`.
#[must_use]
pub const fn request(format: Format, our_max: MaxLength) -> [u8; HANDSHAKE_LEN] {
    [MAGIC, our_max.0 << 4 | serializer(format), 0, 0]
}

/// Client: takes the router's answer off the front of `buf`, `None` while it is incomplete: the longest
/// message that the router takes.
///
/// # Errors
/// [`HandshakeError`], if the router refused or the answer is no answer to a request for `format`.
pub fn read_reply(buf: &mut BytesMut, format: Format) -> Result<Option<MaxLength>, HandshakeError> {
    let Some([choice, reserved @ ..]) = take_handshake(buf)? else {
        return Ok(None);
    };
    let code = choice >> 4;
    if choice & 0xf == 0 {
        let refusal = Refusal::from_code(code);
        return Err(refusal.map_or(HandshakeError::RefusedWith(code), HandshakeError::Refused));
    }
    if reserved != [0, 0] || choice & 0xf != serializer(format) {
        return Err(HandshakeError::BadAnswer);
    }
    Ok(Some(MaxLength::from_nibble(code)))
}

/// The octets behind the first one, as soon as all are there.
fn take_handshake(buf: &mut BytesMut) -> Result<Option<[u8; HANDSHAKE_LEN - 1]>, HandshakeError> {
    match buf.first() {
        Some(&first) if first != MAGIC => return Err(HandshakeError::NotRawSocket(first)),
        _ => {}
    }
    let Some(&[_, rest @ ..]) = buf.first_chunk::<HANDSHAKE_LEN>() else {
        return Ok(None);
    };
    buf.advance(HANDSHAKE_LEN);
    Ok(Some(rest))
}

/// The serializer's number in the handshake.
const fn serializer(format: Format) -> u8 {
    match format {
        Format::Json => 1,
        Format::MsgPack => 2,
        Format::Cbor => 3,
        Format::BjData | Format::UbJson => 4,
        Format::FlatBuffers => 5,
    }
}

fn format_of(number: u8, enabled: &[Format]) -> Option<Format> {
    enabled
        .iter()
        .copied()
        .find(|&format| serializer(format) == number)
}
