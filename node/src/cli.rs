//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  crosspoint start
      Starts a router with realm \"realm1\" on 127.0.0.1:8080, open to everybody on this machine:
      WebSocket at ws://127.0.0.1:8080/ws, RawSocket on the same port, and a live demo at http://127.0.0.1:8080/

  crosspoint start --listen 127.0.0.1:9000 --shards 2
      The same on another port and with two shards

  crosspoint check --config .crossbar/config.json
      Checks a configuration in Crossbar.io's format, and names every mistake with its line

  crosspoint start --config .crossbar/config.json --log-format json
      Starts a router with that configuration";

/// A WAMP application router: publish & subscribe and remote procedures over WebSocket and RawSocket.
#[derive(Debug, Parser)]
#[command(name = "crosspoint", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a router and run it until SIGTERM or SIGINT (Ctrl+C).
    Start(StartArgs),
    /// Check a configuration without starting anything.
    Check(CheckArgs),
    /// Print the version.
    Version,
}

/// Arguments of `start`.
#[derive(Args, Debug)]
pub struct StartArgs {
    /// Configuration in Crossbar.io's format, JSON or (if it ends in .yaml or .yml) YAML.
    /// Without it a built-in configuration runs, see `crosspoint --help`.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Number of shards. Without it what the configuration says, or one for each usable CPU.
    #[arg(long, value_name = "N", value_parser = shards)]
    pub shards: Option<NonZeroUsize>,
    /// Where to listen instead of 127.0.0.1:8080. Only for the built-in configuration, which is open to whoever can reach it.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "config")]
    pub listen: Option<SocketAddr>,
    /// What to log to standard error.
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub log_level: LogLevel,
    /// How to log.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The configuration to check. Without it the built-in one.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How much to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What stops something from working.
    Error,
    /// And what may soon do so.
    Warn,
    /// And what an operator wants to know: start, addresses, stop.
    Info,
    /// And single connections, sessions and HTTP requests.
    Debug,
    /// Everything.
    Trace,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text for each event.
    Text,
    /// One JSON object on a line for each event.
    Json,
}

fn shards(text: &str) -> Result<NonZeroUsize, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(count) if count.get() <= 64 => Ok(count),
        _ => Err("expected a number from 1 to 64".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_hint() {
        for (arguments, hint) in [
            (
                &["start", "--config", "a", "--listen", "127.0.0.1:1"][..],
                "cannot be used with",
            ),
            (&["start", "--shards", "0"], "from 1 to 64"),
            (&["start", "--log-level", "loud"], "possible values"),
            (&["strat"], "start"),
        ] {
            let error = Cli::try_parse_from(["crosspoint"].iter().chain(arguments))
                .unwrap_err()
                .to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
