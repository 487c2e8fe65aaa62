//! What clients do: drawn from the seed and from what each client knows, with a liking for trouble.

mod meta;
mod pubsub;
mod rpc;
mod session;
mod trouble;

use bytes::Bytes;
use crosspoint_core::ids::{RequestId, SessionId, SubscriptionId};
use crosspoint_core::message::Message;
use crosspoint_core::payload::{Format, Payload};
use fastrand::Rng;

use crate::client::{Link, Persona, Stage};
use crate::plan::Plan;

pub(crate) use self::meta::{ADD_TESTAMENT, GET_EVENTS, KILL, get_events_of};
pub(crate) use self::rpc::call_with;

/// What a client does next.
pub(crate) enum Act {
    Send(Box<Message>),
    /// Sends octets that are no message.
    Garbage,
    /// Its transport breaks.
    Vanish,
    Nothing,
}

impl Act {
    fn send(message: Message) -> Self {
        Self::Send(Box::new(message))
    }
}

/// What every act needs.
pub(crate) struct Context<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) rng: &'a mut Rng,
    /// The last number that a payload carried: payloads tell all publications, calls and answers apart.
    pub(crate) last_token: &'a mut u64,
    /// Session ids that were given out, live or not.
    pub(crate) sessions: &'a [SessionId],
    /// Likewise, of subscriptions.
    pub(crate) subscriptions: &'a [SubscriptionId],
}

impl Context<'_> {
    fn payload(&mut self) -> Payload {
        *self.last_token += 1;
        // Past events come with arguments that the router reads.
        let formats = if self.plan.has_histories {
            &[Format::Json][..]
        } else {
            &Format::OF_PAYLOADS
        };
        Payload {
            format: formats[self.rng.usize(..formats.len())],
            args: Bytes::from(format!("[{}]", self.last_token)),
            kwargs: Bytes::new(),
        }
    }

    /// True in one of `chances` cases.
    fn one_in(&mut self, chances: u32) -> bool {
        self.rng.u32(..chances) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        if list.is_empty() {
            None
        } else {
            Some(list[self.rng.usize(..list.len())])
        }
    }

    fn next_request(&mut self, link: &mut Link) -> RequestId {
        let is_strict = self.plan.config.realms[0].strict_request_ids;
        // Strangers' ids have gaps where they may.
        let step = if is_strict { 1 } else { self.rng.u64(1..4) };
        link.knows.last_request += step;
        RequestId(link.knows.last_request)
    }
}

/// The number that a payload carries.
pub(crate) fn token_of(payload: &Payload) -> Option<u64> {
    let text = std::str::from_utf8(&payload.args).ok()?;
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// Draws what a new client is like.
pub(crate) fn persona(rng: &mut Rng) -> Persona {
    Persona {
        call_canceling: rng.u32(..3) > 0,
        call_timeout: rng.u32(..3) == 0,
        progressive_call_results: rng.u32(..3) > 0,
        progressive_call_invocations: rng.u32(..4) > 0,
        calls_progressively: rng.u32(..4) > 0,
        call_reroute: rng.u32(..2) == 0,
        concurrency: (rng.u32(..4) == 0).then(|| rng.u64(1..4)),
        forward_timeout: rng.u32(..3) == 0,
        disclose_caller: rng.u32(..4) == 0,
        laziness: [0, 30, 90][rng.usize(..3)],
    }
}

/// Draws what the client of `link` does next, and notes in what it knows that it did.
pub(crate) fn act(link: &mut Link, context: &mut Context<'_>) -> Act {
    match link.knows.stage {
        Stage::Fresh | Stage::Asked => session::open(link, context),
        Stage::Joined => in_session(link, context),
        Stage::Leaving => session::leaving(link, context),
        Stage::Closed => Act::Vanish,
    }
}

fn in_session(link: &mut Link, context: &mut Context<'_>) -> Act {
    if context.rng.u32(..1000) < context.plan.turnover {
        return match context.rng.u32(..3) {
            0 => session::leave(link, context),
            1 => Act::Vanish,
            _ => trouble::make(link, context),
        };
    }
    if context.one_in(60) {
        return Act::send(meta::call(link, context));
    }
    if context.plan.has_histories && context.one_in(25) {
        return Act::send(meta::get_events(link, context));
    }
    let choice = match context.rng.u32(..100) {
        0..12 => Some(pubsub::subscribe(link, context)),
        12..19 => pubsub::unsubscribe(link, context),
        19..38 => Some(pubsub::publish(link, context)),
        38..49 => Some(rpc::register(link, context)),
        49..55 => rpc::unregister(link, context),
        55..67 => Some(rpc::call(link, context)),
        67..72 => Some(rpc::next_part(link, context).unwrap_or_else(|| rpc::call(link, context))),
        72..77 => rpc::cancel(link, context),
        _ => rpc::answer(link, context),
    };
    choice.map_or(Act::Nothing, Act::send)
}
