//! PG: calls whose arguments come in parts.

use crosspoint_core::config::RouterConfig;
use crosspoint_core::options::{CancelMode, InvokePolicy};

use crate::mesh::{ALL_FEATURES, Joining, Mesh, Who, everywhere};
use crate::say::{
    call, call_with, cancel, failure, part, progress, register, register_shared, result, unregister,
};

const NOTHING: [&str; 0] = [];

/// A caller and a callee of `com.sum`, which has the first part.
fn begun(mesh: &mut Mesh) -> (Who, Who) {
    let (caller, callee) = (mesh.join(), mesh.join());
    mesh.register(callee, register(1, "com.sum"));
    mesh.say(caller, part(1, "com.sum", "a"));
    assert_eq!(mesh.heard(callee), ["INVOCATION 1 a progress"]);
    (caller, callee)
}

#[test]
fn pg_001_parts_have_one_invocation_id() {
    everywhere(|mut mesh| {
        let (caller, callee) = begun(&mut mesh);
        mesh.tell(caller, part(1, "com.sum", "b"));
        mesh.tell(caller, call(1, "com.sum", "c"));
        mesh.settle();
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 b progress", "INVOCATION 1 c"]);
        mesh.say(callee, result(1, "abc"));
        assert_eq!(mesh.heard(caller), ["RESULT 1 abc"]);
    });
}

#[test]
fn pg_002_a_caller_must_have_announced_it() {
    everywhere(|mut mesh| {
        let caller = mesh.join_with(&["call_canceling"]);
        mesh.say(caller, part(1, "com.sum", "a"));
        assert_eq!(mesh.heard(caller), ["ABORT wamp.error.protocol_violation"]);
        assert!(mesh.is_closed(caller));
    });
}

#[test]
fn pg_003_pg_004_a_callee_needs_two_features() {
    let cases: [&[&str]; 2] = [&["call_canceling"], &["progressive_call_invocations"]];
    for features in cases {
        everywhere(|mut mesh| {
            let (caller, callee) = (mesh.join(), mesh.join_with(features));
            mesh.register(callee, register(1, "com.sum"));
            mesh.tell(caller, part(1, "com.sum", "a"));
            mesh.tell(caller, part(1, "com.sum", "b"));
            mesh.settle();
            assert_eq!(
                mesh.heard(caller),
                ["ERROR Call 1 wamp.error.feature_not_supported"]
            );
            assert_eq!(mesh.heard(callee), NOTHING);
        });
    }
}

#[test]
fn pg_005_pg_006_strict_ids_may_interleave_but_have_no_gaps() {
    for shards in [1, 2] {
        let mut mesh = Mesh::with(shards, |config| config.realms[0].strict_request_ids = true);
        let (caller, callee) = begun(&mut mesh);
        mesh.say(caller, call(2, "com.nobody", ""));
        mesh.say(caller, part(1, "com.sum", "b"));
        mesh.say(caller, call(3, "com.nobody", ""));
        assert_eq!(mesh.heard(caller).len(), 2);
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 b progress"]);
        mesh.say(caller, call(5, "com.nobody", ""));
        assert_eq!(mesh.heard(caller), ["ABORT wamp.error.protocol_violation"]);
        assert_eq!(mesh.heard(callee), ["INTERRUPT 1 killnowait"]);
    }
}

#[test]
fn pg_007_only_a_call_in_parts_is_continued() {
    let broken = [
        [call(1, "com.sum", "a"), part(1, "com.sum", "b")],
        [part(1, "com.sum", "a"), part(1, "com.other", "b")],
    ];
    for [first, second] in broken {
        everywhere(|mut mesh| {
            let (caller, callee) = (mesh.join(), mesh.join());
            mesh.register(callee, register(1, "com.sum"));
            mesh.say(caller, first.clone());
            mesh.say(caller, second.clone());
            assert_eq!(mesh.heard(caller), ["ABORT wamp.error.protocol_violation"]);
        });
    }
    everywhere(|mut mesh| {
        let (caller, _) = begun(&mut mesh);
        mesh.say(caller, call(1, "com.sum", "the last"));
        mesh.say(caller, part(1, "com.sum", "more"));
        assert_eq!(mesh.heard(caller), ["ABORT wamp.error.protocol_violation"]);
    });
}

