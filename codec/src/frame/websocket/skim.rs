//! What a peer sends after our close frame: of interest is only whether it closes too (RFC 6455 section 5.5.1).

use bytes::{Buf, BytesMut};

use super::decoder::Header;
use super::{Control, MAX_CONTROL_PAYLOAD, OpCode};

/// Passes over frames without a look at what they say: nothing is gathered, unmasked, inflated or answered.
#[derive(Debug, Default)]
pub struct Skim {
    /// Octets of a data frame that are still to come.
    skip: u64,
}

impl Skim {
    /// Takes the frames off the front of `buf`, which must begin where a frame does when this is called for the first
    /// time; what is left is the beginning of a close frame or of a header. Whether the stream ended, by a close frame or
    /// by something that is no frame.
    pub fn ends(&mut self, buf: &mut BytesMut) -> bool {
        loop {
            let skipped = usize::try_from(self.skip).map_or(buf.len(), |skip| skip.min(buf.len()));
            buf.advance(skipped);
            self.skip -= skipped as u64;
            let header = match Header::parse(buf) {
                Ok(Some(header)) => header,
                Ok(None) => return false,
                Err(_) => return true,
            };
            match header.frame.opcode {
                OpCode::Control(_) if header.payload_len > MAX_CONTROL_PAYLOAD as u64 => return true,
                // All of it is read, so that the connection can end in order.
                OpCode::Control(Control::Close) if buf.len() < header.frame_len() => return false,
                OpCode::Control(Control::Close) => return true,
                OpCode::Control(_) | OpCode::Data(_) => {}
            }
            buf.advance(header.len);
            self.skip = header.payload_len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::websocket::HEADER_ROOM;
    use crate::frame::websocket::tests::{BINARY, CLOSE, FIN, PING, TEXT, masked};

    /// After how many octets of `stream`, read in pieces of `cut`, it ended; and the most that was held.
    fn skim(stream: &[u8], cut: usize) -> (Option<usize>, usize) {
        let (mut skim, mut buf, mut held) = (Skim::default(), BytesMut::new(), 0);
        for (number, piece) in (1..).zip(stream.chunks(cut)) {
            buf.extend_from_slice(piece);
            if skim.ends(&mut buf) {
                return (Some((number * cut).min(stream.len())), held);
            }
            held = held.max(buf.len());
        }
        (None, held)
    }

    #[test]
    fn the_close_frame_is_found_behind_whatever_comes() {
        let before = [
            masked(FIN | PING, b""),
            // Neither text nor compressed as anything was agreed on, and the message has no end.
            masked(0x40 | TEXT, b"\xff\x88\x80"),
            masked(FIN | PING, &[0x88; 125]),
            masked(0, &[0x88; 1000]),
            masked(0, &[0x88; 70_000]),
            masked(FIN | BINARY, b""),
        ]
        .concat();
        let close = masked(FIN | CLOSE, b"\x03\xe8bye");
        let stream = [&before[..], &close, b"more"].concat();
        let end = before.len() + close.len();
        for cut in [1, 2, 7, 1000, 100_000] {
            let (found, held) = skim(&stream, cut);
            let expected = end.div_ceil(cut) * cut;
            assert_eq!(found, Some(expected.min(stream.len())), "{cut}");
            assert!(held < HEADER_ROOM, "{held} octets held");
            assert_eq!(skim(&stream[..end - 1], cut).0, None);
        }
    }

    #[test]
    fn what_is_no_frame_ends_the_stream() {
        let reserved = [masked(FIN | 3, b""), masked(FIN | 0x0b, b"")];
        let too_long = [masked(FIN | PING, &[0; 126]), masked(FIN | CLOSE, &[0; 126])];
        for nonsense in reserved.into_iter().chain(too_long) {
            assert_eq!(skim(&nonsense, 1000).0, Some(nonsense.len()));
        }
        // A length that no message has.
        let endless = [
            0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 9,
        ];
        assert_eq!(skim(&endless, 1000), (None, 0));
    }
}
