//! `TR-…` are lines of the conformance catalogue.

use bytes::{Bytes, BytesMut};
use crosspoint_core::payload::Format;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::frame::{Framing, TooLong, build};

fn accept_all(bytes: &[u8]) -> Result<Option<Accepted>, HandshakeError> {
    accept(&mut BytesMut::from(bytes), &Format::ALL, MaxLength::LARGEST)
}

/// Everything that a peer who announced `limit` finds when the stream arrives in these reads.
fn decode_reads<'a>(
    limit: MaxLength,
    reads: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Incoming>, Option<FrameError>) {
    let decoder = Decoder::new(limit);
    let (mut buf, mut found) = (BytesMut::new(), Vec::new());
    for read in reads {
        buf.extend_from_slice(read);
        loop {
            match decoder.next(&mut buf) {
                Ok(Some(incoming)) => found.push(incoming),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next(&mut buf), Err(error), "an error is final");
                    return (found, Some(error));
                }
            }
        }
    }
    (found, None)
}

fn error_of(header: [u8; 4]) -> Option<FrameError> {
    let (found, error) = decode_reads(MaxLength::LARGEST, [&header[..]]);
    assert_eq!(found, []);
    error
}

fn message(payload: &[u8]) -> Bytes {
    build(Framing::RawSocket, Format::Json, |out| {
        out.extend_from_slice(payload)
    })
    .unwrap()
}

#[test]
fn tr_001_a_request_is_accepted_with_our_length() {
    let accepted = accept_all(&[0x7f, 0xf1, 0, 0]).unwrap().unwrap();
    assert_eq!(accepted.reply, [0x7f, 0xf1, 0, 0]);
    assert_eq!(accepted.format, Format::Json);
    assert_eq!(accepted.peer_max.octets(), 1 << 24);
    let mut buf = BytesMut::from(&[0x7f, 0x02, 0, 0][..]);
    let accepted = accept(&mut buf, &Format::ALL, MaxLength::at_least(1 << 20))
        .unwrap()
        .unwrap();
    assert_eq!(
        (accepted.reply, accepted.peer_max.octets()),
        ([0x7f, 0xb2, 0, 0], 512)
    );
}

#[test]
fn tr_002_the_serializer_is_echoed() {
    for (number, format) in [
        (1, Format::Json),
        (2, Format::MsgPack),
        (3, Format::Cbor),
        (4, Format::BjData),
        (5, Format::FlatBuffers),
    ] {
        let accepted = accept_all(&[0x7f, 0x50 | number, 0, 0]).unwrap().unwrap();
        assert_eq!((accepted.format, accepted.reply[1]), (format, 0xf0 | number));
    }
}

#[test]
fn tr_003_an_unsupported_serializer_is_refused() {
    let refused = Err(HandshakeError::Refused(Refusal::Serializer));
    for number in 6..16 {
        assert_eq!(accept_all(&[0x7f, 0xf0 | number, 0, 0]), refused);
    }
    let cbor = &mut BytesMut::from(&[0x7f, 0xf3, 0, 0][..]);
    assert_eq!(
        accept(cbor, &[Format::Json], MaxLength::LARGEST),
        refused,
        "known, but not enabled"
    );
    assert_eq!(Refusal::Serializer.reply(), [0x7f, 0x10, 0, 0]);
}

#[test]
fn tr_004_serializer_0_is_refused() {
    assert_eq!(
        accept_all(&[0x7f, 0xf0, 0, 0]),
        Err(HandshakeError::Refused(Refusal::Serializer))
    );
}

#[test]
fn tr_005_reserved_octets_are_refused() {
    for octets in [[0x7f, 0xf1, 1, 0], [0x7f, 0xf1, 0, 0x80]] {
        assert_eq!(
            accept_all(&octets),
            Err(HandshakeError::Refused(Refusal::ReservedBits))
        );
    }
    assert_eq!(Refusal::ReservedBits.reply(), [0x7f, 0x30, 0, 0]);
}

#[test]
fn tr_006_another_protocol_is_found_at_the_first_octet() {
    assert_eq!(accept_all(b"G"), Err(HandshakeError::NotRawSocket(b'G')));
}

