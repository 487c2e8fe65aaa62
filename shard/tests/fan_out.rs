//! One event to many: what crosses between shards, what is encoded, what is written, what is no longer retained.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use crosspoint_codec::frame::Framing;
use crosspoint_core::config::Retention;
use crosspoint_core::payload::Format;
use crosspoint_shard::{Flushed, SLICE, ShardConfig};
use serde_json::json;
use support::{Peer, World};

fn subscribe(world: &mut World, shard: usize, count: usize, topic: &str) -> Vec<Peer> {
    let peers: Vec<Peer> = (0..count).map(|_| world.join(shard)).collect();
    for peer in &peers {
        assert_eq!(world.ask(peer, &json!([32, 1, {}, topic]))[0], 33);
    }
    peers
}

#[test]
fn a_publication_crosses_once_per_interested_shard() {
    let mut world = World::new(3, &ShardConfig::default());
    let near = subscribe(&mut world, 1, 5, "com.topic");
    let far = subscribe(&mut world, 2, 200, "com.topic");
    subscribe(&mut world, 1, 1, "com.other");
    let publisher = world.join(0);
    let posted = |world: &World, to: usize| world.shards[0].counters().posts[to].messages.get();
    let before = [posted(&world, 1), posted(&world, 2)];
    for turn in 1..=10 {
        world.send(&publisher, &json!([16, turn, {}, "com.topic", [turn]]));
        assert_eq!(
            [posted(&world, 1), posted(&world, 2)],
            before.map(|before| before + turn)
        );
    }
    for peer in near.iter().chain(&far) {
        let values: Vec<_> = peer
            .received()
            .iter()
            .map(|event| event[4][0].as_u64().unwrap())
            .collect();
        assert_eq!(values, (1..=10).collect::<Vec<_>>());
    }
    // Nobody there: nothing crosses.
    world.send(&publisher, &json!([16, 11, {}, "com.nobody"]));
    assert_eq!(
        [posted(&world, 1), posted(&world, 2)],
        before.map(|before| before + 10)
    );
}

#[test]
fn what_is_published_in_one_turn_travels_in_one_batch() {
    let mut world = World::new(2, &ShardConfig::default());
    let subscriber = subscribe(&mut world, 1, 1, "com.topic").remove(0);
    let publisher = world.join(0);
    let batches = world.shards[0].counters().posts[1].batches.get();
    for request in 1..=50 {
        world.give(&publisher, &json!([16, request, {}, "com.topic", [request]]));
    }
    let writes = subscriber.wire.writes.get();
    world.run();
    assert_eq!(world.shards[0].counters().posts[1].batches.get(), batches + 1);
    assert_eq!(
        subscriber.wire.writes.get(),
        writes + 1,
        "fifty events leave in one write"
    );
    assert_eq!(subscriber.received().len(), 50);
}

#[test]
fn an_event_is_encoded_once_per_serializer_and_framing() {
    let mut world = World::new(1, &ShardConfig::default());
    subscribe(&mut world, 0, 100, "com.topic");
    let publisher = world.join(0);
    let encodings = |world: &World| world.shards[0].counters().event_encodings.get();
    let before = encodings(&world);
    world.send(&publisher, &json!([16, 1, {}, "com.topic", [1]]));
    assert_eq!(encodings(&world), before + 1);
    assert_eq!(world.shards[0].counters().events.get(), 100);

    // The same serializer in another framing.
    let other = world.connect(0, Format::Json, Framing::WebSocket, usize::MAX);
    world.hello(&other);
    world.send(&other, &json!([32, 1, {}, "com.topic"]));
    let before = encodings(&world);
    world.send(&publisher, &json!([16, 2, {}, "com.topic", [2]]));
    assert_eq!(encodings(&world), before + 2);
    assert_eq!(world.shards[0].counters().events.get(), 201);
}

#[test]
fn a_long_fan_out_is_written_in_slices() {
    let mut world = World::new(1, &ShardConfig::default());
    let subscribers = subscribe(&mut world, 0, 600, "com.topic");
    let publisher = world.join(0);
    world.give(&publisher, &json!([16, 1, {}, "com.topic", [1]]));
    let mut slices = 1;
    while world.shards[0].flush(SLICE) == Flushed::More {
        slices += 1;
    }
    assert_eq!(slices, 3, "600 connections, 256 in a slice");
    assert!(subscribers.iter().all(|peer| peer.received().len() == 1));
}

#[test]
fn posts_leave_before_the_first_write_of_a_turn() {
    let mut world = World::new(2, &ShardConfig::default());
    let far = subscribe(&mut world, 1, 1, "com.topic").remove(0);
    let near = subscribe(&mut world, 0, 400, "com.topic");
    let publisher = world.join(0);
    world.give(&publisher, &json!([16, 1, {}, "com.topic", [1]]));
    // One slice does not get through all of its own subscribers.
    assert_eq!(world.shards[0].flush(SLICE), Flushed::More);
    world.shards[1..]
        .iter_mut()
        .for_each(|shard| assert_eq!(shard.flush(SLICE), Flushed::All));
    world.run();
    assert_eq!(far.received().len(), 1);
    assert!(near.iter().all(|peer| peer.received().len() == 1));
}

#[test]
fn retained_events_without_room_are_counted_by_their_owner() {
    let mut world = World::new(2, &ShardConfig::default());
    let publisher = world.join(0);
    let evicted = |world: &World| -> u64 {
        let counters = world.shards.iter().map(|shard| shard.counters());
        counters.map(|counters| counters.retained_evicted.get()).sum()
    };
    let most = Retention::default().per_topic;
    for request in 1..=most + 3 {
        let options = json!({"retain": true, "eligible": [1]});
        world.send(&publisher, &json!([16, request, options, "com.topic"]));
        assert_eq!(evicted(&world), request.saturating_sub(most) as u64);
    }
}
