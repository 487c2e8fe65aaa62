use std::net::SocketAddr;
use std::time::Duration;

use crosspoint_codec::frame::rawsocket::MaxLength;
use crosspoint_codec::frame::websocket::handshake::Upgrade;

use super::*;
use crate::listen::Endpoint;
use crate::spec::Route;

fn listener() -> ListenerSpec {
    let websocket = WebSocketSpec {
        testee: false,
        upgrade: Upgrade::default(),
        access: Arc::default(),
        max_message_size: 1000,
        closing_timeout: Duration::from_secs(1),
        auto_ping: None,
        tcp_nodelay: true,
    };
    ListenerSpec {
        endpoint: Endpoint::Tcp {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            backlog: 1,
        },
        max_connections: 1,
        opening_timeout: Duration::from_secs(1),
        rawsocket: Some(RawSocketSpec {
            formats: vec![Format::Json, Format::Cbor],
            access: Arc::default(),
            max_message: MaxLength::at_least(4096),
        }),
        http: Some(HttpSpec {
            server: "Nobody".to_owned(),
            routes: vec![
                Route {
                    path: "/ws".to_owned(),
                    websocket: Some(Arc::new(websocket)),
                },
                Route {
                    path: "/".to_owned(),
                    websocket: None,
                },
            ],
        }),
    }
}

fn upgrade_request(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: wamp.2.cbor\r\n\r\n"
    )
}

fn look(listener: &ListenerSpec, admitted: bool, hands_off: bool, bytes: &[u8]) -> (Opening, BytesMut) {
    let mut buf = BytesMut::from(bytes);
    let opening = Opener::new(listener, admitted, hands_off).look(&mut buf);
    (opening, buf)
}

fn refusal(opening: Opening) -> String {
    match opening {
        Opening::Refuse(reply) => String::from_utf8_lossy(&reply).into_owned(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn the_first_octet_decides() {
    let listener = listener();
    let (opening, rest) = look(&listener, true, true, b"\x7f\xf3\0\0rest");
    let Opening::Open(opened) = opening else {
        panic!("{opening:?}")
    };
    assert_eq!(
        (&opened.reply[..], opened.format),
        (&b"\x7f\x33\0\0"[..], Format::Cbor)
    );
    assert_eq!((opened.peer_max_bytes, &rest[..]), (1 << 24, &b"rest"[..]));
    assert!(matches!(opened.protocol, Protocol::RawSocket(_)) && opened.websocket.is_none());

    let (opening, rest) = look(
        &listener,
        true,
        true,
        format!("{}rest", upgrade_request("/ws?x=1")).as_bytes(),
    );
    let Opening::Open(opened) = opening else {
        panic!("{opening:?}")
    };
    assert!(opened.reply.starts_with(b"HTTP/1.1 101 ") && opened.format == Format::Cbor);
    assert_eq!(&rest[..], b"rest");
}

#[test]
fn it_does_not_matter_how_the_octets_come() {
    let listener = listener();
    for request in [
        &b"\x7f\xf1\0\0"[..],
        upgrade_request("/ws").as_bytes(),
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut opener = Opener::new(&listener, true, true);
        let mut buf = BytesMut::new();
        let (last, before) = request.split_last().unwrap();
        for octet in before {
            buf.extend_from_slice(&[*octet]);
            assert!(matches!(opener.look(&mut buf), Opening::Incomplete));
        }
        buf.extend_from_slice(&[*last]);
        let opening = opener.look(&mut buf);
        assert!(
            matches!(opening, Opening::Open(_) | Opening::HandOff),
            "{opening:?}"
        );
    }
}

#[test]
fn what_is_no_upgrade_of_ours_is_handed_off_whole() {
    let listener = listener();
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        upgrade_request("/other"),
        "GET /ws HTTP/1.1\r\n\r\n".to_owned(),
    ] {
        let (opening, buf) = look(&listener, true, true, request.as_bytes());
        assert!(matches!(opening, Opening::HandOff), "{opening:?}");
        assert_eq!(buf, request);
    }
}

#[test]
fn refusals_say_why() {
    let mut listener = listener();
    let status = |listener: &ListenerSpec, admitted, hands_off, request: &str| {
        refusal(look(listener, admitted, hands_off, request.as_bytes()).0)
            .split(' ')
            .nth(1)
            .map(str::to_owned)
    };
    let get = "GET /ws HTTP/1.1\r\n\r\n";
    assert_eq!(status(&listener, true, false, get).as_deref(), Some("426"));
    assert_eq!(
        status(&listener, true, false, "GET /x HTTP/1.1\r\n\r\n").as_deref(),
        Some("404")
    );
    assert_eq!(status(&listener, false, true, get).as_deref(), Some("503"));
    assert_eq!(
        status(&listener, true, true, "nonsense\r\n\r\n").as_deref(),
        Some("400")
    );
    for (admitted, request) in [(true, "nonsense\r\n\r\n"), (false, get)] {
        let answer = refusal(look(&listener, admitted, true, request.as_bytes()).0);
        assert!(answer.contains("\r\nServer: Nobody\r\n"), "{answer}");
    }
    let long = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(MAX_HEAD));
    assert_eq!(status(&listener, true, true, &long).as_deref(), Some("431"));
    let unknown = upgrade_request("/ws").replace("wamp.2.cbor", "wamp.9.cbor");
    assert_eq!(status(&listener, true, true, &unknown).as_deref(), Some("400"));

    let rawsocket =
        |listener: &ListenerSpec, admitted, bytes: &[u8]| match look(listener, admitted, true, bytes).0 {
            Opening::Refuse(reply) => reply.to_vec(),
            other => panic!("not refused: {other:?}"),
        };
    assert_eq!(
        rawsocket(&listener, true, b"\x7f\xf2\0\0"),
        b"\x7f\x10\0\0",
        "MessagePack is not offered"
    );
    assert_eq!(
        rawsocket(&listener, true, b"\x7f\xf1\0\x01"),
        b"\x7f\x30\0\0",
        "a reserved bit"
    );
    assert_eq!(
        rawsocket(&listener, false, b"\x7f\xf1\0\0"),
        b"\x7f\x40\0\0",
        "no place"
    );
    listener.rawsocket = None;
    assert_eq!(rawsocket(&listener, true, b"\x7f\xf1\0\0"), b"");
    listener.http = None;
    assert_eq!(rawsocket(&listener, true, b"GET"), b"");
}
