//! How one protocol says what scenarios say.
//!
//! Scenarios speak WAMP's messages, and nothing else. A [`Dialect`] turns them into what goes over one connection
//! and back. For WAMP itself that is a serializer and a framing; other publish/subscribe servers have words of their
//! own for the same things, so that they run on the same sockets, with the same batching and the same checks, and
//! their figures can be compared with a router's. What a protocol has no words for ends the run with an error.
//!
//! No dialect does I/O. A payload goes over a foreign protocol as the octets of WAMP's arguments in MessagePack.

mod mqtt;
mod nats;
mod redis;
mod wamp;

use anyhow::{anyhow, bail};
use bytes::{Buf, Bytes, BytesMut};
use crosspoint_codec::core::ids::{PublicationId, SessionId, SubscriptionId};
use crosspoint_codec::core::message::{Event, Goodbye, Message, Welcome};
use crosspoint_codec::core::options::EventDetails;
use crosspoint_codec::core::payload::{Format, Payload};
use crosspoint_codec::core::value::Dict;

use crate::target::{Protocol, Target};

/// The form in which payloads go over protocols that have no serializer.
const FOREIGN: Format = Format::MsgPack;

/// One connection's protocol.
pub(super) trait Dialect {
    /// The form of payloads.
    fn format(&self) -> Format {
        FOREIGN
    }

    /// Writes what the client begins with once TCP is there; whether HELLO may follow at once, and not only when
    /// [`Incoming::Ready`] has come.
    fn greet(&mut self, target: &Target, out: &mut BytesMut) -> bool;

    /// Takes the next thing that is complete off the front of `buf`.
    ///
    /// # Errors
    /// If it cannot be understood.
    fn next(&mut self, buf: &mut BytesMut) -> anyhow::Result<Option<Incoming>>;

    /// Writes a message.
    ///
    /// # Errors
    /// If the protocol has nothing like it; then nothing is written.
    fn write(&mut self, message: &Message, out: &mut BytesMut) -> anyhow::Result<()>;
}

/// What has come.
#[derive(Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and is a message nearly always"
)]
pub(super) enum Incoming {
    /// The transport's handshake is complete.
    Ready,
    Message(Message),
    /// To be sent back as it is.
    Reply(Bytes),
    /// Nothing to do.
    Nothing,
    /// The peer closes the transport; why, as far as it says.
    Close(String),
}

/// The dialect of a connection to `target`; `format` is for WAMP only.
pub(super) fn new(target: &Target, format: Format) -> Box<dyn Dialect> {
    match target.protocol {
        Protocol::Wamp(framing) => Box::new(wamp::Wamp::new(framing, format)),
        Protocol::Nats => Box::new(nats::Nats::new(fastrand::u64(..))),
        Protocol::Redis => Box::new(redis::Redis::default()),
        Protocol::Mqtt => Box::new(mqtt::Mqtt),
    }
}

/// The error of a message that `protocol` has nothing like.
fn refusal(protocol: &str, message: &Message) -> anyhow::Error {
    let what = match message {
        Message::Call(_) | Message::Register(_) | Message::Yield(_) => "calls".to_owned(),
        other => format!("{other:?}"),
    };
    anyhow!("{protocol} has no {what}: this scenario is not for it")
}

/// Refuses options that only WAMP has.
fn check_options(protocol: &str, message: &Message) -> anyhow::Result<()> {
    let what = match message {
        Message::Publish(publish) if publish.options.acknowledge => "acknowledged publications",
        Message::Subscribe(subscribe) if subscribe.options.match_policy.is_some() => "WAMP's match policies",
        Message::Register(register) if register.options.match_policy.is_some() => "WAMP's match policies",
        Message::Subscribe(subscribe) if subscribe.options.get_retained => "retained events on request",
        _ => return Ok(()),
    };
    bail!("{protocol} has no {what}: this scenario is not for it")
}

fn welcome() -> Incoming {
    let (session, details) = (SessionId(0), Dict::new());
    Incoming::Message(Message::Welcome(Welcome { session, details }))
}

fn goodbye() -> Incoming {
    Incoming::Message(Message::Goodbye(Goodbye {
        details: Dict::new(),
        reason: "wamp.close.goodbye_and_out".into(),
    }))
}

fn event(subscription: u64, octets: Bytes) -> Incoming {
    Incoming::Message(Message::Event(Event {
        subscription: SubscriptionId(subscription),
        publication: PublicationId(0),
        details: EventDetails::default(),
        payload: payload(octets),
    }))
}

/// What was sent as arguments in MessagePack. Nothing checks that it still is: receivers look for their mark.
fn payload(octets: Bytes) -> Payload {
    Payload {
        format: FOREIGN,
        args: octets,
        kwargs: Bytes::new(),
    }
}

/// The first line, without its end; the octets that it takes with it; `None` while it is incomplete.
///
/// # Errors
/// If it is longer than any line can be.
fn line(buf: &[u8]) -> anyhow::Result<Option<(&[u8], usize)>> {
    /// NATS tells much about itself in its first line.
    const LINE_MAX: usize = 64 * 1024;
    match buf.iter().position(|&octet| octet == b'\n') {
        Some(end) => Ok(Some((
            buf[..end].strip_suffix(b"\r").unwrap_or(&buf[..end]),
            end + 1,
        ))),
        None if buf.len() > LINE_MAX => bail!("a line of more than {LINE_MAX} octets"),
        None => Ok(None),
    }
}

