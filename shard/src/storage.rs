//! The shards' seam to what outlives the process.

use std::fmt;

use crosspoint_core::effect::{HistoryChange, StoredEvent};
use crosspoint_core::ids::RealmId;

/// Keeps durable histories. Called on the threads of shards: it must not wait.
pub trait Storage: fmt::Debug + Send + Sync {
    /// What earlier runs left of a history, by its index in its realm's configuration, in the order of the events'
    /// numbers. Asked for once, at the start of the shard that owns the history.
    fn take_past(&self, realm: RealmId, history: usize) -> Vec<StoredEvent>;

    /// Takes a change, to be stored soon. What cannot be stored is dropped and counted.
    fn store(&self, change: Box<HistoryChange>);
}
