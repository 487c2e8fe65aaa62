//! NATS's client protocol: lines of text, payloads with their length in front.
//!
//! A topic is a subject, a procedure too; a call is a request with an inbox to answer to. PING is answered in order
//! with all else, so that a PONG says that the server has carried out what was asked before. Callees of a shared
//! procedure form a queue group, of which the server chooses one at random.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

use anyhow::{Context, bail};
use bytes::{Buf, Bytes, BytesMut};
use crosspoint_codec::core::ids::{RegistrationId, RequestId, SubscriptionId};
use crosspoint_codec::core::message::{CallResult, Invocation, Message, Register, Registered, Subscribed};
use crosspoint_codec::core::options::{InvocationDetails, InvokePolicy, ResultDetails};
use crosspoint_codec::core::payload::Payload;

use super::{
    Dialect, Incoming, check_options, event, goodbye, line, number, payload, refusal, take, welcome,
};
use crate::target::Target;

/// The longest payload that is taken, in octets: NATS's own limit is 1 MiB unless configured.
const PAYLOAD_MAX: usize = 64 << 20;

/// The subscription to answers. Requests count from 1, and subscriptions are numbered as the requests for them.
const INBOX: u64 = 0;

pub(super) struct Nats {
    /// Sets this connection's inbox apart from all others.
    name: u64,
    has_inbox: bool,
    /// Whether the server has introduced itself.
    greeted: bool,
    /// What each PONG still to come stands for.
    asked: VecDeque<Asked>,
    /// Where to send the answers of open invocations, by request.
    replies: HashMap<u64, Bytes>,
    /// Invocations so far.
    invocations: u64,
}

enum Asked {
    Hello,
    Subscribe(RequestId),
    Register(RequestId),
    Goodbye,
}

impl Nats {
    pub(super) fn new(name: u64) -> Self {
        Self {
            name,
            has_inbox: false,
            greeted: false,
            asked: VecDeque::new(),
            replies: HashMap::new(),
            invocations: 0,
        }
    }

    fn ping(&mut self, asked: Asked, out: &mut BytesMut) {
        out.extend_from_slice(b"PING\r\n");
        self.asked.push_back(asked);
    }

    fn pong(&mut self) -> anyhow::Result<Incoming> {
        let message = match self.asked.pop_front().context("PONG without PING")? {
            Asked::Hello => return Ok(welcome()),
            Asked::Goodbye => return Ok(goodbye()),
            Asked::Subscribe(request) => Message::Subscribed(Subscribed {
                request,
                subscription: SubscriptionId(request.0),
            }),
            Asked::Register(request) => Message::Registered(Registered {
                request,
                registration: RegistrationId(request.0),
            }),
        };
        Ok(Incoming::Message(message))
    }

    /// `subject sid [reply-to] #octets` and the payload behind it.
    fn msg(&mut self, buf: &mut BytesMut, head: usize) -> anyhow::Result<Option<Incoming>> {
        let fields = &buf[b"MSG ".len()..head];
        let mut fields = fields
            .split(u8::is_ascii_whitespace)
            .filter(|field| !field.is_empty());
        let subject = fields.next().context("MSG without subject")?;
        let sid = number(fields.next().context("MSG without sid")?)?;
        let third = fields.next().context("MSG without length")?;
        let (reply, len) = match fields.next() {
            Some(len) => (Some(third), len),
            None => (None, third),
        };
        let len: usize = number(len)?;
        if len > PAYLOAD_MAX {
            bail!("a payload of {len} octets");
        }
        if buf.len() < head + len + b"\r\n".len() {
            return Ok(None);
        }
        let request = match sid {
            INBOX => number(subject.rsplit(|&octet| octet == b'.').next().unwrap_or_default())?,
            _ => 0,
        };
        let reply = reply.map(Bytes::copy_from_slice);
        let octets = take(buf, head, len, b"\r\n".len()).unwrap_or_default();
        Ok(Some(match (sid, reply) {
            (INBOX, _) => Incoming::Message(Message::Result(CallResult {
                request: RequestId(request),
                details: ResultDetails::default(),
                payload: payload(octets),
            })),
            (registration, Some(reply)) => self.invocation(registration, reply, octets),
            (subscription, None) => event(subscription, octets),
        }))
    }

    fn invocation(&mut self, registration: u64, reply: Bytes, octets: Bytes) -> Incoming {
        self.invocations += 1;
        self.replies.insert(self.invocations, reply);
        Incoming::Message(Message::Invocation(Invocation {
            request: RequestId(self.invocations),
            registration: RegistrationId(registration),
            details: InvocationDetails::default(),
            payload: payload(octets),
        }))
    }

