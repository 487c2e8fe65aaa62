//! Frames to send. Every frame made here is final: messages are not fragmented.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use crosspoint_core::payload::Format;
use tungstenite::protocol::frame::FrameHeader;

use super::{CloseCode, Control, Data, MAX_CONTROL_PAYLOAD, OpCode, apply_mask, close_payload};

/// Octets that the longest header takes: two, eight of length and four of mask.
pub const HEADER_ROOM: usize = 14;

/// Of the first octet of a header.
const OPCODE_BITS: u8 = 0x0f;

/// The kind of frame that carries messages in `format`: text for JSON, binary for all others.
#[must_use]
pub const fn opcode_of(format: Format) -> OpCode {
    match format {
        Format::Json => OpCode::Data(Data::Text),
        _ => OpCode::Data(Data::Binary),
    }
}

/// Appends the header of a server frame with `len` octets of payload.
pub fn encode_header(opcode: OpCode, len: usize, out: &mut BytesMut) {
    append_header(opcode, None, len, out);
}

/// A server frame around a copy of `payload`.
#[must_use]
pub fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_ROOM + payload.len());
    encode_header(opcode, payload.len(), &mut out);
    out.extend_from_slice(payload);
    out.freeze()
}

/// A client frame around a masked copy of `payload`.
#[must_use]
pub fn client_frame(opcode: OpCode, payload: &[u8], mask: [u8; 4]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_ROOM + payload.len());
    append_header(opcode, Some(mask), payload.len(), &mut out);
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], mask);
    out.freeze()
}

/// Makes a server frame of `out`, which holds [`HEADER_ROOM`] octets of any value and then the payload. The
/// payload stays where it is. A shorter `out` is taken as all room and no payload.
#[must_use]
pub fn finish_server_frame(out: BytesMut, opcode: OpCode) -> Bytes {
    finish(out, opcode, None)
}

/// As [`finish_server_frame`], for a client: masks the payload in place.
#[must_use]
pub fn finish_client_frame(mut out: BytesMut, opcode: OpCode, mask: [u8; 4]) -> Bytes {
    if let Some(payload) = out.get_mut(HEADER_ROOM..) {
        apply_mask(payload, mask);
    }
    finish(out, opcode, Some(mask))
}

/// A server's close frame; see [`close_payload`] for what becomes of `code` and `reason`.
#[must_use]
pub fn close(code: CloseCode, reason: &str) -> Bytes {
    frame(OpCode::Control(Control::Close), &close_payload(code, reason))
}

/// A server's ping; `payload` is cut to [`MAX_CONTROL_PAYLOAD`].
#[must_use]
pub fn ping(payload: &[u8]) -> Bytes {
    control(Control::Ping, payload)
}

/// A server's answer to a ping with `payload`, which is cut to [`MAX_CONTROL_PAYLOAD`].
#[must_use]
pub fn pong(payload: &[u8]) -> Bytes {
    control(Control::Pong, payload)
}

fn control(kind: Control, payload: &[u8]) -> Bytes {
    frame(
        OpCode::Control(kind),
        &payload[..payload.len().min(MAX_CONTROL_PAYLOAD)],
    )
}

fn finish(mut out: BytesMut, opcode: OpCode, mask: Option<[u8; 4]>) -> Bytes {
    let Some(len) = out.len().checked_sub(HEADER_ROOM) else {
        out.resize(HEADER_ROOM, 0);
        return finish(out, opcode, mask);
    };
    let header = header(opcode, mask);
    let unused = HEADER_ROOM - header.len(len as u64);
    write_header(&header, len, &mut &mut out[unused..HEADER_ROOM]);
    out.advance(unused);
    out.freeze()
}

/// The header of a server frame with a compressed message, where that of the uncompressed one begins with `first`.
pub(super) fn append_deflated_header(first: u8, len: usize, out: &mut BytesMut) {
    let header = FrameHeader {
        rsv1: true,
        ..header(OpCode::from(first & OPCODE_BITS), None)
    };
    write_header(&header, len, &mut out.writer());
}

fn append_header(opcode: OpCode, mask: Option<[u8; 4]>, len: usize, out: &mut BytesMut) {
    write_header(&header(opcode, mask), len, &mut out.writer());
}

fn header(opcode: OpCode, mask: Option<[u8; 4]>) -> FrameHeader {
    FrameHeader {
        opcode,
        mask,
        ..FrameHeader::default()
    }
}

fn write_header(header: &FrameHeader, len: usize, out: &mut impl std::io::Write) {
    let written = header.format(len as u64, out);
    debug_assert!(
        written.is_ok(),
        "memory takes a header of at most {HEADER_ROOM} octets"
    );
}
