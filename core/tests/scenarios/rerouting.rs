//! CR: callees that leave a call to others.

use crosspoint_core::message::Message;
use crosspoint_core::options::{CancelMode, InvokePolicy};

use crate::mesh::{ALL_FEATURES, Joining, Mesh, Who, everywhere};
use crate::passthru::{SEALED, sealed};
use crate::say::{
    call, call_with, cancel, failure, part, progress, register, register_shared, result, unregister,
};

const UNAVAILABLE: &str = "wamp.error.unavailable";
const NOBODY: [&str; 1] = ["ERROR Call 1 wamp.error.no_available_callee"];

/// A caller, and callees of one procedure in the order of their registration.
fn served<const COUNT: usize>(mesh: &mut Mesh, invoke: InvokePolicy) -> (Who, [Who; COUNT]) {
    let caller = mesh.join();
    let callees = [(); COUNT].map(|()| mesh.join());
    for callee in callees {
        mesh.register(callee, register_shared(1, "com.sum", invoke));
    }
    (caller, callees)
}

/// The callee that was invoked, by its place.
fn invoked(mesh: &mut Mesh, callees: &[Who]) -> Option<usize> {
    let got = |callee: &Who| matches!(mesh.got(*callee).as_slice(), [Message::Invocation(_)]);
    callees.iter().position(got)
}

#[test]
fn cr_001_a_single_callee_has_no_other() {
    everywhere(|mut mesh| {
        let (caller, [callee]) = served(&mut mesh, InvokePolicy::Single);
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(callee, failure(1, UNAVAILABLE, "why"));
        assert_eq!(mesh.heard(caller), NOBODY);
    });
}

#[test]
fn cr_002_cr_003_cr_005_each_callee_is_tried_once_in_the_order_of_the_policy() {
    for (invoke, order) in [
        (InvokePolicy::RoundRobin, [0, 1, 2]),
        (InvokePolicy::First, [0, 1, 2]),
        (InvokePolicy::Last, [2, 1, 0]),
    ] {
        everywhere(|mut mesh| {
            let (caller, callees) = served::<3>(&mut mesh, invoke);
            mesh.say(caller, call(1, "com.sum", "x"));
            for place in order {
                assert_eq!(mesh.heard(callees[place]), ["INVOCATION 1 x"]);
                assert_eq!(mesh.heard(caller), [""; 0]);
                mesh.say(callees[place], failure(1, UNAVAILABLE, ""));
            }
            assert_eq!(mesh.heard(caller), NOBODY);
        });
    }
}

/// A call that all callees leave to others comes to each of them once, in any order.
fn each_is_tried_once(mesh: &mut Mesh, caller: Who, callees: &[Who]) {
    mesh.say(caller, call(1, "com.sum", "x"));
    let mut left = callees.to_vec();
    while !left.is_empty() {
        let place = invoked(mesh, &left).expect("one that was not tried");
        mesh.say(left.remove(place), failure(1, UNAVAILABLE, ""));
    }
    assert_eq!(mesh.heard(caller), NOBODY);
}

#[test]
fn cr_004_any_other_one() {
    for invoke in [InvokePolicy::Random, InvokePolicy::Load, InvokePolicy::Sticky] {
        everywhere(|mut mesh| {
            let (caller, callees) = served::<3>(&mut mesh, invoke);
            each_is_tried_once(&mut mesh, caller, &callees);
        });
    }
}

#[test]
fn cr_005_each_of_many_is_tried_once() {
    use InvokePolicy::{First, Last, Load, Random, RoundRobin, Sticky};
    for invoke in [First, Last, Load, Random, RoundRobin, Sticky] {
        let mut mesh = Mesh::new(1);
        let (caller, callees) = served::<100>(&mut mesh, invoke);
        each_is_tried_once(&mut mesh, caller, &callees);
    }
}

#[test]
fn cr_006_who_did_not_announce_it_fails() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join_with(&["call_canceling"]));
        let other = mesh.join();
        mesh.register(callee, register_shared(1, "com.sum", InvokePolicy::First));
        mesh.register(other, register_shared(1, "com.sum", InvokePolicy::First));
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(callee, failure(1, UNAVAILABLE, "why"));
        assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.unavailable why"]);
        assert_eq!(mesh.heard(other), [""; 0]);
    });
}

