//! What a user of Crosspoint sees: the command line, configuration files, the web services and the demo.
//!
//! - [`config`] reads and checks configuration files into plain values.
//! - [`control`] serves all HTTP that is not WAMP.
#![forbid(unsafe_code)]

pub mod config;
pub mod control;
