//! What can be done to a router. Each scenario opens its sessions, sets them up, and runs phases of its own.

mod connect;
mod fan;
mod fanout;
mod rpc;
mod slow;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, ensure};
use crosspoint_codec::core::payload::Format;

pub(crate) use self::connect::run as connect;
pub(crate) use self::fanout::run as fanout;
pub(crate) use self::rpc::run as rpc;
pub(crate) use self::slow::run as slow;
use crate::cli::Common;
use crate::meter::Probe;
use crate::net::{Driver, Handler, Identity, Io};
use crate::payload::Template;
use crate::process::raise_open_files;

/// Open files besides the connections.
const OTHER_FILES: u64 = 64;

/// How often the router's memory is looked at during a phase, in nanoseconds.
const SAMPLE_EVERY: u64 = 250_000_000;

/// What every scenario begins with.
struct Stage<'a> {
    common: &'a Common,
    driver: Driver,
    formats: Vec<Format>,
    probe: Probe,
    /// Sets the URIs of this run apart from those of others on the same router.
    run: String,
}

impl<'a> Stage<'a> {
    /// Gets ready for `connections`.
    fn new(common: &'a Common, connections: u64) -> anyhow::Result<Self> {
        let wanted = connections + OTHER_FILES;
        let files = raise_open_files(wanted);
        ensure!(
            files >= wanted,
            "{connections} connections need {wanted} open files, the limit is {files}: raise it with `ulimit -n`"
        );
        let target = common.target()?;
        let identity = Identity {
            address: target.resolve()?,
            target,
            realm: common.realm.clone(),
        };
        let probe = Probe(common.pid.clone());
        ensure!(
            common.pid.is_empty() || probe.usage().is_some(),
            "--pid: there is no such process, or it cannot be looked at"
        );
        Ok(Self {
            common,
            driver: Driver::new(identity).context("setting up epoll")?,
            formats: common.formats(),
            probe,
            run: format!("{:08x}", fastrand::u32(..)),
        })
    }

    fn uri(&self, name: &str) -> String {
        format!("com.crosspoint.loadtest.{}.{name}", self.run)
    }

    fn after(&self, time: Duration) -> u64 {
        self.driver.io.now() + time.as_nanos() as u64
    }

    /// Tells whoever waits what is going on.
    fn say(&self, what: &str) {
        if std::io::stderr().is_terminal() {
            eprintln!("... {what}");
        }
    }

    fn open<H: Handler>(&mut self, handler: &mut H, count: u64) -> anyhow::Result<()> {
        self.say(&format!("opening {}", counted(count, "session")));
        let how_many = (count as usize, self.common.connecting as usize);
        self.driver
            .open(handler, &self.formats, how_many, self.common.setup_timeout)
    }

    /// Serves the connections until a request of the setup is answered for all sessions.
    fn settle<H: Handler>(
        &mut self,
        handler: &mut H,
        what: &str,
        done: impl FnMut(&mut H, &Io) -> bool,
    ) -> anyhow::Result<()> {
        let until = self.after(self.common.setup_timeout);
        let settled = self.driver.run(handler, until, done)?;
        ensure!(settled, "not all {what} within {:?}", self.common.setup_timeout);
        Ok(())
    }

    /// Ends all sessions in order, unless the router takes too long.
    fn leave<H: Handler>(&mut self, handler: &mut H) -> anyhow::Result<()> {
        self.driver.leave(handler, Duration::from_secs(2))
    }
}

/// Payloads of one size for each serializer.
struct Templates([Template; 3]);

impl Templates {
    fn new(size: u64) -> Self {
        Self(Format::ALL.map(|format| Template::new(format, size as usize)))
    }

    fn of(&self, format: Format) -> &Template {
        &self.0[format as usize]
    }
}

/// Tells when something is to be done again.
struct Every {
    interval: u64,
    next: u64,
}

impl Every {
    const fn new(interval: u64) -> Self {
        Self { interval, next: 0 }
    }

    fn is_due(&mut self, now: u64) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.interval;
        }
        due
    }
}

/// `1 subscriber`, `2 subscribers`.
fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}
