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
    }
}

/// The serializer that a subprotocol stands for; `None` if the name is not known. Case matters.
#[must_use]
pub fn format_of(name: &[u8]) -> Option<Format> {
    Format::ALL
        .into_iter()
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
    /// The subprotocol called `name`, if it is known. Case matters.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        let serializer = name.strip_suffix(BATCHED.as_bytes());
        let batched = serializer.is_some();
        let format = format_of(serializer.unwrap_or(name))?;
        Some(Self { format, batched })
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
            assert_eq!(format_of(subprotocol(format).as_bytes()), Some(format));
            for batched in [false, true] {
                let subprotocol = Subprotocol { format, batched };
                assert_eq!(
                    Subprotocol::of(subprotocol.to_string().as_bytes()),
                    Some(subprotocol)
                );
            }
        }
        assert_eq!(Subprotocol::of(b"wamp.2.json.batched.batched"), None);
        assert_eq!(format_of(b"WAMP.2.JSON"), None);
        assert_eq!(format_of(b"wamp.2.json.batched"), None);
    }
}
