//! What all loads have in common: connections of their own, what they count, and when they are stalled.

use anyhow::ensure;
use crosspoint_codec::core::message::Message;

use super::schedule::Schedule;
use crate::latency::Latencies;
use crate::meter::Found;
use crate::net::{ConnId, Handler, Io};
use crate::report::Outcome;
use crate::verify::Tally;

/// A load that a scenario puts on the router: sessions that do one kind of thing. Several can share a driver.
pub(super) trait Load: Handler {
    fn flow(&self) -> &Flow;
    fn flow_mut(&mut self) -> &mut Flow;

    /// What is left when all is over.
    fn into_flow(self) -> Flow
    where
        Self: Sized;

    /// How many sessions to open, one group after the other.
    fn groups(&self) -> Vec<u64>;

    /// Which of the serializers, taken in turn, a session of a group has.
    fn turn(&self, _group: usize, session: u64) -> u64 {
        session
    }

    /// How many of the subscriptions and registrations that its sessions begin with are granted, and how many there
    /// are to be.
    fn granted(&self) -> (u64, u64) {
        (0, 0)
    }

    /// Who of its sources sends when, if they follow a schedule.
    fn schedule(&self) -> Option<&Schedule> {
        None
    }

    fn schedule_mut(&mut self) -> Option<&mut Schedule> {
        None
    }

    /// Begins to send.
    fn begin(&mut self, now: u64) {
        self.flow_mut().be_patient(now);
        if let Some(schedule) = self.schedule_mut() {
            schedule.begin(now);
        }
    }

    /// Sends nothing more of its own accord.
    fn stop(&mut self) {
        if let Some(schedule) = self.schedule_mut() {
            schedule.stop();
        }
    }

    /// How much of what it counts a phase is over with, if not with its time.
    fn goal(&self) -> Option<u64> {
        None
    }

    /// Has nothing more to send from now on; sends what was due before.
    fn end(&mut self, now: u64) {
        match self.schedule_mut() {
            Some(schedule) => schedule.end(now),
            None => self.stop(),
        }
    }

    /// Whether something was due by a time, in an open loop, that has not been sent.
    fn is_behind(&self, now: u64) -> bool {
        self.schedule().is_some_and(|schedule| schedule.is_behind(now))
    }

    /// Whether something that was due within the phase, in an open loop, has not arrived.
    fn owes(&self) -> bool {
        let flow = self.flow();
        self.schedule().is_some_and(|schedule| {
            schedule.is_open() && (flow.owed() > 0 || schedule.is_behind(flow.closes(u64::MAX)))
        })
    }

    /// Records how long what was due, in an open loop, has not come, and waits for it no longer. [`Flow::given_up`]
    /// comes last.
    fn give_up(&mut self, _io: &Io, now: u64) {
        self.flow_mut().given_up(now);
    }

    /// Whether anything that was sent has yet to arrive.
    fn is_waiting(&self) -> bool {
        self.flow().outstanding() > 0
    }

    /// Whether a phase may end before its time.
    fn is_over(&self, _io: &Io) -> bool {
        false
    }

    /// Counts what did not arrive, once nothing more is waited for.
    fn count_lost(&mut self) {}
}

/// What one load does and finds.
pub(super) struct Flow {
    pub(super) name: &'static str,
    /// What is counted, in the plural.
    pub(super) unit: &'static str,
    /// How many of these a second were asked for, if they were.
    pub(super) asked_per_second: Option<f64>,
    /// The first of its connections: all up to the next load's are its own.
    pub(super) first: usize,
    /// How many of these one message makes, on average.
    pub(super) each: f64,
    latencies: Latencies,
    /// How much later than due messages were sent (open loop).
    lag: Latencies,
    /// Of what was due in this time, from the first moment to the last, latencies and lags are recorded.
    window: (u64, u64),
    /// How many that were due in this time have not arrived.
    owed: u64,
    /// Counted since the run began, each once.
    pub(super) done: u64,
    /// What should be counted by the end of the run, as far as it has been sent.
    pub(super) expected: u64,
    progressed: u64,
    pub(super) tally: Tally,
    /// Why the run cannot go on.
    pub(super) failure: Option<String>,
    /// What went wrong first that the run survived.
    pub(super) complaint: Option<String>,
}

impl Flow {
    pub(super) fn new(name: &'static str, unit: &'static str, asked_per_second: Option<f64>) -> Self {
        Self {
            name,
            unit,
            asked_per_second,
            first: usize::MAX,
            each: 1.0,
            window: (0, u64::MAX),
            owed: 0,
            latencies: Latencies::new(),
            lag: Latencies::new(),
            done: 0,
            expected: 0,
            progressed: 0,
            tally: Tally::default(),
            failure: None,
            complaint: None,
        }
    }

    /// A phase begins.
    pub(super) fn open(&mut self, now: u64) {
        self.latencies.clear();
        self.lag.clear();
        (self.window, self.owed) = ((now, u64::MAX), 0);
    }

    /// A phase ends: what is due from now on is not a part of it.
    pub(super) fn close(&mut self, now: u64) {
        self.window.1 = now;
    }

