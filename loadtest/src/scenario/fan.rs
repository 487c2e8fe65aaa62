//! Publishers and subscribers, of one topic or many.
//!
//! Connections are numbered: publishers first, then subscribers that read, then those that will stop reading.

use anyhow::ensure;
use crosspoint_codec::core::ids::RequestId;
use crosspoint_codec::core::message::{Event, Message, Publish, Subscribe};
use crosspoint_codec::core::options::{PublishOptions, SubscribeOptions};

use super::Templates;
use super::load::{Flow, Load};
use super::pending::Pending;
use super::plan::{Pattern, Plan, Shares};
use super::schedule::{Loop, Schedule};
use crate::net::{ConnId, Handler, Io};
use crate::payload::Stamp;
use crate::verify::{Sequence, Tally};

/// Octets waiting to be written to one publisher's connection above which no more are added: the router does
/// not read. What was to be sent meanwhile is sent later, and its latency counts from when it should have been.
const QUEUE_MAX: usize = 4 << 20;

/// Which of the groups of sessions reads.
const READERS: usize = 1;

/// What all subscribers of one topic do.
pub(super) const ALL_EXACT: Shares = Shares {
    exact: 1,
    prefix: 0,
    wildcard: 0,
};

/// How many of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    pub(super) publishers: u64,
    pub(super) readers: u64,
    pub(super) slow: u64,
}

impl Crowd {
    pub(super) const fn total(self) -> u64 {
        self.publishers + self.readers + self.slow
    }
}

/// The load.
pub(super) struct Fan {
    flow: Flow,
    schedule: Schedule,
    plan: Plan,
    shares: Shares,
    /// The topics' URIs, and how many readers each has.
    topics: Vec<(String, u32)>,
    templates: Templates,
    crowd: Crowd,
    publishers: Vec<Publisher>,
    /// For each subscriber, what it got of each publisher.
    sequences: Vec<Vec<Sequence>>,
    subscribed: u64,
    /// Whether it has begun: sessions may be lost only then.
    begun: bool,
    slow: Tally,
    /// For each subscriber that will stop reading, how many different events it got; `None` where the router
    /// disconnected it.
    slow_got: Vec<Option<u64>>,
}

#[derive(Clone, Debug, Default)]
struct Publisher {
    next: u64,
    pending: Pending,
}

impl Fan {
    /// # Errors
    /// If there are too many to check.
    pub(super) fn new(
        name: &'static str,
        (plan, shares): (Plan, Shares),
        crowd: Crowd,
        size: u64,
        how: Loop,
    ) -> anyhow::Result<Self> {
        /// For each pair there are some tens of octets.
        const PAIRS_MAX: u64 = 100_000_000;
        let subscribers = crowd.readers + crowd.slow;
        let pairs = crowd.publishers * subscribers;
        ensure!(
            pairs <= PAIRS_MAX,
            "{pairs} pairs of publisher and subscriber are too many to check"
        );
        let readers = plan.readers(shares, crowd.readers);
        let topics: Vec<_> = plan.uris().into_iter().zip(readers).collect();
        let interested: u64 = topics.iter().map(|(_, readers)| u64::from(*readers)).sum();
        let each = interested as f64 / topics.len() as f64;
        let streams = vec![Sequence::default(); crowd.publishers as usize];
        let mut flow = Flow::new(name, "deliveries", how.rate().map(|rate| rate * each));
        flow.each = each;
        Ok(Self {
            flow,
            schedule: Schedule::new(crowd.publishers as usize, how),
            plan,
            shares,
            topics,
            templates: Templates::new(size),
            crowd,
            publishers: vec![Publisher::default(); crowd.publishers as usize],
            sequences: vec![streams; subscribers as usize],
            subscribed: 0,
            begun: false,
            slow: Tally::default(),
            slow_got: vec![Some(0); crowd.slow as usize],
        })
    }

    /// The connections of those that will stop reading.
    pub(super) fn slow_conns(&self) -> Vec<ConnId> {
        let first = self.crowd.publishers + self.crowd.readers;
        let places = first..self.crowd.total();
        places.map(|place| self.flow.conn(place as usize)).collect()
    }

    /// What became of those that stopped reading, and how many of them the router disconnected.
    pub(super) fn slow(&self) -> (Tally, u64) {
        let disconnected = self.slow_got.iter().filter(|got| got.is_none()).count();
        (self.slow, disconnected as u64)
    }