/// A decimal number.
fn number<N: std::str::FromStr>(digits: &[u8]) -> anyhow::Result<N> {
    let text = std::str::from_utf8(digits).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| anyhow!("expected a number, got {:?}", digits.escape_ascii().to_string()))
}

/// Takes `len` octets off the front of `buf` once it has `head` in front of them and `tail` behind; both go too.
fn take(buf: &mut BytesMut, head: usize, len: usize, tail: usize) -> Option<Bytes> {
    if buf.len() < head.checked_add(len)?.checked_add(tail)? {
        return None;
    }
    buf.advance(head);
    let taken = buf.split_to(len).freeze();
    buf.advance(tail);
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of `octets`, which must be the same however they are cut.
    pub(super) fn received<D: Dialect>(make: impl Fn() -> D, octets: &[u8]) -> Vec<Incoming> {
        let (mut dialect, mut buf) = (make(), BytesMut::from(octets));
        let whole = drain(&mut dialect, &mut buf);
        assert!(buf.is_empty(), "left over: {buf:?}");
        let (mut dialect, mut buf, mut piecemeal) = (make(), BytesMut::new(), Vec::new());
        for octet in octets {
            buf.extend_from_slice(&[*octet]);
            piecemeal.append(&mut drain(&mut dialect, &mut buf));
        }
        assert_eq!(piecemeal, whole);
        whole
    }

    fn drain(dialect: &mut impl Dialect, buf: &mut BytesMut) -> Vec<Incoming> {
        std::iter::from_fn(|| dialect.next(buf).unwrap()).collect()
    }

    pub(super) fn sent(dialect: &mut impl Dialect, message: &Message) -> String {
        let mut out = BytesMut::new();
        dialect.write(message, &mut out).unwrap();
        out.escape_ascii().to_string()
    }

    pub(super) mod say {
        use crosspoint_codec::core::ids::RequestId;
        use crosspoint_codec::core::message::{Call, Hello, Publish, Register, Subscribe};
        use crosspoint_codec::core::options::{
            CallOptions, PublishOptions, RegisterOptions, SubscribeOptions,
        };

        use super::*;

        pub(in super::super) fn hello() -> Message {
            Message::Hello(Hello {
                realm: "realm1".into(),
                details: Dict::new(),
            })
        }

        pub(in super::super) fn subscribe(request: u64, topic: &'static str) -> Message {
            Message::Subscribe(Subscribe {
                request: RequestId(request),
                options: SubscribeOptions::default(),
                topic: topic.into(),
            })
        }

        pub(in super::super) fn publish(topic: &'static str, octets: &'static [u8]) -> Message {
            Message::Publish(Publish {
                request: RequestId(1),
                options: PublishOptions::default(),
                topic: topic.into(),
                payload: payload(Bytes::from_static(octets)),
            })
        }

        pub(in super::super) fn register(request: u64, procedure: &'static str) -> Register {
            Register {
                request: RequestId(request),
                options: RegisterOptions::default(),
                procedure: procedure.into(),
            }
        }

        pub(in super::super) fn call(request: u64, procedure: &'static str) -> Message {
            Message::Call(Call {
                request: RequestId(request),
                options: CallOptions::default(),
                procedure: procedure.into(),
                payload: payload(Bytes::from_static(b"ask")),
            })
        }
    }

    #[test]
    fn what_only_wamp_has_is_refused_and_nothing_is_written() {
        let mut out = BytesMut::new();
        let foreign: [Box<dyn Dialect>; 3] = [
            Box::new(nats::Nats::new(0)),
            Box::new(redis::Redis::default()),
            Box::new(mqtt::Mqtt),
        ];
        for mut dialect in foreign {
            let Message::Publish(mut publish) = say::publish("t", b"x") else {
                unreachable!()
            };
            publish.options.acknowledge = true;
            let Message::Subscribe(mut subscribe) = say::subscribe(1, "t") else {
                unreachable!()
            };
            subscribe.options.get_retained = true;
            for message in [Message::Publish(publish), Message::Subscribe(subscribe)] {
                let error = dialect.write(&message, &mut out).unwrap_err();
                assert!(error.to_string().contains("not for it"), "{error}");
            }
        }
        for mut dialect in [
            Box::new(redis::Redis::default()) as Box<dyn Dialect>,
            Box::new(mqtt::Mqtt),
        ] {
            let error = dialect.write(&say::call(1, "p"), &mut out).unwrap_err();
            assert!(error.to_string().contains("no calls"), "{error}");
        }
        assert!(out.is_empty());
    }

    #[test]
    fn a_line_may_not_grow_for_ever() {
        assert_eq!(line(b"ab\r\ncd").unwrap(), Some((&b"ab"[..], 4)));
        assert_eq!(line(b"ab\n").unwrap(), Some((&b"ab"[..], 3)));
        assert_eq!(line(b"ab\r").unwrap(), None);
        assert!(line(&[b'x'; 70_000]).is_err());
    }
}
