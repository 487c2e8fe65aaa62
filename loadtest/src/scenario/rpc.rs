//! Calls from many callers to many callees.

use super::calls::{Calls, Parties};
use super::{Loop, Stage, counted, looped};
use crate::cli::{Procedures, Rpc};
use crate::report::Report;

pub(super) fn run(options: &Rpc) -> anyhow::Result<Report> {
    let parties = Parties {
        callers: options.callers,
        callees: options.callees,
        procedures: options.procedures,
    };
    let how = Loop::of(options.rate, options.calls);
    let mut stage = Stage::new(&options.common, options.callers + options.callees)?;
    let mut calls = Calls::new("rpc", |name| stage.uri(name), parties, options.size, how);
    let mut report = Report::new("rpc", title(options, how));
    stage.run(&mut [&mut calls], &mut report)?;
    Ok(report)
}

fn title(options: &Rpc, how: Loop) -> String {
    let callers = counted(options.callers, "caller");
    let callees = counted(options.callees, "callee");
    let procedures = match options.procedures {
        Procedures::Own => "own procedures",
        Procedures::Shared => "one shared procedure",
    };
    let (size, how) = (options.size, looped(how, "calls"));
    format!("{callers} -> {callees}, {procedures}, {size} octets, {how}")
}
