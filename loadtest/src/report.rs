//! What a run found, for people and for programs.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::latency::Summary;
use crate::verify::Tally;

/// The form of the JSON, to be raised when fields change their meaning or go away.
const VERSION: u32 = 1;

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: u32,
    pub(crate) scenario: &'static str,
    /// What was asked for, in one line.
    pub(crate) title: String,
    pub(crate) url: String,
    pub(crate) serializers: Vec<&'static str>,
    /// The command line.
    pub(crate) command: Vec<String>,
    pub(crate) phases: Vec<Phase>,
    pub(crate) verified: Tally,
    /// Subscribers that stopped reading, where there were any. What they lose is the router's policy.
    pub(crate) slow_readers: Option<SlowReaders>,
    /// What puts the figures into doubt.
    pub(crate) warnings: Vec<String>,
    /// Whether nothing was lost, repeated, reordered or changed.
    pub(crate) ok: bool,
}

/// What became of subscribers that stopped reading.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct SlowReaders {
    #[serde(flatten)]
    pub(crate) tally: Tally,
    /// How many the router disconnected.
    pub(crate) disconnected: u64,
}

/// A part of a run that was measured for itself.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) seconds: f64,
    /// Whether it ended early, since nothing at all arrived for `--patience`.
    pub(crate) stalled: bool,
    /// What is counted, in the plural: deliveries, calls, sessions; empty where nothing is.
    pub(crate) unit: &'static str,
    pub(crate) count: u64,
    pub(crate) per_second: f64,
    /// How often a second was asked for, if it was.
    pub(crate) asked_per_second: Option<f64>,
    pub(crate) latency: Option<Summary>,
    /// How much later than due this program sent; part of the latency, which counts from the time due.
    pub(crate) lag: Option<Summary>,
    /// The router, where `--pid` names it.
    pub(crate) router: Option<RouterUse>,
    /// CPU seconds of this program.
    pub(crate) own_cpu_seconds: f64,
}

/// What the router used during one phase.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct RouterUse {
    pub(crate) cpu_seconds: f64,
    /// `None` where nothing was counted.
    pub(crate) cpu_us_per_unit: Option<f64>,
    pub(crate) rss_before: u64,
    pub(crate) rss_after: u64,
    /// Of the samples taken.
    pub(crate) rss_peak: u64,
    /// What memory grew by for each session that was opened; only where sessions are counted.
    pub(crate) rss_per_session: Option<f64>,
}

impl Report {
    pub(crate) fn new(scenario: &'static str, title: String) -> Self {
        Self {
            version: VERSION,
            scenario,
            title,
            url: String::new(),
            serializers: Vec::new(),
            command: std::env::args().collect(),
            phases: Vec::new(),
            verified: Tally::default(),
            slow_readers: None,
            warnings: Vec::new(),
            ok: false,
        }
    }

    /// Takes a phase in, and warns where this program may have been the bottleneck.
    pub(crate) fn push(&mut self, phase: Phase) {
        /// Share of one core from which on the one thread of this program had hardly any idle time left.
        const BUSY: f64 = 0.9;
        let share = phase.own_cpu_seconds / phase.seconds.max(1e-9);
        if share > BUSY && phase.seconds > 0.1 {
            let share = share * 100.0;
            self.warnings.push(format!(
                "{}: the harness itself used {share:.0} % of a core: rates may be its limit, not the router's",
                phase.name
            ));
        }
        if phase.stalled {
            let (name, seconds) = (phase.name, phase.seconds);
            self.warnings.push(format!(
                "{name}: ended after {seconds:.1} s, since nothing arrived for as long as --patience says"
            ));
        }
        self.phases.push(phase);
    }

    /// The report for people.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_text(&mut out);
        out
    }

    fn write_text(&self, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "{}  {}  {}",
            self.scenario,
            self.url,
            self.serializers.join(",")
        )?;
        writeln!(out, "{}", self.title)?;
        for phase in &self.phases {
            phase.write_text(out)?;
        }
        writeln!(out, "\nverified   {}", self.verified)?;
        if let Some(SlowReaders { tally, disconnected }) = self.slow_readers {
            writeln!(out, "slow ones  {tally}, {disconnected} disconnected")?;
        }
        for warning in &self.warnings {
            writeln!(out, "warning    {warning}")?;
        }
        writeln!(out, "{}", if self.ok { "ok" } else { "FAILED" })
    }
}