    /// What was due until now is no longer waited for.
    pub(super) fn given_up(&mut self, now: u64) {
        (self.window, self.owed) = ((now + 1, u64::MAX), 0);
    }

    fn is_measured(&self, due: u64) -> bool {
        (self.window.0..=self.window.1).contains(&due)
    }

    /// What was due within the phase lies before this.
    pub(super) fn closes(&self, now: u64) -> u64 {
        self.window.1.min(now)
    }

    /// How many that were due within the phase have not arrived.
    pub(super) fn owed(&self) -> u64 {
        self.owed
    }

    /// A message that was due is sent.
    pub(super) fn sent(&mut self, now: u64, due: u64) {
        if self.is_measured(due) {
            self.lag.record(now.saturating_sub(due));
        }
    }

    /// `count` more are to arrive, because of what was due and is sent now.
    pub(super) fn expect(&mut self, count: u64, now: u64, due: u64) {
        if self.outstanding() == 0 {
            self.progressed = now;
        }
        self.expected += count;
        if self.is_measured(due) {
            self.owed += count;
        }
    }

    /// One more has arrived, which was to be sent at the time `due`.
    pub(super) fn arrived(&mut self, now: u64, due: u64) {
        if self.is_measured(due) {
            self.latencies.record(now.saturating_sub(due));
        }
        self.answered(now, due);
    }

    /// One more has arrived, but not as it should have.
    pub(super) fn answered(&mut self, now: u64, due: u64) {
        self.done += 1;
        self.progressed = now;
        if self.is_measured(due) {
            self.owed = self.owed.saturating_sub(1);
        }
    }

    /// `count` have not arrived until now.
    pub(super) fn missing(&mut self, now: u64, due: u64, count: u64) {
        if self.is_measured(due) {
            self.latencies.record_many(now.saturating_sub(due), count);
        }
    }

    /// Notes how many messages were due and could not be sent.
    pub(super) fn unsent(&mut self, count: u64) {
        if count > 0 {
            let name = self.name;
            self.complain(|| {
                format!(
                    "{name}: {count} messages that were due could not be sent: the router did not keep up"
                )
            });
        }
    }

    pub(super) fn outstanding(&self) -> u64 {
        self.expected.saturating_sub(self.done)
    }

    /// Whether nothing has arrived for `patience`, although something should.
    pub(super) fn is_stalled(&self, now: u64, patience: u64) -> bool {
        self.outstanding() > 0 && self.is_quiet(now, patience)
    }

    fn is_quiet(&self, now: u64, patience: u64) -> bool {
        now > self.progressed + patience
    }

    /// Waiting begins anew.
    pub(super) fn be_patient(&mut self, now: u64) {
        self.progressed = now;
    }

    /// Notes why the run cannot go on; the first reason is the one that counts.
    pub(super) fn fail(&mut self, why: impl FnOnce() -> String) {
        self.failure.get_or_insert_with(why);
    }

    /// Notes what went wrong, but does not end the run; the first counts.
    pub(super) fn complain(&mut self, what: impl FnOnce() -> String) {
        self.complaint.get_or_insert_with(what);
    }

    /// # Errors
    /// If the run cannot go on.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let why = self.failure.as_deref();
        ensure!(why.is_none(), "{}", why.unwrap_or_default());
        Ok(())
    }

    /// What is to be found in a phase; how many is left to the meter.
    pub(super) fn found(&self) -> Found {
        Found {
            asked_per_second: self.asked_per_second,
            each: self.each,
            ..Found::new(self.name, self.unit)
        }
    }

    /// Adds the latencies of the phase, or of all that was before it was given up.
    pub(super) fn tell(&self, found: &mut Found) {
        found.latencies.add(&self.latencies);
        found.lag.add(&self.lag);
    }

    /// What the run was like, for the report.
    pub(super) fn outcome(&mut self) -> Outcome {
        let failed = self.failure.is_some();
        let warnings = [self.failure.take(), self.complaint.take()];
        Outcome {
            tally: self.tally,
            failed,
            warnings: warnings.into_iter().flatten().collect(),
        }
    }

    /// A connection's number within this load.
    pub(super) fn local(&self, conn: ConnId) -> usize {
        conn.0 - self.first
    }

    pub(super) fn conn(&self, local: usize) -> ConnId {
        ConnId(self.first + local)
    }
}

/// Loads that share a driver, in the order in which they were set up: each gets what concerns its connections.
pub(super) struct Cast<'a, 'b>(pub(super) &'a mut [&'b mut dyn Load]);

impl Cast<'_, '_> {
    fn of(&mut self, conn: ConnId) -> Option<&mut dyn Load> {
        let behind = self.0.partition_point(|load| load.flow().first <= conn.0);
        let load = self.0.get_mut(behind.checked_sub(1)?)?;
        Some(&mut **load)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.0.iter().any(|load| load.flow().failure.is_some())
    }

    pub(super) fn is_stalled(&self, now: u64, patience: u64) -> bool {
        self.0.iter().any(|load| load.flow().is_stalled(now, patience))
    }

