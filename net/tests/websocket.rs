//! WebSocket from outside, with tungstenite as the other side.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

mod common;

use std::io::{Read, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use common::{MAX_MESSAGE, PATIENCE, Server, read_to_end, spec};
use crosspoint_net::ServerSpec;
use serde_json::json;
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

const SHARDS: [u16; 3] = [1, 2, 4];

#[test]
fn sessions_on_all_shards_hear_each_other() {
    for shards in SHARDS {
        let server = Server::start(spec(shards));
        let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
        for client in &mut clients {
            client.join();
            client.subscribe("a.topic");
        }
        for round in 0..20 {
            for publisher in 0..clients.len() {
                let text = format!("{round} from {publisher}");
                clients[publisher].publish("a.topic", &text);
                for (receiver, client) in clients.iter_mut().enumerate() {
                    if receiver != publisher {
                        assert_eq!(client.event(), text);
                    }
                }
            }
        }
        server.stop();
    }
}

#[test]
fn goodbye_ends_the_session_and_the_connection() {
    let server = Server::start(spec(1));
    let mut client = server.client();
    client.join();
    client.send(&json!([6, {}, "wamp.close.close_realm"]));
    assert_eq!(client.receive()[0], 6);
    server.stop();
}

#[test]
fn messages_may_come_in_fragments_with_pings_between() {
    let server = Server::start(spec(1));
    let mut client = server.client();
    let hello = json!([1, "realm1", {"roles": {"subscriber": {}}}])
        .to_string()
        .into_bytes();
    let (first, rest) = hello.split_at(10);
    let (second, third) = rest.split_at(5);
    let frame =
        |part: &[u8], kind, last| Message::Frame(Frame::message(part.to_vec(), OpCode::Data(kind), last));
    client.0.send(frame(first, Data::Text, false)).unwrap();
    client.0.send(Message::Ping("between".into())).unwrap();
    client.0.send(frame(second, Data::Continue, false)).unwrap();
    client.0.send(frame(third, Data::Continue, true)).unwrap();
    assert_eq!(client.0.read().unwrap(), Message::Pong("between".into()));
    assert_eq!(client.receive()[0], 2);
    server.stop();
}

#[test]
fn the_first_message_may_come_with_the_upgrade() {
    let server = Server::start(spec(1));
    let mut stream = server.connect();
    let mut request = common_upgrade("/ws", "");
    let hello = json!([1, "realm1", {"roles": {"subscriber": {}}}]).to_string();
    let mut frame = Vec::new();
    frame.extend_from_slice(&[0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0]);
    frame.extend_from_slice(hello.as_bytes());
    request.extend_from_slice(&frame);
    stream.write_all(&request).unwrap();
    let mut received = Vec::new();
    while !received.windows(3).any(|window| window == b"[2,") {
        let mut buf = [0; 1024];
        let len = stream.read(&mut buf).unwrap();
        assert!(len > 0, "{}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&buf[..len]);
    }
    server.stop();
}

fn common_upgrade(path: &str, more: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{more}\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn close_codes_say_what_was_wrong() {
    let server = Server::start(spec(1));
    let close = |code| {
        Message::Close(Some(CloseFrame {
            code,
            reason: "bye".into(),
        }))
    };
    let data = |bytes: &[u8], kind| Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(kind), true));
    let cases = [
        (close(CloseCode::Normal), 1000),
        (close(CloseCode::Library(4321)), 4321),
        (data(b"binary", Data::Binary), 1002),
        (data(b"continued", Data::Continue), 1002),
        (data(b"\xff\xfe", Data::Text), 1007),
        (data(&vec![b' '; MAX_MESSAGE + 1], Data::Text), 1009),
    ];
    for joined in [false, true] {
        for (message, code) in &cases {
            let mut client = server.client();
            if joined {
                client.join();
            }
            // The server may answer and close before it has read all of what is too long.
            let _ = client.0.send(message.clone());
            assert_eq!(client.closed(), Some(*code), "{message:?}");
        }
        let mut client = server.client();
        let (reserved_opcode, unmasked) = ([0x8b, 0x80, 0, 0, 0, 0], [0x81, 2, b'[', b']']);
        for frame in [&reserved_opcode[..], &unmasked] {
            client.0.get_mut().write_all(frame).unwrap();
            assert_eq!(client.closed(), Some(1002), "{frame:?}");
            client = server.client();
        }
    }
    server.stop();
}

#[test]
fn a_wamp_violation_is_answered_by_abort_and_a_close_frame() {
    let server = Server::start(spec(1));
    let mut client = server.client();
    client.join();
    client.0.send(Message::text("no message")).unwrap();
    assert_eq!(client.receive()[0], 3);
    assert_eq!(client.closed(), Some(1002));
    server.stop();
}

#[test]
fn upgrades_are_refused_with_a_reason() {
    let server = Server::start(spec(1));
    let status = |request: &[u8]| server.answer(request).split(' ').nth(1).map(str::to_owned);
    assert_eq!(status(&common_upgrade("/nowhere", "")).as_deref(), Some("404"));
    assert_eq!(
        status(&common_upgrade("/ws", "Origin: http://evil.org\r\n")).as_deref(),
        Some("403")
    );
    assert_eq!(
        status(b"GET /ws HTTP/1.1\r\nHost: here\r\n\r\n").as_deref(),
        Some("426")
    );
    let unknown = String::from_utf8(common_upgrade("/ws", ""))
        .unwrap()
        .replace("wamp.2.json", "chat");
    assert_eq!(status(unknown.as_bytes()).as_deref(), Some("400"));
    assert_eq!(status(b"\x00\x01\x02\r\n\r\n").as_deref(), Some("400"));
    let allowed = common_upgrade("/ws/below?x=1", "Origin: http://a.example.com\r\n");
    let mut stream = server.connect();
    stream.write_all(&allowed).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    server.stop();
}

#[test]
fn slow_handshakes_are_cut_off() {
    let mut spec = spec(1);
    spec.listeners[0].opening_timeout = Duration::from_millis(200);
    let server = Server::start(spec);
    for beginning in [&b""[..], b"\x7f\xf1", b"GET /ws HTTP/1.1\r\n"] {
        let mut stream = server.connect();
        let start = Instant::now();
        stream.write_all(beginning).unwrap();
        assert_eq!(read_to_end(&mut stream), b"");
        let took = start.elapsed();
        assert!(
            took >= Duration::from_millis(150) && took < PATIENCE / 2,
            "{took:?}"
        );
    }
    assert_eq!(server.running.counters().timed_out.load(Relaxed), 3);
    // A client that goes on in time is not cut off.
    let mut client = server.client();
    client.join();
    server.stop();
}

#[test]
fn dead_peers_are_found_by_pings() {
    let mut spec = spec(1);
    let websocket = common::websocket_spec();
    let ping = crosspoint_net::AutoPing {
        interval: Duration::from_millis(100),
        timeout: Some(Duration::from_millis(200)),
        size: 12,
        restart_on_any_traffic: true,
    };
    let websocket = crosspoint_net::WebSocketSpec {
        auto_ping: Some(ping.into()),
        ..websocket
    };
    spec.listeners[0].http.as_mut().unwrap().routes[0].websocket = Some(websocket.into());
    let server = Server::start(spec);
    let mut silent = server.connect();
    silent.write_all(&common_upgrade("/ws", "")).unwrap();
    let mut alive = server.client();
    alive.join();
    // tungstenite answers pings when it is asked to read.
    let mut pings = 0;
    while pings < 5 {
        match alive.0.read().unwrap() {
            Message::Ping(payload) => {
                assert_eq!(payload.len(), 12);
                pings += 1;
                alive.0.flush().unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    let answer = read_to_end(&mut silent);
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", answer.escape_ascii());
    server.stop();
}

#[test]
fn a_reader_that_falls_behind_gets_every_byte_in_order() {
    let server = Server::start(spec(2));
    let mut slow = server.small_client();
    slow.join();
    slow.subscribe("a.flood");
    let mut publisher = server.client();
    publisher.join();
    // More than the kernel's buffers hold, less than an outbox does.
    let text = |number: usize| format!("{number}:").repeat(8000);
    let count = 150;
    for number in 0..count {
        publisher.publish("a.flood", &text(number));
    }
    for number in 0..count {
        assert_eq!(slow.event(), text(number));
    }
    let blocked: u64 = server
        .running
        .runtime()
        .counters()
        .map(|counters| counters.writes_blocked.get())
        .sum();
    assert!(
        blocked > 0,
        "the kernel never refused anything: the test shows nothing"
    );
    server.stop();
}

#[test]
fn a_shutdown_says_goodbye() {
    for shards in SHARDS {
        let server = Server::start(ServerSpec { ..spec(shards) });
        let mut clients: Vec<_> = (0..6).map(|_| server.client()).collect();
        for client in &mut clients {
            client.join();
        }
        let mut in_handshake = server.connect();
        let address = server.address;
        let start = Instant::now();
        let stopping = std::thread::spawn(move || server.stop());
        for client in &mut clients {
            let goodbye = client.receive();
            assert_eq!(
                (&goodbye[0], &goodbye[2]),
                (&json!(6), &json!("wamp.close.system_shutdown"))
            );
            client.send(&json!([6, {}, "wamp.close.goodbye_and_out"]));
            assert_eq!(client.closed(), Some(1001));
        }
        stopping.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        assert_eq!(read_to_end(&mut in_handshake), b"");
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
