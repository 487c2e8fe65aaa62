//! WAMP over HTTP long-polling (protocol part "HTTP Longpoll Transport" of the specification).
//!
//! A client opens a transport, and from then on posts what it sends and fetches what it receives:
//!
//! | request | answer |
//! |---|---|
//! | `POST /open` with `{"protocols": […]}` | 200, `{"protocol": …, "transport": …}` |
//! | `POST /TRANSPORT/send` with a message or a batch | 204 |
//! | `POST /TRANSPORT/receive` | 200, with a message or a batch, or empty when there was none for a while |
//! | `POST /TRANSPORT/close` | 204 |
//!
//! What is wrong with a request is said as text with status 400, 403 (origin), 404 (no such transport), 413 or
//! 503.
//!
//! Each transport is a connection with one of the shards ([`Connector`](crosspoint_net::Connector)), where its session
//! lives like any other. Only what a response needs is read from it, so that a client that does not fetch is a slow
//! consumer of its shard, with the limits of all others.

mod table;
#[cfg(test)]
pub(super) mod tests;
mod transport;

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use crosspoint_codec::Limits;
use crosspoint_codec::frame::websocket::Subprotocol;
use crosspoint_codec::frame::websocket::handshake::Origins;
use crosspoint_core::config::Access;
use crosspoint_core::payload::Format;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tracing::{debug, warn};

use self::table::{Id, Table};
use self::transport::{Gone, QueueLimits, SendError, Transport};
use super::page;
use crate::config;

/// Opens connections with the shards; see [`Connector::connect`](crosspoint_net::Connector::connect).
pub type Connect = Arc<dyn Fn(Format, Arc<Access>) -> io::Result<UnixStream> + Send + Sync>;

/// Longest body of a request to open a transport, in bytes.
const LARGEST_OPEN: usize = 16 << 10;

/// How long browsers may remember what other origins may do.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// One long-poll service.
struct Service {
    config: config::LongPoll,
    access: Arc<Access>,
    origins: Origins,
    decode: Limits,
    connect: Connect,
    table: Arc<Table>,
}

/// Builds the service.
pub(super) fn router(config: &config::LongPoll, access: Access, decode: Limits, connect: Connect) -> Router {
    let service = Service {
        access: Arc::new(access),
        origins: Origins::new(&config.allowed_origins, config.allow_null_origin),
        decode,
        connect,
        table: Table::new(config.max_transports, config.session_timeout),
        config: config.clone(),
    };
    // There are no cookies to be abused: the id of a transport is all that its requests need.
    let origins = service.origins.clone();
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| {
            origins.allows(origin.as_bytes())
        }))
        .allow_credentials(true)
        .allow_methods([Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(PREFLIGHT_AGE);
    let no_store =
        SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Router::new()
        .route("/open", post(open))
        .route("/{transport}/send", post(send))
        .route("/{transport}/receive", post(receive))
        .route("/{transport}/close", post(close))
        .fallback(async || page::not_found())
        .layer(no_store)
        .layer(cors)
        .with_state(Arc::new(service))
}

/// A request's path as the log may show it: whoever knows the id of a transport may use it.
pub(super) fn shown_path(path: &str) -> String {
    let shown = |part| match part {
        "" | "open" | "send" | "receive" | "close" => part,
        _ => "…",
    };
    path.split('/').map(shown).collect::<Vec<_>>().join("/")
}

/// An answer other than success.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, format!("{}\n", self.1)).into_response()
    }
}

fn refuse(status: StatusCode, text: impl Into<String>) -> Refusal {
    Refusal(status, text.into())
}

fn no_transport() -> Refusal {
    refuse(StatusCode::NOT_FOUND, "There is no such transport.")
}

impl From<Gone> for Refusal {
    fn from(_: Gone) -> Self {
        no_transport()
    }
}

