//! The names of WAMP's WebSocket subprotocols.

use std::fmt;

use crosspoint_core::payload::Format;

/// The subprotocol for messages in `format`, one message per WebSocket message.
#[must_use]
pub const fn subprotocol(format: Format) -> &'static str {
    match format {
        Format::Json => "wamp.2.json",
        Format::MsgPack => "wamp.2.msgpack",
        Format::Cbor => "wamp.2.cbor",
        Format::BjData | Format::UbJson => "wamp.2.ubjson",
        Format::FlatBuffers => "wamp.2.flatbuffers",
    }
}

/// The one of `enabled` that a subprotocol stands for; `None` if there is none. Case matters.
#[must_use]
pub fn format_of(name: &[u8], enabled: &[Format]) -> Option<Format> {
    enabled
        .iter()
        .copied()
        .find(|&format| subprotocol(format).as_bytes() == name)
}

/// Behind the name of a serializer's subprotocol: its WebSocket messages are [batches](mod@crate::frame::batch).
const BATCHED: &str = ".batched";

/// What a subprotocol stands for. Its name is its `Display`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subprotocol {
    /// The serializer.
    pub format: Format,
    /// Whether each WebSocket message is a batch of messages.
    pub batched: bool,
}

impl Subprotocol {
    /// The subprotocol called `name`, if it is one of the serializers in `enabled`. Case matters.
    #[must_use]
    pub fn of(name: &[u8], enabled: &[Format]) -> Option<Self> {
        let serializer = name.strip_suffix(BATCHED.as_bytes());
        let batched = serializer.is_some();
        let format = format_of(serializer.unwrap_or(name), enabled)?;
        Some(Self { format, batched }).filter(Self::exists)
    }

    /// Whether there is such a subprotocol: FlatBuffers has no batched one.
    #[must_use]
    pub fn exists(&self) -> bool {
        !self.batched || self.format != Format::FlatBuffers
    }
}

impl fmt::Display for Subprotocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(subprotocol(self.format))?;
        f.write_str(if self.batched { BATCHED } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_format() {
        for format in Format::ALL {
            let name = subprotocol(format).as_bytes();
            assert_eq!(format_of(name, &[format]), Some(format));
            assert_eq!(format_of(name, &[]), None);
            for batched in [false, true] {
                let subprotocol = Subprotocol { format, batched };
                let name = subprotocol.to_string();
                let found = Subprotocol::of(name.as_bytes(), &[format]);
                assert_eq!(found, Some(subprotocol).filter(Subprotocol::exists));
            }
        }
        let of = |name| Subprotocol::of(name, &Format::ALL);
        assert_eq!(of(b"wamp.2.json.batched.batched"), None);
        assert_eq!(of(b"wamp.2.flatbuffers.batched"), None);
        assert_eq!(format_of(b"WAMP.2.JSON", &Format::ALL), None);
        assert_eq!(format_of(b"wamp.2.json.batched", &Format::ALL), None);
    }
}
