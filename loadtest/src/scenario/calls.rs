//! Calls from many callers to many callees. A callee answers with what it was given.
//!
//! Connections are numbered: callees first, then callers.

use std::collections::HashMap;

use crosspoint_codec::core::message::{Call, CallResult, Error, Invocation, Message, Register, Yield};
use crosspoint_codec::core::options::{CallOptions, InvokePolicy, RegisterOptions, YieldOptions};

use super::Templates;
use super::load::{Flow, Load};
use super::pending::Pending;
use super::schedule::{Loop, Schedule};
use crate::cli::Procedures;
use crate::net::{ConnId, Handler, Io};
use crate::payload::Stamp;
use crate::verify::{Arrival, Sequence};

/// Calls that wait for an answer, over all callers, above which no more are made: an overloaded router would
/// otherwise only fill memory. What was to be called meanwhile is called later; its latency counts all the same.
const OPEN_MAX: u64 = 50_000;

/// The load.
pub(super) struct Calls {
    flow: Flow,
    schedule: Schedule,
    templates: Templates,
    procedures: Vec<String>,
    shared: bool,
    callees: Vec<Callee>,
    callers: Vec<Caller>,
    registered: u64,
}

#[derive(Clone, Debug, Default)]
struct Caller {
    next: u64,
    answers: Sequence,
    pending: Pending,
}

#[derive(Clone, Debug, Default)]
struct Callee {
    /// The latest call of each caller: one caller's calls reach one callee in order.
    latest: HashMap<u32, u64>,
}

/// Who calls whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parties {
    pub(super) callers: u64,
    pub(super) callees: u64,
    pub(super) procedures: Procedures,
}

impl Calls {
    /// `uri` makes a URI of a procedure's name.
    pub(super) fn new(
        name: &'static str,
        uri: impl Fn(&str) -> String,
        parties: Parties,
        size: u64,
        how: Loop,
    ) -> Self {
        let shared = parties.procedures == Procedures::Shared;
        let count = if shared { 1 } else { parties.callees };
        Self {
            flow: Flow::new(name, "calls", how.rate()),
            schedule: Schedule::new(parties.callers as usize, how),
            templates: Templates::new(size),
            procedures: (0..count)
                .map(|place| uri(&format!("procedure{place}")))
                .collect(),
            shared,
            callees: vec![Callee::default(); parties.callees as usize],
            callers: vec![Caller::default(); parties.callers as usize],
            registered: 0,
        }
    }

    fn is_callee(&self, conn: ConnId) -> bool {
        self.flow.local(conn) < self.callees.len()
    }

    fn caller(&self, conn: ConnId) -> usize {
        self.flow.local(conn) - self.callees.len()
    }

    fn call(&mut self, io: &mut Io, caller: usize, now: u64, due: u64) {
        let conn = self.flow.conn(self.callees.len() + caller);
        let state = &mut self.callers[caller];
        let stamp = Stamp {
            source: caller as u32,
            sequence: state.next,
            time: due,
        };
        // Callers begin at different procedures, and each goes through all.
        let procedure = (caller as u64 + state.next) % self.procedures.len() as u64;
        state.next += 1;
        state.pending.sent(due, 1);
        self.flow.expect(1, now, due);
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
                let callee = self.flow.local(conn);
                let latest = self.callees[callee].latest.insert(stamp.source, stamp.sequence);
                if latest.is_some_and(|latest| latest >= stamp.sequence) {
                    self.flow.tally.out_of_order += 1;
                }
            }
            None => self.flow.tally.corrupt += 1,
        }
        let answer = Yield {
            request: invocation.request,
            options: YieldOptions::default(),
            payload: invocation.payload,
        };
        io.send(conn, &Message::Yield(answer));
    }

    fn result(&mut self, io: &Io, conn: ConnId, result: &CallResult, now: u64) {
        let caller = self.caller(conn);
        let stamp = self.templates.of(io.format(conn)).read(&result.payload);
        // A caller's requests are its calls, so that both count alike.
        let fits = |stamp: &Stamp| stamp.source as usize == caller && stamp.sequence + 1 == result.request.0;
        let Some(stamp) = stamp.filter(fits) else {
            self.flow.tally.corrupt += 1;
            return;
        };
        if self.is_first_answer(caller, stamp.sequence) {
            self.callers[caller].pending.received(stamp.sequence);
            self.flow.arrived(now, stamp.time);
            self.schedule.completed(caller);
        }
    }

    fn error(&mut self, conn: ConnId, error: &Error, now: u64) {
        let caller = self.caller(conn);
        self.flow.tally.errors += 1;
        self.flow
            .complain(|| format!("a call failed: {} {:?}", error.error, error.details));
        let sequence = error.request.0.saturating_sub(1);
        if self.is_first_answer(caller, sequence) {
            let call = self.callers[caller].pending.received(sequence);
            self.flow.answered(now, call.map_or(0, |call| call.due));
            self.schedule.completed(caller);
        }
    }

    /// Counts an answer, whatever it was; whether it is the first one to this call. Results may overtake each
    /// other, since calls go to different callees.
    fn is_first_answer(&mut self, caller: usize, sequence: u64) -> bool {
        let (state, tally) = (&mut self.callers[caller], &mut self.flow.tally);
        if sequence >= state.next {
            tally.corrupt += 1;
            return false;
        }
        tally.received += 1;
        let again = state.answers.receive(sequence) == Arrival::Duplicate;
        tally.duplicate += u64::from(again);
        !again
    }
}

