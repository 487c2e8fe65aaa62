//! Both sides against the examples of RFC 6455, each other, and tungstenite. `TW-…` are lines of the
//! conformance catalogue.

use bytes::BytesMut;
use crosspoint_core::payload::Format;
use proptest::prelude::*;
use tungstenite::ClientRequestBuilder;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::ClientHandshake as TungsteniteClient;
use tungstenite::handshake::server::{Request, Response};

use super::*;
use crate::frame::http::{NO_HEADERS, RequestHead, SERVER};
use crate::frame::websocket::tests::peer::Pipe;

/// The request of RFC 6455 section 1.3 with a WAMP subprotocol.
const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
    Sec-WebSocket-Protocol: wamp.2.json\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The nonce of that request.
const NONCE: [u8; 16] = *b"the sample nonce";

fn accept_with(upgrade: &Upgrade, request: &str) -> Result<Accepted, Rejection> {
    let mut storage = NO_HEADERS;
    upgrade.accept(
        &RequestHead::parse(request.as_bytes(), &mut storage)
            .unwrap()
            .unwrap(),
    )
}

fn accept(request: &str) -> Result<Accepted, Rejection> {
    accept_with(&Upgrade::default(), request)
}

/// The request with one line replaced.
fn with(line: &str, replacement: &str) -> String {
    assert!(REQUEST.contains(line));
    REQUEST.replace(line, replacement)
}

fn response_to(rejection: Rejection) -> String {
    String::from_utf8(Upgrade::default().reject(rejection).to_vec()).unwrap()
}

#[test]
fn the_rfcs_example_is_accepted() {
    let accepted = accept(REQUEST).unwrap();
    let response = Upgrade::default().response(&accepted, &[("Set-Cookie", "cbtid=1")]);
    let expected = format!(
        "HTTP/1.1 101 Switching Protocols\r\nServer: {SERVER}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Protocol: wamp.2.json\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
         Set-Cookie: cbtid=1\r\n\r\n"
    );
    assert_eq!(response, expected);
}

#[test]
fn tw_001_the_first_supported_subprotocol_of_the_client_is_chosen() {
    let json = Upgrade {
        formats: vec![Format::Json, Format::Cbor],
        ..Upgrade::default()
    };
    let cases = [
        ("wamp.2.json", Format::Json),
        ("wamp.2.cbor.batched,wamp.2.cbor , wamp.2.json", Format::Cbor),
        ("wamp.2.msgpack, wamp.2.json, wamp.2.cbor", Format::Json),
        ("chat\r\nSec-WebSocket-Protocol: wamp.2.cbor", Format::Cbor),
    ];
    for (offer, chosen) in cases {
        assert_eq!(
            accept_with(&json, &with("wamp.2.json", offer))
                .unwrap()
                .subprotocol
                .format,
            chosen,
            "{offer}"
        );
    }
    for (name, format) in [
        ("wamp.2.json", Format::Json),
        ("wamp.2.msgpack", Format::MsgPack),
        ("wamp.2.cbor", Format::Cbor),
        ("wamp.2.ubjson", Format::BjData),
        ("wamp.2.flatbuffers", Format::FlatBuffers),
    ] {
        let accepted = accept(&with("wamp.2.json", name)).unwrap();
        let response = Upgrade::default().response(&accepted, &[]);
        let field = format!("\r\nSec-WebSocket-Protocol: {name}\r\n");
        assert!(std::str::from_utf8(&response).unwrap().contains(&field));
        assert_eq!(accepted.subprotocol.format, format);
    }
}

#[test]
fn tw_014_the_name_of_ubjson_stands_for_the_dialect_that_is_enabled() {
    for dialect in [Format::BjData, Format::UbJson] {
        let upgrade = Upgrade {
            formats: vec![Format::Json, dialect],
            ..Upgrade::default()
        };
        let accepted = accept_with(&upgrade, &with("wamp.2.json", "wamp.2.ubjson")).unwrap();
        assert_eq!(accepted.subprotocol.format, dialect);
    }
}

