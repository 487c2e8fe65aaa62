//! Single steps: one input of one router, and what comes of it.

use std::sync::Arc;

use crosspoint_core::dealer::Undelivered;
use crosspoint_core::effect::{Effect, HistoryChange};
use crosspoint_core::error_uri as uri;
use crosspoint_core::ids::{ConnKey, ShardId};
use crosspoint_core::message::{CallResult, Message};
use crosspoint_core::options::ResultDetails;
use crosspoint_core::peer::PeerMessage;
use fastrand::Rng;

use super::World;
use crate::broken::{Check, found};
use crate::client::{Downward, Knows, Link, Stage, Upward};
use crate::mail::Delivery;
use crate::trace::Terse;
use crate::workload::{self, Act, Context};

impl World {
    /// A client thinks of something to do.
    pub(super) fn act(&mut self, client: usize) -> Check {
        match self.think(client, workload::act) {
            None => return self.open(client),
            Some(Act::Vanish) => return self.vanish(client),
            Some(Act::Send(message)) => self.send_up(client, Upward::Message(message)),
            Some(Act::Garbage) => self.send_up(client, Upward::Garbage),
            Some(Act::Nothing) => {}
        }
        Ok(())
    }

    /// What a client thinks of, with all that it knows; `None` if it is not connected.
    pub(super) fn think<T>(
        &mut self,
        client: usize,
        thought: impl FnOnce(&mut Link, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let link = self.links[client].as_mut()?;
        let mut context = Context {
            plan: &self.plan,
            rng: &mut self.rng,
            last_token: &mut self.last_token,
            sessions: &self.sessions,
            subscriptions: &self.subscriptions,
        };
        Some(thought(link, &mut context))
    }

    /// A client sends something, if it is connected.
    pub(super) fn send_up(&mut self, client: usize, what: Upward) {
        if let Some(link) = &mut self.links[client] {
            link.up.push_back(what);
        }
    }

    /// A client connects to a shard drawn at random.
    fn open(&mut self, client: usize) -> Check {
        let shard = ShardId(self.rng.u16(..self.plan.shards));
        let access = Arc::clone(&self.plan.accesses[self.rng.usize(..self.plan.accesses.len())]);
        let persona = workload::persona(&mut self.rng);
        self.begin(1, shard, &format_args!("client {client} connects"));
        let key = self.routers[usize::from(shard.0)].open(self.now, access);
        self.oracle.opened(shard, persona);
        self.owners.insert((shard, key), client);
        self.links[client] = Some(Link {
            shard,
            key,
            number: self.connections,
            up: Default::default(),
            down: Default::default(),
            persona,
            knows: Knows::default(),
        });
        self.connections += 1;
        self.end(shard)
    }

    /// A client's transport breaks; what is under way in both directions is lost.
    pub(super) fn vanish(&mut self, client: usize) -> Check {
        let Some(link) = self.links[client].take() else {
            return Ok(());
        };
        self.begin(2, link.shard, &format_args!("client {client} is lost"));
        self.oracle.lost(link.number);
        self.owners.remove(&(link.shard, link.key));
        self.routers[usize::from(link.shard.0)].lost(self.now, link.key, &mut self.effects);
        self.end(link.shard)
    }

    /// The router takes the next message of a client.
    pub(super) fn take_up(&mut self, client: usize) -> Check {
        let Some(link) = &mut self.links[client] else {
            return Ok(());
        };
        let (shard, key, number) = (link.shard, link.key, link.number);
        let Some(upward) = link.up.pop_front() else {
            return Ok(());
        };
        match upward {
            Upward::Message(message) => {
                self.begin(3, shard, &format_args!("client {client}: {}", Terse(&message)));
                self.oracle.message(number, &message);
                self.routers[usize::from(shard.0)].message(self.now, key, *message, &mut self.effects);
            }
            Upward::Garbage => {
                self.begin(4, shard, &format_args!("client {client}: garbage"));
                self.oracle.garbage(number);
                self.routers[usize::from(shard.0)].violation(self.now, key, "garbage", &mut self.effects);
            }
        }
        self.end(shard)
    }

    /// A client reads what the router sent to it.
    pub(super) fn read_down(&mut self, client: usize) {
        let Some(link) = &mut self.links[client] else {
            return;
        };
        match link.down.pop_front() {
            Some(Downward::Message(message)) => link.knows.read(&message),
            Some(Downward::Closed) => link.knows.stage = Stage::Closed,
            None => {}
        }
    }

    /// A shard takes a message of another.
    pub(super) fn take_mail(&mut self, (from, to, message): Delivery) -> Check {
        self.begin(5, to, &format_args!("shard {from}: {}", Terse(&message)));
        self.oracle.taken(&message);
        self.routers[usize::from(to.0)].peer(self.now, from, message, &mut self.effects);
        self.end(to)
    }

    /// A shard looks at its clock, if it has a reason to.
    pub(super) fn look_at_clock(&mut self, shard: ShardId) -> Check {
        if !self.is_due(shard) {
            return Ok(());
        }
        self.begin(6, shard, &"the clock");
        self.oracle.timer(shard);
        self.routers[usize::from(shard.0)].timeout(self.now, &mut self.effects);
        self.end(shard)
    }

    pub(super) fn is_due(&self, shard: ShardId) -> bool {
        let next = self.routers[usize::from(shard.0)].next_timeout();
        next.is_some_and(|at| at <= self.now)
    }

    pub(super) fn shut_down(&mut self, shard: ShardId) -> Check {
        self.begin(7, shard, &"the router shuts down");
        self.oracle.shutdown(shard);
        self.routers[usize::from(shard.0)].shutdown(self.now, &mut self.effects);
        self.end(shard)
    }

    pub(super) fn begin(&mut self, kind: u64, shard: ShardId, what: &dyn std::fmt::Display) {
        self.steps += 1;
        self.trace.mix(kind << 32 | u64::from(shard.0));
        let (steps, now) = (self.steps, self.now.0 / 1_000);
        self.trace
            .line(|| format!("{steps:>5} {now:>9} us  shard {shard} <- {what}"));
        self.oracle.begin(self.now);
    }

    /// Carries out what the router of `shard` wants, and tells it of what its outboxes had no room for.
    pub(super) fn end(&mut self, shard: ShardId) -> Check {
        self.carry_out(shard)?;
        while let Some((client, key, message)) = self.undelivered.pop_front() {
            self.trace
                .line(|| format!("{:>24}   no room: client {client}: {message:?}", ""));
            if let Some(link) = &self.links[client] {
                self.oracle.undelivered(link.number, message);
            }
            self.routers[usize::from(shard.0)].undelivered(self.now, key, message, &mut self.effects);
            self.carry_out(shard)?;
        }
        self.oracle.end()
    }

    /// Carries out what the router of `shard` wants, in order.
    fn carry_out(&mut self, shard: ShardId) -> Check {
        let mut list = std::mem::take(&mut self.effects.list);
        let receivers = std::mem::take(&mut self.effects.receivers);
        for effect in list.drain(..) {
            match effect {
                Effect::Send { to, message } => self.send(shard, to, message)?,
                Effect::Deliver {
                    event,
                    receivers: range,
                } => {
                    for to in &receivers[range] {
                        self.send(shard, *to, Box::new(Message::Event((*event).clone())))?;
                    }
                }
                Effect::Post { to, message } => self.post(shard, to, message),
                Effect::Close { conn, .. } => self.close(shard, conn)?,
                Effect::Store(change) => self.store(*change),
            }
        }
        self.effects.list = list;
        self.effects.receivers = receivers;
        self.effects.clear();
        Ok(())
    }

    fn send(&mut self, shard: ShardId, to: ConnKey, message: Box<Message>) -> Check {
        self.trace.mix(digest(&message));
        let owner = self.owners.get(&(shard, to)).copied();
        self.trace
            .line(|| format!("{:>24}-> client {owner:?}: {}", "", Terse(&message)));
        let link = owner.and_then(|client| self.links[client].as_mut());
        let link = found!(
            link,
            "nothing is sent to a connection that is gone",
            "shard {shard}, {to:?}: {message:?}"
        );
        self.oracle.sent(link.number, &message)?;
        match &*message {
            Message::Welcome(welcome) => self.sessions.push(welcome.session),
            Message::Subscribed(subscribed) => self.subscriptions.push(subscribed.subscription),
            _ => {}
        }
        if let Some(client) = owner
            && self.has_no_room(client, to, &message)
        {
            return Ok(());
        }
        if let Some(link) = owner.and_then(|client| self.links[client].as_mut()) {
            link.down.push_back(Downward::Message(message));
        }
        Ok(())
    }

    /// Whether a message waits for its receiver in vain; that is drawn for those of which the router is told.
    fn has_no_room(&mut self, client: usize, to: ConnKey, message: &Message) -> bool {
        let message = match message {
            Message::Invocation(invocation) => {
                let part_of = invocation.request;
                for (_, conn, earlier) in &mut self.undelivered {
                    if let Undelivered::Invocation { request, parts, .. } = earlier
                        && (*conn, *request) == (to, part_of)
                    {
                        *parts += 1;
                        return true;
                    }
                }
                Undelivered::Invocation {
                    request: part_of,
                    parts: 1,
                    error: [uri::UNAVAILABLE, uri::PAYLOAD_SIZE_EXCEEDED][self.rng.usize(..2)],
                }
            }
            Message::Result(CallResult {
                request,
                details: ResultDetails { progress: true, .. },
                ..
            }) => Undelivered::Progress { request: *request },
            _ => return false,
        };
        if self.has_room || self.rng.u32(..1000) >= self.plan.undelivered {
            return false;
        }
        self.undelivered.push_back((client, to, message));
        true
    }

    fn post(&mut self, from: ShardId, to: ShardId, message: PeerMessage) {
        self.trace.mix(u64::from(to.0) + 1);
        self.trace
            .line(|| format!("{:>24}-> shard {to}: {}", "", Terse(&message)));
        self.oracle.posted(&message);
        self.mail.post(from, to, message);
    }

    fn store(&mut self, change: HistoryChange) {
        let place = (change.realm, change.history);
        self.trace.mix(change.first);
        self.trace
            .line(|| format!("{:>24}-> disk: {}", "", Terse(&change)));
        if let Err(HistoryChange {
            added: Some(event), ..
        }) = self.store.post(change)
        {
            self.oracle.not_stored(place, &event.publication);
        }
    }

    fn close(&mut self, shard: ShardId, conn: ConnKey) -> Check {
        self.trace.line(|| format!("{:>24}-> close {conn:?}", ""));
        let owner = self.owners.get(&(shard, conn)).copied();
        let link = found!(
            owner.and_then(|client| self.links[client].as_mut()),
            "nothing is closed that is gone",
            "shard {shard}, {conn:?}"
        );
        link.down.push_back(Downward::Closed);
        self.oracle.closed(link.number)
    }
}

/// A place drawn at random, and from there the first for which `is_wanted` holds.
pub(super) fn any(rng: &mut Rng, count: usize, is_wanted: impl Fn(usize) -> bool) -> Option<usize> {
    let start = rng.usize(..count);
    (start..count).chain(0..start).find(|place| is_wanted(*place))
}

/// What tells messages apart, for the hash of the history.
fn digest(message: &Message) -> u64 {
    let (kind, first, second) = match message {
        Message::Welcome(welcome) => (1, welcome.session.0, 0),
        Message::Abort(abort) => (2, abort.reason.len() as u64, 0),
        Message::Goodbye(goodbye) => (3, goodbye.reason.len() as u64, 0),
        Message::Error(error) => (4, error.request.0, error.error.len() as u64),
        Message::Published(published) => (5, published.request.0, published.publication.0),
        Message::Subscribed(subscribed) => (6, subscribed.request.0, subscribed.subscription.0),
        Message::Unsubscribed(unsubscribed) => (7, unsubscribed.request.0, 0),
        Message::Event(event) => (8, event.subscription.0, event.publication.0),
        Message::Registered(registered) => (9, registered.request.0, registered.registration.0),
        Message::Unregistered(unregistered) => (10, unregistered.request.0, 0),
        Message::Invocation(invocation) => (11, invocation.request.0, invocation.registration.0),
        Message::Interrupt(interrupt) => (12, interrupt.request.0, 0),
        Message::Result(result) => (13, result.request.0, u64::from(result.details.progress)),
        _ => (14, 0, 0),
    };
    (kind << 56) ^ first.rotate_left(20) ^ second
}
