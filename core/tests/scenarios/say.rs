//! Messages of clients in a few words, and those of the router as short texts.

use std::fmt::Write;

use bytes::Bytes;
use bytestring::ByteString;
use crosspoint_core::ids::{RegistrationId, RequestId, SessionId, SubscriptionId};
use crosspoint_core::message::{
    Call, Cancel, Error, Event, Invocation, Message, Publish, Register, RequestKind, Subscribe, Unregister,
    Unsubscribe, Yield,
};
use crosspoint_core::options::{
    CallOptions, CancelMode, CancelOptions, InvokePolicy, MatchPolicy, PublishOptions, Receivers,
    RegisterOptions, SubscribeOptions, YieldOptions,
};
use crosspoint_core::payload::{Format, Payload};
use crosspoint_core::value::Dict;

fn payload(args: &str) -> Payload {
    Payload {
        format: Format::Json,
        args: Bytes::copy_from_slice(args.as_bytes()),
        kwargs: Bytes::new(),
    }
}

pub(crate) fn subscribe(request: u64, topic: &'static str) -> Message {
    subscribe_by(request, MatchPolicy::Exact, topic)
}

pub(crate) fn subscribe_by(request: u64, policy: MatchPolicy, topic: &'static str) -> Message {
    Message::Subscribe(Subscribe {
        request: RequestId(request),
        options: SubscribeOptions {
            match_policy: Some(policy),
            ..SubscribeOptions::default()
        },
        topic: ByteString::from_static(topic),
    })
}

/// SUBSCRIBE that asks for retained events.
pub(crate) fn subscribe_retained(request: u64, policy: MatchPolicy, topic: &'static str) -> Message {
    Message::Subscribe(Subscribe {
        request: RequestId(request),
        options: SubscribeOptions {
            match_policy: Some(policy),
            get_retained: true,
            ..SubscribeOptions::default()
        },
        topic: ByteString::from_static(topic),
    })
}

/// PUBLISH to be retained.
pub(crate) fn retain(
    request: u64,
    topic: &'static str,
    args: &str,
    change: impl FnOnce(&mut PublishOptions),
) -> Message {
    let mut options = PublishOptions {
        retain: true,
        ..PublishOptions::default()
    };
    change(&mut options);
    Message::Publish(Publish {
        request: RequestId(request),
        options,
        topic: ByteString::from_static(topic),
        payload: payload(args),
    })
}

pub(crate) fn unsubscribe(request: u64, subscription: SubscriptionId) -> Message {
    Message::Unsubscribe(Unsubscribe {
        request: RequestId(request),
        subscription,
        options: None,
    })
}

pub(crate) fn publish(
    request: u64,
    topic: &'static str,
    change: impl FnOnce(&mut PublishOptions),
) -> Message {
    let mut options = PublishOptions::default();
    change(&mut options);
    Message::Publish(Publish {
        request: RequestId(request),
        options,
        topic: ByteString::from_static(topic),
        payload: payload("news"),
    })
}

/// A publication to the receivers that `change` names.
pub(crate) fn publish_to(request: u64, topic: &'static str, change: impl FnOnce(&mut Receivers)) -> Message {
    let mut receivers = Receivers::default();
    change(&mut receivers);
    publish(request, topic, |options| {
        options.receivers = Some(Box::new(receivers))
    })
}

pub(crate) fn register(request: u64, procedure: &'static str) -> Message {
    register_with(request, procedure, |_| {})
}

pub(crate) fn register_shared(request: u64, procedure: &'static str, invoke: InvokePolicy) -> Message {
    register_with(request, procedure, |options| options.invoke = Some(invoke))
}

pub(crate) fn register_with(
    request: u64,
    procedure: &'static str,
    change: impl FnOnce(&mut RegisterOptions),
) -> Message {
    let mut options = RegisterOptions::default();
    change(&mut options);
    Message::Register(Register {
        request: RequestId(request),
        options,
        procedure: ByteString::from_static(procedure),
    })
}

pub(crate) fn unregister(request: u64, registration: RegistrationId) -> Message {
    Message::Unregister(Unregister {
        request: RequestId(request),
        registration,
        options: None,
    })
}

pub(crate) fn call(request: u64, procedure: &'static str, args: &str) -> Message {
    call_with(request, procedure, args, |_| {})
}

pub(crate) fn call_with(
    request: u64,
    procedure: &'static str,
    args: &str,
    change: impl FnOnce(&mut CallOptions),
) -> Message {
    let mut options = CallOptions::default();
    change(&mut options);
    Message::Call(Call {
        request: RequestId(request),
        options,
        procedure: ByteString::from_static(procedure),
        payload: payload(args),
    })
}

pub(crate) fn cancel(request: u64, mode: Option<CancelMode>) -> Message {
    Message::Cancel(Cancel {
        request: RequestId(request),
        options: CancelOptions {
            mode,
            ..CancelOptions::default()
        },
    })
}

