//! Limits on what callees work on at a time, the calls that wait for them, and the policies load and sticky.

use crosspoint_core::config::CallQueue;
use crosspoint_core::message::Message;
use crosspoint_core::options::{CancelMode, InvokePolicy, MatchPolicy};

use crate::mesh::{Mesh, Who};
use crate::races::{NAMES, join, owned_by};
use crate::say::{
    call, call_with, cancel, failure, part, register_shared, register_with, result, unregister,
};

const NOTHING: [&str; 0] = [];
const BUSY: &str = "crossbar.error.max_concurrency_reached";

/// Runs on one shard and on two, where up to two calls of each registration wait.
fn with_queues(scenario: impl Fn(Mesh)) {
    for shards in [1, 2] {
        println!("{shards} shards");
        scenario(queued(shards));
    }
}

fn queued(shards: u16) -> Mesh {
    Mesh::with(shards, |config| {
        config.realms[0].calls.queues = vec![CallQueue {
            policy: MatchPolicy::Prefix,
            uri: "com.".into(),
            limit: 2,
        }];
    })
}

fn limited(invoke: InvokePolicy, most: u64) -> Message {
    limited_to("com.sum", invoke, most)
}

fn limited_to(procedure: &'static str, invoke: InvokePolicy, most: u64) -> Message {
    register_with(1, procedure, |options| {
        (options.invoke, options.concurrency) = (Some(invoke), Some(most));
    })
}

/// A caller, and callees of one procedure that take one call each.
fn served<const COUNT: usize>(mesh: &mut Mesh, invoke: InvokePolicy) -> (Who, [Who; COUNT]) {
    let caller = mesh.join();
    let callees = [(); COUNT].map(|()| mesh.join());
    for callee in callees {
        mesh.register(callee, limited(invoke, 1));
    }
    (caller, callees)
}

#[test]
fn a_callee_gets_as_many_calls_as_it_wants() {
    use InvokePolicy::{First, Last, Load, Random, RoundRobin, Sticky};
    for invoke in [First, Last, Load, Random, RoundRobin, Sticky] {
        crate::mesh::everywhere(|mut mesh| {
            let (caller, callees) = served::<3>(&mut mesh, invoke);
            for request in 1..=4 {
                mesh.say(caller, call(request, "com.sum", "x"));
            }
            assert_eq!(mesh.heard(caller), [format!("ERROR Call 4 {BUSY}")]);
            for callee in callees {
                assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"]);
            }
            mesh.say(callees[1], result(1, "y"));
            mesh.say(caller, call(5, "com.sum", "z"));
            assert_eq!(mesh.heard(callees[1]), ["INVOCATION 2 z"]);
        });
    }
}

#[test]
fn a_place_comes_back_however_a_call_ends() {
    crate::mesh::everywhere(|mut mesh| {
        let (caller, [callee]) = served(&mut mesh, InvokePolicy::Single);
        let mut invocation = 0;
        let mut ends = |mesh: &mut Mesh, end: &mut dyn FnMut(&mut Mesh, u64)| {
            invocation += 1;
            let timed = call_with(invocation, "com.sum", "x", |options| options.timeout = Some(50));
            mesh.say(caller, timed);
            assert_eq!(mesh.heard(callee)[0], format!("INVOCATION {invocation} x"));
            end(mesh, invocation);
            mesh.got(callee);
        };
        ends(&mut mesh, &mut |mesh, id| mesh.say(callee, result(id, "y")));
        ends(&mut mesh, &mut |mesh, id| {
            mesh.say(callee, failure(id, "com.no", ""))
        });
        ends(&mut mesh, &mut |mesh, _| mesh.pass(50));
        for mode in [CancelMode::Skip, CancelMode::KillNoWait] {
            ends(&mut mesh, &mut |mesh, id| {
                mesh.say(caller, cancel(id, Some(mode)))
            });
        }
        ends(&mut mesh, &mut |mesh, _| mesh.lose(caller));
        let other = mesh.join();
        mesh.say(other, call(1, "com.sum", "last"));
        assert_eq!(mesh.heard(callee), ["INVOCATION 7 last"]);
    });
}

#[test]
fn calls_wait_in_their_order_and_no_more_than_may() {
    with_queues(|mut mesh| {
        let (caller, [callee]) = served(&mut mesh, InvokePolicy::Single);
        let other = mesh.join();
        mesh.say(caller, call(1, "com.sum", "a"));
        mesh.say(caller, call(2, "com.sum", "b"));
        mesh.say(other, call(1, "com.sum", "c"));
        mesh.say(other, call(2, "com.sum", "d"));
        assert_eq!(mesh.heard(other), [format!("ERROR Call 2 {BUSY}")]);
        for (invocation, args) in [(1, "a"), (2, "b"), (3, "c")] {
            assert_eq!(mesh.heard(callee), [format!("INVOCATION {invocation} {args}")]);
            mesh.say(callee, result(invocation, "y"));
        }
        assert_eq!(mesh.heard(caller), ["RESULT 1 y", "RESULT 2 y"]);
        assert_eq!(mesh.heard(other), ["RESULT 1 y"]);
    });
}

