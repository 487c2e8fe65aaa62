//! A small world of URIs, so that patterns match often and sessions get into each other's way; and matching
//! written down as the specification reads, to compare the router's index with.

use std::cmp::Ordering;

use bytestring::ByteString;
use crosspoint_core::options::MatchPolicy;
use fastrand::Rng;

const CONCRETE: [&str; 9] = ["a", "a.b", "a.b.c", "a.c", "b.b.c", "ab.c", "b", "a.c.c", "b.c"];
const PREFIXES: [&str; 6] = ["a", "", "a.b", "a.", "ab", "b"];
const WILDCARDS: [&str; 8] = ["a.", "..c", ".b", "a..c", "", "..", ".b.", "a.b."];
/// Refused whatever the policy.
const INVALID: [&str; 3] = ["a#", "a b", "a\u{a0}"];
/// Well-formed, but the router's own.
const RESERVED: [&str; 2] = ["wamp", "wamp.session.on_join"];

/// The URIs that one seed uses: the first few of each list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uris {
    concrete: usize,
    prefixes: usize,
    wildcards: usize,
    /// Of 100 subscriptions and registrations, how many are patterns.
    patterns: u32,
}

impl Uris {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self {
            concrete: rng.usize(1..=CONCRETE.len()),
            prefixes: rng.usize(1..=PREFIXES.len()),
            wildcards: rng.usize(1..=WILDCARDS.len()),
            patterns: [0, 20, 50][rng.usize(..3)],
        }
    }

    /// What an event is published to, or a call made to.
    pub(crate) fn concrete(&self, rng: &mut Rng) -> &'static str {
        match rng.u32(..200) {
            0 => INVALID[rng.usize(..INVALID.len())],
            1 => RESERVED[rng.usize(..RESERVED.len())],
            _ => self.valid(rng),
        }
    }

    /// [`Uris::concrete`] without those that are refused.
    pub(crate) fn valid(&self, rng: &mut Rng) -> &'static str {
        CONCRETE[rng.usize(..self.concrete)]
    }

    /// What is subscribed to, or registered.
    pub(crate) fn key(&self, rng: &mut Rng) -> (MatchPolicy, &'static str) {
        if rng.u32(..100) >= self.patterns {
            (MatchPolicy::Exact, self.concrete(rng))
        } else {
            self.pattern(rng)
        }
    }

    /// A prefix or a wildcard.
    pub(crate) fn pattern(&self, rng: &mut Rng) -> (MatchPolicy, &'static str) {
        if rng.bool() {
            (MatchPolicy::Prefix, PREFIXES[rng.usize(..self.prefixes)])
        } else {
            (MatchPolicy::Wildcard, WILDCARDS[rng.usize(..self.wildcards)])
        }
    }
}

/// A subscription's or registration's key as the specification knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) realm: usize,
    pub(crate) policy: MatchPolicy,
    pub(crate) uri: ByteString,
}

impl Key {
    pub(crate) fn new(realm: usize, policy: MatchPolicy, uri: &ByteString) -> Self {
        Self {
            realm,
            policy,
            uri: uri.clone(),
        }
    }

    /// Whether the concrete `uri` is one of this key's.
    pub(crate) fn matches(&self, uri: &str) -> bool {
        match self.policy {
            MatchPolicy::Exact => self.uri == uri,
            MatchPolicy::Prefix => uri.starts_with(&*self.uri),
            MatchPolicy::Wildcard => {
                let (pattern, uri): (Vec<_>, Vec<_>) =
                    (self.uri.split('.').collect(), uri.split('.').collect());
                pattern.len() == uri.len()
                    && pattern
                        .iter()
                        .zip(uri)
                        .all(|(literal, component)| literal.is_empty() || *literal == component)
            }
        }
    }

    /// Which of two keys that match one URI gets the call: the greater.
    pub(crate) fn precedence(&self, other: &Self) -> Ordering {
        let rank = |policy: MatchPolicy| match policy {
            MatchPolicy::Exact => 2,
            MatchPolicy::Prefix => 1,
            MatchPolicy::Wildcard => 0,
        };
        rank(self.policy)
            .cmp(&rank(other.policy))
            .then_with(|| match self.policy {
                MatchPolicy::Exact => Ordering::Equal,
                MatchPolicy::Prefix => self.uri.len().cmp(&other.uri.len()),
                MatchPolicy::Wildcard => self
                    .uri
                    .split('.')
                    .map(|component| !component.is_empty())
                    .cmp(other.uri.split('.').map(|component| !component.is_empty())),
            })
    }
}

/// Whether the router refuses `uri` as malformed; of those above only.
pub(crate) fn is_invalid(policy: MatchPolicy, uri: &str) -> bool {
    INVALID.contains(&uri) || (policy == MatchPolicy::Exact && uri.is_empty())
}

/// Whether `uri` is the router's own.
pub(crate) fn is_reserved(uri: &str) -> bool {
    RESERVED.contains(&uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(policy: MatchPolicy, uri: &str) -> Key {
        Key {
            realm: 0,
            policy,
            uri: uri.into(),
        }
    }

    #[test]
    fn matching_is_that_of_the_specification() {
        assert!(key(MatchPolicy::Prefix, "a.b").matches("a.bc"));
        assert!(key(MatchPolicy::Wildcard, "a..c").matches("a.x.c"));
        assert!(!key(MatchPolicy::Wildcard, "a..c").matches("a.c"));
        assert!(key(MatchPolicy::Wildcard, "").matches("a"));
    }

    #[test]
    fn pr_001_to_pr_006_the_greater_key_gets_the_call() {
        let ascending = [
            key(MatchPolicy::Wildcard, "..."),
            key(MatchPolicy::Wildcard, "a1...d4"),
            key(MatchPolicy::Wildcard, "a1.b2..d4"),
            key(MatchPolicy::Prefix, ""),
            key(MatchPolicy::Prefix, "a1.b2"),
            key(MatchPolicy::Exact, "a1.b2.c3.d4"),
        ];
        assert!(ascending.is_sorted_by(|a, b| a.precedence(b) == Ordering::Less));
    }
}
