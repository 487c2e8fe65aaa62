//! The task that drives a shard: turn after turn, and what it waits for in between.
//!
//! In a turn everything that has happened is handled first: mail taken, sockets read, deadlines kept. Then all that
//! came of it leaves: posts, and one batch of writes. So the more there is to do, the more goes into one write.
//!
//! Mail is taken after the ring has said which sockets are readable and before they are read. So what a client sends
//! because of what another shard told it or a peer of it finds that shard's earlier posts handled: one that hears that
//! a callee is gone can register the procedure at once, here too.
//!
//! A shard that is behind with its writes ([`Shard::is_behind`](crate::Shard::is_behind)) takes no mail, and lets
//! connections wait in a queue from which each has its turn.
//!
//! A shard with nothing to do waits in its own ring for a moment, where a socket or another shard wakes it at the
//! price of one system call. The executor's other tasks have a turn every [`SLICE`] all the same. Only a shard that
//! stays idle goes to sleep in glommio, whose reactor takes several calls for that.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crosspoint_core::ids::{ConnKey, ShardId};
use crosspoint_core::time::Time;
use glommio::timer::Timer;
use glommio::{Task, spawn_local};

use super::drive::reactor_turn;
use super::ring::{self, Ring};
use super::spin::Spin;
use crate::clock::{Clock, MonotonicClock};
use crate::config::SLICE;
use crate::mesh::Mailbox;
use crate::shard::{Flushed, ShardRc};
use crate::signal::{Event, Signal};
use crate::wire::{Hangup, Job, Reading, Sender, Wire};

/// Until a post that a full mailbox did not take is tried again.
const HELD_POSTS_RETRY: Duration = Duration::from_millis(1);

/// How long a shard without work waits in its ring before it goes to sleep in glommio.
const LINGER: Duration = SLICE;

/// What drives one shard.
pub(super) struct Turns {
    shard: ShardRc,
    ring: Ring,
    mailbox: Mailbox,
    clock: MonotonicClock,
    spin: Spin,
    /// When there was nothing to do, if so since the last turn that had something.
    idle: Option<Time>,
    bell: Waker,
    /// Raised by the ring's alarm.
    alarm: Rc<Signal>,
    _alarm_reader: Task<()>,
    work: Rc<Signal>,
    /// Kept for its memory.
    events: Vec<ring::Event>,
    /// Connections that are read from later, each once in one of the two lists below. Events of theirs add nothing but
    /// whether there is an end of the stream to be read.
    later: BTreeMap<ConnKey, Hangup>,
    /// Connections with more to read, in the order in which they are.
    unread: VecDeque<ConnKey>,
    /// One may be read from in this turn though the mail of it has put the shard behind: else mail could keep all waiting.
    owed: bool,
    /// Connections that are not read from before a time.
    paused: BinaryHeap<Reverse<(Time, ConnKey)>>,
    /// When there was something to do last.
    active: Time,
    /// When glommio had its turn last.
    turned: Time,
}

/// What a turn found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Something: there may be more.
    Work,
    /// Nothing to do.
    Idle,
    /// Nothing that can be done now: posts wait for room in a mailbox.
    Held,
}

/// Sends by the ring, and knows what has come in meanwhile.
struct Out<'t> {
    ring: &'t mut Ring,
    mailbox: &'t Mailbox,
}

impl Sender for Out<'_> {
    fn send(&mut self, jobs: &mut [Job<'_>]) {
        self.ring.send(jobs);
    }

    fn is_wanted(&mut self) -> bool {
        self.ring.has_events() || !self.mailbox.is_empty()
    }
}

/// Rings a shard's bell.
struct Bell(OwnedFd);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // It fails if nobody listened for 2^64 times.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// Lets the shard hear its ring's alarm. One that cannot hear would sleep while its sockets wait, for ever and unnoticed:
/// better all ends, so that somebody starts it anew.
async fn listen(shard: ShardId, file: OwnedFd, alarm: Rc<Signal>) {
    let error = ring::read_alarm(file, alarm).await;
    tracing::error!(shard = shard.0, %error, "the shard cannot hear its sockets any more: the process ends");
    process::abort();
}

