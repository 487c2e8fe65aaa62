//! What it takes to look through many retained events, and who waits for it.

use crosspoint_core::message::Message;
use crosspoint_core::options::{MatchPolicy, PublishOptions};

use crate::history::{get_events, history_of_a};
use crate::mesh::{Mesh, Who, realm};
use crate::say::{retain, subscribe, subscribe_by, subscribe_retained, unsubscribe};

/// So many topics take several steps of [`STEP`].
const MANY: usize = 200;
const STEP: usize = 2_000;

/// Runs a scenario on one shard and on two, on which a step is short, and a SUBSCRIBE brings no more than fifty events.
fn in_short_steps(scenario: impl Fn(Mesh)) {
    for shards in [1, 2] {
        println!("{shards} shards");
        scenario(retaining(Mesh::with(shards, |config| {
            config.search_step = STEP;
            config.realms[0].retention.per_subscribe = 50;
            config.realms[0].retention.events = 5_000;
        })));
    }
}

fn nothing(_: &mut PublishOptions) {}

/// Names that begin with `head` and are `length` long.
fn topics(head: &str, length: usize, count: usize) -> Vec<&'static str> {
    let name = |place: usize| {
        let name = format!("{head}{place:0>width$}", width = length - head.len());
        &*Box::leak(name.into_boxed_str())
    };
    (0..count).map(name).collect()
}

/// Routers that retain an event of each of [`MANY`] topics, which begin with `t`.
fn retaining(mut mesh: Mesh) -> Mesh {
    let publisher = mesh.join();
    for (topic, request) in topics("t", 4, MANY).into_iter().zip(1..) {
        // Events of one moment come in any order.
        mesh.pass(1);
        mesh.say(publisher, retain(request, topic, topic, nothing));
    }
    mesh
}

/// The milliseconds until `who` hears something, and what it is.
fn wait(mesh: &mut Mesh, who: Who) -> (usize, Vec<String>) {
    for millis in 0..1_000 {
        let heard = mesh.heard(who);
        if !heard.is_empty() {
            return (millis, heard);
        }
        mesh.pass(1);
    }
    panic!("nothing comes");
}

#[test]
fn er_011_a_pattern_is_compared_with_many_topics_in_several_steps() {
    in_short_steps(|mut mesh| {
        let [publisher, late, other] = [(); 3].map(|()| mesh.join());
        mesh.say(late, subscribe_retained(1, MatchPolicy::Prefix, "t"));
        assert_eq!(mesh.heard(late), ["SUBSCRIBED 1"]);
        // A topic is looked up at once, and what is newer supersedes what is still looked for.
        mesh.say(other, subscribe_retained(1, MatchPolicy::Exact, "t000"));
        assert_eq!(mesh.heard(other), ["SUBSCRIBED 1", "EVENT t000 retained"]);
        mesh.say(publisher, retain(1, "t198", "newer", nothing));
        assert_eq!(mesh.heard(late), ["EVENT newer topic=t198"]);
        let (_, heard) = wait(&mut mesh, late);
        let expected = (149..198).chain([199]);
        let expected: Vec<_> = expected
            .map(|place| format!("EVENT t{place} retained topic=t{place}"))
            .collect();
        // The newer one was among the fifty that were found, if it came before its topic's turn.
        assert_eq!(heard, expected[expected.len() - heard.len()..]);
        assert!(heard.len() >= 49, "{}", heard.len());
        for who in 0..4 {
            mesh.lose(Who(who));
        }
        for shard in 0..mesh.shards() {
            assert_eq!(mesh.leftovers(shard), Default::default());
        }
    });
}

#[test]
fn who_asks_much_keeps_nobody_waiting() {
    in_short_steps(|mut mesh| {
        let [greedy, modest] = [(); 2].map(|()| mesh.join());
        mesh.say(modest, subscribe_retained(1, MatchPolicy::Prefix, "t19"));
        mesh.pass(1_000);
        mesh.got(modest);
        let (alone, _) = {
            mesh.say(modest, subscribe_retained(2, MatchPolicy::Prefix, "t"));
            mesh.got(modest);
            wait(&mut mesh, modest)
        };
        mesh.pass(1_000);
        for request in 1..=50 {
            mesh.tell(greedy, subscribe_retained(request, MatchPolicy::Wildcard, ""));
        }
        mesh.settle();
        mesh.say(modest, subscribe_retained(3, MatchPolicy::Prefix, "t"));
        mesh.got(modest);
        let (beside, _) = wait(&mut mesh, modest);
        assert!(beside <= 3 * (alone + 1), "{beside} instead of {alone} ms");
        assert!(mesh.got(greedy).len() < 50 + 10 * 50);
    });
}

