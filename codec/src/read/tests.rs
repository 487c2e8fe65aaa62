//! Each serializer's grammar, and that what ends too early is an error wherever it ends.

use super::{CborReader, JsonReader, Keys, MsgPackReader, Passed, Reader, Token};
use crate::error::Malformed;

/// A scalar without its borrowed parts.
#[derive(Debug, PartialEq)]
enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
}

/// Reads the whole input as one scalar, and checks that skipping it comes to the same end.
fn scalar<'a, R: Reader<'a>>(mut reader: R, mut skipper: R) -> Result<Scalar, Malformed> {
    let scalar = match reader.token() {
        Ok(Token::Null) => Ok(Scalar::Null),
        Ok(Token::Bool(value)) => Ok(Scalar::Bool(value)),
        Ok(Token::Int(value)) => Ok(Scalar::Int(value)),
        Ok(Token::UInt(value)) => Ok(Scalar::UInt(value)),
        Ok(Token::Float(value)) => Ok(Scalar::Float(value)),
        Ok(Token::Str(text)) => Ok(Scalar::Str(text.into_owned())),
        Ok(Token::Bytes(bytes)) => Ok(Scalar::Bytes(bytes.into_owned())),
        Ok(Token::List(_) | Token::Map(_)) => panic!("a container"),
        Err(error) => Err(error),
    };
    assert_eq!(skipper.skip(1), scalar.as_ref().map(drop).map_err(|error| *error));
    scalar.and_then(|scalar| reader.finish().map(|()| scalar))
}

fn json(text: &str) -> Result<Scalar, Malformed> {
    let reader = || JsonReader::new(text.as_bytes()).unwrap();
    scalar(reader(), reader())
}

fn msgpack(bytes: &[u8]) -> Result<Scalar, Malformed> {
    scalar(MsgPackReader::new(bytes), MsgPackReader::new(bytes))
}

fn cbor(bytes: &[u8]) -> Result<Scalar, Malformed> {
    scalar(CborReader::new(bytes), CborReader::new(bytes))
}

/// Skips one value and whatever may follow it.
fn skip<'a, R: Reader<'a>>(mut reader: R) -> Result<(), Malformed> {
    reader.skip(16)?;
    reader.finish()
}

fn skip_json(text: &str) -> Result<(), Malformed> {
    skip(JsonReader::new(text.as_bytes()).unwrap())
}

fn str(text: &str) -> Result<Scalar, Malformed> {
    Ok(Scalar::Str(text.to_owned()))
}

#[test]
fn json_numbers_are_exact_integers_or_floats() {
    for (text, value) in [
        ("0", Scalar::Int(0)),
        ("-0", Scalar::Int(0)),
        ("9223372036854775807", Scalar::Int(i64::MAX)),
        ("-9223372036854775808", Scalar::Int(i64::MIN)),
        ("9223372036854775808", Scalar::UInt(1 << 63)),
        ("18446744073709551615", Scalar::UInt(u64::MAX)),
        (
            "18446744073709551616",
            Scalar::Float(18_446_744_073_709_551_616.0),
        ),
        (
            "-9223372036854775809",
            Scalar::Float(-9_223_372_036_854_775_809.0),
        ),
        ("1.0", Scalar::Float(1.0)),
        ("-0.0", Scalar::Float(-0.0)),
        ("1e2", Scalar::Float(100.0)),
        ("1.5E-2", Scalar::Float(0.015)),
        ("2e+1", Scalar::Float(20.0)),
    ] {
        assert_eq!(json(text), Ok(value), "{text}");
    }
}

