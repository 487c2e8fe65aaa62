//! Patterns for property tests, and URIs enough to tell any two of them apart.

use proptest::prelude::*;

use crate::options::MatchPolicy;

/// Well-formed patterns of up to three components.
pub(crate) fn pattern() -> impl Strategy<Value = (MatchPolicy, String)> {
    prop_oneof![
        "(a|ab|b)(\\.(a|ab|b)){0,2}".prop_map(|uri| (MatchPolicy::Exact, uri)),
        "((a|ab|b)\\.){0,2}(a|ab|b)?".prop_map(|uri| (MatchPolicy::Prefix, uri)),
        "(a|ab|b)?(\\.(a|ab|b)?){0,2}".prop_map(|uri| (MatchPolicy::Wildcard, uri)),
    ]
}

/// Every URI of one to four components of these: those of the patterns, one that no pattern has, and some that
/// go on where a pattern's end.
pub(crate) fn universe() -> impl Iterator<Item = String> {
    const COMPONENTS: [&str; 6] = ["a", "ab", "aba", "b", "bz", "z"];
    (1..=4).flat_map(|count| {
        (0..COMPONENTS.len().pow(count)).map(move |number| {
            let component = |place| COMPONENTS[number / COMPONENTS.len().pow(place) % COMPONENTS.len()];
            (0..count).map(component).collect::<Vec<_>>().join(".")
        })
    })
}
