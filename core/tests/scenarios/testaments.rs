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