    /// Whether one of those that stopped reading and is still connected has not got everything.
    fn is_slow_one_behind(&self) -> bool {
        let mut slow = self.slow_got.iter().enumerate();
        slow.any(|(place, got)| {
            let pattern = self.pattern(self.crowd.readers as usize + place);
            let publishers = self.publishers.iter().enumerate();
            let sent = publishers.map(|(source, state)| self.plan.sent(pattern, source as u64, state.next));
            got.is_some_and(|got| got < sent.sum())
        })
    }

    fn pattern(&self, subscriber: usize) -> Pattern {
        self.plan.pattern(subscriber as u64, self.shares)
    }

    fn publish(&mut self, io: &mut Io, publisher: usize, now: u64, due: u64) {
        let conn = self.flow.conn(publisher);
        let state = &mut self.publishers[publisher];
        let stamp = Stamp {
            source: publisher as u32,
            sequence: state.next,
            time: due,
        };
        let topic = self.plan.topic(publisher as u64, state.next);
        let (topic, readers) = &self.topics[self.plan.index(topic)];
        state.next += 1;
        // What nobody will receive is complete when the router has acknowledged it.
        let acknowledge = *readers == 0 && self.schedule.is_closed();
        state.pending.sent(due, (*readers).max(u32::from(acknowledge)));
        self.flow.expect(u64::from(*readers), now, due);
        let publish = Publish {
            request: io.request(conn),
            options: PublishOptions {
                acknowledge,
                ..PublishOptions::default()
            },
            topic: topic.as_str().into(),
            payload: self.templates.of(io.format(conn)).stamped(stamp),
        };
        io.send(conn, &Message::Publish(publish));
    }

    fn event(&mut self, io: &Io, conn: ConnId, event: &Event, now: u64) {
        let place = self.flow.local(conn) - self.crowd.publishers as usize;
        let reads = (place as u64) < self.crowd.readers;
        let pattern = self.pattern(place);
        let stamp = self.templates.of(io.format(conn)).read(&event.payload);
        let tally = if reads {
            &mut self.flow.tally
        } else {
            &mut self.slow
        };
        // An event that nobody sent, or not to this subscriber, is as wrong as one that was changed.
        let Some((stamp, nth)) = stamp.and_then(|stamp| {
            let publisher = self.publishers.get(stamp.source as usize)?;
            let nth = self.plan.place(pattern, stamp.source.into(), stamp.sequence)?;
            (stamp.sequence < publisher.next).then_some((stamp, nth))
        }) else {
            tally.corrupt += 1;
            return;
        };
        let source = stamp.source as usize;
        let arrival = self.sequences[place][source].receive(nth);
        if !tally.count(arrival) {
            return;
        }
        if !reads {
            self.slow_received(place - self.crowd.readers as usize, now);
            return;
        }
        self.flow.arrived(now, stamp.time);
        self.received(source, stamp.sequence);
    }

    fn slow_received(&mut self, slow: usize, now: u64) {
        if let Some(got) = &mut self.slow_got[slow] {
            *got += 1;
        }
        if self.schedule.is_silent() {
            // Before the end, it is the readers that must not stall.
            self.flow.be_patient(now);
        }
    }

    /// One more reader has a publication, or the router has it where there is no reader.
    fn received(&mut self, publisher: usize, sequence: u64) {
        let state = self.publishers.get_mut(publisher);
        if state.is_some_and(|state| state.pending.received(sequence).is_some_and(|one| one.complete)) {
            self.schedule.completed(publisher);
        }
    }

    /// A publisher's requests are its publications.
    fn published(&mut self, conn: ConnId, request: RequestId) {
        let publisher = self.flow.local(conn);
        self.received(publisher, request.0.saturating_sub(1));
    }

    /// Records how late what was due is that could not be sent.
    fn give_up_unsent(&mut self, now: u64) {
        let mut next: Vec<_> = self.publishers.iter().map(|publisher| publisher.next).collect();
        let mut unsent = 0;
        for (publisher, due) in self.schedule.overdue(self.flow.closes(now)) {
            let topic = self.plan.topic(publisher as u64, next[publisher]);
            let (_, readers) = &self.topics[self.plan.index(topic)];
            next[publisher] += 1;
            self.flow.sent(now, due);
            self.flow.missing(now, due, (*readers).into());
            unsent += 1;
        }
        self.flow.unsent(unsent);
    }

