//! The table of each message, read. Details that have a field are what other serializers have under their names.

use bytes::Bytes;
use bytestring::ByteString;
use crosspoint_core::ids::{PublicationId, RegistrationId, RequestId, SessionId, SubscriptionId};
use crosspoint_core::message::{
    Abort, Authenticate, Call, CallResult, Cancel, Challenge, Error, Event, EventReceived, Goodbye, Hello,
    Interrupt, Invocation, Message, Publish, Published, Register, Registered, RequestKind, Subscribe,
    Subscribed, Unregister, Unregistered, Unsubscribe, Unsubscribed, Welcome, Yield, code,
};
use crosspoint_core::options::{
    CallOptions, CancelOptions, EventDetails, InvocationDetails, PublishOptions, Receivers, RegisterOptions,
    ResultDetails, SubscribeOptions, YieldOptions,
};
use crosspoint_core::payload::Payload;
use crosspoint_core::value::{Dict, Value};

use super::fields::Incoming;
use super::table::Source;
use super::{payload, roles, schema as s};
use crate::decode::{Limits, message_of_code, shape};
use crate::error::DecodeError;

type Refusal = Box<DecodeError>;

/// Decodes `input`, which is exactly one message.
pub(crate) fn decode(input: &Bytes, limits: Limits) -> Result<Message, Refusal> {
    let source = Source::new(input);
    let root = source.root()?;
    let Some(table) = root.table(s::MESSAGE)? else {
        let found = "no message".to_owned();
        return Err(DecodeError::NotAMessage { found }.into());
    };
    let code = match root.u8(s::MESSAGE_TYPE)?.unwrap_or(0) {
        s::EVENT_RECEIVED_TYPE => code::EVENT_RECEIVED,
        other => other.into(),
    };
    let name = shape(code).ok_or(DecodeError::UnknownType(code))?.name;
    let incoming = Incoming { table, limits, name };
    incoming.message(code)
}

