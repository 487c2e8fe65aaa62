//! Whether what was sent arrived: once, and in order.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How one message fits into its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The first time, and none of those behind it came earlier.
    InOrder,
    /// The first time, but behind one that was sent later.
    Late,
    /// Not the first time.
    Duplicate,
}

/// What one receiver has got of one sender, whose messages are numbered from 0.
///
/// Memory grows with the number of gaps, not with that of messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sequence {
    /// All below are received or in `gaps`.
    next: u64,
    /// What is missing below `next`: the first and the one behind the last of each gap.
    gaps: BTreeMap<u64, u64>,
}

impl Sequence {
    pub(crate) fn receive(&mut self, sequence: u64) -> Arrival {
        if sequence >= self.next {
            if sequence > self.next {
                self.gaps.insert(self.next, sequence);
            }
            self.next = sequence + 1;
            return Arrival::InOrder;
        }
        let gap = self.gaps.range(..=sequence).next_back();
        let Some((&start, &end)) = gap.filter(|&(_, &end)| sequence < end) else {
            return Arrival::Duplicate;
        };
        self.gaps.remove(&start);
        if start < sequence {
            self.gaps.insert(start, sequence);
        }
        if sequence + 1 < end {
            self.gaps.insert(sequence + 1, end);
        }
        Arrival::Late
    }

    /// How many of the first `sent` messages did not arrive.
    pub(crate) fn missing(&self, sent: u64) -> u64 {
        let gaps: u64 = self.gaps.iter().map(|(start, end)| end - start).sum();
        gaps + sent.saturating_sub(self.next)
    }
}

/// Counts over all receivers and the whole run, not only the measured part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Messages that arrived, duplicates included.
    pub(crate) received: u64,
    /// Messages that did not arrive until the run gave up waiting.
    pub(crate) lost: u64,
    /// Messages that arrived again.
    pub(crate) duplicate: u64,
    /// Messages that arrived behind one that was sent later.
    pub(crate) out_of_order: u64,
    /// Payloads that are not what was sent.
    pub(crate) corrupt: u64,
    /// ERRORs in answer to calls.
    pub(crate) errors: u64,
}

impl Tally {
    /// Counts one message; returns whether it is new.
    pub(crate) fn count(&mut self, arrival: Arrival) -> bool {
        self.received += 1;
        match arrival {
            Arrival::InOrder => {}
            Arrival::Late => self.out_of_order += 1,
            Arrival::Duplicate => self.duplicate += 1,
        }
        arrival != Arrival::Duplicate
    }

    /// Takes in what was counted elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.lost += other.lost;
        self.duplicate += other.duplicate;
        self.out_of_order += other.out_of_order;
        self.corrupt += other.corrupt;
        self.errors += other.errors;
    }

    /// Whether the router did all that it should.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.duplicate + self.out_of_order + self.corrupt + self.errors == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            received,
            lost,
            duplicate,
            out_of_order,
            corrupt,
            errors,
        } = self;
        write!(
            f,
            "{received} received, {lost} lost, {duplicate} duplicate, {out_of_order} out of order"
        )?;
        write!(f, ", {corrupt} corrupt, {errors} errors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(received: &[u64], sent: u64) -> Tally {
        let (mut sequence, mut tally) = (Sequence::default(), Tally::default());
        for &number in received {
            tally.count(sequence.receive(number));
        }
        tally.lost = sequence.missing(sent);
        tally
    }

    #[test]
    fn all_in_order_is_clean() {
        let tally = tally(&[0, 1, 2, 3], 4);
        assert!(tally.is_clean());
        assert_eq!(tally.received, 4);
    }

    #[test]
    fn lost_in_front_in_between_and_at_the_end() {
        assert_eq!(tally(&[2, 3, 6], 10).lost, 2 + 2 + 3);
        assert_eq!(tally(&[], 3).lost, 3);
        assert!(!tally(&[0, 2], 3).is_clean());
    }

    #[test]
    fn duplicates_are_not_late_and_late_ones_are_not_lost() {
        let tally = tally(&[0, 3, 3, 1, 1, 0], 4);
        let expected = Tally {
            received: 6,
            lost: 1,
            duplicate: 3,
            out_of_order: 1,
            ..Tally::default()
        };
        assert_eq!(tally, expected);
        assert!(!tally.is_clean());
    }

    #[test]
    fn a_gap_closes_from_any_side() {
        for order in [[1, 2, 3], [3, 2, 1], [2, 1, 3], [2, 3, 1]] {
            let mut sequence = Sequence::default();
            sequence.receive(0);
            sequence.receive(4);
            for number in order {
                assert_eq!(sequence.receive(number), Arrival::Late);
                assert_eq!(sequence.receive(number), Arrival::Duplicate);
            }
            assert_eq!(sequence.missing(5), 0);
            assert!(sequence.gaps.is_empty());
        }
    }
}
