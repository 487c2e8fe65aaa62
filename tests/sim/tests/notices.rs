//! The simulation can fail: each of these breaks a promise of the mesh, or the disk, on which the routers rely, and must be
//! noticed as what it does to sessions.

use crosspoint_sim::runner::run_all;
use crosspoint_sim::{Fault, Options};

/// Runs seeds until one fails, and returns the invariant.
fn notice(fault: Fault) -> &'static str {
    let options = Options {
        shards: Some(3),
        fault: Some(fault),
    };
    let summary = run_all(0..200, options, 1);
    let failure = summary
        .failure
        .unwrap_or_else(|| panic!("{fault:?} goes unnoticed"));
    failure
        .broken
        .expect("a failure says what does not hold")
        .invariant
}

#[test]
fn messages_that_overtake_each_other_are_noticed() {
    notice(Fault::ReorderWithinPair);
}

#[test]
fn acknowledgements_before_their_time_are_noticed() {
    notice(Fault::EarlyAcks);
}

#[test]
fn lost_publications_are_noticed() {
    assert_eq!(
        notice(Fault::LosePublications),
        "no event is missed after SUBSCRIBED"
    );
}

#[test]
fn repeated_publications_are_noticed() {
    assert_eq!(
        notice(Fault::RepeatPublications),
        "no event comes twice for a subscription"
    );
}

#[test]
fn publications_that_no_history_has_are_noticed() {
    let invariant = notice(Fault::LoseRecords);
    assert!(invariant.contains("history"), "{invariant}");
}

#[test]
fn changes_that_no_disk_has_are_noticed() {
    let invariant = notice(Fault::LoseChanges);
    assert!(invariant.contains("history"), "{invariant}");
}

#[test]
fn lost_replies_are_noticed() {
    notice(Fault::LoseReplies);
}

#[test]
fn lost_cancellations_are_noticed() {
    notice(Fault::LoseCancels);
}
