//! Runs the simulation over a range of seeds: `crosspoint-sim [--seeds N] [--from N] [--shards N] [--threads N]`.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Instant;

use crosspoint_sim::{Options, runner};
use mimalloc::MiMalloc;

/// A seed is mostly small allocations.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const USAGE: &str = "usage: crosspoint-sim [--seeds N] [--from N] [--shards N] [--threads N]";

struct Arguments {
    seeds: u64,
    from: u64,
    shards: Option<u16>,
    threads: usize,
}

fn main() -> ExitCode {
    let arguments = match read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(text) => {
            eprintln!("{text}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let options = Options {
        shards: arguments.shards,
        fault: None,
    };
    let began = Instant::now();
    let seeds = arguments.from..arguments.from.saturating_add(arguments.seeds);
    let summary = runner::run_all(seeds, options, arguments.threads);
    print!("{}", summary.tally);
    println!(
        "{} seeds, {} steps, {:.1} s",
        summary.seeds,
        summary.steps,
        began.elapsed().as_secs_f64()
    );
    match summary.failure {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            eprint!("{}", runner::report(&failure, options));
            ExitCode::FAILURE
        }
    }
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        seeds: 10_000,
        from: 0,
        shards: None,
        threads: 2,
    };
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("{name} needs a number"))?;
        let number: u64 = value
            .parse()
            .map_err(|_| format!("{name} needs a number, not '{value}'"))?;
        match name.as_str() {
            "--seeds" => arguments.seeds = number,
            "--from" => arguments.from = number,
            "--shards" if (1..=64).contains(&number) => arguments.shards = Some(number as u16),
            "--shards" => return Err("--shards needs a number from 1 to 64".into()),
            "--threads" => arguments.threads = number as usize,
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(arguments)
}
