//! Application payload: what a message carries for the application, never looked into here.

use bytes::Bytes;

/// A serializer, and so the form in which a payload lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Format {
    /// JSON text (RFC 8259).
    Json = 0,
    /// MessagePack, specification version 5.
    MsgPack = 1,
    /// CBOR (RFC 8949).
    Cbor = 2,
}

impl Format {
    /// Every serializer, in the order of their discriminants.
    pub const ALL: [Self; 3] = [Self::Json, Self::MsgPack, Self::Cbor];

    /// The name in configuration files and in WebSocket subprotocols.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MsgPack => "msgpack",
            Self::Cbor => "cbor",
        }
    }
}

/// `Arguments` and `ArgumentsKw` of a message: one encoded, checked value each, as received.
///
/// Invariants, kept by the codec: `args` is empty (absent) or exactly one well-formed value of `format`;
/// likewise `kwargs`, which is then a dictionary. `args` is a list, but for messages of the older payload
/// transparency mode (`enc_algo` in the options), where it is one byte string or text. What is absent is
/// normalised: an empty list, an empty dictionary and null are absent, and where both are the payload is
/// [`Payload::EMPTY`]. Where kwargs are present and args are not, encoders write an empty list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The form of both slices.
    pub format: Format,
    /// The encoded `Arguments`; empty where absent.
    pub args: Bytes,
    /// The encoded `ArgumentsKw`; empty where absent.
    pub kwargs: Bytes,
}

impl Payload {
    /// No payload at all; does not allocate.
    pub const EMPTY: Self = Self {
        format: Format::Json,
        args: Bytes::new(),
        kwargs: Bytes::new(),
    };

    /// Whether neither arguments nor keyword arguments are there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.args.is_empty() && self.kwargs.is_empty()
    }

    /// Bytes that the payload holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.args.len() + self.kwargs.len()
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::EMPTY
    }
}
