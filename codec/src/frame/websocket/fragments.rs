//! The parts of a message that arrives in several frames (RFC 6455 section 5.4).

use super::{Data, FrameError, Incoming};

/// What has arrived of a fragmented message, as it came: of a compressed one nothing is inflated before it is whole, so
/// that a peer cannot have more held for it than it has sent.
///
/// Invariant: `data[..checked]` is valid UTF-8 and what follows is the beginning of one character, at most
/// three octets. So an invalid octet is found with the fragment that brings it, and no octet is read twice.
#[derive(Debug)]
pub(super) struct Fragments {
    data: Vec<u8>,
    /// How much is known to be UTF-8; `None` where nothing has to be, or not yet.
    checked: Option<usize>,
    /// Set if the message is compressed: of which kind it is.
    compressed: Option<Data>,
}

impl Fragments {
    /// Of a message of `kind`, text or binary.
    pub(super) fn new(kind: Data, compressed: bool) -> Self {
        Self {
            data: Vec::new(),
            checked: (kind == Data::Text && !compressed).then_some(0),
            compressed: compressed.then_some(kind),
        }
    }

    /// Octets so far.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.compressed.is_some()
    }

    pub(super) fn push(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        self.data.extend_from_slice(payload);
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

    pub(super) fn finish(self) -> Result<Whole, FrameError> {
        let message = match (self.compressed, self.checked) {
            (Some(kind), _) => return Ok(Whole::Compressed(kind, self.data)),
            (None, Some(checked)) if checked < self.data.len() => return Err(FrameError::InvalidUtf8),
            (None, Some(_)) => Incoming::Text(self.data.into()),
            (None, None) => Incoming::Binary(self.data.into()),
        };
        Ok(Whole::Plain(message))
    }
}

/// All that came of a message.
#[derive(Debug)]
pub(super) enum Whole {
    Plain(Incoming),
    /// To be inflated and checked.
    Compressed(Data, Vec<u8>),
}
