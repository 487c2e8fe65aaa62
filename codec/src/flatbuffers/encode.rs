//! The table of each message.

use bytes::BytesMut;
use bytestring::ByteString;
use crosspoint_core::ids::{PublicationId, RegistrationId, RequestId, SessionId, SubscriptionId};
use crosspoint_core::message::{
    Call, Cancel, Error, Hello, Message, Publish, Register, Welcome, Yield, code,
};
use crosspoint_core::options::{CancelMode, EventDetails, InvocationDetails, MatchPolicy, ResultDetails};
use crosspoint_core::payload::Payload;
use crosspoint_core::value::{Dict, Value};

use super::build::Fields;
use super::payload;
use super::roles;
use super::schema::{self as s, REQUEST};

pub(crate) fn message(out: &mut BytesMut, message: &Message) {
    let fields = Fields::new();
    let request = |id: RequestId| Fields::new().u64(REQUEST, id.0);
    let (kind, fields) = match message {
        Message::Hello(m) => (code::HELLO, hello(fields, m)),
        Message::Welcome(m) => (code::WELCOME, welcome(fields, m)),
        Message::Abort(m) => (code::ABORT, leave(fields, &m.reason, &m.details)),
        Message::Challenge(m) => {
            let method = authmethod(&m.method);
            let fields = fields.u8(s::authentication::METHOD, method, 0);
            (
                code::CHALLENGE,
                fields.table(s::authentication::EXTRA, entry(&m.extra)),
            )
        }
        Message::Authenticate(m) => {
            let fields = fields.text(s::authentication::SIGNATURE, Some(&m.signature));
            (
                code::AUTHENTICATE,
                fields.table(s::authentication::EXTRA, entry(&m.extra)),
            )
        }
        Message::Goodbye(m) => {
            let resumable = m.details.get("resumable") == Some(&Value::Bool(true));
            let fields = leave(fields, &m.reason, &m.details).flag(s::leave::RESUMABLE, resumable);
            (code::GOODBYE, fields)
        }
        Message::Error(m) => (code::ERROR, error(fields, m)),
        Message::Publish(m) => (code::PUBLISH, publish(request(m.request), m)),
        Message::Published(m) => {
            let fields = request(m.request).u64(s::pair::ID, m.publication.0);
            (code::PUBLISHED, fields)
        }
        Message::Subscribe(m) => {
            let fields = request(m.request)
                .text(s::subscribe::TOPIC, Some(&m.topic))
                .u8(s::subscribe::MATCH, match_policy(m.options.match_policy), 0)
                .flag(s::subscribe::GET_RETAINED, m.options.get_retained);
            (code::SUBSCRIBE, fields)
        }
        Message::Subscribed(m) => {
            let fields = request(m.request).u64(s::pair::ID, m.subscription.0);
            (code::SUBSCRIBED, fields)
        }
        Message::Unsubscribe(m) => {
            let fields = request(m.request).u64(s::pair::ID, m.subscription.0);
            (code::UNSUBSCRIBE, fields)
        }
        Message::Unsubscribed(m) => {
            let fields = request(m.request);
            (
                code::UNSUBSCRIBED,
                revoked(fields, "subscription", m.details.as_ref()),
            )
        }
        Message::Event(m) => return event(out, m.subscription, m.publication, &m.details, &m.payload),
        Message::EventReceived(m) => {
            let fields = fields.u64(s::event_received::PUBLICATION, m.publication.0);
            return fields.write(s::EVENT_RECEIVED_TYPE, out);
        }
        Message::Call(m) => (code::CALL, call(request(m.request), m)),
        Message::Cancel(m) => (code::CANCEL, cancel(request(m.request), m)),
        Message::Result(m) => return result(out, m.request, &m.details, &m.payload),
        Message::Register(m) => (code::REGISTER, register(request(m.request), m)),
        Message::Registered(m) => {
            let fields = request(m.request).u64(s::pair::ID, m.registration.0);
            (code::REGISTERED, fields)
        }
        Message::Unregister(m) => {
            let fields = request(m.request).u64(s::pair::ID, m.registration.0);
            (code::UNREGISTER, fields)
        }
        Message::Unregistered(m) => {
            let fields = request(m.request);
            (
                code::UNREGISTERED,
                revoked(fields, "registration", m.details.as_ref()),
            )
        }
        Message::Invocation(m) => return invocation(out, m.request, m.registration, &m.details, &m.payload),
        Message::Interrupt(m) => (code::INTERRUPT, interrupt(request(m.request), &m.options)),
        Message::Yield(m) => (code::YIELD, yield_message(request(m.request), m)),
    };
    fields.write(kind as u8, out);
}

