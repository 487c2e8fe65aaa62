//! From the first octet of a connection to the transport that it asks for.
//!
//! One port serves all: `0x7F` begins a RawSocket handshake, and no HTTP request. Nothing here does I/O.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use crosspoint_codec::frame::http::{self, MAX_HEAD, NO_HEADERS, RequestHead};
use crosspoint_codec::frame::rawsocket::{self, HandshakeError, Refusal};
use crosspoint_codec::frame::websocket::deflate::{Deflater, WindowBits};
use crosspoint_codec::frame::websocket::{Decoder, Role, Subprotocol};
use crosspoint_core::config::Access;
use crosspoint_core::payload::Format;

use crate::batches::Batches;
use crate::echo::Echo;
use crate::protocol::Protocol;
use crate::spec::{HttpSpec, ListenerSpec, RawSocketSpec, WebSocketSpec};

/// Why a connection is refused whatever it asks for.
const NO_ROOM: &str = "The router has as many connections as it takes";

/// What to do with a connection that has sent something.
#[derive(Debug)]
pub(crate) enum Opening {
    /// Read on.
    Incomplete,
    /// Answer, and it is open.
    Open(Box<Opened>),
    /// Answer, and send back what comes.
    Echo(Box<Echo>),
    /// Answer, with nothing perhaps, and close.
    Refuse(Bytes),
    /// An HTTP request for somebody else; all that was received is still in the buffer.
    HandOff,
}

/// A connection whose handshake is in order.
#[derive(Debug)]
pub(crate) struct Opened {
    /// What to send first.
    pub(crate) reply: Bytes,
    pub(crate) protocol: Protocol,
    pub(crate) format: Format,
    pub(crate) access: Arc<Access>,
    /// Set if the peer takes compressed messages, and with which window.
    pub(crate) deflate: Option<WindowBits>,
    /// The longest message that the peer takes, in bytes.
    pub(crate) peer_max_bytes: usize,
    /// Set on WebSocket.
    pub(crate) websocket: Option<Arc<WebSocketSpec>>,
}

/// Looks at what one connection has sent so far.
#[derive(Debug)]
pub(crate) struct Opener<'s> {
    listener: &'s ListenerSpec,
    /// Whether there is a place for this connection.
    admitted: bool,
    /// Whether there is somebody to hand connections to.
    hands_off: bool,
    /// Octets that were looked at.
    seen: usize,
}

impl<'s> Opener<'s> {
    pub(crate) fn new(listener: &'s ListenerSpec, admitted: bool, hands_off: bool) -> Self {
        Self {
            listener,
            admitted,
            hands_off,
            seen: 0,
        }
    }

    /// To be called whenever something was appended to `buf`. When the connection is open, what remains in
    /// `buf` are its first frames.
    pub(crate) fn look(&mut self, buf: &mut BytesMut) -> Opening {
        let first = buf.first().copied();
        match (first, &self.listener.rawsocket, &self.listener.http) {
            (None, ..) => Opening::Incomplete,
            (Some(rawsocket::MAGIC), Some(spec), _) => self.look_at_rawsocket(spec, buf),
            (Some(first), _, Some(spec)) if first != rawsocket::MAGIC => self.look_at_http(spec, buf),
            // There is no answer that the peer would understand.
            _ => Opening::Refuse(Bytes::new()),
        }
    }

    /// What to answer where a handshake was in order, but nothing is left to go on with.
    pub(crate) fn no_room(&self, is_http: bool) -> Bytes {
        match &self.listener.http {
            Some(spec) if is_http => http_refusal(spec, 503, NO_ROOM),
            _ => Bytes::copy_from_slice(&Refusal::MaxConnections.reply()),
        }
    }

    fn look_at_rawsocket(&self, spec: &RawSocketSpec, buf: &mut BytesMut) -> Opening {
        let refuse = |refusal: Refusal| Opening::Refuse(Bytes::copy_from_slice(&refusal.reply()));
        match rawsocket::accept(buf, &spec.formats, spec.max_message) {
            Ok(None) => Opening::Incomplete,
            Ok(Some(_)) if !self.admitted => refuse(Refusal::MaxConnections),
            Ok(Some(accepted)) => Opening::Open(Box::new(Opened {
                reply: Bytes::copy_from_slice(&accepted.reply),
                protocol: Protocol::RawSocket(rawsocket::Decoder::new(spec.max_message)),
                format: accepted.format,
                deflate: None,
                access: Arc::clone(&spec.access),
                peer_max_bytes: accepted.peer_max.octets(),
                websocket: None,
            })),
            Err(HandshakeError::Refused(refusal)) => refuse(refusal),
            Err(_) => Opening::Refuse(Bytes::new()),
        }
    }

