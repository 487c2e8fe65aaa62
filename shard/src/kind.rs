//! What a connection's frames depend on.

use crosspoint_codec::frame::Framing;
use crosspoint_codec::frame::websocket::deflate::WindowBits;
use crosspoint_core::payload::Format;

/// The kind of a connection's frames: connections of one kind share them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) format: Format,
    pub(crate) framing: Framing,
    /// Set if the peer takes compressed messages, and with which window.
    pub(crate) deflate: Option<WindowBits>,
    /// All of it as one number, since kinds are compared for each receiver of an event.
    number: u32,
}

impl Kind {
    pub(crate) fn new(format: Format, framing: Framing, deflate: Option<WindowBits>) -> Self {
        let framed = match framing {
            Framing::WebSocket => 0,
            Framing::RawSocket => 1,
            Framing::Batched(separator) => 2 + separator as u32,
        };
        let window = deflate.map_or(0, |bits| u32::from(bits.get()));
        Self {
            format,
            framing,
            deflate,
            number: format as u32 | framed << 8 | window << 16,
        }
    }

    /// The same without compression.
    pub(crate) fn plain(self) -> Self {
        Self::new(self.format, self.framing, None)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Kind {}
