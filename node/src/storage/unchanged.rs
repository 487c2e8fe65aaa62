//! A file that is only read, opened as if it could be written: redb checks a file as a whole, and repairs one that was
//! not closed in order, only where it may write. What it writes stays in memory.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{BackendError, DatabaseError, StorageBackend};

/// What is written is kept in pages of so many bytes.
const PAGE: u64 = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct Unchanged {
    file: File,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The length that redb set.
    len: u64,
    /// Bytes of the file from here on do not count any more.
    end_of_file: u64,
    /// By number.
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Unchanged {
    /// Opens a file that nobody writes to, and sees to it that nobody does while it is read.
    ///
    /// # Errors
    /// If there is none, it cannot be read, or it is open for writing.
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let file = File::open(path).map_err(io_error)?;
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DatabaseError::DatabaseAlreadyOpen),
            Err(TryLockError::Error(error)) => return Err(io_error(error)),
        }
        let len = file.metadata().map_err(io_error)?.len();
        Ok(Self {
            file,
            state: Mutex::new(State {
                len,
                end_of_file: len,
                pages: BTreeMap::new(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn io_error(error: io::Error) -> DatabaseError {
    DatabaseError::Storage(redb::StorageError::Io(error))
}

impl State {
    /// Fills `out` with what is at `offset` of the file; zeros where the file has nothing that counts.
    fn read_file(&self, file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = self.end_of_file.saturating_sub(offset);
        let there = usize::try_from(there).map_or(out.len(), |there| there.min(out.len()));
        let (old, new) = out.split_at_mut(there);
        file.read_exact_at(old, offset)?;
        new.fill(0);
        Ok(())
    }

    fn read(&self, file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset
            .checked_add(out.len() as u64)
            .is_none_or(|end| end > self.len)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, place, part) in parts(offset, out.len()) {
            let out = &mut out[part];
            match self.pages.get(&number) {
                Some(page) => out.copy_from_slice(&page[place..place + out.len()]),
                None => self.read_file(file, number * PAGE + place as u64, out)?,
            }
        }
        Ok(())
    }

    fn write(&mut self, file: &File, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset
            .checked_add(data.len() as u64)
            .is_none_or(|end| end > self.len)
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, place, part) in parts(offset, data.len()) {
            let data = &data[part];
            if !self.pages.contains_key(&number) {
                let mut page = vec![0; PAGE as usize].into_boxed_slice();
                self.read_file(file, number * PAGE, &mut page)?;
                self.pages.insert(number, page);
            }
            if let Some(page) = self.pages.get_mut(&number) {
                page[place..place + data.len()].copy_from_slice(data);
            }
        }
        Ok(())
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.end_of_file = self.end_of_file.min(len);
            let (last, rest) = (len / PAGE, (len % PAGE) as usize);
            self.pages.retain(|number, _| *number <= last);
            if let Some(page) = self.pages.get_mut(&last) {
                page[rest..].fill(0);
            }
        }
        self.len = len;
    }
}

/// The pages that `len` bytes from `offset` on are in: their numbers, where in the page, and which of the bytes.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let place = (at % PAGE) as usize;
        let count = (len - done).min(PAGE as usize - place);
        let part = done..done + count;
        done += count;
        (count > 0).then_some((at / PAGE, place, part))
    })
}

impl StorageBackend for Unchanged {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.state().read(&self.file, offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().set_len(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state().write(&self.file, offset, data)
    }

    // The file is locked as a whole for as long as it is open, and what is written is nobody else's.

    fn try_lock_range(&self, _start: Bound<u64>, _end: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _start: Bound<u64>, _end: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn unlock_range(&self, _start: Bound<u64>, _end: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        Read(u64, usize),
        SetLen(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let at = 0..20_000_u64;
        prop_oneof![
            (at.clone(), vec(any::<u8>(), 0..9000)).prop_map(|(at, data)| Step::Write(at, data)),
            (at.clone(), 0..9000_usize).prop_map(|(at, len)| Step::Read(at, len)),
            at.prop_map(Step::SetLen),
        ]
    }

    /// Where `len` bytes at `at` are, if they are there.
    fn range(at: u64, len: usize, of: &[u8]) -> Option<std::ops::Range<usize>> {
        let (at, end) = (at as usize, at as usize + len);
        (end <= of.len()).then_some(at..end)
    }

    proptest! {
        #[test]
        fn it_is_like_a_file_that_is_written_and_the_file_stays(
            content in vec(any::<u8>(), 0..20_000),
            steps in vec(step(), 1..20),
        ) {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("file");
            fs::write(&path, &content).expect("written");
            let unchanged = Unchanged::open(&path).expect("opened");
            let mut model = content.clone();
            for step in steps {
                match step {
                    Step::Write(at, data) => {
                        let range = range(at, data.len(), &model);
                        prop_assert_eq!(unchanged.write(at, &data).is_ok(), range.is_some());
                        if let Some(range) = range {
                            model[range].copy_from_slice(&data);
                        }
                    }
                    Step::Read(at, len) => {
                        let mut out = vec![1; len];
                        let range = range(at, len, &model);
                        prop_assert_eq!(unchanged.read(at, &mut out).is_ok(), range.is_some());
                        if let Some(range) = range {
                            prop_assert!(out == model[range]);
                        }
                    }
                    Step::SetLen(len) => {
                        unchanged.set_len(len).expect("set");
                        model.resize(len as usize, 0);
                    }
                }
            }
            prop_assert_eq!(unchanged.len().expect("a length"), model.len() as u64);
            let mut all = vec![1; model.len()];
            unchanged.read(0, &mut all).expect("read");
            prop_assert!(all == model);
            prop_assert!(fs::read(&path).expect("read") == content);
        }
    }
}
