//! The arguments of a meta procedure, by place or by name.

use bytestring::ByteString;

use super::invalid_argument;
use crate::ids::{RealmId, RequestId, SessionRef, is_valid_id};
use crate::options::MatchPolicy;
use crate::payload::Payload;
use crate::router::{Refusal, invalid_uri};
use crate::uri::{UriCheck, is_valid};
use crate::value::{Dict, Value};

/// A call of a meta procedure.
#[derive(Debug)]
pub(crate) struct MetaCall {
    pub(crate) caller: SessionRef,
    /// The caller's, and so the only one that the call may reach.
    pub(crate) realm: RealmId,
    pub(crate) request: RequestId,
    pub(super) list: Vec<Value>,
    pub(super) dict: Dict,
    /// The same arguments as they came.
    pub(crate) payload: Payload,
}

impl MetaCall {
    /// The argument at `place`, or else that of this name; null is absent.
    pub(crate) fn argument(&self, place: usize, name: &str) -> Option<&Value> {
        let found = self.list.get(place).or_else(|| self.dict.get(name))?;
        (*found != Value::Null).then_some(found)
    }

    /// The argument of this name, which is never positional; null is absent.
    pub(crate) fn named(&self, name: &str) -> Option<&Value> {
        self.dict.get(name).filter(|value| **value != Value::Null)
    }

    /// An id, which has to be there.
    pub(crate) fn id(&self, place: usize, name: &str) -> Result<u64, Refusal> {
        let id = self.argument(place, name).and_then(Value::as_u64);
        id.filter(|id| is_valid_id(*id))
            .ok_or_else(|| expected(name, "an id: an integer from 1 to 2^53"))
    }

    /// Text, which has to be there.
    pub(crate) fn text(&self, place: usize, name: &str) -> Result<&ByteString, Refusal> {
        match self.argument(place, name) {
            Some(Value::Str(text)) => Ok(text),
            _ => Err(expected(name, "text")),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, place: usize, name: &str) -> Result<Option<Vec<ByteString>>, Refusal> {
        let Some(value) = self.argument(place, name) else {
            return Ok(None);
        };
        let text = |item: &Value| match item {
            Value::Str(text) => Some(text.clone()),
            _ => None,
        };
        let texts = value.as_list().and_then(|list| list.iter().map(text).collect());
        match texts {
            Some(texts) => Ok(Some(texts)),
            None => Err(expected(name, "a list of texts")),
        }
    }
}

/// The arguments of a look-up: a URI or pattern, and options that say which of both.
pub(super) fn options_key(call: &MetaCall, name: &str) -> Result<(MatchPolicy, ByteString), Refusal> {
    const POLICY: &str = "\"exact\", \"prefix\" or \"wildcard\"";
    let uri = call.text(0, name)?.clone();
    let policy = match call.argument(1, "options") {
        None => call.named("match"),
        Some(Value::Dict(options)) => options.get("match"),
        Some(_) => return Err(expected("options", "a dictionary")),
    };
    match policy {
        None | Some(Value::Null) => Ok((MatchPolicy::Exact, uri)),
        Some(Value::Str(policy)) => match MatchPolicy::from_name(policy) {
            Some(policy) => Ok((policy, uri)),
            None => Err(expected("match", POLICY)),
        },
        Some(_) => Err(expected("match", POLICY)),
    }
}

/// Why a subscription or registration is revoked: a URI, as clients demand.
pub(super) fn revocation_reason(call: &MetaCall) -> Result<Option<ByteString>, Refusal> {
    let reason = match call.argument(2, "reason") {
        None => return Ok(None),
        Some(Value::Str(reason)) => reason.clone(),
        Some(_) => return Err(expected("reason", "text")),
    };
    if is_valid(UriCheck::Loose, MatchPolicy::Exact, &reason) {
        Ok(Some(reason))
    } else {
        Err(invalid_uri("the reason is no valid URI"))
    }
}

/// The refusal of an argument.
pub(crate) fn expected(name: &str, what: &str) -> Refusal {
    invalid_argument(format!("{name}: expected {what}"))
}
