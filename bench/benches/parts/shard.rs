//! A message's whole way but for the sockets: bytes in, router, encoding, outboxes, vectored writes to nowhere;
//! and the same across two shards, with the hop through a mailbox.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use crosspoint_bench::messages::{URI, answer, call, encoded, payload, publish, register, subscribe};
use crosspoint_bench::shards::{FORMAT, Shards};
use crosspoint_codec::frame::websocket::deflate::WindowBits;

use crate::FAN_OUTS;

pub(crate) fn bench(criterion: &mut Criterion) {
    for (name, shards) in [("shard_publish", 1), ("mesh_publish", 2)] {
        publications(criterion, name, shards);
    }
    compressed(criterion);
    for (name, shards) in [("shard_call_and_answer", 1), ("mesh_call_and_answer", 2)] {
        calls(criterion, name, shards);
    }
}

/// Publications of 1 KiB to subscribers of which all or none take compressed messages: what compression costs is what
/// it costs for one.
fn compressed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("shard_publish_1KiB");
    let message = encoded(FORMAT, &publish(URI, payload(FORMAT, 1024)));
    for (name, deflate) in [("plain", None), ("deflate", Some(WindowBits::LARGEST))] {
        for subscribers in [1, 100] {
            let mut shards = Shards::new(1);
            let publisher = shards.join(0, None);
            for _ in 0..subscribers {
                shards.join_as(FORMAT, deflate, 0, Some(subscribe()));
            }
            group.throughput(Throughput::Elements(subscribers));
            group.bench_function(BenchmarkId::new(name, subscribers), |bencher| {
                bencher.iter(|| {
                    shards.receive(publisher, black_box(message.clone()));
                    shards.flush(0);
                });
            });
        }
    }
    group.finish();
}

/// The publisher is on the first shard, all subscribers are on the last.
fn publications(criterion: &mut Criterion, name: &str, count: u16) {
    let mut group = criterion.benchmark_group(name);
    let message = encoded(FORMAT, &publish(URI, payload(FORMAT, 128)));
    let last = usize::from(count) - 1;
    for subscribers in FAN_OUTS {
        let mut shards = Shards::new(count);
        let publisher = shards.join(0, None);
        for _ in 0..subscribers {
            shards.join(last, Some(subscribe()));
        }
        group.throughput(Throughput::Elements(subscribers));
        group.bench_function(BenchmarkId::from_parameter(subscribers), |bencher| {
            bencher.iter(|| {
                shards.receive(publisher, black_box(message.clone()));
                shards.flush(0);
                shards.take_mail(last);
                shards.flush(last);
            });
        });
    }
    group.finish();
}

/// The caller is on the first shard, the callee on the last.
fn calls(criterion: &mut Criterion, name: &str, count: u16) {
    let payload = payload(FORMAT, 128);
    let last = usize::from(count) - 1;
    criterion.bench_function(name, |bencher| {
        let mut shards = Shards::new(count);
        let callee = shards.join(last, Some(register()));
        let caller = shards.join(0, None);
        let mut number = 0;
        let messages = || {
            number += 1;
            let call = encoded(FORMAT, &call(number, payload.clone()));
            (call, encoded(FORMAT, &answer(number, payload.clone())))
        };
        bencher.iter_batched(
            messages,
            |(call, answer)| {
                shards.receive(caller, black_box(call));
                shards.flush(0);
                shards.take_mail(last);
                shards.flush(last);
                shards.receive(callee, black_box(answer));
                shards.flush(last);
                shards.take_mail(0);
                shards.flush(0);
            },
            BatchSize::SmallInput,
        );
    });
}
