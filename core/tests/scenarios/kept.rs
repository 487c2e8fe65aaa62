//! What is kept of calls: in memory of its own, and no more than may be.

use bytes::Bytes;
use bytestring::ByteString;
use crosspoint_core::config::CallQueue;
use crosspoint_core::message::Message;
use crosspoint_core::options::{CancelMode, InvokePolicy, MatchPolicy};

use crate::mesh::{Mesh, Who};
use crate::races::{join, owned_by};
use crate::say::{
    call, call_with, cancel, failure, part, progress, register, register_shared, register_with, result,
    unregister,
};

const NOTHING: [&str; 0] = [];
const UNAVAILABLE: &str = "wamp.error.unavailable";
const LIMIT: usize = 2000;

fn too_much(request: u64) -> String {
    format!("ERROR Call {request} crosspoint.error.limit_exceeded")
}

/// Arguments of which one call is within the limit, and two are not.
fn large() -> String {
    "x".repeat(1200)
}

/// Where calls wait for callees.
fn limited(shards: u16) -> Mesh {
    Mesh::with(shards, |config| {
        config.limits.kept_bytes = LIMIT;
        config.realms[0].calls.queues = vec![CallQueue {
            policy: MatchPolicy::Prefix,
            uri: "com.sum".into(),
            limit: 100,
        }];
    })
}

fn limited_everywhere(scenario: impl Fn(Mesh)) {
    for shards in [1, 2] {
        println!("{shards} shards");
        scenario(limited(shards));
    }
}

/// A caller, a callee, and another one that takes what the first leaves.
fn served(mesh: &mut Mesh) -> (Who, Who, Who) {
    let (caller, first, second) = (mesh.join(), mesh.join(), mesh.join());
    for callee in [first, second] {
        mesh.register(callee, register_shared(1, "com.of.first", InvokePolicy::First));
    }
    (caller, first, second)
}

fn say(mesh: &mut Mesh, caller: Who, request: u64) {
    let say = call_with(request, "com.of.first", &large(), |options| {
        options.receive_progress = true;
    });
    mesh.say(caller, say);
}

#[test]
fn a_callee_has_so_many_calls_that_it_may_leave_to_others() {
    limited_everywhere(|mut mesh| {
        let (caller, first, second) = served(&mut mesh);
        say(&mut mesh, caller, 1);
        say(&mut mesh, caller, 2);
        mesh.say(first, failure(2, UNAVAILABLE, "why"));
        assert_eq!(mesh.heard(caller), ["ERROR Call 2 wamp.error.unavailable why"]);
        mesh.say(first, failure(1, UNAVAILABLE, "why"));
        assert_eq!(
            mesh.heard(second),
            [format!("INVOCATION 1 {} receive_progress", large())]
        );
        assert_eq!(mesh.heard(caller), NOTHING);
    });
}

#[test]
fn a_copy_is_kept_no_longer_than_it_may_be_needed() {
    limited_everywhere(|mut mesh| {
        let (caller, first, second) = served(&mut mesh);
        let ends = |id| {
            [
                (first, result(id, "")),
                (first, progress(id, "")),
                (caller, cancel(id, Some(CancelMode::Kill))),
                (caller, cancel(id, Some(CancelMode::KillNoWait))),
            ]
        };
        for (id, end) in (1..=4).zip(0..) {
            say(&mut mesh, caller, id);
            let (who, end) = ends(id)[end].clone();
            mesh.say(who, end);
        }
        say(&mut mesh, caller, 5);
        mesh.say(first, failure(5, UNAVAILABLE, ""));
        assert_eq!(mesh.heard(second).len(), 1);
    });
}

/// A callee of `com.sum` that takes one call at a time, and has one.
fn busy(mesh: &mut Mesh) -> (Who, Who) {
    let (caller, callee) = (mesh.join(), mesh.join());
    mesh.register(
        callee,
        register_with(1, "com.sum", |options| options.concurrency = Some(1)),
    );
    mesh.say(caller, call(1, "com.sum", "now"));
    assert_eq!(mesh.heard(callee), ["INVOCATION 1 now"]);
    (caller, callee)
}

#[test]
fn calls_that_wait_have_a_limit_for_each_caller() {
    limited_everywhere(|mut mesh| {
        let (caller, callee) = busy(&mut mesh);
        let other = mesh.join();
        mesh.say(caller, call(2, "com.sum", &large()));
        mesh.say(caller, call(3, "com.sum", &large()));
        mesh.say(other, call(1, "com.sum", &large()));
        assert_eq!(mesh.heard(caller), [too_much(3)]);
        assert_eq!(mesh.heard(other), NOTHING);
        mesh.say(callee, result(1, "y"));
        // What no longer waits does not count.
        mesh.say(caller, call(4, "com.sum", &large()));
        for invocation in 2..=3 {
            mesh.say(callee, result(invocation, "y"));
        }
        assert_eq!(mesh.heard(caller), ["RESULT 1 y", "RESULT 2 y"]);
        assert_eq!(mesh.heard(other), ["RESULT 1 y"]);
        for request in [5, 6] {
            mesh.say(caller, call(request, "com.sum", &large()));
            mesh.say(caller, cancel(request, None));
            let canceled = format!("ERROR Call {request} wamp.error.canceled");
            assert_eq!(mesh.heard(caller), [canceled]);
        }
        mesh.say(caller, call(7, "com.sum", &large()));
        assert_eq!(mesh.heard(caller), NOTHING);
    });
}

