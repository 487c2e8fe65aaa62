//! What can be done to a router. A scenario puts one or more loads on it, sets these up, and runs phases of its own.
//!
//! `load` says what a load is; `fan`, `calls`, `storm`, `churn` and `others` are loads; `stage` runs phases; and
//! `aside` runs a load in a thread of its own, so that it does not slow down those that are measured.

mod aside;
mod calls;
mod churn;
mod connect;
mod fan;
mod fanout;
mod load;
mod noisy;
mod others;
mod pending;
mod plan;
mod rpc;
mod schedule;
mod slow;
mod stage;
mod steady;
mod storm;
mod topics;

use crosspoint_codec::core::payload::Format;

use self::schedule::Loop;
use self::stage::Stage;
use crate::cli::Scenario;
use crate::payload::Template;
use crate::report::Report;

/// Runs a scenario to its end.
///
/// # Errors
/// If it cannot be set up or measured; what the router does wrong is in the report instead.
pub(crate) fn run(scenario: &Scenario) -> anyhow::Result<Report> {
    match scenario {
        Scenario::Fanout(options) => fanout::run(options),
        Scenario::Topics(options) => topics::run(options),
        Scenario::Rpc(options) => rpc::run(options),
        Scenario::Connect(options) => connect::run(options),
        Scenario::Idle(options) => connect::run_idle(options),
        Scenario::Slow(options) => slow::run(options),
        Scenario::Noisy(options) => noisy::run(options),
        Scenario::Churn(options) => churn::run(options),
    }
}

/// Payloads of one size for each serializer.
struct Templates([Template; Format::ALL.len()]);

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
    const fn new(interval: u64, now: u64) -> Self {
        Self {
            interval,
            next: now + interval,
        }
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

/// `50 calls/s, open loop` or `4 calls under way each, closed loop`.
fn looped(how: Loop, unit: &str) -> String {
    match how {
        Loop::Open(rate) => format!("{rate} {unit}/s, open loop"),
        Loop::Closed(window) => format!("{window} {unit} under way each, closed loop"),
    }
}
