//! The router's rules alone: messages in, effects out, no bytes.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use crosspoint_bench::messages::{URI, answer, call, payload, publish, register, subscribe};
use crosspoint_bench::routers::World;
use crosspoint_core::payload::Format;

use crate::FAN_OUTS;

pub(crate) fn bench(criterion: &mut Criterion) {
    publications(criterion);
    calls(criterion);
}

fn publications(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("router_publish");
    let payload = payload(Format::MsgPack, 128);
    for subscribers in FAN_OUTS {
        let mut world = World::new();
        let publisher = world.join(None);
        for _ in 0..subscribers {
            world.join(Some(subscribe()));
        }
        group.throughput(Throughput::Elements(subscribers));
        group.bench_function(BenchmarkId::from_parameter(subscribers), |bencher| {
            let message = || publish(URI, payload.clone());
            bencher.iter_batched(
                message,
                |message| world.step(publisher, black_box(message)),
                BatchSize::SmallInput,
            );
        });
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("to nobody", |bencher| {
        let mut world = World::new();
        let publisher = world.join(None);
        world.join(Some(subscribe()));
        let message = || publish("com.example.nobody", payload.clone());
        bencher.iter_batched(
            message,
            |message| world.step(publisher, black_box(message)),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn calls(criterion: &mut Criterion) {
    let payload = payload(Format::MsgPack, 128);
    criterion.bench_function("router_call_and_answer", |bencher| {
        let mut world = World::new();
        let callee = world.join(Some(register()));
        let caller = world.join(None);
        let mut number = 0;
        // Invocations are numbered from 1, as the calls are here.
        let messages = || {
            number += 1;
            (call(number, payload.clone()), answer(number, payload.clone()))
        };
        bencher.iter_batched(
            messages,
            |(call, answer)| {
                world.step(caller, black_box(call));
                world.step(callee, black_box(answer));
            },
            BatchSize::SmallInput,
        );
    });
}
