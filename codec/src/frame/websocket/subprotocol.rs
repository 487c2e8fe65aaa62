//! The names of WAMP's WebSocket subprotocols.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_format() {
        for format in Format::ALL {
            assert_eq!(format_of(subprotocol(format).as_bytes()), Some(format));
        }
        assert_eq!(format_of(b"WAMP.2.JSON"), None);
        assert_eq!(format_of(b"wamp.2.json.batched"), None);
    }
}