#[test]
fn tr_007_the_handshake_may_come_in_single_octets() {
    let mut buf = BytesMut::new();
    for octet in [0x7f, 0xf3, 0] {
        buf.extend_from_slice(&[octet]);
        assert_eq!(accept(&mut buf, &Format::ALL, MaxLength::LARGEST), Ok(None));
    }
    buf.extend_from_slice(&[0, 0xaa]);
    assert!(
        accept(&mut buf, &Format::ALL, MaxLength::LARGEST)
            .unwrap()
            .is_some()
    );
    assert_eq!(buf, [0xaa][..], "the first frame's octets stay");
}

#[test]
fn tr_008_frames_may_be_cut_and_joined_anywhere() {
    let stream = [&message(b"[1]")[..], &message(b""), &message(b"[2]")].concat();
    let expected: Vec<_> = [&b"[1]"[..], b"", b"[2]"]
        .map(|m| Incoming::Message(Bytes::from_static(m)))
        .into();
    for size in 1..=stream.len() {
        assert_eq!(
            decode_reads(MaxLength::LARGEST, stream.chunks(size)),
            (expected.clone(), None)
        );
    }
}

#[test]
fn tr_009_tr_010_a_ping_is_answered_with_its_payload() {
    for payload in [&b""[..], b"\x00\xff", &[7; 300]] {
        let ping = ping(payload).unwrap();
        assert_eq!(ping[..4], [1, 0, (payload.len() >> 8) as u8, payload.len() as u8]);
        let (found, error) = decode_reads(MaxLength::LARGEST, [&ping[..]]);
        assert_eq!(
            (&found[..], error),
            (&[Incoming::Ping(Bytes::copy_from_slice(payload))][..], None)
        );
        let pong = pong(payload).unwrap();
        assert_eq!((pong[0], &pong[1..]), (2, &ping[1..]));
    }
}

#[test]
fn tr_011_reserved_types_fail_the_connection() {
    for kind in 3..8 {
        assert_eq!(error_of([kind, 0, 0, 0]), Some(FrameError::ReservedType(kind)));
    }
}

#[test]
fn tr_012_reserved_bits_fail_the_connection() {
    for bit in 4..8 {
        assert_eq!(error_of([1 << bit, 0, 0, 0]), Some(FrameError::ReservedBits));
    }
}

#[test]
fn tr_013_a_frame_over_the_announced_limit_fails_the_connection() {
    let limit = MaxLength::at_least(512);
    let exact = message(&[b'x'; 512]);
    assert_eq!(decode_reads(limit, [&exact[..]]).1, None);
    let too_long = Some(FrameError::TooLong { limit: 512 });
    for kind in 0..3 {
        assert_eq!(
            decode_reads(limit, [&[kind, 0, 2, 1][..]]),
            (vec![], too_long),
            "from the header alone"
        );
    }
    assert_eq!(decode_reads(limit, [&[8, 0, 0, 0][..]]), (vec![], too_long));
}

#[test]
fn tr_016_the_25th_bit_is_a_length_of_2_to_the_24() {
    let longest = message(&vec![b'x'; MAX_PAYLOAD]);
    assert_eq!(longest[..4], [8, 0, 0, 0]);
    let (found, error) = decode_reads(MaxLength::LARGEST, [&longest[..]]);
    assert_eq!(
        (&found[..], error),
        (&[Incoming::Message(longest.slice(4..))][..], None)
    );
    let shorter = message(&vec![b'x'; MAX_PAYLOAD - 1]);
    assert_eq!(shorter[..4], [0, 0xff, 0xff, 0xff]);
    for header in [[8, 0, 0, 1], [8, 0xff, 0xff, 0xff], [9, 1, 0, 0]] {
        assert_eq!(error_of(header), Some(FrameError::BadLength));
    }
    let over = build(Framing::RawSocket, Format::Cbor, |out| {
        out.resize(out.len() + MAX_PAYLOAD + 1, 0)
    });
    assert_eq!(over, Err(TooLong { len: MAX_PAYLOAD + 1 }));
}

#[test]
fn tr_017_a_ping_during_the_handshake_is_no_handshake() {
    assert_eq!(accept_all(&[1, 0, 0, 0]), Err(HandshakeError::NotRawSocket(1)));
    assert_eq!(
        accept_all(&[0x7f, 0xf1, 1, 0, 0, 0]),
        Err(HandshakeError::Refused(Refusal::ReservedBits))
    );
}

#[test]
fn tr_018_an_unsolicited_pong_is_only_reported() {
    let stream = [&pong(b"?").unwrap()[..], &message(b"[]")].concat();
    let (found, error) = decode_reads(MaxLength::LARGEST, [&stream[..]]);
    assert_eq!((found.len(), error), (2, None));
    assert_eq!(found[0], Incoming::Pong(Bytes::from_static(b"?")));
}

