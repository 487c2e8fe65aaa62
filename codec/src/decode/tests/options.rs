//! Options and details.

use bytes::Bytes;
use crosspoint_core::ids::SessionId;
use crosspoint_core::message::Message;
use crosspoint_core::options::{CancelMode, InvokePolicy, MatchPolicy};
use crosspoint_core::payload::Format;
use crosspoint_core::value::{Dict, Value};

use super::{accepted, input, refused};
use crate::decode::{Limits, decode};
use crate::error::DecodeError;

#[test]
fn options_and_details_are_dictionaries() {
    refused(
        "[16,1,[],\"t\"]",
        "PUBLISH.Options: expected a dictionary, found a list",
    );
    refused(
        "[16,1,null,\"t\"]",
        "PUBLISH.Options: expected a dictionary, found null",
    );
    refused(
        "[1,\"r\",[]]",
        "HELLO.Details: expected a dictionary, found a list",
    );
    refused(
        "[34,1,2,3]",
        "UNSUBSCRIBE.Options: expected a dictionary, found 3",
    );
}

#[test]
fn bools_are_bools() {
    for (start, keys) in [
        (
            "[16,1,",
            &["acknowledge", "exclude_me", "disclose_me", "retain"][..],
        ),
        ("[32,1,", &["get_retained"]),
        ("[36,1,2,", &["retained", "x_acknowledged_delivery"]),
        ("[48,1,", &["receive_progress", "progress", "disclose_me"]),
        ("[50,1,", &["progress"]),
        (
            "[64,1,",
            &["disclose_caller", "forward_timeout", "force_reregister"],
        ),
        ("[68,1,2,", &["receive_progress", "progress"]),
        ("[70,1,", &["progress"]),
    ] {
        for key in keys {
            for value in ["1", "0", "\"true\"", "[]"] {
                let json = format!("{start}{{\"{key}\":{value}}},\"u\"]");
                for format in Format::OF_PAYLOADS {
                    let error = decode(format, &input(&json, format), &Limits::default()).unwrap_err();
                    let text = error.to_string();
                    assert!(
                        text.contains(&format!(".{key}: expected a bool, found")),
                        "{json}: {text}"
                    );
                }
            }
        }
    }
    refused(
        "[16,1,{\"acknowledge\":1},\"t\"]",
        "PUBLISH.Options.acknowledge: expected a bool, found 1",
    );
}

#[test]
fn lists_of_receivers_have_items_of_one_type() {
    for key in ["exclude", "eligible"] {
        let place = format!("PUBLISH.Options.{key}: expected");
        refused(
            &format!("[16,1,{{\"{key}\":\"x\"}},\"t\"]"),
            &format!("{place} a list of session ids, found \"x\""),
        );
        refused(
            &format!("[16,1,{{\"{key}\":[1,\"x\"]}},\"t\"]"),
            &format!("{place} an integer from 1 to 2^53, found \"x\""),
        );
    }
    for key in [
        "exclude_authid",
        "exclude_authrole",
        "eligible_authid",
        "eligible_authrole",
    ] {
        let place = format!("PUBLISH.Options.{key}: expected");
        refused(
            &format!("[16,1,{{\"{key}\":\"x\"}},\"t\"]"),
            &format!("{place} a list of strings, found \"x\""),
        );
        refused(
            &format!("[16,1,{{\"{key}\":[\"x\",1]}},\"t\"]"),
            &format!("{place} a string, found 1"),
        );
    }
    let Message::Publish(publish) = accepted("[16,1,{\"eligible\":[],\"exclude\":[3,4]},\"t\"]") else {
        panic!("not PUBLISH");
    };
    let receivers = publish.options.receivers.unwrap();
    assert_eq!(receivers.eligible, Some(vec![]));
    assert_eq!(receivers.exclude, Some(vec![SessionId(3), SessionId(4)]));
    assert_eq!(receivers.exclude_authid, None);
}

