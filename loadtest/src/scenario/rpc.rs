//! Calls from many callers to many callees. A callee answers with what it was given.
//!
//! Connections are numbered: callees first, then callers.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::ensure;
use crosspoint_codec::core::message::{Call, CallResult, Error, Invocation, Message, Register, Yield};
use crosspoint_codec::core::options::{CallOptions, InvokePolicy, RegisterOptions, YieldOptions};

use super::{Every, SAMPLE_EVERY, Stage, Templates, counted};
use crate::cli::{Procedures, Rpc};
use crate::latency::Latencies;
use crate::meter::{Counted, Meter};
use crate::net::{ConnId, Handler, Io};
use crate::pace::Pace;
use crate::payload::Stamp;
use crate::report::{Phase, Report};
use crate::verify::{Sequence, Tally};

/// Calls that wait for an answer, over all callers, above which no more are made: an overloaded router would
/// otherwise only fill memory. What was to be called meanwhile is called later; its latency counts all the same.
const OPEN_MAX: u64 = 50_000;

pub(crate) fn run(options: &Rpc) -> anyhow::Result<Report> {
    let common = &options.common;
    let mut stage = Stage::new(common, options.callers + options.callees)?;
    let mut calls = Calls::set_up(&mut stage, options)?;
    let mut report = Report::new("rpc", title(options));

    calls.begin(options, stage.driver.io.now());
    calls.phase(&mut stage, "warm-up", common.warmed(), options.rate)?;
    report.push(calls.phase(&mut stage, "measured", common.measured(), options.rate)?);
    calls.drain(&mut stage)?;

    report.verified = calls.tally;
    report.ok = calls.failure.is_none();
    report.warnings.extend(calls.failure.take());
    report.warnings.extend(calls.first_error.take());
    stage.leave(&mut calls)?;
    Ok(report)
}

/// The handler.
struct Calls {
    templates: Templates,
    procedures: Vec<String>,
    shared: bool,
    callees: Vec<Callee>,
    callers: Vec<Caller>,
    registered: usize,
    /// Callers that may make one more call (closed loop).
    ready: Vec<usize>,
    /// The next caller (open loop).
    turn: usize,
    pace: Option<Pace>,
    /// Whether answered calls are followed by others.
    calling: bool,
    latencies: Latencies,
    /// How much later than due calls were made (open loop).
    lag: Latencies,
    called: u64,
    answered: u64,
    last_answer: u64,
    tally: Tally,
    first_error: Option<String>,
    failure: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Caller {
    next: u64,
    answers: Sequence,
}

#[derive(Clone, Debug, Default)]
struct Callee {
    /// The latest call of each caller: one caller's calls reach one callee in order.
    latest: HashMap<u32, u64>,
}

impl Calls {
    fn set_up(stage: &mut Stage<'_>, options: &Rpc) -> anyhow::Result<Self> {
        let shared = options.procedures == Procedures::Shared;
        let count = if shared { 1 } else { options.callees };
        let mut calls = Self {
            templates: Templates::new(options.size),
            procedures: (0..count)
                .map(|place| stage.uri(&format!("procedure{place}")))
                .collect(),
            shared,
            callees: vec![Callee::default(); options.callees as usize],
            callers: vec![Caller::default(); options.callers as usize],
            registered: 0,
            ready: Vec::new(),
            turn: 0,
            pace: None,
            calling: false,
            latencies: Latencies::new(),
            lag: Latencies::new(),
            called: 0,
            answered: 0,
            last_answer: 0,
            tally: Tally::default(),
            first_error: None,
            failure: None,
        };
        for group in [options.callees, options.callers] {
            let opened = stage.open(&mut calls, group);
            calls.check()?;
            opened?;
        }
        stage.settle(&mut calls, "procedures were registered", |calls, _| {
            calls.failure.is_some() || calls.registered == calls.callees.len()
        })?;
        calls.check()?;
        Ok(calls)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.failure.is_none(),
            "{}",
            self.failure.as_deref().unwrap_or_default()
        );
        Ok(())
    }

