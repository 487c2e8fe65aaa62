//! The file of a store: one redb database, with a table for each history.
//!
//! A table is named by its history's policy and URI, and holds records by the numbers of their events. So nothing in the
//! file depends on the order of the configuration, or on the number of shards.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions, TryLockError};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crosspoint_core::config::History;
use crosspoint_core::effect::{HistoryChange, StoredEvent};
use crosspoint_core::ids::RealmId;
use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, Error, ReadTransaction, ReadableDatabase, StorageBackend, TableDefinition,
    TableError, TableHandle, WriteTransaction,
};
use tracing::warn;

use super::record::{decode, encode};
use super::unchanged::Unchanged;
use crate::config::Storage;

/// The file in the store's directory.
const NAME: &str = "history.redb";

/// The form of the whole file.
const FORMAT: u64 = 1;

/// Where the file says what it is.
const ABOUT: TableDefinition<&str, u64> = TableDefinition::new("crosspoint");
const ABOUT_FORMAT: &str = "format";

/// Memory for pages of the file: a batch touches few, and what was stored is read once.
const CACHE: usize = 8 << 20;

/// Numbers of events are below this one, so that more can always follow.
const NUMBER_END: u64 = 1 << 63;

type Records<'n> = TableDefinition<'n, u64, &'static [u8]>;

/// The file of a store in `directory`.
pub(super) fn path_in(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// Where a store is and what is in it.
#[derive(Debug)]
pub(super) struct Place {
    file: PathBuf,
    sync: bool,
    /// The names of the histories' tables.
    tables: Vec<String>,
}

/// An open file.
#[derive(Debug)]
pub(super) struct File {
    database: Database,
    /// To be on the disk at the end, whatever happens in between.
    file: fs::File,
    /// Kept between batches for its memory.
    record: Vec<u8>,
}

/// Why a store cannot be used, and what to do.
#[derive(Debug)]
pub(super) struct Unusable(String);

impl Unusable {
    pub(super) fn at(self, realm: &str, place: &Place) -> String {
        let file = place.file.display();
        format!("cannot use the store of realm {realm:?}, {file}: {self}")
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Unusable {
    fn from(error: Error) -> Self {
        const DAMAGED: &str = "bring a copy of the file back, or move it away to begin anew";
        Self(match error {
            Error::DatabaseAlreadyOpen => {
                "another process, or another realm, uses it; give each a \"path\" of its own".to_owned()
            }
            Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                format!("{error}; let the user that runs crosspoint read and write there")
            }
            Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
                format!("{error}; make room on the disk")
            }
            Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                format!("it is no store of Crosspoint ({error}); {DAMAGED}")
            }
            Error::Io(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                format!(
                    "{error}; give the store another \"path\", or start once without \"readonly\" to make it"
                )
            }
            Error::Io(error) => error.to_string(),
            Error::UpgradeRequired(_) => {
                format!("it was written by another version of Crosspoint; {DAMAGED}")
            }
            error => format!("it is damaged ({error}); {DAMAGED}"),
        })
    }
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Error::Io(error).into()
    }
}

impl From<DatabaseError> for Unusable {
    fn from(error: DatabaseError) -> Self {
        Error::from(error).into()
    }
}