#[test]
fn policies_and_modes_are_of_their_names() {
    for policy in [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard] {
        let Message::Subscribe(message) =
            accepted(&format!("[32,1,{{\"match\":\"{}\"}},\"t\"]", policy.name()))
        else {
            panic!("not SUBSCRIBE");
        };
        assert_eq!(message.options.match_policy, Some(policy));
    }
    for policy in [
        "single",
        "roundrobin",
        "random",
        "first",
        "last",
        "load",
        "sticky",
    ] {
        let Message::Register(message) = accepted(&format!("[64,1,{{\"invoke\":\"{policy}\"}},\"t\"]"))
        else {
            panic!("not REGISTER");
        };
        assert_eq!(message.options.invoke.map(InvokePolicy::name), Some(policy));
    }
    for mode in ["skip", "kill", "killnowait"] {
        let Message::Cancel(message) = accepted(&format!("[49,1,{{\"mode\":\"{mode}\"}}]")) else {
            panic!("not CANCEL");
        };
        assert_eq!(message.options.mode.map(CancelMode::name), Some(mode));
    }
    let expected = "expected \"exact\", \"prefix\" or \"wildcard\", found";
    refused(
        "[32,1,{\"match\":\"foo\"},\"t\"]",
        &format!("SUBSCRIBE.Options.match: {expected} \"foo\""),
    );
    refused(
        "[64,1,{\"match\":1},\"t\"]",
        &format!("REGISTER.Options.match: {expected} 1"),
    );
    refused(
        "[64,1,{\"invoke\":\"foo\"},\"t\"]",
        "REGISTER.Options.invoke: expected \"single\", \"roundrobin\", \"random\", \"first\", \"last\", \"load\" or \"sticky\", found \"foo\"",
    );
    refused(
        "[49,1,{\"mode\":\"foo\"}]",
        "CANCEL.Options.mode: expected \"skip\", \"kill\" or \"killnowait\", found \"foo\"",
    );
}

#[test]
fn numbers_have_their_ranges() {
    let milliseconds = "expected a number of milliseconds, an integer of at least 0, found";
    refused(
        "[48,1,{\"timeout\":-1},\"p\"]",
        &format!("CALL.Options.timeout: {milliseconds} -1"),
    );
    refused(
        "[48,1,{\"timeout\":\"x\"},\"p\"]",
        &format!("CALL.Options.timeout: {milliseconds} \"x\""),
    );
    refused(
        "[48,1,{\"timeout\":1.5},\"p\"]",
        &format!("CALL.Options.timeout: {milliseconds} 1.5"),
    );
    refused(
        "[64,1,{\"concurrency\":0},\"p\"]",
        "REGISTER.Options.concurrency: expected an integer of at least 1, found 0",
    );
    refused(
        "[36,1,2,{\"trustlevel\":-1}]",
        "EVENT.Details.trustlevel: expected an integer of at least 0, found -1",
    );
    accepted("[48,1,{\"timeout\":0},\"p\"]");
}

#[test]
fn what_is_null_is_absent() {
    let Message::Subscribe(message) =
        accepted("[32,1,{\"match\":null,\"get_retained\":null,\"x_y\":null},\"t\"]")
    else {
        panic!("not SUBSCRIBE");
    };
    assert_eq!(message.options, Default::default());
    // MessagePack ext 0 and CBOR undefined, with which wampy.js says undefined.
    let msgpack = b"\x94\x20\x01\x81\xa5match\xd4\x00\x00\xa1t";
    let cbor = b"\x84\x18\x20\x01\xa1\x65match\xf7\x61t";
    for (format, input) in [(Format::MsgPack, &msgpack[..]), (Format::Cbor, cbor)] {
        let decoded = decode(format, &Bytes::copy_from_slice(input), &Limits::default());
        assert!(matches!(decoded, Ok(Message::Subscribe(ref m)) if m.options == Default::default()));
    }
}

