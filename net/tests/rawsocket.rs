//! RawSocket from outside, octet by octet.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use common::{MAX_MESSAGE, PATIENCE, Server, access, read_to_end, spec};
use crosspoint_core::payload::Format;
use serde_json::{Value, json};

/// The handshake that asks for JSON and takes messages of up to 2^9 shifted by `length`.
const fn handshake(length: u8) -> [u8; 4] {
    [0x7f, length << 4 | 1, 0, 0]
}

/// What the server announces: 2^20 octets.
const ANSWER: [u8; 4] = [0x7f, 0xb1, 0, 0];

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u32;
    [&(u32::from(kind) << 24 | len).to_be_bytes()[..], payload].concat()
}

fn read_frame(stream: &mut impl Read) -> (u8, Vec<u8>) {
    let mut header = [0; 4];
    stream.read_exact(&mut header).unwrap();
    let word = u32::from_be_bytes(header);
    let mut payload = vec![0; (word & 0xff_ffff) as usize];
    stream.read_exact(&mut payload).unwrap();
    ((word >> 24) as u8, payload)
}

fn send(stream: &mut impl Write, message: &Value) {
    stream
        .write_all(&frame(0, message.to_string().as_bytes()))
        .unwrap();
}

fn receive(stream: &mut impl Read) -> Value {
    let (kind, payload) = read_frame(stream);
    assert_eq!(kind, 0);
    serde_json::from_slice(&payload).unwrap()
}

fn hello() -> Value {
    json!([1, "realm1", {"roles": {"subscriber": {}, "publisher": {}}}])
}

#[test]
fn a_session_works_octet_by_octet() {
    let server = Server::start(spec(1));
    let mut stream = server.connect();
    stream.0.set_nodelay(true).unwrap();
    let mut bytes = handshake(15).to_vec();
    bytes.extend_from_slice(&frame(0, hello().to_string().as_bytes()));
    bytes.extend_from_slice(&frame(1, b"ping"));
    for byte in bytes {
        stream.write_all(&[byte]).unwrap();
    }
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, ANSWER);
    assert_eq!(receive(&mut stream)[0], 2);
    assert_eq!(read_frame(&mut stream), (2, b"ping".to_vec()));
    server.stop();
}

#[test]
fn everything_may_come_at_once() {
    let server = Server::start(spec(2));
    let mut stream = server.connect();
    let mut bytes = handshake(15).to_vec();
    bytes.extend_from_slice(&frame(0, hello().to_string().as_bytes()));
    let subscribe = |number: usize| json!([32, number, {}, format!("a.topic.{number}")]);
    for number in 1..=1000 {
        bytes.extend_from_slice(&frame(0, subscribe(number).to_string().as_bytes()));
    }
    stream.write_all(&bytes).unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    assert_eq!(receive(&mut stream)[0], 2);
    let mut answered: Vec<_> = (1..=1000)
        .map(|_| receive(&mut stream)[1].as_u64().unwrap())
        .collect();
    answered.sort_unstable();
    assert!(answered.into_iter().eq(1..=1000));
    server.stop();
}

#[test]
fn handshakes_are_refused_with_their_code() {
    let mut spec = spec(1);
    spec.listeners[0].max_connections = 1;
    let server = Server::start(spec);
    let refusal = |request: &[u8]| {
        let mut stream = server.connect();
        stream.write_all(request).unwrap();
        read_to_end(&mut stream)
    };
    assert_eq!(
        refusal(&[0x7f, 0xf3, 0, 0]),
        b"\x7f\x10\0\0",
        "CBOR is not offered here"
    );
    assert_eq!(refusal(&[0x7f, 0xf0, 0, 0]), b"\x7f\x10\0\0", "no serializer");
    assert_eq!(refusal(&[0x7f, 0xf1, 1, 0]), b"\x7f\x30\0\0", "a reserved bit");
    let mut held = server.connect();
    held.write_all(&handshake(15)).unwrap();
    held.read_exact(&mut [0; 4]).unwrap();
    assert_eq!(refusal(&handshake(15)), b"\x7f\x40\0\0", "no place");
    assert!(
        server
            .answer(b"GET / HTTP/1.1\r\n\r\n")
            .starts_with("HTTP/1.1 503 ")
    );
    let counters = server.running.counters();
    let count = |counter: &AtomicU64| counter.load(Relaxed);
    assert_eq!(
        [&counters.accepted, &counters.refused, &counters.over_limit].map(count),
        [6, 3, 2]
    );
    drop(held);
    // The place is free once the server has seen the end of that connection.
    while refusal(&[0x7f, 0xf1, 1, 0]) != b"\x7f\x30\0\0" {}
    server.stop();
}

#[test]
fn frames_that_break_the_rules_end_the_connection() {
    let server = Server::start(spec(1));
    let too_long = (MAX_MESSAGE as u32 + 1).to_be_bytes();
    for wrong in [[0x80, 0, 0, 1], [3, 0, 0, 1], [0x08, 0, 0, 1], too_long] {
        let mut stream = server.connect();
        stream.write_all(&handshake(15)).unwrap();
        send(&mut stream, &hello());
        stream.read_exact(&mut [0; 4]).unwrap();
        assert_eq!(receive(&mut stream)[0], 2);
        stream.write_all(&wrong).unwrap();
        assert_eq!(read_to_end(&mut stream), b"", "{wrong:?}");
    }
    server.stop();
}

