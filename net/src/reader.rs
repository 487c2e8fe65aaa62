//! Reading an open connection: bytes in, messages to the shard.
//!
//! Invariants:
//! - The shard is never borrowed across an await.
//! - A connection without an incomplete frame owns no read buffer.
//! - After [`MESSAGES_PER_TURN`] messages or a read that may have left something behind, the reactor and the
//!   other tasks have their turn.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crosspoint_core::ids::ConnKey;
use crosspoint_shard::{Attach, Wire, rt::reactor_turn};

use crate::connection::linger;
use crate::link::Link;
use crate::local::{Local, sleep};
use crate::opening::Opened;
use crate::protocol::{Input, Protocol};
use crate::scratch::{ROOM_MIN, Received};
use crate::wire::SocketWire;

/// Messages of one connection that are handled in one go.
const MESSAGES_PER_TURN: usize = 128;

/// Until a reader that was told to wait asks again: at first, and at most. In between the time doubles.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// How an open connection ended.
#[derive(Debug)]
pub(crate) enum Ended {
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

/// The reader of an open connection.
pub(crate) struct Reader<'l> {
    local: &'l Local,
    link: &'l Link,
    wire: Rc<SocketWire>,
    conn: ConnKey,
    protocol: Protocol,
}

impl<'l> Reader<'l> {
    /// Makes the connection known to the shard.
    pub(crate) fn attach(local: &'l Rc<Local>, link: &'l Rc<Link>, opened: Opened) -> Self {
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

    /// Reads until the connection ends; `received` is what came along with its handshake.
    pub(crate) async fn run(mut self, received: Received) -> Ended {
        let ended = self.read_on(received).await;
        let closed_by_both = matches!(ended, Ended::Closed) && self.link.has_ended_writing();
        if !closed_by_both && matches!(ended, Ended::Closed | Ended::Fault(_)) {
            linger(self.local, self.link, self.wire.closing_timeout()).await;
        }
        self.local.shard.borrow_mut().detach(self.conn);
        ended
    }

    async fn read_on(&mut self, mut received: Received) -> Ended {
        loop {
            if let Some(ended) = self.take_inputs(&mut received).await {
                return ended;
            }
            received.keep(self.protocol.missing(&received.bytes));
            self.wait_while_paused().await;
            let read = match self.link.read(&self.local.scratch).await {
                Ok(read) if read.is_empty() => return Ended::EndOfStream,
                Ok(read) => read,
                Err(error) => return Ended::Lost(error),
            };
            self.wire.heard();
            if read.len() >= ROOM_MIN {
                // The next read might not wait either.
                reactor_turn().await;
            }
            received.append(read);
        }
    }

    /// Handles all whole frames that were received.
    async fn take_inputs(&mut self, received: &mut Received) -> Option<Ended> {
        let mut taken = 0;
        while let Some(input) = self.protocol.next(&mut received.bytes) {
            if let Some(ended) = self.handle(input) {
                return Some(ended);
            }
            taken += 1;
            if taken % MESSAGES_PER_TURN == 0 {
                reactor_turn().await;
                self.wait_while_paused().await;
            }
        }
        None
    }

    fn handle(&self, input: Input) -> Option<Ended> {
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
        None
    }

    async fn wait_while_paused(&self) {
        let (mut pause, longest) = PAUSE;
        while self.local.shard.borrow().pause(self.conn).is_some() {
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}
