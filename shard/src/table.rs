//! The connections of a shard, by the keys that the router gives them.

use std::rc::Rc;

use crosspoint_core::ids::{ConnKey, ShardSet};
use crosspoint_core::time::Time;

use crate::kind::Kind;
use crate::outbox::Outbox;
use crate::wheel::Timer;
use crate::wire::Wire;

/// One connection.
pub(crate) struct Connection {
    pub(crate) wire: Rc<dyn Wire>,
    pub(crate) kind: Kind,
    pub(crate) phase: Phase,
    /// In which lists of connections to flush it is.
    pub(crate) dirty: Dirty,
    /// The kernel takes nothing more until [`Shard::writable`](crate::Shard::writable).
    pub(crate) blocked: bool,
    /// Much waits for it, and it is not blocked.
    pub(crate) laden: bool,
    /// A deadline for its progress is noted.
    pub(crate) watched: bool,
    /// The shards to which its messages made this one post, since it was let read on last.
    pub(crate) posted: ShardSet,
    pub(crate) peer_max_bytes: usize,
    pub(crate) outbox: Outbox,
    /// When the kernel last took something, or began to take nothing. Counts only while blocked.
    pub(crate) progress: Time,
    pub(crate) timer: Timer,
}

/// The lists of connections to flush that one is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dirty {
    pub(crate) prompt: bool,
    pub(crate) bulk: bool,
}

/// How far a connection's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not begun.
    Open,
    /// Nothing more is queued; it is closed when all is written.
    Closing,
    /// The transport was told to close.
    Closed,
}

/// A place for each connection at the slot of its key. The router hands out keys, so the slots are dense.
#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<Option<(u32, Connection)>>,
}

impl Table {
    pub(crate) fn insert(&mut self, key: ConnKey, connection: Connection) {
        let slot = key.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        debug_assert!(
            self.slots[slot].is_none(),
            "the router frees a key after the connection is gone"
        );
        self.slots[slot] = Some((key.generation, connection));
    }

    pub(crate) fn get(&self, key: ConnKey) -> Option<&Connection> {
        match self.slots.get(key.slot as usize)? {
            Some((generation, connection)) if *generation == key.generation => Some(connection),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, key: ConnKey) -> Option<&mut Connection> {
        match self.slots.get_mut(key.slot as usize)? {
            Some((generation, connection)) if *generation == key.generation => Some(connection),
            _ => None,
        }
    }

    /// The connection at `slot`, if its generation fits.
    pub(crate) fn find(&self, slot: u32, fits: impl FnOnce(u32) -> bool) -> Option<(ConnKey, &Connection)> {
        match self.slots.get(slot as usize)? {
            Some((generation, connection)) if fits(*generation) => {
                let generation = *generation;
                Some((ConnKey { slot, generation }, connection))
            }
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, key: ConnKey) -> Option<Connection> {
        self.get(key)?;
        self.slots[key.slot as usize]
            .take()
            .map(|(_, connection)| connection)
    }

    /// All connections.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().flatten().map(|(_, connection)| connection)
    }

    pub(crate) fn keys(&self) -> Vec<ConnKey> {
        let taken = self
            .slots
            .iter()
            .zip(0..)
            .filter_map(|(place, slot)| Some((slot, place.as_ref()?.0)));
        taken
            .map(|(slot, generation)| ConnKey { slot, generation })
            .collect()
    }
}
