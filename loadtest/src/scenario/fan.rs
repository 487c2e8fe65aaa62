//! Publishers and subscribers of one topic: what `fanout` and `slow` have in common.
//!
//! Connections are numbered: publishers first, then subscribers that read, then those that will stop reading.

use std::collections::VecDeque;

use anyhow::ensure;
use crosspoint_codec::core::message::{Event, Message, Publish, Subscribe};
use crosspoint_codec::core::options::{PublishOptions, SubscribeOptions};

use super::{Every, SAMPLE_EVERY, Stage, Templates};
use crate::latency::Latencies;
use crate::meter::{Counted, Meter};
use crate::net::{ConnId, Handler, Io};
use crate::pace::Pace;
use crate::payload::Stamp;
use crate::report::Phase;
use crate::verify::{Sequence, Tally};

/// Octets waiting to be written to one publisher's connection above which no more are added: the router does
/// not read. What was to be sent meanwhile is sent later, and its latency counts from when it should have been.
const QUEUE_MAX: usize = 4 << 20;

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

/// When publications are sent.
#[derive(Debug)]
pub(super) enum Mode {
    /// Not at all.
    Silent,
    /// As soon as one of so many of a publisher is fully received.
    Closed(usize),
    /// At fixed times, by publishers in turn.
    Open(Pace),
}

/// The handler.
pub(super) struct Fan {
    topic: String,
    templates: Templates,
    crowd: Crowd,
    mode: Mode,
    publishers: Vec<Publisher>,
    /// For each subscriber, what it got of each publisher.
    sequences: Vec<Vec<Sequence>>,
    /// Publishers that may send one more (closed loop).
    ready: Vec<usize>,
    /// The next publisher (open loop).
    turn: usize,
    subscribed: u64,
    latencies: Latencies,
    /// How much later than due publications were sent (open loop).
    lag: Latencies,
    /// Events that readers received, each once.
    delivered: u64,
    published: u64,
    last_delivery: u64,
    pub(super) readers: Tally,
    pub(super) slow: Tally,
    /// Slow subscribers that the router disconnected.
    pub(super) disconnected: u64,
    /// Why the run cannot go on.
    pub(super) failure: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Publisher {
    next: u64,
    /// How many readers have not yet received each of the publications from `oldest` on.
    waiting: VecDeque<u32>,
    oldest: u64,
    in_flight: usize,
}

impl Fan {
    /// Opens and subscribes all sessions.
    pub(super) fn set_up(stage: &mut Stage<'_>, crowd: Crowd, size: u64) -> anyhow::Result<Self> {
        /// For each pair there are some tens of octets.
        const PAIRS_MAX: u64 = 100_000_000;
        let pairs = crowd.publishers * (crowd.readers + crowd.slow);
        ensure!(
            pairs <= PAIRS_MAX,
            "{pairs} pairs of publisher and subscriber are too many to check"
        );
        let streams = vec![Sequence::default(); crowd.publishers as usize];
        let subscribers = (crowd.readers + crowd.slow) as usize;
        let mut fan = Self {
            topic: stage.uri("topic"),
            templates: Templates::new(size),
            crowd,
            mode: Mode::Silent,
            publishers: vec![Publisher::default(); crowd.publishers as usize],
            sequences: vec![streams; subscribers],
            ready: Vec::new(),
            turn: 0,
            subscribed: 0,
            latencies: Latencies::new(),
            lag: Latencies::new(),
            delivered: 0,
            published: 0,
            last_delivery: 0,
            readers: Tally::default(),
            slow: Tally::default(),
            disconnected: 0,
            failure: None,
        };
        // Each group takes the serializers in turn.
        for group in [crowd.publishers, crowd.readers, crowd.slow] {
            let opened = stage.open(&mut fan, group);
            fan.check()?;
            opened?;
        }
        stage.settle(&mut fan, "subscriptions were granted", |fan, _| {
            fan.failure.is_some() || fan.subscribed == subscribers as u64
        })?;
        fan.check()?;
        Ok(fan)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.failure.is_none(),
            "{}",
            self.failure.as_deref().unwrap_or_default()
        );
        Ok(())
    }

