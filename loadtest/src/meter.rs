//! Measures one phase: time, CPU, memory, and how all that went over time.

use anyhow::ensure;

use crate::latency::Latencies;
use crate::process::{Usage, missing, own_cpu_ns, thread_cpu_ns, usage};
use crate::report::{Phase, RouterUse, Stream, Timeline};

/// The processes that are the router; none, if it cannot be looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe(Vec<u32>);

impl Probe {
    /// # Errors
    /// If one of the processes does not exist.
    pub(crate) fn new(pids: Vec<u32>) -> anyhow::Result<Self> {
        let missing: Vec<_> = missing(&pids).iter().map(u32::to_string).collect();
        ensure!(
            missing.is_empty(),
            "--pid: there is no process {}, or it cannot be looked at",
            missing.join(", nor ")
        );
        Ok(Self(pids))
    }
}

/// A phase that is being measured.
pub(crate) struct Meter {
    probe: Probe,
    started: Moment,
    latest: Moment,
    thread_cpu: u64,
    peak: u64,
    timeline: Timeline,
    /// For each stream, what it counted in each interval.
    counts: Vec<Vec<u64>>,
}

/// What everything stood at.
#[derive(Clone, Debug)]
struct Moment {
    at: u64,
    own_cpu: u64,
    router: Option<Usage>,
    counts: Vec<u64>,
}

/// What one load found in one phase.
pub(crate) struct Found {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) count: u64,
    pub(crate) asked_per_second: Option<f64>,
    /// How many of `count` one message makes, on average.
    pub(crate) each: f64,
    /// The time in which they came, in seconds, where it is not the whole phase.
    pub(crate) seconds: Option<f64>,
    pub(crate) latencies: Latencies,
    pub(crate) lag: Latencies,
    /// Of each interval of the phase's timeline.
    pub(crate) counts: Vec<u64>,
}

/// A phase that was measured, and can be put together with others like it.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) seconds: f64,
    pub(crate) stalled: bool,
    /// How many phases it is put together of.
    turns: u32,
    pub(crate) found: Vec<Found>,
    router: Option<RouterUse>,
    own_cpu_seconds: f64,
    /// CPU seconds of the one thread of this program that used most.
    pub(crate) busiest_seconds: f64,
    timeline: Timeline,
}

impl Moment {
    fn now(probe: &Probe, at: u64, counts: Vec<u64>) -> Self {
        Self {
            at,
            own_cpu: own_cpu_ns(),
            router: usage(&probe.0),
            counts,
        }
    }
}

impl Meter {
    /// `counts` is what each stream has counted before.
    pub(crate) fn start(probe: &Probe, now: u64, counts: Vec<u64>) -> Self {
        let started = Moment::now(probe, now, counts);
        Self {
            probe: probe.clone(),
            thread_cpu: thread_cpu_ns(),
            peak: started.router.map_or(0, |used| used.rss),
            timeline: Timeline::default(),
            counts: vec![Vec::new(); started.counts.len()],
            latest: started.clone(),
            started,
        }
    }

    /// Ends an interval. `counts` is what each stream has counted since the run began.
    pub(crate) fn sample(&mut self, now: u64, counts: Vec<u64>) {
        let moment = Moment::now(&self.probe, now, counts);
        let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e9;
        self.timeline.push(
            seconds(self.started.at, now),
            seconds(self.latest.own_cpu, moment.own_cpu),
            moment.router.map(|used| {
                let before = self.latest.router.map_or(used.cpu_ns, |before| before.cpu_ns);
                (seconds(before, used.cpu_ns), used.rss)
            }),
        );
        let pairs = moment.counts.iter().zip(&self.latest.counts);
        for (intervals, (count, before)) in self.counts.iter_mut().zip(pairs) {
            intervals.push(count.saturating_sub(*before));
        }
        self.peak = self.peak.max(moment.router.map_or(0, |used| used.rss));
        self.latest = moment;
    }

    /// The rates of the latest interval, for whoever waits.
    pub(crate) fn latest_rates(&self) -> String {
        let ends = &self.timeline.end_seconds;
        let from = ends.iter().rev().nth(1).copied().unwrap_or_default();
        let seconds = (ends.last().copied().unwrap_or_default() - from).max(1e-9);
        let latest = self.counts.iter().filter_map(|counts| counts.last());
        let rates = latest.map(|count| format!("{:.0}/s", *count as f64 / seconds));
        rates.collect::<Vec<_>>().join("  ")
    }

