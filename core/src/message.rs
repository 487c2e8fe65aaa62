//! WAMP's messages, one type each (specification, "Messages").
//!
//! Hot messages have typed options and details; those of the handshake, which a session sees once, carry a
//! [`Dict`]. Options and details keep in `rest` every entry that they have no field for, in order; an entry
//! whose value is null (or CBOR undefined, or MessagePack ext 0) is absent.

use bytestring::ByteString;

use crate::ids::{PublicationId, RegistrationId, RequestId, SessionId, SubscriptionId};
use crate::options::{
    CallOptions, CancelOptions, EventDetails, InvocationDetails, PublishOptions, RegisterOptions,
    ResultDetails, SubscribeOptions, YieldOptions,
};
use crate::payload::Payload;
use crate::value::Dict;

/// Any WAMP message.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented on its type")]
pub enum Message {
    Hello(Hello),
    Welcome(Welcome),
    Abort(Abort),
    Challenge(Challenge),
    Authenticate(Authenticate),
    Goodbye(Goodbye),
    Error(Error),
    Publish(Publish),
    Published(Published),
    Subscribe(Subscribe),
    Subscribed(Subscribed),
    Unsubscribe(Unsubscribe),
    Unsubscribed(Unsubscribed),
    Event(Event),
    EventReceived(EventReceived),
    Call(Call),
    Cancel(Cancel),
    Result(CallResult),
    Register(Register),
    Registered(Registered),
    Unregister(Unregister),
    Unregistered(Unregistered),
    Invocation(Invocation),
    Interrupt(Interrupt),
    Yield(Yield),
}

/// Message codes, the first element of each message.
pub mod code {
    #![allow(missing_docs, reason = "the names are those of the specification")]
    pub const HELLO: u64 = 1;
    pub const WELCOME: u64 = 2;
    pub const ABORT: u64 = 3;
    pub const CHALLENGE: u64 = 4;
    pub const AUTHENTICATE: u64 = 5;
    pub const GOODBYE: u64 = 6;
    pub const ERROR: u64 = 8;
    pub const PUBLISH: u64 = 16;
    pub const PUBLISHED: u64 = 17;
    pub const SUBSCRIBE: u64 = 32;
    pub const SUBSCRIBED: u64 = 33;
    pub const UNSUBSCRIBE: u64 = 34;
    pub const UNSUBSCRIBED: u64 = 35;
    pub const EVENT: u64 = 36;
    pub const CALL: u64 = 48;
    pub const CANCEL: u64 = 49;
    pub const RESULT: u64 = 50;
    pub const REGISTER: u64 = 64;
    pub const REGISTERED: u64 = 65;
    pub const UNREGISTER: u64 = 66;
    pub const UNREGISTERED: u64 = 67;
    pub const INVOCATION: u64 = 68;
    pub const INTERRUPT: u64 = 69;
    pub const YIELD: u64 = 70;
    /// Provisional; in the test vectors and in autobahn, not in the specification's text.
    pub const EVENT_RECEIVED: u64 = 337;
}

/// The request that an ERROR answers: `REQUEST.Type`. Codecs refuse every other number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum RequestKind {
    /// 16
    Publish = 16,
    /// 32
    Subscribe = 32,
    /// 34
    Unsubscribe = 34,
    /// 48
    Call = 48,
    /// 64
    Register = 64,
    /// 66
    Unregister = 66,
    /// 68: the only one that a client sends.
    Invocation = 68,
}

impl RequestKind {
    /// The kind of request that has this message code.
    #[must_use]
    pub fn of(code: u64) -> Option<Self> {
        let all = [
            Self::Publish,
            Self::Subscribe,
            Self::Unsubscribe,
            Self::Call,
            Self::Register,
            Self::Unregister,
            Self::Invocation,
        ];
        all.into_iter().find(|kind| *kind as u64 == code)
    }
}

/// HELLO: a client opens a session. `realm` is not yet checked to be a URI.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// The realm to join; empty where the client sent null.
    pub realm: ByteString,
    /// Roles, identity, authentication.
    pub details: Dict,
}

/// WELCOME: the session is open.
#[derive(Clone, Debug, PartialEq)]
pub struct Welcome {
    /// The id of the new session.
    pub session: SessionId,
    /// Roles and the identity that was granted.
    pub details: Dict,
}

/// ABORT: the session does not open, or ends for a violation of the protocol. Never answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Abort {
    /// `message`: a text for humans.
    pub details: Dict,
    /// Why, as a URI.
    pub reason: ByteString,
    /// Some peers send one; the router never does, since autobahn takes exactly three elements.
    pub payload: Payload,
}

/// CHALLENGE: the router asks the client to prove who it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    /// The authentication method.
    pub method: ByteString,
    /// What the method needs.
    pub extra: Dict,
}

/// AUTHENTICATE: the client's answer to CHALLENGE.
#[derive(Clone, Debug, PartialEq)]
pub struct Authenticate {
    /// The proof.
    pub signature: ByteString,
    /// What the method needs.
    pub extra: Dict,
}

/// GOODBYE: either side ends the session, and the other answers in kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Goodbye {
    /// `message`: a text for humans.
    pub details: Dict,
    /// Why, as a URI.
    pub reason: ByteString,
}

