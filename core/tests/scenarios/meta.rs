//! The meta API (MS, TM), and what of it depends on the order of messages between shards.

use crosspoint_core::ids::SessionId;

use crate::mesh::{ALL_FEATURES, Joining, Mesh, Who, everywhere};
use crate::say::{call, subscribe};

fn join(mesh: &mut Mesh, shard: u16, authid: &'static str, role: &'static str) -> Who {
    mesh.join_as(Joining {
        shard,
        authid,
        role,
        features: ALL_FEATURES,
    })
}

/// Calls a meta procedure and takes the answer.
fn ask(mesh: &mut Mesh, who: Who, procedure: &'static str, args: &str) -> String {
    mesh.say(who, call(1, procedure, args));
    mesh.heard(who).join("; ")
}

fn sorted(mut ids: Vec<SessionId>) -> String {
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

#[test]
fn tm_003_tm_004_tm_011_testaments_come_in_their_order_before_on_leave() {
    everywhere(|mut mesh| {
        let (hears, dies) = (mesh.join(), mesh.join());
        for who in [hears, dies] {
            mesh.subscribe(who, subscribe(1, "com.will"));
        }
        mesh.subscribe(hears, subscribe(2, "wamp.session.on_leave"));
        let add = |mesh: &mut Mesh, args| ask(mesh, dies, "wamp.session.add_testament", args);
        for args in [
            r#"["com.will",[1]]"#,
            r#"["com.will",[2],{},{},"detached"]"#,
            r#"["com.will",[3],null,null,"destroyed"]"#,
            r#"["com.will",[4],{},{"eligible_authrole":["nobody"],"acknowledge":true}]"#,
        ] {
            assert!(add(&mut mesh, args).starts_with("RESULT 1 ["));
        }
        assert_eq!(
            add(&mut mesh, r#"["wamp.x",[]]"#),
            "ERROR Call 1 wamp.error.invalid_uri"
        );
        mesh.lose(dies);
        let heard = mesh.heard(hears);
        assert_eq!(heard[..3], ["EVENT [2]", "EVENT [1]", "EVENT [3]"]);
        assert!(heard.len() == 4 && heard[3].contains("somebody"), "{heard:?}");
    });
}

#[test]
fn tm_005_tm_010_testaments_are_flushed_by_scope_and_survive_a_kill_but_not_kill_all() {
    everywhere(|mut mesh| {
        let (hears, one, two) = (mesh.join(), mesh.join(), mesh.join());
        mesh.subscribe(hears, subscribe(1, "com.will"));
        for dies in [one, two] {
            for args in [r#"["com.will",[1]]"#, r#"["com.will",[2],{},{},"detached"]"#] {
                ask(&mut mesh, dies, "wamp.session.add_testament", args);
            }
        }
        let flushed = ask(&mut mesh, one, "wamp.session.flush_testaments", r#"["detached"]"#);
        assert_eq!(flushed, "RESULT 1 [1]");
        let id = mesh.id(one);
        mesh.say(hears, call(1, "wamp.session.kill", &format!("[{id}]")));
        let mut heard = mesh.heard(hears);
        heard.sort_unstable();
        assert_eq!(heard, ["EVENT [1]", "RESULT 1"]);
        assert_eq!(
            ask(&mut mesh, hears, "wamp.session.kill_all", "[]"),
            "RESULT 1 [1]"
        );
    });
}

#[test]
fn testaments_are_limited() {
    let mut mesh = Mesh::with(1, |config| {
        config.limits.testaments = 2;
        config.limits.testament_bytes = 64;
    });
    let who = mesh.join();
    let long = format!(r#"["com.will",["{}"]]"#, "x".repeat(64));
    let add = |mesh: &mut Mesh, args: &str| ask(mesh, who, "wamp.session.add_testament", args);
    assert_eq!(
        add(&mut mesh, &long),
        "ERROR Call 1 crosspoint.error.limit_exceeded"
    );
    for _ in 0..2 {
        assert!(add(&mut mesh, r#"["com.will",[1]]"#).starts_with("RESULT"));
    }
    assert_eq!(
        add(&mut mesh, r#"["com.will",[1]]"#),
        "ERROR Call 1 crosspoint.error.limit_exceeded"
    );
    assert_eq!(
        ask(&mut mesh, who, "wamp.session.flush_testaments", "[]"),
        "RESULT 1 [2]"
    );
    assert!(add(&mut mesh, r#"["com.will",[1]]"#).starts_with("RESULT"));
}
