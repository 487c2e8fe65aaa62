//! The service, with tests in the place of the shards: each holds the other end of a transport's connection.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

use axum::http::Request;
use http_body_util::Full;
use tower::ServiceExt;

use super::*;
use crate::config::Service as Configured;

/// A service and the connections that it opens.
struct Server {
    router: Router,
    pipes: Receiver<UnixStream>,
}

/// One transport, by both ends.
struct Client {
    router: Router,
    path: String,
    shard: UnixStream,
}

/// The service as it is by default.
pub(in crate::control) fn configured() -> config::LongPoll {
    let text = br#"{"version": 2, "workers": [{"type": "router",
        "realms": [{"name": "realm1", "roles": [{"name": "anonymous", "permissions": []}]}],
        "transports": [{"type": "web", "endpoint": {"type": "tcp", "port": 0},
            "paths": {"lp": {"type": "longpoll"}}}]}]}"#;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    std::fs::write(&file, text).unwrap();
    let (loaded, _) = config::load(&file).unwrap();
    let listener = &loaded.router.listeners[0];
    match listener.http.as_ref().unwrap().routes[0].service.clone() {
        Configured::LongPoll(longpoll) => longpoll,
        _ => panic!("{listener:?}"),
    }
}

fn server(change: impl FnOnce(&mut config::LongPoll)) -> Server {
    let mut longpoll = configured();
    change(&mut longpoll);
    let (sender, pipes) = channel();
    let connect = move |_: Format, _: Arc<Access>| {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        sender.send(theirs).map_err(io::Error::other)?;
        Ok(ours)
    };
    let access = crate::boot::access(&longpoll.access);
    Server {
        router: router(&longpoll, access, Limits::default(), Arc::new(connect)),
        pipes,
    }
}

async fn request(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, body)
}

async fn post_to(router: &Router, path: &str, body: &[u8]) -> (StatusCode, Bytes) {
    let body = Body::from(body.to_vec());
    let (status, _, body) = request(router, Request::post(path).body(body).unwrap()).await;
    (status, body)
}

impl Server {
    async fn open(&self, protocol: &str) -> Client {
        let body = format!(r#"{{"protocols": ["wamp.9", "{protocol}"]}}"#);
        let (status, body) = post_to(&self.router, "/open", body.as_bytes()).await;
        assert_eq!(status, StatusCode::OK, "{body:?}");
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["protocol"], protocol);
        Client {
            router: self.router.clone(),
            path: format!("/{}", answer["transport"].as_str().unwrap()),
            shard: self.pipes.try_recv().unwrap(),
        }
    }
}

impl Client {
    async fn post(&self, what: &str, body: &[u8]) -> (StatusCode, Bytes) {
        post_to(&self.router, &format!("{}/{what}", self.path), body).await
    }

    async fn receive(&self) -> Bytes {
        let (status, body) = self.post("receive", b"").await;
        assert_eq!(status, StatusCode::OK, "{body:?}");
        body
    }

    /// What the router sends.
    fn queue(&mut self, messages: &[&[u8]]) {
        for message in messages {
            let len = u32::try_from(message.len()).unwrap();
            self.shard.write_all(&len.to_be_bytes()).unwrap();
            self.shard.write_all(message).unwrap();
        }
    }

    /// What the router got.
    fn got(&mut self) -> Vec<u8> {
        let mut len = [0; 4];
        self.shard.read_exact(&mut len).unwrap();
        let mut message = vec![0; u32::from_be_bytes(len) as usize];
        self.shard.read_exact(&mut message).unwrap();
        message
    }

    fn is_lost(&mut self) -> bool {
        self.shard.set_nonblocking(true).unwrap();
        matches!(self.shard.read(&mut [0]), Ok(0))
    }
}

const GOODBYE: &[u8] = br#"[6,{},"wamp.close.normal"]"#;

