//! Calls of meta procedures: sessions that kill others, testaments, and past events.

use bytes::Bytes;
use bytestring::ByteString;
use crosspoint_core::ids::{ID_MAX, SessionId, SubscriptionId};
use crosspoint_core::message::{Call, Message};
use crosspoint_core::options::CallOptions;
use crosspoint_core::payload::{Format, Payload};

use super::Context;
use crate::client::Link;

pub(crate) const KILL: &str = "wamp.session.kill";
pub(crate) const ADD_TESTAMENT: &str = "wamp.session.add_testament";
pub(crate) const GET_EVENTS: &str = "wamp.subscription.get_events";

/// Mostly testaments, and now and then the end of some session, which may be gone, be another realm's, be the
/// caller's own or never have been.
pub(super) fn call(link: &mut Link, context: &mut Context<'_>) -> Message {
    let (procedure, args) = if context.one_in(4) {
        let known = context
            .pick(context.sessions)
            .filter(|_| context.rng.u32(..8) > 0);
        let victim = known.unwrap_or_else(|| SessionId(context.rng.u64(1..=ID_MAX)));
        (KILL, format!("[{victim}]"))
    } else {
        *context.last_token += 1;
        let topic = context.plan.uris.valid(context.rng);
        (ADD_TESTAMENT, format!("[\"{topic}\",[{}]]", context.last_token))
    };
    call_of(link, context, procedure, (args, String::new()))
}

/// Asks for past events: of what the client or another one is subscribed to, or of nothing that there is.
pub(super) fn get_events(link: &mut Link, context: &mut Context<'_>) -> Message {
    let known = match context.rng.u32(..8) {
        0 => None,
        1..3 => context.pick(context.subscriptions),
        _ => context.pick(&link.knows.subscriptions),
    };
    let id = known.unwrap_or_else(|| SubscriptionId(context.rng.u64(1..64)));
    get_events_of(link, context, id)
}

/// Likewise, of subscription `id`.
pub(crate) fn get_events_of(link: &mut Link, context: &mut Context<'_>, id: SubscriptionId) -> Message {
    let mut wanted = Vec::new();
    if context.one_in(4) {
        wanted.push("\"reverse\":true".to_owned());
    }
    if context.one_in(4) {
        wanted.push(format!("\"limit\":{}", context.rng.u32(1..6)));
    }
    if context.one_in(6) {
        wanted.push(format!("\"topic\":\"{}\"", context.plan.uris.valid(context.rng)));
    }
    let kwargs = if wanted.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", wanted.join(","))
    };
    call_of(link, context, GET_EVENTS, (format!("[{id}]"), kwargs))
}

fn call_of(
    link: &mut Link,
    context: &mut Context<'_>,
    procedure: &'static str,
    (args, kwargs): (String, String),
) -> Message {
    Message::Call(Call {
        request: context.next_request(link),
        options: CallOptions::default(),
        procedure: ByteString::from_static(procedure),
        payload: Payload {
            format: Format::Json,
            args: Bytes::from(args),
            kwargs: Bytes::from(kwargs),
        },
    })
}