    /// The connections of those that will stop reading.
    pub(super) fn slow_conns(&self) -> impl Iterator<Item = ConnId> + use<> {
        let first = self.crowd.publishers + self.crowd.readers;
        (first..self.crowd.total()).map(|conn| ConnId(conn as usize))
    }

    /// Begins to publish.
    pub(super) fn begin(&mut self, mode: Mode, now: u64) {
        self.last_delivery = now;
        if let Mode::Closed(window) = mode {
            self.ready = (0..self.publishers.len())
                .flat_map(|publisher| std::iter::repeat_n(publisher, window))
                .collect();
        }
        self.mode = mode;
    }

    /// Runs for `seconds` and measures.
    pub(super) fn phase(
        &mut self,
        stage: &mut Stage<'_>,
        name: &'static str,
        time: std::time::Duration,
        asked: Option<f64>,
    ) -> anyhow::Result<Phase> {
        stage.say(&format!("{name}: up to {time:?}"));
        self.latencies.clear();
        self.lag.clear();
        let before = self.delivered;
        let until = stage.after(time);
        let patience = stage.common.patience.as_nanos() as u64;
        let mut meter = Meter::start(&stage.probe, stage.driver.io.now());
        let mut sample = Every::new(SAMPLE_EVERY);
        let ended = stage.driver.run(self, until, |fan, io| {
            let now = io.now();
            if sample.is_due(now) {
                meter.sample();
            }
            fan.failure.is_some() || fan.is_stalled(now, patience)
        })?;
        let counted = Counted {
            unit: "deliveries",
            count: self.delivered - before,
            asked_per_second: asked.map(|rate| rate * self.crowd.readers as f64),
        };
        let now = stage.driver.io.now();
        Ok(Phase {
            stalled: ended && self.failure.is_none(),
            ..meter.finish(name, now, &counted, (&self.latencies, &self.lag))
        })
    }

    /// Stops publishing, waits for what is under way, and counts what did not arrive.
    pub(super) fn drain(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        self.mode = Mode::Silent;
        self.last_delivery = stage.driver.io.now();
        stage.say("waiting for what is under way");
        let patience = stage.common.patience.as_nanos() as u64;
        stage.driver.run(self, u64::MAX, |fan, io| {
            fan.failure.is_some() || fan.outstanding() == 0 || fan.is_stalled(io.now(), patience)
        })?;
        let readers = self.crowd.readers as usize;
        for (place, sequences) in self.sequences.iter().enumerate() {
            let tally = if place < readers {
                &mut self.readers
            } else {
                &mut self.slow
            };
            let streams = sequences.iter().zip(&self.publishers);
            tally.lost += streams
                .map(|(sequence, publisher)| sequence.missing(publisher.next))
                .sum::<u64>();
        }
        Ok(())
    }

    /// Events that readers are still to receive.
    fn outstanding(&self) -> u64 {
        (self.published * self.crowd.readers).saturating_sub(self.delivered)
    }

    fn is_stalled(&self, now: u64, patience: u64) -> bool {
        self.outstanding() > 0 && now > self.last_delivery + patience
    }

    fn publish(&mut self, io: &mut Io, publisher: usize, time: u64) {
        let conn = ConnId(publisher);
        let state = &mut self.publishers[publisher];
        let stamp = Stamp {
            source: publisher as u32,
            sequence: state.next,
            time,
        };
        state.next += 1;
        if let Mode::Closed(_) = self.mode {
            state.waiting.push_back(self.crowd.readers as u32);
            state.in_flight += 1;
        }
        if self.outstanding() == 0 {
            self.last_delivery = time;
        }
        self.published += 1;
        let publish = Publish {
            request: io.request(conn),
            options: PublishOptions::default(),
            topic: self.topic.as_str().into(),
            payload: self.templates.of(io.format(conn)).stamped(stamp),
        };
        io.send(conn, &Message::Publish(publish));
    }

