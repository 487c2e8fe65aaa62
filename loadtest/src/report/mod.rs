//! What a run found. Its JSON is described in the crate's README.

mod compare;
mod html;
mod metric;
mod plot;
mod text;

pub(crate) use self::compare::Comparison;
pub(crate) use self::html::{of_comparison as html_of_comparison, of_report as html_of_report};

use std::borrow::Cow;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::latency::Summary;
use crate::verify::Tally;

/// The form of the JSON, to be raised when fields change their meaning or go away.
pub(crate) const VERSION: u32 = 2;

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) version: u32,
    pub(crate) scenario: String,
    /// What was asked for, in one line.
    pub(crate) title: String,
    pub(crate) url: String,
    pub(crate) serializers: Vec<String>,
    /// The command line.
    pub(crate) command: Vec<String>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) verified: Tally,
    /// Subscribers that stopped reading, where there were any. What they lose is the router's policy.
    pub(crate) slow_readers: Option<SlowReaders>,
    /// What puts the figures into doubt.
    pub(crate) warnings: Vec<String>,
    /// Whether the run came to its end, and nothing was lost, repeated, reordered or changed.
    pub(crate) ok: bool,
    /// Whether the run could not go on as asked for, such as when the router closed a connection.
    #[serde(default)]
    pub(crate) failed: bool,
}

/// What became of one load, over the whole run.
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// Whether it could not go on.
    pub(crate) failed: bool,
    pub(crate) warnings: Vec<String>,
}

/// What became of subscribers that stopped reading.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SlowReaders {
    #[serde(flatten)]
    pub(crate) tally: Tally,
    /// How many the router disconnected.
    pub(crate) disconnected: u64,
}

/// A part of a run that was measured for itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    /// Whether it ended early, since nothing at all arrived for `--patience`.
    pub(crate) stalled: bool,
    #[serde(flatten)]
    pub(crate) main: Stream,
    /// What else went on at the same time.
    pub(crate) beside: Vec<Stream>,
    /// The router, where `--pid` names it.
    pub(crate) router: Option<RouterUse>,
    /// CPU seconds of this program.
    pub(crate) own_cpu_seconds: f64,
    /// `None` where nothing was counted, or more than one stream was.
    pub(crate) own_cpu_us_per_unit: Option<f64>,
    /// The share of one core that the busiest thread of this program used.
    pub(crate) own_busiest_share: f64,
    pub(crate) timeline: Timeline,
}

/// Messages of one kind within a phase.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stream {
    /// What the messages are, such as `fanout` or `noise`.
    pub(crate) stream: String,
    /// What is counted, in the plural: deliveries, calls, sessions; empty where nothing is.
    pub(crate) unit: String,
    pub(crate) count: u64,
    pub(crate) per_second: f64,
    /// How often a second was asked for, if it was.
    pub(crate) asked_per_second: Option<f64>,
    /// Whether clearly fewer were counted: less than 97 %, and not only since some were under way at the end.
    #[serde(default)]
    pub(crate) fell_behind: bool,
    pub(crate) latency: Option<Summary>,
    /// Pairs of a quantile, from 0 to 1, and the latency there in microseconds.
    pub(crate) latency_curve: Vec<(f64, f64)>,
    /// How much later than due this program sent; part of the latency, which counts from the time due.
    pub(crate) lag: Option<Summary>,
    /// How many of `count` fall into each interval of the phase's timeline.
    pub(crate) counts: Vec<u64>,
}

/// What the router used during one phase.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct RouterUse {
    pub(crate) cpu_seconds: f64,
    /// Of one core, from 0 to 1 and above, whatever the CPU time was spent on. Several harnesses at once divide it by
    /// the sum of their rates.
    #[serde(default)]
    pub(crate) cpu_share: f64,
    /// `None` where nothing was counted, or more than one stream was.
    pub(crate) cpu_us_per_unit: Option<f64>,
    pub(crate) rss_before: u64,
    pub(crate) rss_after: u64,
    /// Of the samples taken.
    pub(crate) rss_peak: u64,
    /// What memory grew by for each session that was opened; only where sessions are counted.
    pub(crate) rss_per_session: Option<f64>,
    /// CPU time for each idle session in one second; only where sessions are idle.
    pub(crate) cpu_us_per_session_second: Option<f64>,
}

