//! The meta API (MS, MR, MB), and what of it depends on the order of messages between shards.

use crosspoint_core::ids::SessionId;
use crosspoint_core::message::Message;
use crosspoint_core::options::{InvokePolicy, MatchPolicy};

use crate::mesh::{ALL_FEATURES, Joining, Mesh, Who, everywhere};
use crate::say::{
    call, publish, register_shared, register_with, subscribe, subscribe_by, unregister, unsubscribe,
};

pub(crate) fn join(mesh: &mut Mesh, shard: u16, authid: &'static str, role: &'static str) -> Who {
    mesh.join_as(Joining {
        shard,
        authid,
        role,
        features: ALL_FEATURES,
    })
}

/// Calls a meta procedure and takes the answer.
pub(crate) fn ask(mesh: &mut Mesh, who: Who, procedure: &'static str, args: &str) -> String {
    mesh.say(who, call(1, procedure, args));
    mesh.heard(who).join("; ")
}

pub(crate) fn sorted(mut ids: Vec<SessionId>) -> String {
    ids.sort_unstable();
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("RESULT 1 [[{}]]", ids.join(","))
}

#[test]
fn ms_001_to_003_sessions_are_counted_and_listed_by_role() {
    everywhere(|mut mesh| {
        let users = [mesh.join(), mesh.join()];
        let admin = join(&mut mesh, 0, "root", "admin");
        let everybody = vec![mesh.id(users[0]), mesh.id(users[1]), mesh.id(admin)];
        assert_eq!(ask(&mut mesh, admin, "wamp.session.count", "[]"), "RESULT 1 [3]");
        assert_eq!(
            ask(&mut mesh, admin, "wamp.session.count", r#"[["user"]]"#),
            "RESULT 1 [2]"
        );
        assert_eq!(
            ask(&mut mesh, admin, "wamp.session.count", "[[]]"),
            "RESULT 1 [0]"
        );
        assert_eq!(
            ask(&mut mesh, admin, "wamp.session.list", "[]"),
            sorted(everybody)
        );
        let admins = vec![mesh.id(admin)];
        assert_eq!(
            ask(&mut mesh, admin, "wamp.session.list", r#"[["admin"]]"#),
            sorted(admins)
        );
        mesh.lose(users[1]);
        assert_eq!(
            ask(&mut mesh, admin, "wamp.session.count", "[null]"),
            "RESULT 1 [2]"
        );
    });
}

#[test]
fn ms_004_ms_005_a_session_has_details() {
    everywhere(|mut mesh| {
        let (asks, alice) = (mesh.join(), join(&mut mesh, 0, "alice", "admin"));
        let id = mesh.id(alice);
        let details = format!(
            "{{\"authid\":\"alice\",\"authmethod\":\"anonymous\",\"authprovider\":\"static\",\
             \"authrole\":\"admin\",\"session\":{id}}}"
        );
        let got = ask(&mut mesh, asks, "wamp.session.get", &format!("[{id}]"));
        assert_eq!(got, format!("RESULT 1 [{details}]"));
        mesh.lose(alice);
        for nobody in [id.0, 1, 1 << 53] {
            let got = ask(&mut mesh, asks, "wamp.session.get", &format!("[{nobody}]"));
            assert_eq!(got, "ERROR Call 1 wamp.error.no_such_session");
        }
    });
}

#[test]
fn ms_006_ms_007_joining_and_leaving_are_told() {
    everywhere(|mut mesh| {
        let hears = mesh.join();
        mesh.subscribe(hears, subscribe(1, "wamp.session.on_join"));
        mesh.subscribe(hears, subscribe(2, "wamp.session.on_leave"));
        let alice = join(&mut mesh, 0, "alice", "admin");
        mesh.settle();
        let joined = mesh.heard(hears);
        assert!(
            joined[0].contains("\"authid\":\"alice\"") && joined.len() == 1,
            "{joined:?}"
        );
        let id = mesh.id(alice);
        mesh.lose(alice);
        assert_eq!(mesh.heard(hears), [format!("EVENT [{id},\"alice\",\"admin\"]")]);
    });
}

#[test]
fn ms_009_to_ms_012_a_session_is_killed_by_its_id() {
    everywhere(|mut mesh| {
        let (killer, victim) = (mesh.join(), mesh.join());
        let id = mesh.id(victim);
        let own = mesh.id(killer);
        assert_eq!(
            ask(&mut mesh, killer, "wamp.session.kill", &format!("[{own}]")),
            "ERROR Call 1 wamp.error.no_such_session"
        );
        assert_eq!(
            ask(&mut mesh, killer, "wamp.session.kill", &format!("[{id}]")),
            "RESULT 1"
        );
        assert_eq!(mesh.heard(victim), ["GOODBYE wamp.close.killed"]);
        assert_eq!(
            ask(&mut mesh, killer, "wamp.session.kill", &format!("[{id}]")),
            "ERROR Call 1 wamp.error.no_such_session"
        );
        mesh.pass(10_000);
        assert!(mesh.is_closed(victim));
    });
}

#[test]
fn ms_013_to_ms_016_many_sessions_are_killed() {
    everywhere(|mut mesh| {
        let killer = join(&mut mesh, 0, "alice", "admin");
        mesh.subscribe(killer, subscribe(1, "wamp.session.on_leave"));
        let by_authid = join(&mut mesh, 0, "alice", "user");
        let by_role = [
            join(&mut mesh, 0, "bob", "admin"),
            join(&mut mesh, 0, "eve", "admin"),
        ];
        let others = [mesh.join(), mesh.join()];
        let id = mesh.id(by_authid);
        mesh.say(killer, call(1, "wamp.session.kill_by_authid", r#"["alice"]"#));
        let heard = mesh.heard(killer);
        assert!(
            heard.contains(&format!("RESULT 1 [[{id}]]")) && heard.len() == 2,
            "{heard:?}"
        );
        mesh.say(killer, call(1, "wamp.session.kill_by_authrole", r#"["admin"]"#));
        let heard = mesh.heard(killer);
        assert!(
            heard.contains(&"RESULT 1 [2]".into()) && heard.len() == 3,
            "{heard:?}"
        );
        assert_eq!(
            ask(&mut mesh, killer, "wamp.session.kill_all", "[]"),
            "RESULT 1 [2]"
        );
        for victim in [by_authid, by_role[0], by_role[1], others[0], others[1]] {
            assert_eq!(mesh.heard(victim), ["GOODBYE wamp.close.killed"]);
        }
        assert_eq!(ask(&mut mesh, killer, "wamp.session.count", "[]"), "RESULT 1 [1]");
    });
}

#[test]
fn ms_018_arguments_are_checked() {
    let wrong = [
        ("wamp.session.count", r#"["user"]"#),
        ("wamp.session.list", "[[1]]"),
        ("wamp.session.get", "[]"),
        ("wamp.session.get", r#"["1"]"#),
        ("wamp.session.get", "[0]"),
        ("wamp.session.kill_by_authid", "[7]"),
        ("wamp.session.add_testament", "[]"),
        ("wamp.session.add_testament", r#"["com.x",7]"#),
        ("wamp.session.add_testament", r#"["com.x",[],[]]"#),
        ("wamp.session.add_testament", r#"["com.x",[],{},7]"#),
        (
            "wamp.session.add_testament",
            r#"["com.x",[],{},{"exclude":["x"]}]"#,
        ),
        ("wamp.session.add_testament", r#"["com.x",[],{},{},"never"]"#),
        ("wamp.session.flush_testaments", "[1]"),
    ];
    everywhere(|mut mesh| {
        let asks = mesh.join();
        for (procedure, args) in wrong {
            let answer = ask(&mut mesh, asks, procedure, args);
            assert_eq!(
                answer, "ERROR Call 1 wamp.error.invalid_argument",
                "{procedure} {args}"
            );
        }
    });
}

#[test]
fn without_a_meta_api_there_are_no_meta_procedures() {
    let mut mesh = Mesh::with(1, |config| config.realms[0].enable_meta_api = false);
    let (asks, other) = (mesh.join(), mesh.join());
    mesh.subscribe(asks, subscribe(1, "wamp.session.on_leave"));
    mesh.lose(other);
    let answer = ask(&mut mesh, asks, "wamp.session.count", "[]");
    assert_eq!(answer, "ERROR Call 1 wamp.error.no_such_procedure");
}

/// The meta events that came to a session, as `topic arguments`.
fn told(mesh: &mut Mesh, who: Who, topics: &[(u64, &str)]) -> Vec<String> {
    let ids = mesh.names();
    let events = mesh.got(who).into_iter().map(|message| match message {
        Message::Event(event) => {
            let topic = topics.iter().find(|(id, _)| *id == event.subscription.0);
            let args = String::from_utf8_lossy(&event.payload.args).into_owned();
            let args = ids.iter().fold(args, |args, (id, name)| args.replace(id, name));
            format!("{} {args}", topic.map_or("?", |(_, name)| name))
        }
        other => panic!("no EVENT: {other:?}"),
    });
    events.collect()
}

fn listen(mesh: &mut Mesh, who: Who, about: &'static str) -> Vec<(u64, &'static str)> {
    let topics: &[(&str, &str)] = match about {
        "registration" => &[
            ("wamp.registration.on_create", "create"),
            ("wamp.registration.on_register", "register"),
            ("wamp.registration.on_unregister", "unregister"),
            ("wamp.registration.on_delete", "delete"),
        ],
        _ => &[
            ("wamp.subscription.on_create", "create"),
            ("wamp.subscription.on_subscribe", "subscribe"),
            ("wamp.subscription.on_unsubscribe", "unsubscribe"),
            ("wamp.subscription.on_delete", "delete"),
        ],
    };
    let listen = topics
        .iter()
        .map(|(topic, name)| (mesh.subscribe(who, subscribe(1, topic)).0, *name));
    listen.collect()
}

#[test]
fn mr_001_to_mr_006_registrations_are_told_in_order() {
    everywhere(|mut mesh| {
        let (hears, one, two) = (mesh.join(), mesh.join(), mesh.join());
        let topics = listen(&mut mesh, hears, "registration");
        let id = mesh.register(one, register_shared(1, "com.x", InvokePolicy::First));
        mesh.register(two, register_shared(1, "com.x", InvokePolicy::First));
        mesh.register(two, register_shared(2, "com.x", InvokePolicy::First));
        let details = format!(
            "{{\"created\":\"1970-01-01T00:00:00.000000Z\",\"id\":{id},\"invoke\":\"first\",\
             \"match\":\"exact\",\"uri\":\"com.x\"}}"
        );
        let expected = [
            format!("create [#1,{details}]"),
            format!("register [#1,{id}]"),
            format!("register [#2,{id}]"),
        ];
        assert_eq!(told(&mut mesh, hears, &topics), expected);
        mesh.say(one, unregister(3, id));
        mesh.lose(two);
        let expected = [
            format!("unregister [#1,{id}]"),
            format!("unregister [#2,{id}]"),
            format!("delete [#2,{id}]"),
        ];
        assert_eq!(told(&mut mesh, hears, &topics), expected);
    });
}

#[test]
fn mr_007_to_mr_011_registrations_are_looked_up() {
    everywhere(|mut mesh| {
        let (asks, one, two) = (mesh.join(), mesh.join(), mesh.join());
        let id = mesh.register(one, register_shared(1, "com.x", InvokePolicy::Last));
        mesh.register(two, register_shared(1, "com.x", InvokePolicy::Last));
        let prefix = mesh.register(
            two,
            register_with(2, "com", |options| {
                options.match_policy = Some(MatchPolicy::Prefix);
            }),
        );
        let mut asked = |procedure, args: &str| ask(&mut mesh, asks, procedure, args);
        assert_eq!(
            asked("wamp.registration.list", "[]"),
            format!("RESULT 1 [{{\"exact\":[{id}],\"prefix\":[{prefix}],\"wildcard\":[]}}]")
        );
        assert_eq!(
            asked("wamp.registration.lookup", r#"["com.x"]"#),
            format!("RESULT 1 [{id}]")
        );
        assert_eq!(
            asked("wamp.registration.lookup", r#"["com",{"match":"prefix"}]"#),
            format!("RESULT 1 [{prefix}]")
        );
        assert_eq!(asked("wamp.registration.lookup", r#"["com"]"#), "RESULT 1 [null]");
        assert_eq!(
            asked("wamp.registration.match", r#"["com.x"]"#),
            format!("RESULT 1 [{id}]")
        );
        assert_eq!(
            asked("wamp.registration.match", r#"["com.y"]"#),
            format!("RESULT 1 [{prefix}]")
        );
        assert_eq!(asked("wamp.registration.match", r#"["org"]"#), "RESULT 1 [null]");
        assert!(asked("wamp.registration.get", &format!("[{id}]")).contains("\"invoke\":\"last\""));
        assert_eq!(
            asked("wamp.registration.count_callees", &format!("[{id}]")),
            "RESULT 1 [2]"
        );
        let (first, second) = (mesh.id(one), mesh.id(two));
        assert_eq!(
            ask(
                &mut mesh,
                asks,
                "wamp.registration.list_callees",
                &format!("[{id}]")
            ),
            format!("RESULT 1 [[{first},{second}]]")
        );
        for procedure in ["wamp.registration.get", "wamp.registration.list_callees"] {
            assert_eq!(
                ask(&mut mesh, asks, procedure, "[1]"),
                "ERROR Call 1 wamp.error.no_such_registration"
            );
        }
    });
}

#[test]
fn rv_003_rv_004_a_registration_is_taken_from_one_callee() {
    everywhere(|mut mesh| {
        let (asks, one, two) = (mesh.join(), mesh.join(), mesh.join());
        let id = mesh.register(one, register_shared(1, "com.x", InvokePolicy::First));
        mesh.register(two, register_shared(1, "com.x", InvokePolicy::First));
        let remove = |mesh: &mut Mesh, who| {
            let session = mesh.id(who);
            ask(
                mesh,
                asks,
                "wamp.registration.remove_callee",
                &format!("[{id},{session}]"),
            )
        };
        assert_eq!(remove(&mut mesh, asks), "ERROR Call 1 wamp.error.no_such_session");
        assert_eq!(remove(&mut mesh, one), "RESULT 1");
        mesh.say(asks, call(2, "com.x", "[]"));
        assert_eq!(mesh.heard(two), ["INVOCATION 1 []"]);
        assert_eq!(remove(&mut mesh, two), "RESULT 1");
        assert_eq!(
            remove(&mut mesh, two),
            "ERROR Call 1 wamp.error.no_such_registration"
        );
        mesh.say(asks, call(3, "com.x", "[]"));
        assert_eq!(mesh.heard(asks), ["ERROR Call 3 wamp.error.no_such_procedure"]);
    });
}

#[test]
fn mb_001_to_mb_003_mb_008_subscriptions_are_told_in_order() {
    everywhere(|mut mesh| {
        let (hears, one, two) = (mesh.join(), mesh.join(), mesh.join());
        let topics = listen(&mut mesh, hears, "subscription");
        let id = mesh.subscribe(one, subscribe(1, "com.x"));
        mesh.subscribe(two, subscribe(1, "com.x"));
        mesh.subscribe(two, subscribe(2, "com.x"));
        let details = format!(
            "{{\"created\":\"1970-01-01T00:00:00.000000Z\",\"id\":{id},\"match\":\"exact\",\"uri\":\"com.x\"}}"
        );
        let expected = [
            format!("create [#1,{details}]"),
            format!("subscribe [#1,{id}]"),
            format!("subscribe [#2,{id}]"),
        ];
        assert_eq!(told(&mut mesh, hears, &topics), expected);
        mesh.say(one, unsubscribe(3, id));
        mesh.lose(two);
        let expected = [
            format!("unsubscribe [#1,{id}]"),
            format!("unsubscribe [#2,{id}]"),
            format!("delete [#2,{id}]"),
        ];
        assert_eq!(told(&mut mesh, hears, &topics), expected);
    });
}

#[test]
fn mb_004_to_mb_007_subscriptions_are_looked_up() {
    everywhere(|mut mesh| {
        let (asks, one, two) = (mesh.join(), mesh.join(), mesh.join());
        let exact = mesh.subscribe(one, subscribe(1, "com.x"));
        mesh.subscribe(two, subscribe(1, "com.x"));
        let prefix = mesh.subscribe(two, subscribe_by(2, MatchPolicy::Prefix, "com"));
        let hidden = mesh.subscribe(two, subscribe(3, "wamp.x"));
        let mut asked = |procedure, args: &str| ask(&mut mesh, asks, procedure, args);
        assert_eq!(
            asked("wamp.subscription.list", "[]"),
            format!("RESULT 1 [{{\"exact\":[{exact}],\"prefix\":[{prefix}],\"wildcard\":[]}}]")
        );
        assert_eq!(
            asked("wamp.subscription.lookup", r#"["com.x"]"#),
            format!("RESULT 1 [{exact}]")
        );
        assert_eq!(asked("wamp.subscription.lookup", r#"["com"]"#), "RESULT 1 [null]");
        let both = format!("RESULT 1 [[{},{}]]", exact.min(prefix), exact.max(prefix));
        assert_eq!(asked("wamp.subscription.match", r#"["com.x"]"#), both);
        assert_eq!(
            asked("wamp.subscription.match", r#"["com.y"]"#),
            format!("RESULT 1 [[{prefix}]]")
        );
        assert_eq!(asked("wamp.subscription.match", r#"["org"]"#), "RESULT 1 [null]");
        assert!(asked("wamp.subscription.get", &format!("[{prefix}]")).contains("\"match\":\"prefix\""));
        assert_eq!(
            asked("wamp.subscription.count_subscribers", &format!("[{exact}]")),
            "RESULT 1 [2]"
        );
        for id in [hidden.0, 1] {
            for procedure in ["wamp.subscription.get", "wamp.subscription.list_subscribers"] {
                assert_eq!(
                    asked(procedure, &format!("[{id}]")),
                    "ERROR Call 1 wamp.error.no_such_subscription"
                );
            }
        }
        let subscribers = sorted(vec![mesh.id(one), mesh.id(two)]);
        let args = format!("[{exact}]");
        assert_eq!(
            ask(&mut mesh, asks, "wamp.subscription.list_subscribers", &args),
            subscribers
        );
    });
}

#[test]
fn rv_002_a_subscription_is_taken_from_one_session() {
    everywhere(|mut mesh| {
        let (asks, one, two) = (mesh.join(), mesh.join(), mesh.join());
        let id = mesh.subscribe(one, subscribe(1, "com.x"));
        mesh.subscribe(two, subscribe(1, "com.x"));
        let remove = |mesh: &mut Mesh, who| {
            let session = mesh.id(who);
            ask(
                mesh,
                asks,
                "wamp.subscription.remove_subscriber",
                &format!("[{id},{session}]"),
            )
        };
        assert_eq!(remove(&mut mesh, asks), "ERROR Call 1 wamp.error.no_such_session");
        assert_eq!(remove(&mut mesh, one), "RESULT 1");
        mesh.say(asks, publish(2, "com.x", |_| {}));
        assert_eq!((mesh.heard(one).len(), mesh.heard(two).len()), (0, 1));
        assert_eq!(remove(&mut mesh, two), "RESULT 1");
        assert_eq!(
            remove(&mut mesh, two),
            "ERROR Call 1 wamp.error.no_such_subscription"
        );
    });
}

#[test]
fn pr_015_the_routers_own_names_are_for_no_client_to_answer() {
    everywhere(|mut mesh| {
        let (caller, callee) = (mesh.join(), mesh.join());
        for (request, prefix) in [(1, ""), (2, "wam")] {
            mesh.register(
                callee,
                register_with(request, prefix, |options| {
                    options.match_policy = Some(MatchPolicy::Prefix);
                }),
            );
        }
        for name in ["wamp", "wamp.no", "wamp.session.no"] {
            assert_eq!(
                ask(&mut mesh, caller, name, "[]"),
                "ERROR Call 1 wamp.error.no_such_procedure"
            );
            let found = ask(
                &mut mesh,
                caller,
                "wamp.registration.match",
                &format!("[\"{name}\"]"),
            );
            assert_eq!(found, "RESULT 1 [null]");
        }
        assert_eq!(ask(&mut mesh, caller, "wamp.session.count", "[]"), "RESULT 1 [2]");
        mesh.say(caller, call(1, "wampx", "[]"));
        assert_eq!(mesh.heard(callee), ["INVOCATION 1 [] procedure=wampx"]);
    });
}
