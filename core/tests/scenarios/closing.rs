//! What is left of sessions that end while their connection stays.

use crosspoint_core::message::{Goodbye, Message};
use crosspoint_core::value::Dict;

use crate::mesh::{ALL_FEATURES, Mesh, Who, hello};

/// From one session's end to the next HELLO, as the mesh has it.
const HOUR: u64 = 3_600_000;

fn goodbye(mesh: &mut Mesh, who: Who) {
    let (details, reason) = (Dict::new(), "wamp.close.close_realm".into());
    mesh.say(who, Message::Goodbye(Goodbye { details, reason }));
}

#[test]
fn a_connection_has_one_deadline_however_many_sessions_it_had() {
    let mut mesh = Mesh::new(1);
    let who = mesh.join();
    for _ in 0..100 {
        goodbye(&mut mesh, who);
        mesh.say(who, hello(ALL_FEATURES));
        assert_eq!(mesh.deadlines(), 1);
    }
    mesh.pass(HOUR);
    assert!(!mesh.is_closed(who));
    assert_eq!(mesh.deadlines(), 0);
}

#[test]
fn time_for_the_next_hello_runs_from_the_end_of_the_session() {
    // While the first deadline is to come, and when it is over.
    for open in [HOUR / 4, HOUR] {
        let mut mesh = Mesh::new(1);
        let who = mesh.join();
        mesh.pass(open);
        goodbye(&mut mesh, who);
        mesh.pass(HOUR - open / 2);
        assert!(!mesh.is_closed(who));
        mesh.pass(open / 2 - 1);
        assert!(!mesh.is_closed(who));
        mesh.pass(1);
        assert!(mesh.is_closed(who));
        assert_eq!(mesh.deadlines(), 0);
    }
}

#[test]
fn a_lost_connection_leaves_no_deadline() {
    let mut mesh = Mesh::new(1);
    let who = mesh.join();
    mesh.pass(HOUR);
    mesh.lose(who);
    assert_eq!(mesh.deadlines(), 0);
}