    fn register(&mut self, register: &Register, out: &mut BytesMut) -> anyhow::Result<()> {
        let (procedure, sid) = (&register.procedure, register.request);
        let group = match register.options.invoke {
            None | Some(InvokePolicy::Single) => "",
            Some(InvokePolicy::RoundRobin | InvokePolicy::Random) => " callees",
            Some(_) => bail!("NATS always chooses callees at random"),
        };
        write!(out, "SUB {procedure}{group} {}\r\n", sid.0)?;
        self.ping(Asked::Register(sid), out);
        Ok(())
    }
}

impl Dialect for Nats {
    fn greet(&mut self, _target: &Target, _out: &mut BytesMut) -> bool {
        // The server speaks first.
        false
    }

    fn next(&mut self, buf: &mut BytesMut) -> anyhow::Result<Option<Incoming>> {
        let Some((text, head)) = line(buf)? else {
            return Ok(None);
        };
        let incoming = match text {
            [b'M', b'S', b'G', b' ', ..] => return self.msg(buf, head),
            b"PONG" => self.pong()?,
            b"PING" => Incoming::Reply(Bytes::from_static(b"PONG\r\n")),
            // It comes again when a cluster changes, which does not concern anybody here.
            [b'I', b'N', b'F', b'O', b' ', ..] if self.greeted => Incoming::Nothing,
            [b'I', b'N', b'F', b'O', b' ', ..] => {
                self.greeted = true;
                Incoming::Ready
            }
            other => Incoming::Close(format!("NATS says {}", other.escape_ascii())),
        };
        buf.advance(head);
        Ok(Some(incoming))
    }

    fn write(&mut self, message: &Message, out: &mut BytesMut) -> anyhow::Result<()> {
        check_options("NATS", message)?;
        match message {
            Message::Hello(_) => {
                let version = env!("CARGO_PKG_VERSION");
                write!(
                    out,
                    "CONNECT {{\"verbose\":false,\"pedantic\":false,\"lang\":\"rust\",\"version\":\"{version}\"}}\r\n"
                )?;
                self.ping(Asked::Hello, out);
            }
            Message::Subscribe(subscribe) => {
                write!(out, "SUB {} {}\r\n", subscribe.topic, subscribe.request.0)?;
                self.ping(Asked::Subscribe(subscribe.request), out);
            }
            Message::Publish(publish) => {
                write!(out, "PUB {} ", publish.topic)?;
                put_payload(out, &publish.payload)?;
            }
            Message::Register(register) => self.register(register, out)?,
            Message::Call(call) => {
                let (name, procedure, request) = (self.name, &call.procedure, call.request);
                if !self.has_inbox {
                    write!(out, "SUB _INBOX.{name:016x}.* {INBOX}\r\n")?;
                    self.has_inbox = true;
                }
                write!(out, "PUB {procedure} _INBOX.{name:016x}.{} ", request.0)?;
                put_payload(out, &call.payload)?;
            }
            Message::Yield(answer) => {
                let reply = self.replies.remove(&answer.request.0);
                let reply = reply.context("an answer to no invocation")?;
                out.extend_from_slice(b"PUB ");
                out.extend_from_slice(&reply);
                out.extend_from_slice(b" ");
                put_payload(out, &answer.payload)?;
            }
            Message::Goodbye(_) => self.ping(Asked::Goodbye, out),
            other => return Err(refusal("NATS", other)),
        }
        Ok(())
    }
}

