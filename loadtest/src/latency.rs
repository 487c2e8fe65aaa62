//! Latencies: recorded in nanoseconds, reported in microseconds.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency that is told apart: what took longer counts as this.
const MAX_NS: u64 = 600_000_000_000;

/// The latencies of one phase, to three significant digits.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, MAX_NS, 3);
        Self(histogram.unwrap_or_else(|_| unreachable!("the bounds are constant and valid")))
    }

    pub(crate) fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    /// As often as `count` says.
    pub(crate) fn record_many(&mut self, nanoseconds: u64, count: u64) {
        self.0.saturating_record_n(nanoseconds, count);
    }

    /// Forgets what was recorded.
    pub(crate) fn clear(&mut self) {
        self.0.reset();
    }

    /// Takes in what another one recorded.
    pub(crate) fn add(&mut self, other: &Self) {
        // Both have the same bounds.
        let _ = self.0.add(&other.0);
    }

    /// The latency, in microseconds, at quantiles from 0 to 1 that lie the closer together the nearer they are to
    /// 1: eight for each halving of what is left.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        const STEPS_PER_HALVING: u32 = 8;
        let steps = self.0.iter_quantiles(STEPS_PER_HALVING);
        let points = steps.map(|step| (step.quantile(), step.value_iterated_to() as f64 / 1e3));
        let mut curve: Vec<_> = points.collect();
        // One latency that many messages share covers many steps.
        curve.dedup_by_key(|(quantile, _)| *quantile);
        curve
    }

    /// `None` where nothing was recorded.
    pub(crate) fn summary(&self) -> Option<Summary> {
        let micros = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        let at = |quantile| micros(self.0.value_at_quantile(quantile));
        (!self.0.is_empty()).then(|| Summary {
            count: self.0.len(),
            min_us: micros(self.0.min()),
            mean_us: self.0.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p99_9_us: at(0.999),
            max_us: micros(self.0.max()),
        })
    }
}

/// Percentiles, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) min_us: f64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p99_9_us: f64,
    pub(crate) max_us: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.summary(), None);
        for micros in 1..=1000 {
            latencies.record(micros * 1000);
        }
        let summary = latencies.summary().unwrap();
        let near = |value: f64, expected: f64| (value - expected).abs() <= expected / 1000.0;
        assert_eq!(summary.count, 1000);
        assert!(near(summary.p50_us, 500.0), "{summary:?}");
        assert!(near(summary.p90_us, 900.0), "{summary:?}");
        assert!(near(summary.p99_us, 990.0), "{summary:?}");
        assert!(near(summary.p99_9_us, 999.0), "{summary:?}");
        assert!(near(summary.max_us, 1000.0), "{summary:?}");
        latencies.clear();
        assert_eq!(latencies.summary(), None);
    }

    #[test]
    fn the_curve_rises_to_the_longest() {
        let mut latencies = Latencies::new();
        for micros in 1..=10_000 {
            latencies.record(micros * 1000);
        }
        let curve = latencies.curve();
        assert!(curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "{curve:?}");
        let (quantile, micros) = curve[curve.len() - 1];
        assert!(quantile == 1.0 && (micros - 10_000.0).abs() <= 10.0, "{curve:?}");
        let near_p99 = curve.iter().find(|(quantile, _)| *quantile >= 0.99).unwrap();
        assert!((9_900.0..9_950.0).contains(&near_p99.1), "{near_p99:?}");
    }

    #[test]
    fn what_two_recorded_is_added() {
        let (mut sum, mut other) = (Latencies::new(), Latencies::new());
        sum.record(1_000);
        other.record(3_000);
        sum.add(&other);
        let summary = sum.summary().unwrap();
        assert_eq!(summary.count, 2);
        assert!((summary.mean_us - 2.0).abs() < 0.01, "{summary:?}");
    }

    #[test]
    fn what_takes_too_long_is_counted_all_the_same() {
        let mut latencies = Latencies::new();
        latencies.record(u64::MAX);
        latencies.record(0);
        assert_eq!(latencies.summary().map(|summary| summary.count), Some(2));
    }
}
