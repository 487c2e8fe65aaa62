//! What a user of Crosspoint sees: the command line, configuration files, the web services and the demo.
//!
//! - [`cli`] is the command line, [`start`] its main command.
//! - [`config`] reads and checks configuration files into plain values.
//! - `boot` turns these into what the shards are told; `welcome` tells a person where to connect.
//! - `cpus` keeps the router to some of the machine's CPUs.
//! - `losses` warns of what the router refuses and drops.
//! - [`control`] serves all HTTP that is not WAMP.
#![forbid(unsafe_code)]

mod boot;
pub mod cli;
pub mod config;
pub mod control;
mod cpus;
pub mod logging;
mod losses;
mod report;
pub mod start;
mod storage;
mod welcome;

use std::process::ExitCode;

use tracing::error;

use self::cli::{CheckArgs, Cli, Command, LogFormat};
use self::start::Failure;

/// Does what the command line asks for. Says why, for the person who asked, if it cannot be done.
pub fn run(cli: &Cli) -> ExitCode {
    // Here, so that the log is there for the reason as well.
    let (_log, format) = match &cli.command {
        Command::Start(args) => (
            Some(logging::start(args.log_level, args.log_format)),
            args.log_format,
        ),
        _ => (None, LogFormat::Text),
    };
    let done = match &cli.command {
        Command::Start(args) => start::start(args),
        Command::Check(args) => check(args),
        Command::Version => {
            println!("crosspoint {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    };
    match (done, format) {
        (Ok(()), _) => return ExitCode::SUCCESS,
        (Err(Failure(reason)), LogFormat::Json) => error!("{reason}"),
        (Err(Failure(reason)), LogFormat::Text) => eprintln!("error: {reason}"),
    }
    ExitCode::FAILURE
}

fn check(args: &CheckArgs) -> Result<(), Failure> {
    let (name, config) = match &args.config {
        Some(path) => {
            let (config, report) = config::load(path)?;
            eprint!("{report}");
            (path.display().to_string(), config)
        }
        None => {
            if let Some(hint) = start::hint_at_file() {
                eprintln!("note: {hint}");
            }
            ("the built-in configuration".to_owned(), config::load_default()?)
        }
    };
    let (realms, transports) = (config.router.realms.len(), config.router.listeners.len());
    println!("{name} is in order: realms: {realms}, transports: {transports}");
    Ok(())
}
