//! Topics and procedures by URI: what a look-up costs beside other entries that do not match.

use std::hint::black_box;

use ahash::RandomState;
use criterion::{BenchmarkId, Criterion};
use crosspoint_core::options::MatchPolicy;
use crosspoint_core::pattern::PatternMap;

/// The URI that is looked up, and how many entries match it: the one that is always there.
const URI: &str = "com.example.site7.device123.temperature";

pub(crate) fn bench(criterion: &mut Criterion) {
    let cases = [
        (MatchPolicy::Exact, 1),
        (MatchPolicy::Exact, 1_000),
        (MatchPolicy::Exact, 1_000_000),
        (MatchPolicy::Prefix, 1),
        (MatchPolicy::Prefix, 100_000),
        (MatchPolicy::Wildcard, 1),
        (MatchPolicy::Wildcard, 100_000),
    ];
    look_up(criterion, &cases);
    change(criterion, &cases);
}

fn look_up(criterion: &mut Criterion, cases: &[(MatchPolicy, u32)]) {
    let mut group = criterion.benchmark_group("match");
    for &(policy, entries) in cases {
        let map = filled(policy, entries);
        group.bench_function(BenchmarkId::new(policy.name(), entries), |bencher| {
            bencher.iter(|| {
                let mut found = 0;
                map.matches(black_box(URI), |_, _, value| found += value);
                found
            });
        });
    }
    group.finish();
}

fn change(criterion: &mut Criterion, cases: &[(MatchPolicy, u32)]) {
    let mut group = criterion.benchmark_group("insert_and_remove");
    for &(policy, entries) in cases {
        let mut map = filled(policy, entries);
        let new = entry(policy, entries + 1);
        group.bench_function(BenchmarkId::new(policy.name(), entries), |bencher| {
            bencher.iter(|| {
                map.insert(policy, black_box(&new), 1);
                map.remove(policy, black_box(&new))
            });
        });
    }
    group.finish();
}

/// `entries` in all, one of which matches.
fn filled(policy: MatchPolicy, entries: u32) -> PatternMap<u32> {
    let mut map = PatternMap::new(RandomState::with_seeds(1, 2, 3, 4));
    let matching = match policy {
        MatchPolicy::Exact => URI,
        MatchPolicy::Prefix => "com.example.site7.device123.",
        MatchPolicy::Wildcard => "com.example..device123.temperature",
    };
    map.insert(policy, matching, 1);
    for number in 1..entries {
        map.insert(policy, &entry(policy, number), 1);
    }
    map
}

/// An entry that shares its beginning with [`URI`], but does not match it.
fn entry(policy: MatchPolicy, number: u32) -> String {
    match policy {
        MatchPolicy::Exact => format!("com.example.site7.device{number}.humidity"),
        MatchPolicy::Prefix => format!("com.example.site7.device123{number}."),
        MatchPolicy::Wildcard => format!("com.example..device{number}.humidity"),
    }
}
