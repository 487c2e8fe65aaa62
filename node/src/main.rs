//! The `crosspoint` program.
#![forbid(unsafe_code)]
fn main() {}
