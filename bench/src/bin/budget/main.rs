//! Holds the instruction counts of hot operations to a budget. `README.md` says how to read and change it.
#![forbid(unsafe_code)]

mod meter;
mod operations;
mod table;
mod valgrind;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

use crate::operations::OPERATIONS;
use crate::table::{Counts, Line, PER_CENT, WIDTH};

/// Counts the instructions of hot operations and compares them with the budget.
#[derive(Parser)]
struct Arguments {
    /// Makes what is counted the budget.
    #[arg(long)]
    write: bool,
    /// Runs one operation without counting, as valgrind and profilers want it.
    #[arg(long, value_name = "NAME", conflicts_with = "write")]
    run: Option<String>,
}

fn main() -> ExitCode {
    match execute(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the stack trace that anyhow would add: most of these are no errors of this program.
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: Arguments) -> Result<()> {
    if let Some(name) = arguments.run {
        let known = OPERATIONS.iter().find(|operation| operation.0 == name);
        known
            .with_context(|| format!("there is no operation \"{name}\""))?
            .1();
        return Ok(());
    }
    let valgrind = match usable_valgrind() {
        Ok(valgrind) => valgrind,
        Err(obstacle) if std::env::var("CI").is_ok_and(|ci| ci == "true") => return Err(obstacle),
        Err(obstacle) => {
            println!("{obstacle}: instructions are not counted");
            return Ok(());
        }
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("budget.json");
    let counts = count_all(&valgrind)?;
    if arguments.write {
        compare(&table::read(&file).unwrap_or_default(), &counts);
        return table::write(&file, &counts);
    }
    let broken = compare(&table::read(&file)?, &counts);
    ensure!(
        broken == 0,
        "{broken} of these are not within {PER_CENT} % of their budget. If that is meant: make budget ARGS=--write"
    );
    Ok(())
}

/// Valgrind, where its counts can be compared with the budget's.
fn usable_valgrind() -> Result<PathBuf> {
    ensure!(
        same_processor(),
        "The budget is that of x86-64 processors with AVX2"
    );
    valgrind::find().context("valgrind is missing (apt-get install valgrind)")
}

/// The C library and some crates choose code by what the processor can do, of which valgrind shows no more than
/// AVX2.
fn same_processor() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Counts every operation, as many at a time as there are cores.
fn count_all(valgrind: &PathBuf) -> Result<Counts> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut counts = Vec::new();
        while let Some((name, _)) = OPERATIONS.get(next.fetch_add(1, Ordering::Relaxed)) {
            counts.push(((*name).to_owned(), valgrind::count(valgrind, name)?));
        }
        anyhow::Ok(counts)
    };
    let cores = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        let mut all = Counts::new();
        for worker in workers {
            match worker.join() {
                Ok(counts) => all.extend(counts?),
                Err(_) => bail!("counting panicked"),
            }
        }
        Ok(all)
    })
}

/// Prints the table. Returns how many lines do not hold: an operation without budget, or a budget without operation,
/// does not either.
fn compare(budget: &Counts, counts: &Counts) -> usize {
    println!("{}", Line::HEAD);
    let mut broken = 0;
    for (name, _) in OPERATIONS {
        let line = Line {
            name,
            budget: budget.get(*name).copied(),
            measured: counts[*name],
        };
        println!("{line}");
        broken += usize::from(!line.holds());
    }
    for name in budget.keys().filter(|name| !counts.contains_key(*name)) {
        println!("{name:<WIDTH$} is no operation any more");
        broken += 1;
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each operation works, and no two share a name.
    #[test]
    fn operations_run() {
        let mut names: Vec<_> = OPERATIONS.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPERATIONS.len());
        OPERATIONS.iter().for_each(|(_, run)| run());
    }
}
