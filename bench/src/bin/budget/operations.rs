//! The operations that a PUBLISH and a CALL consist of, alone and together.

use bytes::BytesMut;
use crosspoint_bench::frames::stream;
use crosspoint_bench::messages::{URI, answer, call, encoded, payload, publish, register, subscribe};
use crosspoint_bench::routers::World;
use crosspoint_bench::shards::{FORMAT, Shards, StoppedClock};
use crosspoint_bench::tries;
use crosspoint_codec::frame::websocket::{Decoder, Role};
use crosspoint_codec::frame::{Framing, build};
use crosspoint_codec::{Limits, decode, encode_event, transcode};
use crosspoint_core::ids::{PublicationId, SubscriptionId};
use crosspoint_core::options::{EventDetails, MatchPolicy};
use crosspoint_core::payload::Format;

use crate::meter::run;

/// Octets of a message's arguments.
const SIZE: usize = 128;

/// Entries of a map of topics.
const ENTRIES: u32 = 1_000;

/// A name in the budget, and what to run for it.
pub(crate) type Operation = (&'static str, fn());

/// All operations, as they are listed.
pub(crate) const OPERATIONS: &[Operation] = &[
    ("cut and unmask a WebSocket frame", cut),
    ("decode PUBLISH, msgpack", || decode_publish(Format::MsgPack)),
    ("decode PUBLISH, json", || decode_publish(Format::Json)),
    ("decode PUBLISH, cbor", || decode_publish(Format::Cbor)),
    ("match exact", || match_topic(MatchPolicy::Exact)),
    ("match prefix", || match_topic(MatchPolicy::Prefix)),
    ("match wildcard", || match_topic(MatchPolicy::Wildcard)),
    ("transcode msgpack to json", || {
        transcode_payload(Format::MsgPack, Format::Json)
    }),
    ("transcode json to msgpack", || {
        transcode_payload(Format::Json, Format::MsgPack)
    }),
    ("encode EVENT in its frame", encode_event_frame),
    ("router: publish to 100", router_publish),
    ("router: call and answer", router_call),
    ("shard: publish to 1", || shard_publish(1, &[FORMAT])),
    ("shard: publish to 100", || shard_publish(1, &[FORMAT; 100])),
    ("shard: publish to 50 and 50 in json", || {
        shard_publish(1, &half_in_json())
    }),
    ("shard: call and answer", || shard_call(1)),
    ("mesh: publish to 1", || shard_publish(2, &[FORMAT])),
    ("mesh: publish to 100", || shard_publish(2, &[FORMAT; 100])),
    ("mesh: call and answer", || shard_call(2)),
];

fn cut() {
    let read = stream(Framing::WebSocket, 1, SIZE);
    let mut decoder = Decoder::new(Role::Server, 1 << 20);
    run(|| BytesMut::from(&*read), |mut buf| decoder.next(&mut buf));
}

fn decode_publish(format: Format) {
    let message = encoded(format, &publish(URI, payload(format, SIZE)));
    let limits = Limits::default();
    run(|| message.clone(), |message| decode(format, &message, &limits));
}

fn match_topic(policy: MatchPolicy) {
    let map = tries::filled(policy, ENTRIES);
    run(
        || tries::URI,
        |uri| {
            let mut found = 0;
            map.matches(uri, |_, _, value| found += value);
            found
        },
    );
}

fn transcode_payload(from: Format, to: Format) {
    let payload = payload(from, SIZE);
    run(|| payload.clone(), |payload| transcode(&payload, to));
}

fn encode_event_frame() {
    let payload = payload(FORMAT, SIZE);
    let details = EventDetails::default();
    let ids = (SubscriptionId(1 << 52), PublicationId(1 << 51));
    run(
        || payload.clone(),
        |payload| {
            let event = |out: &mut BytesMut| encode_event(FORMAT, ids.0, ids.1, &details, &payload, out);
            build(Framing::WebSocket, FORMAT, event)
        },
    );
}

/// One message through the router's rules: bytes neither in nor out.
fn router_publish() {
    let payload = payload(FORMAT, SIZE);
    let mut world = World::new();
    let publisher = world.join(None);
    for _ in 0..100 {
        world.join(Some(subscribe()));
    }
    run(
        || publish(URI, payload.clone()),
        |message| world.step(publisher, message),
    );
}

fn router_call() {
    let payload = payload(FORMAT, SIZE);
    let mut world = World::new();
    let callee = world.join(Some(register()));
    let caller = world.join(None);
    let mut number = 0;
    // Invocations are numbered from 1, as the calls are here.
    let messages = || {
        number += 1;
        (call(number, payload.clone()), answer(number, payload.clone()))
    };
    run(messages, |(call, answer)| {
        world.step(caller, call);
        world.step(callee, answer);
    });
}

/// Bytes in, vectored writes out; transports take everything. The publisher is on the first shard, all subscribers are on the last.
fn shard_publish(shards: u16, subscribers: &[Format]) {
    let message = encoded(FORMAT, &publish(URI, payload(FORMAT, SIZE)));
    let last = usize::from(shards) - 1;
    let mut shards = Shards::with_clock(shards, &StoppedClock);
    let publisher = shards.join(0, None);
    for &format in subscribers {
        shards.join_in(format, last, Some(subscribe()));
    }
    run(
        || message.clone(),
        |message| {
            shards.receive(publisher, message);
            shards.flush(0);
            shards.take_mail(last);
            shards.flush(last);
        },
    );
}

/// The serializers of a hundred subscribers.
fn half_in_json() -> Vec<Format> {
    [FORMAT, Format::Json].repeat(50)
}

/// Bytes in, vectored writes out, twice. The caller is on the first shard, the callee on the last.
fn shard_call(shards: u16) {
    let payload = payload(FORMAT, SIZE);
    let last = usize::from(shards) - 1;
    let mut shards = Shards::with_clock(shards, &StoppedClock);
    let callee = shards.join(last, Some(register()));
    let caller = shards.join(0, None);
    let mut number = 0;
    let messages = || {
        number += 1;
        let call = encoded(FORMAT, &call(number, payload.clone()));
        (call, encoded(FORMAT, &answer(number, payload.clone())))
    };
    run(messages, |(call, answer)| {
        shards.receive(caller, call);
        shards.flush(0);
        shards.take_mail(last);
        shards.flush(last);
        shards.receive(callee, answer);
        shards.flush(last);
        shards.take_mail(0);
        shards.flush(0);
    });
}
