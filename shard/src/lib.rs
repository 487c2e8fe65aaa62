//! One core's runtime: what turns the rules of `core` and the bytes of `codec` into a router that serves
//! connections, and many such cores into one router.
//!
//! - [`Shard`]: connections' bytes in, the router's rules, connections' bytes out. [`Wire`] is its seam to the
//!   transports.
//! - [`Mesh`]: the mailboxes through which shards talk.
//! - [`rt`]: the tasks and threads that drive shards, on glommio; the only module that names it. Without the
//!   feature `glommio` there is none, and whoever owns a [`Shard`] drives it: tests and benchmarks do.
//! - [`Storage`]: where histories go that outlive the process.
//! - [`Counters`]: what a shard counts, for any thread to read.
#![deny(unsafe_code)]

mod clock;
mod config;
mod counters;
#[cfg(feature = "glommio")]
mod heartbeat;
mod kind;
mod mesh;
mod outbox;
#[cfg(feature = "glommio")]
pub mod rt;
mod shard;
mod signal;
mod storage;
mod table;
mod wheel;
mod wire;

pub use clock::{Clock, MonotonicClock};
pub use config::{FRAME_COST, SLICE, ShardConfig, SlowConsumer};
pub use counters::{Counter, Counters, PostCounters};
pub use mesh::{Mailbox, Mesh, MeshLimits};
pub use shard::{Flushed, Shard, ShardRc};
pub use signal::{Event, Signal};
pub use storage::Storage;
pub use wire::{Attach, Hangup, Job, OneByOne, PauseReason, Reading, Sender, Wire};
