//! Payloads as values, for the few that the router reads or writes itself.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use crosspoint_core::arguments::{Arguments, Values};
use crosspoint_core::payload::{Format, Payload};
use crosspoint_core::value::{Dict, Value};

use crate::error::Malformed;
use crate::read::{
    BjDataReader, CborReader, JsonReader, Keys, MsgPackReader, Passed, Reader, Token, TokenOf, UbJsonReader,
};
use crate::transcode::{copy_value, key_text};
use crate::write::{BjDataWriter, CborWriter, UbJsonWriter, Writer};

/// Most values of one payload; in memory each takes many times its size on the wire.
const VALUES_MAX: u32 = 65_536;

/// The serializers' implementation of [`Values`]. Writes CBOR, from which the others are made with the least work.
#[derive(Clone, Copy, Debug)]
pub struct PayloadValues;

impl Values for PayloadValues {
    fn read(&self, payload: &Payload) -> Option<Arguments> {
        let mut left = VALUES_MAX;
        let mut value = |encoded: &Bytes| match encoded.is_empty() {
            true => Ok(Value::Null),
            false => value(payload.format, encoded, &mut left),
        };
        let list = match value(&payload.args).ok()? {
            Value::Null => Vec::new(),
            Value::List(list) => list,
            _ => return None,
        };
        let dict = match value(&payload.kwargs).ok()? {
            Value::Null => Dict::new(),
            Value::Dict(dict) => dict,
            _ => return None,
        };
        Some(Arguments { list, dict })
    }

    fn item(&self, payload: &Payload, index: usize) -> Option<Bytes> {
        let args = &payload.args;
        let mut copy = BytesMut::new();
        let place = match payload.format {
            Format::Json => nth(&mut JsonReader::new(args).ok()?, index, skip),
            Format::MsgPack => nth(&mut MsgPackReader::new(args), index, skip),
            Format::Cbor => nth(&mut CborReader::new(args), index, skip),
            Format::BjData => {
                let copied = copy_nth(BjDataReader::new(args), BjDataWriter::new(&mut copy), index);
                return copied.ok()?.then(|| copy.freeze());
            }
            Format::UbJson => {
                let copied = copy_nth(UbJsonReader::new(args), UbJsonWriter::new(&mut copy), index);
                return copied.ok()?.then(|| copy.freeze());
            }
            // No payload has this form.
            Format::FlatBuffers => return None,
        };
        Some(args.slice(place.ok()??))
    }

    fn keywords(&self, payload: &Payload, index: usize) -> Option<Bytes> {
        let args = &payload.args;
        let place = match payload.format {
            Format::MsgPack => nth(&mut MsgPackReader::new(args), index, skip_keywords),
            Format::Cbor => nth(&mut CborReader::new(args), index, skip_keywords),
            // Their keys are text.
            Format::Json | Format::BjData | Format::UbJson | Format::FlatBuffers => {
                return self.item(payload, index);
            }
        };
        Some(args.slice(place.ok()??))
    }

    fn write(&self, arguments: &Arguments) -> Payload {
        let mut out = BytesMut::new();
        if !arguments.list.is_empty() || !arguments.dict.is_empty() {
            let mut writer = CborWriter::new(&mut out);
            let open = writer.begin_list();
            for item in &arguments.list {
                writer.value(item);
            }
            writer.end_list(open, arguments.list.len());
        }
        let args = out.split().freeze();
        if !arguments.dict.is_empty() {
            CborWriter::new(&mut out).dict(&arguments.dict);
        }
        let kwargs = out.freeze();
        match args.is_empty() {
            true => Payload::EMPTY,
            false => Payload {
                format: Format::Cbor,
                args,
                kwargs,
            },
        }
    }
}

fn value(format: Format, encoded: &[u8], left: &mut u32) -> Result<Value, Malformed> {
    match format {
        Format::Json => {
            let mut reader = JsonReader::new(encoded).map_err(|_| Malformed::Utf8)?;
            read(&mut reader, left)
        }
        Format::MsgPack => read(&mut MsgPackReader::new(encoded), left),
        Format::Cbor => read(&mut CborReader::new(encoded), left),
        Format::BjData => read(&mut BjDataReader::new(encoded), left),
        Format::UbJson => read(&mut UbJsonReader::new(encoded), left),
        Format::FlatBuffers => Err(Malformed::Syntax("FlatBuffers has no payloads of its own")),
    }
}

/// Reads one value. The depth was limited when the payload was decoded; fails as truncated when `left` is used up.
fn read<'a, R: Reader<'a>>(reader: &mut R, left: &mut u32) -> Result<Value, Malformed> {
    let token = reader.token()?;
    read_from(token, reader, left)
}

