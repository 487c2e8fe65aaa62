//! A deterministic simulation of a sharded router: the real [`Router`](crosspoint_core::router::Router)s of 1, 2,
//! 3 or 8 shards in one thread, with a mesh that delays at will, clients that come, go and misbehave, and an
//! oracle that checks after each step what the specification and ARCHITECTURE.md promise.
//!
//! | module | what it is |
//! |---|---|
//! | `plan` | what a seed decides before the first step |
//! | `workload` | what clients do |
//! | `world` | routers, mailboxes, a disk, clients and the scheduler |
//! | `oracle` | what must hold |
//! | `runner` | many seeds, and the report of one that failed |
//!
//! The same seed gives the same run, so a failure reproduces with its number. The routers see their real inputs
//! only; a mesh that breaks its promises ([`Fault`]) must be noticed, or the oracle is worth nothing.
#![forbid(unsafe_code)]

mod broken;
mod client;
mod mail;
mod oracle;
mod plan;
pub mod runner;
mod store;
mod trace;
mod uris;
mod workload;
mod world;

pub use broken::Broken;
pub use oracle::Tally;
pub use plan::{Fault, Options};
pub use trace::TraceLength;

use world::World;

/// How a seed went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The first invariant that did not hold.
    pub broken: Option<Broken>,
    /// A hash of all that happened.
    pub hash: u64,
    /// Inputs that routers took.
    pub steps: u64,
    /// How often what happened.
    pub tally: Tally,
    /// What happened, as far as it was to be kept.
    pub trace: Vec<String>,
}

/// Runs one seed.
#[must_use]
pub fn run(seed: u64, options: Options, trace: TraceLength) -> Outcome {
    let remains = World::new(seed, options, trace).run();
    Outcome {
        seed,
        broken: remains.checked.err(),
        hash: remains.trace.hash(),
        steps: remains.steps,
        tally: remains.tally,
        trace: remains.trace.into_lines(),
    }
}
