//! The list and its elements, and what is limited.

use crosspoint_core::ids::{RequestId, SubscriptionId};
use crosspoint_core::message::{Message, RequestKind};
use crosspoint_core::payload::Format;
use crosspoint_core::value::Dict;

use super::{accepted, input, malformed, refused};
use crate::decode::{Limits, decode};
use crate::error::{DecodeError, Malformed};

#[test]
fn a_message_is_a_list_that_begins_with_a_known_type() {
    let text = |found| format!("a message is a list that begins with its type, found {found}");
    refused("{}", &text("a dictionary"));
    refused("\"x\"", &text("\"x\""));
    refused("[]", &text("an empty list"));
    refused("[\"16\"]", &text("a list that begins with \"16\""));
    refused("[-1]", &text("a list that begins with -1"));
    refused("[16.0,1,{},\"a\"]", &text("a list that begins with 16.0"));
    refused("[true]", &text("a list that begins with true"));
    refused("[7]", "unknown message type 7");
    refused("[256,1]", "unknown message type 256");
    refused(
        "[18446744073709551615]",
        "unknown message type 18446744073709551615",
    );
}

#[test]
fn elements_are_counted() {
    for (json, least, most) in [
        ("[1,\"r\",{}]", 3, 3),
        ("[2,1,{}]", 3, 3),
        ("[3,{},\"r\",[1],{\"k\":1}]", 3, 5),
        ("[4,\"m\",{}]", 3, 3),
        ("[5,\"s\",{}]", 3, 3),
        ("[6,{},\"r\"]", 3, 3),
        ("[8,48,1,{},\"e\",[1],{\"k\":1}]", 5, 7),
        ("[16,1,{},\"t\",[1],{\"k\":1}]", 4, 6),
        ("[17,1,2]", 3, 3),
        ("[32,1,{},\"t\"]", 4, 4),
        ("[33,1,2]", 3, 3),
        ("[34,1,2,{}]", 3, 4),
        ("[35,1,{}]", 2, 3),
        ("[36,1,2,{},[1],{\"k\":1}]", 4, 6),
        ("[48,1,{},\"p\",[1],{\"k\":1}]", 4, 6),
        ("[49,1,{}]", 3, 3),
        ("[50,1,{},[1],{\"k\":1}]", 3, 5),
        ("[64,1,{},\"p\"]", 4, 4),
        ("[65,1,2]", 3, 3),
        ("[66,1,2,{}]", 3, 4),
        ("[67,1,{}]", 2, 3),
        ("[68,1,2,{},[1],{\"k\":1}]", 4, 6),
        ("[69,1,{}]", 3, 3),
        ("[70,1,{},[1],{\"k\":1}]", 3, 5),
        ("[337,1]", 2, 2),
    ] {
        let elements: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
        assert_eq!(elements.len(), most, "{json}");
        for count in 1..=most + 2 {
            let mut elements = elements.clone();
            elements.resize(count, serde_json::Value::Null);
            let json = serde_json::Value::from(elements).to_string();
            if (least..=most).contains(&count) {
                accepted(&json);
                continue;
            }
            for format in Format::OF_PAYLOADS {
                let error = decode(format, &input(&json, format), &Limits::default()).unwrap_err();
                let DecodeError::ElementCount { found, .. } = error else {
                    panic!("{json}: {error}");
                };
                assert_eq!(found, count, "{json}");
            }
        }
    }
    refused("[32,1,{}]", "SUBSCRIBE: expected 4 elements, found 3");
    refused("[16,1,{}]", "PUBLISH: expected 4 to 6 elements, found 3");
}

