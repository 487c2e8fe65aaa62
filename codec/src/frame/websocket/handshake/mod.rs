//! The HTTP upgrade (RFC 6455 section 4), both sides.

mod client;
mod origin;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientHandshake, Established, UpgradeError};
pub use origin::Origins;
pub use server::{Accepted, Rejection, Upgrade, Upgraded};