fn read_from<'a, R: Reader<'a>>(
    token: TokenOf<'a, R>,
    reader: &mut R,
    left: &mut u32,
) -> Result<Value, Malformed> {
    *left = left.checked_sub(1).ok_or(Malformed::Truncated)?;
    Ok(match token {
        Token::Null => Value::Null,
        Token::Bool(value) => Value::Bool(value),
        Token::Int(value) => Value::Int(value),
        Token::UInt(value) => Value::UInt(value),
        Token::Float(value) => Value::Float(value),
        Token::Str(text) => Value::Str(ByteString::from(&*text)),
        Token::Bytes(bytes) => Value::Bytes(Bytes::copy_from_slice(&bytes)),
        Token::List(mut scope) => {
            let mut list = Vec::new();
            while reader.more(&mut scope)? {
                list.push(read(reader, left)?);
            }
            Value::List(list)
        }
        Token::Map(mut scope) => {
            let mut dict = Dict::new();
            while reader.more(&mut scope)? {
                let key = key_text(reader)?;
                dict.push(&*key, read(reader, left)?);
            }
            Value::Dict(dict)
        }
    })
}

fn skip<'a, R: Reader<'a>>(reader: &mut R) -> Result<(), Malformed> {
    reader.skip(u8::MAX)
}

/// Skips a dictionary whose keys are text.
fn skip_keywords<'a, R: Reader<'a>>(reader: &mut R) -> Result<(), Malformed> {
    match reader.pass()? {
        Passed::Map(scope) => reader.skip_map(scope, Keys::Text, u8::MAX).map(drop),
        _ => Err(Malformed::Key),
    }
}

/// Where in a list its item `index` lies, of which `last` finds the end.
fn nth<'a, R: Reader<'a>>(
    reader: &mut R,
    index: usize,
    last: impl Fn(&mut R) -> Result<(), Malformed>,
) -> Result<Option<Range<usize>>, Malformed> {
    let Token::List(mut scope) = reader.token()? else {
        return Ok(None);
    };
    let mut place = 0;
    while reader.more(&mut scope)? {
        if place == index {
            let start = reader.start();
            last(reader)?;
            return Ok(Some(start..reader.position()));
        }
        skip(reader)?;
        place += 1;
    }
    Ok(None)
}