#[test]
fn ids_are_integers_from_1_to_2_to_the_53() {
    for (id, found) in [
        ("0", "0"),
        ("-1", "-1"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551615", "18446744073709551615"),
        ("1.5", "1.5"),
        ("\"1\"", "\"1\""),
        ("true", "true"),
        ("null", "null"),
    ] {
        let expected = format!("expected an integer from 1 to 2^53, found {found}");
        refused(
            &format!("[32,{id},{{}},\"t\"]"),
            &format!("SUBSCRIBE.Request: {expected}"),
        );
        refused(
            &format!("[34,1,{id}]"),
            &format!("UNSUBSCRIBE.SUBSCRIBED.Subscription: {expected}"),
        );
    }
    let Message::Unsubscribe(message) = accepted("[34,9007199254740992,9007199254740992]") else {
        panic!("not UNSUBSCRIBE");
    };
    assert_eq!(message.subscription, SubscriptionId(1 << 53));
}

#[test]
fn an_id_may_be_a_float_that_is_an_integer_but_not_in_json() {
    let message = "[34,1.0,1099511627777.0]";
    for format in [Format::MsgPack, Format::Cbor, Format::BjData, Format::UbJson] {
        let Ok(Message::Unsubscribe(read)) = decode(format, &input(message, format), &Limits::default())
        else {
            panic!("not UNSUBSCRIBE in {}", format.name());
        };
        assert_eq!((read.request.0, read.subscription.0), (1, 1_099_511_627_777));
        for id in ["0.0", "-1.0", "9007199254740994.0"] {
            let input = input(&format!("[34,1,{id}]"), format);
            assert!(
                decode(format, &input, &Limits::default()).is_err(),
                "{id} in {}",
                format.name()
            );
        }
    }
    assert!(decode(Format::Json, &message.into(), &Limits::default()).is_err());
}

#[test]
fn a_revocation_has_request_0() {
    let Message::Unsubscribed(message) = accepted("[35,0,{\"subscription\":7}]") else {
        panic!("not UNSUBSCRIBED");
    };
    assert_eq!(message.request, RequestId(0));
    assert_eq!(message.details, Some(Dict::new().with("subscription", 7)));
    accepted("[67,0,{\"registration\":7}]");
    refused(
        "[35,-1]",
        "UNSUBSCRIBED.UNSUBSCRIBE.Request: expected an integer from 1 to 2^53, found -1",
    );
}

#[test]
fn uris_and_names_are_strings() {
    refused("[16,1,{},5]", "PUBLISH.Topic: expected a string, found 5");
    refused("[48,1,{},null]", "CALL.Procedure: expected a string, found null");
    refused("[5,1,{}]", "AUTHENTICATE.Signature: expected a string, found 1");
    refused(
        "[4,{},{}]",
        "CHALLENGE.AuthMethod: expected a string, found a dictionary",
    );
    refused(
        "[16,1,{},\"\\u0000AAAA\"]",
        "PUBLISH.Topic: expected a string, found a byte string",
    );
    let Message::Hello(hello) = accepted("[1,null,{}]") else {
        panic!("not HELLO");
    };
    assert_eq!(hello.realm, "");
}

#[test]
fn an_error_answers_a_request() {
    for kind in [0, 1, 17, 36, 50, 68 + 1, 999] {
        refused(
            &format!("[8,{kind},1,{{}},\"e\"]"),
            &format!("ERROR.REQUEST.Type: expected the type of a request, found {kind}"),
        );
    }
    for kind in [16, 32, 34, 48, 64, 66, 68] {
        let Message::Error(error) = accepted(&format!("[8,{kind},1,{{}},\"e\"]")) else {
            panic!("not ERROR");
        };
        assert_eq!(error.kind as u64, kind);
    }
    assert_eq!(RequestKind::Invocation as u64, 68);
}

#[test]
fn nothing_follows_a_message() {
    for format in Format::OF_PAYLOADS {
        let mut bytes = input("[6,{},\"r\"]", format).to_vec();
        let at = bytes.len();
        bytes.push(b'1');
        malformed(format, &bytes, at, Malformed::Trailing);
    }
    accepted(" [ 6 , { } , \"r\" ] \r\n\t");
}

#[test]
fn depth_is_limited_in_payload_and_options() {
    let depth = usize::from(Limits::default().depth);
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    for (levels, fits) in [(depth - 1, true), (depth, false), (100_000, false)] {
        let payload = format!("[16,1,{{}},\"t\",{}]", nested(levels));
        let kwargs = format!("[16,1,{{}},\"t\",[],{{\"k\":{}}}]", nested(levels - 1));
        let options = format!("[16,1,{{\"x\":{}}},\"t\"]", nested(levels - 1));
        for json in [payload, kwargs, options] {
            let result = decode(Format::Json, &json.into(), &Limits::default());
            assert_eq!(result.is_ok(), fits, "{levels}");
        }
        for (format, list) in [(Format::MsgPack, 0x91), (Format::Cbor, 0x81)] {
            let mut bytes = input("[16,1,{},\"t\",[]]", format).to_vec();
            bytes.pop();
            bytes.extend(std::iter::repeat_n(list, levels));
            *bytes.last_mut().unwrap() -= 1;
            let result = decode(format, &bytes.into(), &Limits::default());
            assert_eq!(result.is_ok(), fits, "{levels}");
        }
    }
}

#[test]
fn values_of_the_envelope_are_limited() {
    let limits = Limits {
        values: 10,
        ..Limits::default()
    };
    for json in [
        "[1,\"r\",{\"x\":[1,2,3,4,5,6,7,8,9,10]}]",
        "[16,1,{\"exclude\":[1,2,3,4,5,6,7,8,9,10]},\"t\"]",
        "[16,1,{\"a\":null,\"b\":null,\"c\":null,\"d\":null,\"e\":{\"f\":1,\"g\":[1,2,3,4]}},\"t\"]",
    ] {
        for format in Format::OF_PAYLOADS {
            let error = decode(format, &input(json, format), &limits).unwrap_err();
            assert!(
                matches!(error, DecodeError::TooManyValues { limit: 10, .. }),
                "{json}: {error}"
            );
        }
    }
    let within = "[16,1,{\"exclude\":[1,2,3,4,5,6,7,8,9]},\"t\",[1,2,3,4,5,6,7,8,9,10,11]]";
    for format in Format::OF_PAYLOADS {
        assert!(decode(format, &input(within, format), &limits).is_ok());
    }
}

#[test]
fn an_error_quotes_a_stranger_shortly_and_on_one_line() {
    let long = "\\n".repeat(5000);
    let json = format!("[16,1,{{\"{long}\":1,\"{long}\":1}},\"t\"]");
    let error = decode(Format::Json, &json.into(), &Limits::default())
        .unwrap_err()
        .to_string();
    assert!(error.len() < 200 && !error.contains('\n'), "{error}");
    let json = format!("[16,1,{{}},\"t\",\"{long}\"]");
    let error = decode(Format::Json, &json.into(), &Limits::default())
        .unwrap_err()
        .to_string();
    assert!(error.len() < 200 && !error.contains('\n'), "{error}");
}
