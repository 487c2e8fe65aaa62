//! What the benchmarks run on: messages as clients send them, routers and shards with sessions in them.
#![forbid(unsafe_code)]

pub mod messages;
pub mod routers;
pub mod shards;
