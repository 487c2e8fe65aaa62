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
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;

use crate::cli::{Cli, Command, Compare, Scenario};
use crate::report::{Comparison, Report, html_of_comparison, html_of_report};

/// Something was lost, repeated, reordered or changed.
const EXIT_LOST: u8 = 1;
/// The run could not be set up, or not go on to its end, such as when the router closed a connection; what clap exits
/// with on a wrong command line, too.
const EXIT_FAILED: u8 = 2;

fn main() -> ExitCode {
    let outcome = match Cli::parse().into_command() {
        Some(Command::Run(scenario)) => run(&scenario),
        Some(Command::Compare(files)) => compare(&files).map(|()| ExitCode::SUCCESS),
        None => Err(anyhow!("what to run is missing; see --help")),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("crosspoint-loadtest: {error:#}");
        ExitCode::from(EXIT_FAILED)
    })
}

/// What the run's report says, as an exit status.
fn run(scenario: &Scenario) -> anyhow::Result<ExitCode> {
    let common = scenario.common();
    let mut report = scenario::run(scenario)?;
    report.url.clone_from(&common.url);
    if common.target()?.is_wamp() {
        let formats = common.formats();
        report.serializers = formats.iter().map(|format| format.name().to_owned()).collect();
    }
    if common.pids().is_empty() {
        report.warn_of_no_processes();
    }
    print!("{}", report.text());
    if let Some(file) = &common.json {
        write(file, &(serde_json::to_string_pretty(&report)? + "\n"))?;
    }
    if let Some(file) = &common.html {
        write(file, &html_of_report(&report))?;
    }
    Ok(match (report.failed, report.ok) {
        (true, _) => ExitCode::from(EXIT_FAILED),
        (false, false) => ExitCode::from(EXIT_LOST),
        (false, true) => ExitCode::SUCCESS,
    })
}

fn compare(files: &Compare) -> anyhow::Result<()> {
    let (a, b) = (read(&files.a)?, read(&files.b)?);
    let comparison = Comparison::new(&a, &b);
    print!("{comparison}");
    match &files.html {
        Some(file) => write(file, &html_of_comparison(&comparison, &a, &b)),
        None => Ok(()),
    }
}

fn read(file: &Path) -> anyhow::Result<Report> {
    let name = file.display();
    let json = fs::read_to_string(file).with_context(|| format!("reading {name}"))?;
    Report::from_json(&json).with_context(|| format!("reading {name}"))
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}
