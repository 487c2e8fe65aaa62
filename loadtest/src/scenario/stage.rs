//! What every scenario does in the same way: setting up, phases, the end.

use std::time::Duration;

use anyhow::{Context, ensure};
use crosspoint_codec::core::payload::Format;

use super::Every;
use super::aside::Aside;
use super::load::{Cast, Load};
use crate::cli::Common;
use crate::meter::{Found, Measured, Meter, Probe};
use crate::net::{Driver, Identity};
use crate::process::raise_open_files;
use crate::progress::Progress;
use crate::report::Report;
use crate::target::fits;

/// Open files besides the connections.
const OTHER_FILES: u64 = 64;

/// The shortest interval of a phase's timeline, in nanoseconds.
const INTERVAL_MIN: u64 = 250_000_000;

/// Most intervals of a phase's timeline.
const INTERVALS_MAX: u64 = 240;

/// How long the router may take to say GOODBYE to all.
const FAREWELL: Duration = Duration::from_secs(2);

/// What every scenario begins with.
pub(super) struct Stage<'a> {
    pub(super) common: &'a Common,
    pub(super) driver: Driver,
    pub(super) formats: Vec<Format>,
    probe: Probe,
    /// Sets the URIs of this run apart from those of others on the same router.
    run: String,
}

impl<'a> Stage<'a> {
    /// Gets ready for `connections`.
    ///
    /// # Errors
    /// If so many are impossible, or what the command line names does not exist.
    pub(super) fn new(common: &'a Common, connections: u64) -> anyhow::Result<Self> {
        let wanted = connections + OTHER_FILES;
        let files = raise_open_files(wanted);
        ensure!(
            files >= wanted,
            "{connections} connections need {wanted} open files, the limit is {files}: raise it with `ulimit -n`"
        );
        let target = common.target()?;
        let (mut sources, address) = (common.source.clone(), target.reach(&common.source)?);
        sources.retain(|source| fits(*source, address));
        let identity = Identity {
            address,
            sources,
            trust: common.trust(&target)?,
            target,
            realm: common.realm.clone(),
        };
        let probe = Probe::new(common.pids())?;
        Ok(Self {
            common,
            driver: Driver::new(identity).context("setting up epoll")?,
            formats: common.formats(),
            probe,
            run: format!("{:08x}", fastrand::u32(..)),
        })
    }

    pub(super) fn uri(&self, name: &str) -> String {
        format!("com.crosspoint.loadtest.{}.{name}", self.run)
    }

    pub(super) fn after(&self, time: Duration) -> u64 {
        self.driver.io.now() + time.as_nanos() as u64
    }

    /// Opens the sessions of all loads, and waits until what they ask for is granted.
    ///
    /// # Errors
    /// If that fails, or not within `--setup-timeout`.
    pub(super) fn set_up(&mut self, loads: &mut [&mut dyn Load]) -> anyhow::Result<()> {
        let timeout = self.common.setup_timeout;
        let total = loads.iter().flat_map(|load| load.groups()).sum();
        let progress = Progress::of_count("opening sessions", total);
        for place in 0..loads.len() {
            loads[place].flow_mut().first = self.driver.io.len();
            for (group, count) in loads[place].groups().into_iter().enumerate() {
                let turns = (0..count).map(|session| loads[place].turn(group, session) as usize);
                let formats: Vec<_> = turns
                    .map(|turn| self.formats[turn % self.formats.len()])
                    .collect();
                let at_once = self.common.connecting as usize;
                let mut cast = Cast(loads);
                let watch = |open| progress.reach(open);
                let opened = self.driver.open(&mut cast, &formats, at_once, timeout, watch);
                cast.check()?;
                opened?;
            }
        }
        drop(progress);
        let (_, of) = Cast(loads).granted();
        let progress = Progress::of_count("subscribing and registering", of);
        self.settle(loads, "subscriptions and registrations were granted", |cast| {
            progress.reach(cast.granted().0);
            cast.is_set_up()
        })
    }

