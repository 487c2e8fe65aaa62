//! Arguments and ArgumentsKw.

use crosspoint_core::message::Message;
use crosspoint_core::payload::{Format, Payload};

use super::{accepted, input, malformed, refused};
use crate::decode::{Limits, decode};
use crate::error::Malformed;

#[test]
fn a_payload_is_a_list_and_a_dictionary() {
    refused("[16,1,{},\"t\",5]", "PUBLISH.Arguments: expected a list, found 5");
    refused(
        "[16,1,{},\"t\",{}]",
        "PUBLISH.Arguments: expected a list, found a dictionary",
    );
    refused(
        "[16,1,{},\"t\",\"x\"]",
        "PUBLISH.Arguments: expected a list, found \"x\"",
    );
    refused(
        "[16,1,{},\"t\",[],[]]",
        "PUBLISH.ArgumentsKw: expected a dictionary, found a list",
    );
    refused(
        "[70,1,{},[],5]",
        "YIELD.ArgumentsKw: expected a dictionary, found 5",
    );
    // {1: 2} as ArgumentsKw, which JSON cannot express.
    malformed(
        Format::MsgPack,
        &[0x96, 16, 1, 0x80, 0xa1, b't', 0x90, 0x81, 1, 2],
        9,
        Malformed::Key,
    );
    malformed(
        Format::Cbor,
        &[0x86, 16, 1, 0xa0, 0x61, b't', 0x80, 0xa1, 1, 2],
        9,
        Malformed::Key,
    );
}

#[test]
fn an_empty_payload_is_absent() {
    let payload = |json: &str| match accepted(json) {
        Message::Publish(message) => message.payload,
        other => panic!("{other:?}"),
    };
    for json in [
        "[16,1,{},\"t\"]",
        "[16,1,{},\"t\",[]]",
        "[16,1,{},\"t\",null]",
        "[16,1,{},\"t\",[ ],{ }]",
        "[16,1,{},\"t\",null,null]",
    ] {
        assert_eq!(payload(json), Payload::EMPTY, "{json}");
    }
    let kwargs_only = payload("[16,1,{},\"t\", [ ], {\"k\" : 1} ]");
    assert_eq!(
        (&*kwargs_only.args, &*kwargs_only.kwargs),
        (&b""[..], &b"{\"k\" : 1}"[..])
    );
    let args_only = payload("[16,1,{},\"t\", [1, 2] , {}]");
    assert_eq!((&*args_only.args, &*args_only.kwargs), (&b"[1, 2]"[..], &b""[..]));
}

#[test]
fn an_opaque_payload_is_taken_where_enc_algo_announces_it() {
    let message = "[16,1,{\"enc_algo\":\"cryptobox\"},\"t\",\"\\u0000AAAA\"";
    let Message::Publish(publish) = accepted(&format!("{message}]")) else {
        panic!("not PUBLISH");
    };
    assert_eq!(&*publish.payload.args, b"\"\\u0000AAAA\"");
    accepted(&format!("{message},null]"));
    refused(
        &format!("{message},{{}}]"),
        "PUBLISH.ArgumentsKw: expected nothing after an opaque payload, found a dictionary",
    );
    refused(
        "[16,1,{\"enc_algo\":null},\"t\",\"\\u0000AAAA\"]",
        "PUBLISH.Arguments: expected a list, found a byte string",
    );
}

#[test]
fn strings_and_payload_share_the_memory_of_the_input() {
    for format in Format::OF_PAYLOADS {
        let bytes = input(
            "[16,1,{\"x_key\":\"value\"},\"com.topic\",[\"payload\"],{\"k\":1}]",
            format,
        );
        let Ok(Message::Publish(message)) = decode(format, &bytes, &Limits::default()) else {
            panic!("not PUBLISH");
        };
        let inside = |slice: &[u8]| bytes.as_ptr_range().contains(&slice.as_ptr());
        let (key, value) = &message.options.rest.0[0];
        assert!(inside(key.as_bytes()) && inside(value.as_str().unwrap().as_bytes()));
        assert!(inside(message.topic.as_bytes()));
        assert!(inside(&message.payload.args) && inside(&message.payload.kwargs));
    }
}
