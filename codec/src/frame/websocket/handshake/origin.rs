//! Which web pages may connect (RFC 6455 section 10.2).

/// Allowed values of the `Origin` header. Only browsers send it, and reliably, so this protects their users
/// from foreign pages; it keeps no other program out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    patterns: Vec<String>,
    allow_null: bool,
}

impl Origins {
    /// Origins that one of `patterns` matches; `*` stands for any characters. A pattern is compared with
    /// `scheme://host:port`, the port being the scheme's usual one where the browser omits it, and with the
    /// origin as sent. `allow_null` lets in the origin `null`, which browsers send for local files and
    /// sandboxed pages.
    #[must_use]
    pub fn new(patterns: impl IntoIterator<Item = impl AsRef<str>>, allow_null: bool) -> Self {
        let patterns = patterns
            .into_iter()
            .map(|pattern| pattern.as_ref().to_ascii_lowercase())
            .collect();
        Self { patterns, allow_null }
    }

    /// Whether a page of this origin may connect.
    #[must_use]
    pub fn allows(&self, origin: &[u8]) -> bool {
        let Ok(origin) = std::str::from_utf8(origin) else {
            return false;
        };
        if origin.eq_ignore_ascii_case("null") {
            return self.allow_null;
        }
        let origin = origin.to_ascii_lowercase();
        let Some(with_port) = with_port(&origin) else {
            return false;
        };
        self.patterns.iter().any(|pattern| {
            matches(pattern.as_bytes(), with_port.as_bytes())
                || matches(pattern.as_bytes(), origin.as_bytes())
        })
    }
}

/// Every origin, as Crossbar.io's defaults have it.
impl Default for Origins {
    fn default() -> Self {
        Self::new(["*"], true)
    }
}

/// `scheme://host:port`, where the scheme has a usual port; `None` if this is no origin.
fn with_port(origin: &str) -> Option<String> {
    let (scheme, authority) = origin.split_once("://")?;
    let is_scheme = |octet: u8| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet);
    let is_authority = |octet: u8| octet.is_ascii_graphic() && !b"/?#@\\".contains(&octet);
    if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
        return None;
    }
    if authority.is_empty() || !authority.bytes().all(is_authority) {
        return None;
    }
    // The colons of an IPv6 address are inside brackets.
    let has_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
    Some(match scheme {
        "http" if !has_port => format!("{origin}:80"),
        "https" if !has_port => format!("{origin}:443"),
        _ => origin.to_owned(),
    })
}

/// Whether `text` is `pattern` with something put in for each `*`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut parts = pattern.split(|&octet| octet == b'*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    // Each part in between may as well take its first place; the last one has to end the text.
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts.filter(|part| !part.is_empty()) {
        let Some(at) = rest.windows(part.len()).position(|window| window == part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allows(pattern: &str, origin: &str) -> bool {
        Origins::new([pattern], false).allows(origin.as_bytes())
    }

    #[test]
    fn a_pattern_sees_scheme_host_and_port() {
        let cases = [
            ("*", "http://any.example:1", true),
            ("*", "chrome-extension://abcdef", true),
            ("*://example.com:*", "https://example.com", true),
            ("*://example.com:*", "http://example.com:8080", true),
            ("*://example.com:*", "http://sub.example.com", false),
            ("*://example.com:*", "http://example.com.evil.org", false),
            ("http://example.com:80", "http://example.com", true),
            ("https://example.com:443", "https://example.com", true),
            ("https://example.com:443", "http://example.com", false),
            ("https://example.com", "https://example.com", true),
            ("https://example.com", "https://example.com:443", false),
            ("https://*.example.com:443", "https://a.b.example.com", true),
            ("HTTPS://Example.com", "https://example.COM", true),
            ("http://[::1]:80", "http://[::1]", true),
            ("http://[::1]:*", "http://[::1]:8080", true),
            ("http://localhost:*", "http://localhost:3000", true),
            ("http://localhost:*", "http://localhost.evil.org:3000", false),
            ("", "http://example.com", false),
        ];
        for (pattern, origin, expected) in cases {
            assert_eq!(allows(pattern, origin), expected, "{pattern} on {origin}");
        }
    }

    #[test]
    fn what_is_no_origin_is_not_allowed_even_by_a_star() {
        let no_origins = [
            "",
            "example.com",
            "http://",
            "://a",
            "http://a/b",
            "http://u@a",
            "http://a b",
            "ht tp://a",
        ];
        for no_origin in no_origins {
            assert!(!allows("*", no_origin), "{no_origin}");
        }
        assert!(!Origins::default().allows(b"http://\xff"));
    }

    #[test]
    fn null_is_allowed_by_its_own_option() {
        assert!(!allows("*", "null"));
        assert!(!allows("null", "null"));
        assert!(Origins::new([""; 0], true).allows(b"null"));
        assert!(Origins::default().allows(b"null"));
    }

    /// The definition: `*` takes nothing, or one octet and goes on.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => by_definition(rest, text),
            (Some((b'*', rest)), Some((_, behind))) => {
                by_definition(rest, text) || by_definition(pattern, behind)
            }
            (Some((wanted, rest)), Some((octet, behind))) => wanted == octet && by_definition(rest, behind),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_equals_its_definition(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern, text), by_definition(pattern, text));
        }
    }
}
