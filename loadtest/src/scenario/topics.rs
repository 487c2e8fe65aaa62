//! Many topics, with publishers spread over them, and subscribers of single topics and of patterns.

use anyhow::ensure;

use super::fan::{Crowd, Fan};
use super::load::Load;
use super::others::Others;
use super::plan::{Plan, Shares};
use super::{Loop, Stage, counted, looped};
use crate::cli::Topics;
use crate::report::Report;

pub(super) fn run(options: &Topics) -> anyhow::Result<Report> {
    let shares = Shares {
        exact: options.exact,
        prefix: options.prefix,
        wildcard: options.wildcard,
    };
    ensure!(
        shares.exact + shares.prefix + shares.wildcard > 0,
        "--exact, --prefix and --wildcard: one of them must be more than 0"
    );
    let crowd = Crowd {
        publishers: options.publishers,
        readers: options.subscribers,
        slow: 0,
    };
    let how = Loop::of(options.rate, options.in_flight);
    let mut stage = Stage::new(&options.common, crowd.total() + Others::sessions(&options.others))?;
    let plan = Plan::new(stage.uri("topic"), options.topics, options.items);
    let mut report = Report::new("topics", title(options, &plan, how));
    let mut others = Others::new(&options.others, &plan);
    let mut fan = Fan::new("topics", (plan, shares), crowd, options.size, how)?;
    let loads: &mut [&mut dyn Load] = &mut [&mut fan, &mut others];
    stage.run(loads, &mut report)?;
    Ok(report)
}

fn title(options: &Topics, plan: &Plan, how: Loop) -> String {
    let publishers = counted(options.publishers, "publisher");
    let (topics, groups) = (counted(plan.topics(), "topic"), counted(plan.groups(), "group"));
    let subscribers = counted(options.subscribers, "subscriber");
    let (exact, prefix, wildcard) = (options.exact, options.prefix, options.wildcard);
    let (size, how) = (options.size, looped(how, "publications"));
    let others = Others::title(&options.others);
    format!(
        "{publishers} -> {topics} in {groups} -> {subscribers} (exact : prefix : wildcard = \
         {exact} : {prefix} : {wildcard}), {size} octets, {how}{others}"
    )
}
