//! The harness against a router that does wrong on purpose: whatever it does must be noticed.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test may end by a panic, and nobody uses it from outside"
)]

mod router;

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

#[test]
fn sessions_are_counted() {
    let (status, report) = run(
        Fault::None,
        &["connect", "-n", "50", "--idle", "10ms", "--subscribe", "shared"],
    );
    assert_eq!(status, 0, "{report}");
    assert_eq!(report["phases"][0]["count"], 50, "{report}");
}