#[test]
fn a_call_that_waits_may_end() {
    with_queues(|mut mesh| {
        let (caller, [callee]) = served(&mut mesh, InvokePolicy::Single);
        let other = mesh.join();
        mesh.say(caller, call(1, "com.sum", "a"));
        mesh.say(other, call(1, "com.sum", "of one who leaves"));
        mesh.lose(other);
        for mode in [None, Some(CancelMode::Kill), Some(CancelMode::Skip)] {
            mesh.say(caller, call(2, "com.sum", "b"));
            mesh.say(caller, cancel(2, mode));
            assert_eq!(mesh.heard(caller), ["ERROR Call 2 wamp.error.canceled"]);
        }
        let timed = call_with(3, "com.sum", "c", |options| options.timeout = Some(50));
        mesh.say(caller, timed);
        mesh.pass(50);
        assert_eq!(mesh.heard(caller), ["ERROR Call 3 wamp.error.timeout"]);
        mesh.say(caller, call(4, "com.sum", "d"));
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 a"]);
        mesh.say(callee, result(1, ""));
        assert_eq!(mesh.heard(callee), ["INVOCATION 2 d"]);
    });
}

#[test]
fn a_new_callee_takes_what_waits() {
    for most in [Some(1), None] {
        with_queues(|mut mesh| {
            let (caller, [callee]) = served(&mut mesh, InvokePolicy::RoundRobin);
            for request in 1..=3 {
                mesh.say(caller, call(request, "com.sum", "x"));
            }
            assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"]);
            let other = mesh.join();
            let register = register_with(1, "com.sum", |options| {
                (options.invoke, options.concurrency) = (Some(InvokePolicy::RoundRobin), most);
            });
            mesh.say(other, register);
            let mut expected = vec!["REGISTERED 1", "INVOCATION 1 x"];
            if most.is_none() {
                expected.push("INVOCATION 2 x");
            }
            assert_eq!(mesh.heard(other), expected);
        });
    }
}

#[test]
fn nobody_overtakes_calls_that_wait_while_a_callee_is_announced() {
    let procedure = owned_by(0);
    let mut mesh = queued(2);
    let (caller, callee, other) = (join(&mut mesh, 0), join(&mut mesh, 0), join(&mut mesh, 1));
    mesh.register(callee, limited_to(procedure, InvokePolicy::RoundRobin, 1));
    mesh.say(caller, call(1, procedure, "served"));
    mesh.say(caller, call(2, procedure, "waits"));
    mesh.tell(other, limited_to(procedure, InvokePolicy::RoundRobin, 1));
    // The caller's shard knows the new callee, whose REGISTERED is still to come.
    mesh.deliver(1, 0);
    mesh.tell(caller, call(3, procedure, "later"));
    mesh.tell(caller, call(4, procedure, "too many"));
    assert_eq!(mesh.heard(caller), [format!("ERROR Call 4 {BUSY}")]);
    mesh.settle();
    assert_eq!(mesh.heard(other), ["REGISTERED 1", "INVOCATION 1 waits"]);
    mesh.say(other, result(1, ""));
    assert_eq!(mesh.heard(other), ["INVOCATION 2 later"]);
    assert_eq!(mesh.heard(callee), ["INVOCATION 1 served"]);
}

#[test]
fn a_call_that_comes_back_goes_before_those_that_wait() {
    let mut mesh = queued(2);
    let (caller, gone, callee) = (join(&mut mesh, 0), join(&mut mesh, 1), join(&mut mesh, 0));
    let registration = mesh.register(gone, limited(InvokePolicy::First, 1));
    mesh.register(callee, limited(InvokePolicy::First, 1));
    for (request, args) in [(1, "first"), (2, "second"), (3, "third")] {
        mesh.tell(caller, call(request, "com.sum", args));
    }
    // While the first is on its way to it.
    mesh.tell(gone, unregister(2, registration));
    mesh.settle();
    for (invocation, args) in [(1, "second"), (2, "first"), (3, "third")] {
        assert_eq!(mesh.heard(callee), [format!("INVOCATION {invocation} {args}")]);
        mesh.say(callee, result(invocation, ""));
    }
    assert_eq!(mesh.heard(caller), ["RESULT 2", "RESULT 1", "RESULT 3"]);
}

