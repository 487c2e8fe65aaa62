//! Shards in one thread with a clock and transports that tests control. Peers speak JSON over RawSocket framing
//! unless they say otherwise.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses its part")]

#[cfg(feature = "glommio")]
pub mod live;

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crosspoint_codec::PayloadValues;
use crosspoint_codec::frame::Framing;
use crosspoint_core::authorize::Role;
use crosspoint_core::config::{Access, Anonymous, RealmConfig, RouterConfig};
use crosspoint_core::ids::{ConnKey, ShardId};
use crosspoint_core::payload::Format;
use crosspoint_core::router::Router;
use crosspoint_core::time::Time;
use crosspoint_shard::{Attach, Clock, Flushed, Mailbox, Mesh, MeshLimits, SLICE, Shard, ShardConfig, Wire};
use serde_json::{Value, json};

pub const REALM: &str = "realm1";

/// One realm where anybody may do anything.
pub fn router_config() -> Arc<RouterConfig> {
    let realms = vec![RealmConfig::new(REALM, vec![Role::trusted()])];
    Arc::new(RouterConfig::new(realms, [1, 2], &PayloadValues))
}

pub fn access() -> Arc<Access> {
    Arc::new(Access {
        anonymous: Some(Anonymous {
            role: Role::TRUSTED.to_owned(),
            realm: None,
            authid: None,
        }),
    })
}

#[derive(Clone, Default)]
pub struct TestClock(Rc<Cell<u64>>);

impl Clock for TestClock {
    fn now(&self) -> Time {
        Time(self.0.get())
    }
}

/// A transport that keeps what is written. `room` bounds how much more the "kernel" takes.
#[derive(Default)]
pub struct TestWire {
    pub written: RefCell<Vec<u8>>,
    pub room: Cell<Option<usize>>,
    pub broken: Cell<bool>,
    pub closed: Cell<bool>,
    pub waits: Cell<bool>,
    /// So late that it may be written to though it waits for room.
    pub is_late: Cell<bool>,
    pub timers: Cell<u32>,
    pub writes: Cell<u32>,
}

impl Wire for TestWire {
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let is_in_turn = !self.waits.get() || self.is_late.get();
        assert!(!self.closed.get() && is_in_turn, "written to out of turn");
        self.writes.set(self.writes.get() + 1);
        if self.broken.get() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let taken = self.room.get().map_or(all.len(), |room| room.min(all.len()));
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.room.set(self.room.get().map(|room| room - taken));
        self.written.borrow_mut().extend_from_slice(&all[..taken]);
        Ok(taken)
    }

    fn wait_writable(&self) {
        assert!(!self.waits.replace(true), "asked twice");
    }

    fn close(&self) {
        assert!(!self.closed.replace(true), "closed twice");
    }

    fn timer(&self) {
        self.timers.set(self.timers.get() + 1);
    }
}

/// One client.
#[derive(Clone)]
pub struct Peer {
    pub shard: usize,
    pub conn: ConnKey,
    pub wire: Rc<TestWire>,
    read: Rc<Cell<usize>>,
}

impl Peer {
    /// The JSON messages that were written and not yet returned.
    pub fn received(&self) -> Vec<Value> {
        let written = self.wire.written.borrow();
        let mut messages = Vec::new();
        while let Some(rest) = written.get(self.read.get()..)
            && let Some((&[kind, a, b, c], rest)) = rest.split_first_chunk()
            && let Some(message) = rest.get(..u32::from_be_bytes([0, a, b, c]) as usize)
        {
            assert_eq!(kind, 0, "a frame that carries a message");
            messages.push(serde_json::from_slice(message).unwrap());
            self.read.set(self.read.get() + 4 + message.len());
        }
        messages
    }

    /// The only message that was written since.
    pub fn answer(&self) -> Value {
        let mut messages = self.received();
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }
}

pub struct World {
    pub clock: TestClock,
    pub shards: Vec<Shard>,
    mailboxes: Vec<Mailbox>,
}

impl World {
    pub fn new(shards: u16, config: &ShardConfig) -> Self {
        Self::with_mesh(shards, config, MeshLimits::default())
    }

    pub fn with_mesh(shards: u16, config: &ShardConfig, limits: MeshLimits) -> Self {
        let (mesh, mailboxes) = Mesh::new(shards, limits);
        let (clock, rules) = (TestClock::default(), router_config());
        let shard = |me| {
            let router = Router::new(ShardId(me), shards, Arc::clone(&rules), u64::from(me));
            Shard::new(
                ShardId(me),
                Arc::clone(&mesh),
                router,
                Box::new(clock.clone()),
                config.clone(),
            )
        };
        Self {
            shards: (0..shards).map(shard).collect(),
            clock,
            mailboxes,
        }
    }

