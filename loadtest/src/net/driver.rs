//! The event loop.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::{Buf, BytesMut};
use crosspoint_codec::core::message::Message;
use crosspoint_codec::core::payload::Format;
use mio::{Events, Poll, Token};

use super::Handler;
use super::conn::{ConnId, Stage};
use super::dialect::Incoming;
use super::io::{Identity, Io};
use super::timer::Timer;

const TIMER: Token = Token(usize::MAX);

/// Octets that are read from one connection at once; a shorter read means that there are no more, so that no
/// second read is needed to find that out.
const READ_SIZE: usize = 64 * 1024;

/// Most connections that are served before the handler's clock is looked at again.
const EVENTS: usize = 256;

/// How often a condition that no event announces is looked at, such as the end of a phase.
const GLANCE: Duration = Duration::from_millis(20);

/// Connections of one thread and the loop that serves them.
pub(crate) struct Driver {
    pub(crate) io: Io,
    poll: Poll,
    events: Events,
    timer: Timer,
    scratch: Box<[u8]>,
    /// An empty buffer that keeps its memory from one connection to the next.
    spare: BytesMut,
}

impl Driver {
    pub(crate) fn new(identity: Identity) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        Ok(Self {
            io: Io::new(identity, poll.registry().try_clone()?),
            timer: Timer::new(poll.registry(), TIMER)?,
            poll,
            events: Events::with_capacity(EVENTS),
            scratch: vec![0; READ_SIZE].into_boxed_slice(),
            spare: BytesMut::new(),
        })
    }

    /// Opens a session for each of the serializers, at most `at_once` of them at a time; tells `watch` how many the
    /// driver has after each turn.
    ///
    /// # Errors
    /// If one of them cannot be opened, or not within `timeout`.
    pub(crate) fn open<H: Handler>(
        &mut self,
        handler: &mut H,
        formats: &[Format],
        at_once: usize,
        timeout: Duration,
        watch: impl Fn(u64),
    ) -> anyhow::Result<()> {
        let until = self.io.now() + timeout.as_nanos() as u64;
        let first = self.io.len();
        let end = first + formats.len();
        loop {
            while self.io.len() < end && self.io.opening < at_once.max(1) {
                let now = self.io.now();
                self.io.connect(formats[self.io.len() - first], now)?;
            }
            watch((self.io.len() - self.io.opening) as u64);
            if self.io.len() == end && self.io.opening == 0 {
                return self.all_open(first);
            }
            let now = self.io.now();
            if now >= until {
                let opening = self.io.opening;
                bail!("{opening} sessions did not open within {timeout:?}; see --setup-timeout");
            }
            self.turn(handler)?;
        }
    }

    fn all_open(&self, first: usize) -> anyhow::Result<()> {
        let conns = &self.io.conns[first..];
        let failed = conns.iter().filter(|conn| conn.stage != Stage::Open).count();
        if failed > 0 {
            bail!("{failed} of {} sessions did not open", conns.len());
        }
        Ok(())
    }

    /// Serves the connections until `done` or the time `until`; returns whether it was done.
    pub(crate) fn run<H: Handler>(
        &mut self,
        handler: &mut H,
        until: u64,
        mut done: impl FnMut(&mut H, &Io) -> bool,
    ) -> anyhow::Result<bool> {
        loop {
            if done(handler, &self.io) {
                return Ok(true);
            }
            if self.io.now() >= until {
                return Ok(false);
            }
            self.turn(handler)?;
        }
    }

    /// Reads from a connection again after [`Io::pause`].
    pub(crate) fn resume<H: Handler>(&mut self, handler: &mut H, id: ConnId) {
        self.io.conns[id.0].paused = false;
        self.readable(handler, id);
    }

    /// Ends all sessions, waiting for the router's GOODBYE for as long as `patience`.
    pub(crate) fn leave<H: Handler>(&mut self, handler: &mut H, patience: Duration) -> anyhow::Result<()> {
        for id in (0..self.io.len()).map(ConnId) {
            self.io.leave(id);
        }
        let until = self.io.now() + patience.as_nanos() as u64;
        let closed = |io: &Io| io.conns.iter().all(|conn| conn.stage == Stage::Closed);
        let mut looked = 0;
        self.run(handler, until, |_, io| {
            // Looking at all of them after every turn would cost more than serving them.
            let due = io.now() >= looked;
            if due {
                looked = io.now() + GLANCE.as_nanos() as u64;
            }
            due && closed(io)
        })?;
        Ok(())
    }

    fn turn<H: Handler>(&mut self, handler: &mut H) -> anyhow::Result<()> {
        let now = self.io.now();
        let deadline = handler.tick(&mut self.io, now);
        self.flush(handler);
        let now = self.io.now();
        let mut wait = GLANCE;
        if let Some(deadline) = deadline {
            if deadline <= now {
                wait = Duration::ZERO;
            } else if deadline < now + GLANCE.as_nanos() as u64 {
                self.timer.arm(deadline, now)?;
            }
        }
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error).context("epoll"),
            _ => {}
        }
        for event in events.iter().filter(|event| event.token() != TIMER) {
            let id = ConnId(event.token().0);
            if event.is_writable() || event.is_error() {
                self.writable(handler, id);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.readable(handler, id);
            }
        }
        self.events = events;
        self.flush(handler);
        self.io.refused.take().map_or(Ok(()), Err)
    }

    fn writable<H: Handler>(&mut self, handler: &mut H, id: ConnId) {
        let conn = &mut self.io.conns[id.0];
        conn.blocked = false;
        if conn.stage == Stage::Connecting
            && let Some(stream) = &conn.stream
        {
            match stream.take_error() {
                Ok(Some(error)) | Err(error) => {
                    return self.fail(
                        handler,
                        id,
                        &format!("connecting to {}: {error}", self.io.identity.address),
                    );
                }
                Ok(None) => {}
            }
            self.io.begin_upgrade(id);
        }
        if self.io.conns[id.0].has_output() {
            self.io.mark_dirty(id);
        }
    }

    /// Writes what is queued, as far as the kernel takes it.
    fn flush<H: Handler>(&mut self, handler: &mut H) {
        let mut dirty = std::mem::take(&mut self.io.dirty);
        for id in dirty.drain(..) {
            let conn = &mut self.io.conns[id.0];
            conn.dirty = false;
            if let Err(error) = conn.seal() {
                self.fail(handler, id, &format!("{error:#}"));
                continue;
            }
            while let Some((stream, waiting)) = conn.unwritten() {
                match stream.write(waiting) {
                    Ok(written) => waiting.advance(written),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        conn.blocked = true;
                        break;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        self.fail(handler, id, &format!("writing: {error}"));
                        break;
                    }
                }
            }
        }
        // Handlers may have queued more while connections failed.
        dirty.append(&mut self.io.dirty);
        self.io.dirty = dirty;
    }

    fn readable<H: Handler>(&mut self, handler: &mut H, id: ConnId) {
        loop {
            let conn = &mut self.io.conns[id.0];
            let Some(stream) = conn.stream.as_mut().filter(|_| !conn.paused) else {
                return;
            };
            match stream.read(&mut self.scratch) {
                Ok(0) => return self.fail(handler, id, "the router closed the connection"),
                Ok(count) => {
                    self.received(handler, id, count);
                    if count < READ_SIZE {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.fail(handler, id, &format!("reading: {error}")),
            }
        }
    }

    /// Takes the first `count` octets of `scratch` as received by a connection.
    fn received<H: Handler>(&mut self, handler: &mut H, id: ConnId, count: usize) {
        let now = self.io.now();
        let conn = &mut self.io.conns[id.0];
        let place = if conn.input.is_empty() {
            &mut self.spare
        } else {
            &mut conn.input
        };
        let mut buf = std::mem::take(place);
        let taken = conn.take_in(&self.scratch[..count], &mut buf);
        if let Err(error) = taken.and_then(|()| self.handle(handler, id, &mut buf, now)) {
            self.fail(handler, id, &format!("{error:#}"));
        }
        if self.io.conns[id.0].has_output() {
            // TLS may have something to say of its own.
            self.io.mark_dirty(id);
        }
        if buf.is_empty() {
            self.spare = buf;
        } else {
            self.io.conns[id.0].input = buf;
        }
    }

    fn handle<H: Handler>(
        &mut self,
        handler: &mut H,
        id: ConnId,
        buf: &mut BytesMut,
        now: u64,
    ) -> anyhow::Result<()> {
        loop {
            let conn = &mut self.io.conns[id.0];
            if matches!(conn.stage, Stage::Connecting | Stage::Closed) {
                buf.clear();
                return Ok(());
            }
            match conn.dialect.next(buf)? {
                None => return Ok(()),
                Some(Incoming::Ready) => self.io.say_hello(id),
                Some(Incoming::Message(message)) => self.message(handler, id, message, now)?,
                Some(Incoming::Reply(octets)) => self.io.write(id, &octets),
                Some(Incoming::Nothing) => {}
                Some(Incoming::Close(why)) => bail!(why),
            }
        }
    }

    fn message<H: Handler>(
        &mut self,
        handler: &mut H,
        id: ConnId,
        message: Message,
        now: u64,
    ) -> anyhow::Result<()> {
        match (self.io.conns[id.0].stage, message) {
            (Stage::Joining, Message::Welcome(_)) => {
                self.io.conns[id.0].stage = Stage::Open;
                self.io.opening -= 1;
                handler.opened(&mut self.io, id, now);
            }
            (Stage::Joining, Message::Challenge(challenge)) => {
                bail!(
                    "the router asks for authentication by {}: only anonymous sessions are supported",
                    challenge.method
                );
            }
            (Stage::Joining, Message::Abort(abort)) => bail!("ABORT {}: {:?}", abort.reason, abort.details),
            (Stage::Joining, other) => bail!("expected WELCOME, got {other:?}"),
            (Stage::Open, Message::Abort(abort)) => bail!("ABORT {}: {:?}", abort.reason, abort.details),
            (Stage::Open, Message::Goodbye(goodbye)) => bail!("the router said GOODBYE {}", goodbye.reason),
            (Stage::Open, message) => handler.message(&mut self.io, id, message, now),
            (Stage::Leaving, Message::Goodbye(_)) => self.io.drop_conn(id),
            _ => {}
        }
        Ok(())
    }

    fn fail<H: Handler>(&mut self, handler: &mut H, id: ConnId, why: &str) {
        let stage = self.io.stage(id);
        self.io.drop_conn(id);
        if !matches!(stage, Stage::Leaving | Stage::Closed) {
            handler.lost(&mut self.io, id, why);
        }
    }
}
