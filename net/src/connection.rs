//! One connection from its first octet to its last: a single task that reads, and nothing else that stays.
//!
//! Invariants:
//! - The shard is never borrowed across an await.
//! - A connection without an incomplete frame owns no read buffer.
//! - After [`MESSAGES_PER_TURN`] messages or one full read buffer, the reactor and the other tasks get their turn.
//! - However it ends, the socket is shut down, so that nothing that waits on it stays behind.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use crosspoint_core::ids::ConnKey;
use crosspoint_shard::{Attach, Wire, rt::reactor_turn};
use glommio::net::TcpStream;

use crate::link::{self, Link};
use crate::local::{Local, sleep};
use crate::opening::{Opened, Opener, Opening};
use crate::permit::Permit;
use crate::protocol::{Input, Protocol};
use crate::scratch::CHUNK;
use crate::spec::Handoff;
use crate::wire::{CLOSING_TIMEOUT, SocketWire};

/// Messages of one connection that are handled in one go.
const MESSAGES_PER_TURN: usize = 128;

/// Between looks at whether a shard that is behind has caught up.
const PAUSE: Duration = Duration::from_millis(1);

/// Serves an accepted socket until it ends. `permit` is its place among the listener's connections, if there
/// was one left.
pub(crate) async fn serve(local: Rc<Local>, listener: usize, stream: TcpStream, permit: Option<Permit>) {
    link::prepare(&stream);
    let link = Rc::new(Link::new(stream));
    match open(&local, &link, listener, permit).await {
        Ok(Some((opened, buf, _permit))) => {
            let ended = Session::attach(&local, &link, opened).run(buf).await;
            tracing::debug!(listener, ?ended, "connection ended");
        }
        Ok(None) => {}
        Err(error) => tracing::debug!(listener, %error, "connection lost before it was open"),
    }
    link.shut_down();
}

/// Goes through the handshake. Returns what is open, its first bytes and its place; nothing if there is
/// nothing to serve here.
async fn open(
    local: &Rc<Local>,
    link: &Rc<Link>,
    index: usize,
    permit: Option<Permit>,
) -> io::Result<Option<(Opened, BytesMut, Option<Permit>)>> {
    let listener = &local.spec.listeners[index];
    let _in_handshake = local.opening(link);
    let deadline = Instant::now() + listener.opening_timeout;
    let mut opener = Opener::new(listener, permit.is_some(), local.spec.handoff.is_some());
    let mut buf = BytesMut::new();
    loop {
        link.set_read_timeout(Some(deadline.saturating_duration_since(Instant::now())));
        if !receive(local, link, &mut buf).await? {
            return Ok(None);
        }
        match opener.look(&mut buf) {
            Opening::Incomplete => detach_from_scratch(&mut buf, 0),
            Opening::Open(opened) => {
                link.set_read_timeout(None);
                link.write_all(&opened.reply).await?;
                return Ok(Some((*opened, buf, permit)));
            }
            Opening::Refuse(reply) => {
                tracing::debug!(listener = index, reply = %reply.escape_ascii(), "connection refused");
                link.write_all(&reply).await?;
                link.end_writing();
                linger(local, link, CLOSING_TIMEOUT).await;
                return Ok(None);
            }
            Opening::HandOff => {
                hand_off(local, link, index, buf, permit)?;
                return Ok(None);
            }
        }
    }
}

fn hand_off(
    local: &Local,
    link: &Rc<Link>,
    listener: usize,
    received: BytesMut,
    permit: Option<Permit>,
) -> io::Result<()> {
    if let (Some(handoff), Some(permit)) = (&local.spec.handoff, permit) {
        let socket = link.give_up()?;
        handoff(Handoff {
            socket,
            received: received.freeze(),
            listener,
            permit,
        });
    }
    Ok(())
}

/// Appends what the peer sent to `buf`; false at the end of the stream.
async fn receive(local: &Local, link: &Link, buf: &mut BytesMut) -> io::Result<bool> {
    let read = link.read(&local.scratch).await?;
    let more = !read.is_empty();
    if buf.is_empty() {
        *buf = read;
    } else {
        buf.extend_from_slice(&read);
    }
    Ok(more)
}