    /// `found` is what each stream found; its `count` and `counts` are filled in here.
    pub(crate) fn finish(
        mut self,
        name: &'static str,
        now: u64,
        counts: Vec<u64>,
        mut found: Vec<Found>,
    ) -> Measured {
        self.sample(now, counts);
        let ended = &self.latest;
        let totals = ended.counts.iter().zip(&self.started.counts);
        for ((found, intervals), (count, before)) in found.iter_mut().zip(self.counts).zip(totals) {
            found.counts = intervals;
            found.count = count.saturating_sub(*before);
        }
        let router = self.started.router.zip(ended.router);
        let router = router.map(|(before, after)| RouterUse {
            cpu_seconds: after.cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e9,
            cpu_share: 0.0,
            cpu_us_per_unit: None,
            rss_before: before.rss,
            rss_after: after.rss,
            rss_peak: self.peak,
            rss_per_session: None,
            cpu_us_per_session_second: None,
        });
        Measured {
            name,
            seconds: now.saturating_sub(self.started.at) as f64 / 1e9,
            stalled: false,
            turns: 1,
            found,
            router,
            own_cpu_seconds: ended.own_cpu.saturating_sub(self.started.own_cpu) as f64 / 1e9,
            busiest_seconds: thread_cpu_ns().saturating_sub(self.thread_cpu) as f64 / 1e9,
            timeline: self.timeline,
        }
    }
}

impl Measured {
    /// Takes in a later phase of the same kind, as if both had been one.
    pub(crate) fn join(&mut self, later: Self) {
        for (found, later) in self.found.iter_mut().zip(later.found) {
            found.count += later.count;
            found.latencies.add(&later.latencies);
            found.lag.add(&later.lag);
            found.counts.extend(later.counts);
        }
        if let (Some(router), Some(later)) = (&mut self.router, later.router) {
            router.cpu_seconds += later.cpu_seconds;
            router.rss_after = later.rss_after;
            router.rss_peak = router.rss_peak.max(later.rss_peak);
        }
        self.timeline.join(self.seconds, later.timeline);
        self.seconds += later.seconds;
        self.stalled |= later.stalled;
        self.turns += later.turns;
        self.own_cpu_seconds += later.own_cpu_seconds;
        self.busiest_seconds += later.busiest_seconds;
    }

    pub(crate) fn into_phase(mut self) -> Phase {
        // Several streams share the CPU time: it belongs to none of them.
        let counted = self.found.iter().filter(|found| found.count > 0);
        let only = match counted.collect::<Vec<_>>()[..] {
            [one] => Some(one.count as f64),
            _ => None,
        };
        let each = |cpu_seconds: f64| only.map(|count| cpu_seconds * 1e6 / count);
        let seconds = self.seconds.max(1e-9);
        if let Some(router) = &mut self.router {
            router.cpu_share = router.cpu_seconds / seconds;
            router.cpu_us_per_unit = each(router.cpu_seconds);
        }
        let own_cpu_us_per_unit = each(self.own_cpu_seconds);
        let turns = self.turns.into();
        let mut streams = (self.found.into_iter()).map(|found| found.into_stream(seconds, turns));
        Phase {
            name: self.name.to_owned(),
            seconds: self.seconds,
            stalled: self.stalled,
            main: streams.next().unwrap_or_default(),
            // Loads that count nothing are only there.
            beside: streams.filter(|stream| !stream.unit.is_empty()).collect(),
            router: self.router,
            own_cpu_seconds: self.own_cpu_seconds,
            own_cpu_us_per_unit,
            own_busiest_share: self.busiest_seconds / seconds,
            timeline: self.timeline,
        }
    }
}