/// Two realms, and questions of both kinds: those of one realm take turns with those of the other, and so do the kinds.
#[test]
fn no_realm_and_no_kind_of_question_keeps_another_waiting() {
    for shards in [1, 2] {
        println!("{shards} shards");
        let mut mesh = Mesh::with(shards, |config| {
            config.search_step = STEP;
            config.realms.push(realm("realm2"));
            for realm in &mut config.realms {
                realm.histories = vec![history_of_a(1_000)];
            }
        });
        let realms = ["realm1", "realm2"].map(|realm| {
            let publisher = mesh.join_in(realm);
            for (topic, request) in topics("t", 4, MANY).into_iter().zip(1..) {
                mesh.say(publisher, retain(request, topic, topic, nothing));
            }
            for request in 0..1_000 {
                mesh.say(
                    publisher,
                    retain(request, "a", "[1]", |options| options.retain = false),
                );
            }
            let who = [(); 4].map(|()| mesh.join_in(realm));
            let id = mesh.subscribe(who[0], subscribe_by(1, MatchPolicy::Prefix, "a"));
            (who, id)
        });
        mesh.pass(1_000);
        // In both realms somebody always waits for retained events, and somebody for past ones.
        for ([searching, recalling, ..], id) in realms {
            for request in 1..=50 {
                mesh.tell(
                    searching,
                    subscribe_retained(request + 1, MatchPolicy::Wildcard, ""),
                );
                mesh.tell(recalling, get_events(request, id, "b"));
            }
        }
        mesh.settle();
        mesh.pass(1);
        for ([.., subscriber, caller], id) in realms {
            mesh.say(subscriber, subscribe_retained(1, MatchPolicy::Prefix, "t19"));
            mesh.say(caller, get_events(1, id, "a"));
            mesh.got(subscriber);
        }
        for ([.., subscriber, caller], _) in realms {
            let (waited, _) = wait(&mut mesh, caller);
            assert!(waited <= 8, "{waited} ms for past events");
            let (waited, heard) = wait(&mut mesh, subscriber);
            assert!(waited <= 100, "{waited} ms for retained events");
            assert_eq!(heard.len(), 10);
        }
    }
}

/// What is held for subscriptions and searches on all shards.
fn held(mesh: &Mesh) -> usize {
    (0..mesh.shards())
        .map(|shard| mesh.leftovers(shard).subscriptions)
        .sum()
}

/// PUBLISH to be retained, that its publisher gets too.
fn retain_for_all(request: u64, topic: &'static str) -> Message {
    retain(request, topic, topic, |options| options.exclude_me = Some(false))
}

#[test]
fn what_came_live_is_known_no_longer_than_a_question_waits_that_is_older() {
    const AT_ONCE: usize = 100;
    in_short_steps(|mut mesh| {
        let [busy, other] = [(); 2].map(|()| mesh.join());
        // Each event comes by two subscriptions.
        mesh.say(busy, subscribe_by(1, MatchPolicy::Prefix, "u"));
        mesh.say(busy, subscribe_by(2, MatchPolicy::Wildcard, ""));
        for request in 3..8 {
            mesh.say(busy, subscribe_retained(request, MatchPolicy::Prefix, "t1"));
        }
        mesh.say(busy, retain_for_all(8, "t150"));
        mesh.got(busy);
        let before = held(&mesh);
        let (mut most, mut heard) = (0, Vec::new());
        for (round, topics) in topics("u", 5, 40 * AT_ONCE).chunks(AT_ONCE).enumerate() {
            for (topic, request) in topics.iter().zip(0..) {
                mesh.say(busy, retain_for_all(request, topic));
            }
            if round == 0 {
                assert_eq!(held(&mesh) - before, AT_ONCE);
            }
            most = most.max(held(&mesh).saturating_sub(before));
            // For each question that is answered there is another.
            mesh.say(busy, subscribe_retained(9, MatchPolicy::Prefix, "t1"));
            mesh.got(busy);
            heard.extend(wait(&mut mesh, busy).1);
        }
        assert!((AT_ONCE..15 * AT_ONCE).contains(&most), "{most}");
        for _ in 0..500 {
            mesh.pass(1);
        }
        heard.extend(mesh.heard(busy));
        // Those get it that were asked after it came.
        let newer = heard
            .iter()
            .filter(|text| *text == "EVENT t150 retained topic=t150");
        assert_eq!(newer.count(), 40);
        // Nobody waits any more, and so nothing is known.
        assert!(held(&mesh) <= before, "{} instead of {before}", held(&mesh));
        mesh.say(other, retain_for_all(1, "u"));
        assert!(held(&mesh) <= before);
    });
}