pub(crate) fn event(
    out: &mut BytesMut,
    subscription: SubscriptionId,
    publication: PublicationId,
    details: &EventDetails,
    payload: &Payload,
) {
    let rest = &details.rest;
    let acknowledge = rest.get("x_acknowledged_delivery") == Some(&Value::Bool(true));
    let fields = Fields::new()
        .u64(s::event::SUBSCRIPTION, subscription.0)
        .u64(s::event::PUBLICATION, publication.0)
        .u64(
            s::event::PUBLISHER,
            details.publisher.map_or(0, |session| session.0),
        )
        .text(s::event::PUBLISHER_AUTHID, details.publisher_authid.as_deref())
        .text(
            s::event::PUBLISHER_AUTHROLE,
            details.publisher_authrole.as_deref(),
        )
        .text(s::event::TOPIC, details.topic.as_deref())
        .flag(s::event::RETAINED, details.retained)
        .text(s::event::TRANSACTION_HASH, text(rest, "transaction_hash"))
        .flag(s::event::ACKNOWLEDGE, acknowledge)
        .tables(s::event::FORWARD_FOR, forward_for(rest));
    payload::write(fields, s::event::PAYLOAD, payload, rest).write(code::EVENT as u8, out);
}

pub(crate) fn invocation(
    out: &mut BytesMut,
    request: RequestId,
    registration: RegistrationId,
    details: &InvocationDetails,
    payload: &Payload,
) {
    let rest = &details.rest;
    let fields = Fields::new()
        .u64(REQUEST, request.0)
        .u64(s::invocation::REGISTRATION, registration.0)
        .text(s::invocation::PROCEDURE, details.procedure.as_deref())
        .u32(s::invocation::TIMEOUT, milliseconds(details.timeout))
        .flag(s::invocation::RECEIVE_PROGRESS, details.receive_progress)
        .text(s::invocation::TRANSACTION_HASH, text(rest, "transaction_hash"))
        .u64(
            s::invocation::CALLER,
            details.caller.map_or(0, |session| session.0),
        )
        .text(s::invocation::CALLER_AUTHID, details.caller_authid.as_deref())
        .text(s::invocation::CALLER_AUTHROLE, details.caller_authrole.as_deref())
        .tables(s::invocation::FORWARD_FOR, forward_for(rest));
    payload::write(fields, s::invocation::PAYLOAD, payload, rest).write(code::INVOCATION as u8, out);
}

pub(crate) fn result(out: &mut BytesMut, request: RequestId, details: &ResultDetails, payload: &Payload) {
    let fields = Fields::new().u64(REQUEST, request.0);
    answer(fields, details.progress, &details.rest, payload).write(code::RESULT as u8, out);
}

fn yield_message<'m>(fields: Fields<'m>, m: &'m Yield) -> Fields<'m> {
    answer(fields, m.options.progress, &m.options.rest, &m.payload)
}

/// RESULT and YIELD.
fn answer<'m>(fields: Fields<'m>, progress: bool, rest: &'m Dict, payload: &Payload) -> Fields<'m> {
    let fields = fields
        .flag(s::result::PROGRESS, progress)
        .u64(s::result::CALLEE, number(rest, "callee"))
        .text(s::result::CALLEE_AUTHID, text(rest, "callee_authid"))
        .text(s::result::CALLEE_AUTHROLE, text(rest, "callee_authrole"))
        .tables(s::result::FORWARD_FOR, forward_for(rest));
    payload::write(fields, s::result::PAYLOAD, payload, rest)
}

fn hello<'m>(fields: Fields<'m>, m: &'m Hello) -> Fields<'m> {
    let details = &m.details;
    let methods = details.get("authmethods").and_then(Value::as_list).map(|list| {
        let names = list.iter().filter_map(Value::as_str);
        names.map(authmethod).collect::<Vec<u8>>().into()
    });
    let resumable = details.get("resumable") == Some(&Value::Bool(true));
    let extra = details.get("authextra").and_then(Value::as_dict);
    let realm = Some(&*m.realm).filter(|realm| !realm.is_empty());
    fields
        .table(s::hello::ROLES, roles::write(&roles::CLIENT, details))
        .text(s::hello::REALM, realm)
        .bytes(s::hello::AUTHMETHODS, methods)
        .text(s::hello::AUTHID, text(details, "authid"))
        .text(s::hello::AUTHROLE, text(details, "authrole"))
        .table(s::hello::AUTHEXTRA, extra.and_then(entry))
        .flag(s::hello::RESUMABLE, resumable)
        .u64(s::hello::RESUME_SESSION, number(details, "resume-session"))
        .text(s::hello::RESUME_TOKEN, text(details, "resume-token"))
}

