//! Many sessions at once, and then their silence.

use std::time::Duration;

use super::load::Load;
use super::storm::Storm;
use super::{Stage, counted};
use crate::cli::{Common, Connect, Idle, Subscribing};
use crate::report::Report;

/// Opening is what matters.
pub(super) fn run(options: &Connect) -> anyhow::Result<Report> {
    let sessions = counted(options.sessions, "session");
    let how = match options.rate {
        Some(rate) => format!("{rate} per second, open loop"),
        None => format!("{} opening at a time", options.common.connecting),
    };
    let (then, idle) = (then(options.subscribe), options.idle);
    let title = format!("{sessions}, {how}{then}, idle for {idle:?}");
    let crowd = Crowd {
        sessions: options.sessions,
        rate: options.rate,
        subscribe: options.subscribe,
        idle,
    };
    open_and_wait(&options.common, crowd, Report::new("connect", title))
}

/// The time after that is what matters.
pub(super) fn run_idle(options: &Idle) -> anyhow::Result<Report> {
    let sessions = counted(options.sessions, "session");
    let (then, idle) = (then(options.subscribe), options.common.measured());
    let title = format!("{sessions}{then}, idle for {idle:?}");
    let crowd = Crowd {
        sessions: options.sessions,
        rate: None,
        subscribe: options.subscribe,
        idle,
    };
    open_and_wait(&options.common, crowd, Report::new("idle", title))
}

/// What to open, and what then.
struct Crowd {
    sessions: u64,
    rate: Option<f64>,
    subscribe: Subscribing,
    idle: Duration,
}

fn open_and_wait(common: &Common, crowd: Crowd, mut report: Report) -> anyhow::Result<Report> {
    let mut stage = Stage::new(common, crowd.sessions)?;
    let mut storm = Storm::new(&stage, crowd.sessions, crowd.rate);
    stage.set_up(&mut [&mut storm])?;
    stage.begin(&mut [&mut storm]);
    let time = storm.time(common.setup_timeout);
    let mut connect = stage.phase(&mut [&mut storm], "connect", time)?;
    if let [sessions] = &mut connect.found[..] {
        sessions.seconds = Some(storm.seconds());
    }
    let connect = connect.into_phase();
    let empty = connect.router.map(|router| router.rss_before);
    report.push(connect);
    storm.check_begun(&stage.driver.io, common.setup_timeout, &mut report);
    storm.stop();
    storm.subscribe(&mut stage, crowd.subscribe)?;

    let idle = stage.phase(&mut [&mut storm], "idle", crowd.idle)?;
    let mut idle = idle.into_phase();
    let sessions = storm.sessions().max(1) as f64;
    if let (Some(router), Some(empty)) = (&mut idle.router, empty) {
        let grown = router.rss_after as f64 - empty as f64;
        router.rss_per_session = Some(grown / sessions);
        router.cpu_us_per_session_second = Some(router.cpu_seconds * 1e6 / sessions / idle.seconds);
    }
    report.push(idle);
    storm.count_lost();
    stage.conclude(&mut [&mut storm], &mut report)?;
    Ok(report)
}

const fn then(subscribe: Subscribing) -> &'static str {
    match subscribe {
        Subscribing::None => "",
        Subscribing::Shared => ", then all subscribed to one topic",
        Subscribing::Own => ", then each subscribed to its own topic",
    }
}
