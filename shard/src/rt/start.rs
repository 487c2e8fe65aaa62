//! Making an executor for a shard.

use std::future::Future;
use std::io;
use std::sync::mpsc::{Sender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crosspoint_core::ids::ShardId;
use glommio::{GlommioError, LocalExecutorBuilder, Placement, PoolPlacement};
use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_getaffinity};

use super::drive::drive;
use super::ring::{Ring, Watcher};
use super::{Options, Report, ShardThread, StartError};
use crate::clock::MonotonicClock;
use crate::heartbeat::Pulse;
use crate::mesh::Mailbox;
use crate::shard::ShardRc;

/// Entries of an executor's io_uring. Depth hardly matters to speed, and memory that is locked grows with it.
const RING_DEPTH: usize = 512;

/// The shallowest ring that is tried where less memory may be locked.
const RING_DEPTH_MIN: usize = 64;

/// The processors that this process may use.
pub(super) fn allowed_cpus() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect();
    if cpus.is_empty() {
        Err(io::ErrorKind::NotFound.into())
    } else {
        Ok(cpus)
    }
}

/// What a shard's thread is given.
pub(super) struct Seat<Task> {
    pub(super) mailbox: Mailbox,
    pub(super) serve: Task,
    pub(super) options: Options,
    pub(super) clock: MonotonicClock,
    pub(super) reporter: Sender<Report>,
}

/// Starts an executor, pinned to `cpu` if there is one, with a smaller ring if there is too little memory for the usual one.
pub(super) fn start_shard<Task, Done>(
    seat: Seat<Task>,
    id: ShardId,
    cpu: Option<usize>,
) -> Result<ShardThread, StartError>
where
    Task: FnOnce(ShardRc, Watcher) -> Done + Send + 'static,
    Done: Future + 'static,
{
    let pulse = Arc::new(Pulse::new());
    // An executor that fails to start drops what it was given; the seat survives for the next attempt.
    let seat = Arc::new(Mutex::new(Some(seat)));
    let failed = |error: GlommioError<()>| StartError::Executor {
        shard: id,
        reason: error.to_string(),
    };
    let mut depth = RING_DEPTH;
    loop {
        let (ready, is_ready) = sync_channel(1);
        let (seat, pulse) = (Arc::clone(&seat), Arc::clone(&pulse));
        let task_pulse = Arc::clone(&pulse);
        let handle = executor(id, cpu, depth)
            .spawn(move || async move {
                let ring = match Ring::new() {
                    Ok(ring) => ring,
                    Err(error) => {
                        // Nobody listens if the one who starts shards went away.
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                let seat = seat.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(seat) = seat {
                    drive(seat, ring, &task_pulse, &ready).await;
                }
            })
            .map_err(failed)?;
        let error = match (is_ready.recv(), handle) {
            (Ok(Ok(counters)), handle) => {
                return Ok(ShardThread {
                    id,
                    pulse,
                    counters,
                    handle,
                    drained: false,
                    ended: false,
                });
            }
            (Ok(Err(error)), handle) => {
                // It ends by itself, and told why.
                let _ = handle.join();
                GlommioError::IoError(error)
            }
            (Err(_), handle) => match handle.join() {
                Err(error) => error,
                Ok(()) => io::Error::from(io::ErrorKind::Interrupted).into(),
            },
        };
        match error {
            GlommioError::IoError(error)
                if error.raw_os_error() == Some(Errno::NOMEM.raw_os_error())
                    && depth / 2 >= RING_DEPTH_MIN =>
            {
                depth /= 2;
            }
            GlommioError::IoError(error) if error.raw_os_error() == Some(Errno::NOMEM.raw_os_error()) => {
                return Err(StartError::LockedMemory { shard: id });
            }
            error => return Err(failed(error)),
        }
    }
}

fn executor(id: ShardId, cpu: Option<usize>, depth: usize) -> LocalExecutorBuilder {
    LocalExecutorBuilder::new(cpu.map_or(Placement::Unbound, Placement::Fixed))
        .name(&format!("shard-{id}"))
        // Registered buffers are for files; shards have none.
        .io_memory(0)
        .ring_depth(depth)
        // Otherwise its blocking threads would be pinned to the shard's processor.
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
}
