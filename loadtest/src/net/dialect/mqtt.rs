//! MQTT 3.1.1 (OASIS standard, 2014) with quality of service 0, clean sessions and no keep-alive.

use anyhow::{Context, bail, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use crosspoint_codec::core::ids::{RequestId, SubscriptionId};
use crosspoint_codec::core::message::{Message, Subscribe, Subscribed};

use super::{Dialect, Incoming, check_options, event, refusal, take, welcome};
use crate::target::Target;

/// Packet types with the flags that belong to them: the first octet (section 2.2).
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const DISCONNECT: u8 = 0xe0;

/// A whole CONNECT packet: MQTT, level 4, clean session, no keep-alive, a client id that the server
/// makes (section 3.1).
const HELLO: &[u8] = b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0";

pub(super) struct Mqtt;

impl Dialect for Mqtt {
    fn greet(&mut self, _target: &Target, _out: &mut BytesMut) -> bool {
        true
    }

    fn next(&mut self, buf: &mut BytesMut) -> anyhow::Result<Option<Incoming>> {
        let Some((len, header)) = remaining_length(buf)? else {
            return Ok(None);
        };
        let kind = buf[0];
        let Some(mut body) = take(buf, header, len, 0) else {
            return Ok(None);
        };
        Ok(Some(match kind {
            // Duplicates and retained messages are none of ours, but their octets are.
            PUBLISH | 0x31 => {
                skip_topic(&mut body)?;
                event(0, body)
            }
            CONNACK => match &*body {
                [_, 0] => welcome(),
                other => Incoming::Close(format!("the server refused: CONNACK {}", other.escape_ascii())),
            },
            SUBACK => suback(&body)?,
            other => bail!("unexpected MQTT packet {other:#04x}"),
        }))
    }

    fn write(&mut self, message: &Message, out: &mut BytesMut) -> anyhow::Result<()> {
        check_options("MQTT", message)?;
        match message {
            Message::Hello(_) => out.extend_from_slice(HELLO),
            Message::Subscribe(subscribe) => put_subscribe(subscribe, out)?,
            Message::Publish(publish) => {
                let (topic, args) = (&publish.topic, &publish.payload.args);
                put_header(PUBLISH, 2 + topic.len() + args.len(), out)?;
                out.put_u16(topic.len() as u16);
                out.extend_from_slice(topic.as_bytes());
                out.extend_from_slice(args);
            }
            // The server closes the connection, which is answer enough.
            Message::Goodbye(_) => out.extend_from_slice(&[DISCONNECT, 0]),
            other => return Err(refusal("MQTT", other)),
        }
        Ok(())
    }
}

/// The subscription's request is the packet identifier (section 3.8).
fn put_subscribe(subscribe: &Subscribe, out: &mut BytesMut) -> anyhow::Result<()> {
    let packet = u16::try_from(subscribe.request.0).context("MQTT numbers requests up to 65535")?;
    let topic = subscribe.topic.as_bytes();
    put_header(SUBSCRIBE, 2 + 2 + topic.len() + 1, out)?;
    out.put_u16(packet);
    out.put_u16(topic.len() as u16);
    out.extend_from_slice(topic);
    out.put_u8(0);
    Ok(())
}

/// The packet identifier and one return code: the granted quality of service, or 0x80 (section 3.9).
fn suback(body: &[u8]) -> anyhow::Result<Incoming> {
    let &[high, low, code] = body else {
        bail!("SUBACK of {} octets", body.len());
    };
    ensure!(code == 0, "the server refused a subscription: SUBACK {code:#04x}");
    Ok(Incoming::Message(Message::Subscribed(Subscribed {
        request: RequestId(u64::from(u16::from_be_bytes([high, low]))),
        subscription: SubscriptionId(0),
    })))
}

fn skip_topic(body: &mut Bytes) -> anyhow::Result<()> {
    let len = body.try_get_u16().context("PUBLISH without topic")?;
    ensure!(body.len() >= usize::from(len), "PUBLISH with half a topic");
    body.advance(len.into());
    Ok(())
}

/// The length of a packet behind its fixed header, and that of the header; `None` while it is incomplete.
fn remaining_length(buf: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let mut len = 0;
    for (place, &octet) in buf.iter().skip(1).enumerate() {
        ensure!(place < 4, "a length of more than four octets");
        len |= usize::from(octet & 0x7f) << (7 * place);
        if octet < 0x80 {
            return Ok(Some((len, 2 + place)));
        }
    }
    Ok(None)
}

/// The type, and the length of what follows: seven bits an octet, the low ones first (section 2.2.3).
fn put_header(kind: u8, mut len: usize, out: &mut BytesMut) -> anyhow::Result<()> {
    ensure!(len < 1 << 28, "MQTT's packets end at 256 MiB");
    out.put_u8(kind);
    while len >= 0x80 {
        out.put_u8((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    out.put_u8(len as u8);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{received, say, sent};
    use super::*;

    #[test]
    fn a_session_opens_with_connack() {
        assert!(Mqtt.greet(&"mqtt://h".parse().unwrap(), &mut BytesMut::new()));
        let hello = sent(&mut Mqtt, &say::hello());
        assert_eq!(hello.len(), HELLO.escape_ascii().count());
        assert_eq!(usize::from(HELLO[1]), HELLO.len() - 2);
        assert_eq!(received(|| Mqtt, b"\x20\x02\0\0"), [welcome()]);
        let came = received(|| Mqtt, b"\x20\x02\0\x05");
        assert!(matches!(&came[..], [Incoming::Close(_)]), "{came:?}");
    }

    #[test]
    fn a_subscription_is_confirmed_and_brings_events() {
        let subscribe = sent(&mut Mqtt, &say::subscribe(0x102, "a.b"));
        assert_eq!(subscribe, "\\x82\\x08\\x01\\x02\\x00\\x03a.b\\x00");
        let came = received(|| Mqtt, b"\x90\x03\x01\x02\0\x30\x08\0\x03a.bxyz");
        let subscribed = Message::Subscribed(Subscribed {
            request: RequestId(0x102),
            subscription: SubscriptionId(0),
        });
        let expected = [
            Incoming::Message(subscribed),
            event(0, Bytes::from_static(b"xyz")),
        ];
        assert_eq!(came, expected);
        assert!(
            Mqtt.next(&mut BytesMut::from(&b"\x90\x03\x01\x02\x80"[..]))
                .is_err()
        );
    }

    #[test]
    fn long_packets_have_long_lengths() {
        let publish = sent(&mut Mqtt, &say::publish("a.b", b"hello"));
        assert_eq!(publish, "0\\n\\x00\\x03a.bhello");
        for len in [
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            2_097_151,
            2_097_152,
            (1 << 28) - 1,
        ] {
            let mut out = BytesMut::new();
            put_header(PUBLISH, len, &mut out).unwrap();
            assert_eq!(remaining_length(&out).unwrap(), Some((len, out.len())));
        }
        assert!(put_header(PUBLISH, 1 << 28, &mut BytesMut::new()).is_err());
    }

    #[test]
    fn what_is_no_mqtt_is_an_error() {
        for wrong in [
            &b"\x30\xff\xff\xff\xff\x01"[..],
            b"\x30\x01\0",
            b"\x30\x03\0\x05a",
            b"\x90\x02\0\x01",
            b"\xf0\0",
        ] {
            let got = Mqtt.next(&mut BytesMut::from(wrong));
            assert!(got.is_err(), "{}: {got:?}", wrong.escape_ascii());
        }
    }
}