#[test]
fn parts_that_wait_count_with_calls() {
    limited_everywhere(|mut mesh| {
        let (caller, callee) = busy(&mut mesh);
        mesh.say(caller, part(2, "com.sum", "a"));
        mesh.say(caller, part(3, "com.sum", "b"));
        mesh.say(caller, part(2, "com.sum", &large()));
        mesh.say(caller, part(3, "com.sum", &large()));
        assert_eq!(mesh.heard(caller), [too_much(3)]);
        mesh.say(callee, result(1, "y"));
        let expected = [
            "INVOCATION 2 a progress".to_owned(),
            format!("INVOCATION 2 {} progress", large()),
        ];
        assert_eq!(mesh.heard(callee), expected);
        mesh.say(caller, part(4, "com.sum", &large()));
        assert_eq!(mesh.heard(caller), ["RESULT 1 y"]);
    });
}

/// A callee whose REGISTER of the procedure that is returned is not granted yet. It has the first part of a call.
fn registering(mesh: &mut Mesh) -> (Who, &'static str) {
    let procedure = owned_by(0);
    let callee = join(mesh, 0);
    mesh.register(callee, register(1, "com.ready"));
    mesh.tell(callee, part(2, "com.ready", "open"));
    assert_eq!(mesh.heard(callee), ["INVOCATION 1 open progress"]);
    mesh.tell(callee, register(3, procedure));
    (callee, procedure)
}

#[test]
fn calls_before_registered_have_a_limit() {
    let mut mesh = limited(2);
    let (callee, procedure) = registering(&mut mesh);
    mesh.tell(callee, call(4, procedure, &large()));
    mesh.tell(callee, call(5, procedure, &large()));
    mesh.tell(callee, call(6, procedure, "small"));
    assert_eq!(mesh.heard(callee), [too_much(5)]);
    mesh.settle();
    let got = mesh.got(callee);
    let [
        Message::Registered(registered),
        Message::Invocation(first),
        Message::Invocation(second),
    ] = &got[..]
    else {
        panic!("{got:?}");
    };
    assert_eq!(
        [&first.payload.args[..], &second.payload.args],
        [large().as_bytes(), b"small"]
    );
    // What is no longer held does not count.
    mesh.say(callee, unregister(7, registered.registration));
    mesh.tell(callee, register(8, procedure));
    mesh.tell(callee, call(9, procedure, &large()));
    mesh.settle();
    let expected = format!("INVOCATION 4 {}", large());
    assert_eq!(mesh.heard(callee), ["UNREGISTERED 7", "REGISTERED 8", &expected]);
}

#[test]
fn parts_before_registered_have_a_limit() {
    let mut mesh = limited(2);
    let (callee, procedure) = registering(&mut mesh);
    for args in ["first", &large(), &large(), "late"] {
        mesh.tell(callee, part(4, procedure, args));
    }
    mesh.tell(callee, call(5, procedure, "other"));
    assert_eq!(mesh.heard(callee), [too_much(4)]);
    mesh.settle();
    assert_eq!(mesh.heard(callee), ["REGISTERED 3", "INVOCATION 2 other"]);
}

#[test]
fn a_call_whose_further_part_cannot_be_held_fails() {
    let mut mesh = limited(2);
    let (callee, procedure) = registering(&mut mesh);
    mesh.tell(callee, call(4, procedure, &large()));
    mesh.tell(callee, part(2, "com.ready", &large()));
    assert_eq!(mesh.heard(callee), ["INTERRUPT 1 killnowait", &too_much(2)]);
    mesh.settle();
    let expected = ["REGISTERED 3".to_owned(), format!("INVOCATION 2 {}", large())];
    assert_eq!(mesh.heard(callee), expected);
}

/// The same CALL, all of it slices of what is returned.
fn sliced(message: Message) -> (Message, Bytes) {
    let Message::Call(mut call) = message else {
        panic!("no CALL");
    };
    let procedure = call.procedure.len();
    let mut read = call.procedure.as_bytes().to_vec();
    read.extend_from_slice(&call.payload.args);
    let read = Bytes::from(read);
    call.procedure = ByteString::try_from(read.slice(..procedure)).expect("a text");
    call.payload.args = read.slice(procedure..);
    (Message::Call(call), read)
}

#[test]
fn nothing_that_is_kept_is_a_slice_of_what_was_read() {
    limited_everywhere(|mut mesh| {
        let (caller, callee) = busy(&mut mesh);
        let (_, first, _) = served(&mut mesh);
        let straight = call(2, "com.of.first", "with a copy");
        let in_parts = [part(3, "com.of.first", "a"), part(3, "com.of.first", "b")];
        let waiting = [part(4, "com.sum", "a"), part(4, "com.sum", "b")];
        for message in [straight].into_iter().chain(in_parts).chain(waiting) {
            let (message, read) = sliced(message);
            mesh.say(caller, message);
            mesh.got(first);
            assert!(read.is_unique(), "{read:?}");
        }
        mesh.say(callee, result(1, ""));
        assert_eq!(mesh.heard(callee).len(), 2);
    });
    let mut mesh = limited(2);
    let (callee, procedure) = registering(&mut mesh);
    for message in [part(4, procedure, "held"), call(4, procedure, "behind it")] {
        let (message, read) = sliced(message);
        mesh.tell(callee, message);
        assert!(read.is_unique(), "{read:?}");
    }
    mesh.settle();
    assert_eq!(mesh.heard(callee).len(), 3);
}
