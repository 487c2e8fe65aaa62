//! Peers that read too slowly, or not at all, or take only small messages.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use crosspoint_codec::frame::Framing;
use crosspoint_core::ids::ShardId;
use crosspoint_core::payload::Format;
use crosspoint_shard::{FRAME_COST, MeshLimits, PauseReason, SLICE, ShardConfig, SlowConsumer};
use serde_json::{Value, json};
use support::{Peer, World};

const LIMIT: usize = 10_000;

fn config(slow_consumer: SlowConsumer) -> ShardConfig {
    ShardConfig {
        outbox_bytes: LIMIT,
        slow_consumer,
        ..ShardConfig::default()
    }
}

/// A publisher, a subscriber that stopped reading, and one that reads.
fn scene(slow_consumer: SlowConsumer) -> (World, Peer, Peer, Peer) {
    let mut world = World::new(1, &config(slow_consumer));
    let (publisher, slow, quick) = (world.join(0), world.join(0), world.join(0));
    for peer in [&slow, &quick] {
        assert_eq!(world.ask(peer, &json!([32, 1, {}, "com.topic"]))[0], 33);
    }
    slow.wire.room.set(Some(0));
    (world, publisher, slow, quick)
}

fn publish(world: &mut World, publisher: &Peer, count: usize) {
    for request in 1..=count {
        world.send(
            publisher,
            &json!([16, request, {}, "com.topic", ["x".repeat(1000)]]),
        );
    }
}

#[test]
fn what_piled_up_in_a_mailbox_is_not_the_subscribers_fault() {
    let mut world = World::new(2, &ShardConfig::default());
    let (publisher, subscriber) = (world.join(0), world.join(1));
    assert_eq!(world.ask(&subscriber, &json!([32, 1, {}, "com.topic"]))[0], 33);
    // The subscriber's shard has no turn meanwhile.
    for request in 1..=50 {
        let message = json!([16, request, {}, "com.topic", ["x".repeat(100_000)]]);
        world.give(&publisher, &message);
        world.turn(0);
    }
    world.run();
    assert_eq!(subscriber.received().len(), 50);
    assert!(!subscriber.wire.closed.get());
}

#[test]
fn a_slow_subscriber_is_disconnected_and_others_miss_nothing() {
    let (mut world, publisher, slow, quick) = scene(SlowConsumer::Disconnect);
    publish(&mut world, &publisher, 9);
    assert!(!slow.wire.closed.get());
    publish(&mut world, &publisher, 9);
    assert!(slow.wire.closed.get());
    assert_eq!(quick.received().len(), 18);
    let counters = world.shards[0].counters();
    assert_eq!(
        (counters.closed_slow.get(), counters.events_dropped_slow.get()),
        (1, 0)
    );
    // Its transport ends, and with it the session.
    world.shards[0].detach(slow.conn);
    publish(&mut world, &publisher, 1);
    assert_eq!(world.shards[0].counters().closed_slow.get(), 1);
}

#[test]
fn a_slow_subscriber_misses_events_but_no_replies() {
    let (mut world, publisher, slow, quick) = scene(SlowConsumer::Drop);
    publish(&mut world, &publisher, 50);
    // It can still ask for something, and gets its answer behind the events that were kept.
    world.send(&slow, &json!([34, 2, 123]));
    assert_eq!(world.shards[0].pause(slow.conn), None);
    world.make_room(&slow, None);
    let received = slow.received();
    let dropped = world.shards[0].counters().events_dropped_slow.get() as usize;
    assert_eq!(received.len() - 1 + dropped, 50);
    assert!(
        (9..=11).contains(&(received.len() - 1)),
        "{} events kept",
        received.len() - 1
    );
    assert_eq!(received.last().unwrap()[0], 8, "the answer to UNSUBSCRIBE");
    assert_eq!(quick.received().len(), 50);
    // Then it is served as before.
    publish(&mut world, &publisher, 5);
    assert_eq!(slow.received().len(), 5);
}

