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
    /// BJData, the descendant of UBJSON with little-endian numbers: what autobahn 26.6 and later speak under the
    /// name `ubjson`.
    BjData = 3,
    /// UBJSON, draft 12: what clients before that speak under the same name.
    UbJson = 4,
    /// FlatBuffers, by autobahn's schema. Only messages have this form, payloads in them are CBOR.
    FlatBuffers = 5,
}

impl Format {
    /// Every serializer, in the order of their discriminants.
    pub const ALL: [Self; 6] = [
        Self::Json,
        Self::MsgPack,
        Self::Cbor,
        Self::BjData,
        Self::UbJson,
        Self::FlatBuffers,
    ];

    /// One for each name: what a router offers that is not told otherwise.
    pub const NAMED: [Self; 5] = [
        Self::Json,
        Self::MsgPack,
        Self::Cbor,
        Self::BjData,
        Self::FlatBuffers,
    ];

    /// The forms that a payload can have, in the order of their discriminants.
    pub const OF_PAYLOADS: [Self; 5] = [Self::Json, Self::MsgPack, Self::Cbor, Self::BjData, Self::UbJson];

    /// The form of payloads in messages of this serializer.
    #[must_use]
    pub const fn of_payload(self) -> Self {
        match self {
            Self::FlatBuffers => Self::Cbor,
            format => format,
        }
    }

    /// The name in configuration files and in WebSocket subprotocols, which the two dialects of UBJSON share.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MsgPack => "msgpack",
            Self::Cbor => "cbor",
            Self::BjData | Self::UbJson => "ubjson",
            Self::FlatBuffers => "flatbuffers",
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
    /// The form of both slices, one of [`Format::OF_PAYLOADS`].
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