    pub fn connect(&mut self, shard: usize, format: Format, framing: Framing, peer_max_bytes: usize) -> Peer {
        let wire = Rc::new(TestWire::default());
        let conn = self.shards[shard].attach(Attach {
            format,
            framing,
            deflate: None,
            access: access(),
            wire: Rc::clone(&wire) as Rc<dyn Wire>,
            peer_max_bytes,
        });
        Peer {
            shard,
            conn,
            wire,
            read: Rc::default(),
        }
    }

    /// A session over RawSocket with JSON.
    pub fn join(&mut self, shard: usize) -> Peer {
        self.join_small(shard, 1 << 24)
    }

    /// A session whose peer takes messages of `peer_max_bytes`.
    pub fn join_small(&mut self, shard: usize, peer_max_bytes: usize) -> Peer {
        let peer = self.connect(shard, Format::Json, Framing::RawSocket, peer_max_bytes);
        self.hello(&peer);
        assert_eq!(peer.answer()[0], 2, "WELCOME");
        peer
    }

    pub fn hello(&mut self, peer: &Peer) {
        let calls = json!({"features": {"progressive_call_results": true, "progressive_call_invocations": true,
            "call_canceling": true}});
        let roles = json!({"publisher": {}, "subscriber": {}, "caller": calls, "callee": calls});
        self.send(peer, &json!([1, REALM, {"roles": roles}]));
    }

    /// Gives the shard a message and lets all shards run until nothing moves.
    pub fn send(&mut self, peer: &Peer, message: &Value) {
        self.give(peer, message);
        self.run();
    }

    /// Only gives the shard a message.
    pub fn give(&mut self, peer: &Peer, message: &Value) {
        self.shards[peer.shard].receive(peer.conn, Bytes::from(message.to_string()));
    }

    /// Sends a request and returns its answer.
    pub fn ask(&mut self, peer: &Peer, message: &Value) -> Value {
        self.send(peer, message);
        peer.answer()
    }

    /// Lets the shard take mail once. Whether it took any.
    pub fn take_mail(&mut self, shard: usize) -> bool {
        self.take_mail_for(shard, SLICE)
    }

    /// The same for `budget`.
    pub fn take_mail_for(&mut self, shard: usize, budget: Duration) -> bool {
        self.shards[shard].take_mail(&mut self.mailboxes[shard], budget)
    }

    /// Runs all shards in turn until none has sent anything in a whole round, or holds anything back.
    pub fn run(&mut self) {
        loop {
            let before = self.batches();
            let mut held = false;
            for shard in 0..self.shards.len() {
                let (mut mail, mut flushed) = self.turn(shard);
                while mail || flushed == Flushed::More {
                    (mail, flushed) = self.turn(shard);
                }
                held |= flushed == Flushed::Held;
            }
            if !held && self.batches() == before {
                return;
            }
        }
    }

    /// One turn of a shard: whether it had mail, which it does not take while it is behind, and what it left to write.
    pub fn turn(&mut self, shard: usize) -> (bool, Flushed) {
        let (shard, mailbox) = (&mut self.shards[shard], &mut self.mailboxes[shard]);
        let mail = !mailbox.is_empty();
        shard.take_mail(mailbox, SLICE);
        shard.begin_shutdown_if_asked(mailbox);
        (mail, shard.flush(SLICE))
    }

    /// Batches that were sent so far.
    fn batches(&self) -> u64 {
        let posts = self.shards.iter().flat_map(|shard| &shard.counters().posts);
        posts.map(|posts| posts.batches.get()).sum()
    }

    /// Lets time pass and calls what is due.
    pub fn pass(&mut self, time: Duration) {
        self.clock.0.set(self.clock.now().after(time).0);
        for shard in &mut self.shards {
            for wire in shard.run_timers() {
                wire.timer();
            }
        }
        self.run();
    }

    /// The kernel takes `room` more bytes, or any number, from a peer whose buffer was full.
    pub fn make_room(&mut self, peer: &Peer, room: Option<usize>) {
        peer.wire.room.set(room);
        if peer.wire.waits.replace(false) {
            self.shards[peer.shard].writable(peer.conn);
        }
        self.run();
    }
}
