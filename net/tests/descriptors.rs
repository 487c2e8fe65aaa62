//! What clients are told where the process has no descriptors left. In a process of its own, since the limit is the process's.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

mod common;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use common::{PATIENCE, Server, read_to_end};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn who_cannot_be_served_for_want_of_descriptors_is_told() {
    const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n";
    let server = Server::with_handoff(1, Arc::new(|_| {}));
    let mut streams = [(); 3].map(|()| server.connect());
    let deadline = Instant::now() + PATIENCE;
    while server.running.counters().accepted.load(Relaxed) < 3 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    let limit = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(0),
        ..limit
    };
    setrlimit(Resource::Nofile, none).unwrap();
    let requests = [
        &b"\x7f\xf1\0\0"[..],
        UPGRADE.as_bytes(),
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    let mut answers = Vec::new();
    for (stream, request) in streams.iter_mut().zip(requests) {
        stream.write_all(request).unwrap();
        answers.push(read_to_end(stream));
    }
    setrlimit(Resource::Nofile, limit).unwrap();
    assert_eq!(answers[0], b"\x7f\x40\0\0");
    for answer in &answers[1..] {
        assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", answer.escape_ascii());
    }
    drop(streams);
    server.client().join();
    server.stop();
}