#[test]
fn replies_that_nobody_reads_pause_the_reader_and_then_close_the_connection() {
    let mut world = World::new(1, &config(SlowConsumer::Disconnect));
    let client = world.join(0);
    client.wire.room.set(Some(0));
    let mut sent = 1;
    while world.shards[0].pause(client.conn).is_none() {
        world.send(&client, &json!([34, sent, 123]));
        sent += 1;
        assert!(sent < 1000);
    }
    assert_eq!(world.shards[0].pause(client.conn), Some(PauseReason::Unread));
    assert!(!client.wire.closed.get());
    while !client.wire.closed.get() {
        world.send(&client, &json!([34, sent, 123]));
        sent += 1;
        assert!(sent < 1000);
    }
    assert!(sent * FRAME_COST <= 2 * LIMIT, "{sent} replies were held");
    assert_eq!(world.shards[0].counters().closed_slow.get(), 1);
}

#[test]
fn those_who_post_to_a_shard_that_is_behind_wait_and_others_do_not() {
    let limits = MeshLimits {
        envelopes: 4,
        bytes: 50_000,
    };
    let mut world = World::with_mesh(2, &ShardConfig::default(), limits);
    let (publisher, bystander, subscriber) = (world.join(0), world.join(0), world.join(1));
    world.ask(&subscriber, &json!([32, 1, {}, "com.topic"]));
    let mut sent = 0;
    while world.shards[0].pause(publisher.conn).is_none() {
        sent += 1;
        world.give(
            &publisher,
            &json!([16, sent, {}, "com.topic", ["x".repeat(1000)]]),
        );
        world.shards[0].flush(SLICE);
    }
    assert!((30..60).contains(&sent), "{sent} kilobytes were posted");
    assert_eq!(
        world.shards[0].pause(publisher.conn),
        Some(PauseReason::Mailbox(ShardId(1)))
    );
    assert_eq!(world.shards[0].pause(bystander.conn), None);
    // Until it does the same.
    world.give(&bystander, &json!([16, 1, {}, "com.topic", ["x"]]));
    sent += 1;
    assert!(world.shards[0].pause(bystander.conn).is_some());
    assert!(world.shards[0].counters().pauses_mailbox.get() >= 2);
    world.run();
    assert_eq!(world.shards[0].pause(publisher.conn), None);
    assert_eq!(subscriber.received().len(), sent);
}

#[test]
fn a_message_larger_than_the_limit_still_passes() {
    let (mut world, publisher, slow, quick) = scene(SlowConsumer::Disconnect);
    let large = "x".repeat(5 * LIMIT);
    world.send(&publisher, &json!([16, 1, {}, "com.topic", [large]]));
    assert!(!slow.wire.closed.get());
    world.make_room(&slow, Some(1000));
    world.make_room(&slow, None);
    assert_eq!(slow.answer()[4][0], large);
    assert_eq!(quick.answer()[4][0], large);
}

/// However large it is, what its peer is still reading does not count against what follows.
#[test]
fn events_and_answers_follow_a_message_larger_than_the_limit() {
    let (mut world, publisher, slow, _) = scene(SlowConsumer::Disconnect);
    world.send(
        &publisher,
        &json!([16, 1, {}, "com.topic", ["x".repeat(5 * LIMIT)]]),
    );
    publish(&mut world, &publisher, 5);
    world.send(&slow, &json!([34, 2, 123]));
    assert!(!slow.wire.closed.get());
    world.make_room(&slow, None);
    let kinds: Vec<_> = slow.received().iter().map(|message| message[0].clone()).collect();
    assert_eq!(kinds, [36, 36, 36, 36, 36, 36, 8]);
    // What waits behind it is limited as ever.
    slow.wire.room.set(Some(0));
    publish(&mut world, &publisher, 1);
    publish(&mut world, &publisher, 15);
    assert!(slow.wire.closed.get());
}

#[test]
fn a_peer_that_takes_nothing_is_closed_in_the_end() {
    let (mut world, publisher, slow, _) = scene(SlowConsumer::Drop);
    publish(&mut world, &publisher, 2);
    world.pass(Duration::from_secs(20));
    // A little progress counts.
    world.make_room(&slow, Some(10));
    world.pass(Duration::from_secs(20));
    assert!(!slow.wire.closed.get());
    slow.wire.is_late.set(true);
    world.pass(Duration::from_secs(11));
    assert!(slow.wire.closed.get());
    assert_eq!(world.shards[0].counters().closed_stalled.get(), 1);
}

