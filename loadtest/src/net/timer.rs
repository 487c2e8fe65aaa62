//! Wakes the event loop at a moment. epoll's own timeout is in whole milliseconds, which would show up in every
//! latency that is counted from the intended time of sending.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

pub(crate) struct Timer {
    fd: OwnedFd,
    /// When it fires, in nanoseconds of the run's clock.
    armed: Option<u64>,
}

impl Timer {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { fd, armed: None })
    }

    /// Fires at `deadline`, which lies after `now`; setting it anew also takes back a firing not yet seen.
    pub(crate) fn arm(&mut self, deadline: u64, now: u64) -> io::Result<()> {
        if self.armed == Some(deadline) {
            return Ok(());
        }
        // 0 would disarm it.
        let left = deadline.saturating_sub(now).max(1);
        let spec = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: (left / 1_000_000_000) as i64,
                tv_nsec: (left % 1_000_000_000) as i64,
            },
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &spec)?;
        self.armed = Some(deadline);
        Ok(())
    }
}
