use std::fs::File;
use std::io::{self, IoSlice, Read, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use crosspoint_core::ids::ConnKey;
use rustix::io::Errno;

use super::sys::Setup;
use super::{Event, Ring, Subject, Token, passes, read_alarm};
use crate::wire::{Hangup, Job, Sender, Wire};

const PATIENCE: Duration = Duration::from_secs(20);

struct Socket(UnixStream);

impl Wire for Socket {
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        panic!("the ring writes");
    }

    fn wait_writable(&self) {}

    fn close(&self) {}

    fn timer(&self) {}
}

fn key(slot: u32, generation: u32) -> ConnKey {
    ConnKey { slot, generation }
}

/// A ring of each kind, old kernels' included.
fn rings() -> impl Iterator<Item = Ring> {
    Setup::ALL.into_iter().map(|setup| Ring::with(setup).unwrap())
}

fn poll(ring: &mut Ring) -> Vec<Event> {
    let mut events = Vec::new();
    ring.poll(&mut events);
    events
}

/// Waits for events.
fn await_events(ring: &mut Ring) -> Vec<Event> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        ring.wait(PATIENCE);
        let events = poll(ring);
        if !events.is_empty() {
            return events;
        }
    }
    panic!("nothing happens");
}

#[test]
fn subjects_come_back_as_they_were() {
    let token = Token::of(key(u32::MAX, u32::MAX));
    for subject in [
        Subject::Nothing,
        Subject::Bell,
        Subject::Read(token),
        Subject::Write(token),
        Subject::Job(u32::MAX),
    ] {
        assert_eq!(Subject::unpack(subject.pack()), subject);
    }
    assert!(token.fits(u32::MAX));
    assert!(!token.fits(u32::MAX - 1));
}

#[test]
fn a_batch_larger_than_the_ring_reaches_every_socket_in_order() {
    const SOCKETS: usize = 600;
    for mut ring in rings() {
        let pairs: Vec<_> = (0..SOCKETS).map(|_| UnixStream::pair().unwrap()).collect();
        let (wires, mut peers): (Vec<_>, Vec<_>) = pairs.into_iter().map(|(a, b)| (Socket(a), b)).unzip();
        let (first, second) = (b"one ".to_vec(), b"two".to_vec());
        let bufs = [IoSlice::new(&first), IoSlice::new(&second)];
        let mut jobs: Vec<_> = (0..)
            .zip(&wires)
            .map(|(at, wire)| Job {
                wire,
                bufs: if at % 2 == 0 { &bufs[..] } else { &bufs[..1] },
                result: Ok(0),
            })
            .collect();
        ring.send(&mut jobs);
        for (at, (job, peer)) in jobs.iter().zip(&mut peers).enumerate() {
            let expected: &[u8] = if at % 2 == 0 { b"one two" } else { b"one " };
            assert_eq!(*job.result.as_ref().unwrap(), expected.len());
            let mut read = [0; 16];
            let len = peer.read(&mut read).unwrap();
            assert_eq!(&read[..len], expected);
        }
    }
}

#[test]
fn each_socket_of_a_batch_has_its_own_result() {
    for mut ring in rings() {
        let (full, mut reader) = UnixStream::pair().unwrap();
        let (broken, gone) = UnixStream::pair().unwrap();
        let (fine, _peer) = UnixStream::pair().unwrap();
        drop(gone);
        full.set_nonblocking(true).unwrap();
        while (&full).write(&[0; 4096]).is_ok() {}
        let wires = [Socket(full), Socket(broken), Socket(fine)];
        let bufs = [IoSlice::new(b"text")];
        let mut jobs: Vec<_> = wires
            .iter()
            .map(|wire| Job {
                wire,
                bufs: &bufs,
                result: Ok(0),
            })
            .collect();
        ring.send(&mut jobs);
        let kind = |at: usize| jobs[at].result.as_ref().map_err(io::Error::kind);
        assert_eq!(kind(0).unwrap_err(), io::ErrorKind::WouldBlock);
        assert_eq!(kind(1).unwrap_err(), io::ErrorKind::BrokenPipe);
        assert_eq!(*kind(2).unwrap(), 4);
        // And the full one says when it has room.
        ring.watcher().writable(key(7, 1), wires[0].0.as_fd());
        assert_eq!(poll(&mut ring), []);
        let mut sink = vec![0; 1 << 20];
        while reader.read(&mut sink).unwrap() == sink.len() {}
        let token = Token::of(key(7, 1));
        assert_eq!(await_events(&mut ring), [Event::Writable { token }]);
    }
}

