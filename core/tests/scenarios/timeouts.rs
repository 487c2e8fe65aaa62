//! CT: calls that take too long.

use crosspoint_core::config::CallQueue;
use crosspoint_core::message::Message;
use crosspoint_core::options::{InvokePolicy, MatchPolicy};

use crate::mesh::{Mesh, Who, everywhere};
use crate::say::{call_with, failure, progress, register_with, result};

const TIMEOUT: &str = "ERROR Call 1 wamp.error.timeout";

/// A call with 200 ms, which a callee with `features` has got.
fn waiting(mesh: &mut Mesh, features: &'static [&'static str], forward: bool) -> (Who, Who) {
    let (caller, callee) = (mesh.join(), mesh.join_with(features));
    mesh.register(
        callee,
        register_with(1, "com.sum", |options| options.forward_timeout = Some(forward)),
    );
    mesh.say(caller, call());
    (caller, callee)
}

fn call() -> Message {
    call_with(1, "com.sum", "x", |options| {
        options.timeout = Some(200);
        options.receive_progress = true;
    })
}

#[test]
fn ct_001_ct_003_ct_007_a_silent_callee_costs_the_caller_its_timeout() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, &["call_timeout"], false);
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"], "and no timeout in it");
        mesh.pass(199);
        assert_eq!(mesh.heard(caller), [""; 0]);
        mesh.pass(1);
        assert_eq!(mesh.heard(caller), [TIMEOUT]);
        assert_eq!(mesh.heard(callee), [""; 0], "it does not understand INTERRUPT");
    });
}

#[test]
fn ct_002_ct_006_the_callee_is_interrupted_and_its_late_answer_dropped() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, &["call_canceling"], false);
        mesh.pass(200);
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x", "INTERRUPT 1 killnowait"]);
        mesh.say(callee, result(1, "too late"));
        assert_eq!(mesh.heard(caller), [TIMEOUT]);
    });
}

#[test]
fn calls_that_have_ended_leave_no_deadlines_behind() {
    everywhere(|mut mesh| {
        let caller = mesh.join();
        let callee = mesh.join();
        mesh.register(callee, register_with(1, "com.sum", |_| {}));
        for number in 1..=5_000 {
            mesh.say(
                caller,
                call_with(number, "com.sum", "x", |options| options.timeout = Some(u64::MAX)),
            );
            mesh.say(callee, result(number, "y"));
        }
        assert_eq!(mesh.heard(caller).len(), 5_000);
        assert!(mesh.deadlines() <= 1024 + 10, "{}", mesh.deadlines());
    });
}

#[test]
fn ct_005_an_answer_in_time_is_the_only_one() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, &[], false);
        mesh.pass(199);
        mesh.say(callee, result(1, "y"));
        mesh.pass(1000);
        assert_eq!(mesh.heard(caller), ["RESULT 1 y"]);
    });
}

#[test]
fn ct_008_a_callee_that_keeps_the_time_is_told_and_trusted() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, &["call_timeout"], true);
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x timeout=200"]);
        mesh.pass(1000);
        assert_eq!(mesh.heard(caller), [""; 0]);
        mesh.say(callee, result(1, "y"));
        assert_eq!(mesh.heard(caller), ["RESULT 1 y"]);
    });
}

#[test]
fn ct_008_not_a_callee_that_only_asked_for_it() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, &[], true);
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"]);
        mesh.pass(200);
        assert_eq!(mesh.heard(caller), [TIMEOUT]);
    });
}

#[test]
fn ct_009_each_progressive_result_starts_the_time_anew() {
    everywhere(|mut mesh| {
        let features = &["call_canceling", "progressive_call_results"];
        let (caller, callee) = waiting(&mut mesh, features, false);
        for _ in 0..3 {
            mesh.pass(150);
            mesh.say(callee, progress(1, "more"));
        }
        assert_eq!(mesh.heard(caller), ["RESULT 1 progress more"; 3]);
        mesh.pass(199);
        assert_eq!(mesh.heard(caller), [""; 0]);
        mesh.pass(1);
        assert_eq!(mesh.heard(caller), [TIMEOUT]);
    });
}

#[test]
fn the_shortest_of_three_times_counts() {
    for (caller, callee, realm) in [
        (Some(200), Some(300), Some(400)),
        (Some(300), Some(200), None),
        (Some(0), None, Some(200)),
        (None, Some(200), Some(300)),
        (None, Some(0), Some(200)),
    ] {
        for forward in [false, true] {
            let mut mesh = Mesh::with(2, |config| {
                config.realms[0].calls.timeout = realm.map(std::time::Duration::from_millis);
            });
            let (who, served) = (mesh.join(), mesh.join_with(&["call_timeout"]));
            let register = register_with(1, "com.sum", |options| {
                (options.timeout, options.forward_timeout) = (callee, Some(forward));
            });
            mesh.register(served, register);
            mesh.say(
                who,
                call_with(1, "com.sum", "x", |options| options.timeout = caller),
            );
            mesh.pass(199);
            assert_eq!(mesh.heard(who), [""; 0]);
            mesh.pass(1);
            if forward {
                assert_eq!(mesh.heard(served), ["INVOCATION 1 x timeout=200"]);
                assert_eq!(mesh.heard(who), [""; 0]);
            } else {
                assert_eq!(mesh.heard(who), [TIMEOUT]);
            }
        }
    }
}

