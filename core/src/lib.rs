//! WAMP's vocabulary and the rules of a WAMP router, as state machines without I/O.
//!
//! Everything that a router decides is decided here: who may join, which subscribers receive an event, which
//! callee gets a call, what crosses from one shard to another. Nothing here opens a socket, awaits, reads a
//! clock or draws randomness of its own: messages, the time and a seed come in, [`Effects`](effect::Effects)
//! come out. That is what lets `tests/sim` run eight shards in one thread and replay a failing seed.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod authorize;
mod broker;
pub mod config;
pub mod dealer;
mod detached;
pub mod effect;
pub mod error_uri;
pub mod extensions;
pub mod features;
pub mod ids;
mod key_hash;
mod lazy_map;
pub mod message;
pub mod meta;
pub mod options;
pub mod pattern;
pub mod payload;
pub mod peer;
pub mod router;
pub mod session;
pub mod session_id;
mod session_index;
mod small_set;
mod table;
pub mod time;
mod timers;
pub mod uri;
pub mod value;
