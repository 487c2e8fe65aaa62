//! Connections that carried requests and ask for WebSocket then.

use super::*;

/// A site with WebSocket at `/a/ws` and much to read at `/json`.
fn websocket_beside(bytes: usize) -> Vec<Route> {
    let config = crate::config::load_default().unwrap();
    let routes = &config.router.listeners[0].http.as_ref().unwrap().routes;
    let websocket = routes.iter().find(|route| route.path == "/ws").unwrap();
    let value = JsonValue {
        body: "x".repeat(bytes),
        allow_cross_origin: false,
        discourage_caching: false,
    };
    vec![
        route("/a/ws", websocket.service.clone()),
        route("/json", Service::Json(value)),
    ]
}

const GET_JSON: &str = "GET /json HTTP/1.1\r\nHost: x\r\n\r\n";
const HANDSHAKE: &str = "GET /a/ws/x?y=%20 HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
                         Cookie: a=\u{e9}\r\nX: 1\r\nX: 2\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Whether a request was given back as it was, whatever the case and the order of its header fields, with `rest` after it.
fn assert_given_back(received: &Bytes, rest: &[u8]) {
    let parts = |head: &str| {
        let head = head.strip_suffix("\r\n\r\n").unwrap();
        let (line, fields) = head.split_once("\r\n").unwrap();
        let mut fields: Vec<_> = fields
            .split("\r\n")
            .map(|field| field.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        // Those of one name stay in their order.
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        (line.to_owned(), fields)
    };
    let (head, after) = received.split_at(received.len() - rest.len());
    assert_eq!(parts(std::str::from_utf8(head).unwrap()), parts(HANDSHAKE));
    assert_eq!(after, rest);
}

#[tokio::test]
async fn a_kept_connection_that_asks_for_websocket_goes_back_with_all_that_was_read() {
    use tokio::io::AsyncWriteExt;

    // More than the web server reads in one go.
    let frames = vec![b'f'; 50_000];
    let (mut client, mut returns) = open(websocket_beside(3), GET_JSON).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"xxx") {
        assert!(client.read_buf(&mut answer).await.unwrap() > 0);
    }
    client.write_all(&HANDSHAKE.as_bytes()[..30]).await.unwrap();
    client.write_all(&HANDSHAKE.as_bytes()[30..]).await.unwrap();
    let (socket, received) = returns.recv().await.unwrap();
    assert_given_back(&received, b"");
    let mut stream = UnixStream::from_std(socket.into()).unwrap();
    client.write_all(&frames).await.unwrap();
    let mut rest = vec![0; frames.len()];
    stream.read_exact(&mut rest).await.unwrap();
    stream.write_all(b"frame").await.unwrap();
    client.read_exact(&mut [0; 5]).await.unwrap();
    assert!(returns.recv().await.is_none());

    let all = format!(
        "{GET_JSON}{HANDSHAKE}{}",
        String::from_utf8(frames.clone()).unwrap()
    );
    let (_client, mut returns) = open(websocket_beside(3), &all).await;
    let (_, received) = returns.recv().await.unwrap();
    assert_given_back(&received, &frames);
}

#[tokio::test]
async fn what_was_asked_before_websocket_is_answered_in_full() {
    const BYTES: usize = 4 << 20;
    let (mut client, mut returns) = open(websocket_beside(BYTES), &format!("{GET_JSON}{HANDSHAKE}")).await;
    let mut answer = Vec::new();
    let body = |answer: &[u8]| answer.iter().rev().take_while(|byte| **byte == b'x').count();
    while answer.len() < BYTES || body(&answer) < BYTES {
        assert!(client.read_buf(&mut answer).await.unwrap() > 0);
    }
    let (_, received) = returns.recv().await.unwrap();
    assert_given_back(&received, b"");
}
