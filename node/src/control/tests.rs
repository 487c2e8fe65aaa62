//! The web server, driven over real sockets with requests as a shard would hand them over.

mod give_back;
mod static_files;

use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;

use tower::ServiceExt;

use super::*;
use crate::config::{Http, JsonValue, Route, Service, StaticFiles};

fn route(path: &str, service: Service) -> Route {
    Route {
        path: path.to_owned(),
        service,
    }
}

fn listener(routes: Vec<Route>) -> Listener {
    Listener {
        id: "web1".to_owned(),
        endpoint: Endpoint::Unix {
            path: "unused".into(),
            backlog: 1,
        },
        max_connections: 1,
        key_path: "workers[0].transports[0]".to_owned(),
        rawsocket: None,
        http: Some(Http {
            routes,
            access_log: true,
            idle_timeout: Duration::from_secs(5),
        }),
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        connect: Arc::new(|_, _| Err(io::ErrorKind::NotConnected.into())),
        limits: crate::config::load_default().unwrap().router.limits,
    }
}

fn files(directory: &Path) -> StaticFiles {
    StaticFiles {
        directory: directory.to_owned(),
        listing: true,
        mime_types: vec![("wasm2".to_owned(), "application/x-two".to_owned())],
        cache_timeout: Some(Duration::from_secs(60)),
        default_file: None,
    }
}

/// What is given back of a connection; the end once it is closed.
type Returns = mpsc::Receiver<(OwnedFd, Bytes)>;

/// A client whose connection has been handed over after `sent` was read from it.
async fn open(routes: Vec<Route>, sent: &str) -> (UnixStream, Returns) {
    let (ours, theirs) = StdStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    let (permit, released) = mpsc::channel(1);
    let (connections, queue) = mpsc::channel(1);
    let received = Bytes::copy_from_slice(sent.as_bytes());
    let connection = Connection {
        socket: theirs.into(),
        received,
        listener: 0,
        way_back: Box::new(move |socket, received| permit.try_send((socket, received)).unwrap()),
    };
    connections.try_send(connection).ok().unwrap();
    drop(connections);
    serve(&[listener(routes)], &surroundings(), queue).await;
    (UnixStream::from_std(ours).unwrap(), released)
}

/// All that comes back for the requests, which must ask for the connection to be closed.
async fn exchange(routes: Vec<Route>, sent: &str) -> String {
    let (mut client, mut released) = open(routes, sent).await;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    let end = released.recv().await;
    assert!(end.is_none(), "the permit lives as long as the connection");
    String::from_utf8(answer).unwrap()
}

/// The answer to one request with these extra header lines.
async fn ask(routes: Vec<Route>, method: &str, path: &str, headers: &str) -> String {
    exchange(
        routes,
        &format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"),
    )
    .await
}

fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{answer}"))
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap();
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

