//! Sessions that come and go beside quiet traffic.

use std::collections::VecDeque;

use crosspoint_codec::core::message::{Message, Register, Subscribe};
use crosspoint_codec::core::options::{RegisterOptions, SubscribeOptions};
use crosspoint_codec::core::payload::Format;

use super::Stage;
use super::load::{Flow, Load};
use super::steady::{self, Beside};
use crate::cli::{Churn, Joining};
use crate::net::{ConnId, Handler, Io};
use crate::pace::Pace;
use crate::report::Report;

pub(super) fn run(options: &Churn) -> anyhow::Result<Report> {
    /// Seconds that opening and leaving may take before sessions have to wait for others to go.
    const SLACK: f64 = 2.0;
    let stay = options.stay.as_secs_f64();
    let most = (options.churn * (stay + SLACK)).ceil() as u64 + 10;
    let beside = Beside {
        name: "churn",
        unit: "sessions",
        // Those that leave still have their file.
        connections: most + most / 2,
        phases: ("alone", "churn"),
    };
    let report = Report::new("churn", title(options));
    let visitors = |stage: &Stage<'_>| Ok(Visitors::new(stage, options, most));
    steady::run(&options.common, &options.quiet, &beside, visitors, report)
}

/// What a session waits for that has not opened.
const NOT_OPEN: u8 = u8::MAX;

/// The load.
struct Visitors {
    flow: Flow,
    rate: f64,
    pace: Option<Pace>,
    stay: u64,
    most: u64,
    joining: Joining,
    base: String,
    formats: Vec<Format>,
    /// What each session still waits for, by the order in which they came.
    awaited: Vec<u8>,
    /// Sessions that have what they wanted, and when they leave.
    staying: VecDeque<(u64, ConnId)>,
    /// Sessions that came and have not been told to leave.
    present: u64,
}

impl Visitors {
    fn new(stage: &Stage<'_>, options: &Churn, most: u64) -> Self {
        Self {
            flow: Flow::new("churn", "sessions", Some(options.churn)),
            rate: options.churn,
            pace: None,
            stay: options.stay.as_nanos() as u64,
            most,
            joining: options.joining,
            base: stage.uri("churn"),
            formats: stage.formats.clone(),
            awaited: Vec::new(),
            staying: VecDeque::new(),
            present: 0,
        }
    }

    /// Begins the sessions that are due.
    fn arrive(&mut self, io: &mut Io, now: u64) {
        while self.present < self.most
            && let Some(due) = self.pace.as_mut().and_then(|pace| pace.take(now))
        {
            self.flow.sent(now, due);
            let format = self.formats[self.awaited.len() % self.formats.len()];
            if let Err(error) = io.connect(format, due) {
                self.flow.fail(|| format!("{error:#}"));
                return;
            }
            self.flow.expect(1, now, due);
            self.awaited.push(NOT_OPEN);
            self.present += 1;
        }
    }

    /// Ends the sessions whose time is over; all of them, if no more are to come.
    fn depart(&mut self, io: &mut Io, now: u64) {
        let all = self.pace.is_none_or(|pace| pace.next().is_none());
        while let Some((_, conn)) = self.staying.pop_front_if(|(leaves, _)| all || *leaves <= now) {
            io.leave(conn);
            self.present -= 1;
        }
    }

    fn granted(&mut self, io: &Io, conn: ConnId, now: u64) {
        let awaited = &mut self.awaited[conn.0 - self.flow.first];
        *awaited = awaited.saturating_sub(1);
        if *awaited == 0 {
            self.flow.arrived(now, io.begun(conn));
            self.flow.tally.received += 1;
            self.staying.push_back((now + self.stay, conn));
        }
    }
}

impl Load for Visitors {
    fn flow(&self) -> &Flow {
        &self.flow
    }

    fn flow_mut(&mut self) -> &mut Flow {
        &mut self.flow
    }

    fn into_flow(self) -> Flow {
        self.flow
    }

    /// They come while it is measured.
    fn groups(&self) -> Vec<u64> {
        Vec::new()
    }

    fn begin(&mut self, now: u64) {
        self.pace = Some(Pace::new(self.rate, now));
    }

    fn stop(&mut self) {
        self.pace = None;
    }

    fn end(&mut self, now: u64) {
        if let Some(pace) = &mut self.pace {
            pace.end(now);
        }
    }

    fn is_behind(&self, now: u64) -> bool {
        self.pace.is_some_and(|pace| pace.is_behind(now))
    }

    fn give_up(&mut self, io: &Io, now: u64) {
        for (local, _) in self
            .awaited
            .iter()
            .enumerate()
            .filter(|(_, awaited)| **awaited > 0)
        {
            let begun = io.begun(self.flow.conn(local));
            self.flow.missing(now, begun, 1);
        }
        self.flow.given_up(now);
    }

    fn count_lost(&mut self) {
        self.flow.tally.lost = self.flow.outstanding();
    }
}

impl Handler for Visitors {
    fn opened(&mut self, io: &mut Io, conn: ConnId, _now: u64) {
        let local = self.flow.local(conn);
        self.awaited[local] = 0;
        if self.joining != Joining::Register {
            self.awaited[local] += 1;
            let subscribe = Subscribe {
                request: io.request(conn),
                options: SubscribeOptions::default(),
                topic: format!("{}.topic{local}", self.base).into(),
            };
            io.send(conn, &Message::Subscribe(subscribe));
        }
        if self.joining != Joining::Subscribe {
            self.awaited[local] += 1;
            let register = Register {
                request: io.request(conn),
                options: RegisterOptions::default(),
                procedure: format!("{}.procedure{local}", self.base).into(),
            };
            io.send(conn, &Message::Register(register));
        }
    }

    fn message(&mut self, io: &mut Io, conn: ConnId, message: Message, now: u64) {
        match message {
            Message::Subscribed(_) | Message::Registered(_) => self.granted(io, conn, now),
            other => self.flow.fail(|| format!("{conn}: unexpected {other:?}")),
        }
    }

    fn lost(&mut self, _io: &mut Io, conn: ConnId, why: &str) {
        self.flow.fail(|| format!("{conn}: {why}"));
    }

    fn tick(&mut self, io: &mut Io, now: u64) -> Option<u64> {
        self.depart(io, now);
        self.arrive(io, now);
        let arrival = self.pace.and_then(|pace| pace.next()).filter(|next| *next > now);
        let departure = self.staying.front().map(|(leaves, _)| *leaves);
        [arrival, departure].into_iter().flatten().min()
    }
}

fn title(options: &Churn) -> String {
    let quiet = steady::title(&options.quiet);
    let (churn, stay, rounds) = (options.churn, options.stay, options.quiet.rounds);
    let what = match options.joining {
        Joining::Subscribe => "subscribe",
        Joining::Register => "register",
        Joining::Both => "subscribe and register",
    };
    format!(
        "{quiet}; every other turn of {rounds} each beside {churn} sessions/s that {what} and leave after {stay:?}"
    )
}
