//! The thread that writes a store.
//!
//! Changes wait in a queue, and are written in batches: what has come when the first of them has waited for
//! `buffer-flush`, or earlier if there are `max-buffer` of them, or many bytes.
//!
//! Invariants: nobody waits for the disk but this thread. The queue is bounded in changes and bytes; what it does not
//! take is missing in the store, and counted, but harms nothing that is there: see [`HistoryChange`]. What could not be
//! written is tried again until it is, or the router ends.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use crosspoint_core::effect::HistoryChange;
use tracing::{error, info, warn};

use super::file::{File, Place, Unusable};
use crate::config::Storage;
use crate::report::Report;

/// Changes that the queue takes beyond a full batch: they come while that one is written.
const QUEUE: usize = 10_000;

/// Bytes of events that wait, or are being written, from which on no more are taken.
const QUEUE_BYTES: usize = 64 << 20;

/// Bytes of events that make a full batch.
const BATCH_BYTES: usize = 16 << 20;

/// Between two attempts to write what could not be written: at least, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How much longer than an attempt the pause after it is: each opens the file anew, which reads all of it.
const RETRY_SHARE: u32 = 10;

/// What a store counts: events, and batches of them.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "each field counts what its name says")]
pub(super) struct Counters {
    pub(super) stored: AtomicU64,
    pub(super) batches: AtomicU64,
    /// The queue was full.
    pub(super) dropped: AtomicU64,
    /// Attempts to write a batch that failed.
    pub(super) failures: AtomicU64,
}

/// What the writer shares with shards.
#[derive(Debug, Default)]
struct Shared {
    counters: Counters,
    /// Of all that waits, or is being written.
    bytes: AtomicUsize,
    /// Set when the router is about to end: batches do not wait any more.
    hurrying: AtomicBool,
    /// Set when there is nothing to come, and no time to try again.
    stopping: AtomicBool,
}

#[derive(Debug)]
pub(super) enum Order {
    Change(Box<HistoryChange>),
    /// Write what came before, and end.
    Stop,
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Sender<Order>,
    bell: Sender<()>,
    shared: Arc<Shared>,
    max_buffer: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub(super) fn start(realm: &str, place: Place, file: File, storage: &Storage) -> io::Result<Self> {
        let (mut writer, orders, rung) = Self::queue(storage.max_buffer);
        let writing = Writing {
            realm: realm.to_owned(),
            place,
            file: Some(file),
            orders,
            rung,
            shared: Arc::clone(&writer.shared),
            max_buffer: storage.max_buffer,
            flush: storage.buffer_flush,
            batch: Vec::new(),
            batch_bytes: 0,
            stop: false,
            dropped: Report::default(),
            failing: Report::default(),
        };
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writing.run())?;
        writer.thread = Mutex::new(Some(thread));
        Ok(writer)
    }

    /// The way to a thread that is not there yet; and its ends: what comes, and the bell.
    pub(super) fn queue(max_buffer: usize) -> (Self, Receiver<Order>, Receiver<()>) {
        let (queue, orders) = bounded(max_buffer + QUEUE);
        let (bell, rung) = bounded(1);
        let writer = Self {
            queue,
            bell,
            shared: Arc::default(),
            max_buffer,
            thread: Mutex::default(),
        };
        (writer, orders, rung)
    }

    /// Takes a change, or drops and counts it. Never waits.
    pub(super) fn store(&self, change: Box<HistoryChange>) {
        let (bytes, events) = (change.bytes, u64::from(change.added.is_some()));
        let waiting = self.shared.bytes.fetch_add(bytes, Relaxed);
        if waiting >= QUEUE_BYTES || self.queue.try_send(Order::Change(change)).is_err() {
            self.shared.bytes.fetch_sub(bytes, Relaxed);
            self.shared.counters.dropped.fetch_add(events, Relaxed);
        }
        if self.queue.len() >= self.max_buffer || waiting >= BATCH_BYTES {
            // If it rings already, that is enough.
            let _ = self.bell.try_send(());
        }
    }

    /// Has the thread write everything as soon as it can from here on.
    pub(super) fn hurry(&self) {
        self.shared.hurrying.store(true, Relaxed);
        let _ = self.bell.try_send(());
    }

    /// Has the thread write what was taken so far, if it can, and end.
    pub(super) fn stop(&self) {
        if !self.shared.stopping.swap(true, Relaxed) {
            let _ = self.bell.try_send(());
            // If it has ended nobody takes it.
            let _ = self.queue.send(Order::Stop);
        }
    }

    /// Waits for the end of the thread.
    pub(super) fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the thread of a store ended badly");
        }
    }

    #[cfg(test)]
    pub(super) fn counters(&self) -> &Counters {
        &self.shared.counters
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
        self.join();
    }
}

