//! An open session's messages, one arm each.

use std::borrow::Cow;

use bytestring::ByteString;

use super::Router;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{ConnKey, ID_MAX, RequestId};
use crate::message::{Error, Message, RequestKind};
use crate::options::MatchPolicy;
use crate::payload::Payload;
use crate::uri::{UriCheck, is_valid};
use crate::value::{Dict, Value};

/// Why a request is answered by ERROR.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The error URI.
    pub(crate) error: &'static str,
    /// For ERROR.Details.message, where the URI does not say it all.
    pub(crate) message: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(error: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            error,
            message: message.into(),
        }
    }
}

impl Router {
    pub(super) fn in_session(&mut self, conn: ConnKey, message: Message, fx: &mut Effects) {
        if let Some(request) = sequential_request(&message)
            && !self.is_in_sequence(conn, request, matches!(message, Message::Call(_)))
        {
            let text = format!("request id {request} is not the one after the last, as this realm demands");
            return self.violate(conn, &text, fx);
        }
        match message {
            Message::Publish(publish) => self.publish(conn, publish, fx),
            Message::Subscribe(subscribe) => self.subscribe(conn, subscribe, fx),
            Message::Unsubscribe(unsubscribe) => self.unsubscribe(conn, &unsubscribe, fx),
            Message::Call(call) => self.call(conn, call, fx),
            Message::Cancel(cancel) => self.cancel(conn, &cancel, fx),
            Message::Register(register) => self.register(conn, register, fx),
            Message::Unregister(unregister) => self.unregister(conn, &unregister, fx),
            Message::Yield(answer) => self.yielded(conn, answer, fx),
            Message::Error(error) => self.callee_error(conn, error, fx),
            Message::Goodbye(goodbye) => {
                if is_valid(UriCheck::Loose, MatchPolicy::Exact, &goodbye.reason) {
                    self.client_goodbye(conn, fx);
                } else {
                    self.violate(conn, "GOODBYE.Reason is no valid URI", fx);
                }
            }
            Message::Abort(_) => self.client_abort(conn, fx),
            // Provisional, and asked for by nobody here: see `message::code::EVENT_RECEIVED`.
            Message::EventReceived(_) => {}
            Message::Hello(_) => self.violate(conn, "HELLO in an open session", fx),
            Message::Authenticate(_) => self.violate(conn, "AUTHENTICATE in an open session", fx),
            Message::Welcome(_)
            | Message::Challenge(_)
            | Message::Published(_)
            | Message::Subscribed(_)
            | Message::Unsubscribed(_)
            | Message::Event(_)
            | Message::Result(_)
            | Message::Registered(_)
            | Message::Unregistered(_)
            | Message::Invocation(_)
            | Message::Interrupt(_) => self.violate(conn, "a message that only a router sends", fx),
        }
    }

    /// Whether a request id is the one that follows the last, where the realm wants that. Further parts of a call
    /// have the id of the first.
    fn is_in_sequence(&mut self, conn: ConnKey, request: RequestId, is_call: bool) -> bool {
        let Some(realm) = self.conns.session(conn).map(|session| session.realm) else {
            return true;
        };
        if !self.realm_config(realm).strict_request_ids {
            return true;
        }
        let Some(session) = self.conns.session_mut(conn) else {
            return true;
        };
        if is_call && session.calls.contains_key(&request) {
            return true;
        }
        let expected = if session.last_request == ID_MAX {
            1
        } else {
            session.last_request + 1
        };
        session.last_request = request.0;
        request.0 == expected
    }

    /// Answers a request by ERROR.
    pub(crate) fn refuse(
        &self,
        conn: ConnKey,
        (kind, request): (RequestKind, RequestId),
        refusal: Refusal,
        fx: &mut Effects,
    ) {
        let mut details = Dict::new();
        if !refusal.message.is_empty() {
            details.push("message", refusal.message.as_ref());
        }
        let error = Error {
            kind,
            request,
            details,
            error: refusal.error.into(),
            payload: Payload::EMPTY,
        };
        fx.send(conn, Message::Error(error));
    }
}

/// The id of a message that uses one up.
fn sequential_request(message: &Message) -> Option<RequestId> {
    match message {
        Message::Publish(publish) => Some(publish.request),
        Message::Subscribe(subscribe) => Some(subscribe.request),
        Message::Unsubscribe(unsubscribe) => Some(unsubscribe.request),
        Message::Call(call) => Some(call.request),
        Message::Register(register) => Some(register.request),
        Message::Unregister(unregister) => Some(unregister.request),
        _ => None,
    }
}

/// Keys of payload passthru mode (specification, "Payload Passthru Mode"), and of autobahn's older form of it. Their
/// values are text, which the codec sees to.
const PASSTHRU: [&str; 7] = [
    "ppt_scheme",
    "ppt_serializer",
    "ppt_cipher",
    "ppt_keyid",
    "enc_algo",
    "enc_key",
    "enc_serializer",
];

/// What of these options or details goes with the payload: no more than that, since each receiver gets a copy.
pub(crate) fn passthru(rest: Dict) -> Dict {
    if rest.is_empty() {
        return rest;
    }
    let goes_along =
        |(key, value): &(ByteString, Value)| PASSTHRU.contains(&&**key) && value.as_str().is_some();
    Dict(rest.0.into_iter().filter(goes_along).collect())
}

/// Whether these options or details are those of payload passthru mode.
pub(crate) fn is_passthru(rest: &Dict) -> bool {
    rest.0.iter().any(|(key, _)| key.starts_with("ppt_"))
}

pub(crate) fn invalid_uri(what: &'static str) -> Refusal {
    Refusal::new(uri::INVALID_URI, what)
}
