//! A loud fan-out beside quiet traffic that has nothing to do with it.

use super::fan::{ALL_EXACT, Crowd, Fan};
use super::plan::Plan;
use super::steady::{self, Beside};
use super::{Loop, counted};
use crate::cli::Noisy;
use crate::report::Report;

pub(super) fn run(options: &Noisy) -> anyhow::Result<Report> {
    let crowd = Crowd {
        publishers: 1,
        readers: options.noise_subscribers,
        slow: 0,
    };
    let beside = Beside {
        name: "noise",
        unit: "deliveries",
        connections: crowd.total(),
        phases: ("quiet", "noisy"),
    };
    let (size, how) = (
        options.noise_size,
        Loop::Open(1.0 / options.noise_every.as_secs_f64()),
    );
    let report = Report::new("noisy", title(options));
    let noise = |stage: &super::Stage<'_>| {
        let plan = Plan::single(stage.uri("noise"));
        Fan::new("noise", (plan, ALL_EXACT), crowd, size, how)
    };
    steady::run(&options.common, &options.quiet, &beside, noise, report)
}

fn title(options: &Noisy) -> String {
    let quiet = steady::title(&options.quiet);
    let subscribers = counted(options.noise_subscribers, "subscriber");
    let (size, every, rounds) = (options.noise_size, options.noise_every, options.quiet.rounds);
    format!(
        "{quiet}; every other turn of {rounds} each beside 1 publication to {subscribers} every {every:?}, {size} octets"
    )
}