/// ERROR: a request failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// The kind of the request.
    pub kind: RequestKind,
    /// The request.
    pub request: RequestId,
    /// Seldom used.
    pub details: Dict,
    /// What went wrong, as a URI.
    pub error: ByteString,
    /// More about it.
    pub payload: Payload,
}

/// PUBLISH: a client publishes an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    /// The publisher's request.
    pub request: RequestId,
    /// Who is to receive it, and how it is acknowledged.
    pub options: PublishOptions,
    /// The topic, not yet checked to be a URI.
    pub topic: ByteString,
    /// For the subscribers.
    pub payload: Payload,
}

/// PUBLISHED: the publication was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The publisher's request.
    pub request: RequestId,
    /// The id that each EVENT carries.
    pub publication: PublicationId,
}

/// SUBSCRIBE: a client asks for the events of a topic or pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribe {
    /// The subscriber's request.
    pub request: RequestId,
    /// The match policy and more.
    pub options: SubscribeOptions,
    /// The topic or pattern, not yet checked to be one.
    pub topic: ByteString,
}

/// SUBSCRIBED: the subscription is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribed {
    /// The subscriber's request.
    pub request: RequestId,
    /// The id that each EVENT carries.
    pub subscription: SubscriptionId,
}

/// UNSUBSCRIBE: a client gives a subscription up.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsubscribe {
    /// The subscriber's request.
    pub request: RequestId,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// A fourth element that autobahn may send; `None` where absent.
    pub options: Option<Dict>,
}

/// UNSUBSCRIBED: no further events; or, with request 0, the router revoked the subscription.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsubscribed {
    /// The subscriber's request, or 0.
    pub request: RequestId,
    /// Only on revocation.
    pub details: Option<Dict>,
}

/// EVENT: what a subscriber receives.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The subscription it is for.
    pub subscription: SubscriptionId,
    /// The publication, the same for all receivers.
    pub publication: PublicationId,
    /// Topic, publisher and more.
    pub details: EventDetails,
    /// From the publisher.
    pub payload: Payload,
}

/// EVENT_RECEIVED: a subscriber acknowledges an event; provisional, see [`code::EVENT_RECEIVED`].
#[derive(Clone, Debug, PartialEq)]
pub struct EventReceived {
    /// The publication.
    pub publication: PublicationId,
}

/// CALL: a client calls a procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The caller's request.
    pub request: RequestId,
    /// Timeout, progress, disclosure.
    pub options: CallOptions,
    /// The procedure, not yet checked to be a URI.
    pub procedure: ByteString,
    /// For the callee.
    pub payload: Payload,
}

/// CANCEL: a caller gives up a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Cancel {
    /// The request of the CALL.
    pub request: RequestId,
    /// The mode.
    pub options: CancelOptions,
}

/// RESULT: what a call brought.
#[derive(Clone, Debug, PartialEq)]
pub struct CallResult {
    /// The request of the CALL.
    pub request: RequestId,
    /// Whether more follows.
    pub details: ResultDetails,
    /// From the callee.
    pub payload: Payload,
}

/// REGISTER: a client offers a procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct Register {
    /// The callee's request.
    pub request: RequestId,
    /// Match and invocation policy and more.
    pub options: RegisterOptions,
    /// The procedure or pattern, not yet checked to be one.
    pub procedure: ByteString,
}

/// REGISTERED: the procedure can be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// The callee's request.
    pub request: RequestId,
    /// The id that each INVOCATION carries.
    pub registration: RegistrationId,
}

/// UNREGISTER: a callee takes a procedure back.
#[derive(Clone, Debug, PartialEq)]
pub struct Unregister {
    /// The callee's request.
    pub request: RequestId,
    /// The registration.
    pub registration: RegistrationId,
    /// A fourth element that autobahn may send; `None` where absent.
    pub options: Option<Dict>,
}

/// UNREGISTERED: no further invocations; or, with request 0, the router revoked the registration.
#[derive(Clone, Debug, PartialEq)]
pub struct Unregistered {
    /// The callee's request, or 0.
    pub request: RequestId,
    /// Only on revocation.
    pub details: Option<Dict>,
}

/// INVOCATION: what a callee receives for a CALL.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The router's request, sequential for each callee.
    pub request: RequestId,
    /// The registration it is for.
    pub registration: RegistrationId,
    /// Procedure, caller, progress, timeout.
    pub details: InvocationDetails,
    /// From the caller.
    pub payload: Payload,
}

/// INTERRUPT: the router asks a callee to stop working on an invocation.
#[derive(Clone, Debug, PartialEq)]
pub struct Interrupt {
    /// The request of the INVOCATION.
    pub request: RequestId,
    /// `mode`, and `reason` as a URI.
    pub options: Dict,
}

/// YIELD: a callee's answer to an INVOCATION.
#[derive(Clone, Debug, PartialEq)]
pub struct Yield {
    /// The request of the INVOCATION.
    pub request: RequestId,
    /// Whether more follows.
    pub options: YieldOptions,
    /// For the caller.
    pub payload: Payload,
}