impl Load for Calls {
    fn flow(&self) -> &Flow {
        &self.flow
    }

    fn flow_mut(&mut self) -> &mut Flow {
        &mut self.flow
    }

    fn into_flow(self) -> Flow {
        self.flow
    }

    fn groups(&self) -> Vec<u64> {
        vec![self.callees.len() as u64, self.callers.len() as u64]
    }

    fn granted(&self) -> (u64, u64) {
        (self.registered, self.callees.len() as u64)
    }

    fn schedule(&self) -> Option<&Schedule> {
        Some(&self.schedule)
    }

    fn schedule_mut(&mut self) -> Option<&mut Schedule> {
        Some(&mut self.schedule)
    }

    fn give_up(&mut self, _io: &Io, now: u64) {
        if self.schedule.is_open() {
            for caller in &mut self.callers {
                for (due, _) in caller.pending.give_up() {
                    self.flow.missing(now, due, 1);
                }
            }
            let mut unsent = 0;
            for (_, due) in self.schedule.overdue(self.flow.closes(now)) {
                self.flow.sent(now, due);
                self.flow.missing(now, due, 1);
                unsent += 1;
            }
            self.flow.unsent(unsent);
        }
        self.flow.given_up(now);
    }

    fn count_lost(&mut self) {
        let callers = self.callers.iter();
        let missing = callers.map(|caller| caller.answers.missing(caller.next));
        self.flow.tally.lost = missing.sum();
    }
}

impl Handler for Calls {
    fn opened(&mut self, io: &mut Io, conn: ConnId, _now: u64) {
        if !self.is_callee(conn) {
            return;
        }
        let callee = self.flow.local(conn);
        let invoke = self.shared.then_some(InvokePolicy::RoundRobin);
        let register = Register {
            request: io.request(conn),
            options: RegisterOptions {
                invoke,
                ..RegisterOptions::default()
            },
            procedure: self.procedures[callee % self.procedures.len()].as_str().into(),
        };
        io.send(conn, &Message::Register(register));
    }

    fn message(&mut self, io: &mut Io, conn: ConnId, message: Message, now: u64) {
        let is_callee = self.is_callee(conn);
        match message {
            Message::Registered(_) => self.registered += 1,
            Message::Invocation(invocation) if is_callee => self.invocation(io, conn, invocation),
            Message::Result(result) if !is_callee => self.result(io, conn, &result, now),
            Message::Error(error) if !is_callee => self.error(conn, &error, now),
            other => self.flow.fail(|| format!("{conn}: unexpected {other:?}")),
        }
    }

    fn lost(&mut self, _io: &mut Io, conn: ConnId, why: &str) {
        self.flow.fail(|| format!("{conn}: {why}"));
    }

    fn tick(&mut self, io: &mut Io, now: u64) -> Option<u64> {
        while (self.schedule.is_closed() || self.flow.outstanding() < OPEN_MAX)
            && let Some((caller, due)) = self.schedule.take(now)
        {
            if !self.schedule.is_closed() {
                self.flow.sent(now, due);
            }
            self.call(io, caller, now, due);
        }
        self.schedule.deadline(now)
    }
}
