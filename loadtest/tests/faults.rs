//! The harness against a router that does wrong on purpose: whatever it does must be noticed.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test may end by a panic, and nobody uses it from outside"
)]

mod router;

use std::time::{Duration, Instant};

use serde_json::Value;

use self::router::{Fault, STALL, run};

/// One subscriber, so that what is delayed is delayed behind an event of its own.
const FANOUT: [&str; 5] = ["fanout", "--subscribers", "1", "--rate", "500"];
const RPC: [&str; 7] = ["rpc", "--callers", "2", "--callees", "1", "--rate", "500"];

fn check(fault: Fault, scenario: &[&str], wrong: &str) {
    let (status, report) = run(fault, scenario);
    assert_eq!(status, 1, "{report}");
    assert!(report["verified"][wrong].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn a_router_that_does_right_is_told_so() {
    for scenario in [&FANOUT[..], &RPC] {
        let (status, report) = run(Fault::None, scenario);
        assert_eq!(status, 0, "{report}");
        assert!(report["verified"]["received"].as_u64().unwrap() > 400, "{report}");
        let latency = &report["phases"][0]["latency"];
        assert!(latency["p50_us"].as_f64().unwrap() > 0.0, "{report}");
        assert!(
            latency["max_us"].as_f64() >= latency["p99_us"].as_f64(),
            "{report}"
        );
    }
}

#[test]
fn a_closed_loop_keeps_going() {
    let (status, report) = run(Fault::None, &["fanout", "--subscribers", "3", "--in-flight", "4"]);
    assert_eq!(status, 0, "{report}");
    let received = report["verified"]["received"].as_u64().unwrap();
    assert!(received > 100 && received % 3 == 0, "{report}");
}

#[test]
fn lost_events_and_results() {
    check(Fault::Lose, &FANOUT, "lost");
    check(Fault::Lose, &RPC, "lost");
}

#[test]
fn a_closed_loop_that_stalls_ends() {
    let scenario = ["fanout", "--subscribers", "1", "--in-flight", "4"];
    let (status, report) = run(Fault::Lose, &scenario);
    assert_eq!(status, 1, "{report}");
    assert_eq!(report["verified"]["lost"], 4, "all in flight");
    assert!(report["warnings"].to_string().contains("--patience"), "{report}");
}

#[test]
fn repeated_events_and_results() {
    check(Fault::Repeat, &FANOUT, "duplicate");
    check(Fault::Repeat, &RPC, "duplicate");
}

#[test]
fn events_out_of_order() {
    check(Fault::Delay, &FANOUT, "out_of_order");
}

#[test]
fn changed_events_and_results() {
    check(Fault::Change, &FANOUT, "corrupt");
    check(Fault::Change, &RPC, "corrupt");
}

#[test]
fn a_connection_that_ends() {
    for scenario in [&FANOUT[..], &RPC] {
        let (status, report) = run(Fault::Hang, scenario);
        assert_eq!(status, 2, "{report}");
        assert_eq!(report["failed"], true, "{report}");
        assert!(report["warnings"].to_string().contains("connection"), "{report}");
    }
}

/// At a fixed rate, a stall of 0.4 s in one second is felt by far more than a tenth of all messages. Were latency
/// counted from when a message was really sent, only those under way would show it.
#[test]
fn a_stall_shows_in_the_latency_of_all_that_it_held_up() {
    for scenario in [&FANOUT[..], &RPC] {
        let (status, report) = run(Fault::Stall, scenario);
        assert_eq!(status, 0, "{report}");
        let p90 = report["phases"][0]["latency"]["p90_us"].as_f64().unwrap();
        assert!(p90 > STALL.as_micros() as f64 / 4.0, "{report}");
    }
}

/// What is under way when a phase ends is its slowest part. All that was due within 1 s at 500 a second counts.
#[test]
fn a_stall_at_the_end_shows_too() {
    for scenario in [&FANOUT[..], &RPC] {
        let (status, report) = run(Fault::StallAtEnd, scenario);
        assert_eq!(status, 0, "{report}");
        let latency = &report["phases"][0]["latency"];
        assert!(latency["count"].as_u64().unwrap() >= 490, "{report}");
        assert!(
            micros(latency, "max_us") > STALL.as_micros() as f64 * 0.9,
            "{report}"
        );
        assert!(
            micros(latency, "p99_us") > STALL.as_micros() as f64 / 4.0,
            "{report}"
        );
        assert!(report["phases"][0]["count"].as_u64().unwrap() < 480, "{report}");
        assert_eq!(report["phases"][0]["fell_behind"], true, "{report}");
        assert!(report["warnings"].to_string().contains("fell behind"), "{report}");
    }
}

#[test]
fn what_never_comes_has_the_latency_of_the_time_that_it_was_waited_for() {
    for scenario in [&FANOUT[..], &RPC] {
        let (status, report) = run(Fault::Silence, scenario);
        assert_eq!(status, 1, "{report}");
        assert!(report["verified"]["lost"].as_u64().unwrap() > 20, "{report}");
        let latency = &report["phases"][0]["latency"];
        assert!(latency["count"].as_u64().unwrap() >= 490, "{report}");
        assert!(micros(latency, "p99_us") > 800e3, "{report}");
    }
}

/// The publisher's queue is full when the phase ends: what is due then and not yet sent counts as well.
#[test]
fn what_could_not_be_sent_in_time_shows_too() {
    let scenario = ["fanout", "-n", "1", "--rate", "100", "--size", "500000"];
    let (status, report) = run(Fault::Choke, &scenario);
    assert_eq!(status, 0, "{report}");
    let phase = &report["phases"][0];
    assert!(
        micros(&phase["lag"], "max_us") > 50e3,
        "some were held back: {report}"
    );
    for figure in ["latency", "lag"] {
        assert!(phase[figure]["count"].as_u64().unwrap() >= 98, "{report}");
    }
}

fn micros(summary: &Value, which: &str) -> f64 {
    summary[which].as_f64().unwrap()
}

/// What those that stopped reading get later than the others is no loss.
#[test]
fn slow_readers_are_waited_for() {
    let scenario = [
        "slow", "-n", "3", "--slow", "1", "--for", "100ms", "--rate", "100",
    ];
    let (status, report) = run(Fault::Behind, &scenario);
    assert_eq!(status, 0, "{report}");
    assert!(
        report["slow_readers"]["received"].as_u64().unwrap() > 100,
        "{report}"
    );
    assert_eq!(report["slow_readers"]["lost"], 0, "{report}");
}

const CONNECT: [&str; 3] = ["connect", "--idle", "10ms"];

#[test]
fn a_session_that_fails_ends_the_opening() {
    for how in [["--connecting", "4"], ["--rate", "200"]] {
        let began = Instant::now();
        let (status, report) = run(Fault::Refuse, &[&CONNECT[..], &["-n", "50"], &how].concat());
        assert!(began.elapsed() < Duration::from_secs(30), "not --setup-timeout");
        assert_eq!((status, &report["failed"]), (2, &true.into()), "{report}");
        assert!(
            report["warnings"]
                .to_string()
                .contains("of 50 sessions were begun"),
            "{report}"
        );
        assert!(micros(&report["phases"][0], "per_second") > 50.0, "{report}");
    }
}

/// One session that hangs does not lower the rate at which the others opened.
#[test]
fn a_rate_of_sessions_ends_with_the_last_that_opened() {
    let hangs = ["-n", "50", "--setup-timeout", "1s"];
    let (status, report) = run(Fault::Ignore, &[&CONNECT[..], &hangs].concat());
    assert_eq!(status, 2, "{report}");
    assert!(
        report["warnings"]
            .to_string()
            .contains("1 of 50 sessions did not open"),
        "{report}"
    );
    let phase = &report["phases"][0];
    assert!(micros(phase, "per_second") > 60.0, "{report}");
    assert_eq!(phase["latency"]["count"], 50, "{report}");
    assert!(micros(&phase["latency"], "max_us") > 900e3, "{report}");
}

#[test]
fn time_that_does_not_suffice_for_all_sessions_is_warned_of() {
    let few = ["-n", "3000", "--connecting", "1", "--setup-timeout", "20ms"];
    let (status, report) = run(Fault::None, &[&CONNECT[..], &few].concat());
    assert_eq!(status, 2, "{report}");
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("of 3000 sessions were begun within --setup-timeout"),
        "{report}"
    );
}

#[test]
fn a_rate_has_the_time_that_it_takes() {
    let slowly = ["-n", "60", "--rate", "100", "--setup-timeout", "200ms"];
    let (status, report) = run(Fault::None, &[&CONNECT[..], &slowly].concat());
    assert_eq!(status, 0, "{report}");
    assert_eq!(report["phases"][0]["latency"]["count"], 60, "{report}");
}

#[test]
fn sessions_are_counted() {
    let (status, report) = run(
        Fault::None,
        &["connect", "-n", "50", "--idle", "10ms", "--subscribe", "shared"],
    );
    assert_eq!(status, 0, "{report}");
    assert_eq!(report["phases"][0]["count"], 50, "{report}");
}
