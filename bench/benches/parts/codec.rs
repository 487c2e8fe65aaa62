//! Messages to and from bytes.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BenchmarkId, Criterion, Throughput};
use crosspoint_bench::messages::{URI, call, encoded, label, payload, publish};
use crosspoint_codec::{Limits, decode, encode_event, transcode};
use crosspoint_core::ids::{PublicationId, SubscriptionId};
use crosspoint_core::options::EventDetails;
use crosspoint_core::payload::Format;

use crate::SIZES;

pub(crate) fn bench(criterion: &mut Criterion) {
    decode_envelope(criterion);
    encode_events(criterion);
    translate(criterion);
}

fn decode_envelope(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let limits = Limits::default();
    for format in Format::ALL {
        for size in SIZES {
            let messages = [
                ("publish", publish(URI, payload(format, size))),
                ("call", call(1, payload(format, size))),
            ];
            group.throughput(Throughput::Bytes(size as u64));
            for (name, message) in messages {
                let bytes = encoded(format, &message);
                let id = BenchmarkId::new(format!("{name}-{}", label(format)), size);
                group.bench_function(id, |bencher| {
                    bencher.iter(|| decode(format, black_box(&bytes), &limits));
                });
            }
        }
    }
    group.finish();
}

fn encode_events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode_event");
    for format in Format::ALL {
        for size in SIZES {
            let payload = payload(format, size);
            let details = EventDetails::default();
            let mut out = BytesMut::with_capacity(2 * size + 128);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new(label(format), size), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    let ids = (SubscriptionId(1 << 52), PublicationId(1 << 51));
                    encode_event(format, ids.0, ids.1, &details, black_box(&payload), &mut out);
                });
            });
        }
    }
    group.finish();
}

fn translate(criterion: &mut Criterion) {
    let from_to = |from| Format::OF_PAYLOADS.map(|to| (from, to));
    let ways = Format::OF_PAYLOADS.into_iter().flat_map(from_to);
    let mut group = criterion.benchmark_group("transcode");
    for (from, to) in ways.filter(|(from, to)| from != to) {
        for size in SIZES {
            let payload = payload(from, size);
            group.throughput(Throughput::Bytes(size as u64));
            let way = format!("{}-{}", label(from), label(to));
            group.bench_function(BenchmarkId::new(way, size), |bencher| {
                bencher.iter(|| transcode(black_box(&payload), to));
            });
        }
    }
    group.finish();
}
