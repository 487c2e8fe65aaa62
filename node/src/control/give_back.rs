//! Requests that ask for WebSocket on a connection that has carried others before, as those of a reverse proxy do which
//! keeps its connections for all its clients: the connection goes back to its shard, as if this were its first request.
//!
//! Invariants: what came before is answered in full, and not an octet of what was read and not answered is missing.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{OriginalUri, Request};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use crosspoint_codec::frame::http::{NO_HEADERS, RequestHead};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, Chain, Join, ReadHalf, WriteHalf};
use tower::ServiceExt;

use super::stall::StallTimeout;

/// In the extensions of a response: the shard answers instead.
#[derive(Clone)]
pub(super) struct ForShard(Bytes);

impl ForShard {
    /// For a request that asks for WebSocket, whether it may or not.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let original = request.extensions().get::<OriginalUri>();
        let uri = original.map_or_else(|| request.uri(), |OriginalUri(uri)| uri);
        let mut head = BytesMut::new();
        head.put_slice(format!("{} {uri} {:?}\r\n", request.method(), request.version()).as_bytes());
        for (name, value) in request.headers() {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                head.put_slice(part);
            }
        }
        head.put_slice(b"\r\n");
        let mut storage = NO_HEADERS;
        // One that is too large for a shard is refused here.
        let parsed = RequestHead::parse(&head, &mut storage);
        let asks = matches!(parsed, Ok(Some(parsed)) if parsed.is_websocket_upgrade());
        asks.then(|| Self(head.freeze()))
    }
}

/// What a connection's service and its socket say about giving it back.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// The head of the request for the shard.
    head: OnceLock<Bytes>,
    /// All answers to earlier ones are with the system. Means nothing before the head is there.
    flushed: AtomicBool,
}

impl Asked {
    fn ask(&self, head: Bytes) {
        self.0.flushed.store(false, Relaxed);
        // Nothing is read after it, so there is no second one.
        let _ = self.0.head.set(head);
    }

    /// To be called when everything that was there to be written is.
    pub(super) fn flushed(&self) {
        self.0.flushed.store(true, Relaxed);
    }

    /// The head, once the connection can be given back.
    fn head(&self) -> Option<&Bytes> {
        self.0.head.get().filter(|_| self.0.flushed.load(Relaxed))
    }
}

/// Answers a request with `app`, unless that leaves it to the shard.
pub(super) async fn answer(
    app: axum::Router,
    asked: Asked,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut response = app.oneshot(request.map(Body::new)).await?;
    match response.extensions_mut().remove() {
        Some(ForShard(head)) => {
            asked.ask(head);
            // The connection is taken apart instead of being answered.
            pending().await
        }
        None => Ok(response),
    }
}

/// A stream of which something was read before.
pub(super) type Wrapped<S> = TokioIo<Join<Chain<io::Cursor<Bytes>, ReadHalf<S>>, StallTimeout<WriteHalf<S>>>>;

/// Serves a connection to its end; or until it is to be given back, with what was read of it and not answered.
pub(super) async fn until_asked<S, H>(
    mut connection: http1::Connection<Wrapped<S>, H>,
    asked: Asked,
) -> io::Result<Option<(S, Bytes)>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: HttpService<Incoming, ResBody = Body, Error = Infallible>,
{
    let head = poll_fn(|cx| {
        let polled = Pin::new(&mut connection).poll(cx);
        match asked.head() {
            Some(head) if polled.is_pending() => Ok(Some(head)).into(),
            _ => polled.map_ok(|()| None),
        }
    });
    let Some(head) = head.await.map_err(io::Error::other)? else {
        return Ok(None);
    };
    let parts = connection.into_parts();
    let (reader, writer) = parts.io.into_inner().into_inner();
    let (before, reader) = reader.into_inner();
    let read = usize::try_from(before.position()).unwrap_or(usize::MAX);
    let rest = before.get_ref().get(read..).unwrap_or_default();
    let received = [head, &*parts.read_buf, rest].concat();
    Ok(Some((reader.unsplit(writer.into_inner()), received.into())))
}