    fn event(&mut self, io: &Io, conn: ConnId, event: &Event, now: u64) {
        let place = conn.0 - self.crowd.publishers as usize;
        let reads = (place as u64) < self.crowd.readers;
        let tally = if reads { &mut self.readers } else { &mut self.slow };
        let stamp = self.templates.of(io.format(conn)).read(&event.payload);
        // An event that nobody sent is as wrong as one that was changed.
        let Some((stamp, publisher)) = stamp.and_then(|stamp| {
            let publisher = self.publishers.get_mut(stamp.source as usize)?;
            (stamp.sequence < publisher.next).then_some((stamp, publisher))
        }) else {
            tally.corrupt += 1;
            return;
        };
        let arrival = self.sequences[place][stamp.source as usize].receive(stamp.sequence);
        if !tally.count(arrival) || !reads {
            return;
        }
        self.delivered += 1;
        self.last_delivery = now;
        self.latencies.record(now.saturating_sub(stamp.time));
        if publisher.received(stamp.sequence) {
            self.ready.push(stamp.source as usize);
        }
    }
}

impl Publisher {
    /// One more reader has got a publication; whether it was the last one.
    fn received(&mut self, sequence: u64) -> bool {
        let place = sequence.checked_sub(self.oldest).map(|place| place as usize);
        let Some(waiting) = place.and_then(|place| self.waiting.get_mut(place)) else {
            return false;
        };
        *waiting = waiting.saturating_sub(1);
        if *waiting > 0 {
            return false;
        }
        self.in_flight -= 1;
        while self.waiting.front() == Some(&0) {
            self.waiting.pop_front();
            self.oldest += 1;
        }
        true
    }
}

impl Handler for Fan {
    fn opened(&mut self, io: &mut Io, conn: ConnId, _now: u64) {
        if conn.0 < self.publishers.len() {
            return;
        }
        let subscribe = Subscribe {
            request: io.request(conn),
            options: SubscribeOptions::default(),
            topic: self.topic.as_str().into(),
        };
        io.send(conn, &Message::Subscribe(subscribe));
    }

    fn message(&mut self, io: &mut Io, conn: ConnId, message: Message, now: u64) {
        match message {
            Message::Event(event) if conn.0 >= self.publishers.len() => self.event(io, conn, &event, now),
            Message::Subscribed(_) => self.subscribed += 1,
            other => self.failure = Some(format!("{conn}: unexpected {other:?}")),
        }
    }

    fn lost(&mut self, _io: &mut Io, conn: ConnId, why: &str) {
        if conn.0 as u64 >= self.crowd.publishers + self.crowd.readers && !matches!(self.mode, Mode::Silent) {
            self.disconnected += 1;
        } else {
            self.failure = Some(format!("{conn}: {why}"));
        }
    }

    fn tick(&mut self, io: &mut Io, now: u64) -> Option<u64> {
        match &mut self.mode {
            Mode::Silent => None,
            Mode::Closed(_) => {
                for publisher in std::mem::take(&mut self.ready) {
                    self.publish(io, publisher, now);
                }
                None
            }
            Mode::Open(pace) => {
                let mut pace = *pace;
                while io.queued(ConnId(self.turn)) < QUEUE_MAX
                    && let Some(due) = pace.take(now)
                {
                    self.lag.record(now - due);
                    self.publish(io, self.turn, due);
                    self.turn = (self.turn + 1) % self.publishers.len();
                }
                let next = pace.next();
                self.mode = Mode::Open(pace);
                // What is overdue waits for the connection to become writable, not for a time.
                (next > now).then_some(next)
            }
        }
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
            in_flight: 3,
        };
        assert!(!publisher.received(1));
        assert!(publisher.received(1));
        assert_eq!((publisher.oldest, publisher.in_flight), (0, 2));
        assert!(!publisher.received(0));
        assert!(publisher.received(0));
        assert_eq!((publisher.oldest, publisher.in_flight), (2, 1));
        assert!(!publisher.received(0), "complete before");
        assert!(!publisher.received(7), "never sent");
    }
}
