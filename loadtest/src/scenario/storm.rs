//! Sessions that open, perhaps subscribe, and then do nothing.

use std::time::Duration;

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
use crate::report::Report;

/// The load.
pub(super) struct Storm {
    flow: Flow,
    count: usize,
    at_once: usize,
    rate: Option<f64>,
    pace: Option<Pace>,
    /// When the first was to open, and when the last one did so far.
    opened: Option<(u64, u64)>,
    formats: Vec<Format>,
    doing: Doing,
    subscribed: u64,
    begun: u64,
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
            opened: None,
            formats: stage.formats.clone(),
            doing: Doing::Nothing,
            subscribed: 0,
            begun: 0,
            failed: 0,
        }
    }

    /// How long the phase that opens them may take: with a rate, the timeout is for the last one.
    pub(super) fn time(&self, timeout: Duration) -> Duration {
        let seconds = self.rate.map_or(0.0, |rate| self.count as f64 / rate);
        timeout.saturating_add(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// Seconds from when the first session was to open until the last one did.
    pub(super) fn seconds(&self) -> f64 {
        let (first, last) = self.opened.unwrap_or_default();
        last.saturating_sub(first) as f64 / 1e9
    }

    /// Says so if sessions were not begun, or still open when the time was over.
    pub(super) fn check_begun(&self, io: &Io, timeout: Duration, report: &mut Report) {
        let (begun, count) = (io.len(), self.count);
        if begun < count && self.failed == 0 {
            report.unfinished(format!(
                "only {begun} of {count} sessions were begun within --setup-timeout ({timeout:?})"
            ));
        } else if begun < count {
            report.unfinished(format!(
                "only {begun} of {count} sessions were begun, since one failed"
            ));
        } else if io.opening() > 0 {
            let opening = io.opening();
            report.unfinished(format!(
                "{opening} of {count} sessions did not open within --setup-timeout ({timeout:?})"
            ));
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
        let (before, progress) = (self.failed, Progress::of_count("subscribing", asked));
        let granted = stage.driver.run(self, until, |storm, _| {
            progress.reach(storm.subscribed);
            storm.subscribed + storm.failed - before >= asked
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

    /// The first is due when the phase has begun.
    fn begin(&mut self, _now: u64) {
        self.doing = Doing::Opening;
    }

    /// No more are to open.
    fn stop(&mut self) {
        self.doing = Doing::Nothing;
        self.flow.unit = "";
        self.flow.asked_per_second = None;
    }

    fn goal(&self) -> Option<u64> {
        (self.doing == Doing::Opening).then_some(self.count as u64)
    }

    /// Once one has failed, none is begun.
    fn is_over(&self, io: &Io) -> bool {
        self.doing == Doing::Opening && (io.len() == self.count || self.failed > 0) && io.opening() == 0
    }

    fn give_up(&mut self, io: &Io, now: u64) {
        let opening = |conn: &ConnId| {
            matches!(
                io.stage(*conn),
                Step::Connecting | Step::Upgrading | Step::Joining
            )
        };
        for conn in (0..io.len()).map(ConnId).filter(opening) {
            self.flow.missing(now, io.begun(conn), 1);
        }
        self.flow.given_up(now);
    }

    fn count_lost(&mut self) {
        self.flow.tally.received = self.flow.done;
        self.flow.tally.lost = self.begun - self.flow.done;
        self.doing = Doing::Leaving;
        if let Some(why) = self.flow.complaint.take_if(|_| self.failed > 0) {
            self.flow.fail(|| why);
        }
    }
}

impl Handler for Storm {
    fn opened(&mut self, io: &mut Io, conn: ConnId, now: u64) {
        self.flow.arrived(now, io.begun(conn));
        if let Some((_, last)) = &mut self.opened {
            *last = now;
        }
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
        if self.doing == Doing::Opening && self.opened.is_none() {
            self.opened = Some((now, now));
            self.pace = self.rate.map(|rate| Pace::new(rate, now));
        }
        while self.doing == Doing::Opening && io.len() < self.count && self.failed == 0 {
            let begun = match &mut self.pace {
                Some(pace) => match pace.take(now) {
                    Some(due) => {
                        self.flow.sent(now, due);
                        due
                    }
                    None => return pace.next(),
                },
                None if io.opening() < self.at_once => now,
                None => return None,
            };
            let format = self.formats[io.len() % self.formats.len()];
            self.begun += 1;
            if let Err(error) = io.connect(format, begun) {
                self.failed(|| format!("{error:#}"));
            }
        }
        None
    }
}