#[test]
fn a_message_of_the_announced_length_passes() {
    let server = Server::start(spec(1));
    let mut publisher = server.connect();
    publisher.write_all(&handshake(15)).unwrap();
    publisher.read_exact(&mut [0; 4]).unwrap();
    send(&mut publisher, &hello());
    assert_eq!(receive(&mut publisher)[0], 2);
    let mut subscribers = Vec::new();
    // One takes it, the other has announced that it takes no more than 4096 octets.
    for length in [15, 3] {
        let mut subscriber = server.connect();
        subscriber.write_all(&handshake(length)).unwrap();
        subscriber.read_exact(&mut [0; 4]).unwrap();
        send(&mut subscriber, &hello());
        assert_eq!(receive(&mut subscriber)[0], 2);
        send(&mut subscriber, &json!([32, 1, {}, "a.topic"]));
        assert_eq!(receive(&mut subscriber)[0], 33);
        subscribers.push(subscriber);
    }
    let around = json!([16, 1, {}, "a.topic", [""]]).to_string().len();
    let text = "x".repeat(MAX_MESSAGE - around);
    send(&mut publisher, &json!([16, 1, {}, "a.topic", [text]]));
    send(&mut publisher, &json!([16, 2, {}, "a.topic", ["small"]]));
    let [large, small] = [0, 1].map(|_| receive(&mut subscribers[0]));
    assert_eq!(
        (large[4][0].as_str(), small[4][0].as_str()),
        (Some(text.as_str()), Some("small"))
    );
    assert_eq!(receive(&mut subscribers[1])[4][0], "small");
    server.stop();
}

#[test]
fn a_flood_does_not_starve_others() {
    let server = Server::start(spec(1));
    let open = || {
        let mut stream = server.connect();
        stream.write_all(&handshake(15)).unwrap();
        stream.read_exact(&mut [0; 4]).unwrap();
        send(&mut stream, &hello());
        assert_eq!(receive(&mut stream)[0], 2);
        stream
    };
    let (mut flooding, mut other) = ([0; 3].map(|_| open()), open());
    let flood = frame(0, json!([16, 1, {}, "a.topic", ["flood"]]).to_string().as_bytes()).repeat(1000);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for stream in &mut flooding {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    stream.write_all(&flood).unwrap();
                }
            });
        }
        let end = SetWhenDropped(&over);
        for request in 1..=100 {
            send(
                &mut other,
                &json!([16, request, {"acknowledge": true}, "b.topic"]),
            );
            let published = receive(&mut other);
            assert_eq!((&published[0], &published[1]), (&json!(17), &json!(request)));
        }
        drop(end);
    });
    server.stop();
}

/// Lets other threads end also where this one panics.
struct SetWhenDropped<'b>(&'b AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// A connection that begins in this process, with a session.
fn join_inside(server: &Server) -> UnixStream {
    let connector = server.running.connector();
    let mut stream = connector.connect(Format::Json, access()).unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let roles = json!({"subscriber": {}, "publisher": {}, "callee": {}});
    send(&mut stream, &json!([1, "realm1", {"roles": roles}]));
    assert_eq!(receive(&mut stream)[0], 2);
    stream
}

#[test]
fn connections_from_inside_the_process_are_dealt_to_all_shards() {
    let server = Server::start(spec(3));
    let mut streams: Vec<_> = (0..6).map(|_| join_inside(&server)).collect();
    for stream in &mut streams {
        send(stream, &json!([32, 1, {}, "a.topic"]));
        assert_eq!(receive(stream)[0], 33);
    }
    let received: Vec<_> = server
        .running
        .runtime()
        .counters()
        .map(|counters| counters.received.get())
        .collect();
    assert_eq!(received, [4, 4, 4]);
    assert_eq!(server.running.counters().inside.load(Relaxed), 6);
    let long = "x".repeat(1 << 20);
    send(&mut streams[0], &json!([16, 2, {}, "a.topic", [long]]));
    for stream in &mut streams[1..] {
        assert_eq!(receive(stream)[4][0], long);
    }
    // A session ends with its stream, and a stream with the session's transport.
    let mut last = streams.pop().unwrap();
    send(&mut last, &json!([64, 3, {}, "a.procedure"]));
    assert_eq!(receive(&mut last)[0], 65);
    drop(last);
    let mut register = 3;
    while {
        send(&mut streams[0], &json!([64, register, {}, "a.procedure"]));
        receive(&mut streams[0])[0] == 8
    } {
        register += 1;
    }
    send(&mut streams[1], &json!([1]));
    assert_eq!(receive(&mut streams[1])[0], 3);
    assert_eq!(read_to_end(&mut streams[1]), b"");
    let connector = server.running.connector().clone();
    drop(streams);
    server.stop();
    let refused = connector.connect(Format::Json, access()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotConnected);
}
