//! Testaments (TM).

use crate::mesh::{Mesh, everywhere};
use crate::meta::ask;
use crate::say::{call, subscribe};

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
        config.limits.testament_bytes = 1_000;
    });
    let who = mesh.join();
    let long = format!(r#"["com.will",["{}"]]"#, "x".repeat(700));
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

/// Each of these is a short text in the call.
#[test]
fn names_of_testaments_count_as_what_they_hold() {
    let mut mesh = Mesh::with(1, |config| config.limits.testament_bytes = 2_000);
    let who = mesh.join();
    let add = |mesh: &mut Mesh, names: usize| {
        let names = vec![r#""a""#; names].join(",");
        let args = format!(r#"["com.will",[1],{{}},{{"exclude_authid":[{names}]}}]"#);
        ask(mesh, who, "wamp.session.add_testament", &args)
    };
    // The same name again and again is one.
    assert!(add(&mut mesh, 100).starts_with("RESULT"));
    let names: Vec<_> = (0..100).map(|name| format!(r#""{name}""#)).collect();
    let args = format!(
        r#"["com.will",[1],{{}},{{"exclude_authid":[{}]}}]"#,
        names.join(",")
    );
    assert!(args.len() < 1_000);
    assert_eq!(
        ask(&mut mesh, who, "wamp.session.add_testament", &args),
        "ERROR Call 1 crosspoint.error.limit_exceeded"
    );
}

#[test]
fn what_a_publish_could_not_say_no_testament_says() {
    everywhere(|mut mesh| {
        const REFUSED: &str = "ERROR Call 1 wamp.error.invalid_argument";
        let (may, may_not) = (mesh.join(), mesh.join_with(&[]));
        let add = |mesh: &mut Mesh, who, payload: &str, options: &str| {
            let args = format!(r#"["com.will",{payload},{{{options}}}]"#);
            let answer = ask(mesh, who, "wamp.session.add_testament", &args);
            match answer.starts_with("RESULT") {
                true => "RESULT".to_owned(),
                false => answer,
            }
        };
        let passthru = r#""ppt_scheme":"x_a""#;
        assert_eq!(add(&mut mesh, may, "[1],{}", passthru), "RESULT");
        assert_eq!(add(&mut mesh, may_not, "[1],{}", passthru), REFUSED);
        for options in [
            r#""ppt_scheme":1"#,
            r#""ppt_keyid":[1]"#,
            r#""enc_algo":"rot13""#,
            r#""rkey":5"#,
            r#""forward_for":["x"]"#,
        ] {
            assert_eq!(add(&mut mesh, may, "[1],{}", options), REFUSED, "{options}");
        }
        let sealed = r#""enc_algo":"cryptobox""#;
        assert_eq!(add(&mut mesh, may, r#""sealed",{}"#, sealed), "RESULT");
        assert_eq!(add(&mut mesh, may, r#"[1],{"a":1}"#, sealed), "RESULT");
        assert_eq!(add(&mut mesh, may, r#""sealed",{"a":1}"#, sealed), REFUSED);
        assert_eq!(add(&mut mesh, may, r#""text",{}"#, ""), REFUSED);
    });
}
