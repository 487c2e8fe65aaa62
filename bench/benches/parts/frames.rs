//! Frames off a byte stream.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use crosspoint_codec::frame::rawsocket::{self, MaxLength};
use crosspoint_codec::frame::websocket::{self, Role, apply_mask};
use crosspoint_codec::frame::{FrameBuilder, Framing};
use crosspoint_core::payload::Format;

use crate::SIZES;

/// Messages in one read.
const MESSAGES: usize = 64;

/// Octets of each.
const SIZE: usize = 128;

pub(crate) fn bench(criterion: &mut Criterion) {
    unmask(criterion);
    cut(criterion);
}

fn unmask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unmask");
    for size in SIZES {
        let mut data = vec![0x5a; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| apply_mask(black_box(&mut data), [1, 2, 3, 4]));
        });
    }
    group.finish();
}

fn cut(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cut");
    group.throughput(Throughput::Elements(MESSAGES as u64));
    let stream = stream(Framing::WebSocket);
    let read = || BytesMut::from(&*stream);
    group.bench_function("websocket", |bencher| {
        let mut decoder = websocket::Decoder::new(Role::Server, 1 << 20);
        let all = |mut buf: BytesMut| while let Ok(Some(_)) = decoder.next(black_box(&mut buf)) {};
        bencher.iter_batched(read, all, BatchSize::SmallInput);
    });
    let stream = self::stream(Framing::RawSocket);
    let read = || BytesMut::from(&*stream);
    group.bench_function("rawsocket", |bencher| {
        let decoder = rawsocket::Decoder::new(MaxLength::LARGEST);
        let all = |mut buf: BytesMut| while let Ok(Some(_)) = decoder.next(black_box(&mut buf)) {};
        bencher.iter_batched(read, all, BatchSize::SmallInput);
    });
    group.finish();
}

/// What a client sent.
fn stream(framing: Framing) -> Bytes {
    let mut out = BytesMut::new();
    for _ in 0..MESSAGES {
        let mut frame = FrameBuilder::new(framing, Format::MsgPack, SIZE);
        frame.message().extend_from_slice(&[0x5a; SIZE]);
        if let Ok(frame) = frame.finish_as_client([1, 2, 3, 4]) {
            out.extend_from_slice(&frame);
        }
    }
    out.freeze()
}
