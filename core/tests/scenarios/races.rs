//! Races between two shards, each found by the simulation or feared at a desk. Mailboxes are emptied by hand:
//! what is not delivered is on its way.
//!
//! Which shard owns a key is decided by its hash, so the scenarios try procedures until one has the owner
//! that they need.

use crosspoint_core::ids::RegistrationId;
use crosspoint_core::message::Message;
use crosspoint_core::options::{CancelMode, InvokePolicy, MatchPolicy};

use crate::mesh::{ALL_FEATURES, Joining, Mesh, Who};
use crate::say::{
    call, call_with, cancel, part, publish, register, register_shared, register_with, result, subscribe,
    unregister, unsubscribe,
};

pub(crate) const NAMES: [&str; 12] = [
    "com.a", "com.b", "com.c", "com.d", "com.e", "com.f", "com.g", "com.h", "com.i", "com.j", "com.k",
    "com.l",
];

pub(crate) fn join(mesh: &mut Mesh, shard: u16) -> Who {
    mesh.join_as(Joining {
        shard,
        authid: "somebody",
        role: "user",
        features: ALL_FEATURES,
    })
}

/// A procedure that shard `owner` of two owns: asked by the other it answers with an announcement and an
/// acknowledgement, where one that is told has the latter only.
pub(crate) fn owned_by(owner: u16) -> &'static str {
    let is_owned = |name: &&&'static str| {
        let mut mesh = Mesh::new(2);
        let callee = join(&mut mesh, 1 - owner);
        mesh.tell(callee, register(1, name));
        mesh.deliver(1 - owner, owner);
        mesh.waiting(owner, 1 - owner) == 2
    };
    NAMES.iter().find(is_owned).expect("one of twelve names")
}

fn registration(messages: &[Message]) -> RegistrationId {
    match messages {
        [.., Message::Registered(registered)] => registered.registration,
        other => panic!("no REGISTERED: {other:?}"),
    }
}

#[test]
fn subscribed_waits_until_other_shards_know() {
    let topic = owned_by(0);
    let mut mesh = Mesh::new(2);
    let (subscriber, publisher) = (join(&mut mesh, 0), join(&mut mesh, 1));
    mesh.tell(subscriber, subscribe(1, topic));
    assert_eq!(mesh.heard(subscriber), [""; 0]);
    mesh.deliver(0, 1);
    mesh.tell(publisher, publish(1, topic, |_| {}));
    mesh.deliver(1, 0);
    // The publication came behind the acknowledgement, so the subscription is in force.
    assert_eq!(mesh.heard(subscriber), ["SUBSCRIBED 1", "EVENT news"]);
}

#[test]
fn no_event_that_is_on_its_way_comes_after_unsubscribed() {
    let mut mesh = Mesh::new(2);
    let (subscriber, publisher) = (join(&mut mesh, 0), join(&mut mesh, 1));
    let id = mesh.subscribe(subscriber, subscribe(1, "com.topic"));
    mesh.tell(publisher, publish(1, "com.topic", |_| {}));
    mesh.tell(subscriber, unsubscribe(2, id));
    mesh.settle();
    assert_eq!(mesh.heard(subscriber), ["UNSUBSCRIBED 2"]);
}

#[test]
fn a_call_before_registered_waits_for_it() {
    let procedure = owned_by(0);
    let mut mesh = Mesh::new(2);
    let (callee, caller) = (join(&mut mesh, 0), join(&mut mesh, 1));
    mesh.tell(callee, register(1, procedure));
    // Its own shard knows the procedure, the other does not yet.
    mesh.tell(callee, call(2, procedure, "x"));
    assert_eq!(mesh.heard(callee), [""; 0]);
    mesh.tell(caller, call(1, procedure, "x"));
    assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.no_such_procedure"]);
    mesh.settle();
    assert_eq!(mesh.heard(callee), ["REGISTERED 1", "INVOCATION 1 x"]);
}

#[test]
fn calls_behind_one_that_waits_for_registered_wait_as_well() {
    let procedure = owned_by(0);
    let mut mesh = Mesh::new(2);
    let callee = join(&mut mesh, 0);
    mesh.register(callee, register(1, "com.ready"));
    mesh.tell(callee, register(2, procedure));
    mesh.tell(callee, call(3, procedure, "first"));
    mesh.tell(callee, call(4, "com.ready", "second"));
    mesh.settle();
    assert_eq!(
        mesh.heard(callee),
        ["REGISTERED 2", "INVOCATION 1 first", "INVOCATION 2 second"]
    );
}