/// The thread's side.
struct Writing {
    realm: String,
    place: Place,
    /// Not open after a failure.
    file: Option<File>,
    orders: Receiver<Order>,
    rung: Receiver<()>,
    shared: Arc<Shared>,
    max_buffer: usize,
    flush: Duration,
    batch: Vec<HistoryChange>,
    batch_bytes: usize,
    stop: bool,
    dropped: Report,
    failing: Report,
}

impl Writing {
    fn run(mut self) {
        while !self.stop
            && let Ok(order) = self.orders.recv()
        {
            self.take(order);
            if !self.is_due() {
                // Early, if the batch is full or all is over.
                let _ = self.rung.recv_timeout(self.flush);
            }
            while !self.is_full()
                && !self.stop
                && let Ok(order) = self.orders.try_recv()
            {
                self.take(order);
            }
            if !self.write_until_done() {
                break;
            }
        }
        self.end();
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Change(change) => {
                self.batch_bytes += change.bytes;
                self.batch.push(*change);
            }
            Order::Stop => self.stop = true,
        }
    }

    fn is_full(&self) -> bool {
        self.batch.len() >= self.max_buffer || self.batch_bytes >= BATCH_BYTES
    }

    fn is_due(&self) -> bool {
        let is_enough = self.batch.len() + self.orders.len() >= self.max_buffer
            || self.shared.bytes.load(Relaxed) >= BATCH_BYTES;
        self.stop || is_enough || self.shared.hurrying.load(Relaxed) || self.is_stopping()
    }

    fn is_stopping(&self) -> bool {
        self.shared.stopping.load(Relaxed)
    }

    /// Writes the batch, however often that has to be tried. `false` if the router ends before it succeeds.
    fn write_until_done(&mut self) -> bool {
        loop {
            let began = Instant::now();
            let Err(reason) = self.write() else { break };
            let took = began.elapsed();
            self.shared.counters.failures.fetch_add(1, Relaxed);
            if let Some(failures) = self.failing.add(1) {
                let (realm, file) = (&self.realm, self.place.path().display());
                let waiting = self.batch.len() + self.orders.len();
                error!(realm, %file, failures, waiting, %reason, "cannot store events; trying again");
            }
            if self.is_stopping() {
                return false;
            }
            pause(&self.rung, &self.shared.stopping, retry_after(took));
        }
        self.failing = Report::default();
        self.batch.clear();
        let bytes = std::mem::take(&mut self.batch_bytes);
        self.shared.bytes.fetch_sub(bytes, Relaxed);
        self.report_dropped();
        true
    }

    fn write(&mut self) -> Result<(), Unusable> {
        // What failed once says nothing true any more.
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.place.open()?,
        };
        if !self.batch.is_empty() {
            let stored = self.place.write(&mut file, &mut self.batch)?;
            self.shared.counters.stored.fetch_add(stored, Relaxed);
            self.shared.counters.batches.fetch_add(1, Relaxed);
        }
        self.file = Some(file);
        Ok(())
    }

    fn report_dropped(&mut self) {
        let dropped = self.shared.counters.dropped.load(Relaxed);
        if let Some(dropped) = self.dropped.reach(dropped) {
            warn!(
                realm = self.realm,
                dropped, "the disk does not keep up: these events are kept in memory only"
            );
        }
    }

    fn end(mut self) {
        let lost = self.batch.iter().filter(|change| change.added.is_some()).count();
        let waiting = self.orders.try_iter();
        let lost = lost
            + waiting
                .filter(|order| matches!(order, Order::Change(change) if change.added.is_some()))
                .count();
        let closed = self.file.take().map(File::close);
        if let Some(Err(error)) = closed {
            error!(realm = self.realm, %error, "cannot close the store in order");
        }
        let Counters {
            stored,
            batches,
            dropped,
            failures,
        } = &self.shared.counters;
        let [stored, batches, dropped, failures] =
            [stored, batches, dropped, failures].map(|count| count.load(Relaxed));
        let realm = &self.realm;
        if lost > 0 {
            error!(realm, lost, "events are not stored");
        }
        info!(realm, stored, batches, dropped, failures, "store closed");
    }
}

/// How long to wait after an attempt that failed and took so long.
pub(super) fn retry_after(took: Duration) -> Duration {
    let (least, most) = RETRY;
    took.saturating_mul(RETRY_SHARE).clamp(least, most)
}

/// Waits for `span`, or until it is time to stop: the bell rings for full batches too, which are no reason to hurry.
pub(super) fn pause(rung: &Receiver<()>, stopping: &AtomicBool, span: Duration) {
    let end = Instant::now() + span;
    while rung.recv_deadline(end).is_ok() && !stopping.load(Relaxed) {}
}
