//! Calls of meta procedures that change something: sessions that kill others, and testaments.

use bytes::Bytes;
use bytestring::ByteString;
use crosspoint_core::ids::{ID_MAX, SessionId};
use crosspoint_core::message::{Call, Message};
use crosspoint_core::options::CallOptions;
use crosspoint_core::payload::{Format, Payload};

use super::Context;
use crate::client::Link;

pub(crate) const KILL: &str = "wamp.session.kill";
pub(crate) const ADD_TESTAMENT: &str = "wamp.session.add_testament";

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
    Message::Call(Call {
        request: context.next_request(link),
        options: CallOptions::default(),
        procedure: ByteString::from_static(procedure),
        payload: Payload {
            format: Format::Json,
            args: Bytes::from(args),
            kwargs: Bytes::new(),
        },
    })
}
