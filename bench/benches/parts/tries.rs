//! Topics and procedures by URI: what a look-up costs beside other entries that do not match.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use crosspoint_bench::tries::{URI, entry, filled};
use crosspoint_core::options::MatchPolicy;
use crosspoint_core::pattern::PatternMap;

/// Entries of a map.
const ENTRIES: [u32; 3] = [1, 1_000, 1_000_000];

pub(crate) fn bench(criterion: &mut Criterion) {
    for policy in [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard] {
        for entries in ENTRIES {
            let mut map = filled(policy, entries);
            look_up(criterion, BenchmarkId::new(policy.name(), entries), &map);
            let new = entry(policy, entries + 1);
            change(
                criterion,
                BenchmarkId::new(policy.name(), entries),
                &mut map,
                policy,
                &new,
            );
        }
    }
}

fn look_up(criterion: &mut Criterion, id: BenchmarkId, map: &PatternMap<u32>) {
    criterion.benchmark_group("match").bench_function(id, |bencher| {
        bencher.iter(|| {
            let mut found = 0;
            map.matches(black_box(URI), |_, _, value| found += value);
            found
        });
    });
}

fn change(
    criterion: &mut Criterion,
    id: BenchmarkId,
    map: &mut PatternMap<u32>,
    policy: MatchPolicy,
    new: &str,
) {
    let mut group = criterion.benchmark_group("insert_and_remove");
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            map.insert(policy, black_box(new), 1);
            map.remove(policy, black_box(new))
        });
    });
}
