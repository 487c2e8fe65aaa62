//! The receiving side of a `.batched` subprotocol: batches to messages.

use bytes::{Bytes, BytesMut};
use crosspoint_codec::frame::Framing;
use crosspoint_codec::frame::batch::{Batch, BatchError, Separator, room};
use crosspoint_codec::frame::websocket::{CloseCode, Decoder};
use crosspoint_core::payload::Format;

use crate::protocol::{Input, websocket_fault, websocket_input};
use crate::scratch::CHUNK;

/// The batches of one connection. Each message of them is an input of its own, so that the limits on what is handled
/// in one go hold for messages, not for batches.
#[derive(Debug)]
pub(crate) struct Batches {
    decoder: Decoder,
    format: Format,
    /// What is left of the batch at hand.
    left: Option<Left>,
    /// The peer's separator, once it is known.
    separator: Option<Separator>,
}

/// What is left of a batch.
#[derive(Debug)]
struct Left {
    batch: Batch,
    /// The octets of the batch, of which `batch` has those that follow the first `taken`.
    octets: Bytes,
    taken: usize,
    /// They are a copy, not a slice of a scratch buffer.
    own: bool,
}

impl Batches {
    pub(crate) fn new(decoder: Decoder, format: Format) -> Self {
        Self {
            decoder,
            format,
            left: None,
            separator: None,
        }
    }

    /// As [`Protocol::next`](crate::protocol::Protocol::next).
    pub(crate) fn next(&mut self, buf: &mut BytesMut) -> Option<Input> {
        loop {
            if let Some(message) = self.left.as_mut().and_then(|left| left.next(self.format)) {
                return Some(message.map_or_else(fault, Input::Message));
            }
            self.left = None;
            let octets = match websocket_input(&mut self.decoder, buf)? {
                Input::Message(octets) => octets,
                other => return Some(other),
            };
            match Left::new(self.format, octets, false) {
                Ok(left) => {
                    let separator = left.batch.separator();
                    self.left = Some(left);
                    if let Some(input) = self.learn(separator) {
                        return Some(input);
                    }
                }
                Err(error) => return Some(fault(error)),
            }
        }
    }

    /// As [`Protocol::keep`](crate::protocol::Protocol::keep).
    pub(crate) fn keep(&mut self) {
        // What is longer than a chunk is in memory of its own.
        let in_chunk = |left: &mut Left| !left.own && left.octets.len() <= CHUNK;
        if let Some(left) = self.left.take_if(in_chunk) {
            let rest = left.octets.get(left.taken..).unwrap_or_default();
            self.left = Left::new(self.format, Bytes::copy_from_slice(rest), true).ok();
        }
    }

    /// As [`Protocol::missing`](crate::protocol::Protocol::missing).
    pub(crate) fn missing(&self, buf: &[u8]) -> usize {
        self.decoder.missing(buf)
    }

    /// The first separator that the peer sends is the one that it understands.
    fn learn(&mut self, separator: Option<Separator>) -> Option<Input> {
        if self.separator.is_some() {
            return None;
        }
        self.separator = separator;
        separator
            .filter(|&separator| separator != Separator::default())
            .map(|separator| Input::Framing(Framing::Batched(separator)))
    }
}

impl Left {
    fn new(format: Format, octets: Bytes, own: bool) -> Result<Self, BatchError> {
        Ok(Self {
            batch: Batch::new(format, octets.clone())?,
            octets,
            taken: 0,
            own,
        })
    }

    fn next(&mut self, format: Format) -> Option<Result<Bytes, BatchError>> {
        let message = self.batch.next()?;
        if let Ok(message) = &message {
            let separator = usize::from(format == Format::Json);
            self.taken += room(format) + message.len() + separator;
        }
        Some(message)
    }
}

fn fault(error: BatchError) -> Input {
    websocket_fault(CloseCode::Protocol, error.to_string())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use crosspoint_codec::frame::websocket::{Data, OpCode, Role, client_frame};

    use super::*;

    fn inputs(format: Format, batches: &[&[u8]]) -> Vec<Input> {
        let kind = if format == Format::Json {
            Data::Text
        } else {
            Data::Binary
        };
        let frames: Vec<_> = batches
            .iter()
            .map(|batch| client_frame(OpCode::Data(kind), batch, [1, 2, 3, 4]))
            .collect();
        let decoder = Decoder::new(Role::Server, 1000).for_format(format);
        let mut batches = Batches::new(decoder, format);
        let mut buf = BytesMut::from(frames.concat().as_slice());
        let mut inputs = Vec::new();
        while let Some(input) = batches.next(&mut buf) {
            let end = matches!(input, Input::End { .. });
            inputs.push(input);
            if end {
                break;
            }
        }
        inputs
    }

    fn message(octets: &'static [u8]) -> Input {
        Input::Message(Bytes::from_static(octets))
    }

    #[test]
    fn the_first_separator_is_the_peers() {
        let cancel = Input::Framing(Framing::Batched(Separator::Cancel));
        assert_eq!(
            inputs(Format::Json, &[b"1\x182\x1e", b"3\x1e"]),
            [cancel, message(b"1"), message(b"2"), message(b"3")]
        );
        assert_eq!(
            inputs(Format::Json, &[b"1\x1e", b"2\x18"]),
            [message(b"1"), message(b"2")]
        );
    }

    #[test]
    fn a_bad_batch_is_a_fault_behind_its_good_messages() {
        for (format, bad, good) in [
            (Format::Json, &b"1\x1e2"[..], 1),
            (Format::Json, b"", 0),
            (Format::Cbor, b"\0\0\0\x01\x80\0\0\0\x02\x80", 1),
            (Format::MsgPack, b"\0\0", 0),
        ] {
            let found = inputs(format, &[bad]);
            assert_eq!(found.len(), good + 1, "{found:?}");
            let Some(Input::End {
                last: Some(last),
                fault: Some(_),
            }) = found.last()
            else {
                panic!("{found:?}")
            };
            assert_eq!(last[2..4], 1002_u16.to_be_bytes());
        }
    }
}
