//! The `crosspoint` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use crosspoint_node::cli::Cli;
use crosspoint_node::start::Failure;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match crosspoint_node::run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(message)) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