/// The end of a PUB: the length, and the octets.
fn put_payload(out: &mut BytesMut, payload: &Payload) -> anyhow::Result<()> {
    write!(out, "{}\r\n", payload.args.len())?;
    out.extend_from_slice(&payload.args);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{received, say, sent};
    use super::*;

    fn after_hello() -> Nats {
        let mut nats = Nats::new(0xabc);
        sent(&mut nats, &say::hello());
        nats
    }

    #[test]
    fn a_session_opens_when_the_server_answers_the_ping() {
        let mut nats = Nats::new(0);
        assert!(!nats.greet(&"nats://h".parse().unwrap(), &mut BytesMut::new()));
        let hello = sent(&mut nats, &say::hello());
        assert!(
            hello.starts_with("CONNECT {") && hello.ends_with("}\\r\\nPING\\r\\n"),
            "{hello}"
        );
        let octets = b"INFO {\"server_id\":\"x\"}\r\nPONG\r\nINFO {}\r\nPING\r\n";
        let pong = Incoming::Reply(Bytes::from_static(b"PONG\r\n"));
        let expected = [Incoming::Ready, welcome(), Incoming::Nothing, pong];
        assert_eq!(received(after_hello, octets), expected);
    }

    #[test]
    fn a_subscription_is_confirmed_and_brings_events() {
        let make = || {
            let mut nats = Nats::new(0);
            assert_eq!(
                sent(&mut nats, &say::subscribe(7, "a.b")),
                "SUB a.b 7\\r\\nPING\\r\\n"
            );
            nats
        };
        let came = received(make, b"PONG\r\nMSG a.b 7 5\r\nx\r\ny\n\r\nMSG a.b 7 0\r\n\r\n");
        let subscribed = Message::Subscribed(Subscribed {
            request: RequestId(7),
            subscription: SubscriptionId(7),
        });
        let events = [event(7, Bytes::from_static(b"x\r\ny\n")), event(7, Bytes::new())];
        assert_eq!(came[0], Incoming::Message(subscribed));
        assert_eq!(came[1..], events);
    }

    #[test]
    fn publications_have_their_length_in_front() {
        let sent = sent(&mut Nats::new(0), &say::publish("a.b", b"hello"));
        assert_eq!(sent, "PUB a.b 5\\r\\nhello\\r\\n");
    }

    #[test]
    fn callees_of_a_shared_procedure_form_a_queue_group() {
        let mut nats = Nats::new(0);
        let mut register = say::register(1, "p");
        assert_eq!(
            sent(&mut nats, &Message::Register(register.clone())),
            "SUB p 1\\r\\nPING\\r\\n"
        );
        register.options.invoke = Some(InvokePolicy::RoundRobin);
        let shared = sent(&mut nats, &Message::Register(register.clone()));
        assert_eq!(shared, "SUB p callees 1\\r\\nPING\\r\\n");
        register.options.invoke = Some(InvokePolicy::Last);
        assert!(
            nats.write(&Message::Register(register), &mut BytesMut::new())
                .is_err()
        );
    }

    #[test]
    fn a_call_goes_to_a_callee_and_its_answer_to_the_inbox() {
        let mut caller = Nats::new(0xabc);
        let first = sent(&mut caller, &say::call(1, "p"));
        assert_eq!(
            first,
            "SUB _INBOX.0000000000000abc.* 0\\r\\nPUB p _INBOX.0000000000000abc.1 3\\r\\nask\\r\\n"
        );
        let second = sent(&mut caller, &say::call(2, "p"));
        assert_eq!(second, "PUB p _INBOX.0000000000000abc.2 3\\r\\nask\\r\\n");

        let mut callee = Nats::new(0);
        let mut buf = BytesMut::from(&b"MSG p 4 _INBOX.0000000000000abc.2 3\r\nask\r\n"[..]);
        let Some(Incoming::Message(Message::Invocation(invocation))) = callee.next(&mut buf).unwrap() else {
            panic!("no invocation");
        };
        assert_eq!(
            (invocation.registration.0, &*invocation.payload.args),
            (4, &b"ask"[..])
        );
        let answer = Message::Yield(crosspoint_codec::core::message::Yield {
            request: invocation.request,
            options: crosspoint_codec::core::options::YieldOptions::default(),
            payload: invocation.payload,
        });
        assert_eq!(
            sent(&mut callee, &answer),
            "PUB _INBOX.0000000000000abc.2 3\\r\\nask\\r\\n"
        );
        let again = callee.write(&answer, &mut BytesMut::new());
        assert!(again.is_err(), "answered already");

        let came = received(after_hello, b"MSG _INBOX.0000000000000abc.2 0 3\r\nask\r\n");
        let [Incoming::Message(Message::Result(result))] = &came[..] else {
            panic!("{came:?}");
        };
        assert_eq!((result.request.0, &*result.payload.args), (2, &b"ask"[..]));
    }

    #[test]
    fn what_is_no_nats_is_an_error_or_the_end() {
        let next = |octets: &[u8]| Nats::new(0).next(&mut BytesMut::from(octets));
        let Incoming::Close(why) = next(b"-ERR 'Authorization Violation'\r\n").unwrap().unwrap() else {
            panic!("not closed");
        };
        assert!(why.contains("Authorization"), "{why}");
        for wrong in [
            "MSG\r\n",
            "MSG a\r\n",
            "MSG a 1\r\n",
            "MSG a 1 x\r\n",
            "MSG a 1 999999999999\r\n",
            "MSG a x 3\r\nabc\r\n",
            "MSG _INBOX.0.x 0 3\r\nabc\r\n",
            "PONG\r\n",
        ] {
            let got = next(wrong.as_bytes());
            assert!(
                !matches!(got, Ok(None | Some(Incoming::Message(_)))),
                "{wrong}: {got:?}"
            );
        }
    }
}
