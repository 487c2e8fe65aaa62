//! What must hold, watched from outside: the oracle sees every input of the routers and every output, in the
//! order of the steps, and keeps a model of what the specification and ARCHITECTURE.md promise. It knows
//! nothing of the routers' tables.
//!
//! A request counts from the step in which the router takes it, an answer from the step in which the router
//! sends it. Between two such moments the model says what must happen at once (before the step ends), what
//! may happen, and what must have happened when all is quiet: when no message is under way to or between
//! routers and no deadline has passed unseen.

mod calls;
mod connections;
mod events;
mod evidence;
mod history;
mod invocations;
mod meta;
mod meta_calls;
mod parts;
mod probe;
mod procedures;
mod queues;
mod quiet;
mod recall;
mod retained;
mod session;
mod tally;
mod undelivered;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytestring::ByteString;
use crosspoint_core::config::RouterConfig;
use crosspoint_core::ids::{PublicationId, RequestId, SessionId, ShardId, SubscriptionId};
use crosspoint_core::message::Message;
use crosspoint_core::options::CancelMode;
use crosspoint_core::peer::PeerMessage;
use crosspoint_core::time::Time;

use self::calls::Call;
use self::connections::Connection;
use self::events::Publication;
use self::history::History;
use self::procedures::Procedure;
use self::queues::Waiter;
use self::session::Session;
pub use self::tally::Tally;
use crate::broken::{Broken, Check, found};
use crate::uris::Key;
use crate::workload::token_of;

/// The model of one run.
pub(crate) struct Oracle {
    config: Arc<RouterConfig>,
    now: Time,
    step: u64,
    shutting_down: Vec<bool>,
    connections: Vec<Connection>,
    sessions: Vec<Session>,
    /// Places in `sessions`.
    by_id: BTreeMap<SessionId, usize>,
    /// Sessions that somebody wanted to be killed.
    condemned: BTreeSet<SessionId>,
    publications: BTreeMap<u64, Publication>,
    publication_ids: BTreeMap<PublicationId, u64>,
    /// Publications to be retained, by realm and topic.
    retained: BTreeMap<(usize, ByteString), Vec<u64>>,
    histories: Vec<History>,
    /// Quiet moments so far.
    epoch: u64,
    /// The last publication that each subscriber got of each publisher.
    event_order: BTreeMap<(usize, usize), u64>,
    /// Keys with subscribers: the id, and how many sessions hold it.
    topics: BTreeMap<Key, (SubscriptionId, usize)>,
    procedures: BTreeMap<Key, Procedure>,
    /// Keys whose callees changed in this step.
    changed: BTreeSet<Key>,
    calls: BTreeMap<u64, Call>,
    /// Further parts of calls: the call, and the place of the part behind the first.
    parts: BTreeMap<u64, (u64, usize)>,
    /// Calls whose callers wait.
    open_calls: BTreeSet<u64>,
    /// The last call that each callee got of each caller.
    call_order: BTreeMap<(usize, usize), u64>,
    /// Calls in queues, in the order in which they joined.
    waiters: Vec<Waiter>,
    /// Of each shard, how many of its calls have their turn without knowing it yet.
    turns: Vec<u32>,
    this_step: ThisStep,
    pub(crate) tally: Tally,
}

/// What the step that runs was about.
#[derive(Default)]
struct ThisStep {
    /// The connection whose message, or end, it is.
    connection: Option<usize>,
    /// Connections on which something had to be sent or done.
    owed: Vec<usize>,
    /// The shard whose clock it is.
    timer: Option<ShardId>,
    /// The shard that hears that one of its calls has its turn, and whether any call was seen to go to its callee.
    turn: Option<ShardId>,
    has_served: bool,
    /// The session that wants to register something.
    registering: Option<usize>,
    /// The call that its caller begins, and the one that it cancels.
    call: Option<u64>,
    cancel: Option<(u64, CancelMode)>,
    /// The session, and its invocation, which is to be interrupted since a further part of the call did not get there.
    misses_part: Option<(usize, RequestId)>,
    /// Sessions of which somebody heard that they have left.
    left: Vec<usize>,
}

