//! Sessions that open, perhaps subscribe, and then do nothing.

use anyhow::ensure;
use crosspoint_codec::core::message::{Message, Subscribe};
use crosspoint_codec::core::options::SubscribeOptions;
use crosspoint_codec::core::payload::Format;

use super::Stage;
use super::load::{Flow, Load};
use crate::cli::Subscribing;
use crate::net::{ConnId, Handler, Io, Stage as Step};
use crate::pace::Pace;
use crate::progress::Progress;

/// The load.
pub(super) struct Storm {
    flow: Flow,
    count: usize,
    at_once: usize,
    rate: Option<f64>,
    pace: Option<Pace>,
    formats: Vec<Format>,
    doing: Doing,
    subscribed: u64,
    /// Connections that ended, before or after their session opened.
    failed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Nothing,
    Opening,
    Leaving,
}

impl Storm {
    /// `count` sessions, `rate` per second, or else as many at a time as the command line says.
    pub(super) fn new(stage: &Stage<'_>, count: u64, rate: Option<f64>) -> Self {
        Self {
            flow: Flow::new("sessions", "sessions", rate),
            count: count as usize,
            at_once: stage.common.connecting as usize,
            rate,
            pace: None,
            formats: stage.formats.clone(),
            doing: Doing::Nothing,
            subscribed: 0,
            failed: 0,
        }
    }

    /// Sessions that opened.
    pub(super) const fn sessions(&self) -> u64 {
        self.flow.done
    }

    /// Subscribes all open sessions, and waits for that.
    ///
    /// # Errors
    /// If it takes longer than `--setup-timeout`.
    pub(super) fn subscribe(&mut self, stage: &mut Stage<'_>, what: Subscribing) -> anyhow::Result<()> {
        let mut asked = 0;
        for conn in (0..stage.driver.io.len()).map(ConnId) {
            if stage.driver.io.stage(conn) != Step::Open {
                continue;
            }
            let topic = match what {
                Subscribing::Own => stage.uri(&format!("topic{}", conn.0)),
                Subscribing::Shared => stage.uri("topic"),
                Subscribing::None => return Ok(()),
            };
            let io = &mut stage.driver.io;
            let subscribe = Subscribe {
                request: io.request(conn),
                options: SubscribeOptions::default(),
                topic: topic.into(),
            };
            io.send(conn, &Message::Subscribe(subscribe));
            asked += 1;
        }
        let until = stage.after(stage.common.setup_timeout);
        let progress = Progress::of_count("subscribing", asked);
        let granted = stage.driver.run(self, until, |storm, _| {
            progress.reach(storm.subscribed);
            storm.subscribed + storm.failed >= asked
        })?;
        ensure!(
            granted,
            "not all subscriptions were granted within {:?}",
            stage.common.setup_timeout
        );
        Ok(())
    }

    fn failed(&mut self, why: impl FnOnce() -> String) {
        self.failed += 1;
        self.flow.tally.errors += 1;
        self.flow.complain(why);
    }
}

impl Load for Storm {
    fn flow(&self) -> &Flow {
        &self.flow
    }

    fn flow_mut(&mut self) -> &mut Flow {
        &mut self.flow
    }

    fn into_flow(self) -> Flow {
        self.flow
    }

    /// They open while they are measured.
    fn groups(&self) -> Vec<u64> {
        Vec::new()
    }

    fn begin(&mut self, now: u64) {
        self.pace = self.rate.map(|rate| Pace::new(rate, now));
        self.doing = Doing::Opening;
    }

    /// All that should have opened did.
    fn stop(&mut self) {
        self.doing = Doing::Nothing;
        self.flow.unit = "";
        self.flow.asked_per_second = None;
    }

    fn goal(&self) -> Option<u64> {
        (self.doing == Doing::Opening).then_some(self.count as u64)
    }

    fn is_over(&self, io: &Io) -> bool {
        self.doing == Doing::Opening && io.len() == self.count && io.opening() == 0
    }

    fn count_lost(&mut self) {
        self.flow.tally.received = self.flow.done;
        self.flow.tally.lost = self.count as u64 - self.flow.done;
        self.doing = Doing::Leaving;
    }
}

impl Handler for Storm {
    fn opened(&mut self, io: &mut Io, conn: ConnId, now: u64) {
        self.flow.arrived(now, io.begun(conn));
    }

    fn message(&mut self, _io: &mut Io, conn: ConnId, message: Message, _now: u64) {
        match message {
            Message::Subscribed(_) => self.subscribed += 1,
            other => self.failed(|| format!("{conn}: unexpected {other:?}")),
        }
    }

    fn lost(&mut self, _io: &mut Io, conn: ConnId, why: &str) {
        if self.doing != Doing::Leaving {
            self.failed(|| format!("{conn}: {why}"));
        }
    }

    fn tick(&mut self, io: &mut Io, now: u64) -> Option<u64> {
        while self.doing == Doing::Opening && io.len() < self.count && self.failed == 0 {
            let begun = match &mut self.pace {
                Some(pace) => match pace.take(now) {
                    Some(due) => {
                        self.flow.lag.record(now - due);
                        due
                    }
                    None => return Some(pace.next()),
                },
                None if io.opening() < self.at_once => now,
                None => return None,
            };
            let format = self.formats[io.len() % self.formats.len()];
            if let Err(error) = io.connect(format, begun) {
                self.failed(|| format!("{error:#}"));
            }
        }
        None
    }
}
