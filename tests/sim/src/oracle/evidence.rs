//! What a history shows is part of a log that holds the last publications to a topic or pattern, each once, in an order
//! that agrees with that of each publisher.
//!
//! In which order publications of several publishers reach the log is not seen from outside. Known is that all that was
//! published before a quiet moment is there before what came later. What is taken for missing, or for out of place, is so
//! in every order that there may have been; and so with bounds by bytes and by age, of which the oracle knows the least
//! and the most that they allow.

use crosspoint_core::time::UnixTime;

use super::history::{History, Past};
use super::recall::Recall;
use crate::broken::{Check, ensure};

/// The log that an answer is taken from, and what is in it.
pub(super) struct Evidence<'a> {
    pub(super) history: &'a History,
    pub(super) recall: &'a Recall,
    /// The answer, oldest first.
    pub(super) got: Vec<Past>,
    /// The last moment at which it may have been taken.
    pub(super) now: UnixTime,
}

impl Evidence<'_> {
    /// The answer fits to some order of what was published; `sees` is whether the asker wants and may see it.
    pub(super) fn check(&self, sees: impl Fn(&Past) -> bool) -> Check {
        let limit = self.recall.limit.unwrap_or(usize::MAX);
        let is_cut = self.got.len() >= limit;
        let (_, most) = self.history.lengths();
        let invariant = "an answer from a history has its last events, in their order and each once";
        for (place, event) in self.got.iter().enumerate() {
            let is_in_order = self.got[..place]
                .iter()
                .all(|other| other != event && !event.is_before(other));
            ensure!(
                is_in_order && sees(event) && self.got.len() <= limit,
                invariant,
                "{event:?} is out of place in {:?}",
                self.got
            );
            let behind = self.count(|other| event.is_before(other) && self.is_recorded(other));
            ensure!(
                behind < most,
                invariant,
                "{event:?} is there, though {behind} came after it: {:?}",
                self.got
            );
        }
        for event in &self.history.past {
            ensure!(
                !sees(event) || self.got.contains(event) || self.may_be_absent(event, is_cut),
                invariant,
                "{event:?} is not in {:?}",
                self.got
            );
        }
        if !is_cut {
            self.check_count(sees)?;
        }
        Ok(())
    }

    /// Whether an event that is not in the answer was perhaps not there yet, not there any more, or left out.
    fn may_be_absent(&self, event: &Past, is_cut: bool) -> bool {
        let is_cut_off = match (self.recall.reverse, self.got.first(), self.got.last()) {
            _ if !is_cut => false,
            (true, Some(oldest), _) => !oldest.is_before(event),
            (false, _, Some(newest)) => !event.is_before(newest),
            _ => true,
        };
        if is_cut_off || !self.is_recorded(event) {
            return true;
        }
        let outlived = self.got.iter().any(|other| other.is_before(event));
        !outlived && !self.is_surely_held(event)
    }

    /// Whether neither the number nor the bytes of what may have come after an event, nor its age, made it go.
    fn is_surely_held(&self, event: &Past) -> bool {
        let (least, _) = self.history.lengths();
        self.count(|other| other != event && !other.is_before(event)) < least
            && !self.history.may_be_too_old(event, self.now)
    }

    /// With what others see the history is full, or there is no more.
    fn check_count(&self, sees: impl Fn(&Past) -> bool) -> Check {
        let past = &self.history.past;
        if past.iter().any(|event| !self.is_recorded(event)) {
            return Ok(());
        }
        let (shortest, longest) = self.history.lengths();
        let hidden = || past.iter().filter(|event| !sees(event));
        let perhaps = hidden().filter(|event| self.count(|other| event.is_before(other)) < longest);
        let surely = hidden().filter(|event| self.is_surely_held(event));
        let young = self.count(|event| !self.history.may_be_too_old(event, self.now));
        let (least, most) = (self.got.len() + surely.count(), self.got.len() + perhaps.count());
        ensure!(
            least <= longest && most >= shortest.min(young),
            "a history holds as many events as it may, and no more",
            "{} of {} are shown, and {least} to {most} are there, of {shortest} to {longest} that may be",
            self.got.len(),
            past.len()
        );
        Ok(())
    }

    /// Whether an event was surely in the log: all was quiet since, or a later one of its publisher is.
    fn is_recorded(&self, event: &Past) -> bool {
        let is_at_least = |other: &Past| other.publisher == event.publisher && other.place >= event.place;
        event.epoch < self.recall.epoch || self.got.iter().any(is_at_least)
    }

    fn count(&self, fits: impl Fn(&Past) -> bool) -> usize {
        self.history.past.iter().filter(|past| fits(past)).count()
    }
}
