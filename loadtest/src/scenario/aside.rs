//! A load in a thread of its own, which goes on and off beside what is measured.
//!
//! In one thread, what the harness itself has to do for a loud load would delay what it measures of a quiet one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Scope, ScopedJoinHandle};

use anyhow::Context;

use super::Stage;
use super::load::{Flow, Load};
use super::steady::Beside;
use crate::cli::Common;
use crate::process::thread_cpu_ns;

/// What two threads know of each other. Nothing else is passed by it, so that no order of memory matters.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Whether the load is to be on.
    on: AtomicBool,
    /// Whether the run is over.
    over: AtomicBool,
    ready: AtomicBool,
    /// Whether the load is off, and nothing of it is under way.
    silent: AtomicBool,
    count: AtomicU64,
    thread_cpu_ns: AtomicU64,
}

/// The thread, seen from outside.
pub(super) struct Aside<'scope> {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    shared: &'scope Shared,
    thread: ScopedJoinHandle<'scope, anyhow::Result<Flow>>,
}

impl<'scope> Aside<'scope> {
    /// Sets up, in a new thread, the load that `make` makes; [`Aside::start`] switches it on.
    pub(super) fn spawn<'env, L: Load>(
        scope: &'scope Scope<'scope, 'env>,
        shared: &'env Shared,
        common: &'env Common,
        beside: &Beside,
        make: impl FnOnce(&Stage<'_>) -> anyhow::Result<L> + Send + 'scope,
    ) -> Self {
        let (name, connections) = (beside.name, beside.connections);
        let thread = scope.spawn(move || {
            let mut stage = Stage::new(common, connections)?;
            let mut load = make(&stage)?;
            run(&mut stage, &mut load, shared).context(name)?;
            Ok(load.into_flow())
        });
        Self {
            name,
            unit: beside.unit,
            shared,
            thread,
        }
    }

    pub(super) fn start(&self) {
        self.shared.silent.store(false, Ordering::Relaxed);
        self.shared.on.store(true, Ordering::Relaxed);
    }

    pub(super) fn stop(&self) {
        self.shared.on.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.shared.ready.load(Ordering::Relaxed) || self.has_ended()
    }

    /// Whether nothing of it is under way since [`Aside::stop`].
    pub(super) fn is_silent(&self) -> bool {
        self.shared.silent.load(Ordering::Relaxed) || self.has_ended()
    }

    /// Whether it could not go on.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    pub(super) fn count(&self) -> u64 {
        self.shared.count.load(Ordering::Relaxed)
    }

    pub(super) fn thread_cpu_ns(&self) -> u64 {
        self.shared.thread_cpu_ns.load(Ordering::Relaxed)
    }

    /// Ends it; what it found, over the whole run.
    ///
    /// # Errors
    /// If it could not be set up or go on.
    pub(super) fn end(self) -> anyhow::Result<Flow> {
        self.shared.over.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(flow) => flow,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn run<L: Load>(stage: &mut Stage<'_>, load: &mut L, shared: &Shared) -> anyhow::Result<()> {
    stage.set_up(&mut [load])?;
    shared.ready.store(true, Ordering::Relaxed);
    let patience = stage.common.patience.as_nanos() as u64;
    let (mut on, mut off_since) = (false, 0);
    stage.driver.run(load, u64::MAX, |load, io| {
        if on != shared.on.load(Ordering::Relaxed) {
            on = !on;
            off_since = io.now();
            match on {
                true => load.begin(off_since),
                false => load.end(off_since),
            }
        }
        let now = io.now();
        if !on && load.is_behind(now) && now > off_since + patience {
            load.give_up(io, now);
            load.stop();
        }
        let behind = load.is_behind(now);
        let flow = load.flow();
        shared.count.store(flow.done, Ordering::Relaxed);
        shared.thread_cpu_ns.store(thread_cpu_ns(), Ordering::Relaxed);
        // What is lost is not waited for without end.
        let settled = flow.outstanding() == 0 || flow.is_stalled(now, patience);
        shared.silent.store(!on && !behind && settled, Ordering::Relaxed);
        shared.over.load(Ordering::Relaxed) || flow.failure.is_some()
    })?;
    stage.drain(&mut [load])?;
    stage.leave(&mut [load])
}
