//! Payloads as JSON, by a library that is not ours.

use bytes::Bytes;
use crosspoint_core::arguments::{Arguments, Values};
use crosspoint_core::payload::{Format, Payload};
use crosspoint_core::value::{Dict, Value};
use serde_json::Value as Json;

/// See [`Values`].
#[derive(Debug)]
pub(crate) struct JsonValues;

impl Values for JsonValues {
    fn read(&self, payload: &Payload) -> Option<Arguments> {
        let value = |encoded: &Bytes| serde_json::from_slice::<Json>(encoded).map_or(Value::Null, from_json);
        Some(Arguments {
            list: match value(&payload.args) {
                Value::List(list) => list,
                _ => Vec::new(),
            },
            dict: match value(&payload.kwargs) {
                Value::Dict(dict) => dict,
                _ => Dict::new(),
            },
        })
    }

    fn item(&self, payload: &Payload, index: usize) -> Option<Bytes> {
        let args: Vec<Json> = serde_json::from_slice(&payload.args).ok()?;
        Some(Bytes::from(args.get(index)?.to_string()))
    }

    fn keywords(&self, payload: &Payload, index: usize) -> Option<Bytes> {
        self.item(payload, index)
    }

    fn write(&self, arguments: &Arguments) -> Payload {
        let Arguments { list, dict } = arguments;
        if list.is_empty() && dict.is_empty() {
            return Payload::EMPTY;
        }
        Payload {
            format: Format::Json,
            args: Bytes::from(Json::from_iter(list.iter().map(to_json)).to_string()),
            kwargs: if dict.is_empty() {
                Bytes::new()
            } else {
                Bytes::from(to_json(&Value::Dict(dict.clone())).to_string())
            },
        }
    }
}

fn from_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => value.into(),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (_, Some(number)) => Value::Int(number),
            _ => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => text.into(),
        Json::Array(list) => Value::List(list.into_iter().map(from_json).collect()),
        Json::Object(map) => {
            let entries = map.into_iter().map(|(key, value)| (key.into(), from_json(value)));
            Value::Dict(Dict(entries.collect()))
        }
    }
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number) => (*number).into(),
        Value::UInt(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Str(text) => text.to_string().into(),
        Value::Encoded(_, encoded) => serde_json::from_slice(encoded).unwrap_or_default(),
        Value::Bytes(bytes) => format!("{bytes:?}").into(),
        Value::List(list) => list.iter().map(to_json).collect(),
        Value::Dict(dict) => {
            let entries = dict
                .0
                .iter()
                .map(|(key, value)| (key.to_string(), to_json(value)));
            Json::Object(entries.collect())
        }
    }
}
