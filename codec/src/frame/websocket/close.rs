//! The payload of close frames (RFC 6455 sections 5.5.1 and 7.4).

use bytes::{Buf, Bytes, BytesMut};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::{Utf8Bytes, coding::CloseCode};

use super::{FrameError, MAX_CONTROL_PAYLOAD};

/// Octets of the code in front of the reason.
const CODE_LEN: usize = 2;

/// Reads a close frame's payload; none at all is allowed and means that no code was given.
pub(super) fn parse_close(mut payload: Bytes) -> Result<Option<CloseFrame>, FrameError> {
    if payload.is_empty() {
        return Ok(None);
    }
    let number = payload.try_get_u16().map_err(|_| FrameError::ShortClose)?;
    let code = CloseCode::from(number);
    if !code.is_allowed() {
        return Err(FrameError::InvalidCloseCode(number));
    }
    let reason = Utf8Bytes::try_from(payload).map_err(|_| FrameError::InvalidCloseReason)?;
    Ok(Some(CloseFrame { code, reason }))
}

/// The payload of a close frame. A reason that is too long for a control frame is cut at a character; a code
/// that may not be sent, such as [`CloseCode::Status`], makes an empty payload.
#[must_use]
pub fn close_payload(code: CloseCode, reason: &str) -> Bytes {
    if !code.is_allowed() {
        return Bytes::new();
    }
    let reason = &reason[..reason.floor_char_boundary(MAX_CONTROL_PAYLOAD - CODE_LEN)];
    let mut payload = BytesMut::with_capacity(CODE_LEN + reason.len());
    payload.extend_from_slice(&u16::from(code).to_be_bytes());
    payload.extend_from_slice(reason.as_bytes());
    payload.freeze()
}