/// A phase in intervals: lists of equal length.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Timeline {
    /// When each interval ended, in seconds since the phase began.
    pub(crate) end_seconds: Vec<f64>,
    /// CPU seconds of this program in each interval.
    pub(crate) own_cpu_seconds: Vec<f64>,
    /// CPU seconds of the router in each interval; empty without `--pid`.
    pub(crate) router_cpu_seconds: Vec<f64>,
    /// The router's resident memory at the end of each interval, in bytes; empty without `--pid`.
    pub(crate) router_rss: Vec<u64>,
}

impl Timeline {
    /// The router is CPU seconds and resident memory.
    pub(crate) fn push(&mut self, end_seconds: f64, own_cpu_seconds: f64, router: Option<(f64, u64)>) {
        self.end_seconds.push(end_seconds);
        self.own_cpu_seconds.push(own_cpu_seconds);
        if let Some((cpu_seconds, rss)) = router {
            self.router_cpu_seconds.push(cpu_seconds);
            self.router_rss.push(rss);
        }
    }

    /// Appends what came `after` seconds later.
    pub(crate) fn join(&mut self, after: f64, later: Self) {
        let shifted = later.end_seconds.iter().map(|end| end + after);
        self.end_seconds.extend(shifted);
        self.own_cpu_seconds.extend(later.own_cpu_seconds);
        self.router_cpu_seconds.extend(later.router_cpu_seconds);
        self.router_rss.extend(later.router_rss);
    }
}

impl Report {
    pub(crate) fn new(scenario: &str, title: String) -> Self {
        Self {
            version: VERSION,
            scenario: scenario.to_owned(),
            title,
            url: String::new(),
            serializers: Vec::new(),
            command: std::env::args().collect(),
            phases: Vec::new(),
            verified: Tally::default(),
            slow_readers: None,
            warnings: Vec::new(),
            ok: true,
            failed: false,
        }
    }

    /// Says what cannot be known without knowing the router's processes.
    pub(crate) fn warn_of_no_processes(&mut self) {
        let warning = "without --pid nothing is known of the router's CPU time and memory";
        self.warnings.push(warning.to_owned());
    }

    /// Takes in what became of one load.
    pub(crate) fn take_in(&mut self, outcome: Outcome) {
        self.verified.add(&outcome.tally);
        self.failed |= outcome.failed;
        self.ok = !self.failed && self.verified.is_clean();
        self.warnings.extend(outcome.warnings);
    }

    /// Warns that not all was done that was asked for.
    pub(crate) fn unfinished(&mut self, what: String) {
        self.failed = true;
        self.ok = false;
        self.warnings.push(what);
    }

    /// Reads what an earlier run wrote.
    ///
    /// # Errors
    /// If it is no report, or one of another version.
    pub(crate) fn from_json(json: &str) -> anyhow::Result<Self> {
        /// What reports of all versions have.
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let Head { version } = serde_json::from_str(json).context("this is no report")?;
        ensure!(
            version == VERSION,
            "this is a report of version {version}; only version {VERSION} is understood"
        );
        serde_json::from_str(json).context("this is no whole report")
    }

    /// Takes a phase in, and warns where this program may have been the bottleneck.
    pub(crate) fn push(&mut self, phase: Phase) {
        /// Share of one core from which on a thread of this program had hardly any idle time left.
        const BUSY: f64 = 0.9;
        if phase.own_busiest_share > BUSY && phase.seconds > 0.1 {
            let share = phase.own_busiest_share * 100.0;
            self.warnings.push(format!(
                "{}: a thread of the harness itself used {share:.0} % of a core: rates and latencies may be its \
                 limit, not the router's; CPU per message still holds. Of several harnesses at once, add up the \
                 rates, and divide the router's share of a core by the sum: CPU per message of each is too high",
                phase.name
            ));
        }
        let late = phase.streams().filter_map(|stream| stream.lateness(&phase.name));
        self.warnings.extend(late);
        if phase.stalled {
            let (name, seconds) = (&phase.name, phase.seconds);
            self.warnings.push(format!(
                "{name}: ended after {seconds:.1} s, since nothing arrived for as long as --patience says"
            ));
        }
        for stream in phase.streams().filter(|stream| stream.fell_behind) {
            let (name, rate) = (&phase.name, stream.per_second);
            let asked = stream.asked_per_second.unwrap_or_default();
            self.warnings.push(format!(
                "{name}: {} fell behind: {rate:.0} a second of {asked:.0} asked for",
                stream.stream
            ));
        }
        self.phases.push(phase);
    }
}

