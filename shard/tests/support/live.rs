//! Clients inside the executors of running shards: each is a task of its own that speaks JSON in RawSocket frames,
//! as a connection's reader task does.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;

use bytes::Bytes;
use crosspoint_codec::frame::Framing;
use crosspoint_core::ids::ConnKey;
use crosspoint_core::payload::Format;
use crosspoint_shard::rt::{Options, SPIN};
use crosspoint_shard::{Attach, ShardConfig, ShardRc, Signal, Wire};
use serde_json::{Value, json};

use super::{REALM, access, router_config};

pub fn options() -> Options {
    Options {
        router: router_config(),
        shard: ShardConfig::default(),
        seed: 1,
        spin: SPIN,
        pin: false,
        storage: None,
    }
}

#[derive(Default)]
struct Pipe {
    written: RefCell<Vec<u8>>,
    closed: Cell<bool>,
    changed: Signal,
}

impl Wire for Pipe {
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut written = self.written.borrow_mut();
        let before = written.len();
        bufs.iter().for_each(|buf| written.extend_from_slice(buf));
        self.changed.raise();
        Ok(written.len() - before)
    }

    fn wait_writable(&self) {}

    fn close(&self) {
        self.closed.set(true);
        self.changed.raise();
    }

    fn timer(&self) {}
}

pub struct Client {
    shard: ShardRc,
    conn: ConnKey,
    pipe: Rc<Pipe>,
}

impl Client {
    /// Opens a session.
    pub async fn join(shard: &ShardRc) -> Self {
        let pipe = Rc::new(Pipe::default());
        let conn = shard.borrow_mut().attach(Attach {
            format: Format::Json,
            framing: Framing::RawSocket,
            deflate: None,
            access: access(),
            wire: Rc::clone(&pipe) as Rc<dyn Wire>,
            peer_max_bytes: 1 << 24,
        });
        let mut client = Self {
            shard: Rc::clone(shard),
            conn,
            pipe,
        };
        let roles = json!({"publisher": {}, "subscriber": {}, "caller": {}, "callee": {}});
        let welcome = client.ask(&json!([1, REALM, {"roles": roles}])).await;
        assert_eq!(welcome[0], 2, "{welcome}");
        client
    }

    pub fn send(&mut self, message: &Value) {
        self.shard
            .borrow_mut()
            .receive(self.conn, Bytes::from(message.to_string()));
    }

    /// The next message; `None` once the router closed the connection.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(message) = self.take() {
                return Some(message);
            }
            if self.pipe.closed.get() {
                return None;
            }
            self.pipe.changed.taken().await;
        }
    }

    pub async fn ask(&mut self, message: &Value) -> Value {
        self.send(message);
        self.next().await.expect("an answer")
    }

    fn take(&mut self) -> Option<Value> {
        let mut written = self.pipe.written.borrow_mut();
        let (&[_, a, b, c], rest) = written.split_first_chunk()?;
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        let message = serde_json::from_slice(rest.get(..len)?).unwrap();
        written.drain(..4 + len);
        Some(message)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shard.borrow_mut().detach(self.conn);
    }
}