    fn is_publisher(&self, conn: ConnId) -> bool {
        self.flow.local(conn) < self.publishers.len()
    }
}

impl Load for Fan {
    fn flow(&self) -> &Flow {
        &self.flow
    }

    fn flow_mut(&mut self) -> &mut Flow {
        &mut self.flow
    }

    fn into_flow(self) -> Flow {
        self.flow
    }

    fn groups(&self) -> Vec<u64> {
        vec![self.crowd.publishers, self.crowd.readers, self.crowd.slow]
    }

    fn turn(&self, group: usize, session: u64) -> u64 {
        match group {
            READERS => self.plan.turn(session, self.shares),
            _ => session,
        }
    }

    fn granted(&self) -> (u64, u64) {
        (self.subscribed, self.crowd.readers + self.crowd.slow)
    }

    fn schedule(&self) -> Option<&Schedule> {
        Some(&self.schedule)
    }

    fn schedule_mut(&mut self) -> Option<&mut Schedule> {
        Some(&mut self.schedule)
    }

    fn begin(&mut self, now: u64) {
        self.begun = true;
        self.flow.be_patient(now);
        self.schedule.begin(now);
    }

    fn give_up(&mut self, _io: &Io, now: u64) {
        if self.schedule.is_open() {
            for publisher in &mut self.publishers {
                for (due, left) in publisher.pending.give_up() {
                    self.flow.missing(now, due, left.into());
                }
            }
            self.give_up_unsent(now);
        }
        self.flow.given_up(now);
    }

    fn is_waiting(&self) -> bool {
        self.flow.outstanding() > 0 || (self.schedule.is_silent() && self.is_slow_one_behind())
    }

    fn count_lost(&mut self) {
        for (place, sequences) in self.sequences.iter().enumerate() {
            let pattern = self.pattern(place);
            let streams = sequences.iter().zip(&self.publishers).enumerate();
            let missing = streams.map(|(source, (sequence, publisher))| {
                sequence.missing(self.plan.sent(pattern, source as u64, publisher.next))
            });
            let lost: u64 = missing.sum();
            if (place as u64) < self.crowd.readers {
                self.flow.tally.lost += lost;
            } else {
                self.slow.lost += lost;
            }
        }
    }
}

impl Handler for Fan {
    fn opened(&mut self, io: &mut Io, conn: ConnId, _now: u64) {
        if self.is_publisher(conn) {
            return;
        }
        let subscriber = self.flow.local(conn) - self.publishers.len();
        let (match_policy, topic) = self.plan.subscription(self.pattern(subscriber));
        let subscribe = Subscribe {
            request: io.request(conn),
            options: SubscribeOptions {
                match_policy,
                ..SubscribeOptions::default()
            },
            topic: topic.into(),
        };
        io.send(conn, &Message::Subscribe(subscribe));
    }

    fn message(&mut self, io: &mut Io, conn: ConnId, message: Message, now: u64) {
        match message {
            Message::Event(event) if !self.is_publisher(conn) => self.event(io, conn, &event, now),
            Message::Subscribed(_) => self.subscribed += 1,
            Message::Published(published) => self.published(conn, published.request),
            other => self.flow.fail(|| format!("{conn}: unexpected {other:?}")),
        }
    }

    fn lost(&mut self, _io: &mut Io, conn: ConnId, why: &str) {
        let is_slow = self.flow.local(conn) as u64 >= self.crowd.publishers + self.crowd.readers;
        if is_slow && self.begun {
            let first = (self.crowd.publishers + self.crowd.readers) as usize;
            self.slow_got[self.flow.local(conn) - first] = None;
        } else {
            self.flow.fail(|| format!("{conn}: {why}"));
        }
    }

    fn tick(&mut self, io: &mut Io, now: u64) -> Option<u64> {
        while let Some(next) = self.schedule.peek()
            && io.queued(self.flow.conn(next)) < QUEUE_MAX
            && let Some((publisher, due)) = self.schedule.take(now)
        {
            if !self.schedule.is_closed() {
                self.flow.sent(now, due);
            }
            self.publish(io, publisher, now, due);
        }
        self.schedule.deadline(now)
    }
}
