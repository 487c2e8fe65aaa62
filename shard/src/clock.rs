//! Where a shard gets the time from.

use std::time::Instant;

use crosspoint_core::time::Time;

/// A clock that never goes back; tests bring one of their own.
pub trait Clock {
    /// The time.
    fn now(&self) -> Time;
}

/// The system's monotonic clock. All shards of a process count from the same start.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Time {
        Time::default().after(self.start.elapsed())
    }
}
