//! What a user of Crosspoint sees: the command line, configuration files, the web services and the demo.
//!
//! - [`cli`] is the command line, [`start`] its main command.
//! - [`config`] reads and checks configuration files into plain values.
//! - `boot` turns these into what the shards are told; `welcome` tells a person where to connect.
//! - `cpus` keeps the router to some of the machine's CPUs.
//! - [`control`] serves all HTTP that is not WAMP.
#![forbid(unsafe_code)]

mod boot;
pub mod cli;
pub mod config;
pub mod control;
mod cpus;
pub mod logging;
pub mod start;
mod storage;
mod welcome;

use self::cli::{CheckArgs, Cli, Command};
use self::start::Failure;

/// Does what the command line asks for.
///
/// # Errors
/// If it cannot be done, with a text for the person who asked.
pub fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::Start(args) => start::start(args),
        Command::Check(args) => check(args),
        Command::Version => {
            println!("crosspoint {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    }
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let (name, config) = match &args.config {
        Some(path) => {
            let (config, report) = config::load(path)?;
            eprint!("{report}");
            (path.display().to_string(), config)
        }
        None => {
            start::hint_at_file();
            ("the built-in configuration".to_owned(), config::load_default()?)
        }
    };
    let (realms, transports) = (config.router.realms.len(), config.router.listeners.len());
    println!("{name} is in order: realms: {realms}, transports: {transports}");
    Ok(())
}
