//! Copies of publications that are kept: what comes off a connection shares the memory of whatever was read with
//! it, which a small event must not keep alive for days.

use bytes::Bytes;
use bytestring::ByteString;

use super::filter;
use crate::options::Receivers;
use crate::payload::Payload;
use crate::peer::Publication;
use crate::value::{Dict, Value};

/// The same publication in memory of its own, its lists of receivers [sorted](filter::sort).
pub(super) fn detached(publication: &Publication) -> Publication {
    Publication {
        realm: publication.realm,
        topic: text(&publication.topic),
        publication: publication.publication,
        publisher: publication.publisher.clone(),
        trustlevel: publication.trustlevel,
        receivers: publication
            .receivers
            .as_deref()
            .map(|lists| Box::new(receivers(lists))),
        retain: publication.retain,
        rest: dict(&publication.rest),
        payload: payload(&publication.payload),
    }
}

/// Bytes that a publication holds, about.
pub(super) fn cost(publication: &Publication) -> usize {
    /// The publication itself, its entries in the indexes, its strings' and lists' own headers.
    const FIXED: usize = 384;
    let lists = publication.receivers.as_deref().map_or(0, |lists| {
        let ids = |list: &Option<Vec<_>>| list.as_ref().map_or(0, |list| 8 * list.len());
        let names = |list: &Option<Vec<ByteString>>| {
            list.iter()
                .flatten()
                .map(|name| size_of::<ByteString>() + name.len())
                .sum::<usize>()
        };
        size_of::<Receivers>()
            + ids(&lists.eligible)
            + ids(&lists.exclude)
            + names(&lists.eligible_authid)
            + names(&lists.eligible_authrole)
            + names(&lists.exclude_authid)
            + names(&lists.exclude_authrole)
    });
    let rest: usize = publication
        .rest
        .0
        .iter()
        .map(|(key, value)| key.len() + value_cost(value))
        .sum();
    FIXED + 2 * publication.topic.len() + publication.payload.len() + lists + rest
}

fn value_cost(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Str(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(list) => list.iter().map(value_cost).sum(),
            Value::Dict(dict) => dict
                .0
                .iter()
                .map(|(key, value)| key.len() + value_cost(value))
                .sum(),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => 0,
        }
}

fn text(text: &ByteString) -> ByteString {
    ByteString::from(&**text)
}

fn bytes(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn payload(payload: &Payload) -> Payload {
    Payload {
        format: payload.format,
        args: bytes(&payload.args),
        kwargs: bytes(&payload.kwargs),
    }
}

fn receivers(lists: &Receivers) -> Receivers {
    let names = |list: &Option<Vec<ByteString>>| list.as_ref().map(|list| list.iter().map(text).collect());
    let mut copy = Receivers {
        eligible: lists.eligible.clone(),
        eligible_authid: names(&lists.eligible_authid),
        eligible_authrole: names(&lists.eligible_authrole),
        exclude: lists.exclude.clone(),
        exclude_authid: names(&lists.exclude_authid),
        exclude_authrole: names(&lists.exclude_authrole),
    };
    filter::sort(&mut copy);
    copy
}

fn dict(dict: &Dict) -> Dict {
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
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => value.clone(),
    }
}
