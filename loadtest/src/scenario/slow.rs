//! A fan-out in which some subscribers stop reading.

use std::time::Duration;

use super::fan::{ALL_EXACT, Crowd, Fan};
use super::plan::Plan;
use super::{Loop, Stage, counted, looped};
use crate::cli::Slow;
use crate::report::{Report, SlowReaders};

pub(super) fn run(options: &Slow) -> anyhow::Result<Report> {
    let crowd = Crowd {
        publishers: 1,
        readers: options.subscribers,
        slow: options.slow,
    };
    let common = &options.common;
    let pause = common.or_quick(options.pause, Duration::from_secs(2));
    let how = Loop::Open(options.rate);
    let mut stage = Stage::new(common, crowd.total())?;
    let plan = Plan::single(stage.uri("topic"));
    let mut fan = Fan::new("fanout", (plan, ALL_EXACT), crowd, options.size, how)?;
    let mut report = Report::new("slow", title(options, pause));

    stage.set_up(&mut [&mut fan])?;
    stage.begin(&mut [&mut fan]);
    stage.warm_up(&mut [&mut fan])?;
    let before = stage.phase(&mut [&mut fan], "before", common.measured())?;
    report.push(before.into_phase());
    for conn in fan.slow_conns() {
        stage.driver.io.pause(conn);
    }
    let stopped = stage.phase(&mut [&mut fan], "stopped", pause)?;
    report.push(stopped.into_phase());
    for conn in fan.slow_conns() {
        stage.driver.resume(&mut fan, conn);
    }
    let resumed = stage.last_phase(&mut [&mut fan], "resumed", common.measured())?;
    report.push(resumed.into_phase());
    stage.drain(&mut [&mut fan])?;

    let (tally, disconnected) = fan.slow();
    report.slow_readers = Some(SlowReaders { tally, disconnected });
    stage.conclude(&mut [&mut fan], &mut report)?;
    Ok(report)
}

fn title(options: &Slow, pause: Duration) -> String {
    let readers = counted(options.subscribers, "subscriber");
    let (slow, size) = (options.slow, options.size);
    let how = looped(Loop::Open(options.rate), "publications");
    format!("1 publisher -> {readers} that read and {slow} that stop for {pause:?}, {size} octets, {how}")
}
