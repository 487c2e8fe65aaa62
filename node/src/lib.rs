//! What a user of Crosspoint sees: the command line, configuration files, the web services and the demo.
//!
//! - [`config`] reads and checks configuration files into plain values.
#![forbid(unsafe_code)]

pub mod config;
