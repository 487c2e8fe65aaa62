//! The testee: whatever is sent comes back, without WAMP and without a subprotocol.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking too")]

mod common;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{MAX_MESSAGE, PATIENCE, Server, spec, websocket_spec};
use crosspoint_net::WebSocketSpec;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

/// How long a peer may take nothing.
const STALL: Duration = Duration::from_millis(300);

fn server() -> Server {
    let mut spec = spec(1);
    spec.shard.stall_timeout = STALL;
    for route in spec
        .listeners
        .iter_mut()
        .filter_map(|listener| listener.http.as_mut())
    {
        route.routes[0].websocket = Some(Arc::new(WebSocketSpec {
            testee: true,
            ..websocket_spec()
        }));
    }
    Server::start(spec)
}

fn client(server: &Server) -> WebSocket<common::Patient<std::net::TcpStream>> {
    tungstenite::client("ws://127.0.0.1/ws", server.connect())
        .map_err(|error| error.to_string())
        .unwrap()
        .0
}

#[test]
fn messages_of_both_kinds_come_back_and_pings_are_answered() {
    let server = server();
    let mut client = client(&server);
    for message in [
        Message::text("Brücke"),
        Message::binary(vec![7; 100_000]),
        Message::text(""),
    ] {
        client.send(message.clone()).unwrap();
        assert_eq!(client.read().unwrap(), message);
    }
    client.send(Message::Ping("alive?".into())).unwrap();
    assert_eq!(client.read().unwrap(), Message::Pong("alive?".into()));
    client
        .close(Some(CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        }))
        .unwrap();
    assert!(matches!(client.read().unwrap(), Message::Close(Some(frame)) if frame.code == CloseCode::Normal));
    assert!(client.read().is_err(), "closed by the server");
    server.stop();
}

#[test]
fn a_fault_closes_the_connection_and_the_end_of_the_server_too() {
    let server = server();
    let mut large = client(&server);
    large.send(Message::binary(vec![7; MAX_MESSAGE + 1])).unwrap();
    assert!(matches!(large.read().unwrap(), Message::Close(Some(frame)) if frame.code == CloseCode::Size));
    let mut idle = client(&server);
    idle.send(Message::text("hello")).unwrap();
    assert_eq!(idle.read().unwrap(), Message::text("hello"));
    server.stop();
    assert!(idle.read().is_err(), "closed by the server");
}

#[test]
fn a_peer_that_takes_nothing_is_closed_in_the_end() {
    let server = server();
    let mut client = client(&server);
    let stream = &client.get_ref().0;
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let message = Message::binary(vec![7; 100_000]);
    let start = Instant::now();
    // Until both directions are full, and then until the server closes.
    let error = loop {
        match client.send(message.clone()) {
            Ok(()) => {}
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break error,
        }
    };
    let tungstenite::Error::Io(error) = error else {
        panic!("{error}")
    };
    assert!(
        matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{error}"
    );
    assert!(start.elapsed() >= STALL);
    server.stop();
}
