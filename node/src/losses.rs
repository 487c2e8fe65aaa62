//! Warnings about what the router refused or dropped, which its shards count and nobody sees otherwise.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crosspoint_net::{ConnectionCounters, Running};
use crosspoint_shard::{Counter, Counters};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::report::Report;

/// Between two looks at the counters.
const LOOK: Duration = Duration::from_secs(1);

/// What shards count, and what it means.
type Kind = (fn(&Counters) -> &Counter, &'static str);

const KINDS: [Kind; 3] = [
    (
        |counters| &counters.events_dropped_slow,
        "events are dropped: their subscribers read too slowly",
    ),
    (
        |counters| &counters.events_dropped_large,
        "events are dropped: they are larger than their subscribers take",
    ),
    (
        |counters| &counters.retained_evicted,
        "retained events are forgotten, or not kept: their realm's bounds have no room for them",
    ),
];

/// Counts what is lost.
pub(crate) struct Losses {
    shards: Vec<Arc<Counters>>,
    connections: Arc<ConnectionCounters>,
    refused: Report,
    dropped: [Report; KINDS.len()],
}

impl Losses {
    pub(crate) fn of(running: &Running) -> Self {
        Self {
            shards: running.runtime().counters().cloned().collect(),
            connections: Arc::clone(running.counters()),
            refused: Report::default(),
            dropped: Default::default(),
        }
    }

    /// Warns of what comes, at most once in a while of each kind. Does not end.
    pub(crate) async fn watch(mut self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Some(count) = self.refused.reach(self.connections.over_limit.load(Relaxed)) {
                warn!(
                    count,
                    "connections are refused: their transport has as many as \"max_connections\" allows"
                );
            }
            for (report, (counter, meaning)) in self.dropped.iter_mut().zip(KINDS) {
                let counts = self.shards.iter().map(|shard| counter(shard).get());
                if let Some(count) = report.reach(counts.fold(0, u64::wrapping_add)) {
                    warn!(count, "{meaning}");
                }
            }
        }
    }
}
