//! One core's part of the router: connections' bytes in, the rules of `core`, connections' bytes out.
//!
//! A [`Shard`] does no I/O of its own and waits for nothing. Transports call it with what they read and are asked
//! through [`Wire`](crate::Wire) to write; the tasks of its executor call [`take_mail`](Shard::take_mail),
//! [`flush`](Shard::flush) and [`run_timers`](Shard::run_timers) when there is reason to. A test calls them
//! itself, with a clock of its own.
//!
//! Invariants:
//! - The effects of one step are carried out before the next step begins, so an event is queued to all its
//!   receivers or to none, and nothing comes between.
//! - Posts to other shards leave before the socket writes of the same turn.
//! - A reply is queued, replaced by an error, or its connection is closed with a count; it is never just missing.

mod backlog;
mod brief;
mod dirty;
mod flush;
mod frames;
mod queue;
mod timing;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crosspoint_codec::decode;
use crosspoint_codec::frame::Framing;
use crosspoint_core::dealer::Undelivered;
use crosspoint_core::effect::{Effect, Effects};
use crosspoint_core::ids::{ConnKey, ShardId, ShardSet};
use crosspoint_core::router::Router;
use crosspoint_core::time::Time;

use crate::clock::Clock;
use crate::config::{PUMP_BATCHES_MAX, PUMP_BYTES_MAX, PUMP_MESSAGES, ShardConfig};
use crate::counters::Counters;
use crate::kind::Kind;
use crate::mesh::{Envelope, Mailbox, Mesh, Postman};
use crate::outbox::Outbox;
use crate::signal::{Event, Signal};
use crate::storage::Storage;
use crate::table::{Connection, Dirty, Phase, Table};
use crate::wheel::{Timer, Wheel};
use crate::wire::{Attach, PauseReason, Wire};

use self::backlog::Backlog;
use self::dirty::{DirtyLists, Haste};
use self::flush::Pick;
use self::frames::{Deflaters, Translations};

pub use flush::Flushed;

/// A shard as the tasks of its executor share it. Nothing may be awaited while it is borrowed.
pub type ShardRc = Rc<RefCell<Shard>>;

/// One core's part of the router: its connections, the rules, and what waits to be written or posted.
///
/// It does no I/O of its own and waits for nothing; whoever owns it calls it.
pub struct Shard {
    me: ShardId,
    router: Router,
    config: ShardConfig,
    clock: Box<dyn Clock>,
    counters: Arc<Counters>,
    table: Table,
    postman: Postman,
    /// Kept between steps for its memory.
    effects: Effects,
    /// What a step sent and could not be queued, for the steps to come.
    undelivered: VecDeque<(ConnKey, Undelivered)>,
    dirty: DirtyLists,
    backlog: Backlog,
    deflaters: Deflaters,
    translations: Translations,
    /// Kept between batches for its memory.
    picks: Vec<Pick>,
    wheel: Wheel,
    /// When to see whether a blocked connection made progress.
    stalls: BinaryHeap<Reverse<(Time, ConnKey)>>,
    /// When the timer task wakes up by itself.
    planned: Option<Time>,
    work: Rc<Signal>,
    /// A shutdown is to begin.
    shutdown_asked: bool,
    stopping: Rc<Event>,
    storage: Option<Arc<dyn Storage>>,
}

impl Shard {
    /// The shard `me` of `mesh`, without connections. `router` is its router.
    #[must_use]
    pub fn new(
        me: ShardId,
        mesh: Arc<Mesh>,
        router: Router,
        clock: Box<dyn Clock>,
        config: ShardConfig,
    ) -> Self {
        let counters = Arc::new(Counters::new(mesh.shards()));
        Self {
            me,
            router,
            backlog: Backlog::new(&config),
            config,
            table: Table::default(),
            postman: Postman::new(me, mesh, Arc::clone(&counters)),
            counters,
            effects: Effects::default(),
            undelivered: VecDeque::new(),
            dirty: DirtyLists::default(),
            deflaters: Deflaters::default(),
            translations: Translations::default(),
            picks: Vec::new(),
            wheel: Wheel::new(clock.now()),
            stalls: BinaryHeap::new(),
            clock,
            planned: None,
            work: Rc::default(),
            shutdown_asked: false,
            stopping: Rc::default(),
            storage: None,
        }
    }

    /// Before the first connection: takes back what `storage` has of durable histories; what becomes of them from here
    /// on is stored there.
    pub fn restore(&mut self, storage: Arc<dyn Storage>) {
        self.storage = Some(Arc::clone(&storage));
        self.step(|router, now, fx| {
            router.restore(now, |realm, history| storage.take_past(realm, history), fx);
        });
    }