#[tokio::test]
async fn a_request_to_open_needs_a_protocol_that_is_served() {
    let server = server(|longpoll| longpoll.serializers = vec![Format::Json, Format::Cbor]);
    for protocol in [
        "wamp.2.json",
        "wamp.2.json.batched",
        "wamp.2.cbor",
        "wamp.2.cbor.batched",
    ] {
        server.open(protocol).await;
    }
    for body in [
        &b""[..],
        b"[]",
        b"{}",
        br#"{"protocols": "wamp.2.json"}"#,
        br#"{"protocols": [1, "wamp.2.json"]}"#,
        br#"{"protocols": []}"#,
        br#"{"protocols": ["wamp.2.msgpack", "wamp.2.json.batched.batched"]}"#,
    ] {
        let (status, text) = post_to(&server.router, "/open", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text:?}");
    }
    let (status, _) = post_to(&server.router, "/open", &[b' '; LARGEST_OPEN + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_refusal_names_what_is_served() {
    let server = server(|longpoll| longpoll.serializers = vec![Format::Json, Format::FlatBuffers]);
    let served = ["wamp.2.json", "wamp.2.json.batched", "wamp.2.flatbuffers"];
    for other in ["wamp.2.cbor", "wamp.2.flatbuffers.batched"] {
        let body = format!(r#"{{"protocols": ["{other}"]}}"#);
        let (status, text) = post_to(&server.router, "/open", body.as_bytes()).await;
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
        assert!(
            text.contains(&format!("there are: {}.", served.join(", "))),
            "{text}"
        );
    }
    for protocol in served {
        server.open(protocol).await;
    }
}

#[tokio::test]
async fn messages_go_one_by_one_in_their_order() {
    let server = server(|_| ());
    let mut client = server.open("wamp.2.json").await;
    assert_eq!(
        client.post("send?x=1", GOODBYE).await,
        (StatusCode::NO_CONTENT, Bytes::new())
    );
    assert_eq!(client.got(), GOODBYE);
    let long = vec![b'x'; 100_000];
    client.queue(&[b"[1]", b"[2]", &long, b"[3]"]);
    for message in [&b"[1]"[..], b"[2]", &long, b"[3]"] {
        assert_eq!(client.receive().await, message);
    }
}

#[tokio::test]
async fn a_batch_holds_what_the_limits_allow() {
    let server = server(|longpoll| {
        longpoll.queue_limit_bytes = 1000;
        longpoll.queue_limit_messages = 3;
    });
    let mut client = server.open("wamp.2.json.batched").await;
    // Until the client has sent a batch the specification's separator is taken.
    client.queue(&[b"[0]"]);
    assert_eq!(client.receive().await, b"[0]\x1e"[..]);
    let batch = [GOODBYE, b"\x18", GOODBYE, b"\x18"].concat();
    assert_eq!(client.post("send", &batch).await.0, StatusCode::NO_CONTENT);
    assert_eq!((client.got(), client.got()), (GOODBYE.to_vec(), GOODBYE.to_vec()));
    let long = vec![b'x'; 5000];
    client.queue(&[b"[1]", b"[2]", b"[3]", b"[4]", &long, b"[5]"]);
    assert_eq!(client.receive().await, b"[1]\x18[2]\x18[3]\x18"[..]);
    assert_eq!(client.receive().await, [b"[4]\x18", &long[..], b"\x18"].concat());
    assert_eq!(client.receive().await, b"[5]\x18"[..]);
    let mut binary = server.open("wamp.2.cbor.batched").await;
    binary.queue(&[b"ab", b"c"]);
    assert_eq!(binary.receive().await, b"\0\0\0\x02ab\0\0\0\x01c"[..]);
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_passed_on() {
    let server = server(|_| ());
    for garbage in [&b""[..], b"hello", b"[1", b"[9999]"] {
        let mut client = server.open("wamp.2.json").await;
        let (status, text) = client.post("send", garbage).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text:?}");
        assert_eq!(client.got(), garbage);
    }
    let mut client = server.open("wamp.2.json.batched").await;
    let (status, _) = client.post("send", b"[1\x1e[2]\x1e").await;
    assert_eq!((status, client.got()), (StatusCode::BAD_REQUEST, b"[1".to_vec()));
    for garbage in [&b""[..], GOODBYE] {
        let mut client = server.open("wamp.2.json.batched").await;
        let (status, text) = client.post("send", garbage).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{text:?}");
        assert!(client.is_lost());
        assert_eq!(client.post("receive", b"").await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn no_body_is_read_while_the_router_reads_none() {
    let server = server(|_| ());
    let mut client = server.open("wamp.2.json").await;
    // More than a socket holds.
    let long = format!(r#"[16,1,{{}},"com.example.topic",["{}"]]"#, "a".repeat(4 << 20));
    let is_read = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_read);
    let body = Full::new(Bytes::from_static(GOODBYE)).map_frame(move |frame| {
        told.store(true, Ordering::Relaxed);
        frame
    });
    let path = format!("{}/send", client.path);
    let second = Request::post(&path).body(Body::new(body)).unwrap();
    let router = client.router.clone();
    let mut first = pin!(post_to(&router, &path, long.as_bytes()));
    let mut second = pin!(request(&router, second));
    client.shard.set_nonblocking(true).unwrap();
    let arrives = async {
        while client.shard.read(&mut [0; 4]).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = &mut first => panic!("nobody has read it"),
        _ = &mut second => panic!("it was first"),
        () = arrives => assert!(!is_read.load(Ordering::Relaxed)),
    }
    client.shard.set_nonblocking(false).unwrap();
    let length = long.len();
    let reading = tokio::task::spawn_blocking(move || {
        client.shard.read_exact(&mut vec![0; length]).unwrap();
        client.got()
    });
    let ((first, _), (second, ..), last) = tokio::join!(first, second, reading);
    assert_eq!([first, second], [StatusCode::NO_CONTENT; 2]);
    assert_eq!(last.unwrap(), GOODBYE);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_while_and_makes_room_for_the_next() {
    let server = server(|longpoll| longpoll.request_timeout = Duration::from_secs(7));
    let mut client = server.open("wamp.2.json").await;
    let start = tokio::time::Instant::now();
    assert_eq!(client.receive().await, b""[..]);
    assert_eq!(start.elapsed().as_secs(), 7);
    let (older, ()) = tokio::join!(client.receive(), async {
        tokio::task::yield_now().await;
        assert_eq!(client.receive().await, b""[..]);
    });
    assert_eq!(older, b""[..]);
    assert_eq!(
        start.elapsed().as_secs(),
        14,
        "the older one ended when the newer one came"
    );
    // One that is given up takes nothing along.
    assert!(timeout(Duration::from_secs(1), client.receive()).await.is_err());
    client.queue(&[b"[1]"]);
    assert_eq!(client.receive().await, b"[1]"[..]);
}

#[tokio::test(start_paused = true)]
async fn the_session_of_a_client_that_stays_away_is_lost() {
    let server = server(|longpoll| {
        longpoll.request_timeout = Duration::from_secs(60);
        longpoll.session_timeout = Duration::from_secs(20);
    });
    let mut client = server.open("wamp.2.json").await;
    tokio::time::sleep(Duration::from_secs(19)).await;
    // A client that waits is there, for however long.
    assert_eq!(client.receive().await, b""[..]);
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert_eq!(client.post("send", GOODBYE).await.0, StatusCode::NO_CONTENT);
    assert_eq!(client.got(), GOODBYE);
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert!(!client.is_lost());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(client.is_lost());
    assert_eq!(client.post("receive", b"").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_closed_transport_is_gone() {
    let server = server(|_| ());
    let mut client = server.open("wamp.2.json").await;
    let (waiting, ()) = tokio::join!(client.receive(), async {
        tokio::task::yield_now().await;
        assert_eq!(client.post("close", b"").await.0, StatusCode::NO_CONTENT);
    });
    assert_eq!(waiting, b""[..], "whoever closes knows");
    assert!(client.is_lost());
    for what in ["receive", "send", "close"] {
        assert_eq!(client.post(what, GOODBYE).await.0, StatusCode::NOT_FOUND);
    }
    for path in ["/nothing/receive", "/open/receive"] {
        assert_eq!(post_to(&server.router, path, b"").await.0, StatusCode::NOT_FOUND);
    }
    assert_eq!(client.post("other", b"").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_the_router_said_last_can_be_fetched() {
    let server = server(|_| ());
    let mut client = server.open("wamp.2.json").await;
    client.queue(&[GOODBYE, b"[3]"]);
    client.shard.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.post("send", GOODBYE).await.0, StatusCode::NOT_FOUND);
    assert_eq!(client.receive().await, GOODBYE);
    assert_eq!(client.receive().await, b"[3]"[..]);
    assert_eq!(client.post("receive", b"").await.0, StatusCode::NOT_FOUND);
    assert_eq!(client.post("close", b"").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn bodies_and_transports_are_limited() {
    let server = server(|longpoll| {
        longpoll.max_message_size = GOODBYE.len();
        longpoll.max_transports = 1;
    });
    let mut client = server.open("wamp.2.json").await;
    let (status, _) = client.post("send", &[GOODBYE, b" "].concat()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(client.post("send", GOODBYE).await.0, StatusCode::NO_CONTENT);
    assert_eq!(client.got(), GOODBYE);
    let open = br#"{"protocols": ["wamp.2.json"]}"#;
    let (status, _) = post_to(&server.router, "/open", open).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(client.post("close", b"").await.0, StatusCode::NO_CONTENT);
    server.open("wamp.2.json").await;
}

#[tokio::test]
async fn pages_of_other_origins_may_use_it_and_nobody_keeps_copies() {
    let server = server(|_| ());
    let with = |method, name: &str, value: &str| {
        let request = Request::builder().method(method).uri("/open");
        let request = request.header("Origin", "http://elsewhere").header(name, value);
        request.body(Body::empty()).unwrap()
    };
    let preflight = with(Method::OPTIONS, "Access-Control-Request-Headers", "content-type");
    let (status, headers, _) = request(&server.router, preflight).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["access-control-allow-headers"], "content-type");
    assert_eq!(headers["access-control-allow-methods"], "POST");
    assert_eq!(headers["access-control-allow-origin"], "http://elsewhere");
    let (status, headers, _) = request(&server.router, with(Method::POST, "X", "y")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(headers["access-control-allow-origin"], "http://elsewhere");
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert_eq!(headers["cache-control"], "no-store");
    let (status, headers, _) = request(&server.router, with(Method::GET, "X", "y")).await;
    assert_eq!(
        (status, &headers["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &HeaderValue::from_static("POST"))
    );
}

#[tokio::test]
async fn pages_of_origins_that_are_not_allowed_get_nothing() {
    let server = server(|longpoll| {
        longpoll.allowed_origins = vec!["http://*.example.com:80".to_owned()];
        longpoll.allow_null_origin = false;
    });
    for (origin, expected) in [
        ("http://a.example.com", StatusCode::OK),
        ("http://elsewhere", StatusCode::FORBIDDEN),
        ("null", StatusCode::FORBIDDEN),
    ] {
        let open = Request::post("/open")
            .header("Origin", origin)
            .body(Body::from(r#"{"protocols": ["wamp.2.json"]}"#));
        let (status, headers, _) = request(&server.router, open.unwrap()).await;
        assert_eq!(status, expected, "{origin}");
        let allowed = headers.contains_key("access-control-allow-origin");
        assert_eq!(allowed, expected == StatusCode::OK, "{origin}");
    }
    // Programs are no pages.
    server.open("wamp.2.json").await;
}