impl Turns {
    /// # Errors
    /// If there are no descriptors left.
    pub(super) fn new(
        shard: ShardRc,
        ring: Ring,
        mailbox: Mailbox,
        clock: MonotonicClock,
        spin: Duration,
    ) -> io::Result<Self> {
        let work = shard.borrow().work();
        let alarm = Rc::<Signal>::default();
        let reader = spawn_local(listen(shard.borrow().id(), ring.alarm()?, Rc::clone(&alarm)));
        Ok(Self {
            bell: Waker::from(Arc::new(Bell(ring.bell()?))),
            shard,
            ring,
            mailbox,
            clock,
            spin: Spin::new(spin),
            idle: None,
            alarm,
            _alarm_reader: reader,
            work,
            events: Vec::new(),
            later: BTreeMap::new(),
            unread: VecDeque::new(),
            owed: false,
            paused: BinaryHeap::new(),
            active: clock.now(),
            turned: clock.now(),
        })
    }

    /// Drives the shard until its end.
    pub(super) async fn run(mut self, ended: Rc<Event>) {
        while !ended.is_set() {
            let began = self.clock.now();
            let turn = self.turn();
            let now = self.clock.now();
            if turn == Turn::Work {
                self.active = now;
                if let Some(idle) = self.idle.take() {
                    self.spin.learn(idle.until(began));
                }
            }
            if self.ring.watcher().take_yield() || self.turned.after(SLICE) <= now {
                reactor_turn().await;
                self.turned = self.clock.now();
            } else if turn != Turn::Work {
                self.wait(turn, now, &ended).await;
            }
        }
    }

    /// Handles all that has happened, and sends what came of it.
    fn turn(&mut self) -> Turn {
        // What raised it is about to be looked at.
        self.work.take();
        let mut events = std::mem::take(&mut self.events);
        self.ring.poll(&mut events);
        self.owed = !self.shard.borrow().is_behind();
        let mut worked = self.shard.borrow_mut().take_mail(&mut self.mailbox, SLICE);
        self.shard.borrow_mut().begin_shutdown_if_asked(&mut self.mailbox);
        worked |= self.handle(&mut events);
        self.events = events;
        worked |= self.read_on();
        let mut shard = self.shard.borrow_mut();
        if shard.timers_due() {
            worked = true;
            let expired = shard.run_timers();
            drop(shard);
            for wire in expired {
                wire.timer();
            }
            shard = self.shard.borrow_mut();
        }
        let mut out = Out {
            ring: &mut self.ring,
            mailbox: &self.mailbox,
        };
        match shard.flush_with(&mut out, SLICE) {
            Flushed::More => Turn::Work,
            Flushed::All | Flushed::Held if worked => Turn::Work,
            Flushed::All => Turn::Idle,
            Flushed::Held => Turn::Held,
        }
    }

    /// Handles what happened to sockets. Whether anything did.
    fn handle(&mut self, events: &mut Vec<ring::Event>) -> bool {
        let any = !events.is_empty();
        for event in events.drain(..) {
            match event {
                ring::Event::Readable {
                    token,
                    hangup,
                    watched,
                } => {
                    let Some((conn, wire)) = self.wire(token) else {
                        continue;
                    };
                    if let Some(known) = self.later.get_mut(&conn) {
                        if hangup == Hangup::Yes {
                            *known = hangup;
                        }
                    } else if self.unread.is_empty() && self.may_read() {
                        self.read(conn, &*wire, hangup);
                    } else {
                        // Those that wait already go first.
                        self.read_later(conn, hangup);
                    }
                    if !watched && let Some(socket) = wire.socket() {
                        self.ring.watcher().readable(conn, socket);
                    }
                }
                ring::Event::Writable { token } => {
                    if let Some((conn, _)) = self.wire(token) {
                        self.shard.borrow_mut().writable(conn);
                    }
                }
                ring::Event::Bell { watched } => {
                    if !watched {
                        self.ring.watch_bell();
                    }
                }
            }
        }
        any
    }

    /// Reads from the connections that had more than their share, and those that had to wait. Whether there are any.
    fn read_on(&mut self) -> bool {
        while let Some(&Reverse((at, conn))) = self.paused.peek()
            && at <= self.clock.now()
        {
            self.paused.pop();
            self.unread.push_back(conn);
        }
        let worked = !self.unread.is_empty();
        for _ in 0..self.unread.len() {
            if !self.may_read() {
                self.shard.borrow().counters().pauses_behind.one();
                break;
            }
            if let Some(conn) = self.unread.pop_front() {
                self.read_again(conn);
            }
        }
        worked
    }