    fn begin(&mut self, options: &Rpc, now: u64) {
        self.last_answer = now;
        self.calling = true;
        match options.rate {
            Some(rate) => self.pace = Some(Pace::new(rate, now)),
            None => {
                let callers = 0..self.callers.len();
                self.ready = callers
                    .flat_map(|caller| std::iter::repeat_n(caller, options.calls as usize))
                    .collect();
            }
        }
    }

    fn phase(
        &mut self,
        stage: &mut Stage<'_>,
        name: &'static str,
        time: Duration,
        asked_per_second: Option<f64>,
    ) -> anyhow::Result<Phase> {
        stage.say(&format!("{name}: up to {time:?}"));
        self.latencies.clear();
        self.lag.clear();
        let before = self.answered;
        let until = stage.after(time);
        let patience = stage.common.patience.as_nanos() as u64;
        let mut meter = Meter::start(&stage.probe, stage.driver.io.now());
        let mut sample = Every::new(SAMPLE_EVERY);
        let ended = stage.driver.run(self, until, |calls, io| {
            let now = io.now();
            if sample.is_due(now) {
                meter.sample();
            }
            calls.failure.is_some() || calls.is_stalled(now, patience)
        })?;
        let counted = Counted {
            unit: "calls",
            count: self.answered - before,
            asked_per_second,
        };
        let latencies = (&self.latencies, &self.lag);
        let now = stage.driver.io.now();
        Ok(Phase {
            stalled: ended && self.failure.is_none(),
            ..meter.finish(name, now, &counted, latencies)
        })
    }

    /// Makes no more calls, waits for answers, and counts those that did not come.
    fn drain(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        self.calling = false;
        self.last_answer = stage.driver.io.now();
        stage.say("waiting for what is under way");
        let patience = stage.common.patience.as_nanos() as u64;
        stage.driver.run(self, u64::MAX, |calls, io| {
            calls.failure.is_some() || calls.open() == 0 || calls.is_stalled(io.now(), patience)
        })?;
        let missing = self
            .callers
            .iter()
            .map(|caller| caller.answers.missing(caller.next));
        self.tally.lost = missing.sum();
        Ok(())
    }

    /// Calls that wait for an answer.
    fn open(&self) -> u64 {
        self.called.saturating_sub(self.answered)
    }

    fn is_stalled(&self, now: u64, patience: u64) -> bool {
        self.open() > 0 && now > self.last_answer + patience
    }

    fn call(&mut self, io: &mut Io, caller: usize, time: u64) {
        let conn = ConnId(self.callees.len() + caller);
        let state = &mut self.callers[caller];
        let stamp = Stamp {
            source: caller as u32,
            sequence: state.next,
            time,
        };
        // Callers begin at different procedures, and each goes through all.
        let procedure = (caller as u64 + state.next) % self.procedures.len() as u64;
        state.next += 1;
        if self.open() == 0 {
            self.last_answer = time;
        }
        self.called += 1;
        let call = Call {
            request: io.request(conn),
            options: CallOptions::default(),
            procedure: self.procedures[procedure as usize].as_str().into(),
            payload: self.templates.of(io.format(conn)).stamped(stamp),
        };
        io.send(conn, &Message::Call(call));
    }

    fn invocation(&mut self, io: &mut Io, conn: ConnId, invocation: Invocation) {
        match self.templates.of(io.format(conn)).read(&invocation.payload) {
            Some(stamp) => {
                let latest = self.callees[conn.0].latest.insert(stamp.source, stamp.sequence);
                if latest.is_some_and(|latest| latest >= stamp.sequence) {
                    self.tally.out_of_order += 1;
                }
            }
            None => self.tally.corrupt += 1,
        }
        let answer = Yield {
            request: invocation.request,
            options: YieldOptions::default(),
            payload: invocation.payload,
        };
        io.send(conn, &Message::Yield(answer));
    }

