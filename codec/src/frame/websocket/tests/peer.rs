//! tungstenite as a whole is the peer: what it sends we read, and the other way round.

use std::io::{self, Read, Write};

use bytes::Bytes;
use crosspoint_core::payload::Format;
use proptest::prelude::*;
use tungstenite::protocol::frame::Frame;
use tungstenite::{Message, WebSocket};

use super::super::{
    CloseCode, CloseFrame, Control, Data, OpCode, client_frame, close, close_payload, frame, ping, pong,
};
use super::*;
use crate::frame::{FrameBuilder, Framing, build};

/// Lengths on both sides of each change of the header's form.
const LENGTHS: [usize; 7] = [0, 1, 125, 126, 65535, 65536, 200_000];

/// A stream in memory: what is read was put there, what is written stays.
#[derive(Default)]
pub(in crate::frame) struct Pipe {
    pub(in crate::frame) incoming: io::Cursor<Vec<u8>>,
    pub(in crate::frame) outgoing: Vec<u8>,
}

impl Pipe {
    pub(in crate::frame) fn put(&mut self, bytes: &[u8]) {
        self.incoming.get_mut().extend_from_slice(bytes);
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.incoming.read(buf)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            read => Ok(read),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn peer(role: Role) -> WebSocket<Pipe> {
    WebSocket::from_raw_socket(Pipe::default(), role, None)
}

fn part(message: &'static str, kind: Data, is_final: bool) -> Message {
    Message::Frame(Frame::message(message, OpCode::Data(kind), is_final))
}

/// Reads everything that `peer` has sent, as the side that `role` names.
fn read_all(peer: &mut WebSocket<Pipe>, role: Role) -> Outcome {
    let sent = std::mem::take(&mut peer.get_mut().outgoing);
    decode_reads(Decoder::new(role, LIMIT), sent.chunks(7))
}

#[test]
fn tw_004_the_peer_sends_fragmented_masked_messages_and_pings() {
    let mut client = peer(Role::Client);
    let sent = [
        part("Brücke ", Data::Text, false),
        Message::Ping(Bytes::from_static(b"alive?")),
        part("über", Data::Continue, false),
        part(" den Fluß", Data::Continue, true),
        Message::binary(vec![0xff; 70_000]),
        Message::text("€"),
        Message::Pong(Bytes::new()),
    ];
    for message in sent {
        client.send(message).unwrap();
    }
    let expected = vec![
        Incoming::Ping(Bytes::from_static(b"alive?")),
        Incoming::Text("Brücke über den Fluß".into()),
        Incoming::Binary(vec![0xff; 70_000].into()),
        Incoming::Text("€".into()),
        Incoming::Pong(Bytes::new()),
    ];
    assert_eq!(read_all(&mut client, Role::Server), (expected, None));
}

#[test]
fn the_peer_reads_server_frames_of_every_length() {
    let mut client = peer(Role::Client);
    for length in LENGTHS {
        let message = "x".repeat(length);
        let json = build(Framing::WebSocket, Format::Json, |out| {
            out.extend_from_slice(message.as_bytes())
        })
        .unwrap();
        assert_eq!(json, frame(OpCode::Data(Data::Text), message.as_bytes()));
        let cbor = build(Framing::WebSocket, Format::Cbor, |out| {
            out.extend_from_slice(message.as_bytes())
        })
        .unwrap();
        client.get_mut().put(&json);
        client.get_mut().put(&cbor);
        assert_eq!(client.read().unwrap(), Message::text(&message[..]));
        assert_eq!(client.read().unwrap(), Message::binary(message));
    }
}

#[test]
fn the_peer_reads_client_frames_of_every_length() {
    let mut server = peer(Role::Server);
    for length in LENGTHS {
        let message = vec![0xa5; length];
        let mut builder = FrameBuilder::new(Framing::WebSocket, Format::MsgPack, length);
        builder.message().extend_from_slice(&message);
        assert_eq!(builder.message_len(), length);
        let built = builder.finish_as_client(MASK).unwrap();
        assert_eq!(built, client_frame(OpCode::Data(Data::Binary), &message, MASK));
        server.get_mut().put(&built);
        assert_eq!(server.read().unwrap(), Message::binary(message));
    }
}

#[test]
fn tw_007_both_sides_answer_pings() {
    let mut client = peer(Role::Client);
    client.get_mut().put(&ping(b"are you there"));
    assert_eq!(
        client.read().unwrap(),
        Message::Ping(Bytes::from_static(b"are you there"))
    );
    client.flush().unwrap();
    let answer = Incoming::Pong(Bytes::from_static(b"are you there"));
    assert_eq!(read_all(&mut client, Role::Server), (vec![answer], None));

    client.get_mut().put(&pong(b"yes"));
    assert_eq!(client.read().unwrap(), Message::Pong(Bytes::from_static(b"yes")));
}

#[test]
fn both_sides_close() {
    let (code, reason) = (CloseCode::Away, "nightfall");
    let closing = CloseFrame {
        code,
        reason: reason.into(),
    };

    let mut client = peer(Role::Client);
    client.get_mut().put(&close(code, reason));
    assert_eq!(client.read().unwrap(), Message::Close(Some(closing.clone())));
    client.flush().unwrap();
    let echo = Incoming::Close(Some(closing.clone()));
    assert_eq!(read_all(&mut client, Role::Server), (vec![echo.clone()], None));

    let mut server = peer(Role::Server);
    server.close(Some(closing.clone())).unwrap();
    assert_eq!(read_all(&mut server, Role::Client), (vec![echo], None));
    server.get_mut().put(&client_frame(
        OpCode::Control(Control::Close),
        &close_payload(code, reason),
        MASK,
    ));
    assert_eq!(server.read().unwrap(), Message::Close(Some(closing)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_the_peer_sends_is_what_we_read(messages in prop::collection::vec("\\PC{0,300}", 1..8), as_text: bool) {
        for (theirs, ours) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
            let mut peer = peer(theirs);
            let mut expected = Vec::new();
            for message in &messages {
                let bytes = Bytes::from(message.clone());
                if as_text {
                    peer.write(Message::text(&message[..])).unwrap();
                    expected.push(Incoming::Text(bytes));
                } else {
                    peer.write(Message::Binary(bytes.clone())).unwrap();
                    expected.push(Incoming::Binary(bytes));
                }
            }
            peer.flush().unwrap();
            prop_assert_eq!(read_all(&mut peer, ours), (expected, None));
        }
    }
}
