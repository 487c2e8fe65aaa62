//! Steady, quiet traffic: calls and a small fan-out, each at a fixed rate. Measured alone and beside something
//! else, in turns, so that whatever else the machine does falls on both alike.

use std::thread;

use super::aside::{Aside, Shared};
use super::calls::{Calls, Parties};
use super::fan::{ALL_EXACT, Crowd, Fan};
use super::load::Load;
use super::plan::Plan;
use super::{Loop, Stage, counted};
use crate::cli::{Common, Procedures, Quiet};
use crate::meter::Measured;
use crate::report::Report;

/// A load that goes on and off beside the quiet traffic.
pub(super) struct Beside {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// The most connections that it has at a time.
    pub(super) connections: u64,
    /// The names of the phases without and with it.
    pub(super) phases: (&'static str, &'static str),
}

/// Sets both up, measures in turns, and takes all that was found into `report`.
///
/// # Errors
/// If either cannot be set up or measured.
pub(super) fn run<L: Load>(
    common: &Common,
    quiet: &Quiet,
    beside: &Beside,
    make: impl FnOnce(&Stage<'_>) -> anyhow::Result<L> + Send,
    mut report: Report,
) -> anyhow::Result<Report> {
    let shared = Shared::default();
    // The limit of open files is for both threads.
    let mut stage = Stage::new(
        common,
        2 * quiet.pairs + 1 + quiet.subscribers + beside.connections,
    )?;
    thread::scope(|scope| {
        let aside = Aside::spawn(scope, &shared, common, beside, make);
        let measured = measure(&mut stage, quiet, &aside, beside, &mut report);
        // The thread is to end whatever happened; and its reason is the better one if it ended by itself.
        let mut flow = aside.end()?;
        let (without, mut with) = measured?;
        if let Some(found) = with.found.last_mut() {
            found.asked_per_second = flow.asked_per_second;
            found.each = flow.each;
            flow.tell(found);
        }
        report.push(without.into_phase());
        report.push(with.into_phase());
        report.take_in(flow.outcome());
        Ok(report)
    })
}

/// How long each of so many turns takes, and their number.
fn turns(common: &Common, rounds: u64) -> (std::time::Duration, u32) {
    let rounds = if common.quick { rounds.min(2) } else { rounds } as u32;
    (common.measured() / rounds.max(1), rounds.max(1))
}

fn measure(
    stage: &mut Stage<'_>,
    quiet: &Quiet,
    aside: &Aside<'_>,
    beside: &Beside,
    report: &mut Report,
) -> anyhow::Result<(Measured, Measured)> {
    let common = stage.common;
    let (mut calls, mut fan) = quiet_loads(stage, quiet)?;
    let loads: &mut [&mut dyn Load] = &mut [&mut calls, &mut fan];
    stage.set_up(loads)?;
    stage.serve(loads, || aside.is_ready())?;
    stage.begin(loads);
    stage.warm_up(loads)?;
    let (time, rounds) = turns(common, quiet.rounds);
    let (without, with) = beside.phases;
    let mut sums: Option<(Measured, Measured)> = None;
    for _ in 0..rounds {
        let alone = stage.phase(loads, without, time)?;
        aside.start();
        let together = stage.phase_beside(loads, Some(aside), with, time)?;
        aside.stop();
        stage.serve(loads, || aside.is_silent())?;
        match &mut sums {
            None => sums = Some((alone, together)),
            Some((sum_alone, sum_together)) => {
                sum_alone.join(alone);
                sum_together.join(together);
            }
        }
    }
    stage.drain(loads)?;
    stage.conclude(loads, report)?;
    sums.ok_or_else(|| anyhow::anyhow!("there was no round"))
}

fn quiet_loads(stage: &Stage<'_>, quiet: &Quiet) -> anyhow::Result<(Calls, Fan)> {
    let parties = Parties {
        callers: quiet.pairs,
        callees: quiet.pairs,
        procedures: Procedures::Own,
    };
    let crowd = Crowd {
        publishers: 1,
        readers: quiet.subscribers,
        slow: 0,
    };
    let (size, plan) = (quiet.size, Plan::single(stage.uri("quiet")));
    let calls = Calls::new(
        "rpc",
        |name| stage.uri(name),
        parties,
        size,
        Loop::Open(quiet.call_rate),
    );
    let fan = Fan::new("fanout", (plan, ALL_EXACT), crowd, size, Loop::Open(quiet.rate))?;
    Ok((calls, fan))
}

/// What the title of a run says of the quiet traffic.
pub(super) fn title(quiet: &Quiet) -> String {
    let (pairs, call_rate, rate) = (quiet.pairs, quiet.call_rate, quiet.rate);
    let (callers, subscribers) = (counted(pairs, "caller"), counted(quiet.subscribers, "subscriber"));
    format!("{call_rate} calls/s of {callers} and {rate} publications/s to {subscribers}")
}
