//! More is published than a shard writes at once: publishers wait, and subscribers that read are not cut off.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use crosspoint_shard::{Flushed, Job, MeshLimits, SLICE, Sender, ShardConfig};
use serde_json::json;
use support::{Peer, World};

const LIMIT: usize = 10_000;

/// Enough for them to be flushed in bulk, in more than one batch.
const SUBSCRIBERS: usize = 80;

/// Writes, while something waits that should come in, at all times.
struct Wanted;

impl Sender for Wanted {
    fn send(&mut self, jobs: &mut [Job<'_>]) {
        for job in jobs {
            job.result = job.wire.write(job.bufs);
        }
    }

    fn is_wanted(&mut self) -> bool {
        true
    }
}

/// So many publishers on the first shard, and subscribers on the last.
fn scene(shards: u16, publishers: usize) -> (World, Vec<Peer>, Vec<Peer>) {
    let config = ShardConfig {
        outbox_bytes: LIMIT,
        ..ShardConfig::default()
    };
    let mut world = World::with_mesh(shards, &config, MeshLimits::default());
    let publishers = (0..publishers).map(|_| world.join(0)).collect();
    let last = usize::from(shards) - 1;
    let subscribers: Vec<_> = (0..SUBSCRIBERS).map(|_| world.join(last)).collect();
    for subscriber in &subscribers {
        assert_eq!(world.ask(subscriber, &json!([32, 1, {}, "com.topic"]))[0], 33);
    }
    (world, publishers, subscribers)
}

/// Gives the publisher's shard a kilobyte, to be flushed later.
fn publish(world: &mut World, publisher: &Peer, request: usize) {
    world.give(
        publisher,
        &json!([16, request, {}, "com.topic", ["x".repeat(1000)]]),
    );
}

#[test]
fn publishers_wait_before_subscribers_that_read_are_cut_off() {
    let (mut world, publishers, subscribers) = scene(1, 1);
    let mut published = 0;
    while !world.shards[0].is_behind() {
        published += 1;
        publish(&mut world, &publishers[0], published);
    }
    assert!((3..6).contains(&published), "{published}");
    // As long as there is one to whom much is to be written.
    for subscriber in &subscribers[1..] {
        world.shards[0].detach(subscriber.conn);
    }
    assert!(world.shards[0].is_behind());
    world.run();
    assert!(!world.shards[0].is_behind());
    assert_eq!(subscribers[0].received().len(), published);
    // And no longer, even if nothing was written.
    for request in 10..15 {
        publish(&mut world, &publishers[0], request);
    }
    assert!(world.shards[0].is_behind());
    world.shards[0].detach(subscribers[0].conn);
    assert!(!world.shards[0].is_behind());
}

#[test]
fn subscribers_that_read_are_not_too_slow_while_the_shard_is_behind() {
    let (mut world, publishers, subscribers) = scene(1, 1);
    for request in 1..=15 {
        publish(&mut world, &publishers[0], request);
    }
    world.run();
    for subscriber in &subscribers {
        assert_eq!(subscriber.received().len(), 15);
        assert!(!subscriber.wire.closed.get());
    }
    // But not without any limit.
    for request in 16..=40 {
        publish(&mut world, &publishers[0], request);
    }
    assert!(subscribers.iter().all(|subscriber| subscriber.wire.closed.get()));
    world.run();
    assert!(!world.shards[0].is_behind());
}

#[test]
fn mail_waits_too_and_the_flush_does_not_wait_for_it() {
    let (mut world, publishers, subscribers) = scene(2, 1);
    for request in 1..=100 {
        publish(&mut world, &publishers[0], request);
        assert_eq!(world.shards[0].flush(SLICE), Flushed::All);
    }
    let mut turns = 0;
    while world.take_mail(1) {
        while world.shards[1].flush_with(&mut Wanted, SLICE) == Flushed::More {}
        turns += 1;
    }
    assert!((20..40).contains(&turns), "{turns}");
    for subscriber in &subscribers {
        assert_eq!(subscriber.received().len(), 100);
    }
}

#[test]
fn a_large_fan_out_waits_for_what_comes_in_unless_the_shard_is_behind() {
    let (mut world, publishers, subscribers) = scene(1, 1);
    publish(&mut world, &publishers[0], 1);
    assert_eq!(world.shards[0].flush_with(&mut Wanted, SLICE), Flushed::More);
    world.run();
    for request in 2..=5 {
        publish(&mut world, &publishers[0], request);
    }
    assert_eq!(world.shards[0].flush_with(&mut Wanted, SLICE), Flushed::All);
    assert!(
        subscribers
            .iter()
            .all(|subscriber| subscriber.received().len() == 5)
    );
}

#[test]
fn one_large_event_or_a_slow_subscriber_makes_nobody_wait() {
    let (mut world, publishers, subscribers) = scene(1, 1);
    let large = "x".repeat(LIMIT / 2);
    world.give(&publishers[0], &json!([16, 1, {}, "com.topic", [large]]));
    assert!(!world.shards[0].is_behind());
    subscribers[0].wire.room.set(Some(0));
    world.run();
    for request in 2..=4 {
        publish(&mut world, &publishers[0], request);
        assert!(!world.shards[0].is_behind());
        world.run();
    }
    assert!(subscribers[0].received().is_empty() && !subscribers[0].wire.closed.get());
}

/// A turn does not handle more than it should since somebody else posted it in one go.
#[test]
fn a_batch_is_taken_in_parts() {
    let (mut world, publishers, subscribers) = scene(2, 1);
    for request in 1..=100 {
        let message = json!([16, request, {}, "com.topic"]);
        world.give(&publishers[0], &message);
    }
    world.shards[0].flush(SLICE);
    let mut turns = 0;
    while world.take_mail_for(1, Duration::ZERO) {
        turns += 1;
        while world.shards[1].flush(SLICE) == Flushed::More {}
    }
    assert_eq!(turns, 7, "100 messages, 16 of them at a time");
    for subscriber in &subscribers {
        assert_eq!(subscriber.received().len(), 100);
    }
}

/// Many receivers of small events are as much work as few of large ones.
#[test]
fn a_turn_ends_when_much_was_queued() {
    let config = ShardConfig::default();
    let mut world = World::new(1, &config);
    let publisher = world.join(0);
    let subscribers: Vec<_> = (0..1000).map(|_| world.join(0)).collect();
    for subscriber in &subscribers {
        world.ask(subscriber, &json!([32, 1, {}, "com.topic"]));
    }
    let mut publish_until = |until: fn(&World) -> bool| {
        let mut published = 0;
        while !until(&world) {
            published += 1;
            world.give(&publisher, &json!([16, published, {}, "com.topic"]));
        }
        let behind = world.shards[0].is_behind();
        (published, behind)
    };
    assert_eq!(publish_until(|world| world.shards[0].is_flush_due()), (33, false));
    assert_eq!(publish_until(|world| world.shards[0].is_behind()), (230, true));
    // What a turn queued is forgotten with its flush; what is not written counts on.
    world.shards[0].flush(SLICE);
    assert!(!world.shards[0].is_behind() && !world.shards[0].is_flush_due());
    world.run();
    for subscriber in &subscribers {
        assert_eq!(subscriber.received().len(), 263);
    }
}