/// Makes what is left of an incomplete frame the connection's own, with room for `missing` octets as far as
/// the peer has earned it by sending as many.
fn detach_from_scratch(buf: &mut BytesMut, missing: usize) {
    let mut own = BytesMut::new();
    if !buf.is_empty() {
        own.reserve(buf.len() + missing.min(buf.len()));
        own.extend_from_slice(buf);
    }
    *buf = own;
}

/// Reads and forgets, until the peer ends the connection or time is up: closing a socket with unread input
/// would take back what was sent to the peer last.
async fn linger(local: &Local, link: &Link, timeout: Duration) {
    let deadline = Instant::now() + timeout;
    loop {
        link.set_read_timeout(Some(deadline.saturating_duration_since(Instant::now())));
        match link.read(&local.scratch).await {
            Ok(read) if !read.is_empty() && Instant::now() < deadline => {}
            _ => return,
        }
    }
}

/// How an open connection ended.
#[derive(Debug)]
enum Ended {
    /// The peer ended the stream, or the shard closed it.
    EndOfStream,
    /// The peer closed it as the transport provides.
    Closed,
    /// The peer broke the transport's rules.
    #[expect(dead_code, reason = "for the log")]
    Fault(String),
    /// The connection is lost.
    #[expect(dead_code, reason = "for the log")]
    Lost(io::Error),
}

/// An open connection.
struct Session<'s> {
    local: &'s Rc<Local>,
    link: &'s Rc<Link>,
    wire: Rc<SocketWire>,
    conn: ConnKey,
    protocol: Protocol,
}

impl<'s> Session<'s> {
    fn attach(local: &'s Rc<Local>, link: &'s Rc<Link>, opened: Opened) -> Self {
        let websocket = opened.websocket.as_deref();
        if websocket.is_some_and(|websocket| !websocket.tcp_nodelay) {
            link.set_nodelay(false);
        }
        let wire = Rc::new(SocketWire::new(local, link, websocket));
        let conn = local.shard.borrow_mut().attach(Attach {
            format: opened.format,
            framing: opened.protocol.framing(),
            access: opened.access,
            wire: Rc::clone(&wire) as Rc<dyn Wire>,
            peer_max_bytes: opened.peer_max_bytes,
        });
        wire.attached(conn);
        Self {
            local,
            link,
            wire,
            conn,
            protocol: opened.protocol,
        }
    }

    async fn run(mut self, mut buf: BytesMut) -> Ended {
        let ended = self.read_on(&mut buf).await;
        drop(buf);
        let closed_by_both = matches!(ended, Ended::Closed) && self.link.has_ended_writing();
        if !closed_by_both && matches!(ended, Ended::Closed | Ended::Fault(_)) {
            linger(self.local, self.link, self.wire.closing_timeout()).await;
        }
        self.local.shard.borrow_mut().detach(self.conn);
        ended
    }

    async fn read_on(&mut self, buf: &mut BytesMut) -> Ended {
        loop {
            let received = buf.len();
            if let Some(ended) = self.take_inputs(buf).await {
                return ended;
            }
            let missing = self.protocol.missing(buf);
            detach_from_scratch(buf, missing);
            self.wait_while_paused().await;
            if received >= CHUNK {
                // More may be waiting, and this task might not wait for it.
                reactor_turn().await;
            }
            match receive(self.local, self.link, buf).await {
                Ok(true) => self.wire.heard(),
                Ok(false) => return Ended::EndOfStream,
                Err(error) => return Ended::Lost(error),
            }
        }
    }

    /// Handles all whole frames in `buf`.
    async fn take_inputs(&mut self, buf: &mut BytesMut) -> Option<Ended> {
        let mut taken = 0;
        while let Some(input) = self.protocol.next(buf) {
            let mut shard = self.local.shard.borrow_mut();
            match input {
                Input::Message(message) => shard.receive(self.conn, message),
                Input::Ping(pong) => shard.queue(self.conn, pong),
                Input::Pong => {}
                Input::End { last, fault } => {
                    shard.finish(self.conn, last);
                    return Some(fault.map_or(Ended::Closed, Ended::Fault));
                }
            }
            drop(shard);
            taken += 1;
            if taken % MESSAGES_PER_TURN == 0 {
                reactor_turn().await;
                self.wait_while_paused().await;
            }
        }
        None
    }

    async fn wait_while_paused(&self) {
        while self.local.shard.borrow().pause(self.conn).is_some() {
            sleep(PAUSE).await;
        }
    }
}
