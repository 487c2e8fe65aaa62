//! The control plane's web server: all HTTP that is not WAMP.
//!
//! Shards accept every connection, read the first request and hand over what they do not speak themselves. Here
//! one thread with a tokio runtime serves those connections, for as long as their clients keep them open, or until one asks
//! for WebSocket and goes back to its shard.
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
mod give_back;
mod longpoll;
mod page;
mod stall;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use self::give_back::Asked;
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
    /// Gives the connection back. Kept for as long as it is open, so that it goes on to count against its transport's
    /// limit.
    pub way_back: WayBack,
}

/// Gives a connection back to its shard, which answers the request that is at the front of what was read.
pub type WayBack = Box<dyn FnOnce(OwnedFd, Bytes) + Send>;

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
        way_back,
        ..
    } = connection;
    let served = if site.unix {
        serve_unix(socket, received, &site).await
    } else {
        serve_tcp(socket, received, &site).await
    };
    match served {
        Ok(Some((socket, received))) => way_back(socket, received),
        Ok(None) => {}
        Err(error) => debug!(%error, "an HTTP connection ended"),
    }
}

async fn serve_unix(socket: OwnedFd, received: Bytes, site: &Site) -> io::Result<Option<(OwnedFd, Bytes)>> {
    let stream = UnixStream::from_std(socket.into())?;
    match serve_stream(stream, received, site).await? {
        Some((stream, received)) => Ok(Some((stream.into_std()?.into(), received))),
        None => Ok(None),
    }
}

async fn serve_tcp(socket: OwnedFd, received: Bytes, site: &Site) -> io::Result<Option<(OwnedFd, Bytes)>> {
    let stream = TcpStream::from_std(socket.into())?;
    match serve_stream(stream, received, site).await? {
        Some((stream, received)) => Ok(Some((stream.into_std()?.into(), received))),
        None => Ok(None),
    }
}

/// Serves requests one after the other, of which the first lies in `received` already. One that is the shard's ends
/// this, and is part of what comes back with the stream.
async fn serve_stream<S>(stream: S, received: Bytes, site: &Site) -> io::Result<Option<(S, Bytes)>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let asked = Asked::default();
    let writer = StallTimeout::new(writer, site.stall_timeout, asked.clone());
    let stream = tokio::io::join(io::Cursor::new(received).chain(reader), writer);
    let (app, asker) = (site.app.clone(), asked.clone());
    let service = service_fn(move |request| give_back::answer(app.clone(), asker.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(site.idle_timeout)
        .max_buf_size(LARGEST_BUFFER)
        .max_header_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    give_back::until_asked(connection, asked).await
}

#[cfg(test)]
mod tests;
