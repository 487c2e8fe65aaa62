//! Publishers and subscribers, of one topic or many.
//!
//! Connections are numbered: publishers first, then subscribers that read, then those that will stop reading.

use std::collections::VecDeque;

use anyhow::ensure;
use crosspoint_codec::core::ids::RequestId;
use crosspoint_codec::core::message::{Event, Message, Publish, Subscribe};
use crosspoint_codec::core::options::{PublishOptions, SubscribeOptions};

use super::Templates;
use super::load::{Flow, Load};
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
    how: Loop,
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
    slow: Tally,
    disconnected: u64,
}

#[derive(Clone, Debug, Default)]
struct Publisher {
    next: u64,
    /// How many readers have not yet received each of the publications from `oldest` on.
    waiting: VecDeque<u32>,
    oldest: u64,
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
        Ok(Self {
            flow: Flow::new(name, "deliveries", how.rate().map(|rate| rate * each)),
            schedule: Schedule::new(crowd.publishers as usize),
            how,
            plan,
            shares,
            topics,
            templates: Templates::new(size),
            crowd,
            publishers: vec![Publisher::default(); crowd.publishers as usize],
            sequences: vec![streams; subscribers as usize],
            subscribed: 0,
            slow: Tally::default(),
            disconnected: 0,
        })
    }

    /// The connections of those that will stop reading.
    pub(super) fn slow_conns(&self) -> Vec<ConnId> {
        let first = self.crowd.publishers + self.crowd.readers;
        let places = first..self.crowd.total();
        places.map(|place| self.flow.conn(place as usize)).collect()
    }

    /// What became of those that stopped reading, and how many of them the router disconnected.
    pub(super) const fn slow(&self) -> (Tally, u64) {
        (self.slow, self.disconnected)
    }

    fn pattern(&self, subscriber: usize) -> Pattern {
        self.plan.pattern(subscriber as u64, self.shares)
    }

    fn publish(&mut self, io: &mut Io, publisher: usize, time: u64) {
        let conn = self.flow.conn(publisher);
        let state = &mut self.publishers[publisher];
        let stamp = Stamp {
            source: publisher as u32,
            sequence: state.next,
            time,
        };
        let topic = self.plan.topic(publisher as u64, state.next);
        let (topic, readers) = &self.topics[self.plan.index(topic)];
        state.next += 1;
        // What nobody will receive is complete when the router has acknowledged it.
        let acknowledge = *readers == 0 && self.schedule.is_closed();
        if self.schedule.is_closed() {
            state.waiting.push_back((*readers).max(1));
        }
        self.flow.expect(u64::from(*readers), time);
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
        if !tally.count(arrival) || !reads {
            return;
        }
        self.flow.arrived(now, stamp.time);
        self.received(source, stamp.sequence);
    }

    /// One more reader has a publication, or the router has it where there is no reader.
    fn received(&mut self, publisher: usize, sequence: u64) {
        let state = self.publishers.get_mut(publisher);
        if state.is_some_and(|state| state.received(sequence)) {
            self.schedule.completed(publisher);
        }
    }

    /// A publisher's requests are its publications.
    fn published(&mut self, conn: ConnId, request: RequestId) {
        let publisher = self.flow.local(conn);
        self.received(publisher, request.0.saturating_sub(1));
    }

    fn is_publisher(&self, conn: ConnId) -> bool {
        self.flow.local(conn) < self.publishers.len()
    }
}

impl Publisher {
    /// One more reader has got a publication; whether it was the last one.
    fn received(&mut self, sequence: u64) -> bool {
        let place = sequence.checked_sub(self.oldest).map(|place| place as usize);
        let Some(waiting) = place.and_then(|place| self.waiting.get_mut(place)) else {
            return false;
        };
        if *waiting == 0 {
            return false;
        }
        *waiting -= 1;
        let complete = *waiting == 0;
        while self.waiting.front() == Some(&0) {
            self.waiting.pop_front();
            self.oldest += 1;
        }
        complete
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

    fn begin(&mut self, now: u64) {
        self.flow.be_patient(now);
        self.schedule.begin(self.how, now);
    }

    fn stop(&mut self) {
        self.schedule.stop();
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
        if is_slow && !self.schedule.is_silent() {
            self.disconnected += 1;
        } else {
            self.flow.fail(|| format!("{conn}: {why}"));
        }
    }

    fn tick(&mut self, io: &mut Io, now: u64) -> Option<u64> {
        while let Some(next) = self.schedule.peek()
            && io.queued(self.flow.conn(next)) < QUEUE_MAX
            && let Some((publisher, due)) = self.schedule.take(now, &mut self.flow.lag)
        {
            self.publish(io, publisher, due);
        }
        self.schedule.deadline(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_complete_when_the_last_reader_has_it() {
        let mut publisher = Publisher {
            next: 3,
            waiting: [2, 2, 2].into(),
            oldest: 0,
        };
        assert!(!publisher.received(1));
        assert!(publisher.received(1));
        assert_eq!(publisher.oldest, 0);
        assert!(!publisher.received(0));
        assert!(publisher.received(0));
        assert_eq!(publisher.oldest, 2);
        assert!(!publisher.received(0), "complete before");
        assert!(!publisher.received(7), "never sent");
    }
}
