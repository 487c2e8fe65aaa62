//! From one serializer to another, without a tree of values in between.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use crosspoint_core::payload::{Format, Payload};

use crate::error::Malformed;
use crate::read::{
    BjDataReader, CborReader, JsonReader, MsgPackReader, Reader, Token, TokenOf, UbJsonReader,
};
use crate::text::text_of_binary;
use crate::write::{BjDataWriter, CborWriter, JsonWriter, MsgPackWriter, UbJsonWriter, Writer};

/// The same payload in the form that payloads have in `to`, which for FlatBuffers is CBOR; a payload that has it already shares its bytes with the result.
///
/// Integers stay integers and floats floats, and what one of the serializers cannot say becomes the nearest
/// thing that it can:
///
/// | from | to | |
/// |---|---|---|
/// | byte string | JSON | `"\u0000"` and base64, also as a key |
/// | `"\u0000"` and base64 in JSON | any other | byte string, but text as a key |
/// | NaN, infinity | JSON, UBJSON | null |
/// | key that is not text | JSON, UBJSON, BJData | the text of its JSON: 1 becomes `"1"` |
/// | integer above the signed ones of 64 bits | UBJSON | high-precision number |
/// | high-precision number that is not such an integer | any | float |
/// | integer beyond 64 bits | any | float |
/// | undefined, MessagePack ext type 0 of one byte | any | null |
/// | MessagePack timestamp | any | seconds since 1970, a float only where there is a fraction |
/// | other MessagePack extension | any | byte string, without the type |
/// | CBOR tag | any | the value inside |
#[must_use]
pub fn transcode(payload: &Payload, to: Format) -> Payload {
    let to = to.of_payload();
    if payload.format == to || payload.is_empty() {
        return payload.clone();
    }
    let mut out = BytesMut::with_capacity(payload.len() + payload.len() / 4);
    let mut translated = |value: &Bytes| {
        if value.is_empty() {
            return Bytes::new();
        }
        match to {
            Format::Json => copy_encoded(payload.format, value, &mut JsonWriter::new(&mut out)),
            Format::MsgPack => copy_encoded(payload.format, value, &mut MsgPackWriter::new(&mut out)),
            Format::Cbor | Format::FlatBuffers => {
                copy_encoded(payload.format, value, &mut CborWriter::new(&mut out));
            }
            Format::BjData => copy_encoded(payload.format, value, &mut BjDataWriter::new(&mut out)),
            Format::UbJson => copy_encoded(payload.format, value, &mut UbJsonWriter::new(&mut out)),
        }
        out.split().freeze()
    };
    Payload {
        format: to,
        args: translated(&payload.args),
        kwargs: translated(&payload.kwargs),
    }
}

/// Writes the value that `encoded` is in `format`.
///
/// A payload is well-formed by its invariants. One that is not, which only a fault of this router could bring
/// about, is written as null: what surrounds it stays readable.
pub(crate) fn copy_encoded<W: Writer>(format: Format, encoded: &[u8], writer: &mut W) {
    if format == W::FORMAT {
        return writer.raw(encoded);
    }
    let start = writer.mark();
    let copied = match format {
        Format::Json => JsonReader::new(encoded)
            .map_err(|_| Malformed::Utf8)
            .and_then(|mut reader| copy_value(&mut reader, writer)),
        Format::MsgPack => copy_value(&mut MsgPackReader::new(encoded), writer),
        Format::Cbor => copy_value(&mut CborReader::new(encoded), writer),
        Format::BjData => copy_value(&mut BjDataReader::new(encoded), writer),
        Format::UbJson => copy_value(&mut UbJsonReader::new(encoded), writer),
        Format::FlatBuffers => Err(Malformed::Syntax("FlatBuffers has no payloads of its own")),
    };
    if copied.is_err() {
        debug_assert!(false, "a payload in {} is not well-formed", format.name());
        writer.rewind(start);
        writer.null();
    }
}

/// Copies one value. The depth was limited when the payload was decoded.
pub(crate) fn copy_value<'a, R: Reader<'a>, W: Writer>(
    reader: &mut R,
    writer: &mut W,
) -> Result<(), Malformed> {
    let token = reader.token()?;
    copy_from(token, reader, writer)
}

/// Copies the value that begins with `token`.
#[inline(always)]
fn copy_from<'a, R: Reader<'a>, W: Writer>(
    token: TokenOf<'a, R>,
    reader: &mut R,
    writer: &mut W,
) -> Result<(), Malformed> {
    match token {
        Token::Null => writer.null(),
        Token::Bool(value) => writer.bool(value),
        Token::Int(value) => writer.int(value),
        Token::UInt(value) => writer.uint(value),
        Token::Float(value) => writer.float(value),
        Token::Str(text) => writer.str(&text),
        Token::Bytes(bytes) => writer.bytes(&bytes),
        Token::List(mut scope) => {
            let open = writer.begin_list();
            let mut count = 0;
            while reader.more(&mut scope)? {
                copy_value(reader, writer)?;
                count += 1;
            }
            writer.end_list(open, count);
        }
        Token::Map(mut scope) => {
            let open = writer.begin_map();
            let mut count = 0;
            while reader.more(&mut scope)? {
                copy_key(reader, writer)?;
                copy_value(reader, writer)?;
                count += 1;
            }
            writer.end_map(open, count);
        }
    }
    Ok(())
}

fn copy_key<'a, R: Reader<'a>, W: Writer>(reader: &mut R, writer: &mut W) -> Result<(), Malformed> {
    match reader.key()? {
        Token::Str(text) => writer.key(&text),
        token if !W::TEXT_KEYS => copy_from(token, reader, writer)?,
        token => writer.key(&text_of_key(token, reader)?),
    }
    Ok(())
}

/// Reads a key as the text that it becomes in JSON.
pub(crate) fn key_text<'a, R: Reader<'a>>(reader: &mut R) -> Result<Cow<'a, str>, Malformed> {
    let token = reader.key()?;
    text_of_key(token, reader)
}

fn text_of_key<'a, R: Reader<'a>>(token: TokenOf<'a, R>, reader: &mut R) -> Result<Cow<'a, str>, Malformed> {
    match token {
        Token::Str(text) => Ok(text),
        Token::Bytes(bytes) => Ok(text_of_binary(&bytes).into()),
        token => {
            let mut key = BytesMut::new();
            copy_from(token, reader, &mut JsonWriter::new(&mut key))?;
            Ok(String::from_utf8_lossy(&key).into_owned().into())
        }
    }
}

#[cfg(test)]
mod tests;