impl Oracle {
    pub(crate) fn new(config: Arc<RouterConfig>, shards: u16) -> Self {
        Self {
            histories: history::histories(&config),
            config,
            now: Time::default(),
            step: 0,
            shutting_down: vec![false; usize::from(shards)],
            connections: Vec::new(),
            sessions: Vec::new(),
            by_id: BTreeMap::new(),
            condemned: BTreeSet::new(),
            publications: BTreeMap::new(),
            publication_ids: BTreeMap::new(),
            retained: BTreeMap::new(),
            epoch: 0,
            event_order: BTreeMap::new(),
            topics: BTreeMap::new(),
            procedures: BTreeMap::new(),
            changed: BTreeSet::new(),
            calls: BTreeMap::new(),
            parts: BTreeMap::new(),
            open_calls: BTreeSet::new(),
            call_order: BTreeMap::new(),
            waiters: Vec::new(),
            turns: vec![0; usize::from(shards)],
            this_step: ThisStep::default(),
            tally: Tally::default(),
        }
    }

    /// A step begins.
    pub(crate) fn begin(&mut self, now: Time) {
        self.now = now;
        self.step += 1;
        self.this_step = ThisStep::default();
    }

    /// The step is over: what had to happen at once has happened.
    pub(crate) fn end(&mut self) -> Check {
        self.check_connection()?;
        self.check_left()?;
        self.check_cancel()?;
        self.check_misses_part()?;
        self.note_waiter()?;
        self.take_turn();
        self.check_timeouts()?;
        self.check_procedures()
    }

    /// One shard posts to another.
    pub(crate) fn posted(&mut self, message: &PeerMessage) {
        match message {
            PeerMessage::Invoke(invoke) => {
                self.this_step.has_served = true;
                let callee = self.by_id.get(&invoke.callee.id).copied();
                if let Some(call) = token_of(&invoke.payload).and_then(|token| self.calls.get_mut(&token)) {
                    call.target = callee;
                }
            }
            PeerMessage::Bounce(invoke) => {
                if let Some(call) = token_of(&invoke.payload).and_then(|token| self.calls.get_mut(&token)) {
                    call.may_be_late = true;
                    self.tally.add("calls bounced");
                }
            }
            PeerMessage::Turn { call, .. } => self.turn_posted(call.shard),
            PeerMessage::Revoked { .. } => self.tally.add("revocations between shards"),
            _ => {}
        }
    }

    /// A shard takes what another one posted to it.
    pub(crate) fn taken(&mut self, message: &PeerMessage) {
        if let PeerMessage::Turn { call, .. } = message {
            self.this_step.turn = Some(call.shard);
        }
    }

    /// The router sends `message` on a connection.
    pub(crate) fn sent(&mut self, connection: usize, message: &Message) -> Check {
        if let Message::Welcome(_) | Message::Abort(_) | Message::Goodbye(_) = message {
            return self.sent_outside(connection, message);
        }
        if self.connections[connection].awaits_farewell()
            && let Message::Event(_) = message
        {
            return Ok(());
        }
        let session = found!(
            self.connections[connection].session(),
            "nothing is sent on a connection without a session but WELCOME, ABORT and GOODBYE",
            "connection {connection} gets {message:?}"
        );
        match message {
            Message::Published(published) => self.published(session, published),
            Message::Subscribed(subscribed) => self.subscribed(session, subscribed),
            Message::Unsubscribed(unsubscribed) => self.unsubscribed(session, unsubscribed),
            Message::Event(event) => self.event(session, event),
            Message::Registered(registered) => self.registered(session, registered),
            Message::Unregistered(unregistered) => self.unregistered(session, unregistered),
            Message::Invocation(invocation) => self.invocation(session, invocation),
            Message::Interrupt(interrupt) => self.interrupt(session, interrupt),
            Message::Result(result) => self.result(session, result),
            Message::Error(error) => self.error(session, error),
            _ => Err(Broken {
                invariant: "a router sends only what routers send",
                detail: format!("connection {connection} gets {message:?}"),
            }),
        }
    }

    /// The sessions that are open, with their places.
    fn live(&self) -> impl Iterator<Item = (usize, &Session)> {
        self.sessions
            .iter()
            .enumerate()
            .filter(|(_, session)| session.is_alive)
    }
}
