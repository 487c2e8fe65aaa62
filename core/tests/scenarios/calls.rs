//! CA: calls and their answers.

use crosspoint_core::message::Message;

use crate::mesh::{everywhere, where_nobody_is_disclosed};
use crate::say::{call, call_with, failure, register, register_with, result};

#[test]
fn ca_001_ca_019_a_call_becomes_an_invocation_and_comes_back() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        mesh.say(caller, call(77, "com.sum", "x"));
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"], "and names no caller");
        mesh.say(callee, result(1, "y"));
        assert_eq!(mesh.heard(caller), ["RESULT 77 y"]);
    });
}

#[test]
fn ca_002_invocations_are_numbered_for_each_callee() {
    everywhere(|mut mesh| {
        let callers = [mesh.join(), mesh.join()];
        let callees = [mesh.join(), mesh.join()];
        mesh.register(callees[0], register(1, "com.one"));
        mesh.register(callees[1], register(1, "com.two"));
        for (request, caller) in [(5, callers[0]), (9, callers[1]), (6, callers[0])] {
            mesh.say(caller, call(request, "com.one", "x"));
        }
        mesh.say(callers[0], call(7, "com.two", "x"));
        assert_eq!(
            mesh.heard(callees[0]),
            ["INVOCATION 1 x", "INVOCATION 2 x", "INVOCATION 3 x"]
        );
        assert_eq!(mesh.heard(callees[1]), ["INVOCATION 1 x"]);
    });
}

#[test]
fn ca_004_an_unknown_procedure_is_an_error() {
    everywhere(|mut mesh| {
        let caller = mesh.join();
        mesh.say(caller, call(1, "com.nobody", "x"));
        assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.no_such_procedure"]);
    });
}

#[test]
fn ca_005_a_callees_error_goes_to_the_caller() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(callee, failure(1, "com.overflow", "why"));
        assert_eq!(mesh.heard(caller), ["ERROR Call 1 com.overflow why"]);
    });
}

#[test]
fn ca_008_answers_in_reverse_order_find_their_calls() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        mesh.say(caller, call(1, "com.sum", "a"));
        mesh.say(caller, call(2, "com.sum", "b"));
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 a", "INVOCATION 2 b"]);
        mesh.say(callee, result(2, "B"));
        mesh.say(callee, result(1, "A"));
        assert_eq!(mesh.heard(caller), ["RESULT 2 B", "RESULT 1 A"]);
    });
}

#[test]
fn ca_009_calls_of_one_caller_keep_their_order_across_procedures() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.one"));
        mesh.register(callee, register(2, "com.two"));
        for request in 1..=1000 {
            let procedure = ["com.one", "com.two"][request as usize % 2];
            mesh.tell(caller, call(request, procedure, &request.to_string()));
        }
        mesh.settle();
        let expected: Vec<_> = (1..=1000).map(|n| format!("INVOCATION {n} {n}")).collect();
        assert_eq!(mesh.heard(callee), expected);
    });
}

#[test]
fn ca_012_request_ids_of_two_callers_do_not_collide() {
    everywhere(|mut mesh| {
        let (one, callee, two) = (mesh.join(), mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        mesh.say(one, call(5, "com.sum", "a"));
        mesh.say(two, call(5, "com.sum", "b"));
        mesh.say(callee, result(2, "B"));
        mesh.say(callee, result(1, "A"));
        assert_eq!(mesh.heard(one), ["RESULT 5 A"]);
        assert_eq!(mesh.heard(two), ["RESULT 5 B"]);
    });
}

#[test]
fn ca_013_a_second_answer_is_ignored() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(callee, result(1, "y"));
        mesh.say(callee, result(1, "z"));
        mesh.say(callee, failure(1, "com.late", ""));
        assert_eq!(mesh.heard(caller), ["RESULT 1 y"]);
        assert!(!mesh.is_closed(callee));
    });
}

#[test]
fn ca_014_a_callee_who_leaves_cancels_its_calls() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.lose(callee);
        assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.canceled"]);
    });
}

#[test]
fn ca_015_ca_017_a_caller_who_leaves_interrupts_its_callee() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.lose(caller);
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x", "INTERRUPT 1 killnowait"]);
        mesh.say(callee, result(1, "too late"));
        assert_eq!(mesh.heard(callee), [""; 0]);
        assert!(!mesh.is_closed(callee));
    });
}

#[test]
fn ca_016_not_a_callee_that_does_not_understand_it() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join_with(&["progressive_call_results"]));
        mesh.register(callee, register(1, "com.sum"));
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.lose(caller);
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"]);
    });
}

#[test]
fn pv_020_an_answer_to_what_was_never_asked_is_a_violation() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(callee, result(2, "y"));
        assert_eq!(
            mesh.heard(callee),
            ["INVOCATION 1 x", "ABORT wamp.error.protocol_violation"]
        );
        assert!(mesh.is_closed(callee));
        assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.canceled"]);
    });
}

#[test]
fn ci_001_ci_003_a_caller_is_named_where_it_or_its_callee_wants_it() {
    for (disclose_me, disclose_caller) in [(Some(true), None), (None, Some(true)), (Some(false), Some(true))]
    {
        everywhere(|mut mesh| {
            let (caller, callee) = (mesh.join(), mesh.join());
            mesh.register(
                callee,
                register_with(1, "com.sum", |options| options.disclose_caller = disclose_caller),
            );
            mesh.say(
                caller,
                call_with(1, "com.sum", "x", |options| options.disclose_me = disclose_me),
            );
            assert_eq!(mesh.heard(callee), ["INVOCATION 1 x caller=#0"]);
        });
    }
}

#[test]
fn ci_004_where_nobody_is_disclosed_call_and_registration_are_refused() {
    where_nobody_is_disclosed(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        mesh.say(
            caller,
            call_with(1, "com.sum", "x", |options| options.disclose_me = Some(true)),
        );
        assert_eq!(
            mesh.heard(caller),
            ["ERROR Call 1 wamp.error.option_disallowed.disclose_me"]
        );
        assert_eq!(mesh.heard(callee), [""; 0]);
        mesh.say(
            callee,
            register_with(2, "com.other", |options| options.disclose_caller = Some(true)),
        );
        assert_eq!(
            mesh.heard(callee),
            ["ERROR Register 2 wamp.error.option_disallowed.disclose_me"]
        );
    });
}

#[test]
fn an_error_is_no_longer_than_other_uris() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        for (length, heard) in [(1024, None), (1025, Some("ABORT wamp.error.protocol_violation"))] {
            mesh.say(caller, call(1, "com.sum", "x"));
            let Some(Message::Invocation(invocation)) = mesh.got(callee).pop() else {
                panic!("no INVOCATION");
            };
            let error = &*"e".repeat(length).leak();
            mesh.say(callee, failure(invocation.request.0, error, ""));
            assert_eq!(mesh.heard(callee).pop().as_deref(), heard);
        }
        assert!(mesh.is_closed(callee));
    });
}
