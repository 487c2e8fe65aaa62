//! Whether this system can run shards, found out before glommio is touched: glommio panics or ends the
//! process where io_uring is missing.
//!
//! Invariant: an [`Unavailable`] prints as one paragraph that names what is wrong and what to do about it.

use std::fmt;
use std::io;

use io_uring::IoUring;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Where the kernel says whether io_uring may be used; missing before Linux 6.6.
const SYSCTL: &str = "/proc/sys/kernel/io_uring_disabled";

/// Locked memory below which an executor refuses to start, in bytes.
const MEMLOCK_MIN: u64 = 512 * 1024;

/// Why shards cannot run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The administrator switched io_uring off; the value of the sysctl `kernel.io_uring_disabled`.
    Disabled(u8),
    /// The kernel refuses it to this process, as the seccomp profile of a container does.
    Forbidden,
    /// The kernel has no io_uring.
    Missing,
    /// The kernel's io_uring is too old.
    TooOld,
    /// There is not enough memory that may be locked for one ring.
    NoMemory,
    /// `RLIMIT_MEMLOCK` is too low and may not be raised; the hard limit in bytes.
    LockedMemory(u64),
    /// Something else.
    Other(String),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Crosspoint needs Linux's io_uring and cannot use it here: ")?;
        match self {
            Self::Disabled(value) => write!(
                f,
                "it is switched off by the setting kernel.io_uring_disabled = {value}. Allow it with `sysctl -w \
                 kernel.io_uring_disabled=0` as root, and keep that in a file in /etc/sysctl.d; with the value 1 \
                 it is also enough to run as a member of the group in kernel.io_uring_group."
            ),
            Self::Forbidden => f.write_str(
                "the kernel refuses it to this process (EPERM). In a container this is the seccomp profile: \
                 Docker's default one forbids io_uring. Start the container with a profile that allows \
                 io_uring_setup, io_uring_enter and io_uring_register, or with `--security-opt \
                 seccomp=unconfined`. In a systemd unit look at SystemCallFilter=.",
            ),
            Self::Missing => f.write_str(
                "the kernel does not have it (ENOSYS). Linux 5.15 or newer is needed, 6.1 or newer is better; \
                 some sandboxes that replace the kernel, such as gVisor, do not have it at all.",
            ),
            Self::TooOld => {
                f.write_str("the kernel's version of it is too old. Linux 5.15 or newer is needed, 6.1 or newer is better.")
            }
            Self::NoMemory => f.write_str(
                "there is not enough memory that this process may lock (ENOMEM). Raise the limit: LimitMEMLOCK=64M \
                 in a systemd unit, `--ulimit memlock=67108864` for docker run, or `memlock` in \
                 /etc/security/limits.conf; or start fewer shards.",
            ),
            Self::LockedMemory(hard) => write!(
                f,
                "only {} KiB of memory may be locked, and at least {} KiB are needed. Raise the limit: \
                 LimitMEMLOCK=64M in a systemd unit, `--ulimit memlock=67108864` for docker run, or `memlock` in \
                 /etc/security/limits.conf (shown by `ulimit -l`).",
                hard / 1024,
                MEMLOCK_MIN / 1024
            ),
            Self::Other(what) => write!(
                f,
                "{what}. Linux 5.15 or newer with io_uring allowed (kernel.io_uring_disabled = 0, and a seccomp \
                 profile that permits it) is needed."
            ),
        }
    }
}

impl std::error::Error for Unavailable {}

/// Raises the soft limit of locked memory as far as permitted, then tries io_uring.
///
/// # Errors
/// When shards cannot run on this system.
pub fn probe() -> Result<(), Unavailable> {
    raise_memlock()?;
    let ring =
        IoUring::new(4).map_err(|error| explain(&error, std::fs::read_to_string(SYSCTL).ok().as_deref()))?;
    let params = ring.params();
    if params.is_feature_nodrop() && params.is_feature_fast_poll() {
        Ok(())
    } else {
        Err(Unavailable::TooOld)
    }
}

fn raise_memlock() -> Result<(), Unavailable> {
    let limit = getrlimit(Resource::Memlock);
    if limit.current != limit.maximum {
        // Where this fails the soft limit stays, which the check below looks at.
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        let _ = setrlimit(Resource::Memlock, raised);
    }
    enough_memlock(getrlimit(Resource::Memlock).current)
}

/// `limit` is in bytes, `None` for no limit.
fn enough_memlock(limit: Option<u64>) -> Result<(), Unavailable> {
    match limit {
        Some(bytes) if bytes < MEMLOCK_MIN => Err(Unavailable::LockedMemory(bytes)),
        _ => Ok(()),
    }
}

/// Says what an error of `io_uring_setup` means; `sysctl` is the text of [`SYSCTL`].
fn explain(error: &io::Error, sysctl: Option<&str>) -> Unavailable {
    use rustix::io::Errno;
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::ACCESS) => match sysctl.and_then(|text| text.trim().parse().ok()) {
            Some(value @ 1..) => Unavailable::Disabled(value),
            _ => Unavailable::Forbidden,
        },
        Some(Errno::NOSYS) => Unavailable::Missing,
        Some(Errno::NOMEM) => Unavailable::NoMemory,
        _ => Unavailable::Other(format!("io_uring_setup failed ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(errno: rustix::io::Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.raw_os_error())
    }

    #[test]
    fn errors_are_told_apart() {
        use rustix::io::Errno;
        assert_eq!(explain(&os(Errno::PERM), Some("2\n")), Unavailable::Disabled(2));
        assert_eq!(explain(&os(Errno::PERM), Some("0\n")), Unavailable::Forbidden);
        assert_eq!(explain(&os(Errno::PERM), None), Unavailable::Forbidden);
        assert_eq!(explain(&os(Errno::NOSYS), None), Unavailable::Missing);
        assert_eq!(explain(&os(Errno::NOMEM), None), Unavailable::NoMemory);
        assert!(matches!(explain(&os(Errno::INVAL), None), Unavailable::Other(_)));
    }

    #[test]
    fn locked_memory_has_a_floor() {
        assert_eq!(enough_memlock(None), Ok(()));
        assert_eq!(enough_memlock(Some(MEMLOCK_MIN)), Ok(()));
        assert_eq!(enough_memlock(Some(65536)), Err(Unavailable::LockedMemory(65536)));
    }

    #[test]
    fn every_text_is_one_paragraph_with_a_remedy() {
        let remedies = [
            (Unavailable::Disabled(2), "sysctl -w kernel.io_uring_disabled=0"),
            (Unavailable::Forbidden, "seccomp=unconfined"),
            (Unavailable::Missing, "5.15"),
            (Unavailable::TooOld, "5.15"),
            (Unavailable::NoMemory, "LimitMEMLOCK="),
            (Unavailable::LockedMemory(65536), "only 64 KiB"),
            (Unavailable::Other("odd".into()), "odd"),
        ];
        for (unavailable, remedy) in remedies {
            let text = unavailable.to_string();
            assert!(text.contains(remedy), "{text}");
            assert!(!text.contains('\n') && !text.contains("  "), "{text}");
        }
    }
}