    fn result(&mut self, io: &Io, conn: ConnId, result: &CallResult, now: u64) {
        let caller = conn.0 - self.callees.len();
        let stamp = self.templates.of(io.format(conn)).read(&result.payload);
        // A caller's requests are its calls, so that both count alike.
        let fits = |stamp: &Stamp| stamp.source as usize == caller && stamp.sequence + 1 == result.request.0;
        let Some(stamp) = stamp.filter(fits) else {
            self.tally.corrupt += 1;
            return;
        };
        if self.answer(caller, stamp.sequence, now) {
            self.latencies.record(now.saturating_sub(stamp.time));
        }
    }

    fn error(&mut self, conn: ConnId, error: &Error, now: u64) {
        let caller = conn.0 - self.callees.len();
        self.tally.errors += 1;
        self.first_error
            .get_or_insert_with(|| format!("a call failed: {} {:?}", error.error, error.details));
        self.answer(caller, error.request.0.saturating_sub(1), now);
    }

    /// Counts an answer, whatever it was; whether it is the first one to this call. Results may overtake each
    /// other, since calls go to different callees.
    fn answer(&mut self, caller: usize, sequence: u64, now: u64) -> bool {
        let state = &mut self.callers[caller];
        if sequence >= state.next {
            self.tally.corrupt += 1;
            return false;
        }
        self.tally.received += 1;
        if state.answers.receive(sequence) == crate::verify::Arrival::Duplicate {
            self.tally.duplicate += 1;
            return false;
        }
        self.answered += 1;
        self.last_answer = now;
        self.ready.push(caller);
        true
    }
}

impl Handler for Calls {
    fn opened(&mut self, io: &mut Io, conn: ConnId, _now: u64) {
        if conn.0 >= self.callees.len() {
            return;
        }
        let invoke = self.shared.then_some(InvokePolicy::RoundRobin);
        let register = Register {
            request: io.request(conn),
            options: RegisterOptions {
                invoke,
                ..RegisterOptions::default()
            },
            procedure: self.procedures[conn.0 % self.procedures.len()].as_str().into(),
        };
        io.send(conn, &Message::Register(register));
    }

    fn message(&mut self, io: &mut Io, conn: ConnId, message: Message, now: u64) {
        let is_callee = conn.0 < self.callees.len();
        match message {
            Message::Registered(_) => self.registered += 1,
            Message::Invocation(invocation) if is_callee => self.invocation(io, conn, invocation),
            Message::Result(result) if !is_callee => self.result(io, conn, &result, now),
            Message::Error(error) if !is_callee => self.error(conn, &error, now),
            other => self.failure = Some(format!("{conn}: unexpected {other:?}")),
        }
    }

    fn lost(&mut self, _io: &mut Io, conn: ConnId, why: &str) {
        self.failure = Some(format!("{conn}: {why}"));
    }

    fn tick(&mut self, io: &mut Io, now: u64) -> Option<u64> {
        let ready = std::mem::take(&mut self.ready);
        if !self.calling {
            return None;
        }
        let Some(mut pace) = self.pace else {
            for caller in ready {
                self.call(io, caller, now);
            }
            return None;
        };
        while self.open() < OPEN_MAX
            && let Some(due) = pace.take(now)
        {
            self.lag.record(now - due);
            self.call(io, self.turn, due);
            self.turn = (self.turn + 1) % self.callers.len();
        }
        self.pace = Some(pace);
        // What is overdue waits for an answer, not for a time.
        Some(pace.next()).filter(|next| *next > now)
    }
}

fn title(options: &Rpc) -> String {
    let callers = counted(options.callers, "caller");
    let callees = counted(options.callees, "callee");
    let procedures = match options.procedures {
        Procedures::Own => "own procedures",
        Procedures::Shared => "one shared procedure",
    };
    let how = match options.rate {
        Some(rate) => format!("{rate} calls/s, open loop"),
        None => format!("{} each, closed loop", counted(options.calls, "call")),
    };
    format!(
        "{callers} -> {callees}, {procedures}, {} octets, {how}",
        options.size
    )
}
