//! Measures one phase: time, CPU, memory.

use crate::latency::Latencies;
use crate::process::{Usage, own_cpu_ns, usage};
use crate::report::{Phase, RouterUse};

/// What the router is known by; none, if it cannot be looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe(pub(crate) Vec<u32>);

impl Probe {
    /// What all processes use together; `None` if there is none.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let used = self.0.iter().filter_map(|pid| usage(*pid));
        used.reduce(|sum, used| Usage {
            cpu_ns: sum.cpu_ns + used.cpu_ns,
            rss: sum.rss + used.rss,
        })
    }
}

/// A phase that is being measured.
pub(crate) struct Meter {
    probe: Probe,
    started: u64,
    own_cpu: u64,
    router: Option<Usage>,
    peak: u64,
}

/// What a phase counted.
pub(crate) struct Counted {
    pub(crate) unit: &'static str,
    pub(crate) count: u64,
    pub(crate) asked_per_second: Option<f64>,
}

impl Meter {
    pub(crate) fn start(probe: &Probe, now: u64) -> Self {
        let router = probe.usage();
        Self {
            probe: probe.clone(),
            started: now,
            own_cpu: own_cpu_ns(),
            peak: router.map_or(0, |used| used.rss),
            router,
        }
    }

    /// Looks at the router's memory, for the peak.
    pub(crate) fn sample(&mut self) {
        if let Some(used) = self.probe.usage() {
            self.peak = self.peak.max(used.rss);
        }
    }

    pub(crate) fn finish(
        self,
        name: &'static str,
        now: u64,
        counted: &Counted,
        (latencies, lag): (&Latencies, &Latencies),
    ) -> Phase {
        let seconds = now.saturating_sub(self.started) as f64 / 1e9;
        let Counted {
            unit,
            count,
            asked_per_second,
        } = *counted;
        let router = self.router.zip(self.probe.usage());
        let router = router.map(|(before, after)| {
            let cpu_seconds = after.cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e9;
            RouterUse {
                cpu_seconds,
                cpu_us_per_unit: (count > 0).then(|| cpu_seconds * 1e6 / count as f64),
                rss_before: before.rss,
                rss_after: after.rss,
                rss_peak: self.peak.max(after.rss),
                rss_per_session: None,
            }
        });
        Phase {
            name,
            seconds,
            stalled: false,
            unit,
            count,
            per_second: count as f64 / seconds.max(1e-9),
            asked_per_second,
            latency: latencies.summary(),
            lag: lag.summary(),
            router,
            own_cpu_seconds: own_cpu_ns().saturating_sub(self.own_cpu) as f64 / 1e9,
        }
    }
}
