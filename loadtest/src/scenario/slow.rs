//! A fan-out in which some subscribers stop reading.

use std::time::Duration;

use super::fan::{Crowd, Fan, Mode};
use super::{Stage, counted};
use crate::cli::Slow;
use crate::pace::Pace;
use crate::report::{Report, SlowReaders};

pub(crate) fn run(options: &Slow) -> anyhow::Result<Report> {
    let crowd = Crowd {
        publishers: 1,
        readers: options.subscribers,
        slow: options.slow,
    };
    let common = &options.common;
    let pause = common.or_quick(options.pause, Duration::from_secs(2));
    let mut stage = Stage::new(common, crowd.total())?;
    let mut fan = Fan::set_up(&mut stage, crowd, options.size)?;
    let mut report = Report::new("slow", title(options, pause));
    let asked = Some(options.rate);

    let now = stage.driver.io.now();
    fan.begin(Mode::Open(Pace::new(options.rate, now)), now);
    fan.phase(&mut stage, "warm-up", common.warmed(), asked)?;
    report.push(fan.phase(&mut stage, "before", common.measured(), asked)?);
    for conn in fan.slow_conns() {
        stage.driver.io.pause(conn);
    }
    report.push(fan.phase(&mut stage, "stopped", pause, asked)?);
    for conn in fan.slow_conns() {
        stage.driver.resume(&mut fan, conn);
    }
    report.push(fan.phase(&mut stage, "resumed", common.measured(), asked)?);
    fan.drain(&mut stage)?;

    report.verified = fan.readers;
    report.slow_readers = Some(SlowReaders {
        tally: fan.slow,
        disconnected: fan.disconnected,
    });
    report.ok = fan.failure.is_none();
    report.warnings.extend(fan.failure.take());
    stage.leave(&mut fan)?;
    Ok(report)
}

fn title(options: &Slow, pause: Duration) -> String {
    let readers = counted(options.subscribers, "subscriber");
    format!(
        "1 publisher -> {readers} that read and {} that stop for {:?}, {} octets, {} publications/s, open loop",
        options.slow, pause, options.size, options.rate
    )
}
