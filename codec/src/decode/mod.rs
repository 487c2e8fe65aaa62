//! Decodes the envelope of a message. See [`decode()`].

mod envelope;
mod fields;
mod messages;
mod options;
mod pubsub;
mod rpc;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use crosspoint_core::message::Message;
use crosspoint_core::payload::Format;

use self::envelope::Envelope;
pub(crate) use self::envelope::describe;
pub(crate) use self::messages::{message_of_code, shape};
use crate::error::{DecodeError, Malformed};
use crate::flatbuffers;
use crate::read::{BjDataReader, CborReader, JsonReader, MsgPackReader, UbJsonReader};

/// How much of a peer's input is taken for a message. Its length is limited by the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most levels of lists and dictionaries, the message itself included.
    pub depth: u8,
    /// Most values in the options or details of one message; they are kept in memory many times the size that
    /// they have on the wire. Payloads are not counted.
    pub values: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            values: 65_536,
        }
    }
}

/// Decodes `input`, which is exactly one message.
///
/// Strings and payload share the memory of `input`, but for strings with JSON escapes or of CBOR's indefinite
/// length, which are copied. The payload is checked to be well-formed and is otherwise not looked at. Whether
/// a string is a URI, and whether a peer may send the message, is not decided here.
///
/// # Errors
///
/// Whatever WAMP calls a protocol violation of the message itself: see [`DecodeError`], whose text names the
/// message and the key.
pub fn decode(format: Format, input: &Bytes, limits: &Limits) -> Result<Message, DecodeError> {
    let decoded = match format {
        Format::Json => match JsonReader::new(input) {
            Ok(reader) => Envelope::decode(reader, input, *limits),
            Err(at) => {
                let what = Malformed::Utf8;
                return Err(DecodeError::Malformed { format, at, what });
            }
        },
        Format::MsgPack => Envelope::decode(MsgPackReader::new(input), input, *limits),
        Format::Cbor => Envelope::decode(CborReader::new(input), input, *limits),
        Format::BjData => Envelope::decode(BjDataReader::of_stranger(input), input, *limits),
        Format::UbJson => Envelope::decode(UbJsonReader::of_stranger(input), input, *limits),
        Format::FlatBuffers => flatbuffers::decode(input, *limits),
    };
    decoded.map_err(|refusal| *refusal)
}
