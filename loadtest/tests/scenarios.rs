//! What each scenario finds of a small router that does as it should, and what the files say that it writes.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test may end by a panic, and nobody uses it from outside"
)]

mod router;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use self::router::{Fault, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_crosspoint-loadtest");

/// 12 topics in 3 groups.
const TOPICS: [&str; 9] = [
    "topics",
    "--topics",
    "12",
    "--items",
    "4",
    "--subscribers",
    "30",
    "--publishers",
    "2",
];

fn sound(scenario: &[&str]) -> Value {
    let (status, report) = run(Fault::None, scenario);
    assert_eq!(status, 0, "{report}");
    report
}

fn stream<'a>(phase: &'a Value, name: &str) -> &'a Value {
    let beside = phase["beside"].as_array().unwrap();
    let mut streams = std::iter::once(phase).chain(beside);
    streams.find(|stream| stream["stream"] == name).unwrap()
}

#[test]
fn every_subscription_gets_what_matches() {
    for how in [["--in-flight", "3"], ["--rate", "400"]] {
        let report = sound(&[&TOPICS[..], &how].concat());
        // Of 30 subscribers, 24 have one of 12 topics, 3 one of 3 groups, and 3 one of 4 items: 3.75 for each
        // publication on average.
        let deliveries = report["verified"]["received"].as_f64().unwrap();
        assert!(deliveries > 400.0, "{report}");
        if how[0] == "--rate" {
            assert_eq!(report["phases"][0]["asked_per_second"], 400.0 * 3.75);
        }
    }
}

#[test]
fn events_for_others_are_noticed() {
    let (status, report) = run(Fault::Misdirect, &[&TOPICS[..], &["--rate", "100"]].concat());
    assert_eq!(status, 1, "{report}");
    assert!(report["verified"]["corrupt"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn a_topic_that_nobody_wants_does_not_stop_a_closed_loop() {
    let alone = [
        "--prefix",
        "0",
        "--wildcard",
        "0",
        "--subscribers",
        "2",
        "--in-flight",
        "1",
    ];
    let report = sound(&[&["topics", "--topics", "12", "--publishers", "2"][..], &alone].concat());
    assert!(report["verified"]["received"].as_u64().unwrap() > 100, "{report}");
}

#[test]
fn other_subscriptions_are_only_there() {
    for kind in ["exact", "prefix", "wildcard"] {
        let others = ["--other-subscriptions", "300", "--other-match", kind];
        let report = sound(&[&["fanout", "-n", "2", "--rate", "100"][..], &others].concat());
        assert_eq!(
            report["phases"][0]["beside"],
            Value::Array(Vec::new()),
            "{report}"
        );
        assert!(
            report["title"].as_str().unwrap().contains("300 other"),
            "{report}"
        );
    }
}

#[test]
fn noise_goes_on_and_off_beside_quiet_traffic() {
    let report = sound(&["noisy", "--noise-subscribers", "50", "--noise-every", "20ms"]);
    let [quiet, noisy] = &report["phases"].as_array().unwrap()[..] else {
        panic!("{report}");
    };
    assert_eq!(
        (&quiet["name"], &noisy["name"]),
        (&"quiet".into(), &"noisy".into())
    );
    assert_eq!(quiet["beside"].as_array().unwrap().len(), 1, "no noise in it");
    for phase in [quiet, noisy] {
        assert!(stream(phase, "rpc")["latency"]["p99_9_us"].as_f64().unwrap() > 0.0);
        assert!(
            stream(phase, "fanout")["count"].as_u64().unwrap() > 100,
            "{phase}"
        );
    }
    let noise = stream(noisy, "noise");
    assert_eq!(noise["asked_per_second"], 2500.0);
    assert!(noise["latency"]["count"].as_u64().unwrap() > 500, "{noise}");
}

#[test]
fn sessions_come_and_go_beside_quiet_traffic() {
    let report = sound(&["churn", "--churn", "100", "--stay", "50ms"]);
    let churn = stream(&report["phases"][1], "churn");
    let sessions = churn["latency"]["count"].as_u64().unwrap();
    assert!((50..=150).contains(&sessions), "{churn}");
}

#[test]
fn lost_events_are_noticed_in_another_thread_too() {
    let (status, report) = run(
        Fault::Lose,
        &["noisy", "--noise-subscribers", "50", "--call-rate", "1"],
    );
    assert_eq!(status, 1, "{report}");
}

#[test]
fn idle_sessions_are_subscribed() {
    let report = sound(&["idle", "-n", "40"]);
    assert_eq!(report["phases"][0]["count"], 40);
    assert_eq!(report["phases"][1]["name"], "idle");
}

#[test]
fn without_pid_it_says_what_it_does_not_know() {
    let own = std::process::id().to_string();
    for (more, known) in [(&[][..], false), (&["--pid", &own], true)] {
        let report = sound(&[&["idle", "-n", "5"][..], more].concat());
        let warned = report["warnings"].to_string().contains("without --pid");
        assert_eq!(warned, !known, "{report}");
        for phase in report["phases"].as_array().unwrap() {
            assert_eq!(phase["router"].is_object(), known, "{phase}");
            assert_eq!(phase["router"]["cpu_share"].is_f64(), known, "{phase}");
        }
    }
}

#[test]
fn a_phase_is_kept_interval_by_interval() {
    let report = sound(&["fanout", "-n", "2", "--rate", "200"]);
    let phase = &report["phases"][0];
    let numbers = |list: &Value| -> Vec<f64> {
        let entries = list.as_array().unwrap();
        entries.iter().map(|entry| entry.as_f64().unwrap()).collect()
    };
    let ends = numbers(&phase["timeline"]["end_seconds"]);
    assert!(ends.len() >= 3 && ends.is_sorted(), "{phase}");
    let counts = numbers(&phase["counts"]);
    assert_eq!(counts.len(), ends.len());
    assert_eq!(counts.iter().sum::<f64>(), phase["count"].as_f64().unwrap());
    let curve = phase["latency_curve"].as_array().unwrap();
    assert_eq!(curve[curve.len() - 1][0], 1.0);
}

fn compare(files: &[&Path], form: &str, more: &[&str]) -> Output {
    let program = Command::new(PROGRAM).arg(form).args(files).args(more).output();
    program.unwrap()
}

#[test]
fn two_reports_are_compared_in_text_and_in_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (a, b, page) = (path("a.json"), path("b.json"), path("both.html"));
    std::fs::write(&a, sound(&["fanout", "-n", "2", "--rate", "100"]).to_string()).unwrap();
    std::fs::write(&b, sound(&["fanout", "-n", "4", "--rate", "100"]).to_string()).unwrap();
    for form in ["compare", "--compare"] {
        let output = compare(&[&a, &b], form, &["--html", page.to_str().unwrap()]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let rate = text.lines().find(|line| line.contains(" rate ")).unwrap();
        let ratio: f64 = rate.split_whitespace().last().unwrap().parse().unwrap();
        assert!((1.8..2.2).contains(&ratio), "{rate}");
        assert!(text.contains("asked for different things"), "{text}");
        let page = std::fs::read_to_string(&page).unwrap();
        assert!(page.contains("A measured") && page.contains("B measured"));
    }
}

#[test]
fn what_is_no_report_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.json");
    std::fs::write(&file, "{}").unwrap();
    let output = compare(&[&file, &file], "compare", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no report"));
}

#[test]
fn a_run_writes_its_page() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("report.html");
    sound(&["rpc", "--rate", "100", "--html", page.to_str().unwrap()]);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<svg") && page.contains("Latency of rpc") && page.ends_with("</html>\n"));
}
