//! What a peer is told that takes very short messages only.

use crosspoint_core::error_uri;
use crosspoint_core::message::{Abort, Error, Goodbye, Message, Unregistered, Unsubscribed, Welcome};
use crosspoint_core::payload::Payload;
use crosspoint_core::value::{Dict, Value};

/// `message` without what its receiver can do without; `None` where nothing is left to leave out.
pub(super) fn shorter(message: &Message) -> Option<Message> {
    Some(match message {
        Message::Welcome(Welcome { session, details }) => {
            let kept = brief(details);
            if kept == *details {
                return None;
            }
            Message::Welcome(Welcome {
                session: *session,
                details: kept,
            })
        }
        Message::Abort(abort) if !abort.details.is_empty() => Message::Abort(Abort {
            details: Dict::new(),
            reason: abort.reason.clone(),
            payload: Payload::EMPTY,
        }),
        Message::Goodbye(goodbye) if !goodbye.details.is_empty() => Message::Goodbye(Goodbye {
            details: Dict::new(),
            reason: goodbye.reason.clone(),
        }),
        // Long reasons come only from those who end the sessions of others.
        Message::Goodbye(goodbye) if &*goodbye.reason != error_uri::KILLED => Message::Goodbye(Goodbye {
            details: Dict::new(),
            reason: error_uri::KILLED.into(),
        }),
        Message::Error(error) if !error.details.is_empty() || !error.payload.is_empty() => {
            Message::Error(Error {
                details: Dict::new(),
                payload: Payload::EMPTY,
                ..error.clone()
            })
        }
        Message::Unsubscribed(Unsubscribed { request, details }) => Message::Unsubscribed(Unsubscribed {
            request: *request,
            details: Some(without_reason(details.as_ref()?)?),
        }),
        Message::Unregistered(Unregistered { request, details }) => Message::Unregistered(Unregistered {
            request: *request,
            details: Some(without_reason(details.as_ref()?)?),
        }),
        _ => return None,
    })
}

fn without_reason(details: &Dict) -> Option<Dict> {
    details.get("reason")?;
    let kept = details.0.iter().filter(|(key, _)| key != "reason");
    Some(Dict(kept.cloned().collect()))
}

/// WELCOME.Details with no more than who the session is, and roles without their features.
fn brief(details: &Dict) -> Dict {
    const KEPT: [&str; 5] = ["roles", "authid", "authrole", "authmethod", "authprovider"];
    let kept = details.0.iter().filter(|(key, _)| KEPT.contains(&&**key));
    let shorten = |value: &Value| match value {
        Value::Dict(roles) => {
            let roles = roles.0.iter();
            Value::Dict(Dict(
                roles
                    .map(|(role, _)| (role.clone(), Dict::new().into()))
                    .collect(),
            ))
        }
        other => other.clone(),
    };
    Dict(kept.map(|(key, value)| (key.clone(), shorten(value))).collect())
}
