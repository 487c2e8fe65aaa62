//! Properties: what is decoded depends on the bytes only, not on how they arrive.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Small, so that lengths around it are found.
const SMALL_LIMIT: usize = 300;

/// Frames of which most are in order, some are not, and some are no frames.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        4 => Just(FIN | BINARY),
        4 => Just(BINARY),
        4 => Just(FIN | TEXT),
        4 => Just(TEXT),
        8 => Just(0),
        8 => Just(FIN),
        3 => Just(FIN | PING),
        1 => Just(FIN | CLOSE),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => "\\PC{0,20}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..10),
        1 => vec(Just(b'x'), 120..400),
    ];
    let mask = prop_oneof![20 => any::<[u8; 4]>().prop_map(Some), 1 => Just(None)];
    prop_oneof![
        20 => (first, mask, payload).prop_map(|(first, mask, payload)| raw_frame(first, mask, &payload)),
        1 => vec(any::<u8>(), 0..20),
    ]
}

/// `stream` in reads of these lengths, the last one taking the rest.
fn cut<'a>(mut stream: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut reads = Vec::new();
    for &length in lengths {
        let (read, rest) = stream.split_at(length.min(stream.len()));
        reads.push(read);
        stream = rest;
    }
    reads.push(stream);
    reads
}

/// A message, cut into fragments, with pings in between; and what should come of it.
fn fragmented_message() -> impl Strategy<Value = (Vec<u8>, Vec<Incoming>)> {
    (
        "\\PC{0,200}",
        any::<bool>(),
        vec((0..60_usize, any::<bool>()), 0..6),
    )
        .prop_map(|(message, is_text, fragments)| {
            let (mut stream, mut expected) = (Vec::new(), Vec::new());
            let mut rest = message.as_bytes();
            let mut opcode = if is_text { TEXT } else { BINARY };
            for (length, with_ping) in fragments {
                let (part, behind) = rest.split_at(length.min(rest.len()));
                stream.extend(masked(opcode, part));
                if with_ping {
                    stream.extend(masked(FIN | PING, part));
                    expected.push(Incoming::Ping(part.to_vec().into()));
                }
                (rest, opcode) = (behind, 0);
            }
            stream.extend(masked(FIN | opcode, rest));
            expected.push(if is_text {
                Incoming::Text(message.into())
            } else {
                Incoming::Binary(message.into())
            });
            (stream, expected)
        })
}

fn small_decoder() -> Decoder {
    Decoder::new(Role::Server, SMALL_LIMIT)
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_outcome(frames in vec(any_frame(), 1..12), lengths in vec(0..40_usize, 0..30)) {
        let stream = frames.concat();
        let whole = decode_reads(small_decoder(), [&stream[..]]);
        prop_assert_eq!(&decode_reads(small_decoder(), cut(&stream, &lengths)), &whole);
        prop_assert_eq!(&decode_reads(small_decoder(), stream.chunks(1)), &whole);
    }

    #[test]
    fn tw_004_any_fragmentation_gives_the_message(messages in vec(fragmented_message(), 1..5), lengths in vec(0..40_usize, 0..30)) {
        let (streams, expected): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let outcome = decode_reads(Decoder::new(Role::Server, LIMIT), cut(&streams.concat(), &lengths));
        prop_assert_eq!(outcome, (expected.concat(), None));
    }

    #[test]
    fn arbitrary_bytes_never_panic(stream in vec(any::<u8>(), 0..200), is_server: bool, limit: usize) {
        let role = if is_server { Role::Server } else { Role::Client };
        let decoder = Decoder::new(role, limit);
        prop_assert!(decoder.missing(&stream) > 0);
        let (found, _) = decode_reads(decoder, [&stream[..]]);
        for incoming in found {
            if let Incoming::Text(text) = incoming {
                prop_assert!(std::str::from_utf8(&text).is_ok());
            }
        }
    }

    #[test]
    fn the_announced_rest_is_what_completes_the_frame(payload in vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>()) {
        let frame = masked(FIN | BINARY, &payload);
        let mut have = at.index(frame.len());
        let mut decoder = Decoder::new(Role::Server, LIMIT);
        let mut buf = BytesMut::from(&frame[..have]);
        while decoder.next(&mut buf) == Ok(None) {
            let missing = decoder.missing(&buf);
            prop_assert!(have + missing <= frame.len(), "more than there is");
            buf.extend_from_slice(&frame[have..have + missing]);
            have += missing;
        }
        prop_assert_eq!(have, frame.len());
    }
}