#[test]
fn tw_002_no_common_subprotocol_is_refused_with_400_and_help() {
    for offer in ["chat", "wamp.2.bson, wamp.2.json.batched", ""] {
        assert_eq!(accept(&with("wamp.2.json", offer)), Err(Rejection::Subprotocol));
    }
    assert_eq!(
        accept(&with("Sec-WebSocket-Protocol: wamp.2.json\r\n", "")),
        Err(Rejection::Subprotocol)
    );
    let response = response_to(Rejection::Subprotocol);
    assert!(response.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{response}");
    assert!(
        response.ends_with("Supported subprotocols: wamp.2.json, wamp.2.msgpack, wamp.2.cbor, wamp.2.ubjson, wamp.2.flatbuffers\n"),
        "{response}"
    );
}

#[test]
fn what_the_rfc_demands_is_checked() {
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let cases = [
        ("GET", "POST", Rejection::Method, 405),
        ("HTTP/1.1", "HTTP/1.0", Rejection::HttpVersion, 505),
        (
            "Connection: Upgrade",
            "Connection: close",
            Rejection::NoUpgrade,
            426,
        ),
        ("Upgrade: websocket", "Upgrade: h2c", Rejection::NoUpgrade, 426),
        ("Host: server.example.com\r\n", "", Rejection::Host, 400),
        (
            "Host: server.example.com\r\n",
            "Host: a\r\nHost: b\r\n",
            Rejection::Host,
            400,
        ),
        ("Version: 13", "Version: 8", Rejection::Version, 426),
        ("Sec-WebSocket-Version: 13\r\n", "", Rejection::Version, 426),
        (key, "", Rejection::Key, 400),
        (key, "Sec-WebSocket-Key: c2hvcnQ=\r\n", Rejection::Key, 400),
        (
            key,
            "Sec-WebSocket-Key: the sample nonce, raw...\r\n",
            Rejection::Key,
            400,
        ),
    ];
    for (line, replacement, rejection, status) in cases {
        assert_eq!(accept(&with(line, replacement)), Err(rejection), "{replacement}");
        let response = response_to(rejection);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert!(response.contains("\r\nConnection: close\r\n"), "{response}");
    }
    assert!(response_to(Rejection::Version).contains("\r\nSec-WebSocket-Version: 13\r\n"));
    assert!(response_to(Rejection::NoUpgrade).contains("\r\nUpgrade: websocket\r\n"));
    assert!(response_to(Rejection::Method).contains("\r\nAllow: GET\r\n"));
}

#[test]
fn names_and_tokens_have_no_case() {
    let request = REQUEST
        .replace("Upgrade: websocket", "UPGRADE: WebSocket")
        .replace("Connection: Upgrade", "connection: keep-alive, upgrade");
    assert!(accept(&request).is_ok());
}

#[test]
fn foreign_origins_are_refused_with_403() {
    let origins = Origins::new(["*://example.com:*", "https://*.example.org"], false);
    let upgrade = Upgrade {
        origins,
        ..Upgrade::default()
    };
    assert!(accept_with(&upgrade, REQUEST).is_ok());
    assert!(
        accept_with(&upgrade, &with("Origin: http://example.com\r\n", "")).is_ok(),
        "no browser"
    );
    for origin in [
        "http://evil.com",
        "null",
        "http://example.com\r\nOrigin: http://evil.com",
    ] {
        assert_eq!(
            accept_with(&upgrade, &with("http://example.com", origin)),
            Err(Rejection::Origin),
            "{origin}"
        );
    }
    assert!(response_to(Rejection::Origin).starts_with("HTTP/1.1 403 Forbidden\r\n"));
}

#[test]
fn a_client_checks_the_response() {
    let client = ClientHandshake::new(NONCE, vec![Format::Json, Format::Cbor]);
    let good = Upgrade::default().response(&accept(REQUEST).unwrap(), &[]);
    let good = std::str::from_utf8(&good).unwrap();
    let read = |response: &str| client.read_response(&mut BytesMut::from(response));
    assert_eq!(read(good), Ok(Some(Established { format: Format::Json })));
    assert_eq!(read(&good[..good.len() - 1]), Ok(None));
    let cases = [
        ("101 Switching", "400 Bad", UpgradeError::Status(400)),
        ("Upgrade: websocket", "Upgrade: h2c", UpgradeError::NoUpgrade),
        (
            "Connection: Upgrade",
            "Connection: close",
            UpgradeError::NoUpgrade,
        ),
        ("s3pPLMBiTx", "s3pPLMBiTy", UpgradeError::AcceptKey),
        ("wamp.2.json", "wamp.2.msgpack", UpgradeError::Subprotocol),
        ("wamp.2.json", "chat", UpgradeError::Subprotocol),
        ("Server:", "Sec-WebSocket-Extensions:", UpgradeError::Extension),
    ];
    for (part, replacement, error) in cases {
        assert_eq!(read(&good.replace(part, replacement)), Err(error));
    }
    assert!(matches!(read("SSH-2.0-x\r\n"), Err(UpgradeError::Head(_))));
    let mut refused = BytesMut::from(&Upgrade::default().reject(Rejection::Host)[..]);
    assert_eq!(client.read_response(&mut refused), Err(UpgradeError::Status(400)));
    assert_eq!(
        refused, "The request must have one Host header.\n",
        "the reason can be read"
    );
}

#[test]
fn both_sides_agree_and_keep_the_first_frames() {
    let client = ClientHandshake::new(NONCE, vec![Format::Cbor]);
    let request = client.request("localhost:1", "/ws?x=1", &[("Origin", "http://localhost")]);
    let accepted = accept(std::str::from_utf8(&request).unwrap()).unwrap();
    let mut received = BytesMut::from(&Upgrade::default().response(&accepted, &[])[..]);
    received.extend_from_slice(b"\x89\x00");
    assert_eq!(
        client.read_response(&mut received),
        Ok(Some(Established { format: Format::Cbor }))
    );
    assert_eq!(received, b"\x89\x00"[..]);
}

#[test]
fn tungstenite_as_client_accepts_our_response() {
    let uri = "ws://localhost:1/ws".parse().unwrap();
    let request = ClientRequestBuilder::new(uri).with_sub_protocol("wamp.2.msgpack");
    let request = tungstenite::client::IntoClientRequest::into_client_request(request).unwrap();
    let waiting = TungsteniteClient::start(Pipe::default(), request, None).unwrap();
    let Err(HandshakeError::Interrupted(mut waiting)) = waiting.handshake() else {
        panic!("there is no response yet");
    };
    let pipe = waiting.get_mut().get_mut();
    let request = String::from_utf8(std::mem::take(&mut pipe.outgoing)).unwrap();
    let accepted = accept(&request).unwrap();
    pipe.put(&Upgrade::default().response(&accepted, &[]));
    let (_, response) = waiting.handshake().unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(response.headers()["sec-websocket-protocol"], "wamp.2.msgpack");
}

#[test]
#[expect(clippy::result_large_err, reason = "tungstenite's signature")]
fn tungstenite_as_server_accepts_our_request() {
    let client = ClientHandshake::new([0xa5; 16], vec![Format::MsgPack, Format::Json]);
    let mut pipe = Pipe::default();
    pipe.put(&client.request("localhost", "/ws", &[]));
    let choose = |request: &Request, mut response: Response| {
        assert_eq!(
            request.headers()["sec-websocket-protocol"],
            "wamp.2.msgpack, wamp.2.json"
        );
        response
            .headers_mut()
            .insert("sec-websocket-protocol", "wamp.2.json".parse().unwrap());
        Ok(response)
    };
    let mut server = tungstenite::accept_hdr(pipe, choose).unwrap_or_else(|error| panic!("{error}"));
    let mut response = BytesMut::from(&server.get_mut().outgoing[..]);
    assert_eq!(
        client.read_response(&mut response),
        Ok(Some(Established { format: Format::Json }))
    );
}

proptest! {
    #[test]
    fn arbitrary_requests_never_panic(at in 0..REQUEST.len(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut request = REQUEST.as_bytes().to_vec();
        request.splice(at..(at + bytes.len()).min(REQUEST.len()), bytes);
        let mut storage = NO_HEADERS;
        if let Ok(Some(head)) = RequestHead::parse(&request, &mut storage) {
            let _ = Upgrade::default().accept(&head);
        }
        let client = ClientHandshake::new(NONCE, vec![Format::Json]);
        let _ = client.read_response(&mut BytesMut::from(&request[..]));
    }
}
