//! SUBSCRIBE, UNSUBSCRIBE, PUBLISH.

use bytestring::ByteString;
use crosspoint_core::ids::{ID_MAX, SessionId, SubscriptionId};
use crosspoint_core::message::{Message, Publish, Subscribe, Unsubscribe};
use crosspoint_core::options::{MatchPolicy, PublishOptions, Receivers, SubscribeOptions};
use crosspoint_core::value::Dict;

use super::Context;
use crate::client::Link;
use crate::plan::{AUTHIDS, ROLES};

pub(super) fn subscribe(link: &mut Link, context: &mut Context<'_>) -> Message {
    let (policy, topic) = context.plan.uris.key(context.rng);
    let match_policy = (policy != MatchPolicy::Exact || context.one_in(2)).then_some(policy);
    Message::Subscribe(Subscribe {
        request: context.next_request(link),
        options: SubscribeOptions {
            match_policy,
            get_retained: context.one_in(3),
            ..SubscribeOptions::default()
        },
        topic: ByteString::from_static(topic),
    })
}

pub(super) fn unsubscribe(link: &mut Link, context: &mut Context<'_>) -> Option<Message> {
    let subscription = if context.one_in(10) {
        SubscriptionId(context.rng.u64(1..64))
    } else {
        context.pick(&link.knows.subscriptions)?
    };
    // Sometimes it forgets, and tries again later.
    if !context.one_in(5) {
        link.knows.subscriptions.retain(|held| *held != subscription);
    }
    Some(Message::Unsubscribe(Unsubscribe {
        request: context.next_request(link),
        subscription,
        options: None,
    }))
}

pub(super) fn publish(link: &mut Link, context: &mut Context<'_>) -> Message {
    let topic = context.plan.uris.concrete(context.rng);
    let receivers = context.one_in(3).then(|| Box::new(receivers(context)));
    let options = PublishOptions {
        acknowledge: context.one_in(2),
        exclude_me: [None, Some(true), Some(false)][context.rng.usize(..3)],
        disclose_me: [None, None, Some(false), Some(true)][context.rng.usize(..4)],
        receivers,
        retain: context.one_in(3),
        rest: expiry(context),
    };
    Message::Publish(Publish {
        request: context.next_request(link),
        options,
        topic: ByteString::from_static(topic),
        payload: context.payload(),
    })
}

/// Seldom: how long the event is retained.
fn expiry(context: &mut Context<'_>) -> Dict {
    if !context.one_in(8) {
        return Dict::new();
    }
    match context.rng.u32(..8) {
        0 => Dict::new().with("_expires", "soon"),
        1 | 2 => Dict::new().with("_expires", 0_u64),
        3 | 4 => Dict::new().with("_expires", 100_000_u64),
        _ => Dict::new().with("_expires", context.rng.u64(1..200)),
    }
}

fn receivers(context: &mut Context<'_>) -> Receivers {
    let mut receivers = Receivers::default();
    match context.rng.u32(..6) {
        0 => receivers.eligible = Some(sessions(context)),
        1 => receivers.exclude = Some(sessions(context)),
        2 => receivers.eligible_authid = Some(names(context, &AUTHIDS)),
        3 => receivers.exclude_authid = Some(names(context, &AUTHIDS)),
        4 => receivers.eligible_authrole = Some(names(context, &ROLES)),
        _ => receivers.exclude_authrole = Some(names(context, &ROLES)),
    }
    if context.one_in(2) {
        receivers.eligible.get_or_insert_with(|| sessions(context));
        receivers.exclude.get_or_insert_with(|| sessions(context));
    }
    receivers
}

/// Some sessions: live ones, ended ones, some that never were; sometimes more than are looked up one by one.
fn sessions(context: &mut Context<'_>) -> Vec<SessionId> {
    let count = if context.one_in(8) {
        30
    } else {
        context.rng.usize(..5)
    };
    let draw = |_| {
        let known = context
            .pick(context.sessions)
            .filter(|_| context.rng.u32(..8) > 0);
        known.unwrap_or_else(|| SessionId(context.rng.u64(1..=ID_MAX)))
    };
    (0..count).map(draw).collect()
}

fn names(context: &mut Context<'_>, known: &[&'static str]) -> Vec<ByteString> {
    let count = context.rng.usize(..3);
    (0..count)
        .filter_map(|_| context.pick(known))
        .map(ByteString::from_static)
        .collect()
}
