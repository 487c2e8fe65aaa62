//! Which connections have something to write, and whose turn it is.
//!
//! Replies and small fan-outs are flushed promptly; the receivers of a large fan-out wait in a list of their own, so
//! that a call does not wait for ten thousand writes that have nothing to do with it. What is queued to one
//! connection leaves in its order all the same, whichever list the connection is taken from.

use std::collections::VecDeque;

use crosspoint_core::ids::ConnKey;

use crate::config::FLUSH_BATCH;
use crate::table::Dirty;

/// Receivers of one event from which on they are flushed in bulk: what a slice of flushing writes to at once.
const BULK_FROM: usize = FLUSH_BATCH;

/// How soon a connection is to be flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    Prompt,
    Bulk,
}

impl Haste {
    /// For an event with this many receivers on one shard.
    pub(super) fn of_fan_out(receivers: usize) -> Self {
        if receivers > BULK_FROM {
            Self::Bulk
        } else {
            Self::Prompt
        }
    }
}

/// Connections in the order in which they became dirty. Those that have ended may still be among them.
#[derive(Debug, Default)]
pub(super) struct DirtyLists {
    prompt: VecDeque<ConnKey>,
    bulk: VecDeque<ConnKey>,
}

impl DirtyLists {
    pub(super) fn is_empty(&self) -> bool {
        self.prompt.is_empty() && self.bulk.is_empty()
    }

    /// Whether a connection is to be flushed promptly.
    pub(super) fn has_prompt(&self) -> bool {
        !self.prompt.is_empty()
    }

    /// Lists the connection whose membership is `dirty`. One in both lists is met twice and written to once.
    pub(super) fn add(&mut self, conn: ConnKey, dirty: &mut Dirty, haste: Haste) {
        match haste {
            Haste::Prompt if !dirty.prompt => {
                dirty.prompt = true;
                self.prompt.push_back(conn);
            }
            Haste::Bulk if !dirty.prompt && !dirty.bulk => {
                dirty.bulk = true;
                self.bulk.push_back(conn);
            }
            Haste::Prompt | Haste::Bulk => {}
        }
    }

    /// Takes the next connection for a batch in which this many are from the prompt list already. Bulk has a
    /// fourth of each batch, however much is prompt.
    pub(super) fn take(&mut self, prompt: usize) -> Option<(ConnKey, Haste)> {
        const PROMPT_MAX: usize = FLUSH_BATCH / 4 * 3;
        let bulk_first = prompt >= PROMPT_MAX && !self.bulk.is_empty();
        if !bulk_first && let Some(conn) = self.prompt.pop_front() {
            return Some((conn, Haste::Prompt));
        }
        self.bulk.pop_front().map(|conn| (conn, Haste::Bulk))
    }
}

impl Dirty {
    /// The connection was taken from the list.
    pub(super) fn taken(&mut self, haste: Haste) {
        match haste {
            Haste::Prompt => self.prompt = false,
            Haste::Bulk => self.bulk = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> ConnKey {
        ConnKey { slot, generation: 1 }
    }

    #[test]
    fn prompt_connections_go_first_and_bulk_is_never_left_out() {
        let mut lists = DirtyLists::default();
        let prompt = u32::try_from(FLUSH_BATCH).unwrap();
        for slot in 0..2 {
            lists.add(key(slot), &mut Dirty::default(), Haste::Bulk);
        }
        for slot in 10..10 + prompt {
            lists.add(key(slot), &mut Dirty::default(), Haste::Prompt);
        }
        let mut taken = 0;
        let batch: Vec<_> = std::iter::from_fn(|| {
            let (conn, haste) = lists.take(taken)?;
            taken += usize::from(haste == Haste::Prompt);
            Some(conn.slot)
        })
        .take(FLUSH_BATCH)
        .collect();
        let turn = FLUSH_BATCH / 4 * 3;
        assert!(batch[..turn].iter().all(|&slot| slot >= 10));
        assert_eq!(batch[turn..turn + 3], [0, 1, 10 + turn as u32]);
    }

    #[test]
    fn a_connection_is_listed_once_and_may_become_more_urgent() {
        let (mut lists, mut dirty) = (DirtyLists::default(), Dirty::default());
        for haste in [
            Haste::Bulk,
            Haste::Bulk,
            Haste::Prompt,
            Haste::Prompt,
            Haste::Bulk,
        ] {
            lists.add(key(1), &mut dirty, haste);
        }
        assert_eq!(lists.take(0), Some((key(1), Haste::Prompt)));
        dirty.taken(Haste::Prompt);
        lists.add(key(1), &mut dirty, Haste::Bulk);
        assert_eq!(lists.take(0), Some((key(1), Haste::Bulk)));
        assert!(lists.is_empty());
    }
}
