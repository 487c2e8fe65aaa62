//! How long a shard looks for work before it waits for it.
//!
//! A core that waits goes to sleep, and waking it takes as long as handling many messages: on a virtual machine some
//! tens of microseconds, of its own time and of whoever waits for it. So a shard whose work comes in quick succession
//! looks for the next piece for a while. One whose work comes seldom does not: looking for it in vain costs as
//! much as the sleep.
//!
//! Invariant: over time no more is spent on looking in vain than on the waits that follow it.

use std::time::Duration;

/// The first span that is tried.
const START: Duration = Duration::from_micros(10);

/// How long to look for work, learnt from how long it took to come.
#[derive(Debug)]
pub(super) struct Spin {
    max: Duration,
    span: Duration,
}

impl Spin {
    /// One that looks for `max` at most; zero never looks.
    pub(super) fn new(max: Duration) -> Self {
        Self {
            max,
            span: Duration::ZERO,
        }
    }

    /// How long to look this time.
    pub(super) fn span(&self) -> Duration {
        self.span
    }

    /// Work came after `gap`, whether somebody looked for it or not.
    pub(super) fn learn(&mut self, gap: Duration) {
        self.span = if gap <= self.max {
            (self.span * 2).max(START).min(self.max)
        } else if self.span > START {
            self.span / 2
        } else {
            Duration::ZERO
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_micros(50);

    fn after(gaps: &[Duration]) -> Duration {
        let mut spin = Spin::new(MAX);
        gaps.iter().for_each(|gap| spin.learn(*gap));
        spin.span()
    }

    #[test]
    fn work_in_quick_succession_is_looked_for_up_to_a_limit() {
        assert_eq!(after(&[]), Duration::ZERO);
        assert_eq!(after(&[MAX]), START);
        assert_eq!(after(&[MAX; 9]), MAX);
    }

    #[test]
    fn work_that_comes_seldom_is_not() {
        let seldom = Duration::from_millis(1);
        let mut gaps = [MAX; 16];
        gaps[9..].fill(seldom);
        assert_eq!(after(&gaps), Duration::ZERO);
    }

    #[test]
    fn it_can_be_turned_off() {
        let mut spin = Spin::new(Duration::ZERO);
        spin.learn(Duration::ZERO);
        assert_eq!(spin.span(), Duration::ZERO);
    }
}
