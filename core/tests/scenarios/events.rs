//! PX, PI: who receives an event, and who it names.

use crosspoint_core::options::MatchPolicy;

use crate::mesh::{ALL_FEATURES, Joining, Mesh, Who, everywhere, where_nobody_is_disclosed};
use crate::say::{publish, publish_to, subscribe, subscribe_by, unsubscribe};

/// A publisher who subscribes as well, and two more subscribers.
fn three(mesh: &mut Mesh) -> [Who; 3] {
    let all = [mesh.join(), mesh.join(), mesh.join()];
    for who in all {
        mesh.subscribe(who, subscribe(1, "com.topic"));
    }
    all
}

/// Who of `all` got an event.
fn receivers<const N: usize>(mesh: &mut Mesh, all: [Who; N]) -> [bool; N] {
    all.map(|who| match mesh.heard(who).as_slice() {
        [] => false,
        [event] if event == "EVENT news" => true,
        other => panic!("{who:?} got {other:?}"),
    })
}

#[test]
fn ps_015_the_publisher_does_not_get_its_own_event() {
    everywhere(|mut mesh| {
        let all = three(&mut mesh);
        mesh.say(all[0], publish(2, "com.topic", |_| {}));
        assert_eq!(receivers(&mut mesh, all), [false, true, true]);
    });
}

#[test]
fn px_001_exclude_me_false_reaches_the_publisher() {
    everywhere(|mut mesh| {
        let all = three(&mut mesh);
        mesh.say(
            all[0],
            publish(2, "com.topic", |options| options.exclude_me = Some(false)),
        );
        assert_eq!(receivers(&mut mesh, all), [true, true, true]);
    });
}

#[test]
fn px_003_an_excluded_session_gets_nothing() {
    everywhere(|mut mesh| {
        let all = three(&mut mesh);
        let excluded = vec![mesh.id(all[1])];
        mesh.say(
            all[0],
            publish_to(2, "com.topic", |lists| lists.exclude = Some(excluded)),
        );
        assert_eq!(receivers(&mut mesh, all), [false, false, true]);
    });
}

#[test]
fn px_004_only_eligible_sessions_get_it() {
    everywhere(|mut mesh| {
        let all = three(&mut mesh);
        for (chosen, expected) in [(1, [false, true, false]), (2, [false, false, true])] {
            let eligible = vec![mesh.id(all[chosen])];
            mesh.say(
                all[0],
                publish_to(2, "com.topic", |lists| lists.eligible = Some(eligible)),
            );
            assert_eq!(receivers(&mut mesh, all), expected);
        }
    });
}

#[test]
fn px_005_exclusion_wins_over_eligibility() {
    everywhere(|mut mesh| {
        let all = three(&mut mesh);
        let (one, two) = (mesh.id(all[1]), mesh.id(all[2]));
        mesh.say(
            all[0],
            publish_to(2, "com.topic", |lists| {
                lists.eligible = Some(vec![one, two]);
                lists.exclude = Some(vec![one]);
            }),
        );
        assert_eq!(receivers(&mut mesh, all), [false, false, true]);
    });
}

#[test]
fn px_007_an_eligible_publisher_needs_exclude_me_false() {
    everywhere(|mut mesh| {
        let all = three(&mut mesh);
        for (exclude_me, expected) in [(None, [false; 3]), (Some(false), [true, false, false])] {
            let eligible = vec![mesh.id(all[0])];
            let mut message = publish_to(2, "com.topic", |lists| lists.eligible = Some(eligible));
            if let crosspoint_core::message::Message::Publish(publish) = &mut message {
                publish.options.exclude_me = exclude_me;
            }
            mesh.say(all[0], message);
            assert_eq!(receivers(&mut mesh, all), expected);
        }
    });
}

#[test]
fn px_008_an_empty_list_makes_nobody_eligible() {
    everywhere(|mut mesh| {
        let all = three(&mut mesh);
        mesh.say(
            all[0],
            publish_to(2, "com.topic", |lists| lists.eligible = Some(Vec::new())),
        );
        assert_eq!(receivers(&mut mesh, all), [false; 3]);
    });
}

/// A publisher, and subscribers alice the user, bob the user and carol the admin.
fn named(mesh: &mut Mesh, shards: u16) -> [Who; 4] {
    let people = [
        ("paul", "user"),
        ("alice", "user"),
        ("bob", "user"),
        ("carol", "admin"),
    ];
    let mut shard = 0;
    let all = people.map(|(authid, role)| {
        shard += 1;
        mesh.join_as(Joining {
            shard: shard % shards,
            authid,
            role,
            features: ALL_FEATURES,
        })
    });
    for who in &all[1..] {
        mesh.subscribe(*who, subscribe(1, "com.topic"));
    }
    all
}

