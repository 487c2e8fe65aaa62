//! Batches: several messages in one WebSocket message or long-poll body, for the `.batched` subprotocols (WAMP
//! section "WebSocket Transport").
//!
//! In JSON each message is followed by one octet that cannot stand in JSON text; in all other serializers each
//! message follows its length as 32 bits, big-endian. A batch has at least one message, and nothing behind the last.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use crosspoint_core::payload::Format;

use super::TooLong;

/// Octets of the length in front of a message.
const LENGTH: usize = size_of::<u32>();

/// The octet behind each message of a JSON batch. Both are understood; a peer is answered with its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Separator {
    /// The specification's record separator.
    #[default]
    Record = 0x1e,
    /// What autobahn sends, and takes, instead: the specification writes the octet as `\30`, which Python reads as
    /// an octal number.
    Cancel = 0x18,
}

/// Why a batch cannot be read to its end: the transport is to be failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// No message at all.
    #[error("a batch must have at least one message")]
    Empty,
    /// It ends within a message or a length, or without the last separator.
    #[error("the batch is truncated")]
    Truncated,
}

/// The messages of a received batch, each a slice of it. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Batch {
    format: Format,
    rest: Bytes,
}

impl Batch {
    /// The batch in `octets`, of messages in `format`.
    ///
    /// # Errors
    /// [`BatchError::Empty`].
    pub fn new(format: Format, octets: Bytes) -> Result<Self, BatchError> {
        if octets.is_empty() {
            return Err(BatchError::Empty);
        }
        Ok(Self { format, rest: octets })
    }

    /// What separates the messages that are left; `None` where nothing does, or nothing is left.
    #[must_use]
    pub fn separator(&self) -> Option<Separator> {
        if self.format != Format::Json {
            return None;
        }
        find_separator(&self.rest).map(|(_, separator)| separator)
    }

    fn json(&mut self) -> Result<Bytes, BatchError> {
        let (len, _) = find_separator(&self.rest).ok_or(BatchError::Truncated)?;
        let message = self.rest.split_to(len);
        self.rest.advance(1);
        Ok(message)
    }

    fn counted(&mut self) -> Result<Bytes, BatchError> {
        let len = self.rest.try_get_u32().map_err(|_| BatchError::Truncated)? as usize;
        if len > self.rest.len() {
            return Err(BatchError::Truncated);
        }
        Ok(self.rest.split_to(len))
    }
}

impl Iterator for Batch {
    type Item = Result<Bytes, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = match self.format {
            Format::Json => self.json(),
            _ => self.counted(),
        };
        if message.is_err() {
            self.rest.clear();
        }
        Some(message)
    }
}

fn find_separator(octets: &[u8]) -> Option<(usize, Separator)> {
    const RECORD: u8 = Separator::Record as u8;
    let at = memchr::memchr2(RECORD, Separator::Cancel as u8, octets)?;
    let separator = match octets[at] {
        RECORD => Separator::Record,
        _ => Separator::Cancel,
    };
    Some((at, separator))
}

/// Octets that a message in `format` needs in front of itself in a batch.
#[must_use]
pub const fn room(format: Format) -> usize {
    match format {
        Format::Json => 0,
        _ => LENGTH,
    }
}

/// Completes a message of a batch: the one that begins at `start` and ends with `out`. In front of it there are
/// [`room`] octets of any value.
///
/// # Errors
/// [`TooLong`] if its length does not fit into 32 bits.
pub fn finish(format: Format, separator: Separator, start: usize, out: &mut BytesMut) -> Result<(), TooLong> {
    if format == Format::Json {
        out.put_u8(separator as u8);
        return Ok(());
    }
    let len = out.len().saturating_sub(start);
    let length = u32::try_from(len).map_err(|_| TooLong { len })?;
    if let Some(before) = start
        .checked_sub(LENGTH)
        .and_then(|from| out.get_mut(from..start))
    {
        before.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(format: Format, separator: Separator, messages: &[Vec<u8>]) -> Bytes {
        let mut out = BytesMut::new();
        for message in messages {
            out.put_bytes(0, room(format));
            let start = out.len();
            out.extend_from_slice(message);
            finish(format, separator, start, &mut out).unwrap();
        }
        out.freeze()
    }

    fn read(format: Format, octets: &'static [u8]) -> Result<Vec<Bytes>, BatchError> {
        Batch::new(format, Bytes::from_static(octets))?.collect()
    }

    #[test]
    fn tw_008_tw_009_both_separators_are_read() {
        for (octets, separator) in [
            (&b"[1]\x1e[2]\x1e"[..], Separator::Record),
            (b"[1]\x18[2]\x18", Separator::Cancel),
        ] {
            assert_eq!(read(Format::Json, octets).unwrap(), ["[1]", "[2]"]);
            let batch = Batch::new(Format::Json, Bytes::from_static(octets)).unwrap();
            assert_eq!(batch.separator(), Some(separator));
        }
    }

    #[test]
    fn tw_010_lengths_are_32_bits_big_endian() {
        let octets = b"\0\0\0\x02\x91\x01\0\0\0\x01\x90";
        for format in [Format::MsgPack, Format::Cbor] {
            assert_eq!(read(format, octets).unwrap(), [&b"\x91\x01"[..], b"\x90"]);
            let batch = Batch::new(format, Bytes::from_static(octets)).unwrap();
            assert_eq!(batch.separator(), None);
        }
    }

    #[test]
    fn tw_011_tw_012_what_is_no_whole_batch_is_an_error() {
        for format in Format::ALL {
            assert_eq!(read(format, b"").unwrap_err(), BatchError::Empty);
        }
        for octets in [&b"[1]"[..], b"[1]\x1e[2]"] {
            assert_eq!(read(Format::Json, octets).unwrap_err(), BatchError::Truncated);
        }
        for octets in [
            &b"\0\0\0"[..],
            b"\0\0\0\x02\x91",
            b"\0\0\0\x01\x90\0",
            b"\xff\xff\xff\xff\x90",
        ] {
            assert_eq!(read(Format::Cbor, octets).unwrap_err(), BatchError::Truncated);
        }
    }

    #[test]
    fn after_an_error_there_is_nothing() {
        let mut batch = Batch::new(Format::Cbor, Bytes::from_static(b"\0\0\0\x01\x90\0")).unwrap();
        assert!(batch.next().unwrap().is_ok());
        assert!(batch.next().unwrap().is_err());
        assert!(batch.next().is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            messages in proptest::collection::vec(proptest::collection::vec(0x20..0x7f_u8, 0..40), 1..8),
            cancel: bool,
        ) {
            let separator = if cancel { Separator::Cancel } else { Separator::Record };
            for format in Format::ALL {
                let octets = batch(format, separator, &messages);
                let read: Result<Vec<Bytes>, _> = Batch::new(format, octets).unwrap().collect();
                prop_assert_eq!(&read.unwrap(), &messages);
            }
        }
    }
}
