//! What each kind of value becomes in another serializer (conformance, group SZ).

use bytes::Bytes;
use crosspoint_core::payload::{Format, Payload};

use super::transcode;

fn args(format: Format, args: &[u8]) -> Payload {
    Payload {
        format,
        args: Bytes::copy_from_slice(args),
        kwargs: Bytes::new(),
    }
}

/// Asserts what `from` becomes, without the way back.
fn becomes(from: (Format, &[u8]), to: (Format, &[u8])) {
    let translated = transcode(&args(from.0, from.1), to.0);
    assert_eq!(translated.format, to.0);
    assert_eq!(translated.args, to.1, "{:x?} to {:?}", from, to.0);
}

/// Asserts that the three are one value: each becomes each, also by way of both dialects of UBJSON.
fn equal(json: &str, msgpack: &[u8], cbor: &[u8]) {
    let all = [
        (Format::Json, json.as_bytes()),
        (Format::MsgPack, msgpack),
        (Format::Cbor, cbor),
    ];
    for from in all {
        for to in all {
            becomes(from, to);
            for dialect in [Format::BjData, Format::UbJson] {
                becomes((dialect, &transcode(&args(from.0, from.1), dialect).args), to);
            }
        }
    }
}

#[test]
fn sz_001_values_are_equal_in_all_serializers() {
    equal(
        r#"["Hello",{"a":[1,-2],"b":{}},300]"#,
        b"\x93\xa5Hello\x82\xa1a\x92\x01\xfe\xa1b\x80\xcd\x01\x2c",
        b"\x83\x65Hello\xa2\x61a\x82\x01\x21\x61b\xa0\x19\x01\x2c",
    );
}

#[test]
fn sz_002_to_005_byte_strings_are_base64_in_json() {
    equal("[\"\\u0000\"]", b"\x91\xc4\x00", b"\x81\x40");
    equal(
        "[{\"k\":[\"\\u0000AQL/\"]}]",
        b"\x91\x81\xa1k\x91\xc4\x03\x01\x02\xff",
        b"\x81\xa1\x61k\x81\x43\x01\x02\xff",
    );
    // Not base64, and a key: text.
    becomes((Format::Json, b"[\"\\u0000!\"]"), (Format::Cbor, b"\x81\x62\0!"));
    becomes(
        (Format::Json, b"[{\"\\u0000AQL/\":1}]"),
        (Format::MsgPack, b"\x91\x81\xa5\0AQL/\x01"),
    );
}

#[test]
fn sz_006_integers_are_exact() {
    equal(
        "[9223372036854775807]",
        b"\x91\xcf\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x81\x1b\x7f\xff\xff\xff\xff\xff\xff\xff",
    );
    equal(
        "[-9223372036854775808]",
        b"\x91\xd3\x80\0\0\0\0\0\0\0",
        b"\x81\x3b\x7f\xff\xff\xff\xff\xff\xff\xff",
    );
    equal(
        "[18446744073709551615]",
        b"\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x81\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
    );
    equal(
        "[0,127,128,255,256]",
        b"\x95\x00\x7f\xcc\x80\xcc\xff\xcd\x01\x00",
        b"\x85\x00\x18\x7f\x18\x80\x18\xff\x19\x01\x00",
    );
    equal(
        "[-1,-32,-33,-129]",
        b"\x94\xff\xe0\xd0\xdf\xd1\xff\x7f",
        b"\x84\x20\x38\x1f\x38\x20\x38\x80",
    );
    becomes(
        (Format::Json, b"[18446744073709551616]"),
        (Format::MsgPack, b"\x91\xcb\x43\xf0\0\0\0\0\0\0"),
    );
    becomes(
        (Format::Cbor, b"\x81\x3b\xff\xff\xff\xff\xff\xff\xff\xff"),
        (Format::Json, b"[-1.8446744073709552e19]"),
    );
}

#[test]
fn sz_007_floats_stay_floats() {
    equal(
        "[1.0]",
        b"\x91\xcb\x3f\xf0\0\0\0\0\0\0",
        b"\x81\xfb\x3f\xf0\0\0\0\0\0\0",
    );
    equal(
        "[-0.0,0.1]",
        b"\x92\xcb\x80\0\0\0\0\0\0\0\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a",
        b"\x82\xfb\x80\0\0\0\0\0\0\0\xfb\x3f\xb9\x99\x99\x99\x99\x99\x9a",
    );
    becomes(
        (Format::Json, b"[1e300]"),
        (Format::Cbor, b"\x81\xfb\x7e\x37\xe4\x3c\x88\x00\x75\x9c"),
    );
    becomes(
        (Format::Cbor, b"\x81\xfb\x7e\x37\xe4\x3c\x88\x00\x75\x9c"),
        (Format::Json, b"[1e300]"),
    );
    becomes(
        (Format::Cbor, b"\x81\xf9\x3e\x00"),
        (Format::MsgPack, b"\x91\xcb\x3f\xf8\0\0\0\0\0\0"),
    );
    becomes(
        (Format::MsgPack, b"\x91\xca\x3f\xc0\0\0"),
        (Format::Json, b"[1.5]"),
    );
}