#[test]
fn a_callee_that_leaves_keeps_no_place_for_those_that_wait() {
    with_queues(|mut mesh| {
        let [leaving, callee, caller] = [(); 3].map(|()| mesh.join());
        for callee in [leaving, callee] {
            mesh.register(callee, limited(InvokePolicy::First, 1));
        }
        // Its own call ends before the owner knows that it is gone.
        mesh.say(leaving, call(2, "com.sum", "of itself"));
        mesh.say(leaving, call(3, "com.sum", "x"));
        mesh.say(caller, call(1, "com.sum", "first"));
        mesh.say(caller, call(2, "com.sum", "second"));
        mesh.lose(leaving);
        assert_eq!(
            mesh.heard(callee),
            ["INVOCATION 1 x", "INTERRUPT 1 killnowait", "INVOCATION 2 first"]
        );
    });
}

#[test]
fn a_call_that_comes_back_late_finds_the_callee_again() {
    for has_other in [false, true] {
        // Nothing that the registrations need may go the way of the call: their owner is neither its callee's shard nor
        // its caller's.
        assert!(
            NAMES
                .iter()
                .any(|procedure| comes_back_late(procedure, has_other))
        );
    }
}

/// A callee unregisters, and registers again, before the caller's shard hears that it did not take a call. Another
/// callee is busy. Returns whether the procedure's owner is the third shard.
fn comes_back_late(procedure: &'static str, has_other: bool) -> bool {
    let mut mesh = queued(3);
    let (other, callee, caller) = (join(&mut mesh, 0), join(&mut mesh, 1), join(&mut mesh, 2));
    let register = || limited_to(procedure, InvokePolicy::First, 1);
    let registration = mesh.register(callee, register());
    if has_other {
        mesh.register(other, register());
    }
    mesh.tell(caller, call(1, procedure, "late"));
    mesh.tell(callee, unregister(2, registration));
    mesh.deliver(2, 1);
    mesh.tell(callee, register());
    for (from, to) in [(1, 0), (0, 1), (0, 2), (2, 1), (1, 0), (0, 1)] {
        mesh.deliver(from, to);
    }
    if mesh.heard(callee) != ["UNREGISTERED 2", "REGISTERED 1"] {
        return false;
    }
    if has_other {
        mesh.tell(caller, call(2, procedure, "x"));
    }
    mesh.settle();
    assert_eq!(mesh.heard(callee), ["INVOCATION 1 late"]);
    assert_eq!(mesh.heard(other).len(), usize::from(has_other));
    true
}

#[test]
fn what_waits_ends_with_the_last_callee() {
    with_queues(|mut mesh| {
        let (caller, [callee]) = served(&mut mesh, InvokePolicy::Single);
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(caller, call(2, "com.sum", "x"));
        mesh.lose(callee);
        let mut heard = mesh.heard(caller);
        heard.sort();
        assert_eq!(
            heard,
            [
                "ERROR Call 1 wamp.error.canceled",
                "ERROR Call 2 wamp.error.no_such_procedure"
            ]
        );
    });
}

#[test]
fn what_waits_goes_to_who_takes_over() {
    with_queues(|mut mesh| {
        let (caller, [callee]) = served(&mut mesh, InvokePolicy::Single);
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(caller, call(2, "com.sum", "waits"));
        let other = mesh.join();
        mesh.say(
            other,
            register_with(1, "com.sum", |options| options.force_reregister = true),
        );
        assert_eq!(mesh.heard(other), ["REGISTERED 1", "INVOCATION 1 waits"]);
        mesh.say(callee, result(1, "y"));
        assert_eq!(mesh.heard(caller), ["RESULT 1 y"]);
    });
}

#[test]
fn parts_wait_behind_the_first() {
    with_queues(|mut mesh| {
        let (caller, [callee]) = served(&mut mesh, InvokePolicy::Single);
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(caller, part(2, "com.sum", "a"));
        mesh.say(caller, part(2, "com.sum", "b"));
        mesh.say(caller, call(2, "com.sum", "c"));
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"]);
        mesh.say(callee, result(1, ""));
        assert_eq!(
            mesh.heard(callee),
            [
                "INVOCATION 2 a progress",
                "INVOCATION 2 b progress",
                "INVOCATION 2 c"
            ]
        );
    });
}

#[test]
fn one_of_several_callees_leaves() {
    with_queues(|mut mesh| {
        let (caller, [first, second]) = served(&mut mesh, InvokePolicy::First);
        for request in 1..=4 {
            mesh.say(caller, call(request, "com.sum", "x"));
        }
        mesh.lose(first);
        assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.canceled"]);
        for invocation in 1..=3 {
            assert_eq!(mesh.heard(second), [format!("INVOCATION {invocation} x")]);
            mesh.say(second, result(invocation, ""));
        }
        assert_eq!(mesh.heard(caller), ["RESULT 2", "RESULT 3", "RESULT 4"]);
    });
}