    /// Whether the turn may go on to read.
    fn may_read(&self) -> bool {
        self.owed || !self.shard.borrow().is_flush_due()
    }

    fn read_again(&mut self, conn: ConnKey) {
        let Some(hangup) = self.later.remove(&conn) else {
            return;
        };
        let found = self
            .shard
            .borrow()
            .wire(conn.slot, |generation| generation == conn.generation);
        if let Some((_, wire)) = found {
            self.read(conn, &*wire, hangup);
        }
    }

    fn read_later(&mut self, conn: ConnKey, hangup: Hangup) {
        self.unread.push_back(conn);
        self.later.insert(conn, hangup);
    }

    fn read(&mut self, conn: ConnKey, wire: &dyn Wire, hangup: Hangup) {
        self.owed = false;
        match wire.readable(hangup) {
            Reading::Drained => {}
            Reading::More => self.read_later(conn, hangup),
            Reading::Paused(span) => {
                self.paused.push(Reverse((self.clock.now().after(span), conn)));
                self.later.insert(conn, hangup);
            }
        }
    }

    fn wire(&self, token: ring::Token) -> Option<(ConnKey, Rc<dyn Wire>)> {
        self.shard
            .borrow()
            .wire(token.slot, |generation| token.fits(generation))
    }

    /// Waits until there is something to do, or glommio should have its turn.
    async fn wait(&mut self, turn: Turn, now: Time, ended: &Event) {
        if self.spin_for_work(now) {
            return;
        }
        let deadline = self.deadline(turn);
        let lingering_until = self.active.after(LINGER).min(self.turned.after(SLICE));
        if lingering_until > now && !self.ring.watcher().has_openings() {
            self.linger(deadline.map_or(lingering_until, |at| at.min(lingering_until)));
        } else {
            self.sleep(deadline, ended).await;
            self.turned = self.clock.now();
        }
    }

    /// Looks for work for a while, if it is likely to come. Whether there is some.
    fn spin_for_work(&mut self, now: Time) -> bool {
        if self.idle.is_some() {
            // It was looked for before this wait.
            return false;
        }
        self.idle = Some(now);
        let end = now.after(self.spin.span());
        while self.clock.now() < end {
            if self.ring.has_events() || !self.mailbox.is_empty() {
                return true;
            }
            // Whoever else is to run on this core is perhaps the one to bring the work.
            thread::yield_now();
        }
        false
    }

    fn deadline(&self, turn: Turn) -> Option<Time> {
        let now = self.clock.now();
        let timers = self.shard.borrow_mut().plan().map(|span| now.after(span));
        let paused = self.paused.peek().map(|Reverse((at, _))| *at);
        let held = (turn == Turn::Held).then(|| now.after(HELD_POSTS_RETRY));
        [timers, paused, held].into_iter().flatten().min()
    }

    /// Waits in the ring, and with it the whole thread, for sockets and mail.
    fn linger(&mut self, until: Time) {
        if self
            .mailbox
            .poll_mail(&mut Context::from_waker(&self.bell))
            .is_ready()
        {
            return;
        }
        self.ring.wait(self.clock.now().until(until));
        self.mailbox.awake();
    }

    /// Waits along with the executor's other tasks.
    async fn sleep(&mut self, deadline: Option<Time>, ended: &Event) {
        let span = deadline.map(|at| self.clock.now().until(at));
        let mut timer = span.map(Timer::new);
        self.ring.set_alarm(true);
        // From here on the alarm tells of what happens; this takes what happened before.
        let mut events = std::mem::take(&mut self.events);
        self.ring.poll(&mut events);
        self.events = events;
        if self.events.is_empty() {
            poll_fn(|cx| {
                let ready = [
                    self.alarm.poll_taken(cx),
                    self.work.poll_taken(cx),
                    self.ring.watcher().poll_changed(cx),
                    self.mailbox.poll_mail(cx),
                    ended.poll_set(cx),
                    timer
                        .as_mut()
                        .map_or(Poll::Pending, |timer| Pin::new(timer).poll(cx).map(drop)),
                ];
                if ready.iter().any(Poll::is_ready) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            self.mailbox.awake();
        }
        self.ring.set_alarm(false);
    }
}