#[test]
fn pg_008_pg_011_parts_after_the_end_are_for_nobody() {
    for (answer, expected) in [
        (result(1, "enough"), "RESULT 1 enough"),
        (failure(1, "com.enough", ""), "ERROR Call 1 com.enough"),
    ] {
        everywhere(|mut mesh| {
            let (caller, callee) = begun(&mut mesh);
            mesh.tell(callee, answer.clone());
            mesh.tell(caller, part(1, "com.sum", "b"));
            mesh.settle();
            mesh.say(caller, part(1, "com.sum", "c"));
            mesh.say(caller, call(1, "com.sum", "d"));
            assert_eq!(mesh.heard(caller), [expected]);
            let more = mesh.heard(callee);
            assert!(more.len() <= 1, "at most what was under way: {more:?}");
            // The call is over, and its id forgotten.
            mesh.say(caller, call(1, "com.sum", "new"));
            assert_eq!(mesh.heard(callee), ["INVOCATION 2 new"]);
        });
    }
}

#[test]
fn pg_008_parts_of_a_refused_call_are_for_nobody() {
    everywhere(|mut mesh| {
        let caller = mesh.join();
        for args in ["a", "b"] {
            mesh.say(caller, part(1, "com.sum", args));
        }
        mesh.say(caller, call(1, "com.sum", "c"));
        assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.no_such_procedure"]);
    });
}

#[test]
fn calls_that_ended_early_do_not_count_as_pending() {
    for shards in [1, 2] {
        let mut mesh = Mesh::with(shards, |config| config.limits.pending_calls = 2);
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        for request in 1..10 {
            mesh.say(caller, part(request, "com.sum", ""));
            mesh.say(callee, result(request, ""));
            assert_eq!(mesh.heard(caller), [format!("RESULT {request}")]);
        }
        for request in 10..12 {
            mesh.say(caller, part(request, "com.sum", ""));
        }
        mesh.say(caller, part(12, "com.sum", ""));
        assert_eq!(
            mesh.heard(caller),
            ["ERROR Call 12 crosspoint.error.limit_exceeded"]
        );
    }
}

#[test]
fn pg_008_of_calls_that_ended_early_the_oldest_are_forgotten() {
    for shards in [1, 2] {
        let mut mesh = Mesh::with(shards, |config| config.limits.pending_calls = 2);
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        let ends = |mesh: &mut Mesh, request: u64, invocation: u64| {
            mesh.say(caller, part(request, "com.sum", ""));
            mesh.say(callee, result(invocation, ""));
        };
        let forget = |mesh: &mut Mesh| {
            mesh.got(caller);
            mesh.got(callee);
        };
        // The last part of one comes, and its id begins another, which is younger.
        ends(&mut mesh, 1, 1);
        mesh.say(caller, part(2, "com.nobody", ""));
        mesh.say(caller, call(1, "com.sum", "the last"));
        ends(&mut mesh, 1, 2);
        forget(&mut mesh);
        for request in [1, 2] {
            let procedure = ["com.sum", "com.nobody"][request as usize - 1];
            mesh.say(caller, part(request, procedure, "for nobody"));
        }
        ends(&mut mesh, 3, 3);
        assert_eq!(mesh.heard(callee), ["INVOCATION 3 progress"]);
        assert_eq!(mesh.heard(caller), ["RESULT 3"]);
        for request in [1, 3] {
            mesh.say(caller, part(request, "com.sum", "for nobody"));
        }
        assert_eq!((mesh.heard(caller).len(), mesh.heard(callee).len()), (0, 0));
        // The oldest of three is a new call.
        mesh.say(caller, part(2, "com.sum", "new"));
        assert_eq!(mesh.heard(callee), ["INVOCATION 4 new progress"]);
    }
}

