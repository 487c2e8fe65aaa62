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
