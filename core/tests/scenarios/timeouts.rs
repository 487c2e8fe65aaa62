//! CT: calls that take too long.

use crosspoint_core::message::Message;

use crate::mesh::{Mesh, Who, everywhere};
use crate::say::{call_with, progress, register_with, result};

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
