//! WAMP over either of its transports.

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use crosspoint_codec::core::message::Message;
use crosspoint_codec::core::payload::Format;
use crosspoint_codec::frame::rawsocket::{self, MaxLength};
use crosspoint_codec::frame::websocket::handshake::ClientHandshake;
use crosspoint_codec::frame::websocket::{self, Control, OpCode, Role, client_frame};
use crosspoint_codec::frame::{FrameBuilder, Framing};
use crosspoint_codec::{Limits, decode, encode};

use super::{Dialect, Incoming};
use crate::target::Target;

/// The longest message that is taken, in octets: what RawSocket can announce.
const MAX_MESSAGE: usize = MaxLength::LARGEST.octets();

/// One connection's serializer and framing.
pub(super) struct Wamp {
    format: Format,
    transport: Transport,
    /// Set until the transport's handshake is complete.
    upgrade: Option<Upgrade>,
    /// Of masks.
    rng: fastrand::Rng,
}

enum Transport {
    WebSocket(websocket::Decoder),
    RawSocket(rawsocket::Decoder),
}

enum Upgrade {
    WebSocket(Box<ClientHandshake>),
    RawSocket,
}

impl Wamp {
    pub(super) fn new(framing: Framing, format: Format) -> Self {
        let (transport, upgrade) = match framing {
            // No target names batches, which no subprotocol asked for here has.
            Framing::WebSocket | Framing::Batched(_) => {
                let decoder = websocket::Decoder::new(Role::Client, MAX_MESSAGE).for_format(format);
                let handshake = ClientHandshake::new(fastrand::u128(..).to_ne_bytes(), vec![format]);
                (
                    Transport::WebSocket(decoder),
                    Upgrade::WebSocket(Box::new(handshake)),
                )
            }
            Framing::RawSocket => {
                let decoder = rawsocket::Decoder::new(MaxLength::LARGEST);
                (Transport::RawSocket(decoder), Upgrade::RawSocket)
            }
        };
        Self {
            format,
            transport,
            upgrade: Some(upgrade),
            rng: fastrand::Rng::new(),
        }
    }

    fn message(&self, message: &Bytes) -> anyhow::Result<Incoming> {
        let message = decode(self.format, message, &Limits::default()).context("decoding a message")?;
        Ok(Incoming::Message(message))
    }

    fn websocket(&self, frame: websocket::Incoming) -> anyhow::Result<Incoming> {
        Ok(match frame {
            websocket::Incoming::Text(bytes) | websocket::Incoming::Binary(bytes) => self.message(&bytes)?,
            // The key hides nothing here: the payload is the router's own.
            websocket::Incoming::Ping(data) => {
                Incoming::Reply(client_frame(OpCode::Control(Control::Pong), &data, [0; 4]))
            }
            websocket::Incoming::Pong(_) => Incoming::Nothing,
            websocket::Incoming::Close(close) => Incoming::Close(match close {
                Some(close) => format!("the router closed the WebSocket: {} {}", close.code, close.reason),
                None => "the router closed the WebSocket".to_owned(),
            }),
        })
    }
}

impl Dialect for Wamp {
    fn format(&self) -> Format {
        self.format
    }

    fn greet(&mut self, target: &Target, out: &mut BytesMut) -> bool {
        if let Some(Upgrade::WebSocket(handshake)) = &self.upgrade {
            out.extend_from_slice(&handshake.request(&target.authority(), &target.path, &[]));
        } else {
            out.extend_from_slice(&rawsocket::request(self.format, MaxLength::LARGEST));
        }
        false
    }

    fn next(&mut self, buf: &mut BytesMut) -> anyhow::Result<Option<Incoming>> {
        if let Some(upgrade) = &self.upgrade {
            let done = match upgrade {
                Upgrade::WebSocket(handshake) => handshake
                    .read_response(buf)
                    .context("WebSocket upgrade")?
                    .is_some(),
                Upgrade::RawSocket => rawsocket::read_reply(buf, self.format)
                    .context("RawSocket handshake")?
                    .is_some(),
            };
            return Ok(done.then(|| {
                self.upgrade = None;
                Incoming::Ready
            }));
        }
        Ok(match &mut self.transport {
            Transport::WebSocket(decoder) => match decoder.next(buf)? {
                Some(frame) => Some(self.websocket(frame)?),
                None => None,
            },
            Transport::RawSocket(decoder) => match decoder.next(buf)? {
                Some(rawsocket::Incoming::Message(bytes)) => Some(self.message(&bytes)?),
                Some(rawsocket::Incoming::Ping(data)) => Some(Incoming::Reply(rawsocket::pong(&data)?)),
                Some(rawsocket::Incoming::Pong(_)) => Some(Incoming::Nothing),
                None => None,
            },
        })
    }

    fn write(&mut self, message: &Message, out: &mut BytesMut) -> anyhow::Result<()> {
        let framing = match self.transport {
            Transport::WebSocket(_) => Framing::WebSocket,
            Transport::RawSocket(_) => Framing::RawSocket,
        };
        let mut frame = FrameBuilder::new(framing, self.format, payload_len(message) + 64);
        encode(self.format, message, frame.message());
        let mask = self.rng.u32(..).to_ne_bytes();
        let frame = frame.finish_as_client(mask).context("framing a message")?;
        out.extend_from_slice(&frame);
        Ok(())
    }
}

fn payload_len(message: &Message) -> usize {
    match message {
        Message::Publish(publish) => publish.payload.len(),
        Message::Call(call) => call.payload.len(),
        Message::Yield(answer) => answer.payload.len(),
        _ => 128,
    }
}
