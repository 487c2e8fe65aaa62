//! The server's side of the upgrade.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use crosspoint_core::payload::Format;
use tungstenite::handshake::derive_accept_key;

use super::Origins;
use crate::frame::http::{self, Headers, RequestHead, push_field, push_status};
use crate::frame::websocket::Subprotocol;
use crate::frame::websocket::deflate::{Agreed, Compression};

/// Octets of the nonce in `Sec-WebSocket-Key`.
const NONCE_LEN: usize = 16;

/// The version of RFC 6455.
const VERSION: &str = "13";

/// What a WebSocket listener accepts.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// The serializers offered as subprotocols.
    pub formats: Vec<Format>,
    /// Whether each of them is also offered in batches.
    pub batched: bool,
    /// Set where messages may be compressed.
    pub compression: Option<Compression>,
    /// The web pages that may connect.
    pub origins: Origins,
    /// The value of the `Server` header of all responses.
    pub server: String,
}

/// Every serializer by its name, neither in batches nor compressed; every origin.
impl Default for Upgrade {
    fn default() -> Self {
        Self {
            formats: Format::NAMED.to_vec(),
            batched: false,
            compression: None,
            origins: Origins::default(),
            server: http::SERVER.to_owned(),
        }
    }
}

impl Upgrade {
    /// Checks a request (RFC 6455 section 4.2.1) and chooses the first subprotocol of the client's that is
    /// enabled. What follows the head in the buffer are the client's first frames.
    ///
    /// # Errors
    /// [`Rejection`], to be answered by [`reject`](Self::reject).
    pub fn accept(&self, head: &RequestHead<'_, '_>) -> Result<Accepted, Rejection> {
        let upgraded = self.accept_bare(head)?;
        let subprotocol = head
            .headers
            .list("sec-websocket-protocol")
            .filter_map(|name| Subprotocol::of(name, &self.formats))
            .find(|subprotocol| self.batched || !subprotocol.batched)
            .ok_or(Rejection::Subprotocol)?;
        Ok(Accepted {
            subprotocol,
            upgraded,
        })
    }

    /// As [`accept`](Self::accept), whatever is to be spoken on the connection: subprotocols are not looked at.
    ///
    /// # Errors
    /// [`Rejection`], to be answered by [`reject`](Self::reject).
    pub fn accept_bare(&self, head: &RequestHead<'_, '_>) -> Result<Upgraded, Rejection> {
        if head.method != "GET" {
            return Err(Rejection::Method);
        }
        if head.minor_version != 1 {
            return Err(Rejection::HttpVersion);
        }
        let headers = head.headers;
        if !head.is_websocket_upgrade() || !headers.has_token("connection", "upgrade") {
            return Err(Rejection::NoUpgrade);
        }
        if headers.single("host").is_none() {
            return Err(Rejection::Host);
        }
        if headers.single("sec-websocket-version") != Some(VERSION.as_bytes()) {
            return Err(Rejection::Version);
        }
        let key = headers
            .single("sec-websocket-key")
            .filter(|key| is_nonce(key))
            .ok_or(Rejection::Key)?;
        self.check_origin(headers)?;
        let deflate = self
            .compression
            .and_then(|compression| compression.accept(headers));
        Ok(Upgraded {
            deflate,
            accept_key: derive_accept_key(key),
        })
    }

    /// The response that completes the upgrade. `fields` are further header fields, such as `Set-Cookie`; they
    /// must not contain line breaks.
    #[must_use]
    pub fn response(&self, accepted: &Accepted, fields: &[(&str, &str)]) -> Bytes {
        self.respond(&accepted.upgraded, Some(accepted.subprotocol), fields)
    }

    /// The response that completes an upgrade without subprotocol.
    #[must_use]
    pub fn bare_response(&self, upgraded: &Upgraded) -> Bytes {
        self.respond(upgraded, None, &[])
    }