#[test]
fn of_so_many_topics_at_most_it_is_known_what_came_live() {
    in_short_steps(|mut mesh| {
        let busy = mesh.join();
        mesh.say(busy, subscribe_by(1, MatchPolicy::Prefix, "u"));
        mesh.say(busy, subscribe_retained(2, MatchPolicy::Wildcard, ""));
        let before = held(&mesh);
        let mut most = 0;
        for (topic, request) in topics("u", 6, 10_020).into_iter().zip(0..) {
            mesh.say(busy, retain_for_all(request, topic));
            most = most.max(held(&mesh) - before);
        }
        assert_eq!(most, 10_000);
        // All that is retained now came live, and that is known still.
        mesh.got(busy);
        for _ in 0..1_000 {
            mesh.pass(1);
        }
        assert_eq!(mesh.heard(busy), [""; 0]);
        assert!(held(&mesh) <= before);
    });
}

#[test]
fn what_is_given_up_in_the_line_is_not_looked_for() {
    in_short_steps(|mut mesh| {
        let greedy = mesh.join();
        mesh.say(greedy, subscribe_retained(1, MatchPolicy::Prefix, "t19"));
        mesh.pass(1_000);
        mesh.got(greedy);
        let id = mesh.subscribe(greedy, subscribe_retained(2, MatchPolicy::Wildcard, ""));
        for request in 3..=50 {
            mesh.say(greedy, subscribe_retained(request, MatchPolicy::Wildcard, ""));
        }
        mesh.say(greedy, unsubscribe(51, id));
        mesh.got(greedy);
        // It waits for the one that is under way, and for no other.
        mesh.say(greedy, subscribe_retained(52, MatchPolicy::Prefix, "t199"));
        mesh.got(greedy);
        let (waited, heard) = wait(&mut mesh, greedy);
        assert_eq!(heard, ["EVENT t199 retained topic=t199"]);
        assert!(waited <= 20, "{waited} ms");
    });
}

#[test]
fn a_session_waits_for_so_many_answers() {
    let mut mesh = Mesh::new(2);
    let [zero, one] = [(); 2].map(|()| mesh.join());
    // Of one of them the other shard is the owner.
    for who in [zero, one] {
        mesh.subscribe(who, subscribe(1, "a"));
        for request in 2..=10_002 {
            mesh.tell(who, subscribe_retained(request, MatchPolicy::Exact, "a"));
        }
    }
    let refused = "ERROR Subscribe 10002 crosspoint.error.limit_exceeded";
    let heard = [zero, one].map(|who| mesh.heard(who));
    let count = heard.iter().flatten().filter(|text| *text == refused).count();
    assert_eq!(count, 1);
    mesh.settle();
    for who in [zero, one] {
        mesh.say(who, subscribe_retained(10_003, MatchPolicy::Exact, "a"));
        assert_eq!(mesh.heard(who), ["SUBSCRIBED 10003"]);
    }
}

#[test]
fn events_without_payload_fill_an_answer_too() {
    let mut mesh = Mesh::new(2);
    let [publisher, late] = [(); 2].map(|()| mesh.join());
    for (topic, request) in topics("t", 1_000, 900).into_iter().zip(1..) {
        mesh.say(publisher, retain(request, topic, "", nothing));
    }
    mesh.say(late, subscribe_retained(1, MatchPolicy::Prefix, "t"));
    mesh.got(late);
    let heard = wait(&mut mesh, late).1.len();
    // Each takes more than its topic, which one mebibyte holds a thousand times.
    assert!((100..500).contains(&heard), "{heard} events");
}
