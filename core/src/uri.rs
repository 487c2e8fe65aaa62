//! URIs and URI patterns (specification, "URIs"): which are well-formed, and which are reserved.
//!
//! A URI is a sequence of components separated by `.`. Every check here is one scan over the octets: the
//! specification's regular expressions backtrack, and strangers choose what is scanned.

use crate::options::MatchPolicy;

/// Longest URI or pattern in octets that a router takes unless it is configured otherwise. No known
/// application comes near; what a stranger makes the router store and compare is bounded by it.
pub const LEN_MAX_DEFAULT: usize = 1024;

/// Which characters a component may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UriCheck {
    /// Any but `.`, `#` and white space.
    #[default]
    Loose,
    /// Only `0` to `9`, `a` to `z` and `_`.
    Strict,
}

/// What a realm demands of URIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriRules {
    /// The characters allowed.
    pub check: UriCheck,
    /// The greatest length in octets.
    pub len_max: usize,
}

impl Default for UriRules {
    fn default() -> Self {
        Self {
            check: UriCheck::Loose,
            len_max: LEN_MAX_DEFAULT,
        }
    }
}

impl UriRules {
    /// Whether `uri` is short enough and well-formed: see [`is_valid`].
    #[must_use]
    pub fn allow(self, policy: MatchPolicy, uri: &str) -> bool {
        uri.len() <= self.len_max && is_valid(self.check, policy, uri)
    }
}

/// Whether `uri` is well-formed where it is used with `policy`; URIs of PUBLISH and CALL, realms, reasons and
/// errors are concrete and use [`MatchPolicy::Exact`].
///
/// A concrete URI has no empty component. The last component of a prefix may be empty, so that `""` is the
/// prefix of all URIs. Any component of a wildcard may be empty, so that `""` is the wildcard of all URIs
/// with one component.
#[must_use]
pub fn is_valid(check: UriCheck, policy: MatchPolicy, uri: &str) -> bool {
    // One octet after the other, each by what it is, without a branch: this is done for every PUBLISH and CALL.
    let (mut seen, mut empty, mut previous) = (0, 0, DOT);
    for octet in uri.bytes() {
        let class = CLASSES[usize::from(octet)];
        seen |= class;
        empty |= class & previous;
        previous = class;
    }
    let is_refused = match check {
        UriCheck::Strict => seen & (NOT_STRICT | NOT_ASCII) != 0,
        UriCheck::Loose => seen & NOT_LOOSE != 0 || seen & NOT_ASCII != 0 && uri.chars().any(is_refused),
    };
    let has_empty_component = match policy {
        MatchPolicy::Exact => (empty | previous) & DOT != 0,
        MatchPolicy::Prefix => empty & DOT != 0,
        MatchPolicy::Wildcard => false,
    };
    !is_refused && !has_empty_component
}

