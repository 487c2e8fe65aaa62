//! RE: offering procedures and taking them back.

use crosspoint_core::ids::RegistrationId;
use crosspoint_core::options::MatchPolicy;

use crate::mesh::{Mesh, everywhere};
use crate::races::join;
use crate::say::{call, register, register_with, result, unregister};

#[test]
fn re_001_a_registration_has_an_id() {
    everywhere(|mut mesh| {
        let callee = mesh.join();
        mesh.say(callee, register(7, "com.sum"));
        assert_eq!(mesh.heard(callee), ["REGISTERED 7"]);
    });
}

#[test]
fn re_002_re_003_a_procedure_that_is_not_shared_has_one_callee() {
    everywhere(|mut mesh| {
        let (callee, other) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        for who in [other, callee] {
            mesh.say(who, register(2, "com.sum"));
            assert_eq!(
                mesh.heard(who),
                ["ERROR Register 2 wamp.error.procedure_already_exists"]
            );
        }
    });
}

#[test]
fn re_004_a_procedure_taken_back_is_not_found() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        let id = mesh.register(callee, register(1, "com.sum"));
        mesh.say(callee, unregister(2, id));
        assert_eq!(mesh.heard(callee), ["UNREGISTERED 2"]);
        mesh.say(caller, call(1, "com.sum", "x"));
        assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.no_such_procedure"]);
    });
}

#[test]
fn re_005_re_006_only_its_callee_takes_a_registration_back() {
    everywhere(|mut mesh| {
        let (other, callee) = (mesh.join(), mesh.join());
        let id = mesh.register(callee, register(1, "com.sum"));
        for unknown in [id, RegistrationId(1)] {
            mesh.say(other, unregister(3, unknown));
            assert_eq!(
                mesh.heard(other),
                ["ERROR Unregister 3 wamp.error.no_such_registration"]
            );
        }
        mesh.say(other, call(4, "com.sum", "x"));
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"]);
    });
}

#[test]
fn re_007_what_a_lost_callee_served_is_free() {
    everywhere(|mut mesh| {
        let (other, callee) = (mesh.join(), mesh.join());
        mesh.register(callee, register(1, "com.sum"));
        mesh.lose(callee);
        mesh.register(other, register(1, "com.sum"));
    });
}

#[test]
fn re_009_work_in_progress_survives_unregister() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        let id = mesh.register(callee, register(1, "com.sum"));
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(callee, unregister(2, id));
        mesh.say(callee, result(1, "y"));
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x", "UNREGISTERED 2"]);
        assert_eq!(mesh.heard(caller), ["RESULT 1 y"]);
    });
}

#[test]
fn gb_012_a_lost_session_leaves_nothing() {
    everywhere(|mut mesh| {
        let callee = mesh.join();
        mesh.register(callee, register(1, "com.sum"));
        mesh.lose(callee);
        assert_eq!(mesh.leftovers(0), Default::default());
    });
}

const FULL: &str = "crosspoint.error.limit_exceeded";

#[test]
fn the_uris_of_a_session_have_so_many_bytes() {
    for shards in [1, 2] {
        let mut mesh = Mesh::with(shards, |config| config.limits.registration_bytes = 20);
        let (other, callee) = (mesh.join(), mesh.join());
        mesh.register(other, register(1, "com.taken"));
        let first = mesh.register(callee, register(1, "com.sum.of.a"));
        mesh.say(callee, register(2, "com.sum.b"));
        assert_eq!(mesh.heard(callee), [format!("ERROR Register 2 {FULL}")]);
        // What was refused does not count.
        for request in 3..=5 {
            mesh.say(callee, register(request, "com.sum"));
            mesh.say(callee, register(request, "com.ab"));
            let id = match &mesh.got(callee)[..] {
                [crosspoint_core::message::Message::Registered(registered), _] => registered.registration,
                other => panic!("{other:?}"),
            };
            mesh.say(callee, unregister(request, id));
            mesh.got(callee);
        }
        mesh.say(callee, unregister(6, first));
        for request in 7..=9 {
            mesh.say(callee, register(request, "com.taken"));
            let taken = format!("ERROR Register {request} wamp.error.procedure_already_exists");
            assert_eq!(mesh.heard(callee).pop(), Some(taken));
        }
        // What is asked for counts, and so does a key once that is asked for twice.
        mesh.tell(callee, register(10, "com.sum.of.a"));
        mesh.tell(callee, register(11, "com.sum.b"));
        mesh.settle();
        let heard = mesh.heard(callee);
        assert!(heard.contains(&format!("ERROR Register 11 {FULL}")), "{heard:?}");
        assert!(heard.contains(&"REGISTERED 10".into()), "{heard:?}");
    }
}

#[test]
fn a_session_has_so_many_wildcards() {
    let limit = |config: &mut crosspoint_core::config::RouterConfig| config.limits.wildcard_registrations = 2;
    for shards in [1, 2] {
        let mut mesh = Mesh::with(shards, limit);
        let callee = mesh.join();
        let wildcard = |request, procedure| {
            register_with(request, procedure, |options| {
                options.match_policy = Some(MatchPolicy::Wildcard);
            })
        };
        // Others do not count.
        for (request, procedure) in [(1, "a"), (2, "b"), (3, "c")] {
            mesh.register(callee, register(request, procedure));
        }
        let first = mesh.register(callee, wildcard(4, "a..a"));
        // What is asked for counts.
        mesh.tell(callee, wildcard(5, "a..b"));
        mesh.tell(callee, wildcard(6, "a..c"));
        mesh.settle();
        let mut heard = mesh.heard(callee);
        heard.sort();
        assert_eq!(heard, [format!("ERROR Register 6 {FULL}"), "REGISTERED 5".into()]);
        mesh.say(callee, unregister(7, first));
        for request in [8, 9] {
            mesh.say(callee, wildcard(request, "a..a"));
        }
        let expected = [
            "UNREGISTERED 7".to_owned(),
            "REGISTERED 8".to_owned(),
            format!("ERROR Register 9 {FULL}"),
        ];
        assert_eq!(mesh.heard(callee), expected);
    }
}

#[test]
fn a_call_for_what_is_gone_does_not_wait_for_other_registrations() {
    let mut mesh = Mesh::new(2);
    let (callee, caller) = (join(&mut mesh, 0), join(&mut mesh, 1));
    let gone = mesh.register(callee, register(1, "com.gone"));
    mesh.tell(callee, unregister(2, gone));
    mesh.tell(callee, register(3, "com.other"));
    mesh.tell(caller, call(1, "com.gone", "x"));
    let before = mesh.waiting(0, 1);
    mesh.deliver(1, 0);
    assert_eq!(mesh.waiting(0, 1), before + 1, "it goes back");
    mesh.settle();
    assert_eq!(mesh.heard(callee), ["UNREGISTERED 2", "REGISTERED 3"]);
    assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.no_such_procedure"]);
}
