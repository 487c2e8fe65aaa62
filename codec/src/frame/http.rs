//! The head of an HTTP/1.1 request or response, as slices of the receive buffer.
//!
//! It is read far enough to tell a WebSocket upgrade from a request for somebody else, to whom the connection
//! is then handed over together with the bytes read so far. Bodies are not looked at.

#[cfg(test)]
mod tests;

use bytes::Bytes;
pub use httparse::Header;

/// How many headers a head may have.
pub const MAX_HEADERS: usize = 64;

/// How many octets a head may have, cookies included.
pub const MAX_HEAD: usize = 16 * 1024;

/// The value of the `Server` header, unless the configuration hides the version.
pub const SERVER: &str = concat!("Crosspoint/", env!("CARGO_PKG_VERSION"));

/// Where the parser puts the headers; start from [`NO_HEADERS`].
pub type HeaderStorage<'buf> = [Header<'buf>; MAX_HEADERS];

/// An empty [`HeaderStorage`].
pub const NO_HEADERS: HeaderStorage<'static> = [httparse::EMPTY_HEADER; MAX_HEADERS];

/// Why a head cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// More than [`MAX_HEAD`] octets or [`MAX_HEADERS`] headers.
    #[error("the header section is too large: at most {MAX_HEAD} octets and {MAX_HEADERS} fields")]
    TooLarge,
    /// Not HTTP/1.
    #[error("not an HTTP/1.1 message: {0}")]
    Malformed(httparse::Error),
}

impl HeadError {
    /// The HTTP status to answer a request with.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TooLarge => 431,
            Self::Malformed(_) => 400,
        }
    }
}

/// The header fields of a head.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'head, 'buf>(&'head [Header<'buf>]);

impl<'head, 'buf> Headers<'head, 'buf> {
    /// All fields, in the order received.
    #[must_use]
    pub const fn as_slice(self) -> &'head [Header<'buf>] {
        self.0
    }

    /// The values of all fields called `name`, whatever its case.
    pub fn all(self, name: &str) -> impl Iterator<Item = &'buf [u8]> + use<'head, 'buf, '_> {
        self.0
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// The value of the only field called `name`; `None` if it is absent or there are several.
    #[must_use]
    pub fn single(self, name: &str) -> Option<&'buf [u8]> {
        let mut values = self.all(name);
        values
            .next()
            .filter(|_| values.next().is_none())
            .map(<[u8]>::trim_ascii)
    }

    /// The elements of the comma-separated list that all fields called `name` make up.
    pub fn list(self, name: &str) -> impl Iterator<Item = &'buf [u8]> + use<'head, 'buf, '_> {
        self.all(name)
            .flat_map(|value| value.split(|&octet| octet == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|element| !element.is_empty())
    }

    /// Whether that list has `token`, whatever its case.
    #[must_use]
    pub fn has_token(self, name: &str, token: &str) -> bool {
        self.list(name)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'head, 'buf> {
    /// The method, as sent.
    pub method: &'buf str,
    /// The request target, as sent: path and query, not decoded.
    pub target: &'buf str,
    /// The minor version of HTTP/1: 0 or 1.
    pub minor_version: u8,
    /// The header fields.
    pub headers: Headers<'head, 'buf>,
    /// Octets of the head; what follows in the buffer is a body or, after an upgrade, frames.
    pub len: usize,
}

impl<'head, 'buf> RequestHead<'head, 'buf> {
    /// Reads the head at the front of `buf`; `None` while it is incomplete.
    ///
    /// # Errors
    /// [`HeadError`], as soon as it is certain. Whether it is does not depend on how `buf` was filled.
    pub fn parse(
        buf: &'buf [u8],
        storage: &'head mut HeaderStorage<'buf>,
    ) -> Result<Option<Self>, HeadError> {
        let mut request = httparse::Request::new(storage);
        let Some(len) = complete(request.parse(within_limit(buf)), buf)? else {
            return Ok(None);
        };
        let httparse::Request {
            method,
            path,
            version,
            headers,
        } = request;
        let (Some(method), Some(target), Some(minor_version)) = (method, path, version) else {
            return Ok(None);
        };
        Ok(Some(Self {
            method,
            target,
            minor_version,
            headers: Headers(headers),
            len,
        }))
    }

    /// The path of the target: without the query and, should the client have written it as to a proxy
    /// (RFC 9112 section 3.2.2), without scheme and host.
    #[must_use]
    pub fn path(&self) -> &'buf str {
        let target = self
            .target
            .split_once('?')
            .map_or(self.target, |(target, _)| target);
        match target.split_once("://") {
            Some(("http" | "https" | "ws" | "wss", rest)) => {
                rest.find('/').map_or("/", |slash| &rest[slash..])
            }
            _ => target,
        }
    }

    /// The query without its question mark, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&'buf str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Whether the client asks for WebSocket, rightly or not.
    #[must_use]
    pub fn is_websocket_upgrade(&self) -> bool {
        self.headers.has_token("upgrade", "websocket")
    }
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'head, 'buf> {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers<'head, 'buf>,
    /// Octets of the head; what follows in the buffer is a body or, after an upgrade, frames.
    pub len: usize,
}

impl<'head, 'buf> ResponseHead<'head, 'buf> {
    /// Reads the head at the front of `buf`; `None` while it is incomplete.
    ///
    /// # Errors
    /// [`HeadError`], as soon as it is certain.
    pub fn parse(
        buf: &'buf [u8],
        storage: &'head mut HeaderStorage<'buf>,
    ) -> Result<Option<Self>, HeadError> {
        let mut response = httparse::Response::new(storage);
        let Some(len) = complete(response.parse(within_limit(buf)), buf)? else {
            return Ok(None);
        };
        let httparse::Response {
            code: Some(status),
            headers,
            ..
        } = response
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            status,
            headers: Headers(headers),
            len,
        }))
    }
}

