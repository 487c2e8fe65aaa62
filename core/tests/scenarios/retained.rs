//! Retained events: what later subscribers get, and what they do not.

use crosspoint_core::options::{MatchPolicy, Receivers};

use crate::mesh::{Joining, Mesh, Who, everywhere};
use crate::say::{publish, retain, subscribe, subscribe_by, subscribe_retained, unsubscribe};

const EXACT: MatchPolicy = MatchPolicy::Exact;

/// What a new subscription that asks for retained events brings after SUBSCRIBED.
fn found(mesh: &mut Mesh, who: Who, request: u64, policy: MatchPolicy, topic: &'static str) -> Vec<String> {
    mesh.say(who, subscribe_retained(request, policy, topic));
    let mut heard = mesh.heard(who);
    assert_eq!(heard.remove(0), format!("SUBSCRIBED {request}"));
    heard
}

#[test]
fn er_001_a_later_subscriber_gets_the_newest() {
    everywhere(|mut mesh| {
        let [publisher, live, late] = [(); 3].map(|()| mesh.join());
        mesh.say(live, subscribe(1, "a.b"));
        for (request, args) in [(1, "one"), (2, "two")] {
            mesh.say(publisher, retain(request, "a.b", args, |_| {}));
        }
        mesh.say(publisher, publish(3, "a.b", |_| {}));
        assert_eq!(
            mesh.heard(live),
            ["SUBSCRIBED 1", "EVENT one", "EVENT two", "EVENT news"]
        );
        assert_eq!(found(&mut mesh, late, 1, EXACT, "a.b"), ["EVENT two retained"]);
        assert_eq!(found(&mut mesh, live, 2, EXACT, "a.b"), ["EVENT two retained"]);
        mesh.say(late, subscribe(2, "a.b"));
        assert_eq!(mesh.heard(late), ["SUBSCRIBED 2"]);
    });
}

#[test]
fn er_011_patterns_get_the_newest_of_each_topic() {
    everywhere(|mut mesh| {
        let [publisher, late] = [(); 2].map(|()| mesh.join());
        for (request, topic, args) in [
            (1, "a.b.c", "1"),
            (2, "a.x.c", "2"),
            (3, "a.b", "3"),
            (4, "ab", "4"),
        ] {
            mesh.pass(1);
            mesh.say(publisher, retain(request, topic, args, |_| {}));
        }
        assert_eq!(
            found(&mut mesh, late, 1, MatchPolicy::Wildcard, "a..c"),
            ["EVENT 1 retained topic=a.b.c", "EVENT 2 retained topic=a.x.c"]
        );
        assert_eq!(
            found(&mut mesh, late, 2, MatchPolicy::Prefix, "a.b"),
            ["EVENT 1 retained topic=a.b.c", "EVENT 3 retained topic=a.b"]
        );
        assert_eq!(found(&mut mesh, late, 3, MatchPolicy::Prefix, "a").len(), 4);
        assert_eq!(found(&mut mesh, late, 4, MatchPolicy::Prefix, "b"), [""; 0]);
        mesh.say(late, subscribe_by(5, MatchPolicy::Wildcard, "..c"));
        assert_eq!(mesh.heard(late), ["SUBSCRIBED 5"]);
    });
}

#[test]
fn er_009_each_gets_the_newest_that_it_may() {
    everywhere(|mut mesh| {
        let publisher = mesh.join();
        let shard = 0;
        let join = |mesh: &mut Mesh, role| {
            mesh.join_as(Joining {
                shard,
                authid: "somebody",
                role,
                features: &[],
            })
        };
        let (user, admin) = (join(&mut mesh, "user"), join(&mut mesh, "admin"));
        let only = |role: &'static str| {
            move |options: &mut crosspoint_core::options::PublishOptions| {
                options.receivers = Some(Box::new(Receivers {
                    eligible_authrole: Some(vec![role.into()]),
                    ..Receivers::default()
                }));
            }
        };
        mesh.say(publisher, retain(1, "a", "all", |_| {}));
        mesh.say(publisher, retain(2, "a", "admins", only("admin")));
        assert_eq!(found(&mut mesh, user, 1, EXACT, "a"), ["EVENT all retained"]);
        assert_eq!(found(&mut mesh, admin, 1, EXACT, "a"), ["EVENT admins retained"]);
        mesh.say(publisher, retain(3, "a", "users", only("user")));
        assert_eq!(mesh.heard(user).len() + mesh.heard(admin).len(), 1);
        assert_eq!(found(&mut mesh, user, 2, EXACT, "a"), ["EVENT users retained"]);
        assert_eq!(found(&mut mesh, admin, 2, EXACT, "a"), ["EVENT admins retained"]);
        mesh.say(publisher, retain(4, "a", "new", |_| {}));
        mesh.heard(admin);
        assert_eq!(found(&mut mesh, admin, 3, EXACT, "a"), ["EVENT new retained"]);
    });
}

#[test]
fn er_014_a_publisher_gets_its_own_only_if_it_would_have() {
    everywhere(|mut mesh| {
        let [publisher, other] = [(); 2].map(|()| mesh.join());
        mesh.say(publisher, retain(1, "a", "1", |_| {}));
        assert_eq!(found(&mut mesh, publisher, 2, EXACT, "a"), [""; 0]);
        assert_eq!(found(&mut mesh, other, 1, EXACT, "a"), ["EVENT 1 retained"]);
        mesh.say(
            publisher,
            retain(3, "b", "2", |options| options.exclude_me = Some(false)),
        );
        assert_eq!(found(&mut mesh, publisher, 4, EXACT, "b"), ["EVENT 2 retained"]);
    });
}

