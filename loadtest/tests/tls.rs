//! The harness over TLS, against a router that opens sessions and grants subscriptions.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test may end by a panic, and nobody uses it from outside"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

use bytes::{Bytes, BytesMut};
use crosspoint_codec::core::ids::{SessionId, SubscriptionId};
use crosspoint_codec::core::message::{Message, Subscribed, Welcome};
use crosspoint_codec::core::payload::Format;
use crosspoint_codec::core::value::Dict;
use crosspoint_codec::frame::http::{NO_HEADERS, RequestHead};
use crosspoint_codec::frame::rawsocket::{self, MaxLength};
use crosspoint_codec::frame::websocket::handshake::Upgrade;
use crosspoint_codec::frame::websocket::{self, Role};
use crosspoint_codec::frame::{Framing, build};
use crosspoint_codec::{Limits, decode, encode};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const FORMAT: Format = Format::MsgPack;

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// Starts a router for `localhost`; its port, and its certificate in PEM.
fn start(framing: Framing) -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream = StreamOwned::new(session, stream.unwrap());
            // It ends by an error when the client goes.
            thread::spawn(move || serve(stream, framing));
        }
    });
    (port, made.cert.pem())
}

fn serve(mut stream: Stream, framing: Framing) -> std::io::Result<()> {
    let mut buf = BytesMut::new();
    while !upgrade(&mut stream, framing, &mut buf)? {
        fill(&mut stream, &mut buf)?;
    }
    match framing {
        Framing::WebSocket | Framing::Batched(_) => {
            let mut decoder = websocket::Decoder::new(Role::Server, 4096);
            answer_all(stream, framing, buf, |buf| match decoder.next(buf).unwrap()? {
                websocket::Incoming::Binary(message) => Some(message),
                other => panic!("unexpected {other:?}"),
            })
        }
        Framing::RawSocket => {
            let decoder = rawsocket::Decoder::new(MaxLength::LARGEST);
            answer_all(stream, framing, buf, |buf| match decoder.next(buf).unwrap()? {
                rawsocket::Incoming::Message(message) => Some(message),
                other => panic!("unexpected {other:?}"),
            })
        }
    }
}

fn answer_all(
    mut stream: Stream,
    framing: Framing,
    mut buf: BytesMut,
    mut next: impl FnMut(&mut BytesMut) -> Option<Bytes>,
) -> std::io::Result<()> {
    loop {
        while let Some(message) = next(&mut buf) {
            let message = decode(FORMAT, &message, &Limits::default()).unwrap();
            let goodbye = matches!(message, Message::Goodbye(_));
            let answer = build(framing, FORMAT, |out| encode(FORMAT, &answer(message), out)).unwrap();
            stream.write_all(&answer)?;
            if goodbye {
                return Ok(());
            }
        }
        fill(&mut stream, &mut buf)?;
    }
}

fn upgrade(stream: &mut Stream, framing: Framing, buf: &mut BytesMut) -> std::io::Result<bool> {
    let answer = match framing {
        Framing::WebSocket | Framing::Batched(_) => {
            let mut storage = NO_HEADERS;
            let request = buf.clone();
            let Some(head) = RequestHead::parse(&request, &mut storage).unwrap() else {
                return Ok(false);
            };
            let upgrade = Upgrade::default();
            let answer = upgrade.response(&upgrade.accept(&head).unwrap(), &[]);
            let _request = buf.split_to(head.len);
            answer.to_vec()
        }
        Framing::RawSocket => match rawsocket::accept(buf, &[FORMAT], MaxLength::LARGEST).unwrap() {
            Some(accept) => accept.reply.to_vec(),
            None => return Ok(false),
        },
    };
    stream.write_all(&answer)?;
    Ok(true)
}

fn fill(stream: &mut Stream, buf: &mut BytesMut) -> std::io::Result<()> {
    let mut chunk = [0; 4096];
    let count = stream.read(&mut chunk)?;
    if count == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    buf.extend_from_slice(&chunk[..count]);
    Ok(())
}

fn answer(message: Message) -> Message {
    match message {
        Message::Hello(_) => Message::Welcome(Welcome {
            session: SessionId(1),
            details: Dict::new(),
        }),
        Message::Subscribe(subscribe) => Message::Subscribed(Subscribed {
            request: subscribe.request,
            subscription: SubscriptionId(1),
        }),
        goodbye => goodbye,
    }
}

fn run(url: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crosspoint-loadtest"))
        .args([
            "connect",
            "--sessions",
            "20",
            "--subscribe",
            "shared",
            "--idle",
            "100ms",
        ])
        .args(["--url", url])
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn sessions_open_over_both_transports() {
    for (framing, scheme, path) in [
        (Framing::WebSocket, "wss", "/ws"),
        (Framing::RawSocket, "rss", ""),
    ] {
        let (port, pem) = start(framing);
        let mut ca = tempfile::NamedTempFile::new().unwrap();
        ca.write_all(pem.as_bytes()).unwrap();
        let url = format!("{scheme}://localhost:{port}{path}");
        for trust in [&["--ca", ca.path().to_str().unwrap()][..], &["--insecure"]] {
            let output = run(&url, trust);
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{url} {trust:?}: {output:?}");
            assert!(text.contains("20 received, 0 lost"), "{text}");
        }
    }
}

#[test]
fn an_unknown_router_gets_no_session() {
    let (port, _) = start(Framing::RawSocket);
    let (_, other) = start(Framing::RawSocket);
    let mut ca = tempfile::NamedTempFile::new().unwrap();
    ca.write_all(other.as_bytes()).unwrap();
    let url = format!("rss://localhost:{port}");
    let output = run(&url, &["--ca", ca.path().to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("certificate"), "{text}");
    let output = run(&url, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--insecure"));
}
