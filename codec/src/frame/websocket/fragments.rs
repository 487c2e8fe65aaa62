//! The parts of a message that arrives in several frames (RFC 6455 section 5.4).

use bytes::BytesMut;

use super::{FrameError, Incoming};

/// What has arrived of a fragmented message.
///
/// Invariant: `text[..checked]` is valid UTF-8 and what follows is the beginning of one character, at most
/// three octets. So an invalid octet is found with the fragment that brings it, and no octet is read twice.
#[derive(Debug)]
pub(super) struct Fragments {
    data: BytesMut,
    /// For a text message, how much is known to be UTF-8; `None` for a binary one.
    checked: Option<usize>,
}

impl Fragments {
    pub(super) fn new(is_text: bool) -> Self {
        Self {
            data: BytesMut::new(),
            checked: is_text.then_some(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    pub(super) fn push(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        self.data.extend_from_slice(payload);
        let Some(checked) = &mut self.checked else {
            return Ok(());
        };
        match simdutf8::compat::from_utf8(&self.data[*checked..]) {
            Ok(_) => *checked = self.data.len(),
            Err(error) if error.error_len().is_none() => *checked += error.valid_up_to(),
            Err(_) => return Err(FrameError::InvalidUtf8),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Incoming, FrameError> {
        match self.checked {
            Some(checked) if checked < self.data.len() => Err(FrameError::InvalidUtf8),
            Some(_) => Ok(Incoming::Text(self.data.freeze())),
            None => Ok(Incoming::Binary(self.data.freeze())),
        }
    }
}
