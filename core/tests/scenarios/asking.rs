//! Questions of the meta API for all shards: how many are under way, and what they cost.

use crosspoint_core::ids::SessionId;

use crate::mesh::{Mesh, Who, realm};
use crate::meta::{ask, join, sorted};
use crate::say::call;

/// The answers to calls with the requests from 1 on, of which all shards are asked.
fn pipelined(mesh: &mut Mesh, who: Who, count: u64) -> usize {
    for request in 1..=count {
        mesh.tell(who, call(request, "wamp.session.count", "[]"));
    }
    mesh.waiting(0, 1)
}

#[test]
fn questions_to_all_wait_for_each_other() {
    let mut mesh = Mesh::new(2);
    let (who, other) = (
        join(&mut mesh, 0, "alice", "user"),
        join(&mut mesh, 0, "bob", "user"),
    );
    assert_eq!(pipelined(&mut mesh, who, 20), 4, "questions under way");
    // Others do not wait for them, and neither does what one shard knows.
    mesh.tell(other, call(1, "wamp.session.count", "[]"));
    let home = join(&mut mesh, 1, "eve", "user");
    let id = mesh.id(home);
    mesh.tell(who, call(21, "wamp.session.get", &format!("[{id}]")));
    assert_eq!(mesh.waiting(0, 1), 6);
    mesh.settle();
    assert_eq!(mesh.heard(other), ["RESULT 1 [3]"]);
    let heard = mesh.heard(who);
    let (counts, details): (Vec<_>, Vec<_>) = heard.iter().partition(|text| text.ends_with(" [3]"));
    let expected: Vec<_> = (1..=20).map(|request| format!("RESULT {request} [3]")).collect();
    assert_eq!(counts.into_iter().cloned().collect::<Vec<_>>(), expected);
    assert!(
        details.len() == 1 && details[0].starts_with("RESULT 21 "),
        "{details:?}"
    );
    assert_eq!(pipelined(&mut mesh, who, 20), 4, "as before");
}

#[test]
fn so_many_questions_to_all_may_wait() {
    let mut mesh = Mesh::new(2);
    let who = join(&mut mesh, 0, "alice", "user");
    pipelined(&mut mesh, who, 505);
    assert_eq!(
        mesh.heard(who),
        ["ERROR Call 505 crosspoint.error.limit_exceeded"]
    );
    mesh.settle();
    assert_eq!(mesh.heard(who).len(), 504);
    pipelined(&mut mesh, who, 10);
    mesh.lose(who);
    assert_eq!(mesh.leftovers(0), crosspoint_core::router::Leftovers::default());
}

#[test]
fn questions_that_wait_hold_so_many_bytes() {
    let mut mesh = Mesh::with(2, |config| config.limits.kept_bytes = 10_000);
    let who = join(&mut mesh, 0, "alice", "user");
    let large = format!(r#"["{}"]"#, "x".repeat(4_000));
    for round in 1..=2 {
        for request in 1..=7 {
            mesh.tell(who, call(request, "wamp.session.kill_by_authid", &large));
        }
        let refused = ["ERROR Call 7 crosspoint.error.limit_exceeded"];
        assert_eq!(mesh.heard(who), refused, "round {round}");
        mesh.settle();
        assert_eq!(mesh.heard(who).len(), 6);
    }
}

#[test]
fn ms_014_whoever_left_before_the_right_sessions_are_listed_and_killed() {
    in_two_realms(|mesh| listed_and_killed(mesh, &[]));
    // Also where somebody has asked before, for what there is and for what there is not.
    in_two_realms(|mesh| {
        let before = [
            ("wamp.session.list", r#"[["user"]]"#),
            ("wamp.session.list", "[]"),
            ("wamp.session.kill_by_authid", r#"["nobody"]"#),
        ];
        listed_and_killed(mesh, &before);
    });
}

fn listed_and_killed(mut mesh: Mesh, before: &[(&'static str, &str)]) {
    let asks = join(&mut mesh, 0, "root", "admin");
    let elsewhere = mesh.join_in("realm2");
    for (procedure, args) in before {
        assert!(ask(&mut mesh, asks, procedure, args).starts_with("RESULT"));
    }
    let all: Vec<Who> = (0..8)
        .map(|place| join(&mut mesh, 0, if place % 2 == 0 { "even" } else { "odd" }, "user"))
        .collect();
    for gone in [0, 5, 7] {
        mesh.lose(all[gone]);
    }
    let later = join(&mut mesh, 0, "even", "user");
    let of = |mesh: &Mesh, places: &[usize]| places.iter().map(|place| mesh.id(all[*place])).collect();
    let mut users: Vec<SessionId> = of(&mesh, &[1, 2, 3, 4, 6]);
    users.push(mesh.id(later));
    let listed = ask(&mut mesh, asks, "wamp.session.list", r#"[["user"]]"#);
    assert_eq!(listed, sorted(users));
    let mut even: Vec<SessionId> = of(&mesh, &[2, 4, 6]);
    even.push(mesh.id(later));
    let killed = ask(&mut mesh, asks, "wamp.session.kill_by_authid", r#"["even"]"#);
    assert_eq!(killed, sorted(even));
    let killed = ask(&mut mesh, asks, "wamp.session.kill_by_authrole", r#"["user"]"#);
    assert_eq!(killed, "RESULT 1 [2]");
    assert_eq!(ask(&mut mesh, asks, "wamp.session.count", "[]"), "RESULT 1 [1]");
    let me = vec![mesh.id(asks)];
    assert_eq!(ask(&mut mesh, asks, "wamp.session.list", "[]"), sorted(me));
    assert_eq!(
        ask(&mut mesh, elsewhere, "wamp.session.kill_all", "[]"),
        "RESULT 1 [0]"
    );
    assert!(!mesh.is_closed(asks) && !mesh.is_closed(elsewhere));
}

/// Runs a scenario on one shard and on two, of routers with one more realm.
fn in_two_realms(scenario: impl Fn(Mesh)) {
    for shards in [1, 2] {
        println!("{shards} shards");
        scenario(Mesh::with(shards, |config| config.realms.push(realm("realm2"))));
    }
}

/// Questions wait with what they ask for.
#[test]
fn no_shard_is_asked_about_what_is_no_topic() {
    let mut mesh = Mesh::new(2);
    let asks = [mesh.join(), mesh.join()];
    let long = "x".repeat(1_025);
    for procedure in ["wamp.subscription.match", "wamp.subscription.lookup"] {
        for who in asks {
            for topic in ["a b", &long] {
                mesh.tell(who, call(1, procedure, &format!(r#"["{topic}"]"#)));
                assert_eq!((mesh.waiting(0, 1), mesh.waiting(1, 0)), (0, 0), "{procedure}");
                assert_eq!(mesh.heard(who), ["RESULT 1 [null]"], "{procedure}");
            }
        }
    }
}
