//! Maps of topics and procedures in which one entry matches, beside others that only begin alike.

use ahash::RandomState;
use crosspoint_core::options::MatchPolicy;
use crosspoint_core::pattern::PatternMap;

/// The URI that is looked up.
pub const URI: &str = "com.example.site7.device123.temperature";

/// `entries` in all, one of which matches [`URI`].
#[must_use]
pub fn filled(policy: MatchPolicy, entries: u32) -> PatternMap<u32> {
    let mut map = PatternMap::new(RandomState::with_seeds(1, 2, 3, 4));
    let matching = match policy {
        MatchPolicy::Exact => URI,
        MatchPolicy::Prefix => "com.example.site7.device123.",
        MatchPolicy::Wildcard => "com.example..device123.temperature",
    };
    map.insert(policy, matching, 1);
    for number in 1..entries {
        map.insert(policy, entry(policy, number), 1);
    }
    map
}

/// An entry that shares its beginning with [`URI`], but does not match it.
#[must_use]
pub fn entry(policy: MatchPolicy, number: u32) -> String {
    match policy {
        MatchPolicy::Exact => format!("com.example.site7.device{number}.humidity"),
        MatchPolicy::Prefix => format!("com.example.site7.device123{number}."),
        MatchPolicy::Wildcard => format!("com.example..device{number}.humidity"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_matches() {
        for policy in [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard] {
            let mut found = 0;
            filled(policy, 1_000).matches(URI, |_, _, value| found += value);
            assert_eq!(found, 1, "{policy:?}");
        }
    }
}
