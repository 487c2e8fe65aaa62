//! Benchmarks of the router's parts. `README.md` says how to run and read them.
#![forbid(unsafe_code)]

mod codec;
mod frames;
mod router;
mod shard;
mod tries;
mod wake;

use std::time::Duration;

use criterion::Criterion;

/// Payloads in octets: from a sensor's value to a document.
const SIZES: [usize; 4] = [16, 128, 1024, 64 * 1024];

/// Subscribers of one topic.
const FAN_OUTS: [u64; 3] = [1, 100, 1000];

fn main() {
    // Short enough that all are run before a commit. What is within a few per cent is noise; `--measurement-time`
    // and `--sample-size` on the command line ask for more.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .sample_size(20)
        .configure_from_args();
    codec::bench(&mut criterion);
    frames::bench(&mut criterion);
    tries::bench(&mut criterion);
    router::bench(&mut criterion);
    shard::bench(&mut criterion);
    wake::bench(&mut criterion);
    criterion.final_summary();
}
