//! What the schema has no words for, and buffers that lie.

use bytes::{Bytes, BytesMut};
use crosspoint_core::ids::{PublicationId, RequestId, SessionId, SubscriptionId};
use crosspoint_core::message::{
    Call, Cancel, Event, Hello, Interrupt, Message, Publish, Register, Welcome, code,
};
use crosspoint_core::options::{
    CallOptions, CancelMode, CancelOptions, EventDetails, InvokePolicy, MatchPolicy, PublishOptions,
    Receivers, RegisterOptions,
};
use crosspoint_core::payload::{Format, Payload};
use crosspoint_core::value::{Dict, Value};

use super::build::Fields;
use super::schema as s;
use crate::error::{DecodeError, Malformed};
use crate::{Limits, decode, encode};

const FORMAT: Format = Format::FlatBuffers;

fn written(message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    encode(FORMAT, message, &mut out);
    out.freeze()
}

fn read(bytes: &Bytes) -> Result<Message, DecodeError> {
    decode(FORMAT, bytes, &Limits::default())
}

/// What arrives when `message` was sent.
fn through(message: &Message) -> Message {
    read(&written(message)).unwrap()
}

/// A buffer of a message with these fields.
fn buffer(kind: u64, fields: Fields<'_>) -> Bytes {
    let mut out = BytesMut::new();
    fields.write(kind as u8, &mut out);
    out.freeze()
}

fn publish(options: PublishOptions, payload: Payload) -> Message {
    Message::Publish(Publish {
        request: RequestId(7),
        options,
        topic: "com.topic".into(),
        payload,
    })
}

fn cbor(args: &'static [u8], kwargs: &'static [u8]) -> Payload {
    Payload {
        format: Format::Cbor,
        args: Bytes::from_static(args),
        kwargs: Bytes::from_static(kwargs),
    }
}

fn features(roles: &Dict, role: &str) -> usize {
    let features = roles.get(role).and_then(Value::as_dict).unwrap().get("features");
    features
        .and_then(Value::as_dict)
        .map_or(0, |features| features.0.len())
}

#[test]
fn everything_that_the_schema_has_comes_back() {
    let router = Dict::new()
        .with("session", 5)
        .with("authid", "a")
        .with("authrole", "b");
    let full = publish(
        PublishOptions {
            acknowledge: true,
            exclude_me: Some(false),
            disclose_me: None,
            retain: true,
            receivers: Some(Box::new(Receivers {
                eligible: Some(vec![SessionId(1), SessionId(1 << 53)]),
                eligible_authid: Some(vec![]),
                eligible_authrole: Some(vec!["r".into(), "".into()]),
                exclude: Some(vec![]),
                exclude_authid: Some(vec!["x".into()]),
                exclude_authrole: None,
            })),
            rest: Dict::new()
                .with("transaction_hash", "0x0")
                .with("forward_for", vec![Value::Dict(router)]),
        },
        cbor(b"\x82\x01\x61a", b"\xa1\x61k\xf6"),
    );
    assert_eq!(through(&full), full);
    let event = Message::Event(Event {
        subscription: SubscriptionId(1 << 52),
        publication: PublicationId(3),
        details: EventDetails {
            publisher: Some(SessionId(9)),
            publisher_authid: Some("joe".into()),
            publisher_authrole: Some("user".into()),
            topic: Some("com.topic".into()),
            trustlevel: None,
            retained: true,
            rest: Dict::new(),
        },
        payload: cbor(b"", b"\xa1\x61k\xf6"),
    });
    assert_eq!(through(&event), event);
    let register = Message::Register(Register {
        request: RequestId(1),
        options: RegisterOptions {
            match_policy: Some(MatchPolicy::Wildcard),
            invoke: Some(InvokePolicy::Random),
            force_reregister: true,
            concurrency: Some(3),
            ..RegisterOptions::default()
        },
        procedure: "com..procedure".into(),
    });
    assert_eq!(through(&register), register);
}

#[test]
fn payloads_of_other_serializers_become_cbor() {
    let json = Payload {
        format: Format::Json,
        args: Bytes::from_static(b" [1]"),
        kwargs: Bytes::from_static(b"{\"k\":null}"),
    };
    let received = through(&publish(PublishOptions::default(), json));
    let expected = publish(PublishOptions::default(), cbor(b"\x81\x01", b"\xa1\x61k\xf6"));
    assert_eq!(received, expected);
    let nothing = publish(PublishOptions::default(), Payload::EMPTY);
    assert_eq!(through(&nothing), nothing);
}

