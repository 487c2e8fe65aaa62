//! Scenarios of a few sessions on one shard and on two: what a client sees, line by line of the conformance
//! list, and the races between shards that the simulation found. Nothing here is random.

mod asking;
mod calls;
mod cancelling;
mod closing;
mod costs;
mod durable;
mod events;
mod history;
mod kept;
mod mesh;
mod meta;
mod parts;
mod passthru;
mod progress;
mod queues;
mod races;
mod registrations;
mod rerouting;
mod retained;
mod say;
mod searching;
mod sharing;
mod testaments;
mod timeouts;
mod values;
