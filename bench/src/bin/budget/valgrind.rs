//! Counting under valgrind: this program runs itself, once for each operation, so that none changes the heap of
//! another.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::meter::{CALLS, COUNTED};

/// Valgrind's path.
pub(crate) fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join("valgrind"))
        .find(|file| file.is_file())
}

/// Instructions of one call of the operation `name`, on average.
pub(crate) fn count(valgrind: &PathBuf, name: &str) -> Result<u64> {
    let output = Command::new(valgrind)
        .args(["--tool=callgrind", "--command-line-only=yes", "--vgdb=no"])
        .args([
            "--callgrind-out-file=/dev/null",
            &format!("--toggle-collect={COUNTED}"),
        ])
        .arg(env::current_exe()?)
        .args(["--run", name])
        // Where the stack begins depends on the environment, and copying depends on where it begins. The allocator
        // would return memory to the system by the clock.
        .env_clear()
        .env("MIMALLOC_PURGE_DELAY", "-1")
        .output()
        .context("valgrind does not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: {}\n{said}", output.status);
    let instructions = collected(&said).filter(|&count| count > 0);
    let instructions = instructions.with_context(|| format!("{name}: nothing was counted\n{said}"))?;
    let calls = u64::from(CALLS);
    Ok((instructions + calls / 2) / calls)
}

/// The sum that callgrind states when it ends: `==17== Collected : 1234`.
fn collected(said: &str) -> Option<u64> {
    let sum = said.lines().find_map(|line| line.split_once("Collected : "))?;
    sum.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_sum_is_found() {
        let said = "==17== Events    : Ir\n==17== Collected : 1234\n==17== \n";
        assert_eq!(collected(said), Some(1234));
        assert_eq!(collected("==17== Collected :\n"), None);
    }
}
