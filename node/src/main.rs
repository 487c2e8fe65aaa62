//! The `crosspoint` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use crosspoint_node::cli::Cli;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    crosspoint_node::run(&Cli::parse())
}
