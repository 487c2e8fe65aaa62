//! What happened: a hash of all steps always, and their text where somebody wants to read it.

use std::collections::VecDeque;
use std::fmt;

/// How much text is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceLength {
    /// None: the hash only.
    Off,
    /// The last so many lines.
    Last(usize),
    /// Everything.
    Full,
}

/// The history of one seed.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    length: TraceLength,
    lines: VecDeque<String>,
}

impl Trace {
    pub(crate) fn new(length: TraceLength) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            length,
            lines: VecDeque::new(),
        }
    }

    /// Takes a number into the hash; the order counts.
    pub(crate) fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(23);
    }

    /// Adds a line, which is only made if it is kept.
    pub(crate) fn line(&mut self, line: impl FnOnce() -> String) {
        match self.length {
            TraceLength::Off => return,
            TraceLength::Last(most) if self.lines.len() >= most => drop(self.lines.pop_front()),
            TraceLength::Last(_) | TraceLength::Full => {}
        }
        self.lines.push_back(line());
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}

/// `Debug` of a value on one line, with what is empty, absent or default left out of the eye's way.
pub(crate) struct Terse<'a, T>(pub(crate) &'a T);

impl<T: fmt::Debug> fmt::Display for Terse<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:?}", self.0);
        let mut short = String::with_capacity(text.len());
        for part in text.split(", ") {
            let is_noise = [": None", ": false", ": Dict([])", "format: ", "kwargs: b\"\""]
                .iter()
                .any(|noise| part.trim_end_matches(" }").ends_with(noise) || part.contains(noise));
            if !is_noise {
                short.push_str(part);
                short.push_str(", ");
            } else if let Some(end) = part.find(" }") {
                short.push_str(&part[end..]);
                short.push_str(", ");
            }
        }
        f.write_str(short.trim_end_matches(", "))
    }
}
