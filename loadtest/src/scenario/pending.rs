//! What of one sender is under way, and since when it should be there.

use std::collections::VecDeque;

/// Messages of one sender, numbered from 0, that have not fully arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    /// The number of the first entry.
    oldest: u64,
    entries: VecDeque<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// When it was to be sent.
    due: u64,
    /// How many have yet to receive it.
    left: u32,
}

/// One more has received a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    /// When it was to be sent.
    pub(super) due: u64,
    /// Whether that was the last one.
    pub(super) complete: bool,
}

impl Pending {
    /// The next message is sent, to so many.
    pub(super) fn sent(&mut self, due: u64, to: u32) {
        self.entries.push_back(Entry { due, left: to });
        self.trim();
    }

    /// One more has received a message; `None` if nobody waits for it any more.
    pub(super) fn received(&mut self, sequence: u64) -> Option<Received> {
        let place = sequence.checked_sub(self.oldest)? as usize;
        let entry = self.entries.get_mut(place).filter(|entry| entry.left > 0)?;
        entry.left -= 1;
        let (due, complete) = (entry.due, entry.left == 0);
        self.trim();
        Some(Received { due, complete })
    }

    /// Waits for nothing more of what was sent: when each was to be sent, and how many have not received it.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = (u64, u32)> {
        self.oldest += self.entries.len() as u64;
        let entries = std::mem::take(&mut self.entries).into_iter();
        entries
            .filter(|entry| entry.left > 0)
            .map(|entry| (entry.due, entry.left))
    }

    fn trim(&mut self) {
        while self.entries.pop_front_if(|entry| entry.left == 0).is_some() {
            self.oldest += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> Pending {
        let mut pending = Pending::default();
        for (due, to) in [(10, 2), (20, 2), (30, 0), (40, 2)] {
            pending.sent(due, to);
        }
        pending
    }

    #[test]
    fn a_message_is_complete_when_the_last_one_has_it() {
        let mut pending = pending();
        let mut received = |sequence| pending.received(sequence).map(|one| (one.due, one.complete));
        assert_eq!(received(1), Some((20, false)));
        assert_eq!(received(1), Some((20, true)));
        assert_eq!(received(0), Some((10, false)));
        assert_eq!(received(0), Some((10, true)));
        assert_eq!(received(0), None, "complete before");
        assert_eq!(received(2), None, "for nobody");
        assert_eq!(received(7), None, "never sent");
        assert_eq!(received(3), Some((40, false)));
        assert_eq!(pending.oldest, 3);
    }

    #[test]
    fn what_is_given_up_is_no_longer_waited_for() {
        let mut pending = pending();
        pending.received(3);
        let missing: Vec<_> = pending.give_up().collect();
        assert_eq!(missing, [(10, 2), (20, 2), (40, 1)]);
        assert_eq!(pending.received(0), None);
        pending.sent(50, 1);
        assert_eq!(
            pending.received(4),
            Some(Received {
                due: 50,
                complete: true
            })
        );
    }
}
