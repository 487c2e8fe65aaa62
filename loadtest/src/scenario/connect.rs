//! Many sessions at once, and then their silence.

use std::time::Duration;

use crosspoint_codec::core::message::{Message, Subscribe};
use crosspoint_codec::core::options::SubscribeOptions;
use crosspoint_codec::core::payload::Format;

use super::{Every, SAMPLE_EVERY, Stage, counted};
use crate::cli::{Connect, Topics};
use crate::latency::Latencies;
use crate::meter::{Counted, Meter};
use crate::net::{ConnId, Handler, Io, Stage as Progress};
use crate::pace::Pace;
use crate::report::{Phase, Report};

pub(crate) fn run(options: &Connect) -> anyhow::Result<Report> {
    let mut stage = Stage::new(&options.common, options.sessions)?;
    let mut storm = Storm::new(&stage, options);
    let mut report = Report::new("connect", title(options));

    let connect = storm.phase(
        &mut stage,
        ("connect", "sessions"),
        options.common.setup_timeout,
        |storm, io| io.len() == storm.count && io.opening() == 0,
    )?;
    let empty = connect.router.map(|router| router.rss_before);
    report.push(connect);
    if options.subscribe != Topics::None {
        storm.subscribe(&mut stage, options.subscribe)?;
    }
    let mut idle = storm.phase(&mut stage, ("idle", ""), options.idle, |_, _| false)?;
    if let (Some(router), Some(empty)) = (&mut idle.router, empty) {
        let grown = router.rss_after as f64 - empty as f64;
        router.rss_per_session = Some(grown / (storm.opened.max(1)) as f64);
    }
    report.push(idle);

    report.verified.received = storm.opened;
    report.verified.lost = storm.count as u64 - storm.opened;
    report.verified.errors = storm.failed;
    report.ok = storm.failed == 0;
    report.warnings.extend(storm.failure.take());
    storm.closing = true;
    stage.leave(&mut storm)?;
    Ok(report)
}

/// The handler.
struct Storm {
    count: usize,
    at_once: usize,
    rate: Option<f64>,
    pace: Option<Pace>,
    formats: Vec<Format>,
    latencies: Latencies,
    /// How much later than due connections were begun (open loop).
    lag: Latencies,
    opened: u64,
    subscribed: u64,
    /// Connections that ended, before or after their session opened.
    failed: u64,
    failure: Option<String>,
    closing: bool,
}

impl Storm {
    fn new(stage: &Stage<'_>, options: &Connect) -> Self {
        let now = stage.driver.io.now();
        Self {
            count: options.sessions as usize,
            at_once: options.common.connecting as usize,
            rate: options.rate,
            pace: options.rate.map(|rate| Pace::new(rate, now)),
            formats: stage.formats.clone(),
            latencies: Latencies::new(),
            lag: Latencies::new(),
            opened: 0,
            subscribed: 0,
            failed: 0,
            failure: None,
            closing: false,
        }
    }

    fn phase(
        &mut self,
        stage: &mut Stage<'_>,
        (name, unit): (&'static str, &'static str),
        time: Duration,
        mut done: impl FnMut(&Self, &Io) -> bool,
    ) -> anyhow::Result<Phase> {
        stage.say(&format!("{name}: up to {time:?}"));
        self.latencies.clear();
        self.lag.clear();
        let before = self.opened;
        let until = stage.after(time);
        let mut meter = Meter::start(&stage.probe, stage.driver.io.now());
        let mut sample = Every::new(SAMPLE_EVERY);
        stage.driver.run(self, until, |storm, io| {
            if sample.is_due(io.now()) {
                meter.sample();
            }
            done(storm, io)
        })?;
        let counted = Counted {
            unit,
            count: self.opened - before,
            asked_per_second: self.rate.filter(|_| !unit.is_empty()),
        };
        let latencies = (&self.latencies, &self.lag);
        Ok(meter.finish(name, stage.driver.io.now(), &counted, latencies))
    }

    fn subscribe(&mut self, stage: &mut Stage<'_>, topics: Topics) -> anyhow::Result<()> {
        for conn in (0..stage.driver.io.len()).map(ConnId) {
            if stage.driver.io.stage(conn) != Progress::Open {
                continue;
            }
            let topic = match topics {
                Topics::Own => stage.uri(&format!("topic{}", conn.0)),
                Topics::Shared | Topics::None => stage.uri("topic"),
            };
            let io = &mut stage.driver.io;
            let subscribe = Subscribe {
                request: io.request(conn),
                options: SubscribeOptions::default(),
                topic: topic.into(),
            };
            io.send(conn, &Message::Subscribe(subscribe));
        }
        stage.settle(self, "subscriptions were granted", |storm, _| {
            storm.subscribed + storm.failed >= storm.opened
        })
    }
}

impl Handler for Storm {
    fn opened(&mut self, io: &mut Io, conn: ConnId, now: u64) {
        self.opened += 1;
        self.latencies.record(now.saturating_sub(io.begun(conn)));
    }

    fn message(&mut self, _io: &mut Io, conn: ConnId, message: Message, _now: u64) {
        match message {
            Message::Subscribed(_) => self.subscribed += 1,
            other => {
                self.failed += 1;
                self.failure
                    .get_or_insert_with(|| format!("{conn}: unexpected {other:?}"));
            }
        }
    }

    fn lost(&mut self, _io: &mut Io, conn: ConnId, why: &str) {
        if !self.closing {
            self.failed += 1;
            self.failure.get_or_insert_with(|| format!("{conn}: {why}"));
        }
    }

    fn tick(&mut self, io: &mut Io, now: u64) -> Option<u64> {
        while io.len() < self.count && self.failure.is_none() {
            let begun = match &mut self.pace {
                Some(pace) => match pace.take(now) {
                    Some(due) => {
                        self.lag.record(now - due);
                        due
                    }
                    None => return Some(pace.next()),
                },
                None if io.opening() < self.at_once => now,
                None => return None,
            };
            let format = self.formats[io.len() % self.formats.len()];
            if let Err(error) = io.connect(format, begun) {
                self.failed += 1;
                self.failure = Some(format!("{error:#}"));
            }
        }
        None
    }
}

fn title(options: &Connect) -> String {
    let sessions = counted(options.sessions, "session");
    let how = match options.rate {
        Some(rate) => format!("{rate} per second, open loop"),
        None => format!("{} opening at a time", options.common.connecting),
    };
    let then = match options.subscribe {
        Topics::None => "",
        Topics::Shared => ", then all subscribed to one topic",
        Topics::Own => ", then each subscribed to its own topic",
    };
    format!("{sessions}, {how}{then}, idle for {:?}", options.idle)
}
