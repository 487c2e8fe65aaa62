//! What is to happen: the only output of the router's rules.

use std::ops::Range;
use std::sync::Arc;

use crate::ids::{ConnKey, RealmId, ShardId};
use crate::message::{Event, Message};
use crate::peer::{PeerMessage, Publication};
use crate::time::UnixTime;

/// One thing to do. Effects are carried out in the order of their list.
#[derive(Debug)]
pub enum Effect {
    /// Queue a message to one connection.
    Send {
        /// The receiver. It may be gone by now: then nothing happens.
        to: ConnKey,
        /// Boxed, since most effects are deliveries.
        message: Box<Message>,
    },
    /// Queue one event to many connections: encoded once per serializer and framing.
    Deliver {
        /// The EVENT, the same for all.
        event: Box<Event>,
        /// The receivers: a range of [`Effects::receivers`].
        receivers: Range<usize>,
    },
    /// Post a message to another shard.
    Post {
        /// Never the shard itself.
        to: ShardId,
        /// What to post.
        message: PeerMessage,
    },
    /// Write out what is queued to a connection, then close its transport. The router takes nothing more
    /// from the connection, which keeps its key until [`Router::lost`](crate::router::Router::lost).
    Close {
        /// The connection.
        conn: ConnKey,
        /// Why, which decides the transport's own close code.
        reason: Close,
    },
    /// Do the same to the stored copy of a [durable](crate::config::History::durable) history. Boxed, since few
    /// routers have one.
    Store(Box<HistoryChange>),
}

/// What became of a durable history. One that is lost on its way harms no other: the next says again what is gone.
#[derive(Clone, Debug)]
pub struct HistoryChange {
    /// The realm.
    pub realm: RealmId,
    /// Index of the history in its realm's configuration.
    pub history: usize,
    /// An event that came last.
    pub added: Option<StoredEvent>,
    /// Bytes that it holds, about.
    pub bytes: usize,
    /// Events with numbers below this one are forgotten.
    pub first: u64,
}

/// An event of a history that outlives the process.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its place in the history: larger than that of every event before it.
    pub number: u64,
    /// When it came.
    pub at: UnixTime,
    /// What came, in memory of its own.
    pub publication: Arc<Publication>,
}

/// Why the router closes a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The session ended in order, or never began.
    Normal,
    /// The peer broke the protocol; WebSocket says 1002.
    Violation,
    /// The router shuts down; WebSocket says 1001.
    Shutdown,
}

/// The effects of one or more steps; kept and reused by the caller, so that steps allocate little.
#[derive(Debug, Default)]
pub struct Effects {
    /// What to do, in order.
    pub list: Vec<Effect>,
    /// The receivers that [`Effect::Deliver`] points into.
    pub receivers: Vec<ConnKey>,
    /// Retained events that the bounds of their realm had no room for, to be counted.
    pub evicted: u64,
}

impl Effects {
    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.receivers.clear();
        self.evicted = 0;
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn send(&mut self, to: ConnKey, message: Message) {
        self.list.push(Effect::Send {
            to,
            message: Box::new(message),
        });
    }
}
