//! A load harness for WAMP routers. See `README.md` and `--help`.
//!
//! `net` is a WAMP client for many connections in one thread; `scenario` holds what these do, one file each;
//! the rest measures, checks and reports.
#![forbid(unsafe_code)]

mod cli;
mod latency;
mod meter;
mod net;
mod pace;
mod payload;
mod process;
mod progress;
mod report;
mod scenario;
mod target;
mod verify;

use std::fs;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::cli::Cli;
use crate::report::Report;

/// Something was lost, repeated, reordered or changed.
const EXIT_LOST: u8 = 1;
/// The run failed; what clap exits with on a wrong command line, too.
const EXIT_FAILED: u8 = 2;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(report) if report.ok => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(EXIT_LOST),
        Err(error) => {
            eprintln!("crosspoint-loadtest: {error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<Report> {
    let common = cli.scenario.common();
    let mut report = scenario::run(&cli.scenario)?;
    report.url.clone_from(&common.url);
    if common.target()?.is_wamp() {
        let formats = common.formats();
        report.serializers = formats.iter().map(|format| format.name().to_owned()).collect();
    }
    print!("{}", report.text());
    if let Some(file) = &common.json {
        let json = serde_json::to_string_pretty(&report)?;
        fs::write(file, json + "\n").with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(report)
}