#[test]
fn unknown_keys_are_kept_in_order() {
    let Message::Call(call) =
        accepted("[48,1,{\"zeta\":[1,null,{\"a\":-2}],\"timeout\":5,\"_alpha\":1.5,\"b\":true},\"p\"]")
    else {
        panic!("not CALL");
    };
    let nested = Value::List(vec![
        Value::Int(1),
        Value::Null,
        Dict::new().with("a", Value::Int(-2)).into(),
    ]);
    let rest = Dict::new()
        .with("zeta", nested)
        .with("_alpha", Value::Float(1.5))
        .with("b", true);
    assert_eq!(call.options.rest, rest);
    assert_eq!(call.options.timeout, Some(5));
}

#[test]
fn keys_of_the_envelope_are_unique_strings() {
    refused(
        "[16,1,{\"retain\":true,\"retain\":true},\"t\"]",
        "PUBLISH.Options.retain: the key occurs twice",
    );
    refused(
        "[16,1,{\"x_a\":1,\"y\":2,\"x_\\u0061\":1},\"t\"]",
        "PUBLISH.Options.x_a: the key occurs twice",
    );
    refused(
        "[16,1,{\"x\":null,\"x\":null},\"t\"]",
        "PUBLISH.Options.x: the key occurs twice",
    );
    refused(
        "[1,\"r\",{\"roles\":{\"a\":{},\"a\":{}}}]",
        "HELLO.Details.a: the key occurs twice",
    );
    let many: Vec<String> = (0..100).map(|n| format!("\"k{}\":1", n % 99)).collect();
    refused(
        &format!("[1,\"r\",{{{}}}]", many.join(",")),
        "HELLO.Details.k0: the key occurs twice",
    );
    let all_different: Vec<String> = (0..100).map(|n| format!("\"k{n}\":1")).collect();
    accepted(&format!("[1,\"r\",{{{}}}]", all_different.join(",")));
    let expected = DecodeError::Unexpected {
        place: "SUBSCRIBE.Options".to_owned(),
        expected: "a key that is a string",
        found: "5".to_owned(),
    };
    let msgpack = Bytes::from_static(&[0x94, 32, 1, 0x81, 5, 6, 0xa1, b't']);
    let cbor = Bytes::from_static(&[0x84, 0x18, 32, 1, 0xa1, 5, 6, 0x61, b't']);
    assert_eq!(
        decode(Format::MsgPack, &msgpack, &Limits::default()),
        Err(expected.clone())
    );
    assert_eq!(decode(Format::Cbor, &cbor, &Limits::default()), Err(expected));
    // Inside a payload keys are the application's affair.
    accepted("[16,1,{},\"t\",[{\"a\":1,\"a\":2}],{\"k\":1,\"k\":2}]");
}

#[test]
fn known_extensions_are_checked() {
    for (key, wrong) in [
        ("enc_algo", "\"rot13\""),
        ("enc_serializer", "\"xml\""),
        ("enc_key", "1"),
        ("transaction_hash", "1"),
        ("rkey", "1"),
        ("ppt_scheme", "1"),
        ("ppt_serializer", "[]"),
        ("ppt_cipher", "{}"),
        ("ppt_keyid", "true"),
        ("forward_for", "[1]"),
        ("forward_for", "[{\"session\":1,\"authid\":\"a\"}]"),
        (
            "forward_for",
            "[{\"session\":\"1\",\"authid\":\"a\",\"authrole\":\"b\"}]",
        ),
        ("callee", "\"x\""),
        ("callee_authid", "1"),
    ] {
        for format in Format::OF_PAYLOADS {
            let input = input(&format!("[16,1,{{\"{key}\":{wrong}}},\"t\"]"), format);
            let error = decode(format, &input, &Limits::default())
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("PUBLISH.Options.{key}: expected")),
                "{error}"
            );
        }
    }
    accepted("[16,1,{\"enc_algo\":\"x_mine\",\"ppt_scheme\":\"wamp\",\"callee\":5},\"t\",[1]]");
}
