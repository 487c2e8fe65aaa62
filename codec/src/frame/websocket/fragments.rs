//! The parts of a message that arrives in several frames (RFC 6455 section 5.4).

use super::deflate::Inflate;
use super::{FrameError, Incoming};

/// What has arrived of a fragmented message.
///
/// Invariant: `text[..checked]` is valid UTF-8 and what follows is the beginning of one character, at most
/// three octets. So an invalid octet is found with the fragment that brings it, and no octet is read twice.
#[derive(Debug)]
pub(super) struct Fragments {
    data: Vec<u8>,
    /// For a text message, how much is known to be UTF-8; `None` for a binary one.
    checked: Option<usize>,
    compressed: bool,
}

impl Fragments {
    pub(super) fn new(is_text: bool, compressed: bool) -> Self {
        Self {
            data: Vec::new(),
            checked: is_text.then_some(0),
            compressed,
        }
    }

    /// Octets so far; of a compressed message those that came out.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.compressed
    }

    pub(super) fn push(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        self.data.extend_from_slice(payload);
        self.check()
    }

    /// As [`push`](Self::push), for a compressed message of at most `limit` octets.
    pub(super) fn inflate(
        &mut self,
        inflate: &mut Inflate,
        payload: &[u8],
        is_final: bool,
        limit: usize,
    ) -> Result<(), FrameError> {
        if is_final {
            inflate.push_last(payload, &mut self.data, limit)?;
        } else {
            inflate.push(payload, &mut self.data, limit)?;
        }
        self.check()
    }

    fn check(&mut self) -> Result<(), FrameError> {
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
            Some(_) => Ok(Incoming::Text(self.data.into())),
            None => Ok(Incoming::Binary(self.data.into())),
        }
    }
}
