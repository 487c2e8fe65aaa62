//! Short HTML pages, and the files of the demo.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

/// What the built-in pages may load: nothing from elsewhere, no inline scripts or styles.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A file of the demo, built into the program.
struct DemoFile {
    name: &'static str,
    content_type: &'static str,
    body: &'static str,
}

static DEMO: [DemoFile; 4] = [
    DemoFile {
        name: "",
        content_type: "text/html; charset=utf-8",
        body: include_str!("../../assets/demo/index.html"),
    },
    DemoFile {
        name: "demo.css",
        content_type: "text/css; charset=utf-8",
        body: include_str!("../../assets/demo/demo.css"),
    },
    DemoFile {
        name: "demo.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_str!("../../assets/demo/demo.js"),
    },
    DemoFile {
        name: "wamp.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_str!("../../assets/demo/wamp.js"),
    },
];

/// The file of the demo with this path, which begins with a slash, where the demo is at the path `mount`.
pub(super) fn demo(mount: &str, path: &str) -> Response {
    let name = path.trim_start_matches('/');
    let Some(file) = DEMO.iter().find(|file| file.name == name) else {
        return not_found();
    };
    // The files change with the program, so that a copy must not outlive it.
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(file.content_type)),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    // The page of a demo at /demo is /demo/, and the WebSocket beside it /ws.
    if name.is_empty() && mount != "/" {
        let body = file
            .body
            .replace("data-websocket=\"ws\"", "data-websocket=\"../ws\"");
        return (headers, body).into_response();
    }
    (headers, file.body).into_response()
}

/// Status 404 with a short page.
pub(super) fn not_found() -> Response {
    let body = page("Not found", "<p>There is nothing at this address.</p>");
    (StatusCode::NOT_FOUND, Html(body)).into_response()
}

/// Status 405 for anything but GET and HEAD.
pub(super) fn method_not_allowed() -> Response {
    let headers = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
    (StatusCode::METHOD_NOT_ALLOWED, headers).into_response()
}

/// What a browser gets that opens the address of a WebSocket.
pub(super) fn websocket_status() -> Response {
    let body = page(
        "A WAMP router is listening here",
        "<p>This address speaks WAMP over WebSocket, and a WAMP client can connect to it: replace \
         <code>http</code> by <code>ws</code> (<code>https</code> by <code>wss</code>) in the URL of this page.</p>",
    );
    Html(body).into_response()
}

/// Status 426 for a request that should have been a WebSocket handshake on a connection of its own.
pub(super) fn upgrade_required() -> Response {
    let headers = [
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::CONNECTION, HeaderValue::from_static("upgrade, close")),
    ];
    (StatusCode::UPGRADE_REQUIRED, headers).into_response()
}

/// An HTML page without anything but text.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title></head><body><h1>{title}</h1>{body}</body></html>\n"
    )
}

/// Text as HTML, also between quotes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}