    fn look_at_http(&mut self, spec: &HttpSpec, buf: &mut BytesMut) -> Opening {
        let seen = std::mem::replace(&mut self.seen, buf.len());
        // A head that comes in many small pieces is parsed at the ends of lines only.
        if seen > 0 && buf.len() < MAX_HEAD && !buf[seen..].contains(&b'\n') {
            return Opening::Incomplete;
        }
        let mut storage = NO_HEADERS;
        let head = match RequestHead::parse(buf, &mut storage) {
            Ok(Some(head)) => head,
            Ok(None) => return Opening::Incomplete,
            Err(error) => return refuse_http(spec, error.status(), &error.to_string()),
        };
        if !self.admitted {
            return refuse_http(spec, 503, NO_ROOM);
        }
        let websocket = spec.route(head.path()).and_then(|route| route.websocket.as_ref());
        match websocket {
            Some(websocket) if head.is_websocket_upgrade() || !self.hands_off => {
                let (len, opening) = (head.len, upgrade(websocket, &head));
                if matches!(opening, Opening::Open(_) | Opening::Echo(_)) {
                    let _head = buf.split_to(len);
                }
                opening
            }
            _ if self.hands_off => Opening::HandOff,
            _ => refuse_http(spec, 404, "There is nothing at this address"),
        }
    }
}

fn upgrade(websocket: &Arc<WebSocketSpec>, head: &RequestHead<'_, '_>) -> Opening {
    if websocket.testee {
        return upgrade_testee(websocket, head);
    }
    match websocket.upgrade.accept(head) {
        Ok(accepted) => {
            let Subprotocol { format, batched } = accepted.subprotocol;
            let mut decoder = Decoder::new(Role::Server, websocket.max_message_size).for_format(format);
            let deflate = accepted.upgraded.deflate;
            if let Some(agreed) = &deflate {
                decoder = decoder.with_deflate(agreed);
            }
            Opening::Open(Box::new(Opened {
                reply: websocket.upgrade.response(&accepted, &[]),
                protocol: if batched {
                    Protocol::Batched(Box::new(Batches::new(decoder, format)))
                } else {
                    Protocol::WebSocket(decoder)
                },
                format,
                deflate: deflate.map(|agreed| agreed.window),
                access: Arc::clone(&websocket.access),
                peer_max_bytes: usize::MAX,
                websocket: Some(Arc::clone(websocket)),
            }))
        }
        Err(rejection) => Opening::Refuse(websocket.upgrade.reject(rejection)),
    }
}

fn upgrade_testee(websocket: &Arc<WebSocketSpec>, head: &RequestHead<'_, '_>) -> Opening {
    match websocket.upgrade.accept_bare(head) {
        Ok(upgraded) => {
            let mut decoder = Decoder::new(Role::Server, websocket.max_message_size);
            if let Some(agreed) = &upgraded.deflate {
                decoder = decoder.with_deflate(agreed);
            }
            Opening::Echo(Box::new(Echo {
                reply: websocket.upgrade.bare_response(&upgraded),
                decoder,
                deflater: upgraded.deflate.map(|agreed| Deflater::new(agreed.window)),
                websocket: Arc::clone(websocket),
            }))
        }
        Err(rejection) => Opening::Refuse(websocket.upgrade.reject(rejection)),
    }
}

fn refuse_http(spec: &HttpSpec, status: u16, text: &str) -> Opening {
    Opening::Refuse(http_refusal(spec, status, text))
}

fn http_refusal(spec: &HttpSpec, status: u16, text: &str) -> Bytes {
    http::text_response(status, &spec.server, &[], &format!("{text}.\n"))
}

#[cfg(test)]
#[path = "opening_tests.rs"]
mod tests;