/// A complete response with a text, after which the connection is closed. `fields` are further header fields,
/// which must not contain line breaks.
#[must_use]
pub fn text_response(status: u16, server: &str, fields: &[(&str, &str)], text: &str) -> Bytes {
    let mut out = String::with_capacity(256 + text.len());
    push_status(&mut out, status);
    push_field(&mut out, "Server", server);
    push_field(&mut out, "Content-Type", "text/plain; charset=utf-8");
    push_field(&mut out, "Content-Length", &text.len().to_string());
    push_field(&mut out, "Connection", "close");
    for (name, value) in fields {
        push_field(&mut out, name, value);
    }
    out.push_str("\r\n");
    out.push_str(text);
    out.into()
}

pub(super) fn push_status(out: &mut String, status: u16) {
    out.push_str("HTTP/1.1 ");
    out.push_str(&status.to_string());
    out.push(' ');
    out.push_str(reason_phrase(status));
    out.push_str("\r\n");
}

pub(super) fn push_field(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str(": ");
    out.push_str(value);
    out.push_str("\r\n");
}

/// The phrase for a status that is answered without help of an HTTP server; it means nothing to programs.
const fn reason_phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

/// What of `buf` may be a head. Nothing behind the limit is looked at, so that a head that goes beyond it is
/// too large, whatever is wrong further on.
fn within_limit(buf: &[u8]) -> &[u8] {
    &buf[..buf.len().min(MAX_HEAD)]
}

fn complete(
    parsed: Result<httparse::Status<usize>, httparse::Error>,
    buf: &[u8],
) -> Result<Option<usize>, HeadError> {
    match parsed {
        Ok(httparse::Status::Complete(len)) => Ok(Some(len)),
        Ok(httparse::Status::Partial) if buf.len() >= MAX_HEAD => Err(HeadError::TooLarge),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooLarge),
        Err(error) => Err(HeadError::Malformed(error)),
    }
}