    /// Which shard this is.
    #[must_use]
    pub fn id(&self) -> ShardId {
        self.me
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// A new connection, whose transport is ready for messages.
    pub fn attach(&mut self, attach: Attach) -> ConnKey {
        let now = self.clock.now();
        let key = self.router.open(now, attach.access);
        let connection = Connection {
            wire: attach.wire,
            kind: Kind::new(attach.format, attach.framing, attach.deflate),
            phase: Phase::Open,
            dirty: Dirty::default(),
            blocked: false,
            laden: false,
            watched: false,
            posted: ShardSet::EMPTY,
            peer_max_bytes: attach.peer_max_bytes,
            outbox: Outbox::default(),
            progress: now,
            timer: Timer::default(),
        };
        self.table.insert(key, connection);
        self.replan();
        key
    }

    /// One WAMP message of the connection's peer, without its frame.
    pub fn receive(&mut self, conn: ConnKey, message: Bytes) {
        let Some(connection) = self.table.get(conn) else {
            return;
        };
        if connection.phase != Phase::Open {
            return;
        }
        self.counters.received.one();
        self.counters.received_bytes.add(message.len() as u64);
        match decode(connection.kind.format, &message, &self.config.decode) {
            Ok(message) => {
                self.postman.take_posted();
                self.step(|router, now, fx| router.message(now, conn, message, fx));
                let posted = self.postman.take_posted();
                if !posted.is_empty()
                    && let Some(connection) = self.table.get_mut(conn)
                {
                    connection.posted = connection.posted.union(posted);
                }
            }
            Err(error) => {
                self.counters.malformed.one();
                let text = error.to_string();
                self.step(|router, now, fx| router.violation(now, conn, &text, fx));
            }
        }
    }

    /// From here on messages to the connection are framed in this way.
    pub fn set_framing(&mut self, conn: ConnKey, framing: Framing) {
        if let Some(connection) = self.table.get_mut(conn) {
            let Kind { format, deflate, .. } = connection.kind;
            connection.kind = Kind::new(format, framing, deflate);
        }
    }

    /// Queues a frame of the transport's own, such as a pong.
    pub fn queue(&mut self, conn: ConnKey, frame: Bytes) {
        self.push_reply(conn, frame);
    }

    /// Ends the connection from the transport's side, after a violation of its rules or a close handshake:
    /// what is queued is written, `last` behind it, and then the transport is closed. The session hears of it
    /// when the transport is gone.
    pub fn finish(&mut self, conn: ConnKey, last: Option<Bytes>) {
        self.close_after(conn, last);
    }

    /// The transport is gone.
    pub fn detach(&mut self, conn: ConnKey) {
        if let Some(mut connection) = self.table.remove(conn) {
            self.backlog.ended(&mut connection);
            self.step(|router, now, fx| router.lost(now, conn, fx));
        }
    }

    /// The kernel takes more of the connection's bytes again.
    pub fn writable(&mut self, conn: ConnKey) {
        if let Some(connection) = self.table.get_mut(conn) {
            if mem::take(&mut connection.blocked) {
                self.backlog.unblocked(connection);
            }
            self.mark_dirty(conn, Haste::Prompt);
        }
    }

    /// Why the connection's reader should wait: it asks again after a turn of the reactor, or a millisecond. If it need
    /// not, it reads.
    #[must_use]
    pub fn pause(&mut self, conn: ConnKey) -> Option<PauseReason> {
        let over = self.postman.mesh().over_limit();
        let connection = self.table.get_mut(conn)?;
        // Those who post to other shards only, or to none, are not to blame.
        if let Some(shard) = connection.posted.intersection(over).iter().next() {
            self.counters.pauses_mailbox.one();
            return Some(PauseReason::Mailbox(shard));
        }
        // Events alone never get this far, so a slow subscriber can still unsubscribe.
        if connection.outbox.behind() > self.config.outbox_bytes / 2 * 3 {
            self.counters.pauses_unread.one();
            return Some(PauseReason::Unread);
        }
        connection.posted = ShardSet::EMPTY;
        None
    }

    /// Whether so much is yet to be written that nothing more should be read, from no connection, before the next
    /// slice of flushing. Every now and then one may be read from all the same, so that none is left out.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.backlog.is_behind()
    }

    /// Whether this is so, or so much was queued in this turn that the rest should wait for the next one.
    #[must_use]
    pub fn is_flush_due(&self) -> bool {
        self.backlog.is_flush_due()
    }

    /// Sets the connection's timer, in place of what it was set to: [`Wire::timer`](crate::Wire::timer) is called `after` this
    /// time, or up to 50 ms or a 32nd of it later. Cheap enough for every message.
    pub fn set_timer(&mut self, conn: ConnKey, after: Duration) {
        if let Some(connection) = self.table.get_mut(conn) {
            self.wheel
                .set(&mut connection.timer, conn, self.clock.now(), after);
            self.replan();
        }
    }

    /// Stops the connection's timer.
    pub fn clear_timer(&mut self, conn: ConnKey) {
        if let Some(connection) = self.table.get_mut(conn) {
            Wheel::clear(&mut connection.timer);
        }
    }

