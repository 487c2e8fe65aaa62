//! The executors that drive shards: the only module that names glommio.
//!
//! Invariants, which keep glommio 0.9's park bug away (an executor that finds its preemption timer expired when
//! it begins a round goes to sleep with tasks in its queue) or bound its harm:
//! - all tasks are in the default task queue, without latency requirements, and the preemption timer is the
//!   default one;
//! - no task yields in a loop: work is cut into slices, between which a task waits for a
//!   [turn of the reactor](reactor_turn);
//! - other threads wake tasks through coalescing flags only, and each connection has one task;
//! - a heartbeat wakes each shard every few milliseconds while it has work.

mod drive;
mod ring;
mod spin;
mod start;
mod turns;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crosspoint_core::config::RouterConfig;
use crosspoint_core::ids::ShardId;
use glommio::ExecutorJoinHandle;

use self::drive::LAST_WRITES;
use self::start::{Seat, allowed_cpus, start_shard};
use crate::clock::{Clock, MonotonicClock};
use crate::config::ShardConfig;
use crate::counters::Counters;
use crate::heartbeat::{Heartbeat, Pulse, Stage};
use crate::mesh::Mailbox;
use crate::shard::ShardRc;
use crate::storage::Storage;

pub use drive::reactor_turn;
pub use ring::{Opening, Watcher};

/// How long a shard that was told to end may take for it before its thread is given up.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// What [`Options::spin`] should be if nothing else is known: about what it costs a virtual machine to send a core to
/// sleep and wake it.
pub const SPIN: Duration = Duration::from_micros(200);

/// How shards are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The rules, the same on all shards.
    pub router: Arc<RouterConfig>,
    /// Limits and policies, the same on all shards.
    pub shard: ShardConfig,
    /// Randomness from the system: the source of all random ids. Each shard makes its own of it.
    pub seed: u64,
    /// How long at most a shard looks for work before it waits, if work is coming in quick succession; see [`SPIN`].
    /// Zero never looks.
    pub spin: Duration,
    /// Whether the processors that this process may use are meant for the shards, so that each keeps to one of them even
    /// where there are more processors than shards. Otherwise others may use those too, and the kernel decides.
    pub pin: bool,
    /// Where durable histories are stored, if there are any.
    pub storage: Option<Arc<dyn Storage>>,
}

/// Why shards could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The processors that the process may use are not known.
    #[error("cannot find out which processors may be used: {0}")]
    Affinity(io::Error),
    /// The executor of a shard could not be made.
    #[error("cannot start shard {shard}: {reason}")]
    Executor {
        /// The shard.
        shard: ShardId,
        /// What the runtime says.
        reason: String,
    },
    /// Too little memory may be locked, even for a small ring.
    #[error(
        "cannot start shard {shard}: the memory that may be locked (ulimit -l, LimitMEMLOCK=) is used up"
    )]
    LockedMemory {
        /// The shard.
        shard: ShardId,
    },
    /// The thread that watches the shards could not be started.
    #[error("cannot start the thread that watches the shards: {0}")]
    Heartbeat(io::Error),
}

/// A shard did not end in time; its thread is still there.
#[derive(Debug, thiserror::Error)]
#[error("shard {0} does not end")]
pub struct Stuck(pub ShardId);

/// Running shards.
#[derive(Debug)]
pub struct Runtime {
    clock: MonotonicClock,
    threads: Vec<ShardThread>,
    reports: Receiver<Report>,
    heartbeat: Option<Heartbeat>,
}

/// One shard's thread and what is shared with it.
#[derive(Debug)]
struct ShardThread {
    id: ShardId,
    pulse: Arc<Pulse>,
    counters: Arc<Counters>,
    handle: ExecutorJoinHandle<()>,
    /// As it reported.
    drained: bool,
    ended: bool,
}

/// What a shard tells the thread that shuts it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    /// No connection is left.
    Drained(ShardId),
    /// Its executor ends.
    Ended(ShardId),
}