#[test]
fn arguments_may_be_in_the_serializer_that_the_message_says() {
    let message = |serializer, args: &'static [u8]| {
        let fields = Fields::new()
            .u64(s::REQUEST, 7)
            .text(s::publish::TOPIC, Some("com.topic"))
            .u8(s::publish::PAYLOAD + s::payload::SERIALIZER, serializer, 0)
            .bytes(
                s::publish::PAYLOAD + s::payload::ARGS,
                Some(Bytes::from_static(args)),
            );
        read(&buffer(code::PUBLISH, fields))
    };
    for (serializer, format, args) in [
        (0, Format::Cbor, &b"\x81\x01"[..]),
        (1, Format::Json, b"[1]"),
        (2, Format::MsgPack, b"\x91\x01"),
        (3, Format::Cbor, b"\x81\x01"),
        (4, Format::BjData, b"[U\x01]"),
    ] {
        let Ok(Message::Publish(message)) = message(serializer, args) else {
            panic!("not PUBLISH");
        };
        assert_eq!((message.payload.format, &*message.payload.args), (format, args));
    }
    let text = |serializer, args| message(serializer, args).unwrap_err().to_string();
    assert_eq!(
        text(6, b"x"),
        "PUBLISH.ppt_serializer: expected \"json\", \"msgpack\", \"cbor\" or \"ubjson\", found flatbuffers"
    );
    assert_eq!(text(0, b"\x01"), "PUBLISH.Arguments: expected a list, found 1");
    assert_eq!(
        text(0, b"\x81\x01\x01"),
        "not well-formed cbor at byte 2: bytes after the end of the message"
    );
    assert_eq!(
        text(1, b"[\xff]"),
        "not well-formed json at byte 1: invalid UTF-8"
    );
    let deep: &'static [u8] = Box::leak(vec![0x81; 100].into_boxed_slice());
    assert!(text(0, deep).ends_with("nested too deeply"));
}

#[test]
fn an_opaque_payload_is_a_byte_string_elsewhere() {
    let rest = Dict::new()
        .with("enc_algo", "cryptobox")
        .with("enc_serializer", "json")
        .with("enc_key", "key");
    let options = PublishOptions {
        rest,
        ..PublishOptions::default()
    };
    let opaque = publish(options.clone(), cbor(b"\x43\x01\x02\xff", b""));
    assert_eq!(through(&opaque), opaque);
    // Text is only bytes there, and a list stays a list.
    let text = through(&publish(options.clone(), cbor(b"\x62\xc3\xa9", b"")));
    assert_eq!(text, publish(options, cbor(b"\x42\xc3\xa9", b"")));
    let own = PublishOptions {
        rest: Dict::new().with("enc_algo", "x_mine"),
        ..PublishOptions::default()
    };
    let Message::Publish(received) = through(&publish(own, cbor(b"\x81\x01", b""))) else {
        panic!("not PUBLISH");
    };
    assert_eq!(received.options.rest, Dict::new().with("enc_algo", "x_opaque"));
    assert_eq!(received.payload, cbor(b"\x81\x01", b""));
    let without_scheme = Fields::new()
        .u64(s::REQUEST, 7)
        .text(s::publish::TOPIC, Some("com.topic"))
        .bytes(
            s::publish::PAYLOAD + s::payload::OPAQUE,
            Some(Bytes::from_static(b"x")),
        );
    assert!(read(&buffer(code::PUBLISH, without_scheme)).is_err());
}

