//! The socket of an open connection, as its shard sees it.
//!
//! Invariants:
//! - The shard is borrowed by the caller in all calls but [`Wire::readable`] and [`Wire::timer`], so what has to call
//!   it back does so from a task of its own.
//! - The socket is watched as long as the connection is open, and not any more when its descriptor is closed.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crosspoint_codec::frame::rawsocket::{self, MaxLength};
use crosspoint_core::ids::ConnKey;
use crosspoint_shard::rt::reactor_turn;
use crosspoint_shard::{Attach, Hangup, Reading, Wire};
use rustix::net::Shutdown;

use crate::connection::next_read;
use crate::connector::Inside;
use crate::fd;
use crate::inbound::{Ended, Inbound};
use crate::keepalive::{Keepalive, Verdict};
use crate::link::Link;
use crate::local::{Local, sleep, spawn};
use crate::opening::Opened;
use crate::permit::Permit;
use crate::protocol::Protocol;
use crate::scratch::Received;
use crate::socket::{self, Read};

/// From our last octet to the peer's, where nothing else is configured.
pub(crate) const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// One open connection's socket.
pub(crate) struct SocketWire {
    /// Weak, since the shard owns its wires.
    local: Weak<Local>,
    socket: OwnedFd,
    conn: Cell<ConnKey>,
    /// Nothing is read or written here any more.
    closed: Cell<bool>,
    inbound: RefCell<Inbound>,
    keepalive: Option<Keepalive>,
    closing_timeout: Duration,
    _permit: Option<Permit>,
    /// Itself, for the task that closes it.
    me: Weak<Self>,
}

impl SocketWire {
    /// Makes a connection known to the shard, which reads and writes from then on. `received` is what came along
    /// with its handshake. The shard must not be borrowed.
    pub(crate) async fn attach(
        local: &Rc<Local>,
        socket: OwnedFd,
        opened: Opened,
        received: Received,
        permit: Option<Permit>,
    ) {
        let websocket = opened.websocket.as_deref();
        if websocket.is_some_and(|websocket| !websocket.tcp_nodelay) {
            socket::delay_small_writes(&socket);
        }
        let ping = websocket.and_then(|websocket| websocket.auto_ping.as_ref());
        let framing = opened.protocol.framing();
        let wire = Rc::new_cyclic(|me| Self {
            local: Rc::downgrade(local),
            socket,
            conn: Cell::default(),
            closed: Cell::new(false),
            inbound: RefCell::new(Inbound::new(opened.protocol, received)),
            keepalive: ping.map(|ping| Keepalive::new(Arc::clone(ping))),
            closing_timeout: websocket.map_or(CLOSING_TIMEOUT, |websocket| websocket.closing_timeout),
            _permit: permit,
            me: Weak::clone(me),
        });
        let conn = local.shard.borrow_mut().attach(Attach {
            format: opened.format,
            framing,
            deflate: opened.deflate,
            access: opened.access,
            wire: Rc::clone(&wire) as Rc<dyn Wire>,
            peer_max_bytes: opened.peer_max_bytes,
        });
        wire.conn.set(conn);
        if let Some(keepalive) = &wire.keepalive {
            wire.set_timer(keepalive.first());
        }
        if wire.inbound.borrow().has_unhandled() {
            wire.read_first().await;
        }
        if !wire.closed.get() {
            local.watcher.readable(conn, wire.socket.as_fd());
        }
    }

    /// As [`attach`](Self::attach), for a connection that needs no handshake.
    pub(crate) async fn attach_inside(local: &Rc<Local>, inside: Inside) {
        let opened = Opened {
            reply: Bytes::new(),
            protocol: Protocol::RawSocket(rawsocket::Decoder::new(MaxLength::LARGEST)),
            format: inside.format,
            access: inside.access,
            peer_max_bytes: MaxLength::LARGEST.octets(),
            websocket: None,
            deflate: None,
        };
        Self::attach(local, inside.socket.into(), opened, Received::default(), None).await;
    }

    /// Handles what came along with the handshake.
    async fn read_first(&self) {
        loop {
            match self.readable(Hangup::No) {
                Reading::Drained => return,
                Reading::More => {
                    reactor_turn().await;
                    // Others wait then too.
                    while self.is_shard_behind() {
                        reactor_turn().await;
                    }
                }
                Reading::Paused(span) => sleep(span).await,
            }
        }
    }

    fn is_shard_behind(&self) -> bool {
        let local = self.local.upgrade();
        local.is_some_and(|local| local.shard.borrow().is_behind())
    }