#[test]
fn a_message_is_a_slice_of_the_buffer() {
    let mut buf = BytesMut::from(&message(&[7; 1000])[..]);
    let payload_at = buf[4..].as_ptr();
    let found = Decoder::new(MaxLength::LARGEST).next(&mut buf);
    assert!(matches!(found, Ok(Some(Incoming::Message(message))) if message.as_ptr() == payload_at));
}

#[test]
fn lengths_are_rounded_up_to_what_can_be_announced() {
    for (octets, announced) in [
        (0, 512),
        (512, 512),
        (513, 1024),
        (1 << 20, 1 << 20),
        (1 << 24, 1 << 24),
    ] {
        assert_eq!(MaxLength::at_least(octets).octets(), announced);
    }
    assert_eq!(MaxLength::at_least(usize::MAX), MaxLength::LARGEST);
    assert_eq!(MaxLength::default(), MaxLength::LARGEST);
}

#[test]
fn a_client_understands_the_routers_answers() {
    let answer = |octets: &[u8]| read_reply(&mut BytesMut::from(octets), Format::MsgPack);
    assert_eq!(answer(&[0x7f, 0x02, 0]), Ok(None));
    assert_eq!(answer(&[0x7f, 0x12, 0, 0]), Ok(Some(MaxLength::at_least(1024))));
    for refusal in [
        Refusal::Serializer,
        Refusal::MaxLength,
        Refusal::ReservedBits,
        Refusal::MaxConnections,
    ] {
        assert_eq!(answer(&refusal.reply()), Err(HandshakeError::Refused(refusal)));
    }
    assert_eq!(answer(&[0x7f, 0x50, 0, 0]), Err(HandshakeError::RefusedWith(5)));
    assert_eq!(
        answer(&[0x7f, 0xf1, 0, 0]),
        Err(HandshakeError::BadAnswer),
        "another serializer"
    );
    assert_eq!(answer(&[0x7f, 0xf2, 0, 1]), Err(HandshakeError::BadAnswer));
    assert_eq!(answer(b"HTTP"), Err(HandshakeError::NotRawSocket(b'H')));
}

#[test]
fn both_sides_of_the_handshake_agree() {
    for format in Format::ALL {
        let (client_max, router_max) = (MaxLength::at_least(4096), MaxLength::at_least(1 << 22));
        let accepted = accept(
            &mut BytesMut::from(&request(format, client_max)[..]),
            &[format],
            router_max,
        );
        let accepted = accepted.unwrap().unwrap();
        assert_eq!((accepted.format, accepted.peer_max), (format, client_max));
        assert_eq!(
            read_reply(&mut BytesMut::from(&accepted.reply[..]), format),
            Ok(Some(router_max))
        );
    }
}

proptest! {
    #[test]
    fn tr_008_any_cut_gives_the_same_outcome(
        frames in vec((0..4_u8, vec(any::<u8>(), 0..600)), 1..8),
        garbage in vec(any::<u8>(), 0..8),
        size in 1..50_usize,
    ) {
        let mut stream = Vec::new();
        for (kind, payload) in &frames {
            stream.extend([*kind, 0, (payload.len() >> 8) as u8, payload.len() as u8]);
            stream.extend(payload);
        }
        stream.extend(garbage);
        let limit = MaxLength::at_least(512);
        let whole = decode_reads(limit, [&stream[..]]);
        prop_assert_eq!(decode_reads(limit, stream.chunks(size)), whole.clone());
        prop_assert_eq!(decode_reads(limit, stream.chunks(1)), whole);
    }

    #[test]
    fn arbitrary_bytes_never_panic(stream in vec(any::<u8>(), 0..100), nibble in 0..16_usize) {
        let limit = MaxLength::at_least(512 << nibble);
        prop_assert!(Decoder::new(limit).missing(&stream) > 0);
        decode_reads(limit, [&stream[..]]);
        let _ = accept_all(&stream);
        let _ = read_reply(&mut BytesMut::from(&stream[..]), Format::Cbor);
    }

    #[test]
    fn the_announced_rest_is_what_completes_the_frame(payload in vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>()) {
        let frame = message(&payload);
        let mut have = at.index(frame.len());
        let decoder = Decoder::new(MaxLength::LARGEST);
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