impl Found {
    /// Nothing, for a stream of this name.
    pub(crate) fn new(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            count: 0,
            asked_per_second: None,
            each: 1.0,
            seconds: None,
            latencies: Latencies::new(),
            lag: Latencies::new(),
            counts: Vec::new(),
        }
    }

    /// Whether clearly fewer were counted than were asked for.
    fn fell_behind(&self, seconds: f64, turns: f64) -> bool {
        const ENOUGH: f64 = 0.97;
        /// At the end of a phase some are under way, and a load in another thread begins when it looks up.
        const MESSAGES: f64 = 2.0;
        const LOOKS_UP: f64 = 0.02;
        self.asked_per_second.is_some_and(|asked| {
            let (expected, count) = (asked * seconds, self.count as f64);
            let slack = turns * (MESSAGES * self.each + LOOKS_UP * asked);
            count < expected * ENOUGH && count < expected - slack
        })
    }

    fn into_stream(self, seconds: f64, turns: f64) -> Stream {
        let seconds = self.seconds.unwrap_or(seconds).max(1e-9);
        Stream {
            fell_behind: self.fell_behind(seconds, turns),
            stream: self.name.to_owned(),
            unit: self.unit.to_owned(),
            count: self.count,
            per_second: self.count as f64 / seconds,
            asked_per_second: self.asked_per_second,
            latency: self.latencies.summary(),
            latency_curve: self.latencies.curve(),
            lag: self.lag.summary(),
            counts: self.counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(micros: u64) -> Found {
        let mut latencies = Latencies::new();
        latencies.record(micros * 1000);
        Found {
            latencies,
            ..Found::new("rpc", "calls")
        }
    }

    fn measured(count: u64) -> Measured {
        let probe = Probe::new(vec![std::process::id()]).unwrap();
        let mut meter = Meter::start(&probe, 1_000_000_000, vec![5]);
        meter.sample(1_500_000_000, vec![5 + count]);
        meter.finish("measured", 2_000_000_000, vec![5 + 3 * count], vec![found(count)])
    }

    #[test]
    fn a_phase_is_counted_in_intervals() {
        let phase = measured(10).into_phase();
        assert_eq!(
            (phase.seconds, phase.main.count, phase.main.per_second),
            (1.0, 30, 30.0)
        );
        assert_eq!(phase.main.counts, [10, 20]);
        assert_eq!(phase.timeline.end_seconds, [0.5, 1.0]);
        assert!(
            phase
                .router
                .is_some_and(|router| router.cpu_us_per_unit.is_some())
        );
    }

    #[test]
    fn processes_that_do_not_exist_are_named() {
        let wrong = vec![std::process::id(), u32::MAX, u32::MAX - 1];
        let error = Probe::new(wrong).unwrap_err().to_string();
        assert!(error.contains("4294967295, nor 4294967294,"), "{error}");
    }

    #[test]
    fn phases_of_a_kind_are_put_together() {
        let mut both = measured(10);
        both.join(measured(20));
        let phase = both.into_phase();
        assert_eq!((phase.seconds, phase.main.count), (2.0, 90));
        assert_eq!(phase.main.counts, [10, 20, 20, 40]);
        assert_eq!(phase.timeline.end_seconds, [0.5, 1.0, 1.5, 2.0]);
        assert_eq!(phase.main.latency.map(|latency| latency.count), Some(2));
    }

    #[test]
    fn the_routers_cpu_time_is_a_share_of_one_core() {
        let mut both = measured(10);
        both.join(measured(20));
        both.router.as_mut().unwrap().cpu_seconds = 3.0;
        let share = both.into_phase().router.map(|router| router.cpu_share);
        assert_eq!(share, Some(1.5));
    }

    #[test]
    fn a_rate_that_is_not_reached_is_noticed() {
        let fell_behind = |asked: f64, each: f64, count: u64, turns: f64| {
            let found = Found {
                asked_per_second: Some(asked),
                each,
                count,
                ..Found::new("fanout", "deliveries")
            };
            found.into_stream(10.0, turns).fell_behind
        };
        assert!(!fell_behind(5_000.0, 100.0, 48_600, 1.0));
        assert!(fell_behind(5_000.0, 100.0, 48_400, 1.0));
        // Two publications of ten that were under way when each of two turns ended.
        assert!(!fell_behind(100.0, 100.0, 700, 2.0));
        assert!(fell_behind(100.0, 100.0, 500, 2.0));
    }

    #[test]
    fn cpu_time_that_streams_share_belongs_to_none() {
        let mut meter = Meter::start(&Probe::default(), 0, vec![0, 0]);
        meter.sample(1, vec![1, 1]);
        let phase = meter
            .finish("x", 2, vec![2, 2], vec![found(1), found(2)])
            .into_phase();
        assert_eq!(phase.own_cpu_us_per_unit, None);
        assert_eq!(phase.beside.len(), 1);
    }
}
