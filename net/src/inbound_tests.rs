use std::cell::Cell;
use std::io::IoSlice;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use crosspoint_codec::PayloadValues;
use crosspoint_codec::frame::Framing;
use crosspoint_codec::frame::batch::Separator;
use crosspoint_codec::frame::http::{NO_HEADERS, RequestHead};
use crosspoint_codec::frame::websocket::deflate::{Agreed, Compression, Deflater, WindowBits};
use crosspoint_codec::frame::websocket::handshake::Upgrade;
use crosspoint_codec::frame::websocket::{Data, Decoder, OpCode, Role, frame};
use crosspoint_core::authorize;
use crosspoint_core::config::{Access, Anonymous, RealmConfig, RouterConfig};
use crosspoint_core::ids::ShardId;
use crosspoint_core::payload::Format;
use crosspoint_core::router::Router;
use crosspoint_shard::{Attach, Flushed, Mesh, MeshLimits, MonotonicClock, SLICE, ShardConfig, Wire};

use super::*;
use crate::batches::Batches;
use crate::scratch::{CHUNK, Scratch};

const HELLO: &str = r#"[1,"realm1",{"roles":{"publisher":{},"subscriber":{}}}]"#;
const EVENTS: usize = 50;
const EVENT_BYTES: usize = 100_000;

/// A peer that reads all that is written at once.
#[derive(Default)]
struct Reader {
    read: Cell<usize>,
    closed: Cell<bool>,
}

impl Wire for Reader {
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.read.set(self.read.get() + len);
        Ok(len)
    }

    fn wait_writable(&self) {}

    fn close(&self) {
        self.closed.set(true);
    }

    fn timer(&self) {}
}

struct Scene {
    shard: Shard,
    subscriber: Rc<Reader>,
    publisher: ConnKey,
}

impl Scene {
    /// A publisher, and a subscriber of the topic `t`.
    fn new() -> Self {
        let realms = vec![RealmConfig::new("realm1", vec![authorize::Role::trusted()])];
        let rules = Arc::new(RouterConfig::new(realms, [1, 2], &PayloadValues));
        let (mesh, _mailboxes) = Mesh::new(1, MeshLimits::default());
        let router = Router::new(ShardId(0), 1, rules, 7);
        let clock = Box::new(MonotonicClock::start());
        let mut shard = Shard::new(ShardId(0), mesh, router, clock, ShardConfig::default());
        let subscriber = Rc::new(Reader::default());
        let reads = attach(&mut shard, &subscriber);
        shard.receive(reads, Bytes::from_static(b"[32,1,{},\"t\"]"));
        let publisher = attach(&mut shard, &Rc::default());
        while shard.flush(SLICE) != Flushed::All {}
        Self {
            shard,
            subscriber,
            publisher,
        }
    }

    /// Lets `inbound` come to its end, turn after turn, and says how many these were.
    fn run(&mut self, inbound: &mut Inbound) -> usize {
        let mut turns = 1;
        while inbound.handle(&mut self.shard, self.publisher) == Reading::More {
            while self.shard.flush(SLICE) != Flushed::All {}
            turns += 1;
        }
        while self.shard.flush(SLICE) != Flushed::All {}
        turns
    }

    fn expect_all_events(&self) {
        let counters = self.shard.counters();
        assert_eq!(
            (counters.closed_slow.get(), counters.events.get()),
            (0, EVENTS as u64)
        );
        assert!(!self.subscriber.closed.get());
        assert!(self.subscriber.read.get() > EVENTS * EVENT_BYTES);
    }
}

/// An open session.
fn attach(shard: &mut Shard, wire: &Rc<Reader>) -> ConnKey {
    let conn = shard.attach(Attach {
        format: Format::Json,
        framing: Framing::RawSocket,
        deflate: None,
        access: Arc::new(Access {
            anonymous: Some(Anonymous {
                role: authorize::Role::TRUSTED.to_owned(),
                realm: None,
                authid: None,
            }),
        }),
        wire: Rc::clone(wire) as Rc<dyn Wire>,
        peer_max_bytes: usize::MAX,
    });
    shard.receive(conn, Bytes::from_static(HELLO.as_bytes()));
    conn
}

fn publish(bytes: usize) -> String {
    format!("[16,1,{{}},\"t\",[\"{}\"]]", "x".repeat(bytes))
}

