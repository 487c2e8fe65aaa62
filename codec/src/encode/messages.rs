//! The elements of each message (specification, "Messages").

use crosspoint_core::ids::{PublicationId, RegistrationId, RequestId, SubscriptionId};
use crosspoint_core::message::{
    Abort, Authenticate, Call, Cancel, Challenge, Error, EventReceived, Goodbye, Hello, Interrupt, Message,
    Publish, Published, Register, Registered, Subscribe, Subscribed, Unregister, Unregistered, Unsubscribe,
    Unsubscribed, Welcome, Yield, code,
};
use crosspoint_core::options::{EventDetails, InvocationDetails, ResultDetails};
use crosspoint_core::payload::Payload;
use crosspoint_core::value::Dict;

use super::options;
use crate::transcode::copy_encoded;
use crate::write::{Open, Writer};

/// A message that is being written.
struct Elements<'w, W: Writer> {
    writer: &'w mut W,
    open: Open,
    count: usize,
}

impl<'w, W: Writer> Elements<'w, W> {
    fn begin(writer: &'w mut W, code: u64) -> Self {
        let open = writer.begin_list();
        writer.uint(code);
        Self {
            writer,
            open,
            count: 1,
        }
    }

    fn id(mut self, id: u64) -> Self {
        self.writer.uint(id);
        self.count += 1;
        self
    }

    fn text(mut self, text: &str) -> Self {
        self.writer.str(text);
        self.count += 1;
        self
    }

    /// An element that `write` writes.
    fn with(mut self, write: impl FnOnce(&mut W)) -> Self {
        write(self.writer);
        self.count += 1;
        self
    }

    fn optional_dict(self, dict: Option<&Dict>) -> Self {
        match dict {
            Some(dict) => self.with(|writer| writer.dict(dict)),
            None => self,
        }
    }

    /// `Arguments` and `ArgumentsKw`, without empty ones at the end.
    fn payload(self, payload: &Payload) -> Self {
        if payload.is_empty() {
            return self;
        }
        let arguments = self.with(|writer| {
            if payload.args.is_empty() {
                let open = writer.begin_list();
                writer.end_list(open, 0);
            } else {
                copy_encoded(payload.format, &payload.args, writer);
            }
        });
        if payload.kwargs.is_empty() {
            return arguments;
        }
        arguments.with(|writer| copy_encoded(payload.format, &payload.kwargs, writer))
    }

    fn end(self) {
        self.writer.end_list(self.open, self.count);
    }
}

pub(super) fn message<W: Writer>(writer: &mut W, message: &Message) {
    match message {
        Message::Hello(m) => hello(writer, m),
        Message::Welcome(m) => welcome(writer, m),
        Message::Abort(m) => abort(writer, m),
        Message::Challenge(m) => challenge(writer, m),
        Message::Authenticate(m) => authenticate(writer, m),
        Message::Goodbye(m) => goodbye(writer, m),
        Message::Error(m) => error(writer, m),
        Message::Publish(m) => publish(writer, m),
        Message::Published(m) => published(writer, m),
        Message::Subscribe(m) => subscribe(writer, m),
        Message::Subscribed(m) => subscribed(writer, m),
        Message::Unsubscribe(m) => unsubscribe(writer, m),
        Message::Unsubscribed(m) => unsubscribed(writer, m),
        Message::Event(m) => event(writer, m.subscription, m.publication, &m.details, &m.payload),
        Message::EventReceived(m) => event_received(writer, m),
        Message::Call(m) => call(writer, m),
        Message::Cancel(m) => cancel(writer, m),
        Message::Result(m) => result(writer, m.request, &m.details, &m.payload),
        Message::Register(m) => register(writer, m),
        Message::Registered(m) => registered(writer, m),
        Message::Unregister(m) => unregister(writer, m),
        Message::Unregistered(m) => unregistered(writer, m),
        Message::Invocation(m) => invocation(writer, m.request, m.registration, &m.details, &m.payload),
        Message::Interrupt(m) => interrupt(writer, m),
        Message::Yield(m) => yield_message(writer, m),
    }
}

pub(super) fn event<W: Writer>(
    writer: &mut W,
    subscription: SubscriptionId,
    publication: PublicationId,
    details: &EventDetails,
    payload: &Payload,
) {
    Elements::begin(writer, code::EVENT)
        .id(subscription.0)
        .id(publication.0)
        .with(|writer| options::event(writer, details))
        .payload(payload)
        .end();
}

pub(super) fn invocation<W: Writer>(
    writer: &mut W,
    request: RequestId,
    registration: RegistrationId,
    details: &InvocationDetails,
    payload: &Payload,
) {
    Elements::begin(writer, code::INVOCATION)
        .id(request.0)
        .id(registration.0)
        .with(|writer| options::invocation(writer, details))
        .payload(payload)
        .end();
}

pub(super) fn result<W: Writer>(
    writer: &mut W,
    request: RequestId,
    details: &ResultDetails,
    payload: &Payload,
) {
    Elements::begin(writer, code::RESULT)
        .id(request.0)
        .with(|writer| options::result(writer, details))
        .payload(payload)
        .end();
}