/// A socket tells of room only where much of its buffer is free, which a slow reader may not get to for long.
#[test]
fn a_peer_that_takes_little_at_a_time_is_not_closed() {
    let (mut world, publisher, slow, _) = scene(SlowConsumer::Drop);
    publish(&mut world, &publisher, 3);
    slow.wire.is_late.set(true);
    for _ in 0..3 {
        slow.wire.room.set(Some(10));
        world.pass(Duration::from_secs(31));
        assert_eq!(slow.wire.room.get(), Some(0));
        assert!(!slow.wire.closed.get());
    }
    // All that is left. What follows waits until the socket tells of room.
    slow.wire.room.set(None);
    world.pass(Duration::from_secs(31));
    assert_eq!(slow.received().len(), 3);
    world.pass(Duration::from_secs(100));
    publish(&mut world, &publisher, 1);
    world.make_room(&slow, None);
    assert_eq!(slow.received().len(), 1);
    assert!(!slow.wire.closed.get());
    // Until it takes nothing.
    slow.wire.room.set(Some(0));
    publish(&mut world, &publisher, 1);
    world.pass(Duration::from_secs(31));
    assert!(slow.wire.closed.get());
    assert_eq!(world.shards[0].counters().closed_stalled.get(), 1);
}

#[test]
fn a_connection_is_closed_once_a_slow_peer_took_the_last_of_it() {
    let (mut world, publisher, slow, _) = scene(SlowConsumer::Drop);
    publish(&mut world, &publisher, 1);
    // No message, so an ABORT follows what is queued.
    world.send(&slow, &json!([0]));
    assert!(!slow.wire.closed.get());
    slow.wire.room.set(None);
    slow.wire.is_late.set(true);
    world.pass(Duration::from_secs(31));
    let kinds: Vec<_> = slow.received().iter().map(|message| message[0].clone()).collect();
    assert_eq!(kinds, [36, 3]);
    assert!(slow.wire.closed.get());
    assert_eq!(world.shards[0].counters().closed_stalled.get(), 0);
}

#[test]
fn a_broken_connection_is_closed_once() {
    let (mut world, publisher, slow, _) = scene(SlowConsumer::Drop);
    slow.wire.broken.set(true);
    publish(&mut world, &publisher, 2);
    assert!(slow.wire.closed.get());
    assert_eq!(world.shards[0].counters().closed_broken.get(), 1);
}

/// A caller and a callee of `com.proc`, of which one takes messages of 2048 bytes at most.
fn call_scene(caller_max: usize, callee_max: usize) -> (World, Peer, Peer) {
    let mut world = World::new(2, &ShardConfig::default());
    let callee = world.join_small(0, callee_max);
    let caller = world.join_small(1, caller_max);
    assert_eq!(world.ask(&callee, &json!([64, 1, {}, "com.proc"]))[0], 65);
    (world, caller, callee)
}

fn size_exceeded(request: u64) -> Value {
    json!([8, 48, request, {}, "wamp.error.payload_size_exceeded"])
}

#[test]
fn a_result_too_large_for_the_caller_becomes_an_error() {
    let (mut world, caller, callee) = call_scene(2048, 1 << 24);
    world.send(&caller, &json!([48, 1, {}, "com.proc"]));
    let invocation = callee.answer();
    world.send(&callee, &json!([70, invocation[1], {}, ["x".repeat(4000)]]));
    assert_eq!(caller.answer(), size_exceeded(1));
    assert_eq!(world.shards[1].counters().replies_too_large.get(), 1);
}

/// What is long need not be the payload.
#[test]
fn an_error_too_large_for_the_caller_becomes_a_shorter_one() {
    let (mut world, caller, callee) = call_scene(512, 1 << 24);
    world.send(&caller, &json!([48, 1, {}, "com.proc"]));
    let invocation = callee.answer();
    let error = format!("com.{}", "x".repeat(600));
    world.send(&callee, &json!([8, 68, invocation[1], {}, error]));
    assert_eq!(caller.answer(), size_exceeded(1));
}

#[test]
fn an_invocation_too_large_for_the_callee_is_answered_for_it() {
    let (mut world, caller, callee) = call_scene(1 << 24, 2048);
    let answer = world.ask(&caller, &json!([48, 1, {}, "com.proc", ["x".repeat(4000)]]));
    assert_eq!(answer, size_exceeded(1));
    assert!(callee.received().is_empty());
    // The callee is free for calls that fit.
    world.send(&caller, &json!([48, 2, {}, "com.proc", ["x"]]));
    let invocation = callee.answer();
    world.send(&callee, &json!([70, invocation[1], {}, ["y"]]));
    assert_eq!(caller.answer(), json!([50, 2, {}, ["y"]]));
}

