//! The figures of a phase, each with a name and a unit, for tables and comparisons.

use std::fmt;

use super::{Phase, Report, Stream};

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) value: Value,
}

/// A figure's value, in its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    PerSecond(f64),
    Micros(f64),
    /// Of one core, from 0 to 1 and above.
    Share(f64),
    Bytes(f64),
}

impl Value {
    pub(super) const fn number(self) -> f64 {
        match self {
            Self::PerSecond(value) | Self::Micros(value) | Self::Share(value) | Self::Bytes(value) => value,
        }
    }
}

impl Value {
    /// The value as a difference.
    pub(super) fn with_sign(self) -> String {
        let sign = if self.number() < 0.0 { "" } else { "+" };
        format!("{sign}{self}")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KIB: f64 = 1024.0;
        match *self {
            Self::PerSecond(value) => write!(f, "{}/s", short(value)),
            Self::Micros(micros) if micros.abs() < 100.0 => write!(f, "{micros:.2} µs"),
            Self::Micros(micros) if micros.abs() < 1e3 => write!(f, "{micros:.0} µs"),
            Self::Micros(micros) if micros.abs() < 1e6 => write!(f, "{:.2} ms", micros / 1e3),
            Self::Micros(micros) => write!(f, "{:.2} s", micros / 1e6),
            Self::Share(share) => write!(f, "{:.1} %", share * 100.0),
            Self::Bytes(bytes) if bytes.abs() < KIB * KIB => write!(f, "{:.2} KiB", bytes / KIB),
            Self::Bytes(bytes) => write!(f, "{:.1} MiB", bytes / KIB / KIB),
        }
    }
}

/// A number with three to four digits.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{:.2}M", value / 1e6),
        size if size >= 1e4 => format!("{:.1}k", value / 1e3),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

impl Stream {
    /// What was found of the stream for itself.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        if !self.unit.is_empty() {
            let value = Value::PerSecond(self.per_second);
            metrics.push(Metric { name: "rate", value });
        }
        if let Some(latency) = self.latency {
            let percentiles = [
                ("p50", latency.p50_us),
                ("p90", latency.p90_us),
                ("p99", latency.p99_us),
                ("p99.9", latency.p99_9_us),
                ("max", latency.max_us),
            ];
            metrics.extend(percentiles.map(|(name, micros)| Metric {
                name,
                value: Value::Micros(micros),
            }));
        }
        if let Some(lag) = self.lag {
            let value = Value::Micros(lag.p99_us);
            metrics.push(Metric {
                name: "sent late, p99",
                value,
            });
        }
        metrics
    }
}

impl Phase {
    /// What was found of the router and of the harness over the whole phase.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let seconds = self.seconds.max(1e-9);
        let router = self.router;
        let all = [
            (
                "router CPU",
                router.map(|used| Value::Share(used.cpu_seconds / seconds)),
            ),
            (
                "router CPU per message",
                router.and_then(|used| used.cpu_us_per_unit.map(Value::Micros)),
            ),
            (
                "router CPU per session and second",
                router.and_then(|used| used.cpu_us_per_session_second.map(Value::Micros)),
            ),
            (
                "router memory, peak",
                router.map(|used| Value::Bytes(used.rss_peak as f64)),
            ),
            (
                "router memory per session",
                router.and_then(|used| used.rss_per_session.map(Value::Bytes)),
            ),
            ("harness CPU", Some(Value::Share(self.own_cpu_seconds / seconds))),
            (
                "harness CPU per message",
                self.own_cpu_us_per_unit.map(Value::Micros),
            ),
        ];
        let known = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known.map(|(name, value)| Metric { name, value }).collect()
    }
}

/// What a stream of a phase notices of what goes on beside it in the next.
#[derive(Debug, PartialEq)]
pub(super) struct Effect<'a> {
    pub(super) stream: &'a str,
    /// By how much its percentiles are higher.
    pub(super) more: [(&'static str, Value); 3],
}

impl Report {
    /// Where a run has a phase without something and one with it: what each stream that is in both notices.
    pub(super) fn effects(&self) -> Vec<Effect<'_>> {
        let [without, with] = &self.phases[..] else {
            return Vec::new();
        };
        let new = with.beside.len() > without.beside.len();
        let streams = without.streams().filter(|_| new);
        let effects = streams.filter_map(|stream| {
            let same = with.streams().find(|other| other.stream == stream.stream)?;
            let (before, after) = (stream.latency?, same.latency?);
            let more = |before: f64, after: f64| Value::Micros(after - before);
            Some(Effect {
                stream: &stream.stream,
                more: [
                    ("p50", more(before.p50_us, after.p50_us)),
                    ("p99", more(before.p99_us, after.p99_us)),
                    ("p99.9", more(before.p99_9_us, after.p99_9_us)),
                ],
            })
        });
        effects.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latencies;

    #[test]
    fn values_have_units_that_fit() {
        let text = |value: Value| value.to_string();
        assert_eq!(text(Value::Micros(3.456)), "3.46 µs");
        assert_eq!(text(Value::Micros(345.6)), "346 µs");
        assert_eq!(text(Value::Micros(3456.0)), "3.46 ms");
        assert_eq!(text(Value::PerSecond(12_345.0)), "12.3k/s");
        assert_eq!(text(Value::PerSecond(50.0)), "50/s");
        assert_eq!(text(Value::Share(0.123)), "12.3 %");
        assert_eq!(text(Value::Bytes(3.5 * 1024.0)), "3.50 KiB");
        assert_eq!(text(Value::Bytes(20.0 * 1024.0 * 1024.0)), "20.0 MiB");
    }

    #[test]
    fn an_effect_is_a_difference_of_percentiles() {
        let stream = |name: &str, micros: u64| {
            let mut latencies = Latencies::new();
            latencies.record(micros * 1000);
            Stream {
                stream: name.to_owned(),
                latency: latencies.summary(),
                ..Stream::default()
            }
        };
        let mut report = Report::new("noisy", String::new());
        report.push(Phase {
            main: stream("rpc", 100),
            ..Phase::default()
        });
        assert_eq!(report.effects(), []);
        report.push(Phase {
            main: stream("rpc", 350),
            beside: vec![stream("noise", 900)],
            ..Phase::default()
        });
        let effects = report.effects();
        assert_eq!((effects.len(), effects[0].stream), (1, "rpc"));
        let ("p99", Value::Micros(more)) = effects[0].more[1] else {
            panic!("{effects:?}");
        };
        assert!((more - 250.0).abs() < 1.0, "{more}");
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let names: Vec<_> = Phase::default()
            .metrics()
            .iter()
            .map(|metric| metric.name)
            .collect();
        assert_eq!(names, ["harness CPU"]);
        assert_eq!(Stream::default().metrics(), []);
    }
}
