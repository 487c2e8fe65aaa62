//! CC: cancelling calls.

use crosspoint_core::options::CancelMode;

use crate::mesh::{Mesh, Who, everywhere};
use crate::say::{call, cancel, failure, register, result};

const CANCELED: &str = "ERROR Call 1 wamp.error.canceled";

/// A caller who waits for a callee; the callee has read the INVOCATION.
fn waiting(mesh: &mut Mesh, features: &'static [&'static str]) -> (Who, Who) {
    let (caller, callee) = (mesh.join(), mesh.join_with(features));
    mesh.register(callee, register(1, "com.sum"));
    mesh.say(caller, call(1, "com.sum", "x"));
    assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"]);
    (caller, callee)
}

const CAN_BE: &[&str] = &["call_canceling"];

#[test]
fn cc_001_to_cc_003_killnowait_answers_at_once_and_interrupts() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, CAN_BE);
        mesh.tell(caller, cancel(1, Some(CancelMode::KillNoWait)));
        assert_eq!(mesh.heard(caller), [CANCELED], "before other shards know");
        mesh.settle();
        assert_eq!(mesh.heard(callee), ["INTERRUPT 1 killnowait"]);
        mesh.say(callee, result(1, "too late"));
        assert_eq!(mesh.heard(caller), [""; 0]);
    });
}

#[test]
fn cc_004_to_cc_007_kill_waits_for_what_the_callee_says() {
    let answers = [
        (failure(1, "wamp.error.canceled", ""), CANCELED),
        (failure(1, "com.other", ""), "ERROR Call 1 com.other"),
        (result(1, "done"), "RESULT 1 done"),
    ];
    for (answer, expected) in answers {
        everywhere(|mut mesh| {
            let (caller, callee) = waiting(&mut mesh, CAN_BE);
            mesh.say(caller, cancel(1, Some(CancelMode::Kill)));
            assert_eq!(mesh.heard(callee), ["INTERRUPT 1 kill"]);
            assert_eq!(mesh.heard(caller), [""; 0]);
            mesh.say(callee, answer.clone());
            assert_eq!(mesh.heard(caller), [expected]);
        });
    }
}

#[test]
fn cc_004_kill_and_the_callee_leaves() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, CAN_BE);
        mesh.say(caller, cancel(1, Some(CancelMode::Kill)));
        mesh.lose(callee);
        assert_eq!(mesh.heard(caller), [CANCELED]);
    });
}

#[test]
fn cc_008_cc_009_skip_does_not_tell_the_callee() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, CAN_BE);
        mesh.say(caller, cancel(1, Some(CancelMode::Skip)));
        assert_eq!(mesh.heard(caller), [CANCELED]);
        assert_eq!(mesh.heard(callee), [""; 0]);
        mesh.say(callee, result(1, "too late"));
        assert_eq!(mesh.heard(caller), [""; 0]);
    });
}

#[test]
fn cc_010_a_callee_that_cannot_be_cancelled_is_skipped() {
    for mode in [CancelMode::Kill, CancelMode::KillNoWait] {
        everywhere(|mut mesh| {
            let (caller, callee) = waiting(&mut mesh, &[]);
            mesh.say(caller, cancel(1, Some(mode)));
            assert_eq!(mesh.heard(caller), [CANCELED]);
            assert_eq!(mesh.heard(callee), [""; 0]);
        });
    }
}

#[test]
fn cc_012_without_a_mode_it_is_killnowait() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, CAN_BE);
        mesh.say(caller, cancel(1, None));
        assert_eq!(mesh.heard(caller), [CANCELED]);
        assert_eq!(mesh.heard(callee), ["INTERRUPT 1 killnowait"]);
    });
}

#[test]
fn cc_013_cc_014_what_is_over_or_never_was_is_not_cancelled() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, CAN_BE);
        mesh.say(callee, result(1, "y"));
        mesh.say(caller, cancel(1, None));
        mesh.say(caller, cancel(99, None));
        assert_eq!(mesh.heard(caller), ["RESULT 1 y"]);
        assert_eq!(mesh.heard(callee), [""; 0]);
    });
}

#[test]
fn cc_016_nobody_cancels_another_sessions_call() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, CAN_BE);
        let other = mesh.join();
        mesh.say(other, cancel(1, None));
        assert_eq!(mesh.heard(callee), [""; 0]);
        mesh.say(callee, result(1, "y"));
        assert_eq!(mesh.heard(caller), ["RESULT 1 y"]);
    });
}

#[test]
fn cc_018_cancel_and_yield_at_the_same_time_give_one_answer() {
    for mode in [CancelMode::Kill, CancelMode::KillNoWait, CancelMode::Skip] {
        let mut mesh = Mesh::new(2);
        let (caller, callee) = waiting(&mut mesh, CAN_BE);
        mesh.tell(caller, cancel(1, Some(mode)));
        mesh.tell(callee, result(1, "y"));
        mesh.settle();
        let expected = if mode == CancelMode::Kill {
            "RESULT 1 y"
        } else {
            CANCELED
        };
        assert_eq!(mesh.heard(caller), [expected], "{mode:?}");
        assert_eq!(mesh.heard(callee), [""; 0], "the answer was there first");
    }
}

#[test]
fn two_cancellations_interrupt_once() {
    everywhere(|mut mesh| {
        let (caller, callee) = waiting(&mut mesh, CAN_BE);
        mesh.say(caller, cancel(1, Some(CancelMode::Kill)));
        mesh.say(caller, cancel(1, Some(CancelMode::Kill)));
        mesh.lose(caller);
        assert_eq!(mesh.heard(callee), ["INTERRUPT 1 kill"]);
    });
}