#[test]
fn calls_for_a_callee_that_reads_nothing_are_refused_and_it_stays() {
    let mut world = World::new(2, &config(SlowConsumer::Disconnect));
    let (callee, caller) = (world.join(0), world.join(1));
    assert_eq!(world.ask(&callee, &json!([64, 1, {}, "com.proc"]))[0], 65);
    callee.wire.room.set(Some(0));
    for request in 1..=50 {
        world.send(&caller, &json!([48, request, {}, "com.proc", ["x".repeat(1000)]]));
    }
    assert!(!callee.wire.closed.get());
    let refused = caller.received();
    for error in &refused {
        assert_eq!(error[4], "wamp.error.unavailable", "{error}");
    }
    // Once it reads on it has those that were not refused, and is free for others.
    world.make_room(&callee, None);
    let invocations = callee.received();
    assert!((9..=11).contains(&invocations.len()), "{}", invocations.len());
    assert_eq!(refused.len() + invocations.len(), 50);
    for invocation in invocations {
        world.send(&callee, &json!([70, invocation[1], {}]));
    }
    assert_eq!(caller.received().len(), 50 - refused.len());
    world.send(&caller, &json!([48, 51, {}, "com.proc"]));
    world.send(&callee, &json!([70, callee.answer()[1], {}, ["y"]]));
    assert_eq!(caller.answer(), json!([50, 51, {}, ["y"]]));
}

#[test]
fn a_part_of_a_result_that_is_too_large_ends_the_call() {
    let (mut world, caller, callee) = call_scene(2048, 1 << 24);
    let invocation = call_in_parts(&mut world, &caller, &callee, &json!({"receive_progress": true}));
    world.send(&callee, &json!([70, invocation, {"progress": true}, ["x"]]));
    assert_eq!(caller.answer(), json!([50, 1, {"progress": true}, ["x"]]));
    let large = "x".repeat(4000);
    world.send(&callee, &json!([70, invocation, {"progress": true}, [large]]));
    assert_eq!(caller.answer(), size_exceeded(1));
    let interrupt = callee.answer();
    assert_eq!((&interrupt[0], &interrupt[1]), (&json!(69), &invocation));
    // What it says of the call does not matter any more, and it may call itself.
    world.send(&callee, &json!([70, invocation, {}, ["z"]]));
    assert!(caller.received().is_empty() && callee.received().is_empty());
    assert_eq!(
        world.ask(&callee, &json!([48, 1, {}, "wamp.session.count"]))[0],
        50
    );
}

#[test]
fn a_part_of_a_call_that_is_too_large_ends_it() {
    let (mut world, caller, callee) = call_scene(1 << 24, 2048);
    let invocation = call_in_parts(&mut world, &caller, &callee, &json!({"progress": true}));
    let large = "x".repeat(4000);
    let answer = world.ask(&caller, &json!([48, 1, {"progress": true}, "com.proc", [large]]));
    assert_eq!(answer, size_exceeded(1));
    let interrupt = callee.answer();
    assert_eq!((&interrupt[0], &interrupt[1]), (&json!(69), &invocation));
    assert_eq!(interrupt[2]["mode"], "killnowait");
}

/// Calls `com.proc` with these options. The id of the invocation.
fn call_in_parts(world: &mut World, caller: &Peer, callee: &Peer, options: &Value) -> Value {
    world.send(caller, &json!([48, 1, options, "com.proc"]));
    callee.answer()[1].clone()
}

#[test]
fn no_event_is_made_for_those_who_cannot_take_it() {
    let mut world = World::new(1, &config(SlowConsumer::Drop));
    let publisher = world.join(0);
    let small = world.join_small(0, 2048);
    world.ask(&small, &json!([32, 1, {}, "com.topic"]));
    let encodings = |world: &World| world.shards[0].counters().event_encodings.get();
    world.send(&publisher, &json!([16, 1, {}, "com.topic", ["x".repeat(4000)]]));
    assert_eq!(encodings(&world), 0);
    // Nor for those that have read too little of what came before.
    small.wire.room.set(Some(0));
    publish(&mut world, &publisher, 50);
    assert!((9..=12).contains(&encodings(&world)), "{}", encodings(&world));
}