#[test]
fn a_watched_socket_reports_each_arrival_and_the_end() {
    for mut ring in rings() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let (conn, token) = (key(3, 9), Token::of(key(3, 9)));
        let readable = |hangup| Event::Readable {
            token,
            hangup,
            watched: true,
        };
        ring.watcher().readable(conn, socket.as_fd());
        assert_eq!(poll(&mut ring), []);
        for _ in 0..3 {
            peer.write_all(b"x").unwrap();
            assert_eq!(await_events(&mut ring), [readable(Hangup::No)]);
            assert_eq!((&socket).read(&mut [0; 8]).unwrap(), 1);
        }
        ring.watcher().forget(conn);
        assert_eq!(poll(&mut ring), []);
        peer.write_all(b"x").unwrap();
        assert_eq!(poll(&mut ring), [], "nobody watches it");
        ring.watcher().readable(conn, socket.as_fd());
        drop(peer);
        assert!(await_events(&mut ring).contains(&readable(Hangup::Yes)));
    }
}

#[test]
fn a_socket_that_is_forgotten_is_closed() {
    for mut ring in rings() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        ring.watcher().readable(key(1, 1), socket.as_fd());
        ring.watcher().writable(key(1, 1), socket.as_fd());
        poll(&mut ring);
        ring.watcher().forget(key(1, 1));
        drop(socket);
        poll(&mut ring);
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    }
}

/// The kernel has then begun to report something of the socket that nobody has asked for yet.
#[test]
fn a_socket_that_is_forgotten_just_when_something_happens_to_it_is_closed() {
    for happens in [
        |socket: &UnixStream, _: &mut UnixStream| socket.shutdown(Shutdown::Write).unwrap(),
        |_: &UnixStream, peer: &mut UnixStream| peer.write_all(b"x").unwrap(),
    ] {
        for mut ring in rings() {
            let (socket, mut peer) = UnixStream::pair().unwrap();
            ring.watcher().readable(key(1, 1), socket.as_fd());
            poll(&mut ring);
            ring.watcher().forget(key(1, 1));
            happens(&socket, &mut peer);
            drop(socket);
            poll(&mut ring);
            let error = peer.write(b"x").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
    }
}

#[test]
fn the_bell_ends_a_wait_and_time_does_too() {
    for mut ring in rings() {
        poll(&mut ring);
        let begin = Instant::now();
        ring.wait(Duration::from_millis(5));
        assert!(begin.elapsed() >= Duration::from_millis(5));
        for _ in 0..3 {
            let bell = ring.bell().unwrap();
            let ringer = thread::spawn(move || rustix::io::write(bell, &1_u64.to_ne_bytes()).unwrap());
            assert_eq!(await_events(&mut ring), [Event::Bell { watched: true }]);
            ringer.join().unwrap();
        }
        assert!(begin.elapsed() < PATIENCE);
    }
}

#[test]
fn the_alarm_sounds_only_when_it_is_on() {
    for mut ring in rings() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        ring.watcher().readable(key(1, 1), socket.as_fd());
        poll(&mut ring);
        let alarm = ring.alarm().unwrap();
        let sounds = |timeout: Duration| {
            let mut fds = [rustix::event::PollFd::new(&alarm, rustix::event::PollFlags::IN)];
            let timeout = rustix::event::Timespec::try_from(timeout).unwrap();
            rustix::event::poll(&mut fds, Some(&timeout)).unwrap() > 0
        };
        peer.write_all(b"x").unwrap();
        assert_eq!(await_events(&mut ring).len(), 1);
        assert!(!sounds(Duration::ZERO));
        ring.set_alarm(true);
        assert_eq!(poll(&mut ring), []);
        peer.write_all(b"x").unwrap();
        assert!(sounds(PATIENCE));
        assert!(ring.has_events());
    }
}

#[test]
fn an_alarm_that_cannot_be_read_says_so_unless_that_passes() {
    for errno in [Errno::INTR, Errno::AGAIN] {
        assert!(passes(&errno.into()));
    }
    glommio::LocalExecutor::default().run(async {
        let unreadable = File::options().write(true).open("/dev/null").unwrap();
        let error = read_alarm(unreadable.into(), Rc::default()).await;
        assert!(!passes(&error), "{error}");
    });
}
