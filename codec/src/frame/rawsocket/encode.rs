//! Frames to send; both sides send the same.

use bytes::{Bytes, BytesMut};

use super::{HEADER_LEN, LENGTH_BIT_24, MAX_PAYLOAD, TYPE_MESSAGE, TYPE_PING, TYPE_PONG, TYPE_SHIFT};
use crate::frame::TooLong;

/// Makes a frame of `out`, which holds [`HEADER_LEN`] octets of any value and then the message. The message
/// stays where it is. A shorter `out` is taken as all room and no message.
///
/// # Errors
/// [`TooLong`] above [`MAX_PAYLOAD`].
pub fn finish_message(out: BytesMut) -> Result<Bytes, TooLong> {
    finish(out, TYPE_MESSAGE)
}

/// Adds a frame with `message` to `out`, behind others.
///
/// # Errors
/// [`TooLong`] above [`MAX_PAYLOAD`]; then nothing is added.
pub fn append_message(message: &[u8], out: &mut BytesMut) -> Result<(), TooLong> {
    out.extend_from_slice(&header(TYPE_MESSAGE, message.len())?);
    out.extend_from_slice(message);
    Ok(())
}

/// A ping with `payload`. Some clients (autobahn-python on Twisted) drop the connection on it.
///
/// # Errors
/// [`TooLong`] above [`MAX_PAYLOAD`].
pub fn ping(payload: &[u8]) -> Result<Bytes, TooLong> {
    around(payload, TYPE_PING)
}

/// The answer to a ping with `payload`.
///
/// # Errors
/// [`TooLong`] above [`MAX_PAYLOAD`].
pub fn pong(payload: &[u8]) -> Result<Bytes, TooLong> {
    around(payload, TYPE_PONG)
}

fn around(payload: &[u8], kind: u32) -> Result<Bytes, TooLong> {
    let mut out = BytesMut::with_capacity(HEADER_LEN + payload.len());
    out.resize(HEADER_LEN, 0);
    out.extend_from_slice(payload);
    finish(out, kind)
}

fn finish(mut out: BytesMut, kind: u32) -> Result<Bytes, TooLong> {
    let Some(len) = out.len().checked_sub(HEADER_LEN) else {
        out.resize(HEADER_LEN, 0);
        return finish(out, kind);
    };
    out[..HEADER_LEN].copy_from_slice(&header(kind, len)?);
    Ok(out.freeze())
}

fn header(kind: u32, len: usize) -> Result<[u8; HEADER_LEN], TooLong> {
    let length_bits = match len {
        0..MAX_PAYLOAD => len as u32,
        MAX_PAYLOAD => LENGTH_BIT_24,
        _ => return Err(TooLong { len }),
    };
    Ok((kind << TYPE_SHIFT | length_bits).to_be_bytes())
}
