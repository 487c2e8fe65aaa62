//! Arguments and keyword arguments: vectors of bytes with CBOR inside; or, in autobahn's payload transparency, one
//! vector of which nobody but the application knows what is inside.

use bytes::{Bytes, BytesMut};
use crosspoint_core::payload::{Format, Payload};
use crosspoint_core::value::{Dict, Value};

use super::build::Fields;
use super::fields::Incoming;
use super::schema::payload::{ARGS, KEY, KWARGS, OPAQUE, SCHEME, SERIALIZER};
use super::schema::{self, Slot};
use crate::decode::describe;
use crate::error::{DecodeError, Malformed};
use crate::read::{BjDataReader, CborReader, JsonReader, Keys, MsgPackReader, Reader, Token};
use crate::transcode::transcode;
use crate::write::{CborWriter, Writer};

/// Why bytes are no arguments.
enum Wrong {
    /// Not a value of their serializer.
    Malformed(usize, Malformed),
    /// A value, but not the right one.
    Type(String),
}

/// The place of `name` in `names`; the last one stands for names that are not there.
fn number(names: &[&str], name: &str) -> u8 {
    let found = names.iter().position(|known| *known == name);
    found.unwrap_or(names.len() - 1) as u8
}

/// Adds the payload, whose fields begin at `first`, and what `rest` says about it.
pub(super) fn write<'m>(fields: Fields<'m>, first: Slot, payload: &Payload, rest: &'m Dict) -> Fields<'m> {
    let Payload { args, kwargs, .. } = transcode(payload, Format::FlatBuffers);
    let text = |key| rest.get(key).and_then(Value::as_str);
    let Some(algorithm) = text("enc_algo") else {
        return write_arguments(fields, first, args, kwargs);
    };
    let fields = fields
        .u8(first + SCHEME, number(&schema::SCHEME, algorithm), 0)
        .text(first + KEY, text("enc_key"));
    match opaque(&args) {
        Some(opaque) => {
            let serializer = text("enc_serializer").map_or(0, |name| number(&schema::SERIALIZER, name));
            fields
                .u8(first + SERIALIZER, serializer, 0)
                .bytes(first + OPAQUE, Some(opaque))
        }
        None => write_arguments(fields, first, args, kwargs),
    }
}

fn write_arguments(fields: Fields<'_>, first: Slot, args: Bytes, kwargs: Bytes) -> Fields<'_> {
    let present = |bytes: Bytes| Some(bytes).filter(|bytes| !bytes.is_empty());
    fields
        .bytes(first + ARGS, present(args))
        .bytes(first + KWARGS, present(kwargs))
}

/// What is in a byte string or text.
fn opaque(cbor: &Bytes) -> Option<Bytes> {
    let bytes = match CborReader::new(cbor).token() {
        Ok(Token::Bytes(bytes)) => bytes.into_owned(),
        Ok(Token::Str(text)) => text.into_owned().into_bytes(),
        _ => return None,
    };
    Some(bytes.into())
}

/// Reads a payload, whose fields begin at `first`, and adds what is said about it to `rest`.
pub(super) fn read(
    incoming: &Incoming<'_>,
    first: Slot,
    rest: &mut Dict,
) -> Result<Payload, Box<DecodeError>> {
    let table = &incoming.table;
    let name = |names: &[&'static str], number: u8| {
        let last = names.last().copied().unwrap_or_default();
        names.get(usize::from(number)).copied().unwrap_or(last)
    };
    let scheme = table.u8(first + SCHEME)?.unwrap_or(0);
    let serializer = table.u8(first + SERIALIZER)?.unwrap_or(0);
    let opaque = table.bytes(first + OPAQUE)?;
    if scheme != 0 {
        rest.push("enc_algo", name(&schema::SCHEME, scheme));
        if serializer != 0 {
            rest.push("enc_serializer", name(&schema::SERIALIZER, serializer));
        }
        if let Some(key) = table.text(first + KEY)? {
            rest.push("enc_key", key);
        }
    }
    match opaque {
        Some(_) if scheme == 0 => {
            Err(incoming.unexpected("payload", "no opaque payload where there is no ppt_scheme", "one"))
        }
        Some(opaque) => {
            let mut args = BytesMut::with_capacity(opaque.len() + 9);
            CborWriter::new(&mut args).bytes(&opaque);
            Ok(Payload {
                format: Format::Cbor,
                args: args.freeze(),
                kwargs: Bytes::new(),
            })
        }
        None => {
            let format = match name(&schema::SERIALIZER, serializer) {
                "" | "cbor" => Format::Cbor,
                "json" => Format::Json,
                "msgpack" => Format::MsgPack,
                "ubjson" => Format::BjData,
                other => {
                    let expected = "\"json\", \"msgpack\", \"cbor\" or \"ubjson\"";
                    return Err(incoming.unexpected("ppt_serializer", expected, other));
                }
            };
            let args = argument(incoming, format, first + ARGS, false)?;
            let kwargs = argument(incoming, format, first + KWARGS, true)?;
            if args.is_empty() && kwargs.is_empty() {
                return Ok(Payload::EMPTY);
            }
            Ok(Payload { format, args, kwargs })
        }
    }
}

/// Arguments or keyword arguments; no bytes where they are absent or empty.
fn argument(
    incoming: &Incoming<'_>,
    format: Format,
    slot: Slot,
    keywords: bool,
) -> Result<Bytes, Box<DecodeError>> {
    let bytes = incoming.table.bytes(slot)?.unwrap_or_default();
    if bytes.is_empty() {
        return Ok(bytes);
    }
    let depth = incoming.limits.depth.saturating_sub(1);
    let count = match format {
        Format::Json => match JsonReader::new(&bytes) {
            Ok(reader) => count(reader, keywords, depth),
            Err(at) => Err(Wrong::Malformed(at, Malformed::Utf8)),
        },
        Format::MsgPack => count(MsgPackReader::new(&bytes), keywords, depth),
        Format::BjData => count(BjDataReader::of_stranger(&bytes), keywords, depth),
        _ => count(CborReader::new(&bytes), keywords, depth),
    };
    match count {
        Ok(0) => Ok(Bytes::new()),
        Ok(_) => Ok(bytes),
        Err(Wrong::Malformed(at, what)) => Err(DecodeError::Malformed { format, at, what }.into()),
        Err(Wrong::Type(found)) if keywords => {
            Err(incoming.unexpected("ArgumentsKw", "a dictionary", &found))
        }
        Err(Wrong::Type(found)) => Err(incoming.unexpected("Arguments", "a list", &found)),
    }
}

/// The number of items or entries of the one value that `reader` reads.
fn count<'a, R: Reader<'a>>(mut reader: R, keywords: bool, depth: u8) -> Result<usize, Wrong> {
    let count = match reader.token() {
        Ok(Token::Null) => Ok(0),
        Ok(Token::List(scope)) if !keywords => reader.skip_list(scope, depth),
        Ok(Token::Map(scope)) if keywords => reader.skip_map(scope, Keys::Text, depth),
        Ok(other) => return Err(Wrong::Type(describe(&other))),
        Err(error) => Err(error),
    };
    let count = count.and_then(|count| reader.finish().map(|()| count));
    count.map_err(|what| Wrong::Malformed(reader.position(), what))
}
