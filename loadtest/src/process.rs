//! What processes use, from `/proc`; and the limit of open files of this one.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What processes and all their descendants used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time of all threads, user and system, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Resident memory, in bytes; pages that processes share are counted in each.
    pub(crate) rss: u64,
}

/// The usage of `pids` and their descendants, each process counted once; `None` if none of them is there.
pub(crate) fn usage(pids: &[u32]) -> Option<Usage> {
    let mut total = None;
    let mut seen = HashSet::new();
    let mut ahead = pids.to_vec();
    while let Some(pid) = ahead.pop() {
        if !seen.insert(pid) {
            continue;
        }
        // It may have ended since it was named.
        if let Some(used) = own_usage(pid) {
            let sum: &mut Usage = total.get_or_insert_default();
            sum.cpu_ns += used.cpu_ns;
            sum.rss += used.rss;
            ahead.extend(children(pid));
        }
    }
    total
}

/// Those of `pids` that do not exist, or cannot be looked at.
pub(crate) fn missing(pids: &[u32]) -> Vec<u32> {
    let missing = pids.iter().filter(|pid| own_usage(**pid).is_none());
    missing.copied().collect()
}

/// The CPU time of this process, in nanoseconds.
pub(crate) fn own_cpu_ns() -> u64 {
    cpu_ns(std::process::id()).unwrap_or_default()
}

/// The CPU time of this thread, in nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn own_usage(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage {
        cpu_ns: cpu_ns(pid)?,
        rss: rss_of(&status),
    })
}

/// `schedstat` counts nanoseconds, but only of threads that live; `stat` counts all, in ticks of mostly 10 ms.
/// The larger one is nearer.
fn cpu_ns(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let by_ticks = ticks_of(&stat)? * (1_000_000_000 / rustix::param::clock_ticks_per_second());
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let on_cpu = |task: &Path| {
        let schedstat = fs::read_to_string(task.join("schedstat")).ok()?;
        schedstat.split(' ').next()?.parse::<u64>().ok()
    };
    let by_thread: u64 = tasks.flatten().filter_map(|task| on_cpu(&task.path())).sum();
    Some(by_thread.max(by_ticks))
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids = lists.flat_map(|list| {
        list.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect::<Vec<_>>()
    });
    pids.collect()
}

/// utime and stime: fields 14 and 15, counted behind the name, which may contain anything.
fn ticks_of(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11).map(str::parse::<u64>);
    Some(fields.next()?.ok()? + fields.next()?.ok()?)
}

/// A process without memory of its own, such as one that is ending, has no such line.
fn rss_of(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// Raises the limit of open files to hold `wanted`, as far as it may; returns what it is now.
pub(crate) fn raise_open_files(wanted: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let soft = now.current.unwrap_or(u64::MAX);
    if soft >= wanted {
        return soft;
    }
    let hard = now.maximum.unwrap_or(u64::MAX);
    // Root may raise the hard limit, everybody the soft one up to it.
    for (current, maximum) in [(wanted, wanted.max(hard)), (wanted.min(hard), hard)] {
        let limit = Rlimit {
            current: Some(current),
            maximum: (maximum != u64::MAX).then_some(maximum),
        };
        if setrlimit(Resource::Nofile, limit).is_ok() {
            return current;
        }
    }
    soft
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 100 23 11 12";
        assert_eq!(ticks_of(stat), Some(123));
        assert_eq!(ticks_of("7 (a) S 1"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(
            rss_of("Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t1\n"),
            1234 * 1024
        );
        assert_eq!(rss_of("Name:\tx\n"), 0);
    }

    #[test]
    fn this_process_uses_something() {
        let before = usage(&[std::process::id()]).unwrap();
        assert!(before.rss > 0);
        let mut spent = 0_u64;
        while own_cpu_ns() < before.cpu_ns + 20_000_000 {
            spent = std::hint::black_box(spent.wrapping_add(1));
        }
        assert_eq!(usage(&[u32::MAX]), None);
        // Of the 20 ms or more that this process used, this thread used nearly all.
        assert!(thread_cpu_ns() > 1_000_000);
    }

    #[test]
    fn a_process_that_is_named_along_with_its_parent_counts_once() {
        // A shell that waits for its child.
        let mut shell = Command::new("sh")
            .args(["-c", "cat; exit"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Once that answers, both have all the memory that they will have.
        shell.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        let mut answer = [0; 1];
        shell.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
        let parent = shell.id();
        let [child] = children(parent)[..] else {
            panic!("{:?}", children(parent));
        };
        let rss = |pids: &[u32]| usage(pids).unwrap().rss;
        let both = rss(&[parent]);
        assert!(both > rss(&[child]));
        for named in [&[parent, child][..], &[child, parent], &[parent, parent]] {
            assert_eq!(rss(named), both);
        }
        assert_eq!(missing(&[parent, u32::MAX, child, 0]), [u32::MAX, 0]);
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }

    #[test]
    fn the_limit_of_open_files_is_never_lowered() {
        let before = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert_eq!(raise_open_files(1), before);
    }
}
