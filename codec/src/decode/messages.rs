//! Every message by its type, and the messages of a session's life (specification, "Messages").

use bytestring::ByteString;
use crosspoint_core::ids::{RequestId, SessionId};
use crosspoint_core::message::{
    Abort, Authenticate, Challenge, Error, Goodbye, Hello, Message, RequestKind, Welcome, code,
};
use crosspoint_core::value::Dict;

use super::envelope::{Envelope, Refusal, Shape};
use super::fields::unsigned;
use crate::read::{Reader, Token};

/// The message of type `code`.
pub(crate) fn shape(code: u64) -> Option<Shape> {
    let (name, least, most) = match code {
        code::HELLO => ("HELLO", 3, 3),
        code::WELCOME => ("WELCOME", 3, 3),
        code::ABORT => ("ABORT", 3, 5),
        code::CHALLENGE => ("CHALLENGE", 3, 3),
        code::AUTHENTICATE => ("AUTHENTICATE", 3, 3),
        code::GOODBYE => ("GOODBYE", 3, 3),
        code::ERROR => ("ERROR", 5, 7),
        code::PUBLISH => ("PUBLISH", 4, 6),
        code::PUBLISHED => ("PUBLISHED", 3, 3),
        code::SUBSCRIBE => ("SUBSCRIBE", 4, 4),
        code::SUBSCRIBED => ("SUBSCRIBED", 3, 3),
        code::UNSUBSCRIBE => ("UNSUBSCRIBE", 3, 4),
        code::UNSUBSCRIBED => ("UNSUBSCRIBED", 2, 3),
        code::EVENT => ("EVENT", 4, 6),
        code::CALL => ("CALL", 4, 6),
        code::CANCEL => ("CANCEL", 3, 3),
        code::RESULT => ("RESULT", 3, 5),
        code::REGISTER => ("REGISTER", 4, 4),
        code::REGISTERED => ("REGISTERED", 3, 3),
        code::UNREGISTER => ("UNREGISTER", 3, 4),
        code::UNREGISTERED => ("UNREGISTERED", 2, 3),
        code::INVOCATION => ("INVOCATION", 4, 6),
        code::INTERRUPT => ("INTERRUPT", 3, 3),
        code::YIELD => ("YIELD", 3, 5),
        code::EVENT_RECEIVED => ("EVENT_RECEIVED", 2, 2),
        _ => return None,
    };
    Some(Shape { name, least, most })
}

/// Whether options or details announce that the payload is one opaque value.
pub(super) fn transparent(rest: &Dict) -> bool {
    rest.get("enc_algo").is_some()
}

/// The message of type `$code`, read from `$from` by the method of the message's name.
macro_rules! message_of_code {
    ($from:expr, $code:expr) => {{
        use crosspoint_core::message::{Message, code};
        use $crate::error::DecodeError;

        match $code {
            code::HELLO => $from.hello().map(Message::Hello),
            code::WELCOME => $from.welcome().map(Message::Welcome),
            code::ABORT => $from.abort().map(Message::Abort),
            code::CHALLENGE => $from.challenge().map(Message::Challenge),
            code::AUTHENTICATE => $from.authenticate().map(Message::Authenticate),
            code::GOODBYE => $from.goodbye().map(Message::Goodbye),
            code::ERROR => $from.error().map(Message::Error),
            code::PUBLISH => $from.publish().map(Message::Publish),
            code::PUBLISHED => $from.published().map(Message::Published),
            code::SUBSCRIBE => $from.subscribe().map(Message::Subscribe),
            code::SUBSCRIBED => $from.subscribed().map(Message::Subscribed),
            code::UNSUBSCRIBE => $from.unsubscribe().map(Message::Unsubscribe),
            code::UNSUBSCRIBED => $from.unsubscribed().map(Message::Unsubscribed),
            code::EVENT => $from.event().map(Message::Event),
            code::EVENT_RECEIVED => $from.event_received().map(Message::EventReceived),
            code::CALL => $from.call().map(Message::Call),
            code::CANCEL => $from.cancel().map(Message::Cancel),
            code::RESULT => $from.result().map(Message::Result),
            code::REGISTER => $from.register().map(Message::Register),
            code::REGISTERED => $from.registered().map(Message::Registered),
            code::UNREGISTER => $from.unregister().map(Message::Unregister),
            code::UNREGISTERED => $from.unregistered().map(Message::Unregistered),
            code::INVOCATION => $from.invocation().map(Message::Invocation),
            code::INTERRUPT => $from.interrupt().map(Message::Interrupt),
            code::YIELD => $from.yield_message().map(Message::Yield),
            _ => Err(DecodeError::UnknownType($code).into()),
        }
    }};
}
pub(crate) use message_of_code;

impl<'a, R: Reader<'a>> Envelope<'a, R> {
    /// Reads the elements behind the type.
    pub(super) fn message(&mut self, code: u64) -> Result<Message, Refusal> {
        message_of_code!(self, code)
    }

    fn hello(&mut self) -> Result<Hello, Refusal> {
        let realm = match self.element("Realm")? {
            Token::Null => ByteString::new(),
            token => self.text(token)?,
        };
        Ok(Hello {
            realm,
            details: self.dict_element("Details")?,
        })
    }

    fn welcome(&mut self) -> Result<Welcome, Refusal> {
        Ok(Welcome {
            session: self.id_element("Session", SessionId)?,
            details: self.dict_element("Details")?,
        })
    }

    fn abort(&mut self) -> Result<Abort, Refusal> {
        Ok(Abort {
            details: self.dict_element("Details")?,
            reason: self.text_element("Reason")?,
            payload: self.payload(false)?,
        })
    }

    fn challenge(&mut self) -> Result<Challenge, Refusal> {
        Ok(Challenge {
            method: self.text_element("AuthMethod")?,
            extra: self.dict_element("Extra")?,
        })
    }

    fn authenticate(&mut self) -> Result<Authenticate, Refusal> {
        Ok(Authenticate {
            signature: self.text_element("Signature")?,
            extra: self.dict_element("Extra")?,
        })
    }

    fn goodbye(&mut self) -> Result<Goodbye, Refusal> {
        Ok(Goodbye {
            details: self.dict_element("Details")?,
            reason: self.text_element("Reason")?,
        })
    }

    fn error(&mut self) -> Result<Error, Refusal> {
        let code = self.element("REQUEST.Type")?;
        let kind = unsigned(&code).and_then(RequestKind::of);
        let kind = kind.ok_or_else(|| self.unexpected("the type of a request", &code))?;
        let request = self.id_element("REQUEST.Request", RequestId)?;
        let details = self.dict_element("Details")?;
        Ok(Error {
            kind,
            request,
            error: self.text_element("Error")?,
            payload: self.payload(transparent(&details))?,
            details,
        })
    }
}
