//! Shards in one thread, with transports that take everything and keep nothing.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::rc::Rc;

use bytes::Bytes;
use crosspoint_codec::frame::Framing;
use crosspoint_codec::frame::websocket::deflate::WindowBits;
use crosspoint_core::ids::{ConnKey, ShardId};
use crosspoint_core::message::Message;
use crosspoint_core::payload::Format;
use crosspoint_core::router::Router;
use crosspoint_core::time::Time;
use crosspoint_shard::{
    Attach, Clock, Flushed, Mailbox, Mesh, MeshLimits, MonotonicClock, SLICE, Shard, ShardConfig, Wire,
};

use crate::messages::{encoded, hello};
use crate::routers::{access, config};

/// The serializer of sessions that name no other.
pub const FORMAT: Format = Format::MsgPack;

/// A transport that counts.
#[derive(Debug, Default)]
pub struct Sink {
    /// Octets written so far.
    pub octets: Cell<usize>,
}

impl Wire for Sink {
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        self.octets.set(self.octets.get() + len);
        Ok(len)
    }

    fn wait_writable(&self) {}

    fn close(&self) {}

    fn timer(&self) {}
}

/// A clock that stands still, so that no slice of time is ever used up.
#[derive(Clone, Copy, Debug)]
pub struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Time {
        Time(0)
    }
}

/// Where a session lives.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    shard: usize,
    conn: ConnKey,
}

/// Several shards and their mailboxes.
pub struct Shards {
    shards: Vec<(Shard, Mailbox)>,
    sink: Rc<Sink>,
}

impl Shards {
    /// `count` shards without sessions.
    #[must_use]
    pub fn new(count: u16) -> Self {
        Self::with_clock(count, &MonotonicClock::start())
    }

    /// The same, each with a copy of `clock`.
    #[must_use]
    pub fn with_clock(count: u16, clock: &(impl Clock + Clone + 'static)) -> Self {
        let (mesh, mailboxes) = Mesh::new(count, MeshLimits::default());
        let config = config();
        let shard = |mailbox: Mailbox| {
            let me: ShardId = mailbox.shard();
            let router = Router::new(me, count, config.clone(), u64::from(me.0));
            let clock = Box::new(clock.clone());
            let shard = Shard::new(me, mesh.clone(), router, clock, ShardConfig::default());
            (shard, mailbox)
        };
        Self {
            shards: mailboxes.into_iter().map(shard).collect(),
            sink: Rc::default(),
        }
    }

    /// Opens a session on `shard`, which then sends `first`; all shards know of it.
    pub fn join(&mut self, shard: usize, first: Option<Message>) -> Place {
        self.join_as(FORMAT, None, shard, first)
    }

    /// The same for a session with another serializer.
    pub fn join_in(&mut self, format: Format, shard: usize, first: Option<Message>) -> Place {
        self.join_as(format, None, shard, first)
    }

    /// The same for one that takes compressed messages, if there is a window.
    pub fn join_as(
        &mut self,
        format: Format,
        deflate: Option<WindowBits>,
        shard: usize,
        first: Option<Message>,
    ) -> Place {
        let conn = self.shards[shard].0.attach(Attach {
            format,
            framing: Framing::WebSocket,
            deflate,
            access: access(),
            wire: Rc::clone(&self.sink) as Rc<dyn Wire>,
            peer_max_bytes: 1 << 24,
        });
        let place = Place { shard, conn };
        for message in [Some(hello()), first].into_iter().flatten() {
            self.receive(place, encoded(format, &message));
            self.settle();
        }
        place
    }

    /// One message of a session.
    pub fn receive(&mut self, place: Place, message: Bytes) {
        self.shards[place.shard].0.receive(place.conn, message);
    }

    /// Sends what `shard` posted, and writes what is queued there.
    pub fn flush(&mut self, shard: usize) {
        while self.shards[shard].0.flush(SLICE) != Flushed::All {}
    }

    /// Handles what was posted to `shard`.
    pub fn take_mail(&mut self, shard: usize) {
        let (shard, mailbox) = &mut self.shards[shard];
        while shard.take_mail(mailbox, SLICE) {}
    }

    /// Octets written to all sessions so far.
    #[must_use]
    pub fn written(&self) -> usize {
        self.sink.octets.get()
    }

    /// Until nothing is under way: an announcement goes to its owner, from there to all, and is acknowledged.
    pub fn settle(&mut self) {
        const LONGEST_WAY: usize = 4;
        for _ in 0..LONGEST_WAY {
            for shard in 0..self.shards.len() {
                self.flush(shard);
            }
            for shard in 0..self.shards.len() {
                self.take_mail(shard);
            }
        }
        for shard in 0..self.shards.len() {
            self.flush(shard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{URI, answer, call, payload, publish, register, subscribe};

    #[test]
    fn a_publication_crosses_to_another_shard() {
        let mut shards = Shards::new(2);
        let publisher = shards.join(0, None);
        shards.join(1, Some(subscribe()));
        let before = shards.written();
        shards.receive(publisher, encoded(FORMAT, &publish(URI, payload(FORMAT, 128))));
        shards.flush(0);
        assert_eq!(shards.written(), before);
        shards.take_mail(1);
        shards.flush(1);
        assert!(shards.written() > before + 64);
    }

    #[test]
    fn a_call_crosses_and_its_answer_returns() {
        let mut shards = Shards::new(2);
        let callee = shards.join(1, Some(register()));
        let caller = shards.join(0, None);
        for number in 1..=3 {
            let before = shards.written();
            shards.receive(caller, encoded(FORMAT, &call(number, payload(FORMAT, 128))));
            shards.settle();
            let invoked = shards.written();
            assert!(invoked > before + 64, "INVOCATION {number}");
            shards.receive(callee, encoded(FORMAT, &answer(number, payload(FORMAT, 128))));
            shards.settle();
            assert!(shards.written() > invoked + 64, "RESULT {number}");
        }
    }
}
