use proptest::prelude::*;

use super::*;

const BROWSER: &[u8] = b"GET /ws?token=a%20b HTTP/1.1\r\nHost: localhost:8080\r\n\
    connection: keep-alive, Upgrade\r\nUPGRADE: websocket\r\nCookie: a=1\r\ncookie: b=2\r\n\r\n\x81\x80";

/// What `parse` says of `buf`: the head's length or why there is none.
fn outcome(buf: &[u8]) -> Result<Option<usize>, HeadError> {
    Ok(RequestHead::parse(buf, &mut NO_HEADERS.clone())?.map(|head| head.len))
}

/// What a listener makes of `stream` when it arrives in reads of `size` octets.
fn outcome_in_reads(stream: &[u8], size: usize) -> Result<Option<usize>, HeadError> {
    for end in (size..stream.len()).step_by(size) {
        let outcome = outcome(&stream[..end]);
        if outcome != Ok(None) {
            return outcome;
        }
    }
    outcome(stream)
}

#[test]
fn a_request_is_taken_apart() {
    let mut storage = NO_HEADERS;
    let head = RequestHead::parse(BROWSER, &mut storage).unwrap().unwrap();
    assert_eq!(
        (head.method, head.target, head.minor_version),
        ("GET", "/ws?token=a%20b", 1)
    );
    assert_eq!((head.path(), head.query()), ("/ws", Some("token=a%20b")));
    assert_eq!(head.headers.as_slice().len(), 5);
    assert_eq!(head.headers.single("HOST"), Some(&b"localhost:8080"[..]));
    assert_eq!(head.headers.single("cookie"), None, "there are two");
    assert_eq!(head.headers.all("Cookie").collect::<Vec<_>>(), [b"a=1", b"b=2"]);
    assert_eq!(
        head.headers.list("Connection").collect::<Vec<_>>(),
        [&b"keep-alive"[..], b"Upgrade"]
    );
    assert!(head.headers.has_token("connection", "upgrade"));
    assert!(head.is_websocket_upgrade());
    assert_eq!(&BROWSER[head.len..], b"\x81\x80", "the first frame stays");
}

#[test]
fn a_plain_request_is_not_an_upgrade() {
    let mut storage = NO_HEADERS;
    let request = b"POST /call HTTP/1.0\r\nUpgrade: h2c\r\n\r\n";
    let head = RequestHead::parse(request, &mut storage).unwrap().unwrap();
    assert_eq!(
        (head.method, head.path(), head.query(), head.minor_version),
        ("POST", "/call", None, 0)
    );
    assert!(!head.is_websocket_upgrade());
    assert_eq!(head.headers.list("connection").count(), 0);
}

#[test]
fn a_target_may_name_the_host() {
    for (target, path) in [
        ("http://a:1/ws?x", "/ws"),
        ("https://a", "/"),
        ("*", "*"),
        ("/a://b/c", "/a://b/c"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\n\r\n");
        let mut storage = NO_HEADERS;
        assert_eq!(
            RequestHead::parse(request.as_bytes(), &mut storage)
                .unwrap()
                .unwrap()
                .path(),
            path
        );
    }
}

#[test]
fn every_prefix_of_a_head_is_incomplete() {
    let len = outcome(BROWSER).unwrap().unwrap();
    for end in 0..len {
        assert_eq!(outcome(&BROWSER[..end]), Ok(None));
    }
    assert_eq!(outcome(&BROWSER[..len]), Ok(Some(len)));
}

#[test]
fn a_head_has_limits() {
    let padded = |len: usize| {
        let (start, end) = ("GET / HTTP/1.1\r\nCookie: ", "\r\n\r\n");
        format!("{start}{}{end}", "x".repeat(len - start.len() - end.len())).into_bytes()
    };
    assert_eq!(outcome(&padded(MAX_HEAD)), Ok(Some(MAX_HEAD)));
    for size in [1000, MAX_HEAD, MAX_HEAD * 2] {
        assert_eq!(
            outcome_in_reads(&padded(MAX_HEAD + 1), size),
            Err(HeadError::TooLarge)
        );
    }
    let fields = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count)).into_bytes();
    assert!(matches!(outcome(&fields(MAX_HEADERS)), Ok(Some(_))));
    assert_eq!(outcome(&fields(MAX_HEADERS + 1)), Err(HeadError::TooLarge));
    assert_eq!(HeadError::TooLarge.status(), 431);
}

#[test]
fn what_is_not_http_is_malformed() {
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"GET /\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\na\r\n\r\n",
    ] {
        let error = outcome(garbage).unwrap_err();
        assert!(matches!(error, HeadError::Malformed(_)), "{error}");
        assert_eq!(error.status(), 400);
    }
}

#[test]
fn a_text_response_is_complete() {
    let response = text_response(503, "Test/1", &[("Retry-After", "5")], "Full.\n");
    let expected = "HTTP/1.1 503 Service Unavailable\r\nServer: Test/1\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\nConnection: close\r\nRetry-After: 5\r\n\r\nFull.\n";
    assert_eq!(std::str::from_utf8(&response), Ok(expected));
    assert!(SERVER.starts_with("Crosspoint/0."), "{SERVER}");
    let mut storage = NO_HEADERS;
    let head = ResponseHead::parse(&response, &mut storage).unwrap().unwrap();
    assert_eq!((head.status, &response[head.len..]), (503, &b"Full.\n"[..]));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1..40_usize) {
        let whole = outcome(&bytes);
        prop_assert_eq!(outcome_in_reads(&bytes, size), whole);
        let _ = ResponseHead::parse(&bytes, &mut NO_HEADERS.clone());
    }

    #[test]
    fn a_spoiled_request_gives_the_same_outcome_in_any_reads(at in 0..BROWSER.len(), octet: u8, size in 1..40_usize) {
        let mut request = BROWSER.to_vec();
        request[at] = octet;
        prop_assert_eq!(outcome_in_reads(&request, size), outcome(&request));
    }
}
