//! Messages to frames and back, for either transport.

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use crosspoint_codec::core::message::Message;
use crosspoint_codec::core::payload::Format;
use crosspoint_codec::frame::rawsocket::{self, MaxLength};
use crosspoint_codec::frame::websocket::{self, Control, OpCode, Role, client_frame};
use crosspoint_codec::frame::{FrameBuilder, Framing};
use crosspoint_codec::{Limits, decode, encode};

/// The longest message that is taken, in octets: what RawSocket can announce.
const MAX_MESSAGE: usize = MaxLength::LARGEST.octets();

/// One connection's serializer and framing.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) format: Format,
    decoder: Decoder,
}

#[derive(Debug)]
enum Decoder {
    WebSocket(websocket::Decoder),
    RawSocket(rawsocket::Decoder),
}

/// What a frame brought.
pub(super) enum Incoming {
    /// One message, to be given to [`Wire::decode`].
    Message(Bytes),
    /// To be sent back as it is.
    Pong(Bytes),
    /// Nothing to do.
    Other,
    /// The peer closes the transport; why, as far as it says.
    Close(String),
}

impl Wire {
    pub(super) fn new(framing: Framing, format: Format) -> Self {
        let decoder = match framing {
            Framing::WebSocket => {
                Decoder::WebSocket(websocket::Decoder::new(Role::Client, MAX_MESSAGE).for_format(format))
            }
            Framing::RawSocket => Decoder::RawSocket(rawsocket::Decoder::new(MaxLength::LARGEST)),
        };
        Self { format, decoder }
    }

    /// Takes the next frame off the front of `buf`.
    pub(super) fn next(&mut self, buf: &mut BytesMut) -> anyhow::Result<Option<Incoming>> {
        Ok(match &mut self.decoder {
            Decoder::WebSocket(decoder) => decoder.next(buf)?.map(of_websocket),
            Decoder::RawSocket(decoder) => match decoder.next(buf)? {
                Some(rawsocket::Incoming::Message(bytes)) => Some(Incoming::Message(bytes)),
                Some(rawsocket::Incoming::Ping(data)) => Some(Incoming::Pong(rawsocket::pong(&data)?)),
                Some(rawsocket::Incoming::Pong(_)) => Some(Incoming::Other),
                None => None,
            },
        })
    }

    pub(super) fn decode(&self, message: &Bytes) -> anyhow::Result<Message> {
        decode(self.format, message, &Limits::default()).context("decoding a message")
    }

    /// The frame of a message that is no longer than RawSocket allows; nothing is sent otherwise.
    pub(super) fn frame(&self, message: &Message, mask: [u8; 4]) -> Option<Bytes> {
        let framing = match self.decoder {
            Decoder::WebSocket(_) => Framing::WebSocket,
            Decoder::RawSocket(_) => Framing::RawSocket,
        };
        let mut frame = FrameBuilder::new(framing, self.format, payload_len(message) + 64);
        encode(self.format, message, frame.message());
        frame.finish_as_client(mask).ok()
    }
}

fn of_websocket(frame: websocket::Incoming) -> Incoming {
    match frame {
        websocket::Incoming::Text(bytes) | websocket::Incoming::Binary(bytes) => Incoming::Message(bytes),
        // The key hides nothing here: the payload is the router's own.
        websocket::Incoming::Ping(data) => {
            Incoming::Pong(client_frame(OpCode::Control(Control::Pong), &data, [0; 4]))
        }
        websocket::Incoming::Pong(_) => Incoming::Other,
        websocket::Incoming::Close(close) => Incoming::Close(match close {
            Some(close) => format!("the router closed the WebSocket: {} {}", close.code, close.reason),
            None => "the router closed the WebSocket".to_owned(),
        }),
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
