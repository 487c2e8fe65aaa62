//! Tests of the frame layer as a whole; `TW-…` are lines of the conformance catalogue.

pub(in crate::frame) mod peer;
mod rules;
mod splits;

use bytes::BytesMut;

use super::{Decoder, FrameError, Incoming, Role};

pub(in crate::frame::websocket) const FIN: u8 = 0x80;
pub(in crate::frame::websocket) const TEXT: u8 = 1;
pub(in crate::frame::websocket) const BINARY: u8 = 2;
pub(in crate::frame::websocket) const CLOSE: u8 = 8;
pub(in crate::frame::websocket) const PING: u8 = 9;
const PONG: u8 = 10;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Enough for any message here that is not meant to be too long.
pub(in crate::frame::websocket) const LIMIT: usize = 1 << 20;

/// A frame, written by the book and not by the code under test.
fn raw_frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..126 => out.push(mask_bit | len as u8),
        len @ 126..65536 => {
            out.push(mask_bit | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(mask_bit | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(mask.into_iter().flatten());
    out.extend(
        payload
            .iter()
            .enumerate()
            .map(|(i, octet)| octet ^ mask.map_or(0, |mask| mask[i % 4])),
    );
    out
}

/// A client's frame.
pub(in crate::frame::websocket) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    raw_frame(first, Some(MASK), payload)
}

/// What came of a stream: the messages, and the error that ended it.
pub(in crate::frame::websocket) type Outcome = (Vec<Incoming>, Option<FrameError>);

/// Everything that `decoder` finds when the stream arrives in these reads.
pub(in crate::frame::websocket) fn decode_reads<'a>(
    mut decoder: Decoder,
    reads: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let (mut buf, mut found) = (BytesMut::new(), Vec::new());
    for read in reads {
        buf.extend_from_slice(read);
        loop {
            match decoder.next(&mut buf) {
                Ok(Some(incoming)) => found.push(incoming),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

/// Everything that a server finds in these frames.
fn serve(frames: &[Vec<u8>]) -> Outcome {
    decode_reads(Decoder::new(Role::Server, LIMIT), [&frames.concat()[..]])
}