/// A callee of `com.sum` that leaves calls to others, and in 100 ms one that keeps the time by `second`.
fn rerouted(millis: u64, first: Option<u64>, second: (bool, Option<u64>)) -> (Mesh, Who, Who) {
    let mut mesh = Mesh::new(2);
    let (caller, callee, other) = (mesh.join(), mesh.join(), mesh.join());
    for (callee, (forward, timeout)) in [(callee, (false, first)), (other, second)] {
        let register = register_with(1, "com.sum", |options| {
            options.invoke = Some(InvokePolicy::First);
            (options.forward_timeout, options.timeout) = (Some(forward), timeout);
        });
        mesh.register(callee, register);
    }
    mesh.say(
        caller,
        call_with(1, "com.sum", "x", |options| options.timeout = Some(millis)),
    );
    mesh.pass(100);
    mesh.say(callee, failure(1, "wamp.error.unavailable", ""));
    (mesh, caller, other)
}

#[test]
fn cr_007_ct_009_the_next_callee_has_the_time_that_is_left() {
    for (second, expected) in [
        ((true, None), "INVOCATION 1 x timeout=200"),
        ((true, Some(250)), "INVOCATION 1 x timeout=200"),
        ((true, Some(150)), "INVOCATION 1 x timeout=150"),
    ] {
        let (mut mesh, _, other) = rerouted(300, None, second);
        assert_eq!(mesh.heard(other), [expected]);
    }
    for second in [None, Some(250)] {
        let (mut mesh, caller, _) = rerouted(300, None, (false, second));
        mesh.pass(199);
        assert_eq!(mesh.heard(caller), [""; 0]);
        mesh.pass(1);
        assert_eq!(mesh.heard(caller), [TIMEOUT]);
    }
}

#[test]
fn what_a_callee_wants_ends_where_another_has_the_call() {
    let (mut mesh, caller, _) = rerouted(1000, Some(150), (false, Some(500)));
    mesh.pass(499);
    assert_eq!(mesh.heard(caller), [""; 0]);
    mesh.pass(1);
    assert_eq!(mesh.heard(caller), [TIMEOUT]);
}

#[test]
fn cr_007_time_that_a_callee_has_kept_is_over_for_the_next() {
    let mut mesh = Mesh::new(2);
    let (caller, first, second) = (mesh.join(), mesh.join(), mesh.join());
    for callee in [first, second] {
        let register = register_with(1, "com.sum", |options| {
            options.invoke = Some(InvokePolicy::First);
            options.forward_timeout = Some(callee == first);
        });
        mesh.register(callee, register);
    }
    for (request, millis, expected) in [(1, 50, TIMEOUT), (2, 150, "ERROR Call 2 wamp.error.timeout")] {
        let call = call_with(request, "com.sum", "x", |options| options.timeout = Some(millis));
        mesh.say(caller, call);
        mesh.pass(100);
        mesh.say(first, failure(request, "wamp.error.unavailable", ""));
        assert_eq!(mesh.heard(second).len(), usize::from(millis > 100));
        mesh.pass(50);
        assert_eq!(mesh.heard(caller), [expected]);
    }
}

#[test]
fn a_callee_that_keeps_time_has_what_a_queue_has_left() {
    for shards in [1, 2] {
        let mut mesh = Mesh::with(shards, |config| {
            config.realms[0].calls.queues = vec![CallQueue {
                policy: MatchPolicy::Exact,
                uri: "com.sum".into(),
                limit: 9,
            }];
        });
        let (caller, callee) = (mesh.join(), mesh.join());
        let register = register_with(1, "com.sum", |options| {
            (options.forward_timeout, options.concurrency) = (Some(true), Some(1));
        });
        mesh.register(callee, register);
        for request in 1..=2 {
            let call = call_with(request, "com.sum", "x", |options| options.timeout = Some(300));
            mesh.say(caller, call);
        }
        mesh.pass(100);
        mesh.say(callee, result(1, ""));
        let expected = ["INVOCATION 1 x timeout=300", "INVOCATION 2 x timeout=200"];
        assert_eq!(mesh.heard(callee), expected);
        mesh.pass(1000);
        assert_eq!(mesh.heard(caller), ["RESULT 1"]);
    }
}