#[test]
fn px_010_to_px_013_lists_of_authids_and_roles() {
    for shards in [1, 2] {
        let mut mesh = Mesh::new(shards);
        let all = named(&mut mesh, shards);
        let carol = mesh.id(all[3]);
        let mut reach = |change: &dyn Fn(&mut crosspoint_core::options::Receivers)| {
            mesh.say(all[0], publish_to(2, "com.topic", change));
            let [_, alice, bob, carol] = receivers(&mut mesh, all);
            [alice, bob, carol]
        };
        let px_010 = reach(&|lists| lists.eligible_authid = Some(vec!["alice".into()]));
        assert_eq!(px_010, [true, false, false]);
        let px_011 = reach(&|lists| lists.exclude_authid = Some(vec!["alice".into()]));
        assert_eq!(px_011, [false, true, true]);
        let px_012 = reach(&|lists| lists.eligible_authrole = Some(vec!["admin".into()]));
        assert_eq!(px_012, [false, false, true]);
        let px_012 = reach(&|lists| lists.exclude_authrole = Some(vec!["admin".into()]));
        assert_eq!(px_012, [true, true, false]);
        let px_013 = reach(&|lists| {
            lists.eligible = Some(vec![carol]);
            lists.eligible_authrole = Some(vec!["user".into()]);
        });
        assert_eq!(px_013, [false; 3], "lists combine with AND");
    }
}

#[test]
fn pi_001_pi_002_a_publisher_who_asks_for_it_is_named() {
    everywhere(|mut mesh| {
        let [publisher, one, two] = three(&mut mesh);
        mesh.say(
            publisher,
            publish(2, "com.topic", |options| options.disclose_me = Some(true)),
        );
        for who in [one, two] {
            assert_eq!(
                mesh.heard(who),
                ["EVENT news publisher=#0 publisher_authid=somebody publisher_authrole=user"]
            );
        }
    });
}

#[test]
fn pi_003_where_nobody_is_disclosed_the_publication_is_refused() {
    where_nobody_is_disclosed(|mut mesh| {
        let [publisher, one, two] = three(&mut mesh);
        for acknowledge in [true, false] {
            mesh.say(
                publisher,
                publish(2, "com.topic", |options| {
                    options.disclose_me = Some(true);
                    options.acknowledge = acknowledge;
                }),
            );
            let refusal = "ERROR Publish 2 wamp.error.option_disallowed.disclose_me";
            assert_eq!(mesh.heard(publisher), [refusal][..usize::from(acknowledge)]);
            assert_eq!(receivers(&mut mesh, [one, two]), [false, false]);
        }
    });
}

#[test]
fn pi_004_a_publisher_who_does_not_ask_is_not_named() {
    everywhere(|mut mesh| {
        let all = three(&mut mesh);
        mesh.say(
            all[0],
            publish(2, "com.topic", |options| options.disclose_me = Some(false)),
        );
        assert_eq!(receivers(&mut mesh, all), [false, true, true]);
    });
}

#[test]
fn pp_009_pp_010_three_policies_are_three_events_of_one_publication() {
    everywhere(|mut mesh| {
        let (publisher, subscriber) = (mesh.join(), mesh.join());
        let ids = [
            mesh.subscribe(subscriber, subscribe(1, "com.topic")),
            mesh.subscribe(subscriber, subscribe_by(2, MatchPolicy::Prefix, "com")),
            mesh.subscribe(subscriber, subscribe_by(3, MatchPolicy::Wildcard, "com.")),
        ];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        mesh.say(publisher, publish(1, "com.topic", |_| {}));
        let publications = mesh.publications(subscriber);
        assert_eq!(publications, [publications[0]; 3]);
        mesh.say(publisher, publish(2, "com.topic", |_| {}));
        assert_eq!(
            mesh.heard(subscriber),
            [
                "EVENT news",
                "EVENT news topic=com.topic",
                "EVENT news topic=com.topic"
            ]
        );
    });
}

#[test]
fn a_session_subscribes_to_so_many_wildcards() {
    for shards in [1, 2] {
        println!("{shards} shards");
        let mut mesh = Mesh::with(shards, |config| config.limits.wildcard_subscriptions = 2);
        let [one, other] = [(); 2].map(|()| mesh.join());
        let by = |request, topic| subscribe_by(request, MatchPolicy::Wildcard, topic);
        let full = |request: u64| format!("ERROR Subscribe {request} crosspoint.error.limit_exceeded");
        for who in [one, other] {
            // Others do not count.
            for request in 1..=3 {
                mesh.subscribe(
                    who,
                    subscribe_by(
                        request,
                        MatchPolicy::Prefix,
                        ["a", "b", "c"][request as usize - 1],
                    ),
                );
            }
            // Twice the same is one.
            let first = mesh.subscribe(who, by(4, "a..a"));
            assert_eq!(mesh.subscribe(who, by(5, "a..a")), first);
            // What is asked for counts, whoever else is subscribed or asks for it.
            mesh.tell(who, by(6, "a..b"));
            mesh.tell(who, by(7, "a..c"));
            mesh.tell(who, by(8, "a..b"));
            mesh.settle();
            let heard = mesh.heard(who);
            assert!(heard.contains(&full(7)), "{heard:?}");
            assert!(heard.contains(&"SUBSCRIBED 6".into()), "{heard:?}");
            for request in 9..=11 {
                mesh.say(who, unsubscribe(request, first));
                assert_eq!(mesh.heard(who), [format!("UNSUBSCRIBED {request}")]);
                assert_eq!(mesh.subscribe(who, by(request, "a..a")), first);
                mesh.say(who, by(request, "a..c"));
                assert_eq!(mesh.heard(who), [full(request)]);
            }
        }
        // Nor does what two sessions had count for those that come later.
        for who in [one, other] {
            mesh.lose(who);
        }
        let late = mesh.join();
        for (request, topic) in [(1, "a..a"), (2, "a..b")] {
            mesh.subscribe(late, by(request, topic));
        }
        mesh.say(late, by(3, "a..c"));
        assert_eq!(mesh.heard(late), [full(3)]);
    }
}
