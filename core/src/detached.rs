//! Copies in memory of their own: what comes off a connection shares the memory of whatever was read with it, which
//! nothing small may keep alive beyond its turn.
//!
//! Large things are copied as well: they may be a small part of something larger, such as a batch.

use bytes::Bytes;
use bytestring::ByteString;

use crate::payload::Payload;
use crate::value::{Dict, Value};

/// The same text.
pub(crate) fn text(text: &ByteString) -> ByteString {
    ByteString::from(&**text)
}

fn bytes(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// The same arguments.
pub(crate) fn payload(payload: &Payload) -> Payload {
    Payload {
        format: payload.format,
        args: bytes(&payload.args),
        kwargs: bytes(&payload.kwargs),
    }
}

/// The same dictionary.
pub(crate) fn dict(dict: &Dict) -> Dict {
    Dict(
        dict.0
            .iter()
            .map(|(key, value)| (text(key), detached_value(value)))
            .collect(),
    )
}

fn detached_value(value: &Value) -> Value {
    match value {
        Value::Str(inner) => Value::Str(text(inner)),
        Value::Bytes(inner) => Value::Bytes(bytes(inner)),
        Value::List(list) => Value::List(list.iter().map(detached_value).collect()),
        Value::Dict(inner) => Value::Dict(dict(inner)),
        Value::Encoded(format, inner) => Value::Encoded(*format, bytes(inner)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => value.clone(),
    }
}

/// Bytes that the entries of a dictionary hold, about.
pub(crate) fn dict_cost(dict: &Dict) -> usize {
    dict.0
        .iter()
        .map(|(key, value)| key.len() + value_cost(value))
        .sum()
}

fn value_cost(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Str(text) => text.len(),
            Value::Bytes(bytes) | Value::Encoded(_, bytes) => bytes.len(),
            Value::List(list) => list.iter().map(value_cost).sum(),
            Value::Dict(dict) => dict_cost(dict),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => 0,
        }
}
