//! The client's side of the upgrade.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use crosspoint_core::payload::Format;
use tungstenite::handshake::derive_accept_key;

use crate::frame::http::{HeadError, NO_HEADERS, ResponseHead, push_field};
use crate::frame::websocket::{format_of, subprotocol};

/// A client that has asked for an upgrade, or is about to.
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    key: String,
    formats: Vec<Format>,
}

/// The connection is a WebSocket connection now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Established {
    /// The serializer of the subprotocol that the server chose.
    pub format: Format,
}

/// Why it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// The response is no HTTP response.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// Any status but 101; the body, still in the buffer, may say more.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// `Upgrade` or `Connection` does not confirm the upgrade.
    #[error("the server did not confirm the upgrade")]
    NoUpgrade,
    /// `Sec-WebSocket-Accept` does not belong to our key.
    #[error("the server's Sec-WebSocket-Accept does not fit the key")]
    AcceptKey,
    /// An extension, though none was asked for.
    #[error("the server uses an extension that was not asked for")]
    Extension,
    /// A subprotocol that was not asked for, or none.
    #[error("the server chose a subprotocol that was not asked for")]
    Subprotocol,
}

impl ClientHandshake {
    /// A client that prefers the serializers in this order. `nonce` is to be random.
    #[must_use]
    pub fn new(nonce: [u8; 16], formats: Vec<Format>) -> Self {
        Self {
            key: STANDARD.encode(nonce),
            formats,
        }
    }

    /// The request for `target` (path and query) at `host` (name and port). `fields` are further header
    /// fields, such as `Origin`. None of them must contain line breaks.
    #[must_use]
    pub fn request(&self, host: &str, target: &str, fields: &[(&str, &str)]) -> Bytes {
        let names: Vec<_> = self.formats.iter().map(|&format| subprotocol(format)).collect();
        let mut out = format!("GET {target} HTTP/1.1\r\n");
        push_field(&mut out, "Host", host);
        push_field(&mut out, "Upgrade", "websocket");
        push_field(&mut out, "Connection", "Upgrade");
        push_field(&mut out, "Sec-WebSocket-Version", "13");
        push_field(&mut out, "Sec-WebSocket-Key", &self.key);
        push_field(&mut out, "Sec-WebSocket-Protocol", &names.join(", "));
        for (name, value) in fields {
            push_field(&mut out, name, value);
        }
        out.push_str("\r\n");
        out.into()
    }

    /// Takes the head of the server's response off the front of `buf` and checks it (RFC 6455 section 4.1);
    /// `None` while it is incomplete. What stays are the server's first frames.
    ///
    /// # Errors
    /// [`UpgradeError`].
    pub fn read_response(&self, buf: &mut BytesMut) -> Result<Option<Established>, UpgradeError> {
        let mut storage = NO_HEADERS;
        let Some(head) = ResponseHead::parse(buf, &mut storage)? else {
            return Ok(None);
        };
        let (len, checked) = (head.len, self.check(&head));
        buf.advance(len);
        checked.map(Some)
    }

    fn check(&self, head: &ResponseHead<'_, '_>) -> Result<Established, UpgradeError> {
        let headers = head.headers;
        if head.status != 101 {
            return Err(UpgradeError::Status(head.status));
        }
        if !headers.has_token("upgrade", "websocket") || !headers.has_token("connection", "upgrade") {
            return Err(UpgradeError::NoUpgrade);
        }
        let expected = derive_accept_key(self.key.as_bytes());
        if headers.single("sec-websocket-accept") != Some(expected.as_bytes()) {
            return Err(UpgradeError::AcceptKey);
        }
        if headers.list("sec-websocket-extensions").next().is_some() {
            return Err(UpgradeError::Extension);
        }
        let format = headers
            .single("sec-websocket-protocol")
            .and_then(|name| format_of(name, &self.formats))
            .ok_or(UpgradeError::Subprotocol)?;
        Ok(Established { format })
    }
}
