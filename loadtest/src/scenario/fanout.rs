//! Publishers to many subscribers of one topic.

use super::fan::{ALL_EXACT, Crowd, Fan};
use super::load::Load;
use super::others::Others;
use super::plan::Plan;
use super::{Loop, Stage, counted, looped};
use crate::cli::Fanout;
use crate::report::Report;

pub(super) fn run(options: &Fanout) -> anyhow::Result<Report> {
    let crowd = Crowd {
        publishers: options.publishers,
        readers: options.subscribers,
        slow: 0,
    };
    let how = Loop::of(options.rate, options.in_flight);
    let mut stage = Stage::new(&options.common, crowd.total() + Others::sessions(&options.others))?;
    let plan = Plan::single(stage.uri("topic"));
    let mut others = Others::new(&options.others, &plan);
    let mut fan = Fan::new("fanout", (plan, ALL_EXACT), crowd, options.size, how)?;
    let mut report = Report::new("fanout", title(options, how));
    let loads: &mut [&mut dyn Load] = &mut [&mut fan, &mut others];
    stage.run(loads, &mut report)?;
    Ok(report)
}

fn title(options: &Fanout, how: Loop) -> String {
    let publishers = counted(options.publishers, "publisher");
    let subscribers = counted(options.subscribers, "subscriber");
    let (size, how) = (options.size, looped(how, "publications"));
    let others = Others::title(&options.others);
    format!("{publishers} -> {subscribers}, {size} octets, {how}{others}")
}
