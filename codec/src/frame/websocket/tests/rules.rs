//! Rule by rule.

use bytes::{Bytes, BytesMut};
use crosspoint_core::payload::Format;

use super::super::{CloseCode, CloseFrame, Control, Data, OpCode, close, close_payload, frame, ping, pong};
use super::*;

fn text(message: &str) -> Incoming {
    Incoming::Text(Bytes::copy_from_slice(message.as_bytes()))
}

/// The error that ends these frames, with nothing decoded before it.
fn error_of(frames: &[Vec<u8>]) -> FrameError {
    let (found, error) = serve(frames);
    assert_eq!(found, []);
    error.expect("an error")
}

#[test]
fn rfc_5_7_examples() {
    let hello = *b"Hello";
    let examples: [(&[u8], Role, Incoming); 5] = [
        (b"\x81\x05Hello", Role::Client, text("Hello")),
        (
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            Role::Server,
            text("Hello"),
        ),
        (b"\x01\x03Hel\x80\x02lo", Role::Client, text("Hello")),
        (
            b"\x89\x05Hello",
            Role::Client,
            Incoming::Ping(Bytes::copy_from_slice(&hello)),
        ),
        (
            b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            Role::Server,
            Incoming::Pong(Bytes::copy_from_slice(&hello)),
        ),
    ];
    for (bytes, role, expected) in examples {
        assert_eq!(
            decode_reads(Decoder::new(role, LIMIT), [bytes]),
            (vec![expected], None)
        );
    }
    let binary = OpCode::Data(Data::Binary);
    assert_eq!(frame(binary, &[0; 256])[..4], [0x82, 0x7e, 0x01, 0x00]);
    assert_eq!(
        frame(binary, &[0; 65536])[..10],
        [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]
    );
}

#[test]
fn a_whole_message_is_a_slice_of_the_buffer() {
    let mut buf = BytesMut::from(&masked(FIN | BINARY, &[7; 1000])[..]);
    let payload_at = buf[8..].as_ptr();
    let Ok(Some(Incoming::Binary(message))) = Decoder::new(Role::Server, LIMIT).next(&mut buf) else {
        panic!("no message");
    };
    assert_eq!(message.as_ptr(), payload_at);
    assert_eq!(message, [7; 1000][..]);
}

#[test]
fn an_idle_decoder_is_a_few_words() {
    assert!(
        size_of::<Decoder>() <= 4 * size_of::<usize>(),
        "{} octets",
        size_of::<Decoder>()
    );
}

#[test]
fn only_the_incomplete_frame_stays_and_its_rest_is_announced() {
    let mut decoder = Decoder::new(Role::Server, LIMIT);
    let long = masked(FIN | BINARY, &[1; 300]);
    let mut buf = BytesMut::from(&[masked(FIN | TEXT, b"a"), long[..20].to_vec()].concat()[..]);
    assert_eq!(decoder.next(&mut buf), Ok(Some(text("a"))));
    assert_eq!(decoder.next(&mut buf), Ok(None));
    assert_eq!(buf, long[..20]);
    assert_eq!(decoder.missing(&buf), long.len() - 20);
    assert_eq!(decoder.missing(&[]), 2);
    assert_eq!(decoder.missing(&long[..1]), 1);
    assert_eq!(decoder.missing(&long[..3]), 1, "the length is not there yet");
}

#[test]
fn tw_003_the_wrong_type_for_the_subprotocol_closes_with_1002() {
    for (format, wrong, right) in [
        (Format::Json, BINARY, TEXT),
        (Format::MsgPack, TEXT, BINARY),
        (Format::Cbor, TEXT, BINARY),
    ] {
        let decoder = || Decoder::new(Role::Server, LIMIT).for_format(format);
        let (found, error) = decode_reads(decoder(), [&masked(FIN | wrong, b"[]")[..]]);
        assert_eq!((found, error), (vec![], Some(FrameError::WrongType)));
        assert_eq!(FrameError::WrongType.close_code(), CloseCode::Protocol);
        let parts = [masked(right, b"["), masked(FIN, b"]"), masked(FIN | right, b"{}")].concat();
        let (found, error) = decode_reads(decoder(), [&parts[..]]);
        assert_eq!((found.len(), error), (2, None));
    }
}

#[test]
fn tw_004_a_fragmented_message_is_reassembled_around_control_frames() {
    let frames = [
        masked(TEXT, b"one, "),
        masked(FIN | PING, b"?"),
        masked(0, b""),
        masked(0, b"two, "),
        masked(FIN | PONG, b"!"),
        masked(FIN, b"three"),
        masked(FIN | TEXT, b"four"),
    ];
    let expected = [
        Incoming::Ping(Bytes::from_static(b"?")),
        Incoming::Pong(Bytes::from_static(b"!")),
        text("one, two, three"),
        text("four"),
    ];
    assert_eq!(serve(&frames), (expected.to_vec(), None));
}