    /// Says GOODBYE to all sessions and turns new ones away. Listeners, which wait for
    /// [`stopping`](Self::stopping), close.
    pub fn begin_shutdown(&mut self) {
        if !self.stopping.is_set() {
            self.stopping.set();
            self.step(Router::shutdown);
        }
    }

    /// [`begin_shutdown_if_asked`](Self::begin_shutdown_if_asked) shall begin one.
    pub fn ask_for_shutdown(&mut self) {
        if !self.stopping.is_set() {
            self.shutdown_asked = true;
            self.work.raise();
        }
    }

    /// Begins the shutdown that was asked for, once all that the mailbox holds now is handled: publishers, perhaps, were
    /// told that it is done.
    pub fn begin_shutdown_if_asked(&mut self, mailbox: &mut Mailbox) {
        if mem::take(&mut self.shutdown_asked) {
            let mut envelopes = mailbox.len();
            while envelopes > 0 || !mailbox.is_between_envelopes() {
                let Some((from, message)) = mailbox.take(|_| envelopes -= 1) else {
                    break;
                };
                self.step(|router, now, fx| router.peer(now, from, message, fx));
            }
            self.begin_shutdown();
        }
    }

    /// Set once a shutdown began.
    #[must_use]
    pub fn stopping(&self) -> Rc<Event> {
        Rc::clone(&self.stopping)
    }

    /// Whether no connection is left and nothing waits to be posted.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.router.connections() == 0 && self.postman.is_empty() && !self.shutdown_asked
    }

    /// Tells all transports to close, whatever is still queued to them.
    pub fn abandon(&mut self) {
        for conn in self.table.keys() {
            self.close_now(conn);
        }
    }

    /// Handles messages of the mailbox for `budget` at most, and no more than are to be answered by one
    /// [`flush`](Self::flush). Whether there were any; there may be more then. Takes none while the
    /// [flush is due](Self::is_flush_due).
    pub fn take_mail(&mut self, mailbox: &mut Mailbox, budget: Duration) -> bool {
        let began = self.clock.now();
        mailbox.keep_pace(began);
        let end = began.after(budget);
        let (mut messages, mut envelopes, mut bytes) = (0_usize, 0, 0);
        while !self.backlog.is_flush_due() {
            let opened = |envelope: &Envelope| {
                envelopes += 1;
                bytes += envelope.bytes;
                self.counters.mail_batches.one();
                self.counters.mail_messages.add(envelope.messages.len() as u64);
            };
            let Some((from, message)) = mailbox.take(opened) else {
                break;
            };
            messages += 1;
            self.step(|router, now, fx| router.peer(now, from, message, fx));
            let is_between = mailbox.is_between_envelopes();
            let is_enough = is_between && (envelopes >= PUMP_BATCHES_MAX || bytes >= PUMP_BYTES_MAX);
            if is_enough || (is_between || messages.is_multiple_of(PUMP_MESSAGES)) && self.clock.now() >= end
            {
                break;
            }
        }
        messages > 0
    }

    /// Raised when there is something to flush, or a deadline came up that is earlier than the one that
    /// [`plan`](Self::plan) returned: what drives the shard waits for it.
    #[must_use]
    pub fn work(&self) -> Rc<Signal> {
        Rc::clone(&self.work)
    }

    /// The transport of the connection at `slot` whose generation `fits`.
    pub fn wire(&self, slot: u32, fits: impl FnOnce(u32) -> bool) -> Option<(ConnKey, Rc<dyn Wire>)> {
        let (conn, connection) = self.table.find(slot, fits)?;
        Some((conn, Rc::clone(&connection.wire)))
    }

    /// One step of the router and all that follows from it.
    fn step(&mut self, step: impl FnOnce(&mut Router, Time, &mut Effects)) {
        let now = self.clock.now();
        let mut effects = mem::take(&mut self.effects);
        step(&mut self.router, now, &mut effects);
        self.apply(&mut effects);
        while let Some((conn, message)) = self.undelivered.pop_front() {
            self.router.undelivered(now, conn, message, &mut effects);
            self.apply(&mut effects);
        }
        self.effects = effects;
        self.translations.clear();
        self.deflaters.begin_step();
        self.replan();
    }

    fn apply(&mut self, effects: &mut Effects) {
        for effect in effects.list.drain(..) {
            match effect {
                Effect::Send { to, message } => self.send(to, &message),
                Effect::Deliver { event, receivers } => self.deliver(&event, &effects.receivers[receivers]),
                Effect::Post { to, message } => {
                    self.postman.post(to, message);
                    self.work.raise();
                }
                Effect::Close { conn, reason } => self.close_for(conn, reason),
                Effect::Store(change) => {
                    if let Some(storage) = &self.storage {
                        storage.store(change);
                    }
                }
            }
        }
        if effects.evicted > 0 {
            self.counters.retained_evicted.add(effects.evicted);
        }
        effects.clear();
    }
}
