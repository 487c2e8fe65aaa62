//! The examples of RFC 7692, and what a peer can do wrong. zlib itself is on the other side in the black-box tests.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::frame::http::{NO_HEADERS, RequestHead};
use crate::frame::websocket::tests::{BINARY, FIN, LIMIT, Outcome, PING, TEXT, decode_reads, masked};
use crate::frame::websocket::{Data, Decoder, FrameError, Incoming, OpCode, Role, frame};

/// Set in the first frame of a compressed message.
const RSV1: u8 = 0x40;

/// "Hello" in a block of its own.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn accept(compression: Compression, offers: &str) -> Option<Agreed> {
    let request = format!("GET / HTTP/1.1\r\nSec-WebSocket-Extensions: {offers}\r\n\r\n");
    let mut storage = NO_HEADERS;
    let head = RequestHead::parse(request.as_bytes(), &mut storage)
        .unwrap()
        .unwrap();
    compression.accept(head.headers)
}

/// What a client agreed on that may refer to its earlier messages, or not.
fn agreed(takeover: bool) -> Agreed {
    let compression = Compression {
        client_no_context_takeover: !takeover,
        ..Compression::default()
    };
    accept(compression, "permessage-deflate").unwrap()
}

fn serve(takeover: bool, limit: usize, frames: &[Vec<u8>]) -> Outcome {
    let decoder = Decoder::new(Role::Server, limit).with_deflate(&agreed(takeover));
    decode_reads(decoder, [&frames.concat()[..]])
}

fn text(message: &'static str) -> Incoming {
    Incoming::Text(Bytes::from_static(message.as_bytes()))
}

