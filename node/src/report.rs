//! Trouble that comes often is reported seldom.

use std::time::{Duration, Instant};

/// Between two reports of the same trouble.
const REPORT: Duration = Duration::from_secs(10);

/// Counts trouble, and says when to report it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    count: u64,
    reported: u64,
    last: Option<Instant>,
}

impl Report {
    /// `more` of it.
    pub(crate) fn add(&mut self, more: u64) -> Option<u64> {
        self.reach(self.count + more)
    }

    /// So many of it by now: how many are to be reported, if it is time for it.
    pub(crate) fn reach(&mut self, count: u64) -> Option<u64> {
        let is_time = self.last.is_none_or(|last| last.elapsed() >= REPORT);
        self.count = count;
        if count == self.reported || !is_time {
            return None;
        }
        self.last = Some(Instant::now());
        // A sum of numbers that are read one after the other may wrap with them.
        let fresh = count.wrapping_sub(self.reported);
        self.reported = count;
        Some(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_soon_after_a_report_waits_for_the_next() {
        let mut report = Report::default();
        assert_eq!(report.reach(0), None);
        assert_eq!(report.reach(3), Some(3));
        assert_eq!((report.reach(4), report.add(2)), (None, None));
        report.last = report.last.and_then(|last| last.checked_sub(REPORT));
        assert_eq!(report.add(0), Some(3));
        report.last = report.last.and_then(|last| last.checked_sub(REPORT));
        assert_eq!(report.reach(6), None);
    }
}