#[test]
fn pg_009_pg_010_options_are_those_of_the_first_part() {
    for disclose in [true, false] {
        everywhere(|mut mesh| {
            let (caller, callee) = (mesh.join(), mesh.join());
            mesh.register(callee, register(1, "com.sum"));
            for (args, progress) in [("a", true), ("b", true), ("c", false)] {
                let say = call_with(1, "com.sum", args, |options| {
                    options.progress = progress;
                    options.disclose_me = Some(disclose == (args == "a"));
                    options.receive_progress = args == "a";
                });
                mesh.say(caller, say);
            }
            let caller = if disclose { " caller=#0" } else { "" };
            let expected = ["a", "b", "c"].map(|args| {
                let more = if args == "c" { "" } else { " progress" };
                format!("INVOCATION 1 {args}{caller} receive_progress{more}")
            });
            assert_eq!(mesh.heard(callee), expected);
        });
    }
}

#[test]
fn pg_012_a_caller_who_leaves_interrupts() {
    everywhere(|mut mesh| {
        let (caller, callee) = begun(&mut mesh);
        mesh.lose(caller);
        assert_eq!(mesh.heard(callee), ["INTERRUPT 1 killnowait"]);
        mesh.say(callee, result(1, "too late"));
        assert!(!mesh.is_closed(callee));
    });
}

#[test]
fn pg_013_a_callee_who_leaves_cancels() {
    everywhere(|mut mesh| {
        let (caller, callee) = begun(&mut mesh);
        mesh.lose(callee);
        mesh.say(caller, part(1, "com.sum", "b"));
        mesh.say(caller, call(1, "com.sum", "c"));
        assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.canceled"]);
    });
}

#[test]
fn pg_014_results_flow_before_the_last_part() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        let first = call_with(1, "com.sum", "a", |options| {
            (options.progress, options.receive_progress) = (true, true);
        });
        mesh.say(caller, first);
        mesh.say(callee, progress(1, "A"));
        mesh.say(caller, part(1, "com.sum", "b"));
        mesh.say(callee, progress(1, "B"));
        mesh.say(caller, call(1, "com.sum", "c"));
        mesh.say(callee, result(1, "C"));
        assert_eq!(
            mesh.heard(caller),
            ["RESULT 1 progress A", "RESULT 1 progress B", "RESULT 1 C"]
        );
    });
}

#[test]
fn pg_015_time_runs_from_the_first_part() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        let first = call_with(1, "com.sum", "a", |options| {
            (options.progress, options.timeout) = (true, Some(100));
        });
        mesh.say(caller, first);
        mesh.pass(60);
        mesh.say(caller, part(1, "com.sum", "b"));
        mesh.pass(60);
        assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.timeout"]);
        assert_eq!(
            mesh.heard(callee).last().map(String::as_str),
            Some("INTERRUPT 1 killnowait")
        );
    });
}

#[test]
fn sr_014_all_parts_go_to_one_callee() {
    everywhere(|mut mesh| {
        let caller = mesh.join();
        let callees = [mesh.join(), mesh.join()];
        for callee in callees {
            mesh.register(callee, register_shared(1, "com.sum", InvokePolicy::RoundRobin));
        }
        for args in ["a", "b", "c"] {
            mesh.say(caller, part(1, "com.sum", args));
        }
        let heard = callees.map(|callee| mesh.heard(callee).len());
        assert_eq!(heard, [3, 0]);
    });
}

#[test]
fn a_call_in_parts_that_is_killed_gets_no_more() {
    everywhere(|mut mesh| {
        let (caller, callee) = begun(&mut mesh);
        mesh.say(caller, cancel(1, Some(CancelMode::Kill)));
        mesh.say(caller, part(1, "com.sum", "b"));
        mesh.say(caller, call(1, "com.sum", "c"));
        assert_eq!(mesh.heard(callee), ["INTERRUPT 1 kill"]);
        mesh.say(callee, result(1, "half"));
        assert_eq!(mesh.heard(caller), ["RESULT 1 half"]);
    });
}