fn batch(messages: impl IntoIterator<Item = String>) -> Vec<u8> {
    let separator = [Separator::Record as u8];
    let messages = messages.into_iter();
    messages
        .flat_map(|message| [message.as_bytes(), &separator].concat())
        .collect()
}

/// What a server sends is not masked, so that it is easier to write here.
fn decoder() -> Decoder {
    Decoder::new(Role::Client, 1 << 24)
}

fn batched() -> Protocol {
    Protocol::Batched(Box::new(Batches::new(decoder(), Format::Json)))
}

fn agreed() -> Agreed {
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let mut storage = NO_HEADERS;
    let head = RequestHead::parse(request, &mut storage).unwrap().unwrap();
    let upgrade = Upgrade {
        compression: Some(Compression::default()),
        ..Upgrade::default()
    };
    upgrade.accept_bare(&head).unwrap().deflate.unwrap()
}

#[test]
fn what_a_large_batch_causes_is_written_before_it_is_too_much() {
    let batch = batch((0..EVENTS).map(|_| publish(EVENT_BYTES)));
    let octets = frame(OpCode::Data(Data::Text), &batch);
    let mut scene = Scene::new();
    let mut inbound = Inbound::new(batched(), Received::default());
    inbound.append(BytesMut::from(octets));
    scene.run(&mut inbound);
    scene.expect_all_events();
}

#[test]
fn what_small_compressed_frames_cause_is_written_before_it_is_too_much() {
    let mut deflater = Deflater::new(WindowBits::LARGEST);
    let message = frame(OpCode::Data(Data::Text), publish(EVENT_BYTES).as_bytes());
    let octets = deflater.frame_anyway(&message).repeat(EVENTS);
    assert!(octets.len() < CHUNK, "all in one read");
    let mut scene = Scene::new();
    let protocol = Protocol::WebSocket(decoder().with_deflate(&agreed()));
    let mut inbound = Inbound::new(protocol, Received::default());
    inbound.append(BytesMut::from(&octets[..]));
    scene.run(&mut inbound);
    scene.expect_all_events();
}

#[test]
fn short_messages_end_a_turn_by_their_number_only() {
    let count = MESSAGES_PER_TURN;
    let octets: Vec<_> = (0..count)
        .flat_map(|_| frame(OpCode::Data(Data::Text), publish(450).as_bytes()))
        .collect();
    assert!(
        octets.len() < CHUNK && octets.len() > CHUNK / 10 * 9,
        "a full read"
    );
    let mut scene = Scene::new();
    let mut inbound = Inbound::new(Protocol::WebSocket(decoder()), Received::default());
    inbound.append(BytesMut::from(&octets[..octets.len() - 1]));
    assert_eq!(
        inbound.handle(&mut scene.shard, scene.publisher),
        Reading::Drained
    );
    let events = scene.shard.counters().events.get();
    assert_eq!(events, count as u64 - 1);
}

#[test]
fn a_connection_keeps_nothing_of_the_read_that_ended_its_handshake() {
    let mut scratch = Scratch::default();
    scratch.room()[..9].copy_from_slice(b"handshake");
    let mut received = Received::default();
    received.append(scratch.take(9));
    let start = received.bytes.as_ptr();
    drop(received.bytes.split_to(9));
    let _idle = Inbound::new(batched(), received);
    let rest = scratch.room().len();
    drop(scratch.take(rest));
    assert_eq!(scratch.room().as_ptr(), start, "the chunk is free");
}

#[test]
fn what_is_left_of_a_batch_leaves_the_scratch_buffer() {
    let batch = batch((0..MESSAGES_PER_TURN + 1).map(|_| publish(1)));
    let octets = frame(OpCode::Data(Data::Text), &batch);
    let mut scratch = Scratch::default();
    scratch.room()[..octets.len()].copy_from_slice(&octets);
    let read = scratch.take(octets.len());
    let start = read.as_ptr();
    let mut scene = Scene::new();
    let mut inbound = Inbound::new(batched(), Received::default());
    inbound.append(read);
    assert_eq!(inbound.handle(&mut scene.shard, scene.publisher), Reading::More);
    while scene.shard.flush(SLICE) != Flushed::All {}
    let rest = scratch.room().len();
    drop(scratch.take(rest));
    assert_eq!(scratch.room().as_ptr(), start, "the chunk is free");
    assert_eq!(scene.run(&mut inbound), 1);
    let events = scene.shard.counters().events.get();
    assert_eq!(events, MESSAGES_PER_TURN as u64 + 1);
}
