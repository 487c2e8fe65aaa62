//! Plain HTTP, which somebody else serves, and Unix sockets.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, channel};

use common::{Client, PATIENCE, Patient, Server, listener, read_to_end, spec};
use crosspoint_net::{Address, Endpoint, Handoff, ServerSpec};
use serde_json::json;

const REQUEST: &[u8] = b"POST /form HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nbo";

#[test]
fn requests_are_handed_off_with_all_that_was_read() {
    let (sender, handed) = channel::<Handoff>();
    let server = Server::with_handoff(2, Arc::new(move |handoff| sender.send(handoff).unwrap()));
    let mut client = server.connect();
    client.write_all(REQUEST).unwrap();
    let handoff = handed.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&handoff.received[..], handoff.listener), (REQUEST, 0));
    assert!(
        handoff.received.is_unique(),
        "no slice of what the shard reads into"
    );
    assert_eq!(server.running.counters().handed_off.load(Relaxed), 1);
    let mut stream = TcpStream::from(handoff.socket);
    let would_block = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(would_block.kind(), std::io::ErrorKind::WouldBlock);
    client.write_all(b"dy").unwrap();
    stream.set_nonblocking(false).unwrap();
    let mut rest = [0; 2];
    stream.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"dy");
    stream.write_all(b"answered").unwrap();
    // It outlives the server.
    server.stop();
    stream.write_all(b" twice").unwrap();
    drop(stream);
    assert_eq!(read_to_end(&mut client), b"answered twice");
}

#[test]
fn connections_that_were_handed_off_count() {
    let (server, mut client, handoff, handed) = handed_off();
    assert!(server.answer(REQUEST).starts_with("HTTP/1.1 503 "));
    drop(handoff);
    assert_eq!(read_to_end(&mut client), b"");
    let mut next = server.connect();
    next.write_all(REQUEST).unwrap();
    handed.recv_timeout(PATIENCE).unwrap();
    server.stop();
}

/// A server with room for one connection, that connection, and what came of handing it off.
fn handed_off() -> (Server, Patient<TcpStream>, Handoff, Receiver<Handoff>) {
    let (sender, handed) = channel::<Handoff>();
    let mut spec = spec(2);
    spec.listeners[0].max_connections = 1;
    spec.handoff = Some(Arc::new(move |handoff| sender.send(handoff).unwrap()));
    let server = Server::start(spec);
    let mut client = server.connect();
    client.write_all(REQUEST).unwrap();
    let handoff = handed.recv_timeout(PATIENCE).unwrap();
    (server, client, handoff, handed)
}

#[test]
fn what_comes_back_is_served_like_a_first_request() {
    let (server, stream, handoff, _handed) = handed_off();
    let taker = std::thread::spawn(move || {
        let mut stream = TcpStream::from(handoff.socket);
        stream.set_nonblocking(false).unwrap();
        let mut received = vec![0; 4096];
        let len = stream.read(&mut received).unwrap();
        received.truncate(len);
        let socket = stream.into();
        handoff.way_back.give_back(socket, received.into()).unwrap();
    });
    let mut client = Client::over(stream);
    taker.join().unwrap();
    client.join();
    client.subscribe("a.topic");
    assert_eq!(server.running.counters().returned.load(Relaxed), 1);
    // It has the place that it had.
    assert!(server.answer(REQUEST).starts_with("HTTP/1.1 503 "));
    client.send(&json!([6, {}, "wamp.close.close_realm"]));
    server.stop();
}

#[test]
fn what_comes_back_without_asking_for_websocket_is_refused() {
    for (request, status) in [("/form", "404"), ("/ws", "426")] {
        let (server, mut client, handoff, handed) = handed_off();
        let head = format!("GET {request} HTTP/1.1\r\nHost: here\r\n\r\n");
        handoff.way_back.give_back(handoff.socket, head.into()).unwrap();
        let answer = String::from_utf8(read_to_end(&mut client)).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(handed.try_recv().is_err());
        drop(client);
        server.stop();
    }
}

#[test]
fn unix_sockets_serve_all_transports_on_all_shards() {
    let path = std::env::temp_dir().join(format!("crosspoint-net-{}.socket", std::process::id()));
    let endpoint = Endpoint::Unix {
        path: path.clone(),
        backlog: 16,
        mode: None,
    };
    let (sender, handed) = channel::<Handoff>();
    let server = Server::start(ServerSpec {
        listeners: vec![listener(endpoint)],
        handoff: Some(Arc::new(move |handoff| sender.send(handoff).unwrap())),
        ..spec(3)
    });
    assert_eq!(server.running.addresses(), [Address::Unix(path.clone())]);
    let connect = || {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Patient(stream)
    };
    let mut clients: Vec<_> = (0..6).map(|_| Client::over(connect())).collect();
    for client in &mut clients {
        client.join();
        client.subscribe("a.topic");
    }
    clients[0].publish("a.topic", "over unix");
    for client in &mut clients[1..] {
        assert_eq!(client.event(), "over unix");
    }
    // Dealt in turn: two to each shard.
    let received = server
        .running
        .runtime()
        .counters()
        .map(|counters| counters.received.get());
    assert!(received.into_iter().all(|count| count >= 4));
    let mut raw = connect();
    raw.write_all(&[0x7f, 0xf1, 0, 0]).unwrap();
    raw.read_exact(&mut [0; 4]).unwrap();
    let mut http = connect();
    http.write_all(REQUEST).unwrap();
    assert_eq!(&handed.recv_timeout(PATIENCE).unwrap().received[..], REQUEST);
    for client in &mut clients {
        client.send(&json!([6, {}, "wamp.close.close_realm"]));
    }
    server.stop();
    assert!(!path.exists());
    assert!(UnixStream::connect(&path).is_err());
}