#[test]
fn cr_007_the_call_stays_what_it_was() {
    everywhere(|mut mesh| {
        let (caller, [first, second]) = served(&mut mesh, InvokePolicy::First);
        let say = call_with(1, "com.sum", "x", |options| {
            (options.disclose_me, options.timeout) = (Some(true), Some(100));
        });
        mesh.say(caller, say);
        mesh.pass(60);
        mesh.say(first, failure(1, UNAVAILABLE, ""));
        assert_eq!(mesh.heard(second), ["INVOCATION 1 x caller=#0"]);
        mesh.pass(60);
        assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.timeout"]);
        assert_eq!(mesh.heard(second), ["INTERRUPT 1 killnowait"]);
    });
}

#[test]
fn only_callees_of_the_same_registration_are_tried() {
    everywhere(|mut mesh| {
        let (caller, callee, other) = (mesh.join(), mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        let prefix = crate::say::register_with(1, "com", |options| {
            options.match_policy = Some(crosspoint_core::options::MatchPolicy::Prefix);
        });
        mesh.register(other, prefix);
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(callee, failure(1, UNAVAILABLE, ""));
        assert_eq!(mesh.heard(caller), NOBODY);
        assert_eq!(mesh.heard(other), [""; 0]);
    });
}

#[test]
fn a_call_that_has_begun_to_be_answered_stays() {
    everywhere(|mut mesh| {
        let (caller, [first, second]) = served(&mut mesh, InvokePolicy::First);
        mesh.say(
            caller,
            call_with(1, "com.sum", "x", |options| options.receive_progress = true),
        );
        mesh.say(first, progress(1, "y"));
        mesh.say(first, failure(1, UNAVAILABLE, ""));
        assert_eq!(
            mesh.heard(caller),
            ["RESULT 1 progress y", "ERROR Call 1 wamp.error.unavailable"]
        );
        assert_eq!(mesh.heard(second), [""; 0]);
    });
}

#[test]
fn ca_005_pt_008_a_first_part_goes_on_but_not_without_the_others() {
    everywhere(|mut mesh| {
        let (caller, [first, second]) = served(&mut mesh, InvokePolicy::First);
        mesh.say(caller, part(1, "com.sum", "a"));
        mesh.say(first, failure(1, UNAVAILABLE, ""));
        mesh.say(caller, part(1, "com.sum", "b"));
        assert_eq!(
            mesh.heard(second),
            ["INVOCATION 1 a progress", "INVOCATION 1 b progress"]
        );
        mesh.say(second, sealed(failure(1, UNAVAILABLE, "why")));
        let expected = format!("ERROR Call 1 wamp.error.unavailable why{SEALED}");
        assert_eq!(mesh.heard(caller), [expected]);
    });
}

#[test]
fn ca_005_pt_008_a_cancelled_call_does_not_go_on() {
    everywhere(|mut mesh| {
        let (caller, [first, second]) = served(&mut mesh, InvokePolicy::First);
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.tell(caller, cancel(1, Some(CancelMode::Kill)));
        mesh.tell(first, sealed(failure(1, UNAVAILABLE, "why")));
        mesh.settle();
        let expected = format!("ERROR Call 1 wamp.error.unavailable why{SEALED}");
        assert_eq!(mesh.heard(caller), [expected]);
        assert_eq!(mesh.heard(second), [""; 0]);
    });
}

#[test]
fn the_next_callee_may_be_gone() {
    let mut mesh = Mesh::new(2);
    let join = |mesh: &mut Mesh, shard| {
        mesh.join_as(Joining {
            shard,
            authid: "somebody",
            role: "user",
            features: ALL_FEATURES,
        })
    };
    let (caller, first, second) = (join(&mut mesh, 0), join(&mut mesh, 1), join(&mut mesh, 1));
    mesh.register(first, register_shared(1, "com.sum", InvokePolicy::First));
    let registration = mesh.register(second, register_shared(1, "com.sum", InvokePolicy::First));
    mesh.say(caller, call(1, "com.sum", "x"));
    mesh.tell(first, failure(1, UNAVAILABLE, ""));
    mesh.deliver(1, 0);
    mesh.tell(second, unregister(2, registration));
    mesh.settle();
    assert_eq!(mesh.heard(caller), NOBODY);
    mesh.say(caller, call(2, "com.sum", "x"));
    mesh.say(first, result(2, "y"));
    assert_eq!(mesh.heard(caller), ["RESULT 2 y"]);
}