#[test]
fn an_event_too_large_for_one_subscriber_reaches_the_others() {
    let mut world = World::new(1, &ShardConfig::default());
    let (publisher, small, large) = (world.join(0), world.join_small(0, 2048), world.join(0));
    for peer in [&small, &large] {
        world.ask(peer, &json!([32, 1, {}, "com.topic"]));
    }
    world.send(&publisher, &json!([16, 1, {}, "com.topic", ["x".repeat(4000)]]));
    assert!(small.received().is_empty());
    assert_eq!(large.received().len(), 1);
    assert_eq!(world.shards[0].counters().events_dropped_large.get(), 1);
}

#[test]
fn a_peer_that_takes_only_short_messages_is_welcomed_briefly() {
    let mut world = World::new(1, &ShardConfig::default());
    let peer = world.connect(0, Format::Json, Framing::RawSocket, 512);
    world.hello(&peer);
    let welcome = peer.answer();
    assert_eq!(welcome[0], 2);
    assert_eq!(welcome[2]["roles"], json!({"broker": {}, "dealer": {}}));
    assert!(welcome[2]["authrole"].is_string() && welcome[2].get("agent").is_none());
    assert_eq!(world.ask(&peer, &json!([32, 1, {}, "com.topic"]))[0], 33);
}

#[test]
fn a_peer_that_takes_no_welcome_at_all_is_turned_away() {
    let mut world = World::new(1, &ShardConfig::default());
    let peer = world.connect(0, Format::Json, Framing::RawSocket, 100);
    world.hello(&peer);
    assert_eq!(peer.answer(), json!([3, {}, "wamp.error.payload_size_exceeded"]));
    assert!(peer.wire.closed.get());
}

/// What says why, and to whom, may be longer than the peer takes; that its session ended is not.
#[test]
fn a_peer_that_takes_only_short_messages_hears_of_its_end() {
    let mut world = World::new(1, &ShardConfig::default());
    let refused = world.connect(0, Format::Json, Framing::RawSocket, 512);
    let realm = "x".repeat(600);
    world.send(&refused, &json!([1, realm, {"roles": {"caller": {}}}]));
    assert_eq!(refused.answer(), json!([3, {}, "wamp.error.no_such_realm"]));
    let killer = world.join(0);
    for (why, reason) in [
        (json!({"message": "m".repeat(600)}), "wamp.close.killed"),
        (
            json!({"reason": "com.bye", "message": "m".repeat(600)}),
            "com.bye",
        ),
        (
            json!({"reason": format!("com.{}", "x".repeat(600))}),
            "wamp.close.killed",
        ),
    ] {
        let peer = world.connect(0, Format::Json, Framing::RawSocket, 512);
        world.hello(&peer);
        let session = &peer.answer()[1];
        world.send(&killer, &json!([48, 1, {}, "wamp.session.kill", [session], why]));
        assert_eq!(killer.answer(), json!([50, 1, {}]));
        assert_eq!(peer.answer(), json!([6, {}, reason]));
    }
}

#[test]
fn a_peer_that_takes_only_short_messages_hears_what_it_loses() {
    let mut world = World::new(1, &ShardConfig::default());
    let (admin, peer) = (
        world.join(0),
        world.connect(0, Format::Json, Framing::RawSocket, 512),
    );
    let features = json!({"features": {"subscription_revocation": true, "registration_revocation": true}});
    world.send(
        &peer,
        &json!([1, "realm1", {"roles": {"subscriber": features, "callee": features}}]),
    );
    let session = &peer.answer()[1];
    let subscription = &world.ask(&peer, &json!([32, 1, {}, "com.topic"]))[2];
    let registration = &world.ask(&peer, &json!([64, 2, {}, "com.proc"]))[2];
    let reason = format!("com.{}", "x".repeat(600));
    for (procedure, id, told) in [
        (
            "wamp.subscription.remove_subscriber",
            subscription,
            json!([35, 0, {"subscription": subscription}]),
        ),
        (
            "wamp.registration.remove_callee",
            registration,
            json!([67, 0, {"registration": registration}]),
        ),
    ] {
        world.send(&admin, &json!([48, 1, {}, procedure, [id, session, reason]]));
        assert_eq!(admin.answer(), json!([50, 1, {}]));
        assert_eq!(peer.answer(), told);
    }
}