impl Phase {
    fn write_text(&self, out: &mut String) -> fmt::Result {
        let Self {
            name,
            seconds,
            unit,
            count,
            per_second,
            ..
        } = self;
        write!(out, "\n{name:<10} {seconds:.2} s")?;
        if !unit.is_empty() {
            write!(out, "   {count} {unit}   {per_second:.0}/s")?;
        }
        match self.asked_per_second {
            Some(asked) => writeln!(out, "   (asked for {asked:.0}/s)")?,
            None => writeln!(out)?,
        }
        for (what, summary) in [("latency", self.latency), ("sent late", self.lag)] {
            if let Some(summary) = summary {
                writeln!(out, "  {what:<10}{}", Percentiles(summary))?;
            }
        }
        if let Some(router) = self.router {
            router.write_text(out, self)?;
        }
        let share = self.own_cpu_seconds / seconds * 100.0;
        writeln!(
            out,
            "  harness   {:.2} CPU s, {share:.0} % of a core",
            self.own_cpu_seconds
        )
    }
}

impl RouterUse {
    fn write_text(&self, out: &mut String, phase: &Phase) -> fmt::Result {
        let share = self.cpu_seconds / phase.seconds * 100.0;
        write!(
            out,
            "  router    {:.2} CPU s, {share:.0} % of a core",
            self.cpu_seconds
        )?;
        if let Some(each) = self.cpu_us_per_unit {
            let one = phase.unit.strip_suffix("ies").map(|stem| format!("{stem}y"));
            let one = one.unwrap_or_else(|| phase.unit.trim_end_matches('s').to_owned());
            write!(out, "   {each:.2} µs per {one}")?;
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (before, after, peak) = (mib(self.rss_before), mib(self.rss_after), mib(self.rss_peak));
        write!(out, "   RSS {before:.1} -> {after:.1} MiB, peak {peak:.1}")?;
        match self.rss_per_session {
            Some(bytes) => writeln!(out, "   {:.2} KiB per session", bytes / 1024.0),
            None => writeln!(out),
        }
    }
}

struct Percentiles(Summary);

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(summary) = self;
        let columns = [
            ("p50", summary.p50_us),
            ("p90", summary.p90_us),
            ("p99", summary.p99_us),
            ("p99.9", summary.p99_9_us),
            ("max", summary.max_us),
        ];
        for (place, (name, micros)) in columns.into_iter().enumerate() {
            let gap = if place > 0 { "   " } else { "" };
            write!(f, "{gap}{name} {}", Micros(micros))?;
        }
        Ok(())
    }
}

/// A latency with a unit that fits.
struct Micros(f64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            micros if micros < 1e3 => write!(f, "{micros:.0} µs"),
            micros if micros < 1e6 => write!(f, "{:.2} ms", micros / 1e3),
            micros => write!(f, "{:.2} s", micros / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_harness_is_warned_of() {
        let mut report = Report::new("fanout", String::new());
        let phase = |own_cpu_seconds| Phase {
            seconds: 1.0,
            own_cpu_seconds,
            ..Phase::default()
        };
        report.push(phase(0.5));
        assert!(report.warnings.is_empty());
        report.push(phase(0.97));
        assert_eq!(report.warnings.len(), 1);
        assert!(report.text().contains("97 %"), "{}", report.text());
    }

    #[test]
    fn the_text_names_what_was_lost() {
        let mut report = Report::new("fanout", "1 -> 2".to_owned());
        report.verified.lost = 3;
        let text = report.text();
        assert!(text.contains("3 lost") && text.ends_with("FAILED\n"), "{text}");
    }

    #[test]
    fn latencies_have_a_unit_that_fits() {
        assert_eq!(Micros(12.4).to_string(), "12 µs");
        assert_eq!(Micros(1234.0).to_string(), "1.23 ms");
        assert_eq!(Micros(2.5e6).to_string(), "2.50 s");
    }
}
