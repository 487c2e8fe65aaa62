//! Violations of the protocol, each of which costs the session.

use bytestring::ByteString;
use crosspoint_core::ids::{PublicationId, RequestId};
use crosspoint_core::message::{Authenticate, Error, Hello, Message, Published, RequestKind, Yield};
use crosspoint_core::options::{CallOptions, YieldOptions};
use crosspoint_core::value::Dict;

use super::{Act, Context, pubsub, rpc};
use crate::client::Link;
use crate::plan::REALMS;

pub(super) fn make(link: &mut Link, context: &mut Context<'_>) -> Act {
    let message = match context.rng.u32(..9) {
        0 => return Act::Garbage,
        1 => hello(),
        2 => Message::Authenticate(Authenticate {
            signature: ByteString::new(),
            extra: Dict::new(),
        }),
        3 => Message::Published(Published {
            request: RequestId(1),
            publication: PublicationId(1),
        }),
        4 => never_issued(link, context),
        5 => Message::Error(Error {
            kind: RequestKind::Call,
            request: RequestId(1),
            details: Dict::new(),
            error: ByteString::from_static("com.example.failed"),
            payload: context.payload(),
        }),
        6 => progressive(link, context),
        7 => match repeated(link, context) {
            Some(message) => message,
            None => return Act::Nothing,
        },
        _ => gap(link, context),
    };
    Act::send(message)
}

fn hello() -> Message {
    Message::Hello(Hello {
        realm: ByteString::from_static(REALMS[0]),
        details: Dict::new(),
    })
}

/// An answer to an invocation that is still to come; if it comes before this arrives, it is an answer.
fn never_issued(link: &Link, context: &mut Context<'_>) -> Message {
    Message::Yield(Yield {
        request: RequestId(link.knows.last_invocation + context.rng.u64(1..4)),
        options: YieldOptions::default(),
        payload: context.payload(),
    })
}

fn progressive(link: &mut Link, context: &mut Context<'_>) -> Message {
    let options = CallOptions {
        progress: true,
        ..CallOptions::default()
    };
    let procedure = context.plan.uris.valid(context.rng);
    rpc::call_with(link, context, procedure, options)
}

/// A CALL with the id of one that waits for its answer.
fn repeated(link: &mut Link, context: &mut Context<'_>) -> Option<Message> {
    let request = context.pick(&link.knows.calls)?;
    let procedure = context.plan.uris.valid(context.rng);
    let mut message = rpc::call_with(link, context, procedure, CallOptions::default());
    if let Message::Call(call) = &mut message {
        call.request = request;
    }
    Some(message)
}

/// Leaves a request id out, which only some realms mind.
fn gap(link: &mut Link, context: &mut Context<'_>) -> Message {
    link.knows.last_request += 1;
    pubsub::subscribe(link, context)
}