#[test]
fn a_call_that_waits_for_registered_can_be_cancelled() {
    for mode in [CancelMode::Kill, CancelMode::KillNoWait, CancelMode::Skip] {
        let procedure = owned_by(0);
        let mut mesh = Mesh::new(2);
        let callee = join(&mut mesh, 0);
        mesh.tell(callee, register(1, procedure));
        mesh.tell(callee, call(2, procedure, "x"));
        mesh.tell(callee, cancel(2, Some(mode)));
        mesh.settle();
        assert_eq!(
            mesh.heard(callee),
            ["ERROR Call 2 wamp.error.canceled", "REGISTERED 1"],
            "{mode:?}"
        );
    }
}

#[test]
fn unregister_between_two_registereds_gives_up_both() {
    let procedure = owned_by(1);
    let mut mesh = Mesh::new(2);
    let (callee, caller) = (join(&mut mesh, 0), join(&mut mesh, 1));
    mesh.tell(callee, register_shared(1, procedure, InvokePolicy::First));
    mesh.deliver(0, 1);
    mesh.tell(callee, register_shared(2, procedure, InvokePolicy::First));
    mesh.deliver(1, 0);
    let id = registration(&mesh.got(callee));
    mesh.tell(callee, unregister(3, id));
    mesh.settle();
    assert_eq!(mesh.heard(callee), ["REGISTERED 2", "UNREGISTERED 3"]);
    mesh.say(caller, call(1, procedure, "x"));
    assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.no_such_procedure"]);
    mesh.say(callee, unregister(4, id));
    assert_eq!(
        mesh.heard(callee),
        ["ERROR Unregister 4 wamp.error.no_such_registration"],
        "nothing is left of the second"
    );
}

#[test]
fn a_takeover_between_two_registereds_revokes_both() {
    // Of three shards the second owns the procedure, and the third is slow to acknowledge.
    let register_twice = |name| {
        let mut mesh = Mesh::new(3);
        let callee = join(&mut mesh, 0);
        mesh.tell(callee, register_shared(1, name, InvokePolicy::First));
        let is_owned_by_second = (mesh.waiting(0, 1), mesh.waiting(0, 2)) == (1, 0);
        is_owned_by_second.then_some((mesh, callee, name))
    };
    let found = NAMES.into_iter().find_map(register_twice);
    let (mut mesh, callee, procedure) = found.expect("one of twelve names");
    mesh.settle();
    let id = registration(&mesh.got(callee));
    mesh.tell(callee, register_shared(2, procedure, InvokePolicy::First));
    mesh.deliver(0, 1);
    let other = join(&mut mesh, 1);
    mesh.tell(
        other,
        register_with(1, procedure, |options| options.force_reregister = true),
    );
    mesh.deliver(1, 0);
    assert_eq!(mesh.heard(callee), ["UNREGISTERED 0"]);
    mesh.settle();
    assert_eq!(mesh.heard(callee), ["REGISTERED 2", "UNREGISTERED 0"]);
    mesh.say(callee, unregister(3, id));
    assert_eq!(
        mesh.heard(callee),
        ["ERROR Unregister 3 wamp.error.no_such_registration"]
    );
}

#[test]
fn a_takeover_to_and_fro_brings_no_id_back() {
    let mut mesh = Mesh::new(2);
    let callees = [join(&mut mesh, 0), join(&mut mesh, 1)];
    let mut ids = Vec::new();
    for turn in 0..6 {
        let force = register_with(turn, "com.sum", |options| options.force_reregister = true);
        let id = mesh.register(callees[turn as usize % 2], force);
        assert!(!ids.contains(&id), "{id} again after {ids:?}");
        ids.push(id);
    }
}

#[test]
fn an_unregister_that_crosses_a_takeover_leaves_the_new_registration_alone() {
    let procedure = owned_by(1);
    let mut mesh = Mesh::new(2);
    let (callee, caller) = (join(&mut mesh, 0), join(&mut mesh, 1));
    let old = mesh.register(callee, register(1, procedure));
    // The callee takes over from itself, and gives the old registration up before it knows.
    let force = register_with(2, procedure, |options| options.force_reregister = true);
    mesh.tell(callee, force);
    mesh.tell(callee, unregister(3, old));
    mesh.settle();
    assert_eq!(mesh.heard(callee), ["REGISTERED 2", "UNREGISTERED 3"]);
    mesh.say(caller, call(1, procedure, "x"));
    assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"]);
}

