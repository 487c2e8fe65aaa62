//! The only unsafe code of this crate: entries of an io_uring, and the memory that they refer to.
//!
//! Invariant: an entry refers to memory in [`Uring::send`] only, which borrows that memory and does not return, nor
//! runs anybody else's code, before the kernel has answered every such entry.
#![allow(unsafe_code)]

use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;
use std::{io, mem, process, ptr};

use glommio::io::BufferedFile;
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use rustix::io::Errno;

/// Poll events that mean an end of the stream.
const HANGUP: libc::c_int = (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) as libc::c_int;

/// The lower [bits](KIND_MASK) of the subject of every write of a batch, and of nothing else.
pub(super) const SEND_KIND: u64 = 4;

/// The bits of a subject that tell writes from everything else.
pub(super) const KIND_MASK: u64 = 7;

/// One entry's completion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// What the entry was given.
    pub(super) subject: u64,
    /// A number of bytes, or poll events.
    pub(super) result: Result<i32, Errno>,
    /// Whether more answers to the entry follow.
    pub(super) more: bool,
}

/// One write of a batch.
pub(super) struct Write<'a> {
    pub(super) socket: BorrowedFd<'a>,
    pub(super) bufs: &'a [IoSlice<'a>],
    /// Of the [kind](SEND_KIND) of writes.
    pub(super) subject: u64,
}

/// An io_uring.
pub(super) struct Uring {
    ring: IoUring,
    answers: Vec<Answer>,
}

/// Whether poll events say that there is an end of the stream to be read.
pub(super) fn hung_up(ready: i32) -> bool {
    ready & HANGUP != 0
}

/// How completions come about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Setup {
    /// When the shard asks for them (Linux 6.1).
    Deferred,
    /// At the shard's next system call (Linux 5.19).
    Cooperative,
    /// At any time, interrupting the shard.
    Plain,
}

impl Setup {
    /// The best one first.
    pub(super) const ALL: [Self; 3] = [Self::Deferred, Self::Cooperative, Self::Plain];
}

