//! Event history: what is kept, for how long, and who gets it.

use std::time::Duration;

use crosspoint_core::config::History;
use crosspoint_core::ids::SubscriptionId;
use crosspoint_core::message::Message;
use crosspoint_core::options::MatchPolicy;

use crate::mesh::{Mesh, Who};
use crate::meta::ask;
use crate::say::{call, publish_to, retain, subscribe, subscribe_by, unsubscribe};

/// Runs a scenario on one shard and on two, with a history of the topic `a` and one of all topics of one component.
fn with_histories(scenario: impl Fn(Mesh)) {
    let history = |uri: &str, match_policy, events| History {
        uri: uri.into(),
        match_policy,
        events,
        bytes: 1 << 20,
        max_age: Some(Duration::from_secs(10)),
        durable: false,
    };
    for shards in [1, 2] {
        println!("{shards} shards");
        scenario(Mesh::with(shards, |config| {
            config.realms[0].histories = vec![
                history("a", MatchPolicy::Exact, 3),
                history("", MatchPolicy::Wildcard, 100),
            ];
        }));
    }
}

/// The arguments of the past events of a subscription.
pub(crate) fn past(mesh: &mut Mesh, who: Who, subscription: SubscriptionId) -> Vec<String> {
    let answer = ask(
        mesh,
        who,
        "wamp.subscription.get_events",
        &format!("[{subscription}]"),
    );
    assert!(answer.starts_with("RESULT 1"), "{answer}");
    let events = answer.split("\"args\":").skip(1);
    events
        .map(|event| event.split(['[', ']']).nth(1).unwrap_or_default().to_owned())
        .collect()
}

pub(crate) fn publish(mesh: &mut Mesh, who: Who, topic: &'static str, args: &str) {
    mesh.say(who, retain(7, topic, args, |options| options.retain = false));
}

#[test]
fn eh_021_eh_023_every_history_keeps_what_matches_it_from_the_start() {
    with_histories(|mut mesh| {
        let [publisher, reader] = [(); 2].map(|()| mesh.join());
        for (topic, args) in [("a", "[1]"), ("b", "[2]"), ("a", "[3]")] {
            publish(&mut mesh, publisher, topic, args);
        }
        let exact = mesh.subscribe(reader, subscribe(1, "a"));
        let all = mesh.subscribe(reader, subscribe_by(2, MatchPolicy::Wildcard, ""));
        assert_eq!(past(&mut mesh, reader, exact), ["1", "3"]);
        assert_eq!(past(&mut mesh, reader, all), ["1", "2", "3"]);
        // The id stays when nobody is subscribed any more, and so do the events.
        mesh.say(reader, unsubscribe(3, exact));
        mesh.heard(reader);
        publish(&mut mesh, publisher, "a", "[4]");
        mesh.heard(reader);
        assert_eq!(past(&mut mesh, publisher, exact), ["1", "3", "4"]);
        publish(&mut mesh, publisher, "a", "[5]");
        mesh.heard(reader);
        assert_eq!(past(&mut mesh, publisher, exact), ["3", "4", "5"]);
        assert_eq!(mesh.subscribe(publisher, subscribe(4, "a")), exact);
        for who in [publisher, reader] {
            mesh.lose(who);
        }
        for shard in 0..mesh.shards() {
            assert_eq!(mesh.leftovers(shard), Default::default());
        }
        assert_eq!(mesh.changes.len(), 0);
    });
}

