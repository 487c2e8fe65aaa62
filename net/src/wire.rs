//! A socket as its shard sees it.
//!
//! Invariant: the shard is borrowed by the caller in all calls but [`Wire::timer`], so what has to call it back
//! does so from a task of its own.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use crosspoint_core::ids::ConnKey;
use crosspoint_shard::Wire;

use crate::keepalive::{Keepalive, Verdict};
use crate::link::Link;
use crate::local::{Local, sleep, spawn};
use crate::spec::WebSocketSpec;

/// From our last octet to the peer's, where nothing else is configured.
pub(crate) const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// One open connection's socket.
pub(crate) struct SocketWire {
    /// Weak, since the shard owns its wires.
    local: Weak<Local>,
    link: Rc<Link>,
    conn: Cell<ConnKey>,
    keepalive: Option<Keepalive>,
    closing_timeout: Duration,
}

impl SocketWire {
    /// A wire to `link`; `websocket` says how to deal with its peer, if it speaks WebSocket.
    pub(crate) fn new(local: &Rc<Local>, link: &Rc<Link>, websocket: Option<&WebSocketSpec>) -> Self {
        let ping = websocket.and_then(|websocket| websocket.auto_ping.as_ref());
        Self {
            local: Rc::downgrade(local),
            link: Rc::clone(link),
            conn: Cell::default(),
            keepalive: ping.map(|ping| Keepalive::new(Arc::clone(ping))),
            closing_timeout: websocket.map_or(CLOSING_TIMEOUT, |websocket| websocket.closing_timeout),
        }
    }

    /// The shard knows the connection as `conn`. The shard must not be borrowed.
    pub(crate) fn attached(&self, conn: ConnKey) {
        self.conn.set(conn);
        if let Some(keepalive) = &self.keepalive {
            self.set_timer(keepalive.first());
        }
    }

    /// The peer sent something. The shard must not be borrowed.
    pub(crate) fn heard(&self) {
        if let Some(span) = self.keepalive.as_ref().and_then(Keepalive::heard) {
            self.set_timer(span);
        }
    }

    pub(crate) fn closing_timeout(&self) -> Duration {
        self.closing_timeout
    }

    fn set_timer(&self, span: Duration) {
        if let Some(local) = self.local.upgrade() {
            local.shard.borrow_mut().set_timer(self.conn.get(), span);
        }
    }
}

impl Wire for SocketWire {
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.link.write(bufs)
    }

    fn wait_writable(&self) {
        let (local, link, conn) = (self.local.clone(), Rc::clone(&self.link), self.conn.get());
        spawn(async move {
            link.writable().await;
            if let Some(local) = local.upgrade() {
                local.shard.borrow_mut().writable(conn);
            }
        });
    }

    fn close(&self) {
        self.link.end_writing();
        let (local, link, conn) = (self.local.clone(), Rc::downgrade(&self.link), self.conn.get());
        let timeout = self.closing_timeout;
        spawn(async move {
            // At the end of the server the shard waits for peers that still read; else the session is gone.
            if let Some(local) = local.upgrade()
                && !local.stopping.is_set()
            {
                local.shard.borrow_mut().detach(conn);
            }
            drop(local);
            // The reader goes on until the peer has ended its side too, but not for ever.
            sleep(timeout).await;
            if let Some(link) = link.upgrade() {
                link.shut_down();
            }
        });
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
            Verdict::Dead => {
                tracing::debug!(conn = ?self.conn.get(), "the peer does not answer pings");
                self.link.shut_down();
            }
        }
    }
}