#[test]
fn roles_that_are_not_told_are_those_of_autobahn() {
    let hello = |details| {
        let realm = "realm1".into();
        match through(&Message::Hello(Hello { realm, details })) {
            Message::Hello(hello) => hello.details,
            other => panic!("{other:?}"),
        }
    };
    let untold = hello(Dict::new());
    let roles = untold.get("roles").and_then(Value::as_dict).unwrap();
    assert_eq!(
        ["publisher", "subscriber", "caller", "callee"].map(|role| features(roles, role)),
        [6, 8, 6, 10]
    );
    let caller = Dict::new().with(
        "features",
        Dict::new()
            .with("call_canceling", true)
            .with("call_timeout", false),
    );
    let told = Dict::new().with(
        "roles",
        Dict::new().with("caller", caller).with("callee", Dict::new()),
    );
    let told = hello(
        told.with("authmethods", vec!["wamp-scram".into(), Value::from("anonymous")])
            .with("authid", "joe")
            .with("authextra", Dict::new().with("pubkey", "00")),
    );
    let roles = told.get("roles").and_then(Value::as_dict).unwrap();
    assert_eq!(roles.0.len(), 2);
    assert_eq!((features(roles, "caller"), features(roles, "callee")), (1, 0));
    assert_eq!(told.get("authid").and_then(Value::as_str), Some("joe"));
    let methods = told.get("authmethods").and_then(Value::as_list).unwrap();
    assert_eq!(methods, ["wamp-scram".into(), "anonymous".into()]);
    let extra = told.get("authextra").and_then(Value::as_dict).unwrap();
    assert_eq!(extra.get("pubkey").and_then(Value::as_str), Some("00"));
}

#[test]
fn welcome_tells_what_a_router_grants() {
    let broker = Dict::new().with("features", Dict::new().with("event_retention", true));
    let details = Dict::new()
        .with(
            "roles",
            Dict::new().with("broker", broker).with("dealer", Dict::new()),
        )
        .with("realm", "realm1")
        .with("authid", "joe")
        .with("authrole", "user")
        .with("authmethod", "ticket")
        .with("authprovider", "static");
    let welcome = Message::Welcome(Welcome {
        session: SessionId(1 << 53),
        details,
    });
    assert_eq!(through(&welcome), welcome);
}

#[test]
fn modes_have_the_defaults_of_the_schema() {
    let cancel = |mode| {
        let options = CancelOptions {
            mode,
            rest: Dict::new(),
        };
        let request = RequestId(1);
        match through(&Message::Cancel(Cancel { request, options })) {
            Message::Cancel(cancel) => cancel.options.mode,
            other => panic!("{other:?}"),
        }
    };
    for mode in s::MODE {
        assert_eq!(cancel(Some(mode)), Some(mode));
    }
    assert_eq!(cancel(None), Some(CancelMode::KillNoWait));
    let untold = buffer(code::CANCEL, Fields::new().u64(s::REQUEST, 1));
    assert!(matches!(read(&untold), Ok(Message::Cancel(m)) if m.options.mode == Some(CancelMode::Skip)));
    for options in [
        Dict::new()
            .with("mode", "killnowait")
            .with("reason", "com.reason"),
        Dict::new().with("mode", "kill"),
        Dict::new().with("mode", "skip"),
    ] {
        let request = RequestId(1);
        let interrupt = Message::Interrupt(Interrupt { request, options });
        assert_eq!(through(&interrupt), interrupt);
    }
}

#[test]
fn what_there_is_no_field_for_is_left_out() {
    let message = Message::Call(Call {
        request: RequestId(1),
        options: CallOptions {
            timeout: Some(u64::MAX),
            progress: true,
            disclose_me: Some(true),
            rest: Dict::new().with("ppt_scheme", "wamp").with("rkey", "k"),
            ..CallOptions::default()
        },
        procedure: "com.procedure".into(),
        payload: Payload::EMPTY,
    });
    let Message::Call(received) = through(&message) else {
        panic!("not CALL");
    };
    let options = CallOptions {
        timeout: Some(u32::MAX.into()),
        ..CallOptions::default()
    };
    assert_eq!(received.options, options);
}

