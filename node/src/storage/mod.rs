//! Durable histories: what a realm's store of type `cfxdb` keeps beyond the end of the process.
//!
//! Each such store has a file, which is read once, before the shards start, and a thread that writes it. The histories'
//! bounds are those of the shards: the store adds and forgets what they tell it to.

mod file;
mod record;
mod unchanged;
mod writer;

#[cfg(test)]
mod tests;

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crosspoint_core::effect::{HistoryChange, StoredEvent};
use crosspoint_core::ids::RealmId;
use crosspoint_shard::Storage;
use tracing::info;

use self::file::Place;
use self::writer::Writer;
use crate::config::{Realm, Router};
use crate::start::Failure;

/// The file of a store in `directory`.
pub(crate) fn file_in(directory: &Path) -> PathBuf {
    file::path_in(directory)
}

/// The stores of a router, by realm.
#[derive(Debug)]
pub(crate) struct Stores(Vec<Option<Store>>);

/// One realm's store.
#[derive(Debug)]
struct Store {
    /// By history; taken by the shards that own them.
    past: Mutex<Vec<Vec<StoredEvent>>>,
    /// None where the store is only read.
    writer: Option<Writer>,
}

impl Stores {
    /// Opens the stores of all realms that have one, and reads them; `None` where no realm has one.
    ///
    /// # Errors
    /// If one of them cannot be used, with what to do about it.
    pub(crate) fn open(router: &Router) -> Result<Option<Arc<Self>>, Failure> {
        if router.realms.iter().all(|realm| realm.storage.is_none()) {
            return Ok(None);
        }
        let realms = router.realms.iter().enumerate();
        let stores: Result<_, Failure> = realms
            .map(|(id, realm)| open(RealmId(id as u32), realm))
            .collect();
        Ok(Some(Arc::new(Self(stores?))))
    }

    /// The router is about to end: from here on everything is written as soon as it can be.
    pub(crate) fn hurry(&self) {
        self.writers().for_each(Writer::hurry);
    }

    /// Writes everything that was taken, if it can be, and closes the files. What comes later is dropped.
    pub(crate) fn close(&self) {
        // All of them at once.
        self.writers().for_each(Writer::stop);
        self.writers().for_each(Writer::join);
    }

    fn writers(&self) -> impl Iterator<Item = &Writer> {
        self.0.iter().flatten().filter_map(|store| store.writer.as_ref())
    }

    fn store(&self, realm: RealmId) -> Option<&Store> {
        self.0.get(realm.0 as usize)?.as_ref()
    }
}

impl Storage for Stores {
    fn take_past(&self, realm: RealmId, history: usize) -> Vec<StoredEvent> {
        let past = self.store(realm).map(|store| &store.past);
        let mut past = past.map(|past| past.lock().unwrap_or_else(PoisonError::into_inner));
        let past = past.as_deref_mut().and_then(|past| past.get_mut(history));
        past.map(mem::take).unwrap_or_default()
    }

    fn store(&self, change: Box<HistoryChange>) {
        if let Some(writer) = self.store(change.realm).and_then(|store| store.writer.as_ref()) {
            writer.store(change);
        }
    }
}

fn open(id: RealmId, realm: &Realm) -> Result<Option<Store>, Failure> {
    let Some(storage) = &realm.storage else {
        return Ok(None);
    };
    let place = Place::new(storage, &realm.histories);
    let name = &realm.name;
    let failed = |error: file::Unusable| Failure(format!("{}: {}", storage.key_path, error.at(name, &place)));
    info!(realm = name, file = %place.path().display(), "reading store");
    let (past, file) = if storage.readonly {
        (place.read_only(id).map_err(failed)?, None)
    } else {
        let file = place.open().map_err(failed)?;
        (place.past(&file, id).map_err(failed)?, Some(file))
    };
    let events: usize = past.iter().map(Vec::len).sum();
    info!(realm = name, file = %place.path().display(), events, "store opened");
    let writer = file
        .map(|file| Writer::start(name, place, file, storage))
        .transpose();
    Ok(Some(Store {
        past: Mutex::new(past),
        writer: writer.map_err(|error| Failure::system("start a thread", &error))?,
    }))
}