    fn respond(
        &self,
        upgraded: &Upgraded,
        subprotocol: Option<Subprotocol>,
        fields: &[(&str, &str)],
    ) -> Bytes {
        let mut out = String::with_capacity(256);
        push_status(&mut out, 101);
        push_field(&mut out, "Server", &self.server);
        push_field(&mut out, "Upgrade", "websocket");
        push_field(&mut out, "Connection", "Upgrade");
        if let Some(subprotocol) = subprotocol {
            push_field(&mut out, "Sec-WebSocket-Protocol", &subprotocol.to_string());
        }
        push_field(&mut out, "Sec-WebSocket-Accept", &upgraded.accept_key);
        if let Some(deflate) = &upgraded.deflate {
            push_field(&mut out, "Sec-WebSocket-Extensions", &deflate.to_string());
        }
        for (name, value) in fields {
            push_field(&mut out, name, value);
        }
        out.push_str("\r\n");
        out.into()
    }

    /// The response that refuses the upgrade; the connection is then closed.
    #[must_use]
    pub fn reject(&self, rejection: Rejection) -> Bytes {
        let fields: &[_] = match rejection {
            Rejection::Method => &[("Allow", "GET")],
            Rejection::NoUpgrade => &[("Upgrade", "websocket")],
            Rejection::Version => &[("Sec-WebSocket-Version", VERSION)],
            _ => &[],
        };
        let mut text = format!("{rejection}.\n");
        if rejection == Rejection::Subprotocol {
            let names: Vec<_> = self.offered().map(|offered| offered.to_string()).collect();
            text.push_str(&format!("Supported subprotocols: {}\n", names.join(", ")));
        }
        http::text_response(rejection.status(), &self.server, fields, &text)
    }

    fn offered(&self) -> impl Iterator<Item = Subprotocol> {
        let both = [false, true].map(|batched| {
            let all = self.formats.iter();
            all.map(move |&format| Subprotocol { format, batched })
        });
        both.into_iter()
            .flatten()
            .filter(|subprotocol| self.batched || !subprotocol.batched)
            .filter(Subprotocol::exists)
    }

    /// No origin is a client that is no browser.
    fn check_origin(&self, headers: Headers<'_, '_>) -> Result<(), Rejection> {
        if headers.all("origin").all(|origin| self.origins.allows(origin)) {
            Ok(())
        } else {
            Err(Rejection::Origin)
        }
    }
}

fn is_nonce(key: &[u8]) -> bool {
    STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == NONCE_LEN)
}

/// An upgrade that is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The subprotocol that was chosen.
    pub subprotocol: Subprotocol,
    /// All else.
    pub upgraded: Upgraded,
}

/// An upgrade that is in order as far as it does not depend on a subprotocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// Set if messages may be compressed.
    pub deflate: Option<Agreed>,
    accept_key: String,
}

/// Why an upgrade is refused; `Display` is the text for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not a GET.
    #[error("A WebSocket connection begins with a GET request")]
    Method,
    /// HTTP/1.0.
    #[error("A WebSocket connection needs HTTP/1.1")]
    HttpVersion,
    /// `Upgrade` or `Connection` does not ask for it.
    #[error("This address speaks WAMP over WebSocket: send 'Upgrade: websocket' and 'Connection: Upgrade'")]
    NoUpgrade,
    /// No `Host`, or several.
    #[error("The request must have one Host header")]
    Host,
    /// `Sec-WebSocket-Version` is not 13.
    #[error("Only version 13 of the WebSocket protocol is spoken here: send 'Sec-WebSocket-Version: 13'")]
    Version,
    /// `Sec-WebSocket-Key` is not 16 octets in base64.
    #[error("Sec-WebSocket-Key must be 16 octets in base64")]
    Key,
    /// A browser's page that is not allowed.
    #[error("Pages of this origin may not connect; see 'allowed_origins' in the router's configuration")]
    Origin,
    /// None of the client's subprotocols is enabled, or it named none.
    #[error("None of the WebSocket subprotocols in Sec-WebSocket-Protocol is supported")]
    Subprotocol,
}

impl Rejection {
    /// The HTTP status of the response.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::HttpVersion => 505,
            Self::NoUpgrade | Self::Version => 426,
            Self::Host | Self::Key | Self::Subprotocol => 400,
            Self::Origin => 403,
        }
    }
}
