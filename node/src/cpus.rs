//! The CPUs that a thread may run on.

use std::io;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Keeps this thread, and so all that it starts, to those of `cpus` that there are for this process: which ones.
///
/// # Errors
/// If there are none of them.
pub(crate) fn keep_to(cpus: &[usize]) -> io::Result<Vec<usize>> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    sched_setaffinity(None, &set)?;
    let usable = sched_getaffinity(None)?;
    Ok(cpus.iter().copied().filter(|cpu| usable.is_set(*cpu)).collect())
}

/// What [`keep_to`] would answer; empty where it would fail.
pub(crate) fn usable(cpus: &[usize]) -> Vec<usize> {
    // Only an attempt tells, and that is made by a thread that ends with it.
    thread::scope(|scope| scope.spawn(|| keep_to(cpus)).join())
        .ok()
        .and_then(Result::ok)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_left_out_and_this_thread_stays_free() {
        let set = sched_getaffinity(None).unwrap();
        let first = (0..1024).find(|cpu| set.is_set(*cpu)).unwrap();
        assert_eq!(usable(&[first, 1020]), [first]);
        assert!(usable(&[1020]).is_empty());
        assert_eq!(sched_getaffinity(None).unwrap(), set);
    }
}
