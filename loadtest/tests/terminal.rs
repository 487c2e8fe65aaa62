//! What somebody who waits at a terminal sees.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test may end by a panic, and nobody uses it from outside"
)]

mod router;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

use self::router::{Fault, Router};

/// All that a run against a router that hesitates draws.
fn drawn(scenario: &[&str]) -> String {
    let router = Router::start(Fault::Hesitate);
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    unlockpt(ours.as_fd()).unwrap();
    let name = ptsname(ours.as_fd(), Vec::new()).unwrap();
    let theirs = File::options()
        .read(true)
        .write(true)
        .open(Path::new(name.to_str().unwrap()))
        .unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_crosspoint-loadtest"))
        .args(scenario)
        .args(["--quick", "--url", &format!("rs://{router}")])
        .env("TERM", "xterm")
        .stdout(Stdio::null())
        .stderr(theirs)
        .spawn()
        .unwrap();
    let (mut drawn, mut chunk, mut ours) = (Vec::new(), [0; 4096], File::from(ours));
    // When nobody has the other end any more, reading fails.
    while let Ok(count @ 1..) = ours.read(&mut chunk) {
        drawn.extend_from_slice(&chunk[..count]);
    }
    assert!(program.wait().unwrap().success());
    String::from_utf8(drawn).unwrap()
}

/// How far `what` was seen to be, of `total`.
fn seen(drawn: &str, what: &str, total: u64) -> BTreeSet<u64> {
    let lines = drawn.split(['\r', '\n']).filter(|line| line.contains(what));
    let behind = format!(" of {total} ");
    let counts = lines.filter_map(|line| line.split_once(&behind)?.0.rsplit(' ').next()?.parse().ok());
    counts.collect()
}

#[test]
fn sessions_that_are_measured_are_counted() {
    let drawn = drawn(&["connect", "-n", "40", "--idle", "10ms", "--subscribe", "own"]);
    for what in ["connect", "subscribing"] {
        let seen = seen(&drawn, what, 40);
        assert!(seen.len() > 3, "{what}: {seen:?} in {drawn:?}");
    }
}

#[test]
fn a_setup_is_counted() {
    let drawn = drawn(&[
        "fanout",
        "-n",
        "30",
        "--other-subscriptions",
        "50",
        "--rate",
        "10",
    ]);
    for (what, total) in [("opening sessions", 32), ("subscribing and registering", 80)] {
        let seen = seen(&drawn, what, total);
        assert!(seen.len() > 3, "{what}: {seen:?} in {drawn:?}");
    }
}
