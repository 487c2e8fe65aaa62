//! SR: procedures with several callees.

use crosspoint_core::message::Message;
use crosspoint_core::options::InvokePolicy;
use crosspoint_core::value::Value;

use crate::mesh::{Mesh, Who, everywhere};
use crate::say::{call, register, register_shared, register_with, result};

/// A caller, and three callees of one procedure in the order of their registration.
fn served(mesh: &mut Mesh, invoke: InvokePolicy) -> (Who, [Who; 3]) {
    let caller = mesh.join();
    let callees = [mesh.join(), mesh.join(), mesh.join()];
    for callee in callees {
        mesh.register(callee, register_shared(1, "com.sum", invoke));
    }
    (caller, callees)
}

/// Calls once, and says which callee was called; it answers.
fn called(mesh: &mut Mesh, caller: Who, callees: &[Who]) -> usize {
    mesh.say(caller, call(1, "com.sum", "x"));
    let mut places = Vec::new();
    for (place, callee) in callees.iter().enumerate() {
        if let [Message::Invocation(invocation)] = mesh.got(*callee).as_slice() {
            places.push(place);
            mesh.say(*callee, result(invocation.request.0, "y"));
        }
    }
    assert_eq!(mesh.heard(caller), ["RESULT 1 y"]);
    assert_eq!(places.len(), 1, "{places:?}");
    places[0]
}

#[test]
fn sr_001_round_robin_goes_round_in_the_order_of_registration() {
    everywhere(|mut mesh| {
        let (caller, callees) = served(&mut mesh, InvokePolicy::RoundRobin);
        let order: Vec<_> = (0..7).map(|_| called(&mut mesh, caller, &callees)).collect();
        assert_eq!(order, [0, 1, 2, 0, 1, 2, 0]);
    });
}

#[test]
fn sr_001_the_round_is_one_for_callers_on_all_shards() {
    everywhere(|mut mesh| {
        let (caller, callees) = served(&mut mesh, InvokePolicy::RoundRobin);
        let other = mesh.join_with(&[]);
        let callers = [caller, other, other, caller, caller, other];
        let order = callers.map(|caller| called(&mut mesh, caller, &callees));
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    });
}

#[test]
fn sr_002_sr_003_first_is_the_oldest_and_last_the_newest() {
    for (invoke, expected) in [(InvokePolicy::First, 0), (InvokePolicy::Last, 2)] {
        everywhere(|mut mesh| {
            let (caller, callees) = served(&mut mesh, invoke);
            for _ in 0..3 {
                assert_eq!(called(&mut mesh, caller, &callees), expected);
            }
        });
    }
}

#[test]
fn sr_004_random_gives_each_a_share() {
    everywhere(|mut mesh| {
        let (caller, callees) = served(&mut mesh, InvokePolicy::Random);
        let mut shares = [0; 3];
        for _ in 0..1000 {
            shares[called(&mut mesh, caller, &callees)] += 1;
        }
        assert!(
            shares.iter().all(|share| (250..420).contains(share)),
            "{shares:?}"
        );
    });
}

#[test]
fn sr_005_all_callees_have_the_same_id() {
    everywhere(|mut mesh| {
        let callees = [mesh.join(), mesh.join(), mesh.join()];
        let ids =
            callees.map(|callee| mesh.register(callee, register_shared(1, "com.sum", InvokePolicy::Random)));
        assert_eq!(ids, [ids[0]; 3]);
    });
}

#[test]
fn sr_006_sr_007_another_policy_is_refused() {
    everywhere(|mut mesh| {
        let (_, _) = served(&mut mesh, InvokePolicy::First);
        let other = mesh.join();
        for message in [
            register_shared(1, "com.sum", InvokePolicy::Last),
            register(1, "com.sum"),
        ] {
            mesh.say(other, message);
            assert_eq!(
                mesh.heard(other),
                ["ERROR Register 1 wamp.error.procedure_exists_with_different_invocation_policy"]
            );
        }
    });
}

#[test]
fn sr_009_when_the_oldest_leaves_the_next_serves() {
    everywhere(|mut mesh| {
        let (caller, callees) = served(&mut mesh, InvokePolicy::First);
        mesh.lose(callees[0]);
        assert_eq!(called(&mut mesh, caller, &callees[1..]), 0);
    });
}

#[test]
fn sr_015_force_reregister_takes_over() {
    everywhere(|mut mesh| {
        let (caller, callees) = served(&mut mesh, InvokePolicy::First);
        let other = mesh.join();
        let id = mesh.register(
            other,
            register_with(1, "com.sum", |options| options.force_reregister = true),
        );
        for callee in callees {
            let got = mesh.got(callee);
            let [Message::Unregistered(revoked)] = got.as_slice() else {
                panic!("{got:?}");
            };
            let details = revoked.details.as_ref().expect("details of the revocation");
            assert_eq!(revoked.request.0, 0);
            let old = details.get("registration").and_then(Value::as_u64);
            assert!(
                old.is_some_and(|old| old != id.0),
                "the new registration has a new id"
            );
            assert_eq!(
                details.get("reason").and_then(Value::as_str),
                Some("wamp.error.unregistered")
            );
        }
        assert_eq!(called(&mut mesh, caller, &[other]), 0);
    });
}

#[test]
fn a_caller_that_stays_with_many_callees_forgets_none_at_a_further_call() {
    for shards in [1, 2] {
        let mut mesh = Mesh::with(shards, |config| config.limits.registrations = 2);
        let caller = mesh.join();
        let callees = [mesh.join(), mesh.join()];
        for callee in callees {
            for procedure in ["com.sum", "com.product"] {
                mesh.register(callee, register_shared(1, procedure, InvokePolicy::Sticky));
            }
        }
        for request in 1..=6 {
            mesh.say(caller, call(request * 2, "com.sum", "x"));
            mesh.say(caller, call(request * 2 + 1, "com.product", "x"));
        }
        let got = callees.map(|callee| mesh.heard(callee).len());
        assert!(got.iter().all(|count| count % 6 == 0), "{got:?}");
    }
}