fn join(mesh: &mut Mesh, shard: u16) -> Who {
    mesh.join_as(Joining {
        shard,
        authid: "somebody",
        role: "user",
        features: ALL_FEATURES,
    })
}

/// Caller on shard 0, two callees on shard 1, of which the first has just gone.
fn gone_callee(change: impl FnOnce(&mut RouterConfig)) -> (Mesh, Who, Who) {
    let mut mesh = Mesh::with(2, change);
    let (caller, gone, next) = (join(&mut mesh, 0), join(&mut mesh, 1), join(&mut mesh, 1));
    let registration = mesh.register(gone, register_shared(1, "com.sum", InvokePolicy::First));
    mesh.register(next, register_shared(1, "com.sum", InvokePolicy::First));
    mesh.tell(gone, unregister(2, registration));
    (mesh, caller, next)
}

/// That callee had been sent two parts, which are on their way back.
fn bounced() -> (Mesh, Who, Who) {
    let (mut mesh, caller, next) = gone_callee(|_| {});
    mesh.tell(caller, part(1, "com.sum", "a"));
    mesh.tell(caller, part(1, "com.sum", "b"));
    mesh.deliver(0, 1);
    (mesh, caller, next)
}

#[test]
fn parts_follow_the_first_to_another_callee() {
    let (mut mesh, caller, next) = bounced();
    // The parts are on their way back when two more come.
    mesh.tell(caller, part(1, "com.sum", "c"));
    mesh.settle();
    mesh.say(caller, call(1, "com.sum", "d"));
    assert_eq!(
        mesh.heard(next),
        [
            "INVOCATION 1 a progress",
            "INVOCATION 1 b progress",
            "INVOCATION 1 c progress",
            "INVOCATION 1 d"
        ]
    );
    mesh.say(next, result(1, "abcd"));
    assert_eq!(mesh.heard(caller), ["RESULT 1 abcd"]);
}

#[test]
fn a_kill_on_the_way_back_ends_the_call() {
    let (mut mesh, caller, next) = bounced();
    mesh.tell(caller, cancel(1, Some(CancelMode::Kill)));
    mesh.settle();
    assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.canceled"]);
    assert_eq!(mesh.heard(next), NOTHING);
}

/// The first part is back, and the second still on its way when two more come.
fn half_bounced(limit: usize) -> (Mesh, Who, Who) {
    let (mut mesh, caller, next) = gone_callee(|config| config.limits.kept_bytes = limit);
    mesh.tell(caller, part(1, "com.sum", "a"));
    mesh.deliver(0, 1);
    mesh.tell(caller, part(1, "com.sum", "b"));
    mesh.deliver(1, 0);
    mesh.tell(caller, part(1, "com.sum", "c"));
    mesh.tell(caller, part(1, "com.sum", "d"));
    (mesh, caller, next)
}

#[test]
fn parts_that_wait_keep_their_order() {
    let (mut mesh, _, next) = half_bounced(1000);
    mesh.settle();
    let expected = ["a", "b", "c", "d"].map(|args| format!("INVOCATION 1 {args} progress"));
    assert_eq!(mesh.heard(next), expected);
}

#[test]
fn parts_that_wait_are_limited() {
    // One fits, with what it costs beside its bytes.
    let (mut mesh, caller, next) = half_bounced(100);
    assert_eq!(
        mesh.heard(caller),
        ["ERROR Call 1 crosspoint.error.limit_exceeded"]
    );
    mesh.settle();
    mesh.say(caller, call(1, "com.sum", "e"));
    assert_eq!((mesh.heard(next), mesh.heard(caller).len()), (Vec::new(), 0));
}