impl Phase {
    /// All streams, the main one first.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Stream> {
        std::iter::once(&self.main).chain(&self.beside)
    }
}

impl Stream {
    /// A warning, where what this program sent was later than due by more than half of its latency.
    fn lateness(&self, phase: &str) -> Option<String> {
        let (lag, latency) = (self.lag?.p99_us, self.latency?.p99_us);
        (lag > latency / 2.0).then(|| {
            let (stream, lag, latency) = (&self.stream, text::Micros(lag), text::Micros(latency));
            format!(
                "{phase}: {stream} was sent late by {lag} (p99), most of its latency of {latency} (p99): this machine \
                 had no time for the harness, or the router did not read"
            )
        })
    }

    /// What one of its messages is called: a delivery, a call.
    pub(crate) fn one(&self) -> Cow<'_, str> {
        match self.unit.strip_suffix("ies") {
            Some(stem) => Cow::Owned(format!("{stem}y")),
            None => Cow::Borrowed(self.unit.trim_end_matches('s')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latencies;

    #[test]
    fn a_busy_harness_is_warned_of() {
        let mut report = Report::new("fanout", String::new());
        let phase = |own_busiest_share| Phase {
            seconds: 1.0,
            own_busiest_share,
            ..Phase::default()
        };
        report.push(phase(0.5));
        assert!(report.warnings.is_empty());
        report.push(phase(0.97));
        assert_eq!(report.warnings.len(), 1);
        assert!(report.text().contains("97 %"), "{}", report.text());
    }

    #[test]
    fn a_late_harness_is_warned_of() {
        let took = |micros: u64| {
            let mut latencies = Latencies::new();
            latencies.record(micros * 1000);
            latencies.summary()
        };
        let mut report = Report::new("rpc", String::new());
        let phase = |late: u64| Phase {
            name: "measured".to_owned(),
            beside: vec![Stream {
                stream: "noise".to_owned(),
                latency: took(1_000),
                lag: took(late),
                ..Stream::default()
            }],
            ..Phase::default()
        };
        report.push(phase(490));
        assert_eq!(report.warnings, [""; 0]);
        report.push(phase(520));
        let [warning] = &report.warnings[..] else {
            panic!("{:?}", report.warnings);
        };
        assert!(
            warning.starts_with("measured: noise was sent late by 520 µs"),
            "{warning}"
        );
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let mut report = Report::new("rpc", "2 -> 1".to_owned());
        report.push(Phase {
            name: "measured".to_owned(),
            main: Stream {
                unit: "calls".to_owned(),
                latency_curve: vec![(0.5, 12.0), (1.0, 30.0)],
                ..Stream::default()
            },
            beside: vec![Stream::default()],
            ..Phase::default()
        });
        let json = serde_json::to_string(&report).unwrap();
        let again = Report::from_json(&json).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), json);
        assert_eq!(again.phases[0].main.latency_curve.len(), 2);
    }

    #[test]
    fn reports_of_other_versions_are_refused() {
        let error = |json| Report::from_json(json).unwrap_err().to_string();
        assert!(error("{\"version\": 1, \"more\": 2}").contains("version 1"));
        assert!(error("[]").contains("no report"));
        assert!(error("{\"version\": 2}").contains("no whole report"));
    }

    #[test]
    fn units_have_a_singular() {
        let stream = |unit: &str| Stream {
            unit: unit.to_owned(),
            ..Stream::default()
        };
        assert_eq!(stream("deliveries").one(), "delivery");
        assert_eq!(stream("calls").one(), "call");
    }
}