impl Place {
    /// The store of a realm with these histories.
    pub(super) fn new(storage: &Storage, histories: &[History]) -> Self {
        let table = |history: &History| format!("history {} {}", history.match_policy.name(), history.uri);
        Self {
            file: path_in(&storage.path),
            sync: storage.sync,
            tables: histories.iter().map(table).collect(),
        }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// Opens the file, and makes it if there is none. Histories that are not configured any more are deleted.
    ///
    /// # Errors
    /// [`Unusable`]
    pub(super) fn open(&self) -> Result<File, Unusable> {
        if let Some(directory) = self.file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        if self.is_missing()
            && let Some(made) = self.make()?
        {
            return Ok(made);
        }
        let file = self.database(options().open(&self.file)?)?;
        self.take_over(&file)?;
        Ok(file)
    }

    fn is_missing(&self) -> bool {
        // A link to where nothing is yet is something that is here.
        let found = self.file.symlink_metadata();
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    /// Makes the file under another name, and gives it its own when it is whole: one that was begun only would be taken for
    /// a damaged one. `None` if another process was faster.
    fn make(&self) -> Result<Option<File>, Unusable> {
        let begun = self.file.with_extension("new");
        let file = options().open(&begun)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::DatabaseAlreadyOpen.into()),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // Who holds the lock may have renamed it just before.
        if !self.is_missing() {
            fs::remove_file(&begun)?;
            return Ok(None);
        }
        // What an attempt that was interrupted left.
        file.set_len(0)?;
        let file = self.database(file)?;
        self.take_over(&file)?;
        file.file.sync_all()?;
        fs::rename(&begun, &self.file)?;
        if let Some(directory) = self.file.parent() {
            fs::File::open(directory)?.sync_all()?;
        }
        Ok(Some(file))
    }

    fn database(&self, file: fs::File) -> Result<File, Unusable> {
        let backend = Backend {
            inner: FileBackend::new(file.try_clone()?)?,
            sync: self.sync,
        };
        Ok(File {
            database: open(backend)?,
            file,
            record: Vec::new(),
        })
    }

    /// Marks a new file as ours, refuses one that is not, and deletes what is configured no more.
    fn take_over(&self, file: &File) -> Result<(), Unusable> {
        let transaction = file.database.begin_read().map_err(Error::from)?;
        let is_new = transaction.list_tables().map_err(Error::from)?.next().is_none();
        if !is_new {
            self.check(&transaction)?;
        }
        drop(transaction);
        let transaction = file.database.begin_write().map_err(Error::from)?;
        self.prepare(&transaction)?;
        Ok(transaction.commit().map_err(Error::from)?)
    }

    /// All events of a file that is only read, by history.
    ///
    /// # Errors
    /// [`Unusable`]
    pub(super) fn read_only(&self, realm: RealmId) -> Result<Vec<Vec<StoredEvent>>, Unusable> {
        let database = open(Unchanged::open(&self.file)?)?;
        let transaction = database.begin_read().map_err(Error::from)?;
        self.check(&transaction)?;
        Ok(self.read(&transaction, realm)?)
    }

    /// What is in a file just opened, by history.
    ///
    /// # Errors
    /// [`Unusable`]
    pub(super) fn past(&self, file: &File, realm: RealmId) -> Result<Vec<Vec<StoredEvent>>, Unusable> {
        let transaction = file.database.begin_read().map_err(Error::from)?;
        Ok(self.read(&transaction, realm)?)
    }

    fn prepare(&self, transaction: &WriteTransaction) -> Result<(), Error> {
        let names: Vec<String> = transaction
            .list_tables()?
            .map(|table| table.name().to_owned())
            .collect();
        if names.is_empty() {
            transaction.open_table(ABOUT)?.insert(ABOUT_FORMAT, FORMAT)?;
        }
        for name in names.iter().filter(|name| name.starts_with("history ")) {
            if !self.tables.contains(name) {
                warn!(file = %self.file.display(), table = name, "deleted: the configuration does not name this history any more");
                transaction.delete_table(Records::new(name))?;
            }
        }
        Ok(())
    }

    /// Whether the file is one of ours.
    fn check(&self, transaction: &ReadTransaction) -> Result<(), Unusable> {
        let format = match transaction.open_table(ABOUT) {
            Ok(table) => table
                .get(ABOUT_FORMAT)
                .map_err(Error::from)?
                .map(|format| format.value()),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(Error::from(error).into()),
        };
        match format {
            Some(FORMAT) => Ok(()),
            Some(other) => Err(Unusable(format!(
                "its format is version {other}, this program has version {FORMAT}; use the version that wrote it, or \
                 move the file away to begin anew"
            ))),
            None => Err(Unusable(
                "it is the database of another program; choose another \"path\"".to_owned(),
            )),
        }
    }

    fn read(&self, transaction: &ReadTransaction, realm: RealmId) -> Result<Vec<Vec<StoredEvent>>, Error> {
        let histories = self.tables.iter();
        histories
            .map(|name| self.read_history(transaction, (realm, name)))
            .collect()
    }

    fn read_history(
        &self,
        transaction: &ReadTransaction,
        (realm, name): (RealmId, &str),
    ) -> Result<Vec<StoredEvent>, Error> {
        let table = match transaction.open_table(Records::new(name)) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let (mut events, mut skipped, mut publisher) = (Vec::new(), 0_u64, None);
        let mut reason = None;
        for entry in table.range(..NUMBER_END)? {
            let (number, record) = entry?;
            match decode((realm, number.value()), record.value(), &mut publisher) {
                Ok(event) => events.push(event),
                Err(why) => {
                    skipped += 1;
                    reason = Some(why);
                }
            }
        }
        if let Some(reason) = reason {
            let file = self.file.display();
            warn!(%file, table = name, skipped, last = %reason, "events that cannot be read are skipped");
        }
        Ok(events)
    }

    /// Writes what a batch makes of the histories; how many events it stored.
    ///
    /// # Errors
    /// If it is not stored. The file is to be opened anew then.
    pub(super) fn write(&self, file: &mut File, batch: &mut [HistoryChange]) -> Result<u64, Unusable> {
        // Those of one history stay in their order.
        batch.sort_by_key(|change| change.history);
        Ok(self.write_sorted(file, batch)?)
    }

    fn write_sorted(&self, file: &mut File, batch: &[HistoryChange]) -> Result<u64, Error> {
        let transaction = file.database.begin_write()?;
        let mut stored = 0;
        for changes in batch.chunk_by(|a, b| a.history == b.history) {
            let Some(name) = changes.first().and_then(|change| self.tables.get(change.history)) else {
                continue;
            };
            let mut table = transaction.open_table(Records::new(name))?;
            let first = changes
                .iter()
                .map(|change| change.first)
                .max()
                .unwrap_or_default();
            for event in changes.iter().filter_map(|change| change.added.as_ref()) {
                stored += 1;
                // What did not outlive its batch need not be written.
                if event.number >= first {
                    file.record.clear();
                    encode(event, &mut file.record);
                    table.insert(event.number, &*file.record)?;
                }
            }
            table.retain_in(..first, |_, _| false)?;
        }
        transaction.commit()?;
        Ok(stored)
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options
}

fn open(backend: impl StorageBackend) -> Result<Database, DatabaseError> {
    redb::Builder::new()
        .set_cache_size(CACHE)
        // A file that was changed behind redb's back could make it panic later.
        .set_check_integrity_on_open(true)
        .create_with_backend(backend)
}

impl File {
    /// Sees to it that everything is on the disk.
    ///
    /// # Errors
    /// If it is not.
    pub(super) fn close(self) -> Result<(), Error> {
        self.database.close()?;
        self.file.sync_all().map_err(Error::Io)
    }
}

/// A file that need not be on the disk after each transaction.
#[derive(Debug)]
struct Backend {
    inner: FileBackend,
    sync: bool,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.sync { self.inner.sync_data() } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, redb::BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), redb::BackendError> {
        self.inner.unlock_range(start, end)
    }
}
