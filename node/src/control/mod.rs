//! The control plane's web server: all HTTP that is not WAMP.
//!
//! Shards accept every connection, read the first request and hand over what they do not speak themselves. Here
//! one thread with a tokio runtime serves those connections, for as long as their clients keep them open.
//!
//! # Invariants
//! - A shard never waits for this thread: connections arrive through a bounded channel, and one that does not fit
//!   is closed by its sender.
//! - A connection costs a socket and two small buffers, and ends when it stays without a request for the idle time
//!   of its transport, however slowly its header comes in, or when its client takes nothing of a response for as long as
//!   a WAMP client may.
//! - Paths are resolved by `tower-http`, which never leaves the directory of a static service.

mod app;
mod files;
mod longpoll;
mod page;
mod stall;

use std::any::Any;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tower::ServiceExt;
use tracing::{debug, warn};

use self::stall::StallTimeout;
use crate::boot;
use crate::config::{Endpoint, Limits, Listener};

pub use self::longpoll::Connect;

/// Connections that may wait for this thread.
pub const QUEUE: usize = 1024;

/// Longest head of a request, in bytes.
const LARGEST_HEAD: usize = 32 << 10;

/// What a connection may buffer of requests or responses, in bytes.
const LARGEST_BUFFER: usize = 64 << 10;

/// Most header fields of a request.
const MOST_HEADERS: usize = 100;

/// A connection for the web server, with what has been read of it.
pub struct Connection {
    /// The socket, in non-blocking mode.
    pub socket: OwnedFd,
    /// What was read from it: at least the head of a request.
    pub received: Bytes,
    /// Index of its transport in [`Router::listeners`](crate::config::Router::listeners).
    pub listener: usize,
    /// Kept for as long as the connection is open, so that it goes on to count against its transport's limit.
    pub permit: Box<dyn Any + Send>,
}

/// What is served on one listening transport.
struct Site {
    app: axum::Router,
    idle_timeout: Duration,
    stall_timeout: Duration,
    unix: bool,
}

/// What the services need of the rest of the router.
#[derive(Clone)]
pub struct Surroundings {
    /// Opens connections with the shards.
    pub connect: Connect,
    /// The limits of the router.
    pub limits: Limits,
}

/// Serves connections until all senders are gone.
///
/// Must run inside a tokio runtime with I/O and time. Connections that are open at the end are cut off together with the runtime.
pub async fn serve(
    listeners: &[Listener],
    surroundings: &Surroundings,
    mut connections: mpsc::Receiver<Connection>,
) {
    let sites: Vec<Option<Arc<Site>>> = listeners
        .iter()
        .map(|listener| site(listener, surroundings).map(Arc::new))
        .collect();
    while let Some(connection) = connections.recv().await {
        match sites.get(connection.listener) {
            Some(Some(site)) => drop(tokio::spawn(serve_connection(connection, Arc::clone(site)))),
            _ => warn!(
                listener = connection.listener,
                "a connection for a transport without HTTP"
            ),
        }
    }
}

fn site(listener: &Listener, surroundings: &Surroundings) -> Option<Site> {
    let http = listener.http.as_ref()?;
    let unix = matches!(listener.endpoint, Endpoint::Unix { .. });
    Some(Site {
        app: app::app(http, surroundings),
        idle_timeout: http.idle_timeout,
        stall_timeout: boot::shard_config(&surroundings.limits).stall_timeout,
        unix,
    })
}

async fn serve_connection(connection: Connection, site: Arc<Site>) {
    let Connection {
        socket,
        received,
        permit,
        ..
    } = connection;
    let served = if site.unix {
        match UnixStream::from_std(socket.into()) {
            Ok(stream) => serve_stream(stream, received, &site).await,
            Err(error) => Err(error),
        }
    } else {
        match TcpStream::from_std(socket.into()) {
            Ok(stream) => serve_stream(stream, received, &site).await,
            Err(error) => Err(error),
        }
    };
    if let Err(error) = served {
        debug!(%error, "an HTTP connection ended");
    }
    drop(permit);
}

/// Serves requests one after the other, of which the first lies in `received` already.
async fn serve_stream<S>(stream: S, received: Bytes, site: &Site) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let writer = StallTimeout::new(writer, site.stall_timeout);
    let stream = tokio::io::join(io::Cursor::new(received).chain(reader), writer);
    let service = site
        .app
        .clone()
        .map_request(|request: hyper::Request<_>| request.map(axum::body::Body::new));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(site.idle_timeout)
        .max_buf_size(LARGEST_BUFFER)
        .max_header_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .await
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