#[test]
fn a_call_that_meets_unregister_is_offered_to_the_same_sessions_pattern() {
    let procedure = owned_by(1);
    let mut mesh = Mesh::new(2);
    let (callee, caller) = (join(&mut mesh, 0), join(&mut mesh, 1));
    let exact = mesh.register(callee, register(1, procedure));
    mesh.register(
        callee,
        register_with(2, "com", |options| {
            options.match_policy = Some(MatchPolicy::Prefix)
        }),
    );
    mesh.tell(caller, call(1, procedure, "x"));
    mesh.tell(callee, unregister(3, exact));
    mesh.settle();
    let expected = format!("INVOCATION 1 x procedure={procedure}");
    assert_eq!(mesh.heard(callee), ["UNREGISTERED 3", &expected]);
}

#[test]
fn a_call_that_meets_the_end_of_its_callee_goes_to_the_next() {
    let mut mesh = Mesh::new(2);
    let (one, two, caller) = (join(&mut mesh, 0), join(&mut mesh, 1), join(&mut mesh, 1));
    for callee in [one, two] {
        mesh.register(callee, register_shared(1, "com.sum", InvokePolicy::First));
    }
    mesh.tell(caller, call(1, "com.sum", "x"));
    mesh.lose(one);
    assert_eq!(mesh.heard(two), ["INVOCATION 1 x"]);
    mesh.say(two, result(1, "y"));
    assert_eq!(mesh.heard(caller), ["RESULT 1 y"]);
}

#[test]
fn a_call_sent_on_to_a_callee_that_keeps_the_time_has_one_clock() {
    let mut mesh = Mesh::new(2);
    let (one, two, caller) = (join(&mut mesh, 0), join(&mut mesh, 1), join(&mut mesh, 1));
    mesh.register(one, register_shared(1, "com.sum", InvokePolicy::First));
    mesh.register(
        two,
        register_with(1, "com.sum", |options| {
            options.invoke = Some(InvokePolicy::First);
            options.forward_timeout = Some(true);
        }),
    );
    mesh.tell(
        caller,
        call_with(1, "com.sum", "x", |options| options.timeout = Some(200)),
    );
    mesh.lose(one);
    assert_eq!(mesh.heard(two), ["INVOCATION 1 x timeout=200"]);
    mesh.pass(1000);
    assert_eq!(mesh.heard(caller), [""; 0]);
    assert_eq!(mesh.heard(two), [""; 0]);
}

#[test]
fn a_call_does_not_reach_another_key_that_got_its_id() {
    // All keys clash: what is registered next gets the id that the last one freed.
    let mut mesh = Mesh::with(2, |config| config.id_bits = 1);
    let (callee, caller) = (join(&mut mesh, 0), join(&mut mesh, 1));
    let mut met = 0;
    for (turn, names) in (1..).zip(NAMES.windows(2)) {
        let first = mesh.register(callee, register(10 * turn, names[0]));
        mesh.tell(caller, call(turn, names[0], "x"));
        mesh.tell(callee, unregister(10 * turn + 1, first));
        mesh.tell(callee, register(10 * turn + 2, names[1]));
        mesh.settle();
        let got = mesh.got(callee);
        assert!(
            matches!(got[..], [Message::Unregistered(_), Message::Registered(_)]),
            "the call to {} arrived: {got:?}",
            names[0]
        );
        let second = registration(&got);
        met += u32::from(first == second);
        let failure = format!("ERROR Call {turn} wamp.error.no_such_procedure");
        assert_eq!(mesh.heard(caller), [failure]);
        mesh.say(callee, unregister(10 * turn + 3, second));
        mesh.got(callee);
    }
    assert!(met > 0, "no id was given again");
}

#[test]
fn a_session_that_ends_before_its_grants_leaves_nothing() {
    for owner in [0, 1] {
        let name = owned_by(owner);
        let mut mesh = Mesh::new(2);
        let session = join(&mut mesh, 0);
        mesh.tell(session, subscribe(1, name));
        mesh.tell(session, register(2, name));
        mesh.tell(session, call(3, name, "x"));
        mesh.lose(session);
        for shard in [0, 1] {
            assert_eq!(
                mesh.leftovers(shard),
                Default::default(),
                "shard {shard}, owner {owner}"
            );
        }
    }
}

#[test]
fn a_kill_while_parts_wait_for_registered_ends_the_call() {
    let procedure = owned_by(0);
    let mut mesh = Mesh::new(2);
    let callee = join(&mut mesh, 0);
    mesh.tell(callee, register(1, procedure));
    for args in ["a", "b", "c"] {
        mesh.tell(callee, part(2, procedure, args));
    }
    mesh.tell(callee, cancel(2, Some(CancelMode::Kill)));
    assert_eq!(mesh.heard(callee), ["ERROR Call 2 wamp.error.canceled"]);
    mesh.settle();
    mesh.say(callee, call(2, procedure, "the last"));
    assert_eq!(mesh.heard(callee), ["REGISTERED 1"]);
}