#[test]
fn the_rfcs_examples() {
    let examples: [&[&[u8]]; 5] = [
        // In one frame, in two, as a stored block, as a last block, in two blocks.
        &[&HELLO],
        &[&HELLO[..3], &HELLO[3..]],
        &[b"\x00\x05\x00\xfa\xffHello\x00"],
        &[b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"],
        &[b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"],
    ];
    for parts in examples {
        let frames: Vec<_> = (0_usize..)
            .zip(parts)
            .map(|(number, part)| {
                let fin = if number + 1 == parts.len() { FIN } else { 0 };
                let first = if number == 0 { RSV1 | TEXT } else { 0 };
                masked(fin | first, part)
            })
            .collect();
        // Twice: nothing of the first message is in the way of the second.
        let twice = [&frames[..], &frames[..]].concat();
        for takeover in [false, true] {
            assert_eq!(
                serve(takeover, LIMIT, &twice),
                (vec![text("Hello"), text("Hello")], None),
                "{parts:x?}"
            );
        }
    }
}

#[test]
fn messages_may_refer_to_earlier_ones_where_that_was_agreed() {
    let frames = [
        masked(FIN | RSV1 | TEXT, &HELLO),
        masked(FIN | RSV1 | TEXT, b"\xf2\x00\x11\x00\x00"),
    ];
    let hello = text("Hello");
    assert_eq!(
        serve(true, LIMIT, &frames),
        (vec![hello.clone(), hello.clone()], None)
    );
    assert_eq!(
        serve(false, LIMIT, &frames),
        (vec![hello], Some(FrameError::Corrupt))
    );
}

#[test]
fn uncompressed_messages_and_control_frames_come_in_between() {
    let frames = [
        masked(RSV1 | TEXT, &HELLO[..2]),
        masked(FIN | PING, b"alive?"),
        masked(FIN, &HELLO[2..]),
        masked(FIN | TEXT, b"plain"),
        masked(FIN | RSV1 | BINARY, &[0]),
    ];
    let expected = vec![
        Incoming::Ping(Bytes::from_static(b"alive?")),
        text("Hello"),
        text("plain"),
        Incoming::Binary(Bytes::new()),
    ];
    assert_eq!(serve(false, LIMIT, &frames), (expected, None));
}

#[test]
fn the_bit_is_for_the_first_frame_of_a_message() {
    for frames in [
        vec![masked(FIN | RSV1 | PING, b"")],
        vec![masked(RSV1 | TEXT, &HELLO[..2]), masked(FIN | RSV1, &HELLO[2..])],
        vec![masked(FIN | 0x20 | TEXT, &HELLO)],
        vec![masked(FIN | 0x10 | TEXT, &HELLO)],
    ] {
        assert_eq!(
            serve(false, LIMIT, &frames),
            (vec![], Some(FrameError::ReservedBits))
        );
    }
    let plain = Decoder::new(Role::Server, LIMIT);
    let frame = masked(FIN | RSV1 | TEXT, &HELLO);
    assert_eq!(
        decode_reads(plain, [&frame[..]]).1,
        Some(FrameError::ReservedBits)
    );
}

#[test]
fn garbage_is_an_error() {
    for garbage in [&b"\xff\xff\xff"[..], b"\x00\x05\x00\x00\x00Hello\x00"] {
        let (found, error) = serve(false, LIMIT, &[masked(FIN | RSV1 | BINARY, garbage)]);
        assert_eq!(
            (found, error),
            (vec![], Some(FrameError::Corrupt)),
            "{garbage:x?}"
        );
    }
    let utf16 = compressed(Data::Text, &[0xfe, 0xff].repeat(100));
    assert_eq!(serve(false, LIMIT, &[utf16]).1, Some(FrameError::InvalidUtf8));
}

#[test]
fn a_message_that_ends_inside_a_block_is_an_error() {
    let words: Vec<u8> = (0_u32..400)
        .flat_map(|n| format!("{} ", n.wrapping_mul(n) % 1009).into_bytes())
        .collect();
    let plain = frame(OpCode::Data(Data::Binary), &words);
    let one_block = Deflater::new(WindowBits::LARGEST).frame(&plain);
    // Behind the header: codes of its own, and what is written with them.
    let one_block = &one_block[4..];
    let stored = b"\x00\x05\x00\xfa\xffHello\x00";
    // From how many octets on nothing but the whole is a message: the first of the stored block is one that is empty.
    for (message, shortest) in [(&HELLO[..], 0), (stored, 2), (one_block, 0)] {
        for takeover in [false, true] {
            let sent = |len| serve(takeover, LIMIT, &[masked(FIN | RSV1 | BINARY, &message[..len])]);
            assert_eq!(sent(message.len()).1, None);
            for len in shortest..message.len() {
                assert_eq!(
                    sent(len),
                    (vec![], Some(FrameError::Corrupt)),
                    "{len} of {}, takeover: {takeover}",
                    message.len()
                );
            }
        }
    }
}

/// A client's compressed frame, made by our own compressor.
fn compressed(kind: Data, message: &[u8]) -> Vec<u8> {
    let plain = frame(OpCode::Data(kind), message);
    let compressed = Deflater::new(WindowBits::LARGEST).frame(&plain);
    assert_ne!(compressed[0] & RSV1, 0, "compressed");
    let header = match compressed[1] {
        127 => 10,
        126 => 4,
        _ => 2,
    };
    masked(compressed[0], &compressed[header..])
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    const MESSAGE_LIMIT: usize = 100_000;
    let limit = MESSAGE_LIMIT;
    let bomb = compressed(Data::Binary, &vec![0; 10 * MESSAGE_LIMIT]);
    assert!(bomb.len() < MESSAGE_LIMIT / 10);
    assert_eq!(
        serve(false, limit, &[bomb]),
        (vec![], Some(FrameError::TooLong { limit }))
    );
    let longest = compressed(Data::Binary, &vec![0; MESSAGE_LIMIT]);
    let (found, error) = serve(false, limit, &[longest]);
    assert_eq!((found.len(), error), (1, None));
    let over = compressed(Data::Binary, &vec![0; MESSAGE_LIMIT + 1]);
    assert_eq!(
        serve(false, limit, &[over]).1,
        Some(FrameError::TooLong { limit })
    );
    // In fragments, each of which is harmless.
    let part = [&HELLO[..], &TAIL].concat().repeat(10);
    let fragments: Vec<_> = (0..MESSAGE_LIMIT)
        .map(|number| masked(if number == 0 { RSV1 | BINARY } else { 0 }, &part))
        .collect();
    assert_eq!(
        serve(false, limit, &fragments).1,
        Some(FrameError::TooLong { limit })
    );
}

#[test]
fn nothing_is_inflated_before_the_message_is_whole() {
    const MESSAGE_LIMIT: usize = 100_000;
    let limit = MESSAGE_LIMIT;
    let bomb = compressed(Data::Text, &vec![b' '; 2 * MESSAGE_LIMIT]);
    let not_utf8 = compressed(Data::Text, &[0xff].repeat(100));
    for takeover in [false, true] {
        for (whole, expected) in [
            (&bomb, FrameError::TooLong { limit }),
            (&not_utf8, FrameError::InvalidUtf8),
        ] {
            let mut begun = whole.clone();
            begun[0] &= !FIN;
            let ping = masked(FIN | PING, b"?");
            let alive = vec![Incoming::Ping(Bytes::from_static(b"?"))];
            let frames = [begun, ping, masked(FIN, b"")];
            assert_eq!(serve(takeover, limit, &frames[..2]), (alive.clone(), None));
            assert_eq!(serve(takeover, limit, &frames), (alive, Some(expected)));
        }
    }
}

#[test]
fn no_more_is_held_than_the_longest_message_needs() {
    let most = deflate_bound(LIMIT);
    let frames = [
        masked(RSV1 | BINARY, &[0]),
        masked(0, &vec![0; most - 2]),
        masked(0, &[0]),
    ];
    assert_eq!(serve(false, LIMIT, &frames), (vec![], None));
    let too_long = Some(FrameError::TooLong { limit: LIMIT });
    let over = [&frames[..], &[masked(0, &[0])]].concat();
    assert_eq!(serve(false, LIMIT, &over), (vec![], too_long));
    let over = [masked(RSV1 | BINARY, &vec![0; most + 1])];
    assert_eq!(serve(false, LIMIT, &over), (vec![], too_long));
}

#[test]
fn last_blocks_are_few_for_what_they_say() {
    const EMPTY: &[u8] = &[3, 0];
    // A KiB as it is.
    let kib = [&[1, 0, 4, 0xff, 0xfb][..], &[7; 1024]].concat();
    let message = |empty: usize, full: usize| {
        let blocks = [kib.repeat(full), EMPTY.repeat(empty), vec![0]].concat();
        [masked(FIN | RSV1 | BINARY, &blocks)]
    };
    for takeover in [false, true] {
        for full in [0, 100] {
            let said = vec![Incoming::Binary(vec![7; full * 1024].into())];
            assert_eq!(serve(takeover, 1 << 20, &message(64, full)), (said, None));
            let found = serve(takeover, 1 << 20, &message(65, full));
            assert_eq!(found, (vec![], Some(FrameError::Corrupt)));
        }
    }
}

#[test]
fn only_what_becomes_shorter_is_compressed() {
    let mut deflater = Deflater::new(WindowBits::LARGEST);
    let short = frame(OpCode::Data(Data::Text), &[b'x'; 63]);
    assert_eq!(deflater.frame(&short), short);
    let long = frame(OpCode::Data(Data::Text), &[b'x'; 64]);
    assert!(deflater.frame(&long).len() < 20);
    let mut random = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 56) as u8
    })
    .take(70_000)
    .collect();
    let noise = frame(OpCode::Data(Data::Binary), &noise);
    assert_eq!(deflater.frame(&noise), noise);
    for plain in [short, noise, frame(OpCode::Data(Data::Binary), b"")] {
        let compressed = deflater.frame_anyway(&plain);
        assert_ne!(compressed[0] & RSV1, 0, "compressed");
        let decoder = || Decoder::new(Role::Client, LIMIT).with_deflate(&agreed(false));
        assert_eq!(
            decode_reads(decoder(), [&compressed[..]]),
            decode_reads(decoder(), [&plain[..]])
        );
    }
}

