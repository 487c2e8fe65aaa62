//! Frames as clients send them.

use bytes::{Bytes, BytesMut};
use crosspoint_codec::frame::{FrameBuilder, Framing};
use crosspoint_core::payload::Format;

/// So many frames with `size` octets in each, as one read returns them: masked where clients mask.
///
/// # Panics
/// If RawSocket cannot express `size`.
#[must_use]
pub fn stream(framing: Framing, frames: usize, size: usize) -> Bytes {
    let mut out = BytesMut::new();
    for _ in 0..frames {
        let mut frame = FrameBuilder::new(framing, Format::MsgPack, size);
        frame.message().extend(std::iter::repeat_n(0x5a, size));
        match frame.finish_as_client([1, 2, 3, 4]) {
            Ok(frame) => out.extend_from_slice(&frame),
            Err(error) => panic!("{error}"),
        }
    }
    out.freeze()
}