/// Starts one shard for each of `mailboxes`. Where there are as many as processors of this process, or
/// [`Options::pin`] says so, they are pinned to these in turn.
///
/// On each, `serve(shard's number)` is run in a task of its own: there the transports accept connections, until
/// [`Shard::stopping`](crate::Shard::stopping). Its result is kept until the shard ends.
///
/// # Errors
/// See [`StartError`]; what was started has ended then.
pub fn start<Serve, Task, Done>(
    options: &Options,
    mailboxes: Vec<Mailbox>,
    mut serve: Serve,
) -> Result<Runtime, StartError>
where
    Serve: FnMut(ShardId) -> Task,
    Task: FnOnce(ShardRc, Watcher) -> Done + Send + 'static,
    Done: Future + 'static,
{
    let clock = MonotonicClock::start();
    let cpus = allowed_cpus().map_err(StartError::Affinity)?;
    let (reporter, reports) = channel();
    let mut runtime = Runtime {
        clock,
        threads: Vec::new(),
        reports,
        heartbeat: None,
    };
    let pinned = options.pin || mailboxes.len() >= cpus.len();
    for mailbox in mailboxes {
        let id = mailbox.shard();
        let seat = Seat {
            mailbox,
            serve: serve(id),
            options: options.clone(),
            clock,
            reporter: reporter.clone(),
        };
        let cpu = pinned.then(|| cpus[runtime.threads.len() % cpus.len()]);
        match start_shard(seat, id, cpu) {
            Ok(thread) => runtime.threads.push(thread),
            Err(error) => {
                // What does not end within its time is left alone: the error is what counts.
                let _ = runtime.end();
                return Err(error);
            }
        }
    }
    let shards = runtime.threads.iter();
    let shards = shards.map(|thread| (thread.id, Arc::clone(&thread.pulse), Arc::clone(&thread.counters)));
    match Heartbeat::start(clock, shards) {
        Ok(heartbeat) => runtime.heartbeat = Some(heartbeat),
        Err(error) => {
            let _ = runtime.end();
            return Err(StartError::Heartbeat(error));
        }
    }
    Ok(runtime)
}

impl Runtime {
    /// The clock of all shards.
    #[must_use]
    pub fn clock(&self) -> MonotonicClock {
        self.clock
    }

    /// What each shard counts, in the order of their numbers.
    pub fn counters(&self) -> impl Iterator<Item = &Arc<Counters>> {
        self.threads.iter().map(|thread| &thread.counters)
    }

    /// For each shard, the longest time that it took to come round since this was last called.
    pub fn take_latency_max(&self) -> impl Iterator<Item = Duration> {
        self.threads.iter().map(|thread| thread.pulse.take_latency_max())
    }

    /// Says GOODBYE to all sessions, waits until they are gone or `grace` is over, writes what can be written,
    /// and ends all shards.
    ///
    /// # Errors
    /// If a shard does not end within a second or so after `grace`; all others have ended then.
    pub fn shutdown(mut self, grace: Duration) -> Result<(), Stuck> {
        self.advance(Stage::Drain);
        if !self.await_reports(grace, |thread| thread.drained) {
            tracing::warn!("sessions are left at the end of the grace period");
        }
        self.end()
    }

    fn end(&mut self) -> Result<(), Stuck> {
        self.advance(Stage::End);
        self.await_reports(LAST_WRITES * 2 + END_TIMEOUT, |thread| thread.ended);
        self.heartbeat = None;
        let mut stuck = Ok(());
        for thread in self.threads.drain(..) {
            if !thread.ended {
                stuck = Err(Stuck(thread.id));
            } else if let Err(error) = thread.handle.join() {
                tracing::error!(shard = thread.id.0, %error, "shard ended badly");
            }
        }
        stuck
    }

    fn advance(&self, stage: Stage) {
        for thread in &self.threads {
            thread.pulse.advance(stage);
            thread.pulse.beat(self.clock.now());
        }
    }

    /// Takes reports until all threads are `done`. Whether they were in time.
    fn await_reports(&mut self, timeout: Duration, done: impl Fn(&ShardThread) -> bool) -> bool {
        let end = Instant::now() + timeout;
        while !self.threads.iter().all(&done) {
            let Ok(report) = self
                .reports
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            else {
                return false;
            };
            let (Report::Drained(id) | Report::Ended(id)) = report;
            if let Some(thread) = self.threads.iter_mut().find(|thread| thread.id == id) {
                thread.drained = true;
                thread.ended |= report == Report::Ended(id);
            }
        }
        true
    }
}