#[test]
fn ids_names_and_enumerations_are_checked() {
    let text = |kind, fields| read(&buffer(kind, fields)).unwrap_err().to_string();
    assert_eq!(
        text(code::SUBSCRIBE, Fields::new().text(2, Some("t"))),
        "SUBSCRIBE.Request: expected an integer from 1 to 2^53, found 0"
    );
    assert_eq!(
        text(code::CALL, Fields::new().u64(1, (1 << 53) + 1).text(2, Some("p"))),
        "CALL.Request: expected an integer from 1 to 2^53, found 9007199254740993"
    );
    let everything = read(&buffer(
        code::SUBSCRIBE,
        Fields::new().u64(1, 1).u8(s::subscribe::MATCH, 1, 0),
    ));
    assert!(matches!(everything, Ok(Message::Subscribe(m)) if m.topic.is_empty()));
    assert_eq!(
        text(
            code::REGISTER,
            Fields::new()
                .u64(1, 1)
                .text(2, Some("p"))
                .u8(s::register::INVOKE, 9, 0)
        ),
        "REGISTER.Options.invoke: expected a value of the enumeration, found 9"
    );
    assert_eq!(
        text(code::ERROR, Fields::new().u16(1, 17)),
        "ERROR.REQUEST.Type: expected the type of a request, found 17"
    );
    assert_eq!(text(7, Fields::new()), "unknown message type 7");
}

#[test]
fn lists_are_limited() {
    let limits = Limits {
        values: 3,
        ..Limits::default()
    };
    let sessions = |count: u64| {
        let fields = Fields::new()
            .u64(s::REQUEST, 1)
            .text(s::publish::TOPIC, Some("t"))
            .u64s(s::publish::EXCLUDE, Some((1..=count).collect()));
        decode(FORMAT, &buffer(code::PUBLISH, fields), &limits)
    };
    assert!(sessions(3).is_ok());
    assert!(matches!(
        sessions(4),
        Err(DecodeError::TooManyValues { limit: 3, .. })
    ));
}

#[test]
fn one_text_is_not_read_again_and_again() {
    // A vector of a thousand offsets to one text of a thousand bytes.
    let long = "x".repeat(1000);
    let names = vec![long.as_str(); 2];
    let fields = Fields::new()
        .u64(s::REQUEST, 1)
        .text(s::publish::TOPIC, Some("t"))
        .texts(s::publish::EXCLUDE_AUTHID, Some(names));
    let honest = buffer(code::PUBLISH, fields).to_vec();
    assert!(read(&honest.clone().into()).is_ok());
    let fields = Fields::new()
        .u64(s::REQUEST, 1)
        .text(s::publish::TOPIC, Some("t"))
        .texts(s::publish::EXCLUDE_AUTHID, Some(vec![""; 1000]))
        .text(s::publish::TRANSACTION_HASH, Some(&long));
    let mut lying = buffer(code::PUBLISH, fields).to_vec();
    let target = lying.len() - long.len() - 5;
    let count = 1000u32.to_le_bytes();
    let vector = lying.windows(4).position(|bytes| bytes == count).unwrap();
    for index in 0..1000 {
        let at = vector + 4 + 4 * index;
        let offset = (target - at) as u32;
        lying[at..at + 4].copy_from_slice(&offset.to_le_bytes());
    }
    let error = read(&lying.into()).unwrap_err().to_string();
    assert!(error.contains("referred to too often"), "{error}");
}

#[test]
fn buffers_that_are_none_are_refused() {
    let malformed = |bytes: &[u8]| match read(&Bytes::copy_from_slice(bytes)) {
        Err(DecodeError::Malformed { what, .. }) => what,
        other => panic!("{bytes:x?}: {other:?}"),
    };
    assert_eq!(malformed(b""), Malformed::Truncated);
    assert_eq!(malformed(&[4, 0, 0]), Malformed::Truncated);
    assert_eq!(malformed(&[0xff, 0xff, 0xff, 0xff]), Malformed::Truncated);
    assert_eq!(
        malformed(&[0; 16]),
        Malformed::Syntax("an offset that leads nowhere")
    );
    // The layout of the table before the buffer, then far behind it, then within the table itself.
    assert_eq!(
        malformed(&[4, 0, 0, 0, 0x40, 0, 0, 0]),
        Malformed::Syntax("a table whose layout lies before the buffer")
    );
    assert_eq!(malformed(&[4, 0, 0, 0, 0, 0, 0, 0x80]), Malformed::Truncated);
    assert_eq!(
        malformed(&[4, 0, 0, 0, 0, 0, 0, 0]),
        Malformed::Syntax("the layout of no table")
    );
    let empty = Fields::new();
    let mut out = BytesMut::new();
    empty.write(0, &mut out);
    assert_eq!(read(&out.freeze()), Err(DecodeError::UnknownType(0)));
}