/// Writes the item `index` of a list anew: in a list that says the type of its items once they are no values by
/// themselves. Whether there is such an item.
fn copy_nth<'a, R: Reader<'a>, W: Writer>(
    mut reader: R,
    mut writer: W,
    index: usize,
) -> Result<bool, Malformed> {
    let Token::List(mut scope) = reader.token()? else {
        return Ok(false);
    };
    for _ in 0..index {
        if !reader.more(&mut scope)? {
            return Ok(false);
        }
        reader.skip(u8::MAX)?;
    }
    if !reader.more(&mut scope)? {
        return Ok(false);
    }
    copy_value(&mut reader, &mut writer).map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcode;

    fn json(args: &'static str, kwargs: &'static str) -> Payload {
        Payload {
            format: Format::Json,
            args: Bytes::from_static(args.as_bytes()),
            kwargs: Bytes::from_static(kwargs.as_bytes()),
        }
    }

    #[test]
    fn what_is_read_is_written_again() {
        let payload = json(
            r#"[1,-2,18446744073709551615,1.5,true,null,"ä","\u0000AQI=",[[]],{"a":{}}]"#,
            r#"{"key":[{}]}"#,
        );
        for format in Format::OF_PAYLOADS {
            let read = PayloadValues.read(&transcode(&payload, format)).expect("values");
            assert_eq!(read.list.len(), 10, "{format:?}");
            assert_eq!(read.list[7], Value::Bytes(Bytes::from_static(&[1, 2])));
            let written = PayloadValues.write(&read);
            assert_eq!(PayloadValues.read(&written), Some(read));
            assert_eq!(transcode(&written, Format::Json), payload);
        }
    }

    /// Also keys that are no text, and more values than the router reads.
    #[test]
    fn what_is_encoded_is_written_as_it_was() {
        let written = |format, encoded: &Bytes| {
            let dict = Dict::new().with("a", Value::Encoded(format, encoded.clone()));
            PayloadValues.write(&Arguments {
                list: vec![dict.into(), Value::Encoded(format, encoded.clone())],
                dict: Dict::new(),
            })
        };
        let args = |payload: &Payload, format| transcode(payload, format).args;
        let keys = Bytes::from_static(b"\x91\x81\x01\xc3");
        let both = written(Format::MsgPack, &keys);
        assert_eq!(
            args(&both, Format::MsgPack),
            &b"\x92\x81\xa1a\x91\x81\x01\xc3\x91\x81\x01\xc3"[..]
        );
        assert_eq!(args(&both, Format::Json), r#"[{"a":[{"1":true}]},[{"1":true}]]"#);
        let many = Bytes::from(format!("[0{}]", ",0".repeat(VALUES_MAX as usize)));
        let many = args(&written(Format::Json, &many), Format::Json);
        assert_eq!(many.len(), 2 * (2 * VALUES_MAX as usize + 3) + 9);
        for format in Format::OF_PAYLOADS {
            let payload = transcode(&json(r#"[1,1.0,"\u0000AQI=",[]]"#, ""), format);
            let both = args(&written(format, &payload.args), Format::Json);
            assert_eq!(both, r#"[{"a":[1,1.0,"\u0000AQI=",[]]},[1,1.0,"\u0000AQI=",[]]]"#);
        }
    }

    #[test]
    fn an_item_is_found_in_every_format() {
        let payload = json(r#"["com.example", [1, {"a": 2}] ,{"b":"c"}]"#, "");
        for format in Format::OF_PAYLOADS {
            let payload = transcode(&payload, format);
            let item = |index| {
                let args = PayloadValues.item(&payload, index)?;
                let alone = Payload {
                    format,
                    args,
                    kwargs: Bytes::new(),
                };
                Some(transcode(&alone, Format::Json).args)
            };
            let expected = if format == Format::Json {
                r#"[1, {"a": 2}]"#
            } else {
                r#"[1,{"a":2}]"#
            };
            assert_eq!(item(0).as_deref(), Some(&br#""com.example""#[..]));
            assert_eq!(item(1).as_deref(), Some(expected.as_bytes()));
            assert_eq!(item(2).as_deref(), Some(&br#"{"b":"c"}"#[..]));
            assert_eq!(item(3), None);
        }
        assert_eq!(PayloadValues.item(&Payload::EMPTY, 0), None);
        let typed = Payload {
            format: Format::UbJson,
            args: Bytes::from_static(b"[$SU\x00#U\x02"),
            kwargs: Bytes::new(),
        };
        assert_eq!(PayloadValues.item(&typed, 0), None, "not well-formed");
        let typed = Payload {
            args: Bytes::from_static(b"[$S#U\x02U\x02abU\x01c"),
            ..typed
        };
        assert_eq!(PayloadValues.item(&typed, 0).as_deref(), Some(&b"SU\x02ab"[..]));
        assert_eq!(PayloadValues.item(&typed, 1).as_deref(), Some(&b"Cc"[..]));
        assert_eq!(PayloadValues.item(&typed, 2), None);
    }

    #[test]
    fn keywords_have_text_as_keys() {
        let of = |format, args: &'static [u8]| {
            let payload = Payload {
                format,
                args: Bytes::from_static(args),
                kwargs: Bytes::new(),
            };
            PayloadValues.keywords(&payload, 1)
        };
        // [0, {"a": {1: 2}}], [0, {1: 2}], [0, 1]
        assert!(of(Format::MsgPack, b"\x92\x00\x81\xa1a\x81\x01\x02").is_some());
        assert_eq!(of(Format::MsgPack, b"\x92\x00\x81\x01\x02"), None);
        assert_eq!(of(Format::MsgPack, b"\x92\x00\x01"), None);
        assert!(of(Format::Cbor, b"\x82\x00\xa1\x61a\xa1\x01\x02").is_some());
        assert_eq!(of(Format::Cbor, b"\x82\x00\xa1\x01\x02"), None);
        assert!(of(Format::Json, br#"[0,{"a":1}]"#).is_some());
    }

    #[test]
    fn nothing_is_an_empty_payload() {
        assert_eq!(PayloadValues.read(&Payload::EMPTY), Some(Arguments::default()));
        assert_eq!(PayloadValues.write(&Arguments::default()), Payload::EMPTY);
        let dict = Dict::new().with("a", 1);
        let written = PayloadValues.write(&Arguments {
            list: Vec::new(),
            dict,
        });
        assert_eq!(transcode(&written, Format::Json).args, "[]");
    }

    #[test]
    fn what_is_no_list_and_what_is_too_much_is_refused() {
        assert_eq!(PayloadValues.read(&json(r#""opaque""#, "")), None);
        let many = format!("[0{}]", ",0".repeat(VALUES_MAX as usize));
        let payload = Payload {
            format: Format::Json,
            args: Bytes::from(many),
            kwargs: Bytes::new(),
        };
        assert_eq!(PayloadValues.read(&payload), None);
    }
}