#[test]
fn an_event_expires_and_can_be_cleared() {
    everywhere(|mut mesh| {
        let [publisher, late] = [(); 2].map(|()| mesh.join());
        let expires = |millis: u64| {
            move |options: &mut crosspoint_core::options::PublishOptions| {
                options.rest.push("_expires", millis)
            }
        };
        mesh.say(publisher, retain(1, "a", "1", expires(500)));
        mesh.pass(499);
        assert_eq!(found(&mut mesh, late, 1, EXACT, "a"), ["EVENT 1 retained"]);
        mesh.pass(1);
        assert_eq!(found(&mut mesh, late, 2, EXACT, "a"), [""; 0]);
        mesh.say(publisher, retain(2, "a", "2", |_| {}));
        mesh.say(publisher, retain(3, "a", "3", expires(0)));
        assert_eq!(mesh.heard(late), ["EVENT 2", "EVENT 3"]);
        assert_eq!(found(&mut mesh, late, 3, EXACT, "a"), [""; 0]);
        mesh.pass(100_000);
        mesh.say(
            publisher,
            retain(4, "a", "4", |options| {
                options.acknowledge = true;
                options.rest.push("_expires", "soon");
            }),
        );
        assert_eq!(
            mesh.heard(publisher),
            ["ERROR Publish 4 wamp.error.invalid_argument"]
        );
    });
}

#[test]
fn what_was_retained_longest_ago_goes_first() {
    for shards in [1, 2] {
        let mut mesh = Mesh::with(shards, |config| {
            config.realms[0].retention.events = 4;
            config.realms[0].retention.per_subscribe = 3;
        });
        let [publisher, late] = [(); 2].map(|()| mesh.join());
        let topics = [
            "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "t10", "t11",
        ];
        for (request, topic) in (1..).zip(topics) {
            mesh.pass(1);
            mesh.say(publisher, retain(request, topic, topic, |_| {}));
        }
        let all = found(&mut mesh, late, 1, MatchPolicy::Prefix, "t");
        assert_eq!(all.len(), 3);
        assert_eq!(all[2], "EVENT t11 retained topic=t11");
        assert_eq!(mesh.evicted, 8);
    }
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let mut mesh = Mesh::with(1, |config| {
        let retention = &mut config.realms[0].retention;
        (retention.per_topic, retention.bytes) = (2, 2000);
    });
    let publisher = mesh.join();
    let only_somebody = |options: &mut crosspoint_core::options::PublishOptions| {
        options.receivers = Some(Box::new(Receivers {
            eligible: Some(vec![crosspoint_core::ids::SessionId(1)]),
            ..Receivers::default()
        }));
    };
    let expires =
        |options: &mut crosspoint_core::options::PublishOptions| options.rest.push("_expires", 500_u64);
    // Replaced, cleared and over: there was room for all of them.
    for request in 1..=5 {
        mesh.say(publisher, retain(request, "a", "all", expires));
    }
    mesh.pass(100_000);
    mesh.say(publisher, retain(6, "a", "all", |_| {}));
    mesh.say(publisher, retain(7, "a", "one", only_somebody));
    assert_eq!(mesh.evicted, 0);
    mesh.say(publisher, retain(8, "a", "another", only_somebody));
    assert_eq!(mesh.evicted, 1, "more than fit into a topic");
    mesh.say(publisher, retain(9, "b", &"x".repeat(3000), |_| {}));
    assert_eq!(mesh.evicted, 2, "larger than all may be");
    mesh.say(publisher, retain(10, "b", &"x".repeat(1500), |_| {}));
    assert_eq!(mesh.evicted, 4, "both of the other topic");
}

#[test]
fn the_newer_is_never_followed_by_the_older() {
    let mut mesh = Mesh::new(2);
    let [publisher, late] = [(); 2].map(|()| mesh.join());
    mesh.say(publisher, retain(1, "a", "old", |_| {}));
    mesh.say(late, subscribe(1, "a"));
    mesh.heard(late);
    // The question is under way while the next is published and delivered.
    mesh.tell(late, subscribe_retained(2, MatchPolicy::Prefix, "a"));
    mesh.tell(late, subscribe_retained(3, EXACT, "a"));
    mesh.tell(publisher, retain(2, "a", "new", |_| {}));
    mesh.deliver(0, 1);
    mesh.settle();
    let heard = mesh.heard(late);
    let after_new = heard.iter().skip_while(|text| *text != "EVENT new");
    assert!(
        after_new.filter(|text| text.contains("old")).count() == 0,
        "{heard:?}"
    );
}

#[test]
fn who_unsubscribes_or_leaves_gets_nothing_more() {
    let mut mesh = Mesh::with(2, |config| config.realms[0].enable_meta_api = false);
    let [publisher, late, gone] = [(); 3].map(|()| mesh.join());
    for (request, topic) in (1..).zip(["a", "b", "c", "d"]) {
        mesh.say(publisher, retain(request, topic, "1", |_| {}));
    }
    for who in [late, gone] {
        mesh.say(who, subscribe(1, "keeps.the.pattern"));
        mesh.got(who);
    }
    let id = mesh.subscribe(late, subscribe_by(2, MatchPolicy::Prefix, ""));
    mesh.subscribe(gone, subscribe_by(2, MatchPolicy::Prefix, ""));
    mesh.tell(late, subscribe_retained(3, MatchPolicy::Prefix, ""));
    mesh.tell(late, unsubscribe(4, id));
    mesh.tell(gone, subscribe_retained(3, MatchPolicy::Prefix, ""));
    mesh.lose(gone);
    assert_eq!(mesh.heard(late), ["SUBSCRIBED 3", "UNSUBSCRIBED 4"]);
    mesh.lose(late);
    mesh.lose(publisher);
    for shard in 0..2 {
        assert_eq!(mesh.leftovers(shard), Default::default());
    }
}
