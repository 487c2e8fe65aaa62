//! A shard's own io_uring: which sockets are ready, and batches of writes.
//!
//! glommio reads and writes one socket at a time, with a system call each, and a turn of its reactor costs several
//! more to set timers that a busy shard has no use for. The sockets of open connections are therefore watched here,
//! by one multishot poll each for as long as they live, and written to here, with one system call for a batch.
//!
//! Invariants:
//! - What the kernel is given to read from is borrowed until it has answered: [`Ring::send`] does not return before.
//! - Only the shard's own thread enters the ring.

mod sys;
mod watcher;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use crosspoint_core::ids::ConnKey;
use glommio::timer::sleep;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use self::sys::{Answer, Setup, Uring, Write};
use crate::signal::Signal;
use crate::wire::{Hangup, Job, Sender};

pub(super) use self::watcher::Watch;

#[cfg(test)]
mod tests;
pub use self::watcher::{Opening, Watcher};

/// Entries of the submission queue: a batch of writes and some changes of what is watched.
const ENTRIES: u32 = 256;

/// Entries of the completion queue; what does not fit waits in the kernel. It sizes the table in which the kernel looks
/// for a watch that is to end, too: 8192 give the largest one.
const COMPLETIONS: u32 = 8192;

/// What happened to what is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// There is something to read.
    Readable {
        token: Token,
        hangup: Hangup,
        /// Whether the kernel goes on watching.
        watched: bool,
    },
    /// The kernel's buffer has room again.
    Writable { token: Token },
    /// The bell rang; the number says whether it is still watched.
    Bell { watched: bool },
}

/// A connection as the kernel gives it back: its slot and the lower bits of its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) slot: u32,
    generation: u32,
}

const GENERATION_BITS: u32 = 29;

impl Token {
    fn of(conn: ConnKey) -> Self {
        Self {
            slot: conn.slot,
            generation: conn.generation & ((1 << GENERATION_BITS) - 1),
        }
    }

    /// Whether a connection of this generation is meant.
    pub(super) fn fits(self, generation: u32) -> bool {
        generation & ((1 << GENERATION_BITS) - 1) == self.generation
    }
}

/// What an entry is about, as the kernel gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Read(Token),
    Write(Token),
    Bell,
    /// One of a batch of writes, by its number.
    Job(u32),
    /// Something whose answer does not matter.
    Nothing,
}

impl Subject {
    fn pack(self) -> u64 {
        let pack = |high: u32, low: u32, kind: u64| u64::from(high) << 32 | u64::from(low) << 3 | kind;
        match self {
            Self::Nothing => 0,
            Self::Read(token) => pack(token.slot, token.generation, 1),
            Self::Write(token) => pack(token.slot, token.generation, 2),
            Self::Bell => 3,
            Self::Job(number) => pack(number, 0, sys::SEND_KIND),
        }
    }

    fn unpack(packed: u64) -> Self {
        let (high, low) = ((packed >> 32) as u32, packed as u32 >> 3);
        let token = Token {
            slot: high,
            generation: low,
        };
        match packed & sys::KIND_MASK {
            1 => Self::Read(token),
            2 => Self::Write(token),
            3 => Self::Bell,
            sys::SEND_KIND => Self::Job(high),
            _ => Self::Nothing,
        }
    }
}

/// A shard's ring.
pub(super) struct Ring {
    uring: Uring,
    watcher: Watcher,
    /// What happened and was not yet taken.
    events: Vec<Event>,
    /// Written to by other threads that have mail for this one while it waits in [`wait`](Self::wait).
    bell: OwnedFd,
    /// Written to by the kernel when something happens while nobody waits here.
    alarm: OwnedFd,
}

impl Ring {
    /// A ring for the shard of this thread.
    ///
    /// # Errors
    /// If the kernel gives none, which for want of memory that may be locked is `ENOMEM`.
    pub(super) fn new() -> io::Result<Self> {
        let [deferred, cooperative, plain] = Setup::ALL;
        Self::with(deferred)
            .or_else(|_| Self::with(cooperative))
            .or_else(|_| Self::with(plain))
    }

