//! Publishers to many subscribers of one topic.

use super::fan::{Crowd, Fan, Mode};
use super::{Stage, counted};
use crate::cli::Fanout;
use crate::pace::Pace;
use crate::report::Report;

pub(crate) fn run(options: &Fanout) -> anyhow::Result<Report> {
    let crowd = Crowd {
        publishers: options.publishers,
        readers: options.subscribers,
        slow: 0,
    };
    let mut stage = Stage::new(&options.common, crowd.total())?;
    let mut fan = Fan::set_up(&mut stage, crowd, options.size)?;
    let mut report = Report::new("fanout", title(options));

    let now = stage.driver.io.now();
    let mode = match options.rate {
        Some(rate) => Mode::Open(Pace::new(rate, now)),
        None => Mode::Closed(options.in_flight as usize),
    };
    fan.begin(mode, now);
    fan.phase(&mut stage, "warm-up", options.common.warmed(), options.rate)?;
    report.push(fan.phase(&mut stage, "measured", options.common.measured(), options.rate)?);
    fan.drain(&mut stage)?;

    report.verified = fan.readers;
    report.ok = fan.failure.is_none();
    report.warnings.extend(fan.failure.take());
    stage.leave(&mut fan)?;
    Ok(report)
}

fn title(options: &Fanout) -> String {
    let publishers = counted(options.publishers, "publisher");
    let subscribers = counted(options.subscribers, "subscriber");
    let how = match options.rate {
        Some(rate) => format!("{rate} publications/s, open loop"),
        None => format!("{} in flight each, closed loop", options.in_flight),
    };
    format!("{publishers} -> {subscribers}, {} octets, {how}", options.size)
}