#[test]
fn json_that_breaks_the_grammar_is_refused() {
    for text in [
        "01",
        "-01",
        "1.x",
        "1ex",
        "-x",
        ".5",
        "+1",
        "NaN",
        "Infinity",
        "nulL",
        "True",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{1:2}",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "'a'",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\"\n\"",
        "\"\0\"",
        "\"\u{1f}\"",
        "\u{feff}1",
        "/**/1",
        "]",
        "}",
        ",",
        ":",
    ] {
        let result = skip_json(text);
        assert!(
            matches!(result, Err(Malformed::Syntax(_))),
            "{text:?}: {result:?}"
        );
    }
    for text in ["1 1", "0x1", "1_0", "[] []", "null,", "\"a\"b", "1]"] {
        assert_eq!(skip_json(text), Err(Malformed::Trailing), "{text}");
    }
}

#[test]
fn json_escapes_are_undone() {
    assert_eq!(
        json(r#""\"\\\/\b\f\n\r\tA\u00e9\u20AC""#),
        str("\"\\/\u{8}\u{c}\n\r\tAé€")
    );
    assert_eq!(json(r#""a\ud83d\ude00b""#), str("a😀b"));
    assert_eq!(json("\"😀é\u{7f}\""), str("😀é\u{7f}"));
    assert_eq!(json(r#""\u0001""#), str("\u{1}"));
    for lone in [
        r#""\ud83d""#,
        r#""\ude00""#,
        r#""\ud83dx""#,
        r#""\ud83d\n""#,
        r#""\ud83dA""#,
        r#""\ud83d\ud83d""#,
    ] {
        assert_eq!(json(lone), Err(Malformed::Syntax("a lone surrogate")), "{lone}");
    }
}

#[test]
fn json_nul_and_base64_are_a_byte_string() {
    let bytes = |bytes: &[u8]| Ok(Scalar::Bytes(bytes.to_vec()));
    assert_eq!(
        json(r#""\u0000EOP/kFMHXFJvX8BtT+N82w==""#),
        bytes(&[
            0x10, 0xe3, 0xff, 0x90, 0x53, 0x07, 0x5c, 0x52, 0x6f, 0x5f, 0xc0, 0x6d, 0x4f, 0xe3, 0x7c, 0xdb
        ])
    );
    assert_eq!(json(r#""\u0000""#), bytes(b""));
    for text in ["\0AAA", "\0A===", "\0hello world", "\0AA-_", "\0AAAA "] {
        let quoted = format!("\"\\u0000{}\"", &text[1..]);
        assert_eq!(json(&quoted), str(text), "not base64");
    }
    assert_eq!(json(r#""x\u0000AAAA""#), str("x\0AAAA"));
}

#[test]
fn json_utf8_is_checked_with_the_offset() {
    for (input, at) in [
        (&b"\"\xff\""[..], 1),
        (b"[\"\xc3\xa9\", \"\xe2\x82\"]", 8),
        (b"\"\xed\xa0\x80\"", 1),
    ] {
        assert_eq!(JsonReader::new(input).err(), Some(at));
    }
}

#[test]
fn msgpack_integers_of_every_width() {
    for (bytes, value) in [
        (&[0x00][..], 0),
        (&[0x7f], 127),
        (&[0xcc, 0xff], 255),
        (&[0xcd, 0xff, 0xff], 65_535),
        (&[0xce, 0xff, 0xff, 0xff, 0xff], 4_294_967_295),
        (&[0xcf, 0, 0, 0, 0, 0, 0, 0, 5], 5),
        (&[0xff], -1),
        (&[0xe0], -32),
        (&[0xd0, 0x80], -128),
        (&[0xd1, 0x80, 0], -32_768),
        (&[0xd2, 0x80, 0, 0, 0], -2_147_483_648),
        (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0], i64::MIN),
        (&[0xd0, 0x05], 5),
        (&[0xd3, 0, 0, 0, 0, 0, 0, 0, 5], 5),
    ] {
        assert_eq!(msgpack(bytes), Ok(Scalar::Int(value)), "{bytes:x?}");
    }
    assert_eq!(
        msgpack(&[0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        Ok(Scalar::UInt(1 << 63))
    );
}

#[test]
fn msgpack_scalars() {
    assert_eq!(msgpack(&[0xc0]), Ok(Scalar::Null));
    assert_eq!(msgpack(&[0xc3]), Ok(Scalar::Bool(true)));
    assert_eq!(msgpack(&[0xca, 0x3f, 0xc0, 0, 0]), Ok(Scalar::Float(1.5)));
    assert_eq!(
        msgpack(&[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]),
        Ok(Scalar::Float(1.5))
    );
    for prefix in [&[0xa2][..], &[0xd9, 2], &[0xda, 0, 2], &[0xdb, 0, 0, 0, 2]] {
        assert_eq!(msgpack(&[prefix, "é".as_bytes()].concat()), str("é"));
        assert_eq!(msgpack(&[prefix, &[0xc3, 0x28]].concat()), Err(Malformed::Utf8));
    }
    for prefix in [&[0xc4, 2][..], &[0xc5, 0, 2], &[0xc6, 0, 0, 0, 2]] {
        assert_eq!(
            msgpack(&[prefix, &[0xff, 0]].concat()),
            Ok(Scalar::Bytes(vec![0xff, 0]))
        );
    }
    assert!(matches!(msgpack(&[0xc1]), Err(Malformed::Syntax(_))));
}

#[test]
fn msgpack_extensions() {
    assert_eq!(msgpack(&[0xd4, 0, 0]), Ok(Scalar::Null));
    assert_eq!(msgpack(&[0xd4, 5, 9]), Ok(Scalar::Bytes(vec![9])));
    assert_eq!(msgpack(&[0xd5, 0, 1, 2]), Ok(Scalar::Bytes(vec![1, 2])));
    assert_eq!(msgpack(&[0xc7, 3, 7, 1, 2, 3]), Ok(Scalar::Bytes(vec![1, 2, 3])));
    assert_eq!(msgpack(&[0xc8, 0, 1, 7, 1]), Ok(Scalar::Bytes(vec![1])));
    assert_eq!(msgpack(&[0xc9, 0, 0, 0, 1, 7, 1]), Ok(Scalar::Bytes(vec![1])));
    assert_eq!(
        msgpack(&[[0xd8, 7].as_slice(), &[4; 16]].concat()),
        Ok(Scalar::Bytes(vec![4; 16]))
    );
    // Timestamps: 32, 64 and 96 bits; of another length they are nothing known.
    assert_eq!(msgpack(&[0xd6, 0xff, 0, 0, 1, 0]), Ok(Scalar::Int(256)));
    let half_a_second = (500_000_000u64 << 34 | 256).to_be_bytes();
    assert_eq!(
        msgpack(&[[0xd7, 0xff].as_slice(), &half_a_second].concat()),
        Ok(Scalar::Float(256.5))
    );
    let before_1970 = [[0xc7, 12, 0xff].as_slice(), &[0; 4], &(-2i64).to_be_bytes()].concat();
    assert_eq!(msgpack(&before_1970), Ok(Scalar::Int(-2)));
    assert_eq!(msgpack(&[0xd4, 0xff, 9]), Ok(Scalar::Bytes(vec![9])));
}

#[test]
fn cbor_scalars() {
    for (bytes, value) in [
        (&[0x17][..], Scalar::Int(23)),
        (&[0x18, 0x05], Scalar::Int(5)),
        (
            &[0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Scalar::Int(i64::MAX),
        ),
        (&[0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0], Scalar::UInt(1 << 63)),
        (&[0x20], Scalar::Int(-1)),
        (
            &[0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Scalar::Int(i64::MIN),
        ),
        (
            &[0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0],
            Scalar::Float(-9_223_372_036_854_775_809.0),
        ),
        (&[0xf4], Scalar::Bool(false)),
        (&[0xf5], Scalar::Bool(true)),
        (&[0xf6], Scalar::Null),
        (&[0xf7], Scalar::Null),
        (&[0xe0], Scalar::Null),
        (&[0xf8, 0x20], Scalar::Null),
        (&[0xf9, 0x3e, 0x00], Scalar::Float(1.5)),
        (&[0xf9, 0x00, 0x01], Scalar::Float(5.960_464_477_539_063e-8)),
        (&[0xf9, 0x7b, 0xff], Scalar::Float(65_504.0)),
        (&[0xf9, 0xfc, 0x00], Scalar::Float(f64::NEG_INFINITY)),
        (&[0xfa, 0x3f, 0xc0, 0, 0], Scalar::Float(1.5)),
        (&[0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], Scalar::Float(1.5)),
        (&[0x42, 1, 2], Scalar::Bytes(vec![1, 2])),
        (&[0x62, b'h', b'i'], Scalar::Str("hi".to_owned())),
        // Tags, also one of another: a self-described epoch time.
        (&[0xd9, 0xd9, 0xf7, 0xc1, 0x05], Scalar::Int(5)),
    ] {
        assert_eq!(cbor(bytes), Ok(value), "{bytes:x?}");
    }
    assert!(matches!(cbor(&[0xf9, 0x7e, 0x00]), Ok(Scalar::Float(value)) if value.is_nan()));
    assert_eq!(cbor(&[0x61, 0xff]), Err(Malformed::Utf8));
}

#[test]
fn cbor_strings_in_chunks_are_joined() {
    assert_eq!(
        cbor(&[0x7f, 0x61, b'a', 0x60, 0x62, b'b', b'c', 0xff]),
        str("abc")
    );
    assert_eq!(
        cbor(&[0x5f, 0x41, 1, 0x42, 2, 3, 0xff]),
        Ok(Scalar::Bytes(vec![1, 2, 3]))
    );
    assert_eq!(cbor(&[0x7f, 0xff]), str(""));
    // Each chunk is text of its own: a character may not be cut.
    assert_eq!(cbor(&[0x7f, 0x61, 0xc3, 0x61, 0xa9, 0xff]), Err(Malformed::Utf8));
}

#[test]
fn cbor_that_breaks_the_grammar_is_refused() {
    for bytes in [
        &[0x1c][..], // reserved lengths
        &[0x3d],
        &[0x5e],
        &[0x9c],
        &[0xfc],       // reserved simple value
        &[0xf8, 0x14], // false, in two bytes
        &[0x1f],       // a number of indefinite length
        &[0xdf, 0x00], // a tag of indefinite length
        &[0xff],       // a break that ends nothing
        &[0x82, 0x01, 0xff],
        &[0xbf, 0x01, 0xff],       // a break in the place of a value
        &[0x7f, 0x41, 0x00, 0xff], // a chunk of another type
        &[0x7f, 0x7f, 0xff, 0xff], // a chunk of indefinite length
    ] {
        let result = skip(CborReader::new(bytes));
        assert!(
            matches!(result, Err(Malformed::Syntax(_))),
            "{bytes:x?}: {result:?}"
        );
    }
}

#[test]
fn containers_are_counted_and_left() {
    fn counts<'a, R: Reader<'a>>(mut reader: R) -> Vec<usize> {
        let mut counts = Vec::new();
        while reader.finish().is_err() {
            counts.push(match reader.pass() {
                Ok(Passed::List(scope)) => reader.skip_list(scope, 9).unwrap(),
                Ok(Passed::Map(scope)) => reader.skip_map(scope, Keys::Text, 9).unwrap(),
                _ => panic!("not a container"),
            });
        }
        counts
    }
    let json = br#" [1,[2,"]"],{"}":3}] {"a":[],"b":{}} [ ] { } "#;
    assert_eq!(counts(JsonReader::new(json).unwrap()), [3, 2, 0, 0]);
    let msgpack = b"\x93\x01\x92\x02\xa1]\x81\xa1}\x03\x82\xa1a\x90\xa1b\x80\xdc\x00\x00\xde\x00\x00";
    assert_eq!(counts(MsgPackReader::new(msgpack)), [3, 2, 0, 0]);
    let cbor = b"\x83\x01\x9f\x02\x61]\xff\xbf\x61}\x03\xff\xa2\x61a\x80\x61b\xa0\x9f\xff\xbf\xff";
    assert_eq!(counts(CborReader::new(cbor)), [3, 2, 0, 0]);
}

#[test]
fn keys_of_any_type_are_skipped_with_what_is_in_them() {
    assert_eq!(
        skip(MsgPackReader::new(&[0x82, 1, 2, 0x91, 5, 0x81, 6, 7])),
        Ok(())
    );
    assert_eq!(skip(CborReader::new(&[0xa2, 1, 2, 0x81, 5, 0xa1, 6, 7])), Ok(()));
    assert_eq!(
        skip(CborReader::new(&[0xa1, 0x81, 0x81, 5])),
        Err(Malformed::Truncated)
    );
}

#[test]
fn a_key_has_no_lists_and_dictionaries_as_keys() {
    // {[{1: 2}]: 3}, {[{[]: 2}]: 3}, {{{}: 1}: 2}
    let keys = [
        (&[0x81, 0x91, 0x81, 1, 2, 3], &[0xa1, 0x81, 0xa1, 1, 2, 3], Ok(())),
        (
            &[0x81, 0x91, 0x81, 0x90, 2, 3],
            &[0xa1, 0x81, 0xa1, 0x80, 2, 3],
            Err(Malformed::KeyInKey),
        ),
        (
            &[0x81, 0x81, 0x80, 1, 2, 3],
            &[0xa1, 0xa1, 0xa0, 1, 2, 3],
            Err(Malformed::KeyInKey),
        ),
    ];
    for (msgpack, cbor, expected) in keys {
        assert_eq!(skip(MsgPackReader::new(msgpack)), expected, "{msgpack:x?}");
        assert_eq!(skip(CborReader::new(cbor)), expected, "{cbor:x?}");
    }
    // As text the innermost would be quoted 30 times over.
    let nested = [[0x81; 30].as_slice(), &[0; 31]].concat();
    assert_eq!(skip(MsgPackReader::new(&nested)), Err(Malformed::KeyInKey));
}

#[test]
fn input_that_ends_too_early_is_an_error_wherever_it_ends() {
    fn check<'a, R: Reader<'a>>(input: &'a [u8], reader: impl Fn(&'a [u8]) -> R) {
        assert_eq!(skip(reader(input)), Ok(()), "{input:x?}");
        for end in 0..input.len() {
            let result = skip(reader(&input[..end]));
            assert_eq!(result, Err(Malformed::Truncated), "{end} of {input:x?}");
        }
    }
    let json = br#"[null,true,false,"a\n\u00e9\ud83d\ude00",-1.5e+7,{"k\t":[0],"l":{}},[]]"#;
    check(json, |input| JsonReader::new(input).unwrap());
    let msgpack = b"\x98\xc0\xd9\x01a\xda\x00\x01a\xc4\x01b\xcb\0\0\0\0\0\0\0\0\xd3\0\0\0\0\0\0\0\0\xc7\x02\x05ab\x81\xa1k\x91\xcc\x01";
    check(msgpack, MsgPackReader::new);
    let cbor = b"\x87\xf6\x61a\x7f\x61b\xff\x1b\0\0\0\0\0\0\0\0\xfb\0\0\0\0\0\0\0\0\xc1\x18\x20\xbf\x61k\x9f\x01\xff\xff";
    check(cbor, CborReader::new);
}

#[test]
fn a_length_beyond_the_input_is_refused_before_anything_is_reserved() {
    for bytes in [
        &[0xdb, 0xff, 0xff, 0xff, 0xff][..],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(skip(MsgPackReader::new(bytes)), Err(Malformed::Truncated));
    }
    for major in [0x5b, 0x7b, 0x9b, 0xbb] {
        let bytes = [[major].as_slice(), &[0xff; 8]].concat();
        let result = skip(CborReader::new(&bytes));
        assert_eq!(result, Err(Malformed::Truncated), "{major:#x}");
    }
}