#[test]
fn a_place_with_a_callee_that_is_gone_is_none() {
    let mut mesh = Mesh::new(2);
    let caller = mesh.join();
    let callee = mesh.join();
    let registration = mesh.register(callee, limited(InvokePolicy::Single, 1));
    mesh.tell(callee, unregister(2, registration));
    mesh.tell(caller, call(1, "com.sum", "x"));
    mesh.settle();
    assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.no_such_procedure"]);
}

#[test]
fn load_is_the_fewest_open_calls() {
    crate::mesh::everywhere(|mut mesh| {
        let caller = mesh.join();
        let callees = [mesh.join(), mesh.join(), mesh.join()];
        for callee in callees {
            mesh.register(callee, register_shared(1, "com.sum", InvokePolicy::Load));
        }
        for request in 1..=6 {
            mesh.say(caller, call(request, "com.sum", "x"));
        }
        for callee in callees {
            assert_eq!(mesh.heard(callee).len(), 2);
        }
        mesh.say(callees[2], result(1, ""));
        mesh.say(callees[2], result(2, ""));
        for request in 7..=8 {
            mesh.say(caller, call(request, "com.sum", "x"));
        }
        assert_eq!(mesh.heard(callees[2]).len(), 2);
    });
}

#[test]
fn sticky_stays_as_long_as_it_can() {
    crate::mesh::everywhere(|mut mesh| {
        let callers = [mesh.join(), mesh.join()];
        let callees = [mesh.join(), mesh.join(), mesh.join()];
        for callee in &callees[..2] {
            mesh.register(*callee, register_shared(1, "com.sum", InvokePolicy::Sticky));
        }
        let call_all = |mesh: &mut Mesh, request| {
            for caller in callers {
                mesh.say(caller, call(request, "com.sum", "x"));
            }
        };
        call_all(&mut mesh, 1);
        mesh.register(callees[2], register_shared(1, "com.sum", InvokePolicy::Sticky));
        for request in 2..=4 {
            call_all(&mut mesh, request);
        }
        assert_eq!(callees.map(|callee| mesh.heard(callee).len()), [4, 4, 0]);
        mesh.lose(callees[0]);
        mesh.got(callers[0]);
        call_all(&mut mesh, 5);
        call_all(&mut mesh, 6);
        let heard = [callees[1], callees[2]].map(|callee| mesh.heard(callee).len());
        assert!(heard == [2, 2] || heard == [4, 0], "{heard:?}");
        assert_eq!(mesh.heard(callers[0]), NOTHING);
    });
}

/// The callee that was invoked, by its place, and the invocation.
fn invoked(mesh: &mut Mesh, callees: &[Who]) -> Option<(usize, u64)> {
    let got = |(place, callee): (usize, &Who)| match mesh.got(*callee).as_slice() {
        [Message::Invocation(invocation)] => Some((place, invocation.request.0)),
        _ => None,
    };
    callees.iter().enumerate().find_map(got)
}

#[test]
fn sr_004_any_other_takes_the_place_of_one_that_is_busy() {
    crate::mesh::everywhere(|mut mesh| {
        let (caller, callees) = served::<4>(&mut mesh, InvokePolicy::Random);
        // How far behind the first callee the second is.
        let mut distances = [0; 4];
        for request in 0..400 {
            let places = [1, 2].map(|number| {
                mesh.say(caller, call(2 * request + number, "com.sum", "x"));
                invoked(&mut mesh, &callees).expect("one of four")
            });
            distances[(places[1].0 + 4 - places[0].0) % 4] += 1;
            for (place, invocation) in places {
                mesh.say(callees[place], result(invocation, ""));
            }
        }
        let [same, others @ ..] = distances;
        assert!(
            same == 0 && others.iter().all(|count| (105..165).contains(count)),
            "{distances:?}"
        );
    });
}

#[test]
fn the_next_in_turn_takes_the_place_of_a_sticky_callee_that_is_busy() {
    crate::mesh::everywhere(|mut mesh| {
        let (caller, callees) = served::<4>(&mut mesh, InvokePolicy::Sticky);
        mesh.say(caller, call(1, "com.sum", "keeps its callee busy"));
        assert_eq!(invoked(&mut mesh, &callees), Some((0, 1)));
        // Others have their turns.
        for place in [1, 2] {
            let other = mesh.join();
            mesh.say(other, call(1, "com.sum", "x"));
            assert_eq!(invoked(&mut mesh, &callees), Some((place, 1)));
            mesh.say(callees[place], result(1, ""));
        }
        mesh.say(caller, call(2, "com.sum", "x"));
        assert_eq!(invoked(&mut mesh, &callees), Some((3, 1)));
    });
}