pub(crate) fn result(invocation: u64, args: &str) -> Message {
    yielded(invocation, args, false)
}

pub(crate) fn progress(invocation: u64, args: &str) -> Message {
    yielded(invocation, args, true)
}

fn yielded(invocation: u64, args: &str, progress: bool) -> Message {
    Message::Yield(Yield {
        request: RequestId(invocation),
        options: YieldOptions {
            progress,
            ..YieldOptions::default()
        },
        payload: payload(args),
    })
}

pub(crate) fn failure(invocation: u64, error: &'static str, args: &str) -> Message {
    Message::Error(Error {
        kind: RequestKind::Invocation,
        request: RequestId(invocation),
        details: Dict::new(),
        error: ByteString::from_static(error),
        payload: payload(args),
    })
}

/// One of several parts of a call's arguments.
pub(crate) fn part(request: u64, procedure: &'static str, args: &str) -> Message {
    call_with(request, procedure, args, |options| options.progress = true)
}

/// A router's message in one line. `ids` are the sessions of the test, named `#0`, `#1` and so on.
pub(crate) fn text(message: &Message, ids: &[SessionId]) -> String {
    match message {
        Message::Abort(abort) => format!("ABORT {}", abort.reason),
        Message::Goodbye(goodbye) => format!("GOODBYE {}", goodbye.reason),
        Message::Published(published) => format!("PUBLISHED {}", published.request),
        Message::Subscribed(subscribed) => format!("SUBSCRIBED {}", subscribed.request),
        Message::Unsubscribed(unsubscribed) => format!("UNSUBSCRIBED {}", unsubscribed.request),
        Message::Registered(registered) => format!("REGISTERED {}", registered.request),
        Message::Unregistered(unregistered) => format!("UNREGISTERED {}", unregistered.request),
        Message::Event(event) => event_text(event, ids),
        Message::Invocation(invocation) => invocation_text(invocation, ids),
        Message::Interrupt(interrupt) => {
            let mode = interrupt.options.get("mode").and_then(|mode| mode.as_str());
            format!(
                "INTERRUPT {} {}",
                interrupt.request,
                mode.unwrap_or("without mode")
            )
        }
        Message::Result(result) => {
            let progress = if result.details.progress { " progress" } else { "" };
            let mut text = format!("RESULT {}{progress}{}", result.request, args(&result.payload));
            passthru_text(&mut text, &result.details.rest);
            text
        }
        Message::Error(error) => {
            let Error {
                kind,
                request,
                error,
                payload,
                details,
            } = error;
            let mut text = format!("ERROR {kind:?} {request} {error}{}", args(payload));
            passthru_text(&mut text, details);
            text
        }
        other => format!("{other:?}"),
    }
}

fn args(payload: &Payload) -> String {
    if payload.args.is_empty() {
        String::new()
    } else {
        format!(" {}", String::from_utf8_lossy(&payload.args))
    }
}

fn passthru_text(text: &mut String, details: &Dict) {
    for (key, value) in &details.0 {
        if key.starts_with("ppt_") {
            let _ = write!(text, " {key}={}", value.as_str().unwrap_or_default());
        }
    }
}

fn name(id: SessionId, ids: &[SessionId]) -> String {
    let place = ids.iter().position(|known| *known == id);
    place.map_or_else(|| format!("session {id}"), |place| format!("#{place}"))
}

fn event_text(event: &Event, ids: &[SessionId]) -> String {
    let mut text = format!("EVENT{}", args(&event.payload));
    let details = &event.details;
    if details.retained {
        text.push_str(" retained");
    }
    passthru_text(&mut text, &details.rest);
    if let Some(topic) = &details.topic {
        let _ = write!(text, " topic={topic}");
    }
    if let Some(publisher) = details.publisher {
        let _ = write!(text, " publisher={}", name(publisher, ids));
    }
    for (key, value) in [
        ("authid", &details.publisher_authid),
        ("authrole", &details.publisher_authrole),
    ] {
        if let Some(value) = value {
            let _ = write!(text, " publisher_{key}={value}");
        }
    }
    text
}

fn invocation_text(invocation: &Invocation, ids: &[SessionId]) -> String {
    let mut text = format!("INVOCATION {}{}", invocation.request, args(&invocation.payload));
    let details = &invocation.details;
    if let Some(procedure) = &details.procedure {
        let _ = write!(text, " procedure={procedure}");
    }
    if let Some(caller) = details.caller {
        let _ = write!(text, " caller={}", name(caller, ids));
    }
    if let Some(timeout) = details.timeout {
        let _ = write!(text, " timeout={timeout}");
    }
    if details.receive_progress {
        text.push_str(" receive_progress");
    }
    if details.progress {
        text.push_str(" progress");
    }
    passthru_text(&mut text, &details.rest);
    text
}