    fn with(setup: Setup) -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC)?;
        let alarm = eventfd(0, EventfdFlags::CLOEXEC)?;
        let mut uring = Uring::new(setup, ENTRIES, COMPLETIONS)?;
        uring.set_alarm(alarm.as_fd())?;
        uring.watch_readable(bell.as_raw_fd(), Subject::Bell.pack());
        Ok(Self {
            uring,
            watcher: Watcher::default(),
            events: Vec::new(),
            bell,
            alarm,
        })
    }

    /// What decides which sockets are watched.
    pub(super) fn watcher(&self) -> &Watcher {
        &self.watcher
    }

    /// Ringing it ends [`wait`](Self::wait).
    pub(super) fn bell(&self) -> io::Result<OwnedFd> {
        self.bell.try_clone()
    }

    /// Becomes readable when something happens while the alarm is [on](Self::set_alarm).
    pub(super) fn alarm(&self) -> io::Result<OwnedFd> {
        self.alarm.try_clone()
    }

    /// Whether the alarm is to sound.
    pub(super) fn set_alarm(&mut self, on: bool) {
        self.uring.enable_alarm(on);
    }

    /// Whether something happened, as far as can be told without asking the kernel.
    pub(super) fn has_events(&mut self) -> bool {
        !self.events.is_empty() || self.uring.has_answers()
    }

    /// Tells the kernel what is to be watched from now on, and takes what happened, without waiting.
    pub(super) fn poll(&mut self, into: &mut Vec<Event>) {
        self.submit_watches();
        // What is submitted may have effects that only entering again brings about.
        for _ in 0..2 {
            if self.uring.wants_enter() {
                self.enter(0, None);
            }
        }
        self.collect(&mut []);
        into.append(&mut self.events);
    }

    /// Waits until something happens, the bell rings or the time is over.
    pub(super) fn wait(&mut self, timeout: Duration) {
        self.submit_watches();
        if !self.has_events() {
            self.enter(1, Some(timeout));
        }
    }

    /// The kernel did not go on watching the bell.
    pub(super) fn watch_bell(&mut self) {
        let bell = self.bell.as_raw_fd();
        self.reserve();
        self.uring.watch_readable(bell, Subject::Bell.pack());
    }

    fn submit_watches(&mut self) {
        while let Some(watch) = self.watcher.next() {
            self.reserve();
            match watch {
                Watch::Readable(conn, fd) => {
                    self.uring
                        .watch_readable(fd, Subject::Read(Token::of(conn)).pack());
                }
                Watch::Writable(conn, fd) => {
                    self.uring
                        .watch_writable(fd, Subject::Write(Token::of(conn)).pack());
                }
                Watch::Forget(conn) => {
                    let token = Token::of(conn);
                    self.uring
                        .unwatch(Subject::Read(token).pack(), Subject::Nothing.pack());
                    self.reserve();
                    self.uring
                        .unwatch(Subject::Write(token).pack(), Subject::Nothing.pack());
                }
            }
        }
    }

    /// Makes room for an entry.
    fn reserve(&mut self) {
        while self.uring.is_full() {
            self.enter(0, None);
            self.collect(&mut []);
        }
    }

    fn enter(&mut self, want: usize, timeout: Option<Duration>) {
        if let Err(error) = self.uring.enter(want, timeout) {
            // What is passing: a signal, the time being over, too many answers that wait.
            tracing::trace!(%error, "ring");
        }
    }

    /// Takes all answers: those to writes are their jobs' results, the others events.
    fn collect(&mut self, jobs: &mut [Job<'_>]) {
        for Answer {
            subject,
            result,
            more,
        } in self.uring.answers()
        {
            match Subject::unpack(subject) {
                // The answer to a watch that was removed.
                Subject::Read(_) | Subject::Write(_) if result == Err(Errno::CANCELED) => {}
                Subject::Read(token) => self.events.push(Event::Readable {
                    token,
                    hangup: match result {
                        Ok(ready) if !sys::hung_up(ready) => Hangup::No,
                        _ => Hangup::Yes,
                    },
                    watched: more,
                }),
                Subject::Write(token) => self.events.push(Event::Writable { token }),
                Subject::Bell => self.events.push(Event::Bell { watched: more }),
                Subject::Job(number) => {
                    if let Some(job) = jobs.get_mut(number as usize) {
                        job.result = result.map(|taken| taken as usize).map_err(Into::into);
                    }
                }
                Subject::Nothing => {}
            }
        }
    }
}

/// Raises `alarm` whenever the kernel sounds it, until it cannot be read any more: the error of that.
pub(super) async fn read_alarm(file: OwnedFd, alarm: Rc<Signal>) -> io::Error {
    /// After an error that passes.
    const PAUSE: Duration = Duration::from_millis(1);
    let file = sys::file(file);
    loop {
        let read = file.read_at(0, size_of::<u64>()).await;
        // It may have sounded in spite of an error.
        alarm.raise();
        if let Err(error) = read.map_err(io::Error::from) {
            if !passes(&error) {
                return error;
            }
            sleep(PAUSE).await;
        }
    }
}

/// Whether what failed may succeed when it is tried again.
fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

impl Sender for Ring {
    /// One system call for all connections that have a socket.
    fn send(&mut self, jobs: &mut [Job<'_>]) {
        let mut writes = Vec::with_capacity(jobs.len());
        for (number, job) in (0..).zip(jobs.iter_mut()) {
            match job.wire.socket() {
                Some(socket) => writes.push(Write {
                    socket,
                    bufs: job.bufs,
                    subject: Subject::Job(number).pack(),
                }),
                None => {
                    self.watcher.yield_soon();
                    job.result = job.wire.write(job.bufs);
                }
            }
        }
        self.uring.send(&writes);
        drop(writes);
        self.collect(jobs);
    }
}
