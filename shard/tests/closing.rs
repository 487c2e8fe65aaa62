//! How connections end, and what is due when.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use crosspoint_codec::frame::Framing;
use crosspoint_core::payload::Format;
use crosspoint_shard::ShardConfig;
use serde_json::json;
use support::{Peer, World};

fn world() -> World {
    World::new(2, &ShardConfig::default())
}

#[test]
fn what_is_queued_is_written_before_the_transport_closes() {
    let mut world = world();
    let peer = world.join(0);
    peer.wire.room.set(Some(3));
    world.send(&peer, &json!([34, 1, 123]));
    world.send(&peer, &json!([1, "again", {}]));
    assert!(!peer.wire.closed.get());
    world.make_room(&peer, None);
    let received = peer.received();
    assert_eq!(
        (&received[0][0], &received[1][0]),
        (&json!(8), &json!(3)),
        "ERROR, then ABORT"
    );
    assert!(peer.wire.closed.get());
    world.shards[0].detach(peer.conn);
    assert!(world.shards[0].is_drained());
}

#[test]
fn bytes_that_are_no_message_abort_the_session() {
    let mut world = world();
    let peer = world.join(0);
    world.shards[0].receive(peer.conn, Bytes::from_static(b"[1,"));
    world.run();
    let abort = peer.answer();
    assert_eq!(
        (&abort[0], &abort[2]),
        (&json!(3), &json!("wamp.error.protocol_violation"))
    );
    assert!(peer.wire.closed.get());
    assert_eq!(world.shards[0].counters().malformed.get(), 1);
    // What the peer sent behind it is not looked at.
    world.send(&peer, &json!([16, 1, {}, "com.topic"]));
    assert_eq!(world.shards[0].counters().received.get(), 2);
}

/// Whether the last frame that was written is a close frame with `code`.
fn ends_with_close(peer: &Peer, code: u16) -> bool {
    let written = peer.wire.written.borrow();
    let close = |at: &usize| {
        written[*at..].starts_with(&[0x88]) && written[at + 2..].starts_with(&code.to_be_bytes())
    };
    let ends = |at: usize| at + 2 + usize::from(written[at + 1]) == written.len();
    (0..written.len().saturating_sub(3))
        .rev()
        .find(close)
        .is_some_and(ends)
}

#[test]
fn a_websocket_is_closed_with_the_code_of_the_reason() {
    let mut world = world();
    let connect = |world: &mut World| world.connect(0, Format::Json, Framing::WebSocket, usize::MAX);
    let violating = connect(&mut world);
    world.send(&violating, &json!([2, 3]));
    assert!(ends_with_close(&violating, 1002));
    let silent = connect(&mut world);
    world.pass(Duration::from_secs(10));
    assert!(ends_with_close(&silent, 1000));
    let late = connect(&mut world);
    world.shards[0].begin_shutdown();
    world.run();
    assert!(ends_with_close(&late, 1001));
    assert!(
        [violating, silent, late]
            .iter()
            .all(|peer| peer.wire.closed.get())
    );
}

#[test]
fn a_transport_that_ends_the_connection_has_the_last_word() {
    let mut world = world();
    let peer = world.join(0);
    world.give(&peer, &json!([32, 1, {}, "com.topic"]));
    world.shards[0].finish(peer.conn, Some(Bytes::from_static(b"last")));
    world.shards[0].queue(peer.conn, Bytes::from_static(b"too late"));
    world.run();
    assert!(peer.wire.written.borrow().ends_with(b"last"));
    assert!(peer.wire.closed.get());
}

#[test]
fn shutdown_says_goodbye_to_all_and_is_over_when_they_are_gone() {
    let mut world = world();
    let peers = [world.join(0), world.join(1)];
    for shard in &mut world.shards {
        shard.begin_shutdown();
        shard.begin_shutdown();
        assert!(shard.stopping().is_set());
    }
    world.run();
    for peer in &peers {
        assert_eq!(peer.answer()[2], "wamp.close.system_shutdown");
        world.send(peer, &json!([6, {}, "wamp.close.goodbye_and_out"]));
        assert!(peer.wire.closed.get());
        assert!(!world.shards[peer.shard].is_drained());
        world.shards[peer.shard].detach(peer.conn);
        assert!(world.shards[peer.shard].is_drained());
    }
}

#[test]
fn what_is_in_the_mailbox_comes_before_goodbye() {
    // More than one turn takes.
    const EVENTS: usize = 1000;
    let mut world = world();
    let (publisher, subscriber) = (world.join(0), world.join(1));
    world.ask(&subscriber, &json!([32, 1, {}, "com.topic"]));
    for number in 0..EVENTS {
        world.give(&publisher, &json!([16, 1 + number, {}, "com.topic", [number]]));
        world.turn(0);
    }
    world.shards[1].ask_for_shutdown();
    assert!(!world.shards[1].is_drained());
    world.run();
    let received = subscriber.received();
    let (goodbye, events) = received.split_last().unwrap();
    assert_eq!(goodbye[2], "wamp.close.system_shutdown");
    assert_eq!(events.len(), EVENTS);
}

#[test]
fn what_is_left_at_the_end_is_closed_at_once() {
    let mut world = world();
    let peer = world.join(0);
    peer.wire.room.set(Some(0));
    world.send(&peer, &json!([34, 1, 123]));
    world.shards[0].abandon();
    assert!(peer.wire.closed.get());
    world.run();
}

#[test]
fn a_key_of_a_connection_that_is_gone_reaches_nobody() {
    let mut world = world();
    let first = world.join(0);
    world.shards[0].detach(first.conn);
    let second = world.join(0);
    assert_eq!(first.conn.slot, second.conn.slot);
    world.shards[0].queue(first.conn, Bytes::from_static(b"lost"));
    world.shards[0].finish(first.conn, None);
    world.run();
    assert!(second.received().is_empty());
    assert!(!second.wire.closed.get());
}

#[test]
fn transport_timers_fire_and_can_be_set_again() {
    let mut world = world();
    let peer = world.join(0);
    world.shards[0].set_timer(peer.conn, Duration::from_secs(10));
    world.pass(Duration::from_secs(9));
    world.shards[0].set_timer(peer.conn, Duration::from_secs(10));
    world.pass(Duration::from_secs(9));
    assert_eq!(peer.wire.timers.get(), 0);
    world.pass(Duration::from_millis(1050));
    assert_eq!(peer.wire.timers.get(), 1);
    world.shards[0].set_timer(peer.conn, Duration::from_secs(1));
    world.shards[0].clear_timer(peer.conn);
    world.pass(Duration::from_secs(30));
    assert_eq!(peer.wire.timers.get(), 1);
}

#[test]
fn a_connection_without_hello_is_closed_in_time() {
    let mut world = world();
    let peer = world.connect(0, Format::Json, Framing::RawSocket, 1 << 24);
    let plan = world.shards[0].plan().unwrap();
    assert_eq!(plan, Duration::from_secs(10));
    world.pass(plan);
    assert!(peer.wire.closed.get());
}