#[test]
fn eh_023_a_history_is_found_by_its_topics_before_anybody_subscribes() {
    with_histories(|mut mesh| {
        let [asks, other] = [(); 2].map(|()| mesh.join());
        let found = ask(&mut mesh, asks, "wamp.subscription.match", r#"["a"]"#);
        let lookup = |mesh: &mut Mesh, args| ask(mesh, asks, "wamp.subscription.lookup", args);
        let id = |text: String| -> u64 {
            let digits = text.trim_start_matches("RESULT 1 [").trim_end_matches(']');
            digits.parse().expect("an id")
        };
        let exact = id(lookup(&mut mesh, r#"["a"]"#));
        let all = id(lookup(&mut mesh, r#"["",{"match":"wildcard"}]"#));
        let both = format!("RESULT 1 [[{},{}]]", exact.min(all), exact.max(all));
        assert_eq!(found, both);
        // Once each, also when somebody does.
        mesh.subscribe(other, subscribe_by(1, MatchPolicy::Wildcard, ""));
        assert_eq!(ask(&mut mesh, asks, "wamp.subscription.match", r#"["a"]"#), both);
        assert_eq!(
            ask(&mut mesh, asks, "wamp.subscription.match", r#"["b"]"#),
            format!("RESULT 1 [[{all}]]")
        );
    });
}

#[test]
fn what_is_no_topic_is_not_looked_for() {
    with_histories(|mut mesh| {
        let reader = mesh.join();
        let id = mesh.subscribe(reader, subscribe(1, "a"));
        for topic in ["a b", &"x".repeat(1_025)] {
            let mut message = call(2, "wamp.subscription.get_events", &format!("[{id}]"));
            if let Message::Call(call) = &mut message {
                call.payload.kwargs = format!(r#"{{"topic":"{topic}"}}"#).into();
            }
            mesh.say(reader, message);
            assert_eq!(mesh.heard(reader), ["ERROR Call 2 wamp.error.invalid_argument"]);
        }
    });
}

#[test]
fn what_is_too_old_is_forgotten() {
    with_histories(|mut mesh| {
        let [publisher, reader] = [(); 2].map(|()| mesh.join());
        publish(&mut mesh, publisher, "a", "[1]");
        mesh.pass(6_000);
        publish(&mut mesh, publisher, "a", "[2]");
        let exact = mesh.subscribe(reader, subscribe(1, "a"));
        assert_eq!(past(&mut mesh, reader, exact), ["1", "2"]);
        mesh.pass(4_001);
        assert_eq!(past(&mut mesh, reader, exact), ["2"]);
        mesh.pass(100_000);
        assert_eq!(past(&mut mesh, reader, exact), [""; 0]);
    });
}

#[test]
fn eh_018_what_is_for_certain_sessions_is_never_kept() {
    with_histories(|mut mesh| {
        let [publisher, reader] = [(); 2].map(|()| mesh.join());
        let id = mesh.id(reader);
        mesh.say(
            publisher,
            publish_to(1, "a", |lists| lists.eligible = Some(vec![id])),
        );
        mesh.say(
            publisher,
            publish_to(2, "a", |lists| lists.exclude = Some(vec![id])),
        );
        mesh.say(
            publisher,
            publish_to(3, "a", |lists| {
                lists.eligible_authrole = Some(vec!["admin".into()])
            }),
        );
        let exact = mesh.subscribe(reader, subscribe(1, "a"));
        assert_eq!(past(&mut mesh, reader, exact), [""; 0]);
        let unknown = ask(&mut mesh, reader, "wamp.subscription.get_events", "[4711]");
        assert_eq!(unknown, "ERROR Call 1 wamp.error.no_such_subscription");
        let other = mesh.subscribe(reader, subscribe(2, "b"));
        let none = ask(
            &mut mesh,
            reader,
            "wamp.subscription.get_events",
            &format!("[{other}]"),
        );
        assert_eq!(none, "ERROR Call 1 wamp.error.history_unavailable");
    });
}

/// A question for one past event of a topic.
pub(crate) fn get_events(request: u64, id: SubscriptionId, topic: &str) -> Message {
    let mut message = call(request, "wamp.subscription.get_events", &format!("[{id},1]"));
    if let Message::Call(call) = &mut message {
        call.payload.kwargs = format!(r#"{{"topic":"{topic}"}}"#).into();
    }
    message
}

/// A history of so many events of all topics that begin with `a`.
pub(crate) fn history_of_a(events: usize) -> History {
    History {
        uri: "a".into(),
        match_policy: MatchPolicy::Prefix,
        events,
        bytes: 1 << 20,
        max_age: None,
        durable: false,
    }
}

/// Routers whose steps are short, with such a history.
fn in_short_steps(shards: u16) -> Mesh {
    Mesh::with(shards, |config| {
        config.search_step = 1_000;
        config.realms[0].histories = vec![history_of_a(1_000)];
    })
}

/// What an answer costs is paid before the next is looked for: 16 ns for each octet.
#[test]
fn large_answers_take_their_share_of_time_too() {
    const CALLS: usize = 10;
    for shards in [1, 2] {
        println!("{shards} shards");
        let mut mesh = in_short_steps(shards);
        let [publisher, reader] = [(); 2].map(|()| mesh.join());
        let large = format!("[\"{}\"]", "x".repeat(250_000));
        publish(&mut mesh, publisher, "a", &large);
        let id = mesh.subscribe(reader, subscribe_by(1, MatchPolicy::Prefix, "a"));
        mesh.pass(1_000);
        for request in 1..=CALLS as u64 {
            mesh.tell(
                reader,
                call(request, "wamp.subscription.get_events", &format!("[{id}]")),
            );
        }
        mesh.settle();
        let mut answered = mesh.got(reader).len();
        assert_eq!(answered, 1);
        let millis = (1..1_000).find(|_| {
            mesh.pass(1);
            answered += mesh.got(reader).len();
            answered == CALLS
        });
        assert!((36..=50).contains(&millis.unwrap_or_default()), "{millis:?} ms");
    }
}

/// Events of a topic that a history has none of are looked for among all that it has.
#[test]
fn what_takes_long_to_find_keeps_nobody_waiting() {
    for shards in [1, 2] {
        println!("{shards} shards");
        let mut mesh = in_short_steps(shards);
        let [publisher, greedy, modest] = [(); 3].map(|()| mesh.join());
        for _ in 0..1_000 {
            publish(&mut mesh, publisher, "a", "[1]");
        }
        let id = mesh.subscribe(modest, subscribe_by(1, MatchPolicy::Prefix, "a"));
        for request in 1..=101 {
            mesh.say(greedy, get_events(request, id, "b"));
        }
        let refused = "ERROR Call 101 crosspoint.error.limit_exceeded";
        assert_eq!(mesh.heard(greedy), [refused], "the others are looked for");
        mesh.say(modest, get_events(2, id, "a"));
        // Both have their turns, one after the other.
        let turns = (0..).find(|_| {
            mesh.pass(1);
            !mesh.heard(modest).is_empty()
        });
        assert!(turns < Some(5), "{turns:?}");
        assert_eq!(mesh.heard(greedy), [""; 0]);
        for _ in 0..2_000 {
            mesh.pass(1);
        }
        let heard = mesh.heard(greedy);
        let expected: Vec<_> = (1..=100).map(|request| format!("RESULT {request}")).collect();
        assert_eq!(heard, expected, "in their order");
    }
}
