//! Listeners and connections of Crosspoint on glommio.
#![deny(unsafe_code)]

mod fd;
mod listen;
mod probe;

pub use listen::{Address, BindError, Endpoint};
pub use probe::{Unavailable, probe};
