//! PT: payload passthru mode.

use crosspoint_core::message::Message;
use crosspoint_core::value::{Dict, Value};

use crate::mesh::{ALL_FEATURES, Mesh, Who, everywhere};
use crate::say::{call, failure, progress, publish, register, result, subscribe};

const WITHOUT: &[&str] = &["call_canceling", "progressive_call_results"];
const VIOLATION: [&str; 1] = ["ABORT wamp.error.protocol_violation"];
pub(crate) const SEALED: &str = " ppt_scheme=x_foo ppt_keyid=7";

/// The same message in payload passthru mode, with something else that does not go on.
pub(crate) fn sealed(mut message: Message) -> Message {
    let rest = match &mut message {
        Message::Publish(publish) => &mut publish.options.rest,
        Message::Call(call) => &mut call.options.rest,
        Message::Yield(answer) => &mut answer.options.rest,
        Message::Error(error) => &mut error.details,
        other => panic!("no payload passthru mode in {other:?}"),
    };
    *rest = Dict::new()
        .with("ppt_scheme", "x_foo")
        .with("other", true)
        .with("ppt_keyid", "7");
    message
}

fn serving(mesh: &mut Mesh, caller: &'static [&'static str], callee: &'static [&'static str]) -> (Who, Who) {
    let (caller, callee) = (mesh.join_with(caller), mesh.join_with(callee));
    mesh.register(callee, register(1, "com.sum"));
    (caller, callee)
}

#[test]
fn pt_001_pt_002_publications() {
    everywhere(|mut mesh| {
        let (publisher, subscriber, other) = (mesh.join(), mesh.join(), mesh.join_with(WITHOUT));
        mesh.subscribe(subscriber, subscribe(1, "com.topic"));
        mesh.say(publisher, sealed(publish(1, "com.topic", |_| {})));
        assert_eq!(mesh.heard(subscriber), [format!("EVENT news{SEALED}")]);
        mesh.say(other, sealed(publish(1, "com.topic", |_| {})));
        assert_eq!(mesh.heard(other), VIOLATION);
        assert_eq!(mesh.heard(subscriber), [""; 0]);
    });
}

#[test]
fn only_what_is_known_of_the_mode_goes_along() {
    everywhere(|mut mesh| {
        let (publisher, subscriber) = (mesh.join(), mesh.join());
        mesh.subscribe(subscriber, subscribe(1, "com.topic"));
        let mut message = sealed(publish(1, "com.topic", |_| {}));
        if let Message::Publish(publish) = &mut message {
            publish.options.rest.push("ppt_more", "x");
            publish
                .options
                .rest
                .push("enc_more", Value::List(vec![Value::Null; 1000]));
        }
        mesh.say(publisher, message);
        assert_eq!(mesh.heard(subscriber), [format!("EVENT news{SEALED}")]);
    });
}

#[test]
fn pt_003_pt_006_pt_008_calls_and_answers() {
    everywhere(|mut mesh| {
        let (caller, callee) = serving(&mut mesh, ALL_FEATURES, ALL_FEATURES);
        for (answer, expected) in [
            (result(1, "y"), "RESULT 1 y"),
            (failure(2, "com.no", "y"), "ERROR Call 1 com.no y"),
        ] {
            mesh.say(caller, sealed(call(1, "com.sum", "x")));
            assert!(mesh.heard(callee)[0].ends_with(SEALED));
            mesh.say(callee, sealed(answer));
            assert_eq!(mesh.heard(caller), [format!("{expected}{SEALED}")]);
        }
    });
}

#[test]
fn pt_004_pt_005_both_ends_must_announce_it() {
    everywhere(|mut mesh| {
        let (caller, callee) = serving(&mut mesh, WITHOUT, ALL_FEATURES);
        mesh.say(caller, sealed(call(1, "com.sum", "x")));
        assert_eq!(mesh.heard(caller), VIOLATION);
        assert_eq!(mesh.heard(callee), [""; 0]);
    });
    everywhere(|mut mesh| {
        let (caller, callee) = serving(&mut mesh, ALL_FEATURES, WITHOUT);
        mesh.say(caller, sealed(call(1, "com.sum", "x")));
        assert_eq!(
            mesh.heard(caller),
            ["ERROR Call 1 wamp.error.feature_not_supported"]
        );
        assert_eq!(mesh.heard(callee), [""; 0]);
    });
}

#[test]
fn pt_007_a_callee_that_did_not_announce_it() {
    for answer in [result(1, "y"), failure(1, "com.no", "y")] {
        everywhere(|mut mesh| {
            let (caller, callee) = serving(&mut mesh, ALL_FEATURES, WITHOUT);
            mesh.say(caller, call(1, "com.sum", "x"));
            mesh.heard(callee);
            mesh.say(callee, sealed(answer.clone()));
            assert_eq!(mesh.heard(callee), VIOLATION);
            assert_eq!(mesh.heard(caller), ["ERROR Call 1 wamp.error.canceled"]);
        });
    }
}

#[test]
fn pt_009_a_caller_that_did_not_announce_it() {
    const REFUSED: [&str; 1] = ["ERROR Call 1 wamp.error.feature_not_supported"];
    everywhere(|mut mesh| {
        let (caller, callee) = serving(&mut mesh, WITHOUT, ALL_FEATURES);
        mesh.say(caller, call(1, "com.sum", "x"));
        mesh.say(callee, sealed(result(1, "y")));
        assert_eq!(mesh.heard(caller), REFUSED);
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 x"]);
    });
    everywhere(|mut mesh| {
        let (caller, callee) = serving(&mut mesh, WITHOUT, ALL_FEATURES);
        let wanted = crate::say::call_with(1, "com.sum", "x", |options| options.receive_progress = true);
        mesh.say(caller, wanted);
        mesh.heard(callee);
        mesh.say(callee, sealed(progress(1, "y")));
        assert_eq!(mesh.heard(caller), REFUSED);
        assert_eq!(mesh.heard(callee), ["INTERRUPT 1 killnowait"]);
        mesh.say(callee, sealed(result(1, "late")));
        assert_eq!(mesh.heard(caller), [""; 0]);
    });
}