#[test]
fn tw_004_a_fragmented_binary_message_need_not_be_utf8() {
    let frames = [masked(BINARY, &[0xff]), masked(FIN, &[0xfe])];
    assert_eq!(
        serve(&frames),
        (vec![Incoming::Binary(Bytes::from_static(&[0xff, 0xfe]))], None)
    );
}

#[test]
fn tw_005_invalid_utf8_closes_with_1007() {
    for invalid in [
        &b"\xff"[..],
        b"a\xc3",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\xaf",
    ] {
        assert_eq!(error_of(&[masked(FIN | TEXT, invalid)]), FrameError::InvalidUtf8);
        let (first, second) = invalid.split_at(1);
        assert_eq!(
            error_of(&[masked(TEXT, first), masked(FIN, second)]),
            FrameError::InvalidUtf8
        );
    }
    assert_eq!(FrameError::InvalidUtf8.close_code(), CloseCode::Invalid);
}

#[test]
fn tw_005_invalid_utf8_is_found_before_the_message_ends() {
    assert_eq!(
        error_of(&[masked(TEXT, b"ok \xf4"), masked(0, b"\x90")]),
        FrameError::InvalidUtf8
    );
    assert_eq!(error_of(&[masked(TEXT, b"ok\xff")]), FrameError::InvalidUtf8);
}

#[test]
fn a_character_may_be_cut_anywhere() {
    let message = "aä€𝄞z";
    for cut in 0..=message.len() {
        let (first, second) = message.as_bytes().split_at(cut);
        assert_eq!(
            serve(&[masked(TEXT, first), masked(FIN, second)]),
            (vec![text(message)], None)
        );
    }
    let mut octets: Vec<_> = message.bytes().map(|octet| masked(0, &[octet])).collect();
    octets.insert(0, masked(TEXT, b""));
    octets.push(masked(FIN, b""));
    assert_eq!(serve(&octets), (vec![text(message)], None));
}

#[test]
fn tw_006_a_message_over_the_limit_closes_with_1009() {
    let decoder = || Decoder::new(Role::Server, 10);
    let over = |reads: &[u8]| decode_reads(decoder(), [reads]);
    let too_long = Some(FrameError::TooLong { limit: 10 });
    assert_eq!(
        over(&masked(FIN | TEXT, b"0123456789")),
        (vec![text("0123456789")], None)
    );
    let header_only = &masked(FIN | TEXT, b"0123456789a")[..6];
    assert_eq!(over(header_only), (vec![], too_long), "from the header alone");
    let parts = [masked(TEXT, b"01234"), masked(0, b"56789"), masked(FIN, b"a")].concat();
    assert_eq!(over(&parts), (vec![], too_long), "the sum counts");
    let exact = [masked(TEXT, b"01234"), masked(0, b"56789"), masked(FIN, b"")].concat();
    assert_eq!(over(&exact), (vec![text("0123456789")], None));
    let huge = [
        FIN | BINARY,
        0xff,
        0x7f,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        0xff,
        1,
        2,
        3,
        4,
    ];
    assert_eq!(over(&huge), (vec![], too_long));
    assert_eq!(FrameError::TooLong { limit: 10 }.close_code(), CloseCode::Size);
}

#[test]
fn tw_007_a_ping_is_answered_with_its_payload() {
    for payload in [vec![], vec![0xff; 125]] {
        let (found, error) = serve(&[masked(FIN | PING, &payload)]);
        assert_eq!(
            (&found[..], error),
            (&[Incoming::Ping(Bytes::from(payload.clone()))][..], None)
        );
        assert_eq!(pong(&payload), raw_frame(FIN | PONG, None, &payload));
    }
    assert_eq!(ping(&[1; 200]), raw_frame(FIN | PING, None, &[1; 125]));
}

#[test]
fn violations_close_with_1002() {
    let reserved_bits =
        [0x40, 0x20, 0x10].map(|bit| (vec![masked(FIN | bit | TEXT, b"")], FrameError::ReservedBits));
    let reserved_codes = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
        .map(|code| (vec![masked(FIN | code, b"")], FrameError::ReservedOpcode(code)));
    let others = [
        (vec![raw_frame(FIN | TEXT, None, b"")], FrameError::Unmasked),
        (vec![masked(PING, b"")], FrameError::FragmentedControl),
        (vec![masked(CLOSE, b"")], FrameError::FragmentedControl),
        (vec![masked(FIN | PING, &[0; 126])], FrameError::LongControl),
        (vec![masked(FIN, b"")], FrameError::UnexpectedContinuation),
        (vec![masked(0, b"")], FrameError::UnexpectedContinuation),
        (
            vec![masked(TEXT, b"a"), masked(FIN | TEXT, b"b")],
            FrameError::InterruptedMessage,
        ),
        (
            vec![masked(TEXT, b"a"), masked(BINARY, b"b")],
            FrameError::InterruptedMessage,
        ),
        (
            vec![vec![FIN | BINARY, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]],
            FrameError::LengthSign,
        ),
        (vec![masked(FIN | CLOSE, &[3])], FrameError::ShortClose),
    ];
    for (frames, expected) in reserved_bits.into_iter().chain(reserved_codes).chain(others) {
        assert_eq!(error_of(&frames), expected);
        assert_eq!(expected.close_code(), CloseCode::Protocol);
    }
}

