//! When to send next: at fixed moments, whatever becomes of what was sent before.

/// An open loop. What comes late is still counted from when it was to be sent, so that a router that stalls
/// cannot hide the requests that were held up behind the stall ("coordinated omission").
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Nanoseconds from one to the next.
    interval: f64,
    start: u64,
    /// How many were taken.
    taken: u64,
    /// What would be due later is not.
    end: u64,
}

impl Pace {
    pub(crate) fn new(per_second: f64, start: u64) -> Self {
        Self {
            interval: 1e9 / per_second,
            start,
            taken: 0,
            end: u64::MAX,
        }
    }

    /// When the next one is to be sent; `None` if none is.
    pub(crate) fn next(&self) -> Option<u64> {
        let next = self.start + (self.taken as f64 * self.interval) as u64;
        Some(next).filter(|next| *next <= self.end)
    }

    /// Takes the next one if its time has come: when that was.
    pub(crate) fn take(&mut self, now: u64) -> Option<u64> {
        let due = self.next().filter(|due| *due <= now)?;
        self.taken += 1;
        Some(due)
    }

    /// Nothing is due any more after a time; what was due until then still is.
    pub(crate) fn end(&mut self, at: u64) {
        self.end = at;
    }

    /// Whether something was due by a time, and has not been taken.
    pub(crate) fn is_behind(&self, now: u64) -> bool {
        self.next().is_some_and(|next| next <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_is_counted_from_when_it_was_due() {
        let mut pace = Pace::new(1000.0, 5_000_000);
        assert_eq!(pace.take(4_999_999), None);
        assert_eq!(pace.take(5_000_000), Some(5_000_000));
        assert_eq!(pace.take(5_000_001), None);
        // A stall of three intervals: all three are due, each at its own time.
        let due: Vec<_> = std::iter::from_fn(|| pace.take(8_500_000)).collect();
        assert_eq!(due, [6_000_000, 7_000_000, 8_000_000]);
        assert_eq!(pace.next(), Some(9_000_000));
    }

    #[test]
    fn what_was_due_before_the_end_still_is() {
        let mut pace = Pace::new(1000.0, 0);
        pace.end(1_500_000);
        assert!(pace.is_behind(9_000_000));
        let due: Vec<_> = std::iter::from_fn(|| pace.take(9_000_000)).collect();
        assert_eq!(due, [0, 1_000_000]);
        assert_eq!((pace.next(), pace.is_behind(9_000_000)), (None, false));
    }

    #[test]
    fn a_rate_that_is_no_whole_interval_does_not_drift() {
        let mut pace = Pace::new(3.0, 0);
        let count = std::iter::from_fn(|| pace.take(999_999_999_999)).count();
        assert_eq!(count, 3000);
    }
}
