//! Patterns as the sets of concrete URIs that they match: what contains what, and what overlaps.

use crate::options::MatchPolicy;

/// A URI or pattern with its match policy. It stands for the concrete URIs that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern<'a> {
    pub(crate) policy: MatchPolicy,
    pub(crate) uri: &'a str,
}

impl Pattern<'_> {
    /// Whether this matches every concrete URI that `other` matches.
    pub(crate) fn covers(self, other: Pattern<'_>) -> bool {
        match (self.policy, other.policy) {
            (MatchPolicy::Exact, MatchPolicy::Exact) => self.uri == other.uri,
            (MatchPolicy::Exact, MatchPolicy::Wildcard) => {
                self.uri == other.uri && !other.uri.split('.').any(str::is_empty)
            }
            // A prefix matches URIs without limit to their length, and so with any number of components.
            (MatchPolicy::Exact | MatchPolicy::Wildcard, MatchPolicy::Prefix) => false,
            (MatchPolicy::Prefix, MatchPolicy::Exact | MatchPolicy::Prefix) => {
                other.uri.starts_with(self.uri)
            }
            (MatchPolicy::Prefix, MatchPolicy::Wildcard) => literal_head(other.uri).starts_with(self.uri),
            (MatchPolicy::Wildcard, MatchPolicy::Exact | MatchPolicy::Wildcard) => {
                components_agree(self.uri, other.uri, |own, theirs| own.is_empty() || own == theirs)
            }
        }
    }

    /// Whether some concrete URI is matched by both.
    pub(crate) fn meets(self, other: Pattern<'_>) -> bool {
        match (self.policy, other.policy) {
            (_, MatchPolicy::Exact) => self.covers(other),
            (MatchPolicy::Exact, _) => other.covers(self),
            (MatchPolicy::Prefix, MatchPolicy::Prefix) => self.covers(other) || other.covers(self),
            (MatchPolicy::Prefix, MatchPolicy::Wildcard) => prefix_meets_wildcard(self.uri, other.uri),
            (MatchPolicy::Wildcard, MatchPolicy::Prefix) => prefix_meets_wildcard(other.uri, self.uri),
            (MatchPolicy::Wildcard, MatchPolicy::Wildcard) => {
                components_agree(self.uri, other.uri, |own, theirs| {
                    own.is_empty() || theirs.is_empty() || own == theirs
                })
            }
        }
    }
}

/// Whether both have as many components, and `agree` holds of each pair.
fn components_agree(own: &str, theirs: &str, agree: impl Fn(&str, &str) -> bool) -> bool {
    let (mut own, mut theirs) = (own.split('.'), theirs.split('.'));
    loop {
        match (own.next(), theirs.next()) {
            (Some(own), Some(theirs)) if agree(own, theirs) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// What every URI that a wildcard matches begins with: all before its first empty component.
pub(crate) fn literal_head(wildcard: &str) -> &str {
    let mut end = 0;
    for component in wildcard.split('.') {
        if component.is_empty() {
            return &wildcard[..end];
        }
        end += component.len() + 1;
    }
    wildcard
}

/// Whether a URI that `wildcard` matches begins with `prefix`: whole components of the prefix agree with those
/// of the wildcard, and its last, which may be the beginning of one, begins one.
fn prefix_meets_wildcard(prefix: &str, wildcard: &str) -> bool {
    let mut literals = wildcard.split('.');
    let mut begun = prefix.split('.').peekable();
    while let Some(component) = begun.next() {
        let Some(literal) = literals.next() else {
            return false;
        };
        let is_whole = begun.peek().is_some();
        let agrees = match literal {
            "" => true,
            _ if is_whole => literal == component,
            _ => literal.starts_with(component),
        };
        if !agrees {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::samples::{pattern, universe};

    fn exact(uri: &str) -> Pattern<'_> {
        Pattern {
            policy: MatchPolicy::Exact,
            uri,
        }
    }

    fn prefix(uri: &str) -> Pattern<'_> {
        Pattern {
            policy: MatchPolicy::Prefix,
            uri,
        }
    }

    fn wildcard(uri: &str) -> Pattern<'_> {
        Pattern {
            policy: MatchPolicy::Wildcard,
            uri,
        }
    }

    #[test]
    fn a_prefix_covers_what_begins_with_it() {
        assert!(prefix("com.app.").covers(prefix("com.app.x")));
        assert!(prefix("com.app.").covers(prefix("com.app.")));
        assert!(!prefix("com.app.").covers(prefix("com.app")));
        assert!(!prefix("com.app.").covers(prefix("com.")));
        assert!(prefix("com.").covers(wildcard("com..x")));
        assert!(!prefix("com.a").covers(wildcard("com..x")));
        assert!(prefix("").covers(wildcard("")));
        assert!(prefix("com").covers(wildcard("com.")));
        assert!(prefix("com.x").covers(wildcard("com.x")));
    }

    /// A permission that was written in error may be ill-formed. It matches no concrete URI, so it must not
    /// cover a pattern by being the same text.
    #[test]
    fn what_matches_nothing_covers_no_pattern() {
        for uri in ["com..x", "x.", ".x", ""] {
            assert!(!exact(uri).covers(wildcard(uri)), "{uri:?}");
        }
        assert!(!prefix("com..").covers(wildcard("com..x")));
    }

    #[test]
    fn only_prefixes_cover_prefixes() {
        assert!(!exact("com").covers(prefix("com")));
        assert!(!wildcard("").covers(prefix("")));
        assert!(!wildcard("com.").covers(prefix("com.")));
    }

    #[test]
    fn a_wildcard_covers_narrower_wildcards() {
        assert!(wildcard("com..").covers(wildcard("com.a.")));
        assert!(!wildcard("com.a.").covers(wildcard("com..")));
        assert!(!wildcard("com.").covers(wildcard("com..")));
        assert!(exact("com.a").covers(wildcard("com.a")));
        assert!(!exact("com.a").covers(wildcard("com.")));
    }

    proptest! {
        #[test]
        fn relations_are_those_of_sets(own in pattern(), theirs in pattern()) {
            let (own, theirs) = (
                Pattern { policy: own.0, uri: &own.1 },
                Pattern { policy: theirs.0, uri: &theirs.1 },
            );
            let matched_by = |pattern: Pattern<'_>, uri: &str| match pattern.policy {
                MatchPolicy::Exact => uri == pattern.uri,
                MatchPolicy::Prefix => uri.starts_with(pattern.uri),
                MatchPolicy::Wildcard => {
                    let (p, u): (Vec<_>, Vec<_>) = (pattern.uri.split('.').collect(), uri.split('.').collect());
                    p.len() == u.len() && p.iter().zip(&u).all(|(p, u)| p.is_empty() || p == u)
                }
            };
            let covers = universe().all(|uri| !matched_by(theirs, &uri) || matched_by(own, &uri));
            let meets = universe().any(|uri| matched_by(theirs, &uri) && matched_by(own, &uri));
            prop_assert_eq!(own.covers(theirs), covers);
            prop_assert_eq!(own.meets(theirs), meets);
            prop_assert_eq!(theirs.meets(own), meets);
        }
    }
}