/// Whether the first component of `uri`, concrete or pattern, is `wamp`: clients neither publish nor register
/// there.
#[must_use]
pub fn is_reserved(uri: &str) -> bool {
    uri.strip_prefix("wamp")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The end of a component.
const DOT: u8 = 1;
/// Refused by [`UriCheck::Strict`].
const NOT_STRICT: u8 = 2;
/// Refused by [`UriCheck::Loose`].
const NOT_LOOSE: u8 = 4;
/// Part of a character that must be decoded to be judged.
const NOT_ASCII: u8 = 8;

/// What each octet of a URI is.
const CLASSES: [u8; 256] = {
    let mut classes = [NOT_ASCII; 256];
    let mut octet = 0;
    while octet < 128 {
        let class = if octet == b'.' {
            DOT
        } else if matches!(octet, b'0'..=b'9' | b'a'..=b'z' | b'_') {
            0
        } else if is_refused(octet as char) {
            NOT_STRICT | NOT_LOOSE
        } else {
            NOT_STRICT
        };
        classes[octet as usize] = class;
        octet += 1;
    }
    classes
};

/// `#` and what `\s` of a regular expression matches: Unicode's white space. The four separators of ASCII are not
/// in Unicode's property, but Python counts them, and with it the router that peers were tested with. And NUL: in
/// JSON a text that begins with it stands for bytes, so such a URI would reach some peers as something else.
const fn is_refused(character: char) -> bool {
    matches!(character, '#' | '\0' | '\u{1c}'..='\u{1f}') || character.is_whitespace()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The specification's rules, written down as they read.
    fn model(check: UriCheck, policy: MatchPolicy, uri: &str) -> bool {
        let components: Vec<&str> = uri.split('.').collect();
        let last = components.len() - 1;
        components.iter().enumerate().all(|(place, component)| {
            let may_be_empty = match policy {
                MatchPolicy::Exact => false,
                MatchPolicy::Prefix => place == last,
                MatchPolicy::Wildcard => true,
            };
            let characters = component.chars().all(|c| match check {
                UriCheck::Loose => {
                    !['#', '\0'].contains(&c) && !c.is_whitespace() && !('\u{1c}'..='\u{1f}').contains(&c)
                }
                UriCheck::Strict => c.is_ascii_digit() || c.is_ascii_lowercase() || c == '_',
            });
            characters && (may_be_empty || !component.is_empty())
        })
    }

    #[test]
    fn ur_001_exact_needs_every_component() {
        for uri in ["", ".", "a.", ".a", "a..b", "..", "com.myapp."] {
            assert!(!is_valid(UriCheck::Loose, MatchPolicy::Exact, uri), "{uri:?}");
        }
        for uri in ["a", "a.b", "com.myapp.topic1", "com.my-app.Topic"] {
            assert!(is_valid(UriCheck::Loose, MatchPolicy::Exact, uri), "{uri:?}");
        }
    }

    #[test]
    fn ur_006_ur_007_hash_and_white_space_are_refused() {
        for uri in [
            "\0a",
            "a.#",
            "a#b",
            "a b",
            "a\t",
            "a.\u{a0}b",
            "a\u{2003}",
            "a\u{85}",
            "a\u{1c}",
            "ä b",
            "ä#",
        ] {
            for policy in [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard] {
                assert!(!is_valid(UriCheck::Loose, policy, uri), "{uri:?}");
            }
        }
    }

    #[test]
    fn ur_009_to_ur_012_patterns_may_have_empty_components() {
        for uri in ["", "com.app.", "com.app", "com"] {
            assert!(is_valid(UriCheck::Loose, MatchPolicy::Prefix, uri), "{uri:?}");
        }
        for uri in ["com..x", ".x", "..", "."] {
            assert!(!is_valid(UriCheck::Loose, MatchPolicy::Prefix, uri), "{uri:?}");
        }
        for uri in ["com..x", ".x", "x.", "..", ".", "", "x"] {
            assert!(is_valid(UriCheck::Loose, MatchPolicy::Wildcard, uri), "{uri:?}");
        }
    }

    #[test]
    fn ur_013_ur_014_only_strict_refuses_other_letters() {
        for uri in ["com.Größe", "com.my-app", "com.App"] {
            assert!(is_valid(UriCheck::Loose, MatchPolicy::Exact, uri), "{uri:?}");
            assert!(!is_valid(UriCheck::Strict, MatchPolicy::Exact, uri), "{uri:?}");
        }
        assert!(is_valid(UriCheck::Strict, MatchPolicy::Exact, "com.my_app.0"));
    }

    #[test]
    fn ur_018_reserved_is_a_whole_component() {
        assert!(is_reserved("wamp"));
        assert!(is_reserved("wamp."));
        assert!(is_reserved("wamp.session.on_join"));
        assert!(!is_reserved("wampx.y"));
        assert!(!is_reserved("com.wamp"));
        assert!(!is_reserved(""));
    }

    #[test]
    fn length_is_limited_in_octets() {
        let rules = UriRules {
            len_max: 4,
            ..UriRules::default()
        };
        assert!(rules.allow(MatchPolicy::Exact, "ab.c"));
        assert!(!rules.allow(MatchPolicy::Exact, "ab.cd"));
        assert!(!rules.allow(MatchPolicy::Exact, "äöü"));
        assert!(!rules.allow(MatchPolicy::Exact, "a..b"));
    }

    proptest! {
        #[test]
        fn agrees_with_the_model(uri in "[a.#_ Aä\u{a0}\u{1d}0]{0,8}") {
            for check in [UriCheck::Loose, UriCheck::Strict] {
                for policy in [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard] {
                    prop_assert_eq!(is_valid(check, policy, &uri), model(check, policy, &uri));
                }
            }
        }

        #[test]
        fn well_formed_uris_agree_with_the_model(uri in "[ab]{0,2}(\\.[ab]{0,2}){0,4}") {
            for policy in [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard] {
                prop_assert_eq!(
                    is_valid(UriCheck::Strict, policy, &uri),
                    model(UriCheck::Strict, policy, &uri)
                );
            }
        }
    }
}