fn welcome<'m>(fields: Fields<'m>, m: &'m Welcome) -> Fields<'m> {
    let details = &m.details;
    let extra = details.get("authextra").and_then(Value::as_dict);
    fields
        .u64(s::welcome::SESSION, m.session.0)
        .table(s::welcome::ROLES, roles::write(&roles::ROUTER, details))
        .text(s::welcome::REALM, text(details, "realm"))
        .text(s::welcome::AUTHID, text(details, "authid"))
        .text(s::welcome::AUTHROLE, text(details, "authrole"))
        .u8(
            s::welcome::AUTHMETHOD,
            text(details, "authmethod").map_or(0, authmethod),
            0,
        )
        .text(s::welcome::AUTHPROVIDER, text(details, "authprovider"))
        .table(s::welcome::AUTHEXTRA, extra.and_then(entry))
}

/// ABORT and GOODBYE.
fn leave<'m>(fields: Fields<'m>, reason: &'m str, details: &'m Dict) -> Fields<'m> {
    fields
        .text(s::leave::REASON, Some(reason))
        .text(s::leave::MESSAGE, text(details, "message"))
}

fn error<'m>(fields: Fields<'m>, m: &'m Error) -> Fields<'m> {
    let fields = fields
        .u16(s::error::REQUEST_TYPE, m.kind as u16)
        .u64(s::error::REQUEST, m.request.0)
        .text(s::error::ERROR, Some(&m.error))
        .tables(s::error::FORWARD_FOR, forward_for(&m.details));
    payload::write(fields, s::error::PAYLOAD, &m.payload, &m.details)
}

fn publish<'m>(fields: Fields<'m>, m: &'m Publish) -> Fields<'m> {
    let options = &m.options;
    let exclude_me = options.exclude_me.unwrap_or(true);
    let mut fields = fields
        .text(s::publish::TOPIC, Some(&m.topic))
        .flag(s::publish::ACKNOWLEDGE, options.acknowledge)
        .u8(s::publish::EXCLUDE_ME, exclude_me.into(), 1)
        .flag(s::publish::RETAIN, options.retain)
        .text(
            s::publish::TRANSACTION_HASH,
            text(&options.rest, "transaction_hash"),
        )
        .tables(s::publish::FORWARD_FOR, forward_for(&options.rest));
    if let Some(lists) = &options.receivers {
        fields = fields
            .u64s(s::publish::EXCLUDE, sessions(lists.exclude.as_ref()))
            .texts(s::publish::EXCLUDE_AUTHID, texts(lists.exclude_authid.as_ref()))
            .texts(
                s::publish::EXCLUDE_AUTHROLE,
                texts(lists.exclude_authrole.as_ref()),
            )
            .u64s(s::publish::ELIGIBLE, sessions(lists.eligible.as_ref()))
            .texts(s::publish::ELIGIBLE_AUTHID, texts(lists.eligible_authid.as_ref()))
            .texts(
                s::publish::ELIGIBLE_AUTHROLE,
                texts(lists.eligible_authrole.as_ref()),
            );
    }
    payload::write(fields, s::publish::PAYLOAD, &m.payload, &options.rest)
}

fn call<'m>(fields: Fields<'m>, m: &'m Call) -> Fields<'m> {
    let rest = &m.options.rest;
    let fields = fields
        .text(s::call::PROCEDURE, Some(&m.procedure))
        .u32(s::call::TIMEOUT, milliseconds(m.options.timeout))
        .flag(s::call::RECEIVE_PROGRESS, m.options.receive_progress)
        .text(s::call::TRANSACTION_HASH, text(rest, "transaction_hash"))
        .u64(s::call::CALLER, number(rest, "caller"))
        .text(s::call::CALLER_AUTHID, text(rest, "caller_authid"))
        .text(s::call::CALLER_AUTHROLE, text(rest, "caller_authrole"))
        .tables(s::call::FORWARD_FOR, forward_for(rest));
    payload::write(fields, s::call::PAYLOAD, &m.payload, rest)
}

