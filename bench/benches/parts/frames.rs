//! Frames off a byte stream.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use crosspoint_bench::frames::stream;
use crosspoint_bench::messages::{URI, encoded, payload, publish};
use crosspoint_codec::frame::Framing;
use crosspoint_codec::frame::rawsocket::{self, MaxLength};
use crosspoint_codec::frame::websocket::deflate::{Deflater, WindowBits};
use crosspoint_codec::frame::websocket::{self, Role, apply_mask};
use crosspoint_core::payload::Format;

use crate::SIZES;

/// Octets of messages in one read, but no more than 64 messages.
const READ: usize = 64 * 1024;

pub(crate) fn bench(criterion: &mut Criterion) {
    unmask(criterion);
    cut(criterion);
    deflate(criterion);
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

fn deflate(criterion: &mut Criterion) {
    for size in SIZES.into_iter().filter(|&size| size >= 128) {
        let message = encoded(Format::Json, &publish(URI, payload(Format::Json, size)));
        let plain = websocket::frame(websocket::opcode_of(Format::Json), &message);
        let mut deflater = Deflater::new(WindowBits::LARGEST);
        let mut group = criterion.benchmark_group("deflate");
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| deflater.frame(black_box(&plain)));
        });
        group.finish();
    }
}

fn cut(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cut");
    for size in SIZES {
        let frames = (READ / size).clamp(1, 64);
        group.throughput(Throughput::Elements(frames as u64));
        let read = stream(Framing::WebSocket, frames, size);
        group.bench_function(BenchmarkId::new("websocket", size), |bencher| {
            let mut decoder = websocket::Decoder::new(Role::Server, 1 << 20);
            let all = |mut buf: BytesMut| while let Ok(Some(_)) = decoder.next(black_box(&mut buf)) {};
            bencher.iter_batched(|| BytesMut::from(&*read), all, BatchSize::SmallInput);
        });
        let read = stream(Framing::RawSocket, frames, size);
        group.bench_function(BenchmarkId::new("rawsocket", size), |bencher| {
            let decoder = rawsocket::Decoder::new(MaxLength::LARGEST);
            let all = |mut buf: BytesMut| while let Ok(Some(_)) = decoder.next(black_box(&mut buf)) {};
            bencher.iter_batched(|| BytesMut::from(&*read), all, BatchSize::SmallInput);
        });
    }
    group.finish();
}
