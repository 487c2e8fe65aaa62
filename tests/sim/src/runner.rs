//! Many seeds on a few threads, and the report of one that failed.

use std::cell::Cell;
use std::fmt::Write;
use std::ops::Range;
use std::panic;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

use crate::{Options, Outcome, Tally, TraceLength, run};

static NAME_SEED_IN_PANICS: Once = Once::new();

thread_local! {
    /// The seed that this thread runs.
    static RUNNING: Cell<Option<(u64, Options)>> = const { Cell::new(None) };
}

/// What all seeds came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Seeds that were run.
    pub seeds: u64,
    /// Inputs that routers took.
    pub steps: u64,
    /// How often what happened.
    pub tally: Tally,
    /// The failure that was met first.
    pub failure: Option<Outcome>,
}

/// Runs all seeds of a range on `threads` threads, and stops at the first failure.
#[must_use]
pub fn run_all(seeds: Range<u64>, options: Options, threads: usize) -> Summary {
    NAME_SEED_IN_PANICS.call_once(name_seed_in_panics);
    let next = AtomicU64::new(seeds.start);
    let is_over = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    RUNNING.set(Some((seed, options)));
                    let outcome = run(seed, options, TraceLength::Off);
                    RUNNING.set(None);
                    let has_failed = outcome.broken.is_some();
                    is_over.fetch_or(has_failed, Ordering::Relaxed);
                    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                    summary.seeds += 1;
                    summary.steps += outcome.steps;
                    summary.tally.merge(&outcome.tally);
                    if has_failed {
                        summary.failure.get_or_insert(outcome);
                    }
                }
            });
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A router that panics names the seed as well.
fn name_seed_in_panics() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if let Some((seed, options)) = RUNNING.get() {
            eprintln!(
                "seed {seed} panics; reproduce it with\n  {}",
                command(seed, options)
            );
        }
        before(panic);
    }));
}

/// How a seed is run again.
fn command(seed: u64, options: Options) -> String {
    let mut command = format!("cargo run --release -p crosspoint-sim -- --seeds 1 --from {seed}");
    if let Some(shards) = options.shards {
        let _ = write!(command, " --shards {shards}");
    }
    command
}

/// The failing seed, what does not hold, how to reproduce it, and the last steps of a second run.
/// The environment variable `CROSSPOINT_SIM_TRACE` is the number of lines, or `full`.
#[must_use]
pub fn report(failure: &Outcome, options: Options) -> String {
    let length = match std::env::var("CROSSPOINT_SIM_TRACE").as_deref() {
        Ok("full") => TraceLength::Full,
        Ok(lines) => TraceLength::Last(lines.parse().unwrap_or(60)),
        Err(_) => TraceLength::Last(60),
    };
    let again = run(failure.seed, options, length);
    let mut text = format!("seed {} fails after {} steps\n", failure.seed, failure.steps);
    if let Some(broken) = &failure.broken {
        let _ = writeln!(
            text,
            "does not hold: {}\nfound: {}",
            broken.invariant, broken.detail
        );
    }
    if again.hash != failure.hash {
        let _ = writeln!(text, "and a second run differs from the first");
    }
    let _ = writeln!(text, "reproduce it with\n  {}", command(failure.seed, options));
    let _ = writeln!(text, "(CROSSPOINT_SIM_TRACE=full for all of what follows)");
    for line in &again.trace {
        let _ = writeln!(text, "{line}");
    }
    text
}
