//! What both sides agree on in the handshake (RFC 7692 section 7.1).

use std::fmt;

use super::WindowBits;
use crate::frame::http::Headers;

/// The extension's name.
const NAME: &[u8] = b"permessage-deflate";

/// The windows that can be asked for; those of [`WindowBits`] and one more.
const BITS: std::ops::RangeInclusive<u8> = 8..=15;

/// How a listener compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// The largest window that the server uses.
    pub window: WindowBits,
    /// Whether clients are told not to refer to earlier messages, so that nothing is held for them in between.
    pub client_no_context_takeover: bool,
    /// The largest window that clients are to use, as far as they can be told.
    pub client_window: WindowBits,
}

/// The largest windows, no context takeover.
impl Default for Compression {
    fn default() -> Self {
        Self {
            window: WindowBits::LARGEST,
            client_no_context_takeover: true,
            client_window: WindowBits::LARGEST,
        }
    }
}

/// What was agreed on with one client. Its `Display` is the value of the response's `Sec-WebSocket-Extensions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// The window of what the server sends.
    pub window: WindowBits,
    /// Whether the client does not refer to earlier messages.
    pub client_no_context_takeover: bool,
    /// What the client's messages need at most.
    pub client_window: WindowBits,
    /// What the response says of the client's window.
    client_max_window_bits: Option<u8>,
    /// Whether the response says something of the server's.
    names_window: bool,
}

impl Compression {
    /// The first of a client's offers that can be accepted.
    #[must_use]
    pub(in crate::frame::websocket) fn accept(&self, headers: Headers<'_, '_>) -> Option<Agreed> {
        let mut offers = headers.list("sec-websocket-extensions").filter_map(|extension| {
            let mut parts = extension.split(|&octet| octet == b';').map(<[u8]>::trim_ascii);
            (parts.next() == Some(NAME)).then_some(parts)
        });
        offers.find_map(|parameters| self.agree(&Offer::read(parameters)?))
    }

    fn agree(&self, offer: &Offer) -> Option<Agreed> {
        let window = match offer.server_max_window_bits {
            // That leaves out the 8, which zlib cannot do.
            Some(bits) => WindowBits::new(bits)?.min(self.window),
            None => self.window,
        };
        let client_max_window_bits = offer
            .client_max_window_bits
            .map(|bits| bits.min(self.client_window.get()));
        Some(Agreed {
            window,
            client_no_context_takeover: self.client_no_context_takeover || offer.client_no_context_takeover,
            // Inflating what needs less takes no more than a larger window.
            client_window: client_max_window_bits.map_or(WindowBits::LARGEST, |bits| {
                WindowBits::new(bits).unwrap_or(WindowBits::SMALLEST)
            }),
            client_max_window_bits,
            names_window: offer.server_max_window_bits.is_some() || window < WindowBits::LARGEST,
        })
    }
}

impl fmt::Display for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("permessage-deflate; server_no_context_takeover")?;
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if self.names_window {
            write!(f, "; server_max_window_bits={}", self.window.get())?;
        }
        match self.client_max_window_bits {
            Some(bits) => write!(f, "; client_max_window_bits={bits}"),
            None => Ok(()),
        }
    }
}

/// What a client offers. That the server need not take its context over is no news to us.
#[derive(Clone, Copy, Debug, Default)]
struct Offer {
    client_no_context_takeover: bool,
    server_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// Present: the client can be told its window. Without a value it is the largest.
    client_max_window_bits: Option<u8>,
}

impl Offer {
    /// `None` if there is a parameter that is not known, is there twice, or has a wrong value: such an offer must be
    /// declined (section 7.1).
    fn read<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut offer = Self::default();
        for parameter in parameters {
            let mut parts = parameter
                .splitn(2, |&octet| octet == b'=')
                .map(<[u8]>::trim_ascii);
            let (name, value) = (parts.next()?, parts.next());
            let is_new = match (name, value) {
                (b"server_no_context_takeover", None) => {
                    !std::mem::replace(&mut offer.server_no_context_takeover, true)
                }
                (b"client_no_context_takeover", None) => {
                    !std::mem::replace(&mut offer.client_no_context_takeover, true)
                }
                (b"server_max_window_bits", Some(value)) => {
                    offer.server_max_window_bits.replace(bits(value)?).is_none()
                }
                (b"client_max_window_bits", Some(value)) => {
                    offer.client_max_window_bits.replace(bits(value)?).is_none()
                }
                (b"client_max_window_bits", None) => {
                    let largest = WindowBits::LARGEST.get();
                    offer.client_max_window_bits.replace(largest).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(offer)
    }
}

/// A decimal number without leading zeros, perhaps in quotes.
fn bits(value: &[u8]) -> Option<u8> {
    let quoted = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let text = str::from_utf8(quoted.unwrap_or(value)).ok()?;
    let bits = text.parse().ok().filter(|bits| BITS.contains(bits))?;
    (bits.to_string() == text).then_some(bits)
}
