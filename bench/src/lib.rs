//! What the benchmarks run on: messages as clients send them, routers and shards with sessions in them.
#![forbid(unsafe_code)]

pub mod frames;
pub mod messages;
pub mod routers;
pub mod shards;
pub mod tries;

use mimalloc::MiMalloc;

/// The router's own allocator, for whatever links this.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;