/// The mode is always told, for the schema has another default than WAMP.
fn cancel<'m>(fields: Fields<'m>, m: &'m Cancel) -> Fields<'m> {
    let told = m.options.mode.unwrap_or(CancelMode::KillNoWait);
    fields
        .u8(s::cancel::MODE, mode(told.name()), s::CANCEL_DEFAULT)
        .tables(s::cancel::FORWARD_FOR, forward_for(&m.options.rest))
}

fn interrupt<'m>(fields: Fields<'m>, options: &'m Dict) -> Fields<'m> {
    let mode = text(options, "mode").map_or(s::INTERRUPT_DEFAULT, mode);
    fields
        .u8(s::interrupt::MODE, mode, s::INTERRUPT_DEFAULT)
        .text(s::interrupt::REASON, text(options, "reason"))
        .tables(s::interrupt::FORWARD_FOR, forward_for(options))
}

fn register<'m>(fields: Fields<'m>, m: &'m Register) -> Fields<'m> {
    let options = &m.options;
    let invoke = options.invoke.unwrap_or_default();
    let invoke = s::INVOKE.iter().position(|known| *known == invoke);
    let concurrency = options.concurrency.unwrap_or(0);
    fields
        .text(s::register::PROCEDURE, Some(&m.procedure))
        .u8(s::register::MATCH, match_policy(options.match_policy), 0)
        .u8(s::register::INVOKE, invoke.unwrap_or(0) as u8, 0)
        .u16(
            s::register::CONCURRENCY,
            u16::try_from(concurrency).unwrap_or(u16::MAX),
        )
        .flag(s::register::FORCE_REREGISTER, options.force_reregister)
}

/// UNSUBSCRIBED and UNREGISTERED; `key` is that of what was revoked.
fn revoked<'m>(fields: Fields<'m>, key: &str, details: Option<&'m Dict>) -> Fields<'m> {
    let Some(details) = details else { return fields };
    fields
        .u64(s::pair::ID, number(details, key))
        .text(s::pair::REASON, text(details, "reason"))
}

/// The one entry that there is room for: what a challenge is about, or else the first one that is text.
fn entry(extra: &Dict) -> Option<Fields<'_>> {
    let texts = || {
        extra
            .0
            .iter()
            .filter_map(|(key, value)| Some((&**key, value.as_str()?)))
    };
    let (key, value) = texts()
        .find(|(key, _)| *key == "challenge")
        .or_else(|| texts().next())?;
    let fields = Fields::new().text(s::map::KEY, Some(key));
    Some(fields.text(s::map::VALUE, Some(value)))
}

fn forward_for(rest: &Dict) -> Option<Vec<Fields<'_>>> {
    let routers = rest.get("forward_for")?.as_list()?;
    let routers = routers.iter().filter_map(Value::as_dict);
    let principal = |router| {
        Fields::new()
            .u64(s::principal::SESSION, number(router, "session"))
            .text(s::principal::AUTHID, text(router, "authid"))
            .text(s::principal::AUTHROLE, text(router, "authrole"))
    };
    Some(routers.map(principal).collect())
}

fn text<'m>(dict: &'m Dict, key: &str) -> Option<&'m str> {
    dict.get(key).and_then(Value::as_str)
}

fn number(dict: &Dict, key: &str) -> u64 {
    dict.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn sessions(list: Option<&Vec<SessionId>>) -> Option<Vec<u64>> {
    list.map(|list| list.iter().map(|session| session.0).collect())
}

fn texts(list: Option<&Vec<ByteString>>) -> Option<Vec<&str>> {
    list.map(|list| list.iter().map(|text| &**text).collect())
}

/// The number of a method; that of no method for those that have none.
fn authmethod(name: &str) -> u8 {
    let name = if name == "scram" { "wamp-scram" } else { name };
    let found = s::AUTHMETHOD.iter().position(|known| *known == name);
    found.unwrap_or(0) as u8
}

fn match_policy(policy: Option<MatchPolicy>) -> u8 {
    let policy = policy.unwrap_or_default();
    let found = s::MATCH.iter().position(|known| *known == policy);
    found.unwrap_or(0) as u8
}

fn mode(name: &str) -> u8 {
    let found = s::MODE.iter().position(|known| known.name() == name);
    found.unwrap_or(0) as u8
}

/// A time in the 32 bits that there are for it: 49 days where it is longer.
fn milliseconds(time: Option<u64>) -> u32 {
    u32::try_from(time.unwrap_or(0)).unwrap_or(u32::MAX)
}
