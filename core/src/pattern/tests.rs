//! [`PatternMap`] against a list that is searched from end to end, and the conformance cases by name.

use ahash::RandomState;
use proptest::prelude::*;

use super::*;

const POLICIES: [MatchPolicy; 3] = [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard];

fn empty_map<V>() -> PatternMap<V> {
    PatternMap::new(RandomState::with_seeds(1, 2, 3, 4))
}

fn map_of(patterns: &[(MatchPolicy, &'static str)]) -> PatternMap<&'static str> {
    let mut map = empty_map();
    for &(policy, uri) in patterns {
        map.insert(policy, uri, uri);
    }
    map
}

fn prefixes(uris: &[&'static str]) -> PatternMap<&'static str> {
    map_of(
        &uris
            .iter()
            .map(|uri| (MatchPolicy::Prefix, *uri))
            .collect::<Vec<_>>(),
    )
}

fn wildcards(uris: &[&'static str]) -> PatternMap<&'static str> {
    map_of(
        &uris
            .iter()
            .map(|uri| (MatchPolicy::Wildcard, *uri))
            .collect::<Vec<_>>(),
    )
}

/// Every match in order.
fn all<V: Clone>(map: &PatternMap<V>, uri: &str) -> Vec<(MatchPolicy, String, V)> {
    let mut seen = Vec::new();
    map.matches(uri, |policy, uri, value| {
        seen.push((policy, uri.to_owned(), value.clone()))
    });
    seen
}

fn uris<V>(map: &PatternMap<V>, uri: &str) -> Vec<String> {
    let mut seen = Vec::new();
    map.matches(uri, |_, uri, _| seen.push(uri.to_owned()));
    seen
}

fn best<'a>(map: &'a PatternMap<&str>, uri: &str) -> Option<&'a str> {
    map.best(uri).map(|found| found.uri)
}

#[test]
fn pp_001_to_pp_004_prefixes_are_compared_by_characters() {
    let map = prefixes(&["com.app"]);
    for uri in ["com.app.x", "com.app", "com.app-low", "com.apple"] {
        assert_eq!(best(&map, uri), Some("com.app"), "{uri}");
    }
    for uri in ["com.ap", "co", "com.aqp", "xcom.app"] {
        assert_eq!(best(&map, uri), None, "{uri}");
    }
}

#[test]
fn pp_005_to_pp_008_a_wildcard_needs_as_many_components() {
    let map = wildcards(&["com..e"]);
    assert_eq!(best(&map, "com.a.e"), Some("com..e"));
    for uri in ["com.a.e.f", "com.e", "com.a.f", "org.a.e", "e", "com.a.ee"] {
        assert_eq!(best(&map, uri), None, "{uri}");
    }
    let two = wildcards(&["com...e"]);
    assert_eq!(best(&two, "com.a.b.e"), Some("com...e"));
    assert_eq!(best(&two, "com.a.e"), None);
    assert_eq!(best(&two, "com.a.b.c.e"), None);
    let ends = wildcards(&[".x", "x.", ".."]);
    assert_eq!(uris(&ends, "a.x"), [".x"]);
    assert_eq!(uris(&ends, "x.x"), ["x.", ".x"]);
    assert_eq!(uris(&ends, "a.b.c"), [".."]);
    assert_eq!(best(&wildcards(&[""]), "a"), Some(""));
    assert_eq!(best(&wildcards(&[""]), "a.b"), None);
}

#[test]
fn pp_010_exact_prefix_and_wildcard_all_match() {
    let map = map_of(&[
        (MatchPolicy::Wildcard, "com..x"),
        (MatchPolicy::Prefix, "com."),
        (MatchPolicy::Exact, "com.a.x"),
    ]);
    assert_eq!(uris(&map, "com.a.x"), ["com.a.x", "com.", "com..x"]);
}

#[test]
fn pp_011_pp_012_one_text_under_three_policies_is_three_entries() {
    let mut map = empty_map();
    for (number, policy) in POLICIES.into_iter().enumerate() {
        assert_eq!(map.insert(policy, "com.x", number), None);
    }
    assert_eq!(map.len(), 3);
    assert_eq!(map.remove(MatchPolicy::Prefix, "com.x"), Some(1));
    assert_eq!(map.remove(MatchPolicy::Prefix, "com.x"), None);
    let left = [
        (MatchPolicy::Exact, "com.x".to_owned(), 0),
        (MatchPolicy::Wildcard, "com.x".to_owned(), 2),
    ];
    assert_eq!(all(&map, "com.x"), left);
}

#[test]
fn pp_014_pr_015_the_empty_prefix_matches_everything() {
    let map = prefixes(&["", "com."]);
    assert_eq!(uris(&map, "com.x"), ["com.", ""]);
    assert_eq!(uris(&map, "wamp.session.on_join"), [""]);
}

#[test]
fn pr_001_pr_003_exact_beats_prefix_beats_wildcard() {
    let mut map = map_of(&[
        (MatchPolicy::Exact, "a1.b2.c3"),
        (MatchPolicy::Prefix, "a"),
        (MatchPolicy::Wildcard, "a1.b2."),
    ]);
    assert_eq!(best(&map, "a1.b2.c3"), Some("a1.b2.c3"));
    map.remove(MatchPolicy::Exact, "a1.b2.c3");
    assert_eq!(best(&map, "a1.b2.c3"), Some("a"));
    map.remove(MatchPolicy::Prefix, "a");
    assert_eq!(best(&map, "a1.b2.c3"), Some("a1.b2."));
}

#[test]
fn pr_002_longer_prefix_beats_shorter() {
    let map = prefixes(&["a1", "a1.b2.c3", "a1.b2", "a1.b2.c3.d4"]);
    assert_eq!(uris(&map, "a1.b2.c3.d5"), ["a1.b2.c3", "a1.b2", "a1"]);
}

#[test]
fn pr_004_pr_005_pr_006_the_first_literal_decides_between_wildcards() {
    let map = wildcards(&[
        "a1.b2..d4.e5",
        "a1.b2.c33..e5",
        "a1.b2..d4..f6.g7",
        "a1.b2..d4.e5..g7",
        "a1...d4",
        "a1.b2..d4",
    ]);
    assert_eq!(uris(&map, "a1.b2.c33.d4.e5"), ["a1.b2.c33..e5", "a1.b2..d4.e5"]);
    assert_eq!(
        uris(&map, "a1.b2.c88.d4.e5.f6.g7"),
        ["a1.b2..d4.e5..g7", "a1.b2..d4..f6.g7"]
    );
    assert_eq!(uris(&map, "a1.b2.c3.d4"), ["a1.b2..d4", "a1...d4"]);
}

#[test]
fn pr_007_nothing_matches() {
    let map = map_of(&[
        (MatchPolicy::Exact, "a.b"),
        (MatchPolicy::Prefix, "a.b."),
        (MatchPolicy::Wildcard, "a."),
    ]);
    assert_eq!(best(&map, "b.a"), None);
    assert_eq!(best(&empty_map(), "b.a"), None);
}

#[test]
fn pr_011_a_prefix_may_end_inside_a_component() {
    let map = prefixes(&["a1.b2.c3"]);
    assert_eq!(best(&map, "a1.b2.c33.d4"), Some("a1.b2.c3"));
}

#[test]
fn pr_013_the_next_best_takes_over() {
    let mut map = prefixes(&["a", "a.b", "a.b.c"]);
    for expected in ["a.b.c", "a.b", "a"] {
        assert_eq!(best(&map, "a.b.c.d"), Some(expected));
        map.remove(MatchPolicy::Prefix, expected);
    }
    assert_eq!(best(&map, "a.b.c.d"), None);
    assert!(map.is_empty());
}

#[test]
fn pr_014_a_wildcard_stands_for_no_empty_component() {
    let map = wildcards(&["a..c", "..", "a.."]);
    for uri in ["a..c", "..c", "a..", ".."] {
        assert_eq!(best(&map, uri), None, "{uri}");
    }
}

#[test]
fn breaking_ends_the_visit() {
    let map = prefixes(&["a", "ab", "abc"]);
    let mut visited = 0;
    let stopped = map.visit("abcd", |found| {
        visited += 1;
        if found.uri == "ab" {
            ControlFlow::Break(found.policy)
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(stopped, ControlFlow::Break(MatchPolicy::Prefix));
    assert_eq!(visited, 2);
}

/// A list of entries, searched from end to end.
#[derive(Default)]
struct Model(Vec<(MatchPolicy, String, u32)>);

impl Model {
    fn remove(&mut self, policy: MatchPolicy, uri: &str) -> Option<u32> {
        let place = self
            .0
            .iter()
            .position(|entry| entry.0 == policy && entry.1 == uri)?;
        Some(self.0.swap_remove(place).2)
    }

    fn insert(&mut self, policy: MatchPolicy, uri: &str, value: u32) -> Option<u32> {
        let old = self.remove(policy, uri);
        self.0.push((policy, uri.to_owned(), value));
        old
    }

    fn matches(&self, uri: &str) -> Vec<(MatchPolicy, String, u32)> {
        let fits = |policy, pattern: &str| match policy {
            MatchPolicy::Exact => pattern == uri,
            MatchPolicy::Prefix => uri.starts_with(pattern),
            MatchPolicy::Wildcard => {
                let (pattern, uri): (Vec<_>, Vec<_>) =
                    (pattern.split('.').collect(), uri.split('.').collect());
                pattern.len() == uri.len()
                    && pattern
                        .iter()
                        .zip(&uri)
                        .all(|(p, u)| !u.is_empty() && (p.is_empty() || p == u))
            }
        };
        let mut found: Vec<_> = self
            .0
            .iter()
            .filter(|entry| fits(entry.0, &entry.1))
            .cloned()
            .collect();
        // Wildcards that match one URI differ only in which components are empty: as text after replacing
        // an empty component by the greatest character they sort in the specification's order.
        let rank = |pattern: &str| -> Vec<String> {
            pattern
                .split('.')
                .map(|component| {
                    if component.is_empty() {
                        "\u{10ffff}".to_owned()
                    } else {
                        component.to_owned()
                    }
                })
                .collect()
        };
        found.sort_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| match a.0 {
                MatchPolicy::Wildcard => rank(&a.1).cmp(&rank(&b.1)),
                _ => b.1.len().cmp(&a.1.len()),
            })
        });
        found
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert(MatchPolicy, String),
    Remove(MatchPolicy, String),
    Match(String),
}

/// Few letters and few components, so that operations often meet the same entries.
fn ops() -> impl Strategy<Value = Vec<Op>> {
    let uri = || "[abä]{0,2}(\\.(a|b|ab)?){0,4}";
    let policy = || prop::sample::select(POLICIES.to_vec());
    let op = prop_oneof![
        3 => (policy(), uri()).prop_map(|(policy, uri)| Op::Insert(policy, uri)),
        2 => (policy(), uri()).prop_map(|(policy, uri)| Op::Remove(policy, uri)),
        3 => uri().prop_map(Op::Match),
    ];
    prop::collection::vec(op, 1..200)
}

proptest! {
    #[test]
    fn agrees_with_the_model(ops in ops()) {
        let mut map = empty_map();
        let mut model = Model::default();
        for (number, op) in (0..).zip(&ops) {
            match op {
                Op::Insert(policy, uri) => {
                    prop_assert_eq!(map.insert(*policy, uri.as_str(), number), model.insert(*policy, uri, number));
                    prop_assert_eq!(map.get(*policy, uri), Some(&number));
                }
                Op::Remove(policy, uri) => {
                    prop_assert_eq!(map.remove(*policy, uri), model.remove(*policy, uri));
                    prop_assert_eq!(map.get_mut(*policy, uri), None);
                }
                Op::Match(uri) => {
                    let expected = model.matches(uri);
                    prop_assert_eq!(&all(&map, uri), &expected);
                    let best = map.best(uri).map(|found| (found.policy, found.uri.to_owned(), *found.value));
                    prop_assert_eq!(best.as_ref(), expected.first());
                    for policy in POLICIES {
                        let best = map.best_of(policy, uri).map(|found| *found.value);
                        prop_assert_eq!(best, expected.iter().find(|entry| entry.0 == policy).map(|entry| entry.2));
                    }
                }
            }
            prop_assert_eq!(map.len(), model.0.len());
        }
        let mut listed: Vec<_> =
            map.iter().map(|entry| (entry.policy, entry.uri.to_owned(), *entry.value)).collect();
        listed.sort();
        model.0.sort();
        prop_assert_eq!(listed, model.0);
    }
}

#[test]
fn a_uri_that_others_have_is_not_copied() {
    let uri: Arc<str> = "com.app.".into();
    let mut map = empty_map();
    for policy in [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard] {
        map.insert(policy, Arc::clone(&uri), ());
    }
    assert!(map.iter().all(|found| std::ptr::eq(found.uri, &raw const *uri)));
    assert_eq!(Arc::strong_count(&uri), 4);
}
