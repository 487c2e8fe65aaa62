//! Redis's protocol (RESP 2), as far as SUBSCRIBE and PUBLISH need it.

use std::collections::VecDeque;
use std::fmt::Write;
use std::ops::Range;

use anyhow::{Context, bail, ensure};
use bytes::{Buf, BytesMut};
use crosspoint_codec::core::ids::{RequestId, SubscriptionId};
use crosspoint_codec::core::message::{Message, Subscribed};

use super::{Dialect, Incoming, check_options, event, goodbye, line, number, refusal, take, welcome};
use crate::target::Target;

/// The longest element that is taken, in octets: Redis's own limit.
const ELEMENT_MAX: usize = 512 << 20;

#[derive(Default)]
pub(super) struct Redis {
    /// SUBSCRIBEs that are not yet confirmed.
    asked: VecDeque<RequestId>,
}

/// One element of an array: where its octets are, and how many stand behind them.
struct Element {
    octets: Range<usize>,
    tail: usize,
}

impl Redis {
    /// `*3`, and then `message`, the channel and the payload; or `subscribe`, the channel and how many there are now.
    fn push(&mut self, buf: &mut BytesMut, mut at: usize) -> anyhow::Result<Option<Incoming>> {
        let mut elements = [const { None }; 3];
        for place in &mut elements {
            let Some(element) = element(buf, at)? else {
                return Ok(None);
            };
            at = element.octets.end + element.tail;
            *place = Some(element);
        }
        let [Some(kind), Some(_), Some(last)] = elements else {
            return Ok(None);
        };
        Ok(match &buf[kind.octets] {
            b"message" => {
                let Element { octets, tail } = last;
                take(buf, octets.start, octets.len(), tail).map(|octets| event(0, octets))
            }
            b"subscribe" => {
                buf.advance(at);
                let request = self.asked.pop_front().context("an unexpected subscription")?;
                Some(Incoming::Message(Message::Subscribed(Subscribed {
                    request,
                    subscription: SubscriptionId(0),
                })))
            }
            other => bail!("unexpected push of Redis: {}", other.escape_ascii()),
        })
    }
}

impl Dialect for Redis {
    fn greet(&mut self, _target: &Target, _out: &mut BytesMut) -> bool {
        true
    }

    fn next(&mut self, buf: &mut BytesMut) -> anyhow::Result<Option<Incoming>> {
        let Some((text, head)) = line(buf)? else {
            return Ok(None);
        };
        let incoming = match text {
            b"*3" => return self.push(buf, head),
            // To how many a publication went.
            [b':', ..] => Incoming::Nothing,
            b"+PONG" => welcome(),
            b"+OK" => goodbye(),
            other => Incoming::Close(format!("Redis says {}", other.escape_ascii())),
        };
        buf.advance(head);
        Ok(Some(incoming))
    }

    fn write(&mut self, message: &Message, out: &mut BytesMut) -> anyhow::Result<()> {
        check_options("Redis", message)?;
        match message {
            // There is no session to open; this shows that the server serves the connection.
            Message::Hello(_) => out.extend_from_slice(b"*1\r\n$4\r\nPING\r\n"),
            Message::Subscribe(subscribe) => {
                let topic = &subscribe.topic;
                write!(out, "*2\r\n$9\r\nSUBSCRIBE\r\n${}\r\n{topic}\r\n", topic.len())?;
                self.asked.push_back(subscribe.request);
            }
            Message::Publish(publish) => {
                let (topic, args) = (&publish.topic, &publish.payload.args);
                let (name, len) = (topic.len(), args.len());
                write!(out, "*3\r\n$7\r\nPUBLISH\r\n${name}\r\n{topic}\r\n${len}\r\n")?;
                out.extend_from_slice(args);
                out.extend_from_slice(b"\r\n");
            }
            Message::Goodbye(_) => out.extend_from_slice(b"*1\r\n$4\r\nQUIT\r\n"),
            other => return Err(refusal("Redis", other)),
        }
        Ok(())
    }
}

/// The element at `at`: a bulk string or an integer; `None` while it is incomplete.
fn element(buf: &[u8], at: usize) -> anyhow::Result<Option<Element>> {
    let Some((text, head)) = line(&buf[at..])? else {
        return Ok(None);
    };
    let (octets, tail) = match text {
        [b'$', len @ ..] => {
            let len: usize = number(len)?;
            ensure!(len <= ELEMENT_MAX, "an element of {len} octets");
            (at + head..at + head + len, b"\r\n".len())
        }
        [b':', digits @ ..] => (at + 1..at + 1 + digits.len(), head - 1 - digits.len()),
        other => bail!("expected a string or a number, got {}", other.escape_ascii()),
    };
    let complete = octets.end + tail <= buf.len();
    Ok(complete.then_some(Element { octets, tail }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::tests::{received, say, sent};
    use super::*;

    #[test]
    fn a_session_opens_when_the_server_answers() {
        let mut redis = Redis::default();
        assert!(redis.greet(&"redis://h".parse().unwrap(), &mut BytesMut::new()));
        assert_eq!(sent(&mut redis, &say::hello()), "*1\\r\\n$4\\r\\nPING\\r\\n");
        let came = received(Redis::default, b"+PONG\r\n:12\r\n+OK\r\n");
        assert_eq!(came, [welcome(), Incoming::Nothing, goodbye()]);
    }

    #[test]
    fn a_subscription_is_confirmed_and_brings_events() {
        let make = || {
            let mut redis = Redis::default();
            let subscribe = sent(&mut redis, &say::subscribe(7, "a.b"));
            assert_eq!(subscribe, "*2\\r\\n$9\\r\\nSUBSCRIBE\\r\\n$3\\r\\na.b\\r\\n");
            redis
        };
        let came = received(
            make,
            b"*3\r\n$9\r\nsubscribe\r\n$3\r\na.b\r\n:1\r\n\
              *3\r\n$7\r\nmessage\r\n$3\r\na.b\r\n$5\r\nx\r\ny\n\r\n\
              *3\r\n$7\r\nmessage\r\n$3\r\na.b\r\n$0\r\n\r\n",
        );
        let subscribed = Message::Subscribed(Subscribed {
            request: RequestId(7),
            subscription: SubscriptionId(0),
        });
        let events = [event(0, Bytes::from_static(b"x\r\ny\n")), event(0, Bytes::new())];
        assert_eq!(came[0], Incoming::Message(subscribed));
        assert_eq!(came[1..], events);
    }

    #[test]
    fn publications_are_arrays_of_three() {
        let publish = sent(&mut Redis::default(), &say::publish("a.b", b"hello"));
        assert_eq!(
            publish,
            "*3\\r\\n$7\\r\\nPUBLISH\\r\\n$3\\r\\na.b\\r\\n$5\\r\\nhello\\r\\n"
        );
    }

    #[test]
    fn what_is_no_redis_is_an_error_or_the_end() {
        let next = |octets: &[u8]| Redis::default().next(&mut BytesMut::from(octets));
        assert!(matches!(next(b"-NOAUTH\r\n"), Ok(Some(Incoming::Close(why))) if why.contains("NOAUTH")));
        for wrong in [
            "*3\r\n+message\r\n",
            "*3\r\n$x\r\n",
            "*3\r\n$-1\r\n",
            "*3\r\n$9999999999\r\n",
            "*3\r\n$4\r\npush\r\n$1\r\na\r\n$1\r\nb\r\n",
            "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
        ] {
            let got = next(wrong.as_bytes());
            assert!(got.is_err(), "{wrong}: {got:?}");
        }
    }
}