    /// Serves the connections until a request of the setup is answered for all sessions.
    ///
    /// # Errors
    /// If it is not within `--setup-timeout`.
    pub(super) fn settle(
        &mut self,
        loads: &mut [&mut dyn Load],
        what: &str,
        done: impl Fn(&Cast<'_, '_>) -> bool,
    ) -> anyhow::Result<()> {
        let timeout = self.common.setup_timeout;
        let (until, mut cast) = (self.after(timeout), Cast(loads));
        let settled = self
            .driver
            .run(&mut cast, until, |cast, _| cast.has_failed() || done(cast))?;
        cast.check()?;
        ensure!(settled, "not all {what} within {timeout:?}");
        Ok(())
    }

    pub(super) fn begin(&mut self, loads: &mut [&mut dyn Load]) {
        let now = self.driver.io.now();
        for load in loads {
            load.begin(now);
        }
    }

    /// Runs for as long as `--warmup` says.
    pub(super) fn warm_up(&mut self, loads: &mut [&mut dyn Load]) -> anyhow::Result<()> {
        self.measure(loads, None, "warm-up", self.common.warmed())?;
        Ok(())
    }

    /// Like [`Stage::phase`], but nothing that would be due later is sent.
    pub(super) fn last_phase(
        &mut self,
        loads: &mut [&mut dyn Load],
        name: &'static str,
        time: Duration,
    ) -> anyhow::Result<Measured> {
        let measured = self.measure(loads, None, name, time)?;
        let now = self.driver.io.now();
        for load in &mut *loads {
            load.end(now);
        }
        self.catch_up(loads, measured)
    }

    /// Runs for `time` and measures.
    pub(super) fn phase(
        &mut self,
        loads: &mut [&mut dyn Load],
        name: &'static str,
        time: Duration,
    ) -> anyhow::Result<Measured> {
        self.phase_beside(loads, None, name, time)
    }

    /// Runs for `time` and measures, along with what another thread does at the same time.
    pub(super) fn phase_beside(
        &mut self,
        loads: &mut [&mut dyn Load],
        aside: Option<&Aside<'_>>,
        name: &'static str,
        time: Duration,
    ) -> anyhow::Result<Measured> {
        let measured = self.measure(loads, aside, name, time)?;
        self.catch_up(loads, measured)
    }

    /// Serves the connections on until all has come that was due, in an open loop, before a phase ended: often the
    /// slowest. What has not come after `--patience` has the latency that it has by then.
    fn catch_up(&mut self, loads: &mut [&mut dyn Load], mut measured: Measured) -> anyhow::Result<Measured> {
        // After a stall, there has been patience enough.
        let patience = (!measured.stalled).then_some(self.common.patience);
        let until = self.after(patience.unwrap_or_default());
        let mut cast = Cast(loads);
        self.driver
            .run(&mut cast, until, |cast, _| cast.has_failed() || !cast.owes())?;
        cast.give_up(&self.driver.io, self.driver.io.now());
        for (load, found) in cast.0.iter().zip(&mut measured.found) {
            load.flow().tell(found);
        }
        Ok(measured)
    }