async fn open(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let origin = headers.get(header::ORIGIN);
    if origin.is_some_and(|origin| !service.origins.allows(origin.as_bytes())) {
        return Err(refuse(
            StatusCode::FORBIDDEN,
            "Pages of this origin may not connect here.",
        ));
    }
    let body = service.body(body, LARGEST_OPEN).await?;
    let protocol = service.choose(&body)?;
    let full = |text| refuse(StatusCode::SERVICE_UNAVAILABLE, text);
    if service.table.is_full() {
        return Err(full("There are as many transports as the router takes."));
    }
    let limits = QueueLimits {
        bytes: service.config.queue_limit_bytes,
        messages: service.config.queue_limit_messages,
    };
    let id = (service.connect)(protocol.format, Arc::clone(&service.access))
        .and_then(|pipe| Transport::new(pipe, protocol, limits))
        .and_then(|transport| service.table.insert(transport));
    let id = id.map_err(|error| {
        warn!(%error, "a long-poll transport cannot be opened");
        full("The router takes no transport now.")
    })?;
    debug!(%protocol, "a long-poll transport is open");
    let answer = serde_json::json!({"protocol": protocol.to_string(), "transport": id.to_text()});
    let json = [(header::CONTENT_TYPE, content_type(Format::Json))];
    Ok((json, answer.to_string()).into_response())
}

async fn send(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let (id, transport) = service.transport(&id)?;
    let _present = transport.present();
    let sending = transport.sending().await;
    let body = service.body(body, service.config.max_message_size).await?;
    match transport.send(sending, body, &service.decode).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(SendError::Malformed(text)) => Err(refuse(StatusCode::BAD_REQUEST, text)),
        Err(SendError::Batch(error)) => {
            service.table.remove(id);
            Err(refuse(StatusCode::BAD_REQUEST, error.to_string()))
        }
        // What the router said before it closed the transport can still be fetched.
        Err(SendError::Gone) => Err(no_transport()),
    }
}

async fn receive(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let (id, transport) = service.transport(&id)?;
    let _present = transport.present();
    let body = transport
        .receive(service.config.request_timeout)
        .await
        .inspect_err(|_| {
            service.table.remove(id);
        })?;
    let kind = [(header::CONTENT_TYPE, content_type(transport.protocol().format))];
    Ok((kind, body).into_response())
}

async fn close(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let id = Id::parse(&id).filter(|id| service.table.remove(*id));
    id.map(|_| StatusCode::NO_CONTENT).ok_or_else(no_transport)
}

impl Service {
    /// The whole body of a request, which must come in time.
    async fn body(&self, body: Body, limit: usize) -> Result<Bytes, Refusal> {
        let whole = Limited::new(body, limit).collect();
        match timeout(self.config.request_timeout, whole).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let text = format!("A body must not exceed {limit} bytes.");
                Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, text))
            }
            Ok(Err(error)) => Err(refuse(StatusCode::BAD_REQUEST, error.to_string())),
            Err(_) => Err(refuse(StatusCode::REQUEST_TIMEOUT, "The body comes too slowly.")),
        }
    }

    /// The first protocol of a request to open that is served here.
    fn choose(&self, body: &[u8]) -> Result<Subprotocol, Refusal> {
        let bad = |text: String| refuse(StatusCode::BAD_REQUEST, text);
        let request: serde_json::Value =
            serde_json::from_slice(body).map_err(|error| bad(format!("The body is not JSON: {error}.")))?;
        let protocols = request["protocols"].as_array();
        let protocols = protocols
            .filter(|protocols| protocols.iter().all(serde_json::Value::is_string))
            .ok_or_else(|| bad("Expected {\"protocols\": [\"wamp.2.json\", …]}.".to_owned()))?;
        let served = |name: &str| Subprotocol::of(name.as_bytes(), &self.config.serializers);
        let mut names = protocols.iter().filter_map(serde_json::Value::as_str);
        names.find_map(served).ok_or_else(|| {
            let formats = self.config.serializers.iter().copied();
            let all = formats.flat_map(|format| [false, true].map(|batched| Subprotocol { format, batched }));
            let names = all.filter(Subprotocol::exists).map(|name| name.to_string());
            bad(format!(
                "None of these protocols is served here; there are: {}.",
                names.collect::<Vec<_>>().join(", ")
            ))
        })
    }

    fn transport(&self, id: &str) -> Result<(Id, Arc<Transport>), Refusal> {
        let id = Id::parse(id).ok_or_else(no_transport)?;
        let transport = self.table.get(id).ok_or_else(no_transport)?;
        Ok((id, transport))
    }
}

fn content_type(format: Format) -> HeaderValue {
    HeaderValue::from_static(match format {
        Format::Json => "application/json",
        Format::MsgPack => "application/x-msgpack",
        Format::Cbor => "application/cbor",
        Format::BjData | Format::UbJson => "application/ubjson",
        Format::FlatBuffers => "application/x-flatbuffers",
    })
}