#[test]
fn sz_008_null_bools_and_empty_containers_survive() {
    equal(
        "[null,true,false,[],{}]",
        b"\x95\xc0\xc3\xc2\x90\x80",
        b"\x85\xf6\xf5\xf4\x80\xa0",
    );
}

#[test]
fn sz_009_text_survives_beyond_the_basic_plane() {
    equal(
        "[\"😀é\u{7f}\"]",
        b"\x91\xa7\xf0\x9f\x98\x80\xc3\xa9\x7f",
        b"\x81\x67\xf0\x9f\x98\x80\xc3\xa9\x7f",
    );
    becomes(
        (Format::Json, br#"["\ud83d\ude00\/"]"#),
        (Format::MsgPack, b"\x91\xa5\xf0\x9f\x98\x80/"),
    );
    equal(
        r#"["\"\\\b\f\n\r\t\u0001\u001f"]"#,
        b"\x91\xa9\"\\\x08\x0c\n\r\t\x01\x1f",
        b"\x81\x69\"\\\x08\x0c\n\r\t\x01\x1f",
    );
}

#[test]
fn sz_010_indefinite_lengths_become_definite() {
    let cbor = b"\x9f\x7f\x61a\x62bc\xff\x5f\x41\x01\x41\x02\xff\xbf\x61k\x9f\xff\xff\xff";
    becomes(
        (Format::Cbor, cbor),
        (Format::Json, br#"["abc","\u0000AQI=",{"k":[]}]"#),
    );
    becomes(
        (Format::Cbor, cbor),
        (Format::MsgPack, b"\x93\xa3abc\xc4\x02\x01\x02\x81\xa1k\x90"),
    );
    // In the same serializer nothing changes.
    becomes((Format::Cbor, cbor), (Format::Cbor, cbor));
}

#[test]
fn sz_013_what_json_and_ubjson_cannot_count_is_null() {
    becomes(
        (Format::Cbor, b"\x83\xf9\x7e\x00\xf9\x7c\x00\xf9\xfc\x00"),
        (Format::Json, b"[null,null,null]"),
    );
    let infinity = (Format::Cbor, &b"\x81\xf9\x7c\x00"[..]);
    becomes(infinity, (Format::MsgPack, b"\x91\xcb\x7f\xf0\0\0\0\0\0\0"));
    becomes(infinity, (Format::BjData, b"[D\0\0\0\0\0\0\xf0\x7f]"));
    becomes(infinity, (Format::UbJson, b"[Z]"));
}

#[test]
fn sz_014_keys_become_text_only_where_they_have_to() {
    let msgpack = b"\x91\x88\x01\x00\xff\x00\xc3\x00\xc0\x00\xcb\x3f\xf8\0\0\0\0\0\0\x00\xc4\x02\x01\x02\x00\x92\x01\xa1x\x00\x81\xa1k\x02\x00";
    let cbor = b"\x81\xa8\x01\x00\x20\x00\xf5\x00\xf6\x00\xfb\x3f\xf8\0\0\0\0\0\0\x00\x42\x01\x02\x00\x82\x01\x61x\x00\xa1\x61k\x02\x00";
    let json = br#"[{"1":0,"-1":0,"true":0,"null":0,"1.5":0,"\u0000AQI=":0,"[1,\"x\"]":0,"{\"k\":2}":0}]"#;
    becomes((Format::MsgPack, msgpack), (Format::Cbor, cbor));
    becomes((Format::Cbor, cbor), (Format::MsgPack, msgpack));
    becomes((Format::MsgPack, msgpack), (Format::Json, json));
    becomes((Format::Cbor, cbor), (Format::Json, json));
    let keys = b"\x81\xa2\x01\x00\x42\x01\x02\x00";
    let text = b"[{U\x011U\x00U\x05\0AQI=U\x00}]";
    becomes((Format::Cbor, keys), (Format::BjData, text));
    becomes((Format::Cbor, keys), (Format::UbJson, text));
}

#[test]
fn ubjson_has_the_shortest_types() {
    let cbor = b"\x8a\x00\x18\xff\x19\x01\x00\x19\xff\xff\x1a\xff\xff\xff\xff\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x20\x38\x80\x39\x80\x00\x3a\x80\x00\x00\x00";
    becomes(
        (Format::Cbor, cbor),
        (
            Format::BjData,
            b"[U\0U\xffu\0\x01u\xff\xffm\xff\xff\xff\xffM\xff\xff\xff\xff\xff\xff\xff\x7fi\xffI\x7f\xffl\xff\x7f\xff\xffL\xff\xff\xff\x7f\xff\xff\xff\xff]",
        ),
    );
    becomes(
        (Format::Cbor, cbor),
        (
            Format::UbJson,
            b"[U\0U\xffI\x01\0l\0\0\xff\xffL\0\0\0\0\xff\xff\xff\xffL\x7f\xff\xff\xff\xff\xff\xff\xffi\xffI\xff\x7fl\xff\xff\x7f\xffL\xff\xff\xff\xff\x7f\xff\xff\xff]",
        ),
    );
    let largest = b"\x81\x1b\xff\xff\xff\xff\xff\xff\xff\xff";
    becomes(
        (Format::Cbor, largest),
        (Format::UbJson, b"[HU\x1418446744073709551615]"),
    );
    becomes(
        (Format::Cbor, largest),
        (Format::BjData, b"[M\xff\xff\xff\xff\xff\xff\xff\xff]"),
    );
    let texts = (Format::Cbor, &b"\x84\x60\x61a\x62\xc3\xa9\x42\x01\x02"[..]);
    becomes(
        texts,
        (Format::BjData, b"[SU\0CaSU\x02\xc3\xa9[$B#U\x02\x01\x02]"),
    );
    becomes(
        texts,
        (Format::UbJson, b"[SU\0CaSU\x02\xc3\xa9[$U#U\x02\x01\x02]"),
    );
}

#[test]
fn optimised_containers_become_plain_ones_and_no_ops_vanish() {
    becomes(
        (Format::UbJson, b"[[$i#U\x02\x01\x02N{$Z#U\x01U\x01k[$C#U\x01c]"),
        (Format::Json, br#"[[1,2],{"k":null},["c"]]"#),
    );
    becomes(
        (Format::BjData, b"[h\0\x3eHU\x041E+2]"),
        (Format::Json, b"[1.5,100.0]"),
    );
}

#[test]
fn payloads_of_flatbuffers_are_cbor() {
    let translated = transcode(&args(Format::Json, b"[1]"), Format::FlatBuffers);
    assert_eq!(translated, args(Format::Cbor, b"\x81\x01"));
}

#[test]
fn tags_and_extensions_leave_their_value() {
    becomes(
        (Format::Cbor, b"\x82\xc0\x64time\xd9\xd9\xf7\xc1\x05"),
        (Format::Json, b"[\"time\",5]"),
    );
    becomes(
        (
            Format::MsgPack,
            b"\x93\xd4\x05\x09\xd4\x00\x00\xd6\xff\x00\x00\x01\x00",
        ),
        (Format::Cbor, b"\x83\x41\x09\xf6\x19\x01\x00"),
    );
}

#[test]
fn containers_of_every_size_have_the_shortest_head() {
    for (count, msgpack, cbor) in [
        (15, &[0x9f][..], &[0x8f][..]),
        (16, &[0xdc, 0, 16], &[0x90]),
        (23, &[0xdc, 0, 23], &[0x97]),
        (24, &[0xdc, 0, 24], &[0x98, 24]),
        (255, &[0xdc, 0, 255], &[0x98, 255]),
        (256, &[0xdc, 1, 0], &[0x99, 1, 0]),
        (65_535, &[0xdc, 255, 255], &[0x99, 255, 255]),
        (65_536, &[0xdd, 0, 1, 0, 0], &[0x9a, 0, 1, 0, 0]),
    ] {
        let items: Vec<u8> = (0..count).map(|n| (n % 7) as u8).collect();
        let json: Vec<String> = items.iter().map(u8::to_string).collect();
        equal(
            &format!("[{}]", json.join(",")),
            &[msgpack, &items].concat(),
            &[cbor, &items].concat(),
        );
    }
}

#[test]
fn strings_of_every_length_have_the_shortest_head() {
    for length in [23, 24, 31, 32, 255, 256, 65_535, 65_536] {
        let text = "x".repeat(length);
        let json = args(Format::Json, format!("[\"{text}\"]").as_bytes());
        for format in [Format::MsgPack, Format::Cbor, Format::BjData, Format::UbJson] {
            let there = transcode(&json, format);
            // A head of five bytes for the text, and what is around it: one of the list, in UBJSON three.
            assert!(there.args.len() <= length + 8);
            assert_eq!(transcode(&there, Format::Json), json);
        }
    }
}

#[test]
fn args_and_kwargs_are_translated_each() {
    let payload = Payload {
        format: Format::Json,
        args: Bytes::new(),
        kwargs: Bytes::from_static(b" {\"a\" : 1} "),
    };
    let translated = transcode(&payload, Format::Cbor);
    assert_eq!(
        (&*translated.args, &*translated.kwargs),
        (&b""[..], &b"\xa1\x61a\x01"[..])
    );
    assert_eq!(transcode(&Payload::EMPTY, Format::Cbor), Payload::EMPTY);
}

#[test]
fn a_payload_of_the_right_form_is_shared() {
    let payload = args(Format::Json, b"[1]");
    assert_eq!(
        transcode(&payload, Format::Json).args.as_ptr(),
        payload.args.as_ptr()
    );
}
