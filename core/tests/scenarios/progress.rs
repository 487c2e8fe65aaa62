//! PC: progressive results.

use crate::mesh::{Mesh, Who, everywhere};
use crate::say::{call, call_with, failure, progress, register, result};

const CAN_STREAM: &[&str] = &["call_canceling", "progressive_call_results"];

/// A call that wants progress, to a callee with `features`.
fn waiting(mesh: &mut Mesh, features: &'static [&'static str]) -> (Who, Who) {
    let (caller, callee) = (mesh.join(), mesh.join_with(features));
    mesh.register(callee, register(1, "com.sum"));
    let wanted = call_with(1, "com.sum", "x", |options| options.receive_progress = true);
    mesh.say(caller, wanted);
    (caller, callee)
}

#[test]
fn pc_001_to_pc_003_progress_needs_two_features_of_the_callee() {
    let cases: [(&[&str], &str); 3] = [
        (CAN_STREAM, "INVOCATION 1 x receive_progress"),
        (&["call_canceling"], "INVOCATION 1 x"),
        (&["progressive_call_results"], "INVOCATION 1 x"),
    ];
    for (features, expected) in cases {
        everywhere(|mut mesh| {
            let (_, callee) = waiting(&mut mesh, features);
            assert_eq!(mesh.heard(callee), [expected]);
        });
    }
}

#[test]
fn pc_004_to_pc_006_results_come_at_once_in_order_and_then_the_last() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, CAN_STREAM);
        mesh.say(callee, progress(1, "a"));
        assert_eq!(mesh.heard(caller), ["RESULT 1 progress a"]);
        for answer in [progress(1, "b"), progress(1, "c"), result(1, "end")] {
            mesh.tell(callee, answer);
        }
        mesh.settle();
        assert_eq!(
            mesh.heard(caller),
            ["RESULT 1 progress b", "RESULT 1 progress c", "RESULT 1 end"]
        );
    });
}

#[test]
fn pc_004_an_error_may_end_it() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, CAN_STREAM);
        mesh.say(callee, progress(1, "a"));
        mesh.say(callee, failure(1, "com.broken", ""));
        assert_eq!(
            mesh.heard(caller),
            ["RESULT 1 progress a", "ERROR Call 1 com.broken"]
        );
    });
}

#[test]
fn pc_010_a_caller_who_leaves_ends_the_stream() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, CAN_STREAM);
        mesh.say(callee, progress(1, "a"));
        mesh.lose(caller);
        assert_eq!(
            mesh.heard(callee),
            ["INVOCATION 1 x receive_progress", "INTERRUPT 1 killnowait"]
        );
        mesh.say(callee, progress(1, "b"));
        mesh.say(callee, result(1, "end"));
        assert_eq!(mesh.heard(callee), [""; 0]);
        assert!(!mesh.is_closed(callee));
    });
}

#[test]
fn pc_011_a_callee_who_leaves_cancels_the_call() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, CAN_STREAM);
        mesh.say(callee, progress(1, "a"));
        mesh.lose(callee);
        assert_eq!(
            mesh.heard(caller),
            ["RESULT 1 progress a", "ERROR Call 1 wamp.error.canceled"]
        );
    });
}

#[test]
fn pc_012_progress_that_nobody_wants_does_not_end_the_call() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(callee, progress(1, "a"));
        mesh.say(callee, result(1, "end"));
        assert_eq!(mesh.heard(caller), ["RESULT 1 end"]);
    });
}
