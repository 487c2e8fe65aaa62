//! HELLO, GOODBYE, ABORT.

use bytestring::ByteString;
use crosspoint_core::error_uri;
use crosspoint_core::message::{Abort, Goodbye, Hello, Message};
use crosspoint_core::payload::Payload;
use crosspoint_core::value::Dict;

use super::{Act, Context, pubsub, rpc};
use crate::client::{Link, Persona, Stage};
use crate::plan::REALMS;

/// A client without a session.
pub(super) fn open(link: &mut Link, context: &mut Context<'_>) -> Act {
    if link.knows.stage == Stage::Asked {
        return before_welcome(link, context);
    }
    if context.one_in(60) {
        return Act::Vanish;
    }
    if context.one_in(60) {
        return Act::send(goodbye(error_uri::GOODBYE_AND_OUT));
    }
    let realm = match context.rng.u32(..40) {
        0 => "no.such.realm",
        1 => "not a realm",
        2..10 => REALMS[1],
        _ => REALMS[0],
    };
    let details = if context.one_in(60) {
        Dict::new()
    } else {
        Dict::new().with("roles", roles(link.persona))
    };
    link.knows.stage = Stage::Asked;
    Act::send(Message::Hello(Hello {
        realm: ByteString::from_static(realm),
        details,
    }))
}

/// Some clients do not wait for WELCOME before they go on.
fn before_welcome(link: &mut Link, context: &mut Context<'_>) -> Act {
    match context.rng.u32(..30) {
        0 => Act::send(pubsub::subscribe(link, context)),
        1 => Act::send(rpc::register(link, context)),
        2 => Act::send(abort()),
        _ => Act::Nothing,
    }
}

fn roles(persona: Persona) -> Dict {
    let features = Dict::new()
        .with("call_canceling", persona.call_canceling)
        .with("call_timeout", persona.call_timeout)
        .with("call_reroute", persona.call_reroute)
        .with(
            "progressive_call_invocations",
            persona.progressive_call_invocations,
        )
        .with("progressive_call_results", persona.progressive_call_results);
    let caller = Dict::new().with("progressive_call_invocations", persona.calls_progressively);
    Dict::new()
        .with("publisher", Dict::new())
        .with("subscriber", Dict::new())
        .with("caller", Dict::new().with("features", caller))
        .with("callee", Dict::new().with("features", features))
}

/// A client that has had enough.
pub(super) fn leave(link: &mut Link, context: &mut Context<'_>) -> Act {
    if context.one_in(3) {
        link.knows.start_over();
        return Act::send(abort());
    }
    link.knows.stage = Stage::Leaving;
    let reason = if context.one_in(20) {
        "no URI #"
    } else {
        "wamp.close.normal"
    };
    Act::send(goodbye(reason))
}

/// A client that has said GOODBYE, or is to say it.
pub(super) fn leaving(link: &mut Link, context: &mut Context<'_>) -> Act {
    if link.knows.goodbye_due && context.one_in(2) {
        link.knows.goodbye_due = false;
        return Act::send(goodbye(error_uri::GOODBYE_AND_OUT));
    }
    match context.rng.u32(..20) {
        0 => Act::Vanish,
        // Between the router's GOODBYE and ours nothing counts; after ours a new session may begin.
        1 => Act::send(pubsub::subscribe(link, context)),
        _ => Act::Nothing,
    }
}

pub(super) fn goodbye(reason: &'static str) -> Message {
    Message::Goodbye(Goodbye {
        details: Dict::new(),
        reason: ByteString::from_static(reason),
    })
}

fn abort() -> Message {
    Message::Abort(Abort {
        details: Dict::new(),
        reason: ByteString::from_static("com.example.enough"),
        payload: Payload::EMPTY,
    })
}