fn hello<W: Writer>(writer: &mut W, m: &Hello) {
    Elements::begin(writer, code::HELLO)
        .text(&m.realm)
        .with(|writer| writer.dict(&m.details))
        .end();
}

fn welcome<W: Writer>(writer: &mut W, m: &Welcome) {
    Elements::begin(writer, code::WELCOME)
        .id(m.session.0)
        .with(|writer| writer.dict(&m.details))
        .end();
}

fn abort<W: Writer>(writer: &mut W, m: &Abort) {
    Elements::begin(writer, code::ABORT)
        .with(|writer| writer.dict(&m.details))
        .text(&m.reason)
        .payload(&m.payload)
        .end();
}

fn challenge<W: Writer>(writer: &mut W, m: &Challenge) {
    Elements::begin(writer, code::CHALLENGE)
        .text(&m.method)
        .with(|writer| writer.dict(&m.extra))
        .end();
}

fn authenticate<W: Writer>(writer: &mut W, m: &Authenticate) {
    Elements::begin(writer, code::AUTHENTICATE)
        .text(&m.signature)
        .with(|writer| writer.dict(&m.extra))
        .end();
}

fn goodbye<W: Writer>(writer: &mut W, m: &Goodbye) {
    Elements::begin(writer, code::GOODBYE)
        .with(|writer| writer.dict(&m.details))
        .text(&m.reason)
        .end();
}

fn error<W: Writer>(writer: &mut W, m: &Error) {
    Elements::begin(writer, code::ERROR)
        .id(m.kind as u64)
        .id(m.request.0)
        .with(|writer| writer.dict(&m.details))
        .text(&m.error)
        .payload(&m.payload)
        .end();
}

fn publish<W: Writer>(writer: &mut W, m: &Publish) {
    Elements::begin(writer, code::PUBLISH)
        .id(m.request.0)
        .with(|writer| options::publish(writer, &m.options))
        .text(&m.topic)
        .payload(&m.payload)
        .end();
}

fn published<W: Writer>(writer: &mut W, m: &Published) {
    Elements::begin(writer, code::PUBLISHED)
        .id(m.request.0)
        .id(m.publication.0)
        .end();
}

fn subscribe<W: Writer>(writer: &mut W, m: &Subscribe) {
    Elements::begin(writer, code::SUBSCRIBE)
        .id(m.request.0)
        .with(|writer| options::subscribe(writer, &m.options))
        .text(&m.topic)
        .end();
}

fn subscribed<W: Writer>(writer: &mut W, m: &Subscribed) {
    Elements::begin(writer, code::SUBSCRIBED)
        .id(m.request.0)
        .id(m.subscription.0)
        .end();
}

fn unsubscribe<W: Writer>(writer: &mut W, m: &Unsubscribe) {
    Elements::begin(writer, code::UNSUBSCRIBE)
        .id(m.request.0)
        .id(m.subscription.0)
        .optional_dict(m.options.as_ref())
        .end();
}

fn unsubscribed<W: Writer>(writer: &mut W, m: &Unsubscribed) {
    Elements::begin(writer, code::UNSUBSCRIBED)
        .id(m.request.0)
        .optional_dict(m.details.as_ref())
        .end();
}

fn event_received<W: Writer>(writer: &mut W, m: &EventReceived) {
    Elements::begin(writer, code::EVENT_RECEIVED)
        .id(m.publication.0)
        .end();
}

fn call<W: Writer>(writer: &mut W, m: &Call) {
    Elements::begin(writer, code::CALL)
        .id(m.request.0)
        .with(|writer| options::call(writer, &m.options))
        .text(&m.procedure)
        .payload(&m.payload)
        .end();
}

fn cancel<W: Writer>(writer: &mut W, m: &Cancel) {
    Elements::begin(writer, code::CANCEL)
        .id(m.request.0)
        .with(|writer| options::cancel(writer, &m.options))
        .end();
}

fn register<W: Writer>(writer: &mut W, m: &Register) {
    Elements::begin(writer, code::REGISTER)
        .id(m.request.0)
        .with(|writer| options::register(writer, &m.options))
        .text(&m.procedure)
        .end();
}

fn registered<W: Writer>(writer: &mut W, m: &Registered) {
    Elements::begin(writer, code::REGISTERED)
        .id(m.request.0)
        .id(m.registration.0)
        .end();
}

fn unregister<W: Writer>(writer: &mut W, m: &Unregister) {
    Elements::begin(writer, code::UNREGISTER)
        .id(m.request.0)
        .id(m.registration.0)
        .optional_dict(m.options.as_ref())
        .end();
}

fn unregistered<W: Writer>(writer: &mut W, m: &Unregistered) {
    Elements::begin(writer, code::UNREGISTERED)
        .id(m.request.0)
        .optional_dict(m.details.as_ref())
        .end();
}

fn interrupt<W: Writer>(writer: &mut W, m: &Interrupt) {
    Elements::begin(writer, code::INTERRUPT)
        .id(m.request.0)
        .with(|writer| writer.dict(&m.options))
        .end();
}

fn yield_message<W: Writer>(writer: &mut W, m: &Yield) {
    Elements::begin(writer, code::YIELD)
        .id(m.request.0)
        .with(|writer| options::yielding(writer, &m.options))
        .payload(&m.payload)
        .end();
}
