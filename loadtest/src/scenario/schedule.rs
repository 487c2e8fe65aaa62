//! Who of many sources sends next, and when.

use std::collections::VecDeque;

use crate::pace::Pace;

/// What sending follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Loop {
    /// Completion: each source has so many under way.
    Closed(usize),
    /// The clock: so many a second of all sources together.
    Open(f64),
}

impl Loop {
    /// What the command line says: a rate, or else so many under way.
    pub(super) fn of(rate: Option<f64>, in_flight: u64) -> Self {
        rate.map_or(Self::Closed(in_flight as usize), Self::Open)
    }

    pub(super) const fn rate(self) -> Option<f64> {
        match self {
            Self::Closed(_) => None,
            Self::Open(rate) => Some(rate),
        }
    }
}

/// Gives sources their turns.
#[derive(Debug)]
pub(super) struct Schedule {
    sources: usize,
    how: Loop,
    mode: Mode,
    /// Sources that may send one more (closed loop).
    ready: VecDeque<usize>,
    /// The next source (open loop).
    turn: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Silent,
    Closed,
    Open(Pace),
}

impl Schedule {
    /// Nobody sends before [`Schedule::begin`].
    pub(super) const fn new(sources: usize, how: Loop) -> Self {
        Self {
            sources,
            how,
            mode: Mode::Silent,
            ready: VecDeque::new(),
            turn: 0,
        }
    }

    pub(super) fn begin(&mut self, now: u64) {
        match self.how {
            Loop::Closed(window) => {
                let sources = 0..self.sources;
                self.ready = sources
                    .flat_map(|source| std::iter::repeat_n(source, window))
                    .collect();
                self.mode = Mode::Closed;
            }
            Loop::Open(rate) => self.mode = Mode::Open(Pace::new(rate, now)),
        }
    }

    /// Nothing more is sent.
    pub(super) fn stop(&mut self) {
        self.mode = Mode::Silent;
    }

    /// Nothing more becomes due; what was due in an open loop is still sent.
    pub(super) fn end(&mut self, now: u64) {
        match &mut self.mode {
            Mode::Open(pace) => pace.end(now),
            Mode::Silent | Mode::Closed => self.stop(),
        }
    }

    /// Whether something was due by a time that has not been sent.
    pub(super) fn is_behind(&self, now: u64) -> bool {
        matches!(self.mode, Mode::Open(pace) if pace.is_behind(now))
    }

    /// What was due by a time and has not been sent: by which source, and when it should have been.
    pub(super) fn overdue(&self, now: u64) -> impl Iterator<Item = (usize, u64)> + use<> {
        let mut ahead = Self {
            ready: VecDeque::new(),
            ..*self
        };
        std::iter::from_fn(move || match ahead.mode {
            Mode::Open(_) => ahead.take(now),
            Mode::Silent | Mode::Closed => None,
        })
    }

    /// Whether the clock says what is due.
    pub(super) fn is_open(&self) -> bool {
        self.how.rate().is_some()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.mode == Mode::Closed
    }

    pub(super) fn is_silent(&self) -> bool {
        self.mode == Mode::Silent
    }

    /// The source that sends next, as soon as it may.
    pub(super) fn peek(&self) -> Option<usize> {
        match self.mode {
            Mode::Silent => None,
            Mode::Closed => self.ready.front().copied(),
            Mode::Open(_) => Some(self.turn),
        }
    }

    /// The source that is to send now, and when it should have.
    pub(super) fn take(&mut self, now: u64) -> Option<(usize, u64)> {
        match &mut self.mode {
            Mode::Silent => None,
            Mode::Closed => Some((self.ready.pop_front()?, now)),
            Mode::Open(pace) => {
                let due = pace.take(now)?;
                let source = self.turn;
                self.turn = (source + 1) % self.sources;
                Some((source, due))
            }
        }
    }

    /// Something that `source` sent is complete.
    pub(super) fn completed(&mut self, source: usize) {
        if self.mode == Mode::Closed {
            self.ready.push_back(source);
        }
    }

    /// When the next one is due. What is overdue waits for something else, such as a connection to become
    /// writable, and needs no waking.
    pub(super) fn deadline(&self, now: u64) -> Option<u64> {
        match self.mode {
            Mode::Open(pace) => pace.next().filter(|next| *next > now),
            Mode::Silent | Mode::Closed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_loop_sends_as_many_as_are_complete() {
        let mut schedule = Schedule::new(2, Loop::Closed(2));
        assert_eq!(schedule.take(0), None);
        schedule.begin(0);
        let taken: Vec<_> = std::iter::from_fn(|| schedule.take(7)).collect();
        assert_eq!(taken, [(0, 7), (0, 7), (1, 7), (1, 7)]);
        schedule.completed(1);
        assert_eq!((schedule.peek(), schedule.deadline(8)), (Some(1), None));
        assert_eq!(schedule.take(8), Some((1, 8)));
        schedule.stop();
        schedule.completed(0);
        assert_eq!(schedule.take(9), None);
    }

    #[test]
    fn an_open_loop_takes_sources_in_turn_when_they_are_due() {
        let mut schedule = Schedule::new(2, Loop::Open(1000.0));
        schedule.begin(5_000_000);
        let due = [(0, 5_000_000), (1, 6_000_000), (0, 7_000_000)];
        assert!(schedule.is_behind(7_500_000));
        assert!(schedule.overdue(7_500_000).eq(due));
        assert!(std::iter::from_fn(|| schedule.take(7_500_000)).eq(due));
        assert!(!schedule.is_behind(7_500_000));
        assert_eq!(schedule.deadline(7_500_000), Some(8_000_000));
        assert_eq!(schedule.deadline(8_000_000), None, "overdue");
        schedule.end(8_000_000);
        assert_eq!(
            schedule.take(9_500_000),
            Some((1, 8_000_000)),
            "due before the end"
        );
        assert_eq!(schedule.take(9_500_000), None);
    }
}
