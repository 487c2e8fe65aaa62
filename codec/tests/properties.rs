//! Properties that hold for all messages, all payloads and all bytes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod generate;

use bytes::{Bytes, BytesMut};
use crosspoint_codec::core::message::Message;
use crosspoint_codec::core::payload::{Format, Payload};
use crosspoint_codec::{Limits, decode, encode, encode_event, encode_invocation, encode_result, transcode};
use generate::{any_format, any_keys, format, json_value, message, raw_bytes, to_json_model};
use proptest::prelude::*;

fn written(format: Format, message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    encode(format, message, &mut out);
    out.freeze()
}

/// The payload of a message that carries one.
fn payload_of(message: &mut Message) -> Option<&mut Payload> {
    match message {
        Message::Abort(m) => Some(&mut m.payload),
        Message::Error(m) => Some(&mut m.payload),
        Message::Publish(m) => Some(&mut m.payload),
        Message::Event(m) => Some(&mut m.payload),
        Message::Call(m) => Some(&mut m.payload),
        Message::Result(m) => Some(&mut m.payload),
        Message::Invocation(m) => Some(&mut m.payload),
        Message::Yield(m) => Some(&mut m.payload),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_message_comes_back_as_it_went(message in message(), to in format()) {
        let bytes = written(to, &message);
        let mut expected = message;
        if let Some(payload) = payload_of(&mut expected) {
            *payload = transcode(payload, to);
        }
        prop_assert_eq!(decode(to, &bytes, &Limits::default()), Ok(expected));
    }

    #[test]
    fn flatbuffers_carries_what_its_schema_has(message in message()) {
        let read = |message| decode(Format::FlatBuffers, &written(Format::FlatBuffers, message), &Limits::default());
        let once = read(&message).unwrap();
        prop_assert_eq!(&read(&once).unwrap(), &once);
        let (mut sent, mut received) = (message, once);
        if let (Some(sent), Some(received)) = (payload_of(&mut sent), payload_of(&mut received)) {
            prop_assert!(*received == transcode(sent, Format::Cbor) || *received == Payload::EMPTY);
        }
    }

    #[test]
    fn encoding_appends(message in message(), to in any_format()) {
        let mut out = BytesMut::from(&b"before"[..]);
        encode(to, &message, &mut out);
        prop_assert_eq!(&out[..6], b"before");
        prop_assert_eq!(&out[6..], &written(to, &message));
    }

    #[test]
    fn the_direct_ways_write_the_same(message in message(), to in any_format()) {
        let mut out = BytesMut::new();
        match &message {
            Message::Event(m) => {
                encode_event(to, m.subscription, m.publication, &m.details, &m.payload, &mut out);
            }
            Message::Invocation(m) => {
                encode_invocation(to, m.request, m.registration, &m.details, &m.payload, &mut out);
            }
            Message::Result(m) => encode_result(to, m.request, &m.details, &m.payload, &mut out),
            _ => return Ok(()),
        }
        prop_assert_eq!(out.freeze(), written(to, &message));
    }

    #[test]
    fn a_payload_means_the_same_in_every_serializer(value in json_value(), through in format(), again in format()) {
        let payload = Payload {
            format: Format::Json,
            args: serde_json::to_vec(&value).unwrap().into(),
            kwargs: Bytes::new(),
        };
        let back = transcode(&transcode(&transcode(&payload, through), again), Format::Json);
        prop_assert_eq!(to_json_model(&back.args), value);
    }

    #[test]
    fn json_is_accepted_exactly_where_serde_json_accepts_it(text in "[\\[\\]{},:\"a0-9.eE+\\\\unt \\-]{0,12}") {
        let message = format!("[16,1,{{}},\"t\",[{text}]]");
        let known = serde_json::from_str::<serde_json::Value>(&message);
        let own = decode(Format::Json, &Bytes::from(message), &Limits::default());
        // Text may close the list and open other elements; only well-formedness is compared. serde_json refuses
        // floats that are too large, here they are infinite.
        let malformed = matches!(own, Err(crosspoint_codec::DecodeError::Malformed { .. }));
        let too_large = known.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
        prop_assert!(too_large || malformed == known.is_err(), "{:?} {:?}", own, known);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in raw_bytes(), format in any_format()) {
        let _ = decode(format, &bytes, &Limits::default());
    }

    #[test]
    fn what_is_accepted_does_not_grow_much(value in any_keys(), to in any_format()) {
        let message = [&b"\x95\x10\x01\x80\xa1t\x91"[..], &value].concat();
        if let Ok(message) = decode(Format::MsgPack, &Bytes::from(message), &Limits::default()) {
            let written = written(to, &message);
            // A float of five bytes takes up to 24 in JSON, a control character of one up to 7.
            prop_assert!(written.len() <= 7 * value.len() + 64, "{} bytes of {}", written.len(), value.len());
        }
    }

    #[test]
    fn a_message_that_is_cut_is_refused(message in message(), to in any_format(), cut in any::<prop::sample::Index>()) {
        let bytes = written(to, &message);
        let cut = cut.index(bytes.len());
        prop_assert!(decode(to, &bytes.slice(..cut), &Limits::default()).is_err());
    }

    #[test]
    fn whatever_is_accepted_can_be_sent_to_anyone(
        message in message(),
        from in any_format(),
        to in any_format(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = written(from, &message).to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(message) = decode(from, &bytes.into(), &Limits::default()) {
            let forwarded = written(to, &message);
            let again = decode(to, &forwarded, &Limits::default());
            prop_assert!(again.is_ok(), "{:?} of {:?}", again, message);
        }
    }
}