impl Incoming<'_> {
    fn message(&self, code: u64) -> Result<Message, Refusal> {
        message_of_code!(self, code)
    }

    fn hello(&self) -> Result<Hello, Refusal> {
        let table = &self.table;
        let roles = match table.table(s::hello::ROLES)? {
            Some(table) => roles::read(&roles::CLIENT, &table)?,
            None => roles::untold(),
        };
        let mut details = Dict::new().with("roles", roles);
        if let Some(methods) = table.bytes(s::hello::AUTHMETHODS)? {
            self.count(methods.len())?;
            let known = |number: &u8| s::AUTHMETHOD.get(usize::from(*number));
            let names: Vec<Value> = methods
                .iter()
                .filter_map(known)
                .map(|name| (*name).into())
                .collect();
            details.push("authmethods", names);
        }
        self.text(s::hello::AUTHID, "authid", &mut details)?;
        self.text(s::hello::AUTHROLE, "authrole", &mut details)?;
        self.entry(s::hello::AUTHEXTRA, "authextra", &mut details)?;
        self.flag(s::hello::RESUMABLE, "resumable", &mut details)?;
        self.number(s::hello::RESUME_SESSION, "resume-session", &mut details)?;
        self.text(s::hello::RESUME_TOKEN, "resume-token", &mut details)?;
        let realm = table.text(s::hello::REALM)?.unwrap_or_default();
        Ok(Hello { realm, details })
    }

    fn welcome(&self) -> Result<Welcome, Refusal> {
        let mut details = Dict::new();
        if let Some(table) = self.table.table(s::welcome::ROLES)? {
            details.push("roles", roles::read(&roles::ROUTER, &table)?);
        }
        self.text(s::welcome::REALM, "realm", &mut details)?;
        self.text(s::welcome::AUTHID, "authid", &mut details)?;
        self.text(s::welcome::AUTHROLE, "authrole", &mut details)?;
        let method = self.table.u8(s::welcome::AUTHMETHOD)?.unwrap_or(0);
        if let Some(name) = s::AUTHMETHOD.get(usize::from(method)) {
            details.push("authmethod", *name);
        }
        self.text(s::welcome::AUTHPROVIDER, "authprovider", &mut details)?;
        self.entry(s::welcome::AUTHEXTRA, "authextra", &mut details)?;
        Ok(Welcome {
            session: self.id(s::welcome::SESSION, "Session").map(SessionId)?,
            details,
        })
    }

    fn abort(&self) -> Result<Abort, Refusal> {
        let mut details = Dict::new();
        self.text(s::leave::MESSAGE, "message", &mut details)?;
        Ok(Abort {
            details,
            reason: self.needed_text(s::leave::REASON)?,
            payload: Payload::EMPTY,
        })
    }

    fn goodbye(&self) -> Result<Goodbye, Refusal> {
        let mut details = Dict::new();
        self.text(s::leave::MESSAGE, "message", &mut details)?;
        self.flag(s::leave::RESUMABLE, "resumable", &mut details)?;
        Ok(Goodbye {
            details,
            reason: self.needed_text(s::leave::REASON)?,
        })
    }

    fn challenge(&self) -> Result<Challenge, Refusal> {
        let method = self.table.u8(s::authentication::METHOD)?.unwrap_or(0);
        let method = s::AUTHMETHOD.get(usize::from(method)).copied();
        Ok(Challenge {
            method: ByteString::from_static(method.unwrap_or_default()),
            extra: self.extra()?,
        })
    }

    fn authenticate(&self) -> Result<Authenticate, Refusal> {
        Ok(Authenticate {
            signature: self.needed_text(s::authentication::SIGNATURE)?,
            extra: self.extra()?,
        })
    }

    fn error(&self) -> Result<Error, Refusal> {
        let code = self.table.u16(s::error::REQUEST_TYPE)?;
        let kind = RequestKind::of(code.into()).ok_or_else(|| {
            let found = code.to_string();
            self.unexpected("REQUEST.Type", "the type of a request", &found)
        })?;
        let mut details = Dict::new();
        self.forward_for(s::error::FORWARD_FOR, &mut details)?;
        Ok(Error {
            kind,
            request: self.id(s::error::REQUEST, "REQUEST.Request").map(RequestId)?,
            error: self.needed_text(s::error::ERROR)?,
            payload: payload::read(self, s::error::PAYLOAD, &mut details)?,
            details,
        })
    }

    fn publish(&self) -> Result<Publish, Refusal> {
        let table = &self.table;
        let mut rest = Dict::new();
        self.text(s::publish::TRANSACTION_HASH, "transaction_hash", &mut rest)?;
        self.forward_for(s::publish::FORWARD_FOR, &mut rest)?;
        let receivers = Receivers {
            eligible: self.sessions(s::publish::ELIGIBLE)?,
            eligible_authid: self.texts(s::publish::ELIGIBLE_AUTHID)?,
            eligible_authrole: self.texts(s::publish::ELIGIBLE_AUTHROLE)?,
            exclude: self.sessions(s::publish::EXCLUDE)?,
            exclude_authid: self.texts(s::publish::EXCLUDE_AUTHID)?,
            exclude_authrole: self.texts(s::publish::EXCLUDE_AUTHROLE)?,
        };
        Ok(Publish {
            request: self.request("Request")?,
            topic: self.needed_text(s::publish::TOPIC)?,
            payload: payload::read(self, s::publish::PAYLOAD, &mut rest)?,
            options: PublishOptions {
                acknowledge: table.flag(s::publish::ACKNOWLEDGE)?,
                exclude_me: table.u8(s::publish::EXCLUDE_ME)?.map(|value| value != 0),
                retain: table.flag(s::publish::RETAIN)?,
                receivers: (receivers != Receivers::default()).then(|| Box::new(receivers)),
                rest,
                ..PublishOptions::default()
            },
        })
    }

    fn published(&self) -> Result<Published, Refusal> {
        Ok(Published {
            request: self.request("PUBLISH.Request")?,
            publication: self.id(s::pair::ID, "Publication").map(PublicationId)?,
        })
    }

    fn subscribe(&self) -> Result<Subscribe, Refusal> {
        Ok(Subscribe {
            request: self.request("Request")?,
            options: SubscribeOptions {
                match_policy: self.one_of(s::subscribe::MATCH, "match", &s::MATCH)?,
                get_retained: self.table.flag(s::subscribe::GET_RETAINED)?,
                ..SubscribeOptions::default()
            },
            topic: self.needed_text(s::subscribe::TOPIC)?,
        })
    }

    fn subscribed(&self) -> Result<Subscribed, Refusal> {
        Ok(Subscribed {
            request: self.request("SUBSCRIBE.Request")?,
            subscription: self.id(s::pair::ID, "Subscription").map(SubscriptionId)?,
        })
    }

    fn unsubscribe(&self) -> Result<Unsubscribe, Refusal> {
        Ok(Unsubscribe {
            request: self.request("Request")?,
            subscription: self
                .id(s::pair::ID, "SUBSCRIBED.Subscription")
                .map(SubscriptionId)?,
            options: None,
        })
    }

    fn unsubscribed(&self) -> Result<Unsubscribed, Refusal> {
        let request = self.request_or_zero("UNSUBSCRIBE.Request")?;
        let details = self.revoked("subscription")?;
        Ok(Unsubscribed { request, details })
    }

    fn event(&self) -> Result<Event, Refusal> {
        let table = &self.table;
        let mut rest = Dict::new();
        self.text(s::event::TRANSACTION_HASH, "transaction_hash", &mut rest)?;
        self.flag(s::event::ACKNOWLEDGE, "x_acknowledged_delivery", &mut rest)?;
        self.forward_for(s::event::FORWARD_FOR, &mut rest)?;
        Ok(Event {
            subscription: self
                .id(s::event::SUBSCRIPTION, "SUBSCRIBED.Subscription")
                .map(SubscriptionId)?,
            publication: self
                .id(s::event::PUBLICATION, "PUBLISHED.Publication")
                .map(PublicationId)?,
            payload: payload::read(self, s::event::PAYLOAD, &mut rest)?,
            details: EventDetails {
                publisher: self.optional_session(s::event::PUBLISHER, "Details.publisher")?,
                publisher_authid: table.text(s::event::PUBLISHER_AUTHID)?,
                publisher_authrole: table.text(s::event::PUBLISHER_AUTHROLE)?,
                topic: table.text(s::event::TOPIC)?,
                retained: table.flag(s::event::RETAINED)?,
                rest,
                ..EventDetails::default()
            },
        })
    }

    fn event_received(&self) -> Result<EventReceived, Refusal> {
        let publication = self.id(s::event_received::PUBLICATION, "PUBLISHED.Publication")?;
        Ok(EventReceived {
            publication: PublicationId(publication),
        })
    }

    fn call(&self) -> Result<Call, Refusal> {
        let mut rest = Dict::new();
        self.text(s::call::TRANSACTION_HASH, "transaction_hash", &mut rest)?;
        self.number(s::call::CALLER, "caller", &mut rest)?;
        self.text(s::call::CALLER_AUTHID, "caller_authid", &mut rest)?;
        self.text(s::call::CALLER_AUTHROLE, "caller_authrole", &mut rest)?;
        self.forward_for(s::call::FORWARD_FOR, &mut rest)?;
        Ok(Call {
            request: self.request("Request")?,
            procedure: self.needed_text(s::call::PROCEDURE)?,
            payload: payload::read(self, s::call::PAYLOAD, &mut rest)?,
            options: CallOptions {
                timeout: self.timeout(s::call::TIMEOUT)?,
                receive_progress: self.table.flag(s::call::RECEIVE_PROGRESS)?,
                rest,
                ..CallOptions::default()
            },
        })
    }

    fn cancel(&self) -> Result<Cancel, Refusal> {
        let mut rest = Dict::new();
        self.forward_for(s::cancel::FORWARD_FOR, &mut rest)?;
        let mode = Some(self.mode(s::cancel::MODE, s::CANCEL_DEFAULT)?);
        Ok(Cancel {
            request: self.request("CALL.Request")?,
            options: CancelOptions { mode, rest },
        })
    }

    fn result(&self) -> Result<CallResult, Refusal> {
        let (progress, payload, rest) = self.answer()?;
        Ok(CallResult {
            request: self.request("CALL.Request")?,
            details: ResultDetails { progress, rest },
            payload,
        })
    }

    fn yield_message(&self) -> Result<Yield, Refusal> {
        let (progress, payload, rest) = self.answer()?;
        Ok(Yield {
            request: self.request("INVOCATION.Request")?,
            options: YieldOptions { progress, rest },
            payload,
        })
    }

    /// What RESULT and YIELD have in common.
    fn answer(&self) -> Result<(bool, Payload, Dict), Refusal> {
        let mut rest = Dict::new();
        self.number(s::result::CALLEE, "callee", &mut rest)?;
        self.text(s::result::CALLEE_AUTHID, "callee_authid", &mut rest)?;
        self.text(s::result::CALLEE_AUTHROLE, "callee_authrole", &mut rest)?;
        self.forward_for(s::result::FORWARD_FOR, &mut rest)?;
        let progress = self.table.flag(s::result::PROGRESS)?;
        let payload = payload::read(self, s::result::PAYLOAD, &mut rest)?;
        Ok((progress, payload, rest))
    }

    fn register(&self) -> Result<Register, Refusal> {
        let concurrency = self.table.u16(s::register::CONCURRENCY)?;
        Ok(Register {
            request: self.request("Request")?,
            options: RegisterOptions {
                match_policy: self.one_of(s::register::MATCH, "match", &s::MATCH)?,
                invoke: self.one_of(s::register::INVOKE, "invoke", &s::INVOKE)?,
                concurrency: (concurrency > 0).then_some(concurrency.into()),
                force_reregister: self.table.flag(s::register::FORCE_REREGISTER)?,
                ..RegisterOptions::default()
            },
            procedure: self.needed_text(s::register::PROCEDURE)?,
        })
    }

    fn registered(&self) -> Result<Registered, Refusal> {
        Ok(Registered {
            request: self.request("REGISTER.Request")?,
            registration: self.id(s::pair::ID, "Registration").map(RegistrationId)?,
        })
    }

    fn unregister(&self) -> Result<Unregister, Refusal> {
        Ok(Unregister {
            request: self.request("Request")?,
            registration: self
                .id(s::pair::ID, "REGISTERED.Registration")
                .map(RegistrationId)?,
            options: None,
        })
    }

    fn unregistered(&self) -> Result<Unregistered, Refusal> {
        let request = self.request_or_zero("UNREGISTER.Request")?;
        let details = self.revoked("registration")?;
        Ok(Unregistered { request, details })
    }

    fn invocation(&self) -> Result<Invocation, Refusal> {
        let table = &self.table;
        let mut rest = Dict::new();
        self.text(s::invocation::TRANSACTION_HASH, "transaction_hash", &mut rest)?;
        self.forward_for(s::invocation::FORWARD_FOR, &mut rest)?;
        Ok(Invocation {
            request: self.request("Request")?,
            registration: self
                .id(s::invocation::REGISTRATION, "REGISTERED.Registration")
                .map(RegistrationId)?,
            payload: payload::read(self, s::invocation::PAYLOAD, &mut rest)?,
            details: InvocationDetails {
                caller: self.optional_session(s::invocation::CALLER, "Details.caller")?,
                caller_authid: table.text(s::invocation::CALLER_AUTHID)?,
                caller_authrole: table.text(s::invocation::CALLER_AUTHROLE)?,
                procedure: table.text(s::invocation::PROCEDURE)?,
                timeout: self.timeout(s::invocation::TIMEOUT)?,
                receive_progress: table.flag(s::invocation::RECEIVE_PROGRESS)?,
                rest,
                ..InvocationDetails::default()
            },
        })
    }

    fn interrupt(&self) -> Result<Interrupt, Refusal> {
        let mode = self.mode(s::interrupt::MODE, s::INTERRUPT_DEFAULT)?;
        let mut options = Dict::new().with("mode", mode.name());
        self.text(s::interrupt::REASON, "reason", &mut options)?;
        self.forward_for(s::interrupt::FORWARD_FOR, &mut options)?;
        Ok(Interrupt {
            request: self.request("INVOCATION.Request")?,
            options,
        })
    }
}