impl Uring {
    /// # Errors
    /// If the kernel gives none, or none of that kind.
    pub(super) fn new(setup: Setup, entries: u32, completions: u32) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(completions);
        match setup {
            Setup::Deferred => {
                builder
                    .setup_single_issuer()
                    .setup_defer_taskrun()
                    .setup_taskrun_flag();
            }
            Setup::Cooperative => {
                builder.setup_coop_taskrun().setup_taskrun_flag();
            }
            Setup::Plain => {}
        }
        Ok(Self {
            ring: builder.build(entries)?,
            answers: Vec::new(),
        })
    }

    /// Has the kernel write to `alarm` when there are answers, where [enabled](Self::enable_alarm).
    pub(super) fn set_alarm(&mut self, alarm: BorrowedFd<'_>) -> io::Result<()> {
        self.enable_alarm(false);
        self.ring.submitter().register_eventfd(alarm.as_raw_fd())
    }

    pub(super) fn enable_alarm(&mut self, on: bool) {
        let queue = self.ring.completion();
        if on {
            queue.enable_eventfd();
        } else {
            queue.disable_eventfd();
        }
    }

    /// Whether no entry can be added before the next [`enter`](Self::enter).
    pub(super) fn is_full(&mut self) -> bool {
        self.ring.submission().is_full()
    }

    /// Whether entering would bring something: entries that wait for it here, or answers in the kernel.
    pub(super) fn wants_enter(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// Whether there are answers, or will be on entering.
    pub(super) fn has_answers(&mut self) -> bool {
        if !self.ring.completion().is_empty() {
            return true;
        }
        let queue = self.ring.submission();
        queue.taskrun() || queue.cq_overflow()
    }

    /// Answers again and again when the file becomes readable. Dropped if the queue is full.
    pub(super) fn watch_readable(&mut self, fd: RawFd, subject: u64) {
        let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
        self.push(
            &opcode::PollAdd::new(Fd(fd), events)
                .multi(true)
                .build()
                .user_data(subject),
        );
    }

    /// Answers once when the file is writable. Dropped if the queue is full.
    pub(super) fn watch_writable(&mut self, fd: RawFd, subject: u64) {
        let events = libc::POLLOUT as u32;
        self.push(&opcode::PollAdd::new(Fd(fd), events).build().user_data(subject));
    }

    /// Ends the watch with that subject, if there is one. Dropped if the queue is full.
    ///
    /// Removing a poll (`POLL_REMOVE`) is refused while an event of it waits in the kernel to be reported, such as
    /// that of a shutdown just before, and the poll would go on and keep its file open. Cancelling one is not.
    pub(super) fn unwatch(&mut self, watch: u64, subject: u64) {
        self.push(&opcode::AsyncCancel::new(watch).build().user_data(subject));
    }

    /// Hands all entries to the kernel, and waits for `want` answers or until the time is over.
    ///
    /// # Errors
    /// Those of the kernel, all of which pass: the time is over, a signal came, there is no memory now.
    pub(super) fn enter(&mut self, want: usize, timeout: Option<Duration>) -> io::Result<()> {
        match timeout {
            None => self.ring.submit_and_wait(want)?,
            Some(timeout) => {
                let timespec = Timespec::from(timeout);
                let args = SubmitArgs::new().timespec(&timespec);
                self.ring.submitter().submit_with_args(want, &args)?
            }
        };
        Ok(())
    }

    /// Takes the answers that there are.
    pub(super) fn answers(&mut self) -> impl Iterator<Item = Answer> {
        self.collect();
        self.answers.drain(..)
    }

    /// Writes all of them, each as far as its socket takes it without waiting. Their answers, and others', are
    /// among the next [`answers`](Self::answers).
    pub(super) fn send(&mut self, writes: &[Write<'_>]) {
        let mut headers = Vec::with_capacity(writes.len());
        let mut pending = 0;
        for write in writes {
            if self.is_full() {
                pending -= self.advance(0);
            }
            headers.push(header(write.bufs));
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            let fd = Fd(write.socket.as_raw_fd());
            let entry = match (write.bufs, headers.last()) {
                ([only], _) => {
                    let len = u32::try_from(only.len()).unwrap_or(u32::MAX);
                    opcode::Send::new(fd, only.as_ptr(), len).flags(flags).build()
                }
                (_, header) => {
                    let header = header.map_or(ptr::null(), ptr::from_ref);
                    opcode::SendMsg::new(fd, header).flags(flags as u32).build()
                }
            };
            if self.push(&entry.user_data(write.subject)) {
                pending += 1;
            }
        }
        while pending > 0 {
            pending -= self.advance(pending);
        }
        drop(headers);
    }

    /// Enters, and takes answers. How many of them are to writes.
    fn advance(&mut self, want: usize) -> usize {
        match self
            .enter(want, None)
            .map_err(|error| Errno::from_io_error(&error))
        {
            Ok(()) | Err(Some(Errno::INTR | Errno::AGAIN | Errno::BUSY | Errno::NOMEM)) => self.collect(),
            // Entries refer to memory that must not be given up, and their ring does not work any more.
            Err(_) => process::abort(),
        }
    }

    fn collect(&mut self) -> usize {
        let mut sends = 0;
        for entry in self.ring.completion() {
            sends += usize::from(entry.user_data() & KIND_MASK == SEND_KIND);
            let result = entry.result();
            self.answers.push(Answer {
                subject: entry.user_data(),
                result: if result < 0 {
                    Err(Errno::from_raw_os_error(-result))
                } else {
                    Ok(result)
                },
                more: io_uring::cqueue::more(entry.flags()),
            });
        }
        sends
    }

    fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: entries that refer to memory are pushed by `send` alone, see above. The others consist of numbers;
        // a descriptor among them that is not open any more is refused by the kernel.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }
}

/// Gives a file to the executor of this thread.
pub(super) fn file(file: OwnedFd) -> BufferedFile {
    // SAFETY: the descriptor is open and its ownership passes to the result, which closes it.
    unsafe { BufferedFile::from_raw_fd(file.into_raw_fd()) }
}

/// A message of `bufs`, to nobody in particular.
fn header(bufs: &[IoSlice<'_>]) -> libc::msghdr {
    // SAFETY: all fields are numbers and pointers, for which zero is a value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    // `IoSlice` is promised to be the same in memory as `iovec`; sending does not change either.
    header.msg_iov = bufs.as_ptr().cast_mut().cast();
    header.msg_iovlen = bufs.len() as _;
    header
}
