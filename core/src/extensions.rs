//! Options and details that WAMP or its implementations define and the router passes on without a field of
//! their own. It ignores what it does not know; these it knows, and so refuses where they are wrong.

use crate::ids::is_valid_id;
use crate::value::{Dict, Value};

const ENC_ALGO: &str = "\"cryptobox\", \"mqtt\", \"xbr\" or a name that begins with x_";
const ENC_SERIALIZER: &str =
    "\"json\", \"msgpack\", \"cbor\", \"ubjson\", \"opaque\", \"flatbuffers\" or a name that begins with x_";

/// What was expected and found, if `value` is not what belongs to `key`.
#[must_use]
pub fn violation(key: &str, value: &Value) -> Option<(&'static str, &'static str)> {
    let (valid, expected) = match key {
        "enc_algo" => (is_name(value, &["cryptobox", "mqtt", "xbr"]), ENC_ALGO),
        "enc_serializer" => {
            let names = ["json", "msgpack", "cbor", "ubjson", "opaque", "flatbuffers"];
            (is_name(value, &names), ENC_SERIALIZER)
        }
        "forward_for" => (
            is_forward_for(value),
            "a list of dictionaries with session, authid and authrole",
        ),
        "x_acknowledged_delivery" => (value.as_bool().is_some(), "a bool"),
        "callee" => (is_id(value), "an integer from 1 to 2^53"),
        "transaction_hash" | "enc_key" | "rkey" | "nkey" | "ppt_scheme" | "ppt_serializer" | "ppt_cipher"
        | "ppt_keyid" | "callee_authid" | "callee_authrole" => (value.as_str().is_some(), "a string"),
        _ => return None,
    };
    (!valid).then(|| (expected, kind(value)))
}

fn is_name(value: &Value, known: &[&str]) -> bool {
    value
        .as_str()
        .is_some_and(|name| known.contains(&name) || name.starts_with("x_"))
}

fn is_id(value: &Value) -> bool {
    value.as_u64().is_some_and(is_valid_id)
}

/// The routers that a message came through.
fn is_forward_for(value: &Value) -> bool {
    let is_text = |dict: &Dict, key| dict.get(key).is_some_and(|value| value.as_str().is_some());
    value.as_list().is_some_and(|routers| {
        routers.iter().all(|router| {
            router.as_dict().is_some_and(|router| {
                router.get("session").is_some_and(is_id)
                    && is_text(router, "authid")
                    && is_text(router, "authrole")
            })
        })
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Int(_) | Value::UInt(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Str(_) => "a string",
        Value::Bytes(_) => "a byte string",
        Value::List(_) => "a list",
        Value::Dict(_) => "a dictionary",
        Value::Encoded(..) => "a value of an application",
    }
}