    /// Counts until the time is over; latencies are still to come.
    fn measure(
        &mut self,
        loads: &mut [&mut dyn Load],
        aside: Option<&Aside<'_>>,
        name: &'static str,
        time: Duration,
    ) -> anyhow::Result<Measured> {
        let began = self.driver.io.now();
        for load in &mut *loads {
            load.flow_mut().open(began);
        }
        let mut cast = Cast(loads);
        let counts = |cast: &Cast<'_, '_>| {
            let mut counts = cast.counts();
            counts.extend(aside.map(Aside::count));
            counts
        };
        let aside_cpu = || aside.map_or(0, Aside::thread_cpu_ns);
        let (patience, until) = (
            self.common.patience.as_nanos() as u64,
            began + time.as_nanos() as u64,
        );
        let interval = INTERVAL_MIN.max(time.as_nanos() as u64 / INTERVALS_MAX);
        let mut sample = Every::new(interval, began);
        let goal = cast.goal();
        let progress = match goal {
            Some(goal) => Progress::of_count(name, goal),
            None => Progress::of_phase(name, time),
        };
        let cpu_before = aside_cpu();
        let mut meter = Meter::start(&self.probe, began, counts(&cast));
        let ended = self.driver.run(&mut cast, until, |cast, io| {
            let now = io.now();
            // The last interval ends with the phase.
            if sample.is_due(now) && now + interval / 2 < until {
                meter.sample(now, counts(cast));
                progress.say(|| meter.latest_rates());
            }
            progress.reach(match goal {
                Some(_) => cast.done(),
                None => (now - began) / 1_000_000,
            });
            cast.has_failed()
                || aside.is_some_and(Aside::has_ended)
                || cast.is_over(io)
                || cast.is_stalled(now, patience)
        })?;
        let now = self.driver.io.now();
        for load in &mut *cast.0 {
            load.flow_mut().close(now);
        }
        let mut found: Vec<_> = cast.0.iter().map(|load| load.flow().found()).collect();
        found.extend(aside.map(|aside| Found::new(aside.name, aside.unit)));
        let last = counts(&cast);
        let mut measured = meter.finish(name, now, last, found);
        let aside_seconds = aside_cpu().saturating_sub(cpu_before) as f64 / 1e9;
        measured.busiest_seconds = measured.busiest_seconds.max(aside_seconds);
        measured.stalled = ended && cast.is_stalled(now, patience);
        Ok(measured)
    }

    /// Serves the connections, unmeasured, until `done`.
    pub(super) fn serve(
        &mut self,
        loads: &mut [&mut dyn Load],
        done: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        let mut cast = Cast(loads);
        self.driver
            .run(&mut cast, u64::MAX, |cast, _| cast.has_failed() || done())?;
        Ok(())
    }

    /// Stops all loads, waits for what is under way, and counts what did not arrive.
    pub(super) fn drain(&mut self, loads: &mut [&mut dyn Load]) -> anyhow::Result<()> {
        let progress = Progress::of_waiting("waiting for what is under way");
        let now = self.driver.io.now();
        for load in &mut *loads {
            load.stop();
            load.flow_mut().be_patient(now);
        }
        let patience = self.common.patience.as_nanos() as u64;
        let mut cast = Cast(loads);
        self.driver.run(&mut cast, u64::MAX, |cast, io| {
            progress.say(|| format!("{} left", cast.outstanding()));
            cast.has_failed() || cast.is_idle(io.now(), patience)
        })?;
        cast.give_up(&self.driver.io, self.driver.io.now());
        for load in loads {
            load.count_lost();
        }
        Ok(())
    }

    /// Ends a run: writes down what became of the loads, and ends all sessions.
    pub(super) fn conclude(
        &mut self,
        loads: &mut [&mut dyn Load],
        report: &mut Report,
    ) -> anyhow::Result<()> {
        for load in &mut *loads {
            report.take_in(load.flow_mut().outcome());
        }
        self.leave(loads)
    }

    /// Ends all sessions, unless the router takes too long.
    pub(super) fn leave(&mut self, loads: &mut [&mut dyn Load]) -> anyhow::Result<()> {
        self.driver.leave(&mut Cast(loads), FAREWELL)
    }

    /// The whole of a run that only warms up and measures.
    pub(super) fn run(&mut self, loads: &mut [&mut dyn Load], report: &mut Report) -> anyhow::Result<()> {
        let common = self.common;
        self.set_up(loads)?;
        self.begin(loads);
        self.warm_up(loads)?;
        report.push(
            self.last_phase(loads, "measured", common.measured())?
                .into_phase(),
        );
        self.drain(loads)?;
        self.conclude(loads, report)
    }
}
