//! What a peer is told that takes very short messages only.

use crosspoint_core::error_uri;
use crosspoint_core::message::{Abort, Error, Goodbye, Message, Unregistered, Unsubscribed};
use crosspoint_core::payload::Payload;
use crosspoint_core::value::Dict;

/// `message` without what its receiver can do without; `None` where nothing is left to leave out.
pub(super) fn shorter(message: &Message) -> Option<Message> {
    Some(match message {
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
