//! REGISTER, UNREGISTER, CALL, CANCEL, and answers of callees.

use bytestring::ByteString;
use crosspoint_core::error_uri;
use crosspoint_core::ids::{RegistrationId, RequestId};
use crosspoint_core::message::{Call, Cancel, Error, Message, Register, RequestKind, Unregister, Yield};
use crosspoint_core::options::{
    CallOptions, CancelMode, CancelOptions, InvokePolicy, MatchPolicy, RegisterOptions, YieldOptions,
};
use crosspoint_core::value::Dict;

use super::Context;
use crate::client::Link;

pub(super) fn register(link: &mut Link, context: &mut Context<'_>) -> Message {
    const SHARED: [InvokePolicy; 6] = [
        InvokePolicy::RoundRobin,
        InvokePolicy::First,
        InvokePolicy::Last,
        InvokePolicy::Random,
        InvokePolicy::Load,
        InvokePolicy::Sticky,
    ];
    let (policy, procedure) = context.plan.uris.key(context.rng);
    let match_policy = (policy != MatchPolicy::Exact || context.one_in(2)).then_some(policy);
    let is_shared = context.rng.u32(..100) < context.plan.shared;
    // A procedure has its favourite policy, or hardly two callees would ever agree on one.
    let favourite = SHARED[procedure.len() % SHARED.len()];
    let invoke = match (is_shared, context.rng.u32(..10)) {
        (true, 0) => Some(SHARED[context.rng.usize(..SHARED.len())]),
        (true, _) => Some(favourite),
        (false, 0..5) => Some(InvokePolicy::Single),
        (false, _) => None,
    };
    let options = RegisterOptions {
        match_policy,
        invoke,
        disclose_caller: link.persona.disclose_caller.then_some(true),
        forward_timeout: link.persona.forward_timeout.then_some(true),
        concurrency: link.persona.concurrency,
        force_reregister: context.rng.u32(..100) < context.plan.forced,
        ..RegisterOptions::default()
    };
    Message::Register(Register {
        request: context.next_request(link),
        options,
        procedure: ByteString::from_static(procedure),
    })
}

pub(super) fn unregister(link: &mut Link, context: &mut Context<'_>) -> Option<Message> {
    let registration = if context.one_in(10) {
        RegistrationId(context.rng.u64(1..64))
    } else {
        context.pick(&link.knows.registrations)?
    };
    // Sometimes it forgets, and tries again later.
    if !context.one_in(5) {
        link.knows.registrations.retain(|held| *held != registration);
    }
    Some(Message::Unregister(Unregister {
        request: context.next_request(link),
        registration,
        options: None,
    }))
}

pub(super) fn call(link: &mut Link, context: &mut Context<'_>) -> Message {
    let procedure = context.plan.uris.concrete(context.rng);
    let options = CallOptions {
        timeout: context.one_in(4).then(|| context.rng.u64(0..300)),
        receive_progress: context.one_in(2),
        disclose_me: [None, None, Some(false), Some(true)][context.rng.usize(..4)],
        // Now and then by a client that must not.
        progress: context.one_in(if link.persona.calls_progressively { 3 } else { 500 }),
        ..CallOptions::default()
    };
    call_with(link, context, procedure, options)
}

/// A further part of a call that the client has begun, or that it takes for begun.
pub(super) fn next_part(link: &mut Link, context: &mut Context<'_>) -> Option<Message> {
    let (request, procedure) = context.pick(&link.knows.streams)?;
    let is_last = context.one_in(3);
    if is_last {
        link.knows.streams.retain(|(begun, _)| *begun != request);
    } else if !link.knows.calls.contains(&request) && context.one_in(2) {
        // It has read of the end.
        link.knows.streams.retain(|(begun, _)| *begun != request);
        return None;
    }
    let options = CallOptions {
        progress: !is_last,
        disclose_me: context.one_in(2).then(|| context.one_in(2)),
        receive_progress: context.one_in(2),
        ..CallOptions::default()
    };
    Some(Message::Call(Call {
        request,
        options,
        procedure: ByteString::from_static(procedure),
        payload: context.payload(),
    }))
}

/// A CALL, noted as under way.
pub(crate) fn call_with(
    link: &mut Link,
    context: &mut Context<'_>,
    procedure: &'static str,
    options: CallOptions,
) -> Message {
    let request = context.next_request(link);
    link.knows.calls.push(request);
    if options.progress {
        link.knows.streams.push((request, procedure));
    }
    Message::Call(Call {
        request,
        options,
        procedure: ByteString::from_static(procedure),
        payload: context.payload(),
    })
}

pub(super) fn cancel(link: &mut Link, context: &mut Context<'_>) -> Option<Message> {
    const MODES: [Option<CancelMode>; 4] = [
        None,
        Some(CancelMode::Skip),
        Some(CancelMode::Kill),
        Some(CancelMode::KillNoWait),
    ];
    let request = if context.one_in(10) {
        RequestId(context.rng.u64(1..200))
    } else {
        context.pick(&link.knows.calls)?
    };
    let options = CancelOptions {
        mode: MODES[context.rng.usize(..MODES.len())],
        ..CancelOptions::default()
    };
    Some(Message::Cancel(Cancel { request, options }))
}

/// Works on some invocation: a result, an error, a part of a result, or nothing yet.
pub(super) fn answer(link: &mut Link, context: &mut Context<'_>) -> Option<Message> {
    if context.one_in(25) && link.knows.last_invocation > 0 {
        // Once more, or too late.
        let request = RequestId(context.rng.u64(1..=link.knows.last_invocation));
        return Some(final_answer(request, context));
    }
    if link.knows.jobs.is_empty() || context.rng.u32(..100) < link.persona.laziness {
        return None;
    }
    let place = context.rng.usize(..link.knows.jobs.len());
    let job = link.knows.jobs[place];
    let request = job.request;
    // Also where nobody asked for progress, now and then.
    if (job.progress && context.one_in(2)) || context.one_in(20) {
        return Some(yielded(request, true, context));
    }
    link.knows.jobs.swap_remove(place);
    if job.interrupted && context.one_in(2) {
        return Some(failed(request, error_uri::CANCELED, context));
    }
    Some(final_answer(request, context))
}

fn final_answer(request: RequestId, context: &mut Context<'_>) -> Message {
    if context.one_in(10) {
        failed(request, error_uri::UNAVAILABLE, context)
    } else if context.one_in(4) {
        failed(request, "com.example.failed", context)
    } else {
        yielded(request, false, context)
    }
}

fn failed(request: RequestId, error: &'static str, context: &mut Context<'_>) -> Message {
    Message::Error(Error {
        kind: RequestKind::Invocation,
        request,
        details: Dict::new(),
        error: ByteString::from_static(error),
        payload: context.payload(),
    })
}

fn yielded(request: RequestId, progress: bool, context: &mut Context<'_>) -> Message {
    Message::Yield(Yield {
        request,
        options: YieldOptions {
            progress,
            ..YieldOptions::default()
        },
        payload: context.payload(),
    })
}