#[test]
fn a_server_must_not_mask() {
    let outcome = decode_reads(Decoder::new(Role::Client, LIMIT), [&masked(FIN | TEXT, b"")[..]]);
    assert_eq!(outcome, (vec![], Some(FrameError::Masked)));
}

#[test]
fn a_length_need_not_be_the_shortest_form() {
    let frame = [
        &[FIN | BINARY, 0xff, 0, 0, 0, 0, 0, 0, 0, 1][..],
        &MASK,
        &[MASK[0] ^ 9],
    ]
    .concat();
    assert_eq!(
        serve(&[frame]),
        (vec![Incoming::Binary(Bytes::from_static(&[9]))], None)
    );
}

#[test]
fn close_frames_are_read() {
    assert_eq!(
        serve(&[masked(FIN | CLOSE, b"")]),
        (vec![Incoming::Close(None)], None)
    );
    for code in [
        1000_u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999,
    ] {
        let payload = [&code.to_be_bytes()[..], "gründlich".as_bytes()].concat();
        let expected = CloseFrame {
            code: CloseCode::from(code),
            reason: "gründlich".into(),
        };
        assert_eq!(
            serve(&[masked(FIN | CLOSE, &payload)]),
            (vec![Incoming::Close(Some(expected))], None)
        );
    }
}

#[test]
fn close_codes_that_must_not_be_sent_are_violations() {
    for code in [
        0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        let error = error_of(&[masked(FIN | CLOSE, &code.to_be_bytes())]);
        assert_eq!(error, FrameError::InvalidCloseCode(code));
        assert_eq!(error.close_code(), CloseCode::Protocol);
    }
    let error = error_of(&[masked(FIN | CLOSE, b"\x03\xe8\xff")]);
    assert_eq!(
        (error, error.close_code()),
        (FrameError::InvalidCloseReason, CloseCode::Invalid)
    );
}

#[test]
fn nothing_is_decoded_after_a_close_frame_or_an_error() {
    let good = masked(FIN | TEXT, b"late");
    for last in [
        masked(FIN | CLOSE, b""),
        masked(FIN | TEXT, b"\xff"),
        masked(FIN | 3, b""),
    ] {
        let mut decoder = Decoder::new(Role::Server, LIMIT);
        let mut buf = BytesMut::from(&[masked(TEXT, b"begun"), last, good.clone()].concat()[..]);
        let ended = decoder.next(&mut buf);
        assert!(
            matches!(ended, Err(_) | Ok(Some(Incoming::Close(_)))),
            "{ended:?}"
        );
        assert!(decoder.is_done());
        assert!(
            format!("{decoder:?}").contains("fragments: None"),
            "what was begun takes no memory"
        );
        assert_eq!(decoder.next(&mut buf), Ok(None));
        assert!(buf.is_empty(), "what comes late takes no memory");
    }
}

#[test]
fn close_frames_are_built_within_the_limits() {
    assert_eq!(
        close(CloseCode::Normal, "bye"),
        raw_frame(FIN | CLOSE, None, b"\x03\xe8bye")
    );
    assert_eq!(close_payload(CloseCode::Status, "ignored"), b""[..]);
    assert_eq!(close_payload(CloseCode::Abnormal, ""), b""[..]);
    let long = close_payload(CloseCode::Away, &"ä".repeat(100));
    assert_eq!(
        long.len(),
        2 + 122,
        "cut in front of the character that does not fit"
    );
    assert!(std::str::from_utf8(&long[2..]).is_ok());
    let Incoming::Close(Some(read)) = &serve(&[masked(FIN | CLOSE, &long)]).0[0] else {
        panic!("no close frame");
    };
    assert_eq!(read.code, CloseCode::Away);
}

#[test]
fn an_unfinished_builder_buffer_makes_an_empty_frame() {
    let opcode = OpCode::Control(Control::Ping);
    assert_eq!(
        super::super::finish_server_frame(BytesMut::new(), opcode),
        raw_frame(FIN | PING, None, b"")
    );
    let client = super::super::finish_client_frame(BytesMut::from("abc"), opcode, MASK);
    assert_eq!(client, masked(FIN | PING, b""));
}