#[tokio::test]
async fn the_demo_is_served_with_a_policy_that_allows_nothing_foreign() {
    let routes = || vec![route("/", Service::Demo)];
    let page = ask(routes(), "GET", "/", "").await;
    assert_eq!(status(&page), 200);
    assert!(
        header(&page, "content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    for (path, kind) in [
        ("/wamp.js", "text/javascript"),
        ("/demo.js", "text/javascript"),
        ("/demo.css", "text/css"),
    ] {
        assert!(page.contains(&path[1..]), "the page does not use {path}");
        let file = ask(routes(), "GET", path, "").await;
        assert!(header(&file, "content-type").unwrap().starts_with(kind), "{file}");
        assert_eq!(header(&file, "x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(status(&ask(routes(), "GET", "/nothing", "").await), 404);
    let refused = ask(routes(), "POST", "/", "Content-Length: 0\r\n").await;
    assert_eq!(
        (status(&refused), header(&refused, "allow")),
        (405, Some("GET, HEAD"))
    );
    let below = vec![route("/try/it", Service::Demo)];
    let moved = ask(below, "GET", "/try/it?a=b", "").await;
    assert_eq!(
        (status(&moved), header(&moved, "location")),
        (308, Some("/try/it/?a=b"))
    );
}

#[tokio::test]
async fn a_kept_connection_answers_requests_that_arrive_later_and_in_pieces() {
    use tokio::io::AsyncWriteExt;

    let value = JsonValue {
        body: "[1]".to_owned(),
        allow_cross_origin: true,
        discourage_caching: true,
    };
    let head = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    let (mut client, _released) = open(vec![route("/a", Service::Json(value))], &head[..20]).await;
    client.write_all(&head.as_bytes()[20..]).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"[1]") {
        assert!(client.read_buf(&mut answer).await.unwrap() > 0);
    }
    client
        .write_all(b"HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    client.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert_eq!(answer.matches("content-length: 3").count(), 2, "{answer}");
    assert_eq!(answer.matches("[1]").count(), 1, "{answer}");
    assert_eq!(header(&answer, "content-type"), Some("application/json"));
    assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
    assert_eq!(header(&answer, "cache-control"), Some("no-store"));
}

#[tokio::test]
async fn the_log_does_not_tell_what_transports_are_called() {
    let id = "0123456789abcdef".repeat(3);
    for (path, mount) in [("/lp", "/lp"), ("/", "")] {
        let service = Service::LongPoll(longpoll::tests::configured());
        let listener = listener(vec![route(path, service)]);
        let app = app::app(&listener.http.unwrap(), &surroundings());
        for (below, shown) in [
            (format!("/{id}/receive?{id}"), "/…/receive"),
            (format!("/{id}"), "/…"),
            (format!("/{id}/send/{id}/"), "/…/send/…/"),
            ("/open".to_owned(), "/open"),
        ] {
            let request = hyper::Request::post(mount.to_owned() + &below);
            let request = request.body(axum::body::Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            let app::Shown(logged) = response.extensions().get().unwrap();
            assert_eq!(*logged, mount.to_owned() + shown);
        }
    }
}

#[tokio::test]
async fn the_longest_path_decides_and_the_rest_is_not_found() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("index.html"), "root").unwrap();
    let routes = || {
        vec![
            route("/", Service::Static(files(directory.path()))),
            route("/a", Service::Nothing),
            route("/a/b", Service::Redirect("https://example.com/x".to_owned())),
        ]
    };
    for (path, expected) in [
        ("/", 200),
        ("/index.html", 200),
        ("/a", 404),
        ("/a/c", 404),
        ("/a/b", 302),
        ("/a/b/c", 302),
    ] {
        assert_eq!(status(&ask(routes(), "GET", path, "").await), expected, "{path}");
    }
    let moved = ask(routes(), "GET", "/a/b", "").await;
    assert_eq!(header(&moved, "location"), Some("https://example.com/x"));
    assert_eq!(status(&ask(Vec::new(), "GET", "/", "").await), 404);
}

#[tokio::test]
async fn the_demo_connects_to_the_websocket_beside_it() {
    for (mount, page, websocket) in [
        ("/", "/", "ws"),
        ("/demo", "/demo/", "../ws"),
        ("/a/b", "/a/b/", "../ws"),
    ] {
        let answer = ask(vec![route(mount, Service::Demo)], "GET", page, "").await;
        let expected = format!("data-websocket=\"{websocket}\"");
        assert!(answer.contains(&expected), "{mount}: {answer}");
    }
}

#[tokio::test]
async fn the_address_of_a_websocket_explains_itself() {
    let config = crate::config::load_default().unwrap();
    let http = config.router.listeners[0].http.clone().unwrap();
    let page = ask(http.routes.clone(), "GET", "/ws", "").await;
    assert_eq!(status(&page), 200);
    assert!(page.contains("WAMP"), "{page}");
    let upgrade = ask(http.routes.clone(), "GET", "/ws", "Upgrade: h2c\r\n").await;
    assert_eq!(
        (status(&upgrade), header(&upgrade, "upgrade")),
        (426, Some("websocket"))
    );
    assert_eq!(
        status(&ask(http.routes, "POST", "/ws", "Content-Length: 0\r\n").await),
        426
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_requests_is_closed_after_the_idle_time() {
    let start = tokio::time::Instant::now();
    // The head never ends.
    let answer = exchange(vec![route("/", Service::Demo)], "GET / HTTP/1.1\r\nHost: x\r\n").await;
    assert_eq!(start.elapsed().as_secs(), 5, "{answer}");
    // One request is answered, no second one follows.
    let start = tokio::time::Instant::now();
    let answer = exchange(
        vec![route("/", Service::Demo)],
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    .await;
    assert_eq!((status(&answer), start.elapsed().as_secs()), (200, 5));
}

/// A client that asked for this many bytes.
async fn open_large(bytes: usize) -> (UnixStream, Returns) {
    let value = JsonValue {
        body: "x".repeat(bytes),
        allow_cross_origin: false,
        discourage_caching: false,
    };
    let request = "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    open(vec![route("/a", Service::Json(value))], request).await
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_a_response_is_closed_in_the_end() {
    let start = tokio::time::Instant::now();
    let (_client, mut released) = open_large(4 << 20).await;
    let hour = Duration::from_secs(3600);
    let end = tokio::time::timeout(hour, released.recv()).await;
    assert!(matches!(end, Ok(None)), "the connection is still there");
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_all_of_a_response() {
    let start = tokio::time::Instant::now();
    let (mut client, _released) = open_large(4 << 20).await;
    let mut answer = Vec::new();
    loop {
        tokio::time::sleep(Duration::from_secs(20)).await;
        // More than the socket holds, so that it has room again.
        let before = answer.len();
        let mut some = (&mut client).take(1 << 20);
        some.read_to_end(&mut answer).await.unwrap();
        if answer.len() == before {
            break;
        }
    }
    assert!(start.elapsed().as_secs() >= 60);
    assert!(answer.len() > 4 << 20, "{} bytes", answer.len());
}

#[tokio::test]
async fn a_head_without_end_or_measure_is_refused() {
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "a".repeat(200_000));
    assert_eq!(
        status(&exchange(vec![route("/", Service::Demo)], &long).await),
        431
    );
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(200));
    assert_eq!(
        status(&exchange(vec![route("/", Service::Demo)], &many).await),
        431
    );
    assert_eq!(
        status(&exchange(vec![route("/", Service::Demo)], "\x00nonsense\r\n\r\n").await),
        400
    );
}