    /// What is under way, of all of them.
    pub(super) fn outstanding(&self) -> u64 {
        self.0.iter().map(|load| load.flow().outstanding()).sum()
    }

    /// Whether all that was sent has arrived, or nothing has for `patience`.
    pub(super) fn is_idle(&self, now: u64, patience: u64) -> bool {
        let waits = |load: &dyn Load| load.is_waiting() && !load.flow().is_quiet(now, patience);
        !self.0.iter().any(|load| waits(&**load))
    }

    pub(super) fn owes(&self) -> bool {
        self.0.iter().any(|load| load.owes())
    }

    pub(super) fn give_up(&mut self, io: &Io, now: u64) {
        for load in &mut *self.0 {
            load.give_up(io, now);
        }
    }

    pub(super) fn is_over(&self, io: &Io) -> bool {
        self.0.iter().any(|load| load.is_over(io))
    }

    /// All of them together; see [`Load::granted`].
    pub(super) fn granted(&self) -> (u64, u64) {
        let each = self.0.iter().map(|load| load.granted());
        each.fold((0, 0), |(granted, of), (more, of_more)| {
            (granted + more, of + of_more)
        })
    }

    pub(super) fn is_set_up(&self) -> bool {
        let mut each = self.0.iter().map(|load| load.granted());
        each.all(|(granted, of)| granted == of)
    }

    pub(super) fn goal(&self) -> Option<u64> {
        self.0.iter().find_map(|load| load.goal())
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.0.iter().try_for_each(|load| load.flow().check())
    }

    /// What all have counted so far.
    pub(super) fn done(&self) -> u64 {
        self.0.iter().map(|load| load.flow().done).sum()
    }

    /// What each has counted so far.
    pub(super) fn counts(&self) -> Vec<u64> {
        self.0.iter().map(|load| load.flow().done).collect()
    }
}

impl Handler for Cast<'_, '_> {
    fn opened(&mut self, io: &mut Io, conn: ConnId, now: u64) {
        if let Some(load) = self.of(conn) {
            load.opened(io, conn, now);
        }
    }

    fn message(&mut self, io: &mut Io, conn: ConnId, message: Message, now: u64) {
        if let Some(load) = self.of(conn) {
            load.message(io, conn, message, now);
        }
    }

    fn lost(&mut self, io: &mut Io, conn: ConnId, why: &str) {
        if let Some(load) = self.of(conn) {
            load.lost(io, conn, why);
        }
    }

    fn tick(&mut self, io: &mut Io, now: u64) -> Option<u64> {
        let next = self.0.iter_mut().filter_map(|load| load.tick(io, now));
        next.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_that_owes_nothing_is_not_stalled() {
        let mut flow = Flow::new("rpc", "calls", None);
        assert!(!flow.is_stalled(1_000, 10));
        flow.expect(2, 1_000, 1_000);
        assert!(!flow.is_stalled(1_010, 10));
        assert!(flow.is_stalled(1_011, 10));
        flow.arrived(1_011, 1_000);
        assert!(!flow.is_stalled(1_020, 10));
        // More that is sent meanwhile is no progress.
        flow.expect(1, 1_020, 1_020);
        assert!(flow.is_stalled(1_022, 10));
        flow.answered(1_022, 1_000);
        flow.answered(1_022, 1_020);
        assert!(!flow.is_stalled(9_999, 10));
        assert_eq!(
            (flow.done, flow.latencies.summary().map(|s| s.count)),
            (3, Some(1))
        );
    }

    #[test]
    fn what_was_due_within_a_phase_is_a_part_of_it_whenever_it_comes() {
        let mut flow = Flow::new("rpc", "calls", None);
        flow.expect(1, 90, 90);
        flow.open(100);
        flow.expect(3, 150, 150);
        flow.arrived(160, 90);
        flow.close(200);
        // What was due before is sent late, and what is due later is not counted.
        flow.expect(1, 210, 190);
        flow.sent(210, 190);
        flow.expect(1, 210, 210);
        flow.sent(215, 210);
        flow.arrived(220, 210);
        flow.arrived(300, 150);
        flow.arrived(300, 190);
        assert_eq!(flow.owed(), 2);
        flow.missing(1_150, 150, 2);
        flow.missing(1_150, 90, 1);
        flow.given_up(1_150);
        assert_eq!(flow.owed(), 0);
        let mut found = flow.found();
        flow.tell(&mut found);
        let (latency, lag) = (found.latencies.summary().unwrap(), found.lag.summary().unwrap());
        assert_eq!((latency.count, latency.min_us, latency.max_us), (4, 0.11, 1.0));
        assert_eq!((lag.count, lag.max_us), (1, 0.02));
    }

    #[test]
    fn the_first_failure_counts() {
        let mut flow = Flow::new("rpc", "calls", None);
        assert!(flow.check().is_ok());
        flow.fail(|| "first".to_owned());
        flow.fail(|| "second".to_owned());
        assert_eq!(flow.check().unwrap_err().to_string(), "first");
    }
}
