//! One connection from its first octet to its last: a single task that reads, and nothing else that stays.
//!
//! Invariant: however it ends, the socket is shut down, so that nothing that waits on it stays behind.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use crosspoint_shard::rt::reactor_turn;
use glommio::net::TcpStream;

use crate::fd;
use crate::inbox::Returned;
use crate::link::{self, Link};
use crate::local::Local;
use crate::opening::{Opened, Opener, Opening};
use crate::permit::Permit;
use crate::scratch::Received;
use crate::spec::{Handoff, WayBack};
use crate::wire::{CLOSING_TIMEOUT, SocketWire};

/// How long a connection for which there is no place may take to say in which language to refuse it.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a connection is refused whose handshake is in order.
const NO_DESCRIPTOR: &str = "no descriptor for a connection, which is refused";

/// Serves an accepted socket until it ends. `permit` is its place among the listener's connections, if there
/// was one left.
pub(crate) fn serve(
    local: Rc<Local>,
    listener: usize,
    stream: TcpStream,
    permit: Option<Permit>,
) -> impl Future<Output = ()> {
    local.counters.accepted.fetch_add(1, Relaxed);
    go_on(local, listener, stream, permit, None)
}

/// Serves a connection that was handed off and has come back.
pub(crate) fn serve_returned(local: Rc<Local>, returned: Returned) -> impl Future<Output = ()> {
    let Returned {
        listener,
        socket,
        received,
        permit,
    } = returned;
    local.counters.returned.fetch_add(1, Relaxed);
    let received = Some(Box::new(received));
    go_on(local, listener, fd::stream(socket), Some(permit), received)
}

/// Set for a connection that has come back: what was read from it. Few do, so the others get by without room for it.
type Returning = Option<Box<Bytes>>;

async fn go_on(
    local: Rc<Local>,
    listener: usize,
    stream: TcpStream,
    permit: Option<Permit>,
    returning: Returning,
) {
    link::prepare(&stream);
    let link = Rc::new(Link::new(stream));
    link.set_write_timeout(local.spec.shard.stall_timeout);
    match open(&local, &link, listener, permit, returning).await {
        Ok(Some(Ready {
            opened,
            socket,
            received,
            permit,
        })) => {
            link.give_up();
            SocketWire::attach(&local, socket, *opened, received, permit).await;
        }
        Ok(None) => {}
        Err(error) => {
            if error.kind() == io::ErrorKind::TimedOut {
                local.counters.timed_out.fetch_add(1, Relaxed);
            }
            tracing::debug!(listener, %error, "connection lost before it was open");
        }
    }
    link.shut_down();
}

/// A connection at the end of its handshake.
struct Ready {
    opened: Box<Opened>,
    socket: OwnedFd,
    received: Received,
    permit: Option<Permit>,
}

/// Goes through the handshake; nothing if there is nothing to serve here.
async fn open(
    local: &Local,
    link: &Rc<Link>,
    index: usize,
    permit: Option<Permit>,
    returning: Returning,
) -> io::Result<Option<Ready>> {
    let listener = &local.spec.listeners[index];
    let mut place = local.opening(link);
    let mut timeout = listener.opening_timeout;
    if permit.is_none() {
        local.counters.over_limit.fetch_add(1, Relaxed);
        timeout = timeout.min(REFUSAL_TIMEOUT);
    }
    let deadline = Instant::now() + timeout;
    // One that has been there would come back for ever.
    let hands_off = local.spec.handoff.is_some() && returning.is_none();
    let mut opener = Opener::new(listener, permit.is_some(), hands_off);
    let mut received = returning.map(|bytes| Received::of(*bytes)).unwrap_or_default();
    let mut is_read = !received.bytes.is_empty();
    loop {
        if !std::mem::take(&mut is_read) {
            let read = place.read(Some(deadline)).await?;
            if read.is_empty() {
                return Ok(None);
            }
            received.append(read);
        }
        let reply = match opener.look(&mut received.bytes) {
            Opening::Incomplete => {
                received.keep(0);
                continue;
            }
            // Before the peer hears that it is open.
            Opening::Open(opened) => match link.duplicate() {
                Ok(socket) => {
                    link.write_all(&opened.reply).await?;
                    return Ok(Some(Ready {
                        opened,
                        socket,
                        received,
                        permit,
                    }));
                }
                Err(error) => {
                    tracing::warn!(listener = index, %error, NO_DESCRIPTOR);
                    opener.no_room(opened.websocket.is_some())
                }
            },
            Opening::Echo(echo) => {
                // Its place among the connections is kept until it ends.
                let _permit = permit;
                // In memory of its own: others have no use for it.
                if let Err(error) = Box::pin(echo.serve(local, link, &mut place, received)).await {
                    tracing::debug!(listener = index, %error, "connection to the testee lost");
                }
                return Ok(None);
            }
            Opening::Refuse(reply) => {
                if permit.is_some() {
                    local.counters.refused.fetch_add(1, Relaxed);
                }
                reply
            }
            Opening::HandOff => match link.duplicate() {
                Ok(socket) => {
                    hand_off(local, link, socket, index, received.detach(), permit);
                    return Ok(None);
                }
                Err(error) => {
                    tracing::warn!(listener = index, %error, NO_DESCRIPTOR);
                    opener.no_room(true)
                }
            },
        };
        // The peer may come back as soon as it knows.
        drop(permit);
        drop(received);
        refuse(local, link, &reply).await?;
        return Ok(None);
    }
}

async fn refuse(local: &Local, link: &Link, reply: &[u8]) -> io::Result<()> {
    tracing::debug!(reply = %reply.escape_ascii(), "connection refused");
    link.write_all(reply).await?;
    link.end_writing();
    let deadline = Instant::now() + CLOSING_TIMEOUT;
    while next_read(local, link, deadline).await.is_some() {}
    Ok(())
}

fn hand_off(
    local: &Local,
    link: &Link,
    socket: OwnedFd,
    listener: usize,
    received: Bytes,
    permit: Option<Permit>,
) {
    if let (Some(handoff), Some(permit)) = (&local.spec.handoff, permit) {
        link.give_up();
        local.counters.handed_off.fetch_add(1, Relaxed);
        let way_back = WayBack {
            shard: local.inbox.clone(),
            listener,
            permit,
        };
        handoff(Handoff {
            socket,
            received,
            listener,
            way_back,
        });
    }
}

/// What the peer sends until `deadline`, if it does not end the connection. Closing a socket with unread input would
/// take back what was sent to the peer last, so whoever closes reads before. All others have a turn between two reads:
/// one that brings as much as it can does not wait, and the peer may send at any speed.
pub(crate) async fn next_read(local: &Local, link: &Link, deadline: Instant) -> Option<BytesMut> {
    reactor_turn().await;
    link.set_read_timeout(Some(deadline.saturating_duration_since(Instant::now())));
    let read = link.read(&local.scratch).await.ok()?;
    (!read.is_empty() && Instant::now() < deadline).then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, D, F: Future>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    /// What a connection's task costs for as long as it lives, idle or not.
    #[test]
    fn a_connection_stays_small() {
        let (task, link) = (size(serve), size_of::<Link>());
        assert!(task <= 900 && link <= 140, "{task} + {link} bytes");
    }
}
