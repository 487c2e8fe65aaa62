//! The report for people at a terminal.

use std::fmt::{self, Write};

use super::{Phase, Report, RouterUse, SlowReaders, Stream};
use crate::latency::Summary;

impl Report {
    /// The report as text.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_text(&mut out);
        out
    }

    fn write_text(&self, out: &mut String) -> fmt::Result {
        let (scenario, url) = (&self.scenario, &self.url);
        writeln!(out, "{scenario}  {url}  {}", self.serializers.join(","))?;
        writeln!(out, "{}", self.title)?;
        for phase in &self.phases {
            phase.write_text(out)?;
        }
        self.write_effects(out)?;
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

impl Report {
    fn write_effects(&self, out: &mut String) -> fmt::Result {
        for (place, effect) in self.effects().iter().enumerate() {
            if place == 0 {
                writeln!(out, "\nwhat the quiet ones notice")?;
            }
            write!(out, "  {:<10}", effect.stream)?;
            for (name, more) in &effect.more {
                write!(out, "  {name} {}", more.with_sign())?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

impl Phase {
    fn write_text(&self, out: &mut String) -> fmt::Result {
        write!(out, "\n{:<10} {:.2} s", self.name, self.seconds)?;
        if self.beside.is_empty() {
            self.main.write_count(out)?;
            self.main.write_latencies(out, "  ")?;
        } else {
            writeln!(out)?;
            for stream in self.streams() {
                write!(out, "  {:<10}", stream.stream)?;
                stream.write_count(out)?;
                stream.write_latencies(out, "    ")?;
            }
        }
        if let Some(router) = self.router {
            router.write_text(out, self)?;
        }
        let share = self.own_cpu_seconds / self.seconds * 100.0;
        write!(
            out,
            "  harness   {:.2} CPU s, {share:.0} % of a core",
            self.own_cpu_seconds
        )?;
        match self.own_cpu_us_per_unit {
            Some(each) => writeln!(out, "   {each:.2} µs per {}", self.main.one()),
            None => writeln!(out),
        }
    }
}

impl Stream {
    fn write_count(&self, out: &mut String) -> fmt::Result {
        if !self.unit.is_empty() {
            write!(out, "   {} {}   {:.0}/s", self.count, self.unit, self.per_second)?;
        }
        match self.asked_per_second {
            Some(asked) => writeln!(out, "   (asked for {asked:.0}/s)"),
            None => writeln!(out),
        }
    }

    fn write_latencies(&self, out: &mut String, indent: &str) -> fmt::Result {
        for (what, summary) in [("latency", self.latency), ("sent late", self.lag)] {
            if let Some(summary) = summary {
                writeln!(out, "{indent}{what:<10}{}", Percentiles(summary))?;
            }
        }
        Ok(())
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
            write!(out, "   {each:.2} µs per {}", phase.main.one())?;
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (before, after, peak) = (mib(self.rss_before), mib(self.rss_after), mib(self.rss_peak));
        write!(out, "   RSS {before:.1} -> {after:.1} MiB, peak {peak:.1}")?;
        if let Some(bytes) = self.rss_per_session {
            write!(out, "   {:.2} KiB per session", bytes / 1024.0)?;
        }
        if let Some(micros) = self.cpu_us_per_session_second {
            write!(out, "   {micros:.2} µs of CPU per session and second")?;
        }
        writeln!(out)
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
pub(super) struct Micros(pub(super) f64);

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
    use crate::report::Outcome;
    use crate::verify::Tally;

    #[test]
    fn the_text_names_what_was_lost() {
        let mut report = Report::new("fanout", "1 -> 2".to_owned());
        report.take_in(Outcome {
            tally: Tally {
                lost: 3,
                ..Tally::default()
            },
            failed: false,
            warnings: Vec::new(),
        });
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