#[test]
fn offers_are_answered() {
    let small = WindowBits::new(10).unwrap();
    let default = Compression::default();
    let lenient = Compression {
        client_no_context_takeover: false,
        ..default
    };
    let limited = Compression {
        window: small,
        client_window: small,
        ..lenient
    };
    const SERVER: &str = "permessage-deflate; server_no_context_takeover";
    for (compression, offers, expected) in [
        (default, "permessage-deflate", "; client_no_context_takeover"),
        (lenient, "permessage-deflate", ""),
        (
            lenient,
            "permessage-deflate; client_no_context_takeover",
            "; client_no_context_takeover",
        ),
        (lenient, "permessage-deflate; server_no_context_takeover", ""),
        (
            lenient,
            "permessage-deflate; client_max_window_bits",
            "; client_max_window_bits=15",
        ),
        (
            lenient,
            "permessage-deflate; client_max_window_bits=8",
            "; client_max_window_bits=8",
        ),
        (
            lenient,
            "permessage-deflate; server_max_window_bits=\"9\"",
            "; server_max_window_bits=9",
        ),
        (limited, "permessage-deflate", "; server_max_window_bits=10"),
        (
            limited,
            "permessage-deflate;client_max_window_bits ; server_max_window_bits=15",
            "; server_max_window_bits=10; client_max_window_bits=10",
        ),
        (
            limited,
            "permessage-deflate; client_max_window_bits=9",
            "; server_max_window_bits=10; client_max_window_bits=9",
        ),
        // The first that can be accepted.
        (
            lenient,
            "x-gzip, permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=12",
            "; server_max_window_bits=12",
        ),
    ] {
        let agreed = accept(compression, offers).expect(offers);
        assert_eq!(agreed.to_string(), format!("{SERVER}{expected}"), "{offers}");
    }
    for offers in [
        "",
        "permessage-bzip2",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; unknown",
        "permessage-deflate;",
    ] {
        assert_eq!(accept(default, offers), None, "{offers}");
    }
}

proptest! {
    #[test]
    fn what_is_compressed_is_inflated(
        words in proptest::collection::vec("[a-d]{1,6}", 0..400),
        bits in 9..=15_u8,
        cut in 1..2000_usize,
    ) {
        let message = words.concat();
        let plain = frame(OpCode::Data(Data::Text), message.as_bytes());
        let compressed = Deflater::new(WindowBits::new(bits).unwrap()).frame(&plain);
        prop_assert!(compressed.len() <= plain.len());
        let decoder = Decoder::new(Role::Client, LIMIT).with_deflate(&agreed(false));
        let expected = vec![Incoming::Text(Bytes::from(message.into_bytes()))];
        prop_assert_eq!(decode_reads(decoder, compressed.chunks(cut)), (expected, None));
    }

    #[test]
    fn no_octets_are_too_wild(octets in proptest::collection::vec(any::<u8>(), 0..300), takeover: bool) {
        let mut decoder = Decoder::new(Role::Server, 1000).with_deflate(&agreed(takeover));
        let mut buf = BytesMut::from(&masked(FIN | RSV1 | BINARY, &octets)[..]);
        if let Ok(Some(Incoming::Binary(message))) = decoder.next(&mut buf) {
            prop_assert!(message.len() <= 1000);
        }
    }
}