    fn read(&self, local: &Local, hangup: Hangup) -> Result<Reading, Ended> {
        let mut inbound = self.inbound.borrow_mut();
        if let Some(pause) = inbound.pause(&mut local.shard.borrow_mut(), self.conn.get()) {
            return Ok(Reading::Paused(pause));
        }
        // What is left of the last read comes first.
        if inbound.handle(&mut local.shard.borrow_mut(), self.conn.get()) == Reading::More {
            return Ok(Reading::More);
        }
        let (read, more) = match socket::read(&self.socket, &mut local.scratch.borrow_mut()) {
            Ok(Read::Some(read, more)) => (read, more),
            Ok(Read::Nothing) => return Ok(Reading::Drained),
            Ok(Read::End) => return Err(Ended::EndOfStream),
            Err(error) => return Err(Ended::Lost(error)),
        };
        self.heard();
        inbound.append(read);
        let handled = inbound.handle(&mut local.shard.borrow_mut(), self.conn.get());
        // After a hang-up no event tells of the end that is still to be read.
        if more || hangup == Hangup::Yes {
            return Ok(Reading::More);
        }
        Ok(handled)
    }

    /// After our last octet: waits for the peer's until `deadline`.
    async fn end(self: Rc<Self>, local: Rc<Local>, deadline: Instant) {
        // At the end of the server the shard waits for peers that still read; else the session is gone.
        let at_end = local.stopping.is_set();
        if !at_end {
            local.shard.borrow_mut().detach(self.conn.get());
        }
        match self.socket.try_clone() {
            Ok(socket) => {
                let link = Link::new(fd::stream(socket));
                let mut rest = self.inbound.borrow_mut().rest();
                while let Some(read) = next_read(&local, &link, deadline).await {
                    if rest.ends_with(read) {
                        break;
                    }
                }
                link.shut_down();
            }
            Err(_) => socket::shut(&self.socket, Shutdown::Both),
        }
        if at_end {
            local.shard.borrow_mut().detach(self.conn.get());
        }
    }

    /// The peer sent something. The shard must not be borrowed.
    fn heard(&self) {
        if let Some(span) = self.keepalive.as_ref().and_then(Keepalive::heard) {
            self.set_timer(span);
        }
    }

    fn set_timer(&self, span: Duration) {
        if let Some(local) = self.local.upgrade() {
            local.shard.borrow_mut().set_timer(self.conn.get(), span);
        }
    }

    /// No more events of the socket.
    fn forget(&self) {
        if !self.closed.replace(true)
            && let Some(local) = self.local.upgrade()
        {
            local.watcher.forget(self.conn.get());
        }
    }
}

impl Wire for SocketWire {
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed.get()).then(|| self.socket.as_fd())
    }

    fn readable(&self, hangup: Hangup) -> Reading {
        let Some(local) = self.local.upgrade() else {
            return Reading::Drained;
        };
        if self.closed.get() {
            return Reading::Drained;
        }
        match self.read(&local, hangup) {
            // Somebody else reads what is left.
            Ok(_) if self.closed.get() => Reading::Drained,
            Ok(reading) => reading,
            Err(ended) => {
                tracing::debug!(conn = self.conn.get().slot, ?ended, "connection ended");
                self.forget();
                local.shard.borrow_mut().detach(self.conn.get());
                Reading::Drained
            }
        }
    }

    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        socket::write(&self.socket, bufs)
    }

    fn wait_writable(&self) {
        if let Some(local) = self.local.upgrade() {
            local.watcher.writable(self.conn.get(), self.socket.as_fd());
        }
    }

    fn close(&self) {
        self.forget();
        socket::shut(&self.socket, Shutdown::Write);
        if let (Some(local), Some(wire)) = (self.local.upgrade(), self.me.upgrade()) {
            local.watcher.yield_soon();
            let deadline = Instant::now() + self.closing_timeout;
            spawn(wire.end(local, deadline));
        }
    }

    fn timer(&self) {
        let (Some(keepalive), Some(local)) = (&self.keepalive, self.local.upgrade()) else {
            return;
        };
        match keepalive.timer() {
            Verdict::Wait(span) => self.set_timer(span),
            Verdict::Ping(frame, span) => {
                local.shard.borrow_mut().queue(self.conn.get(), frame);
                self.set_timer(span);
            }
            // It may have answered while reading is paused.
            Verdict::Dead(span) if socket::has_unread(&self.socket) => self.set_timer(span),
            Verdict::Dead(_) => {
                tracing::debug!(conn = ?self.conn.get(), "the peer does not answer pings");
                socket::shut(&self.socket, Shutdown::Both);
            }
        }
    }
}

impl Drop for SocketWire {
    fn drop(&mut self) {
        self.forget();
    }
}
