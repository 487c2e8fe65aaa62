//! permessage-deflate (RFC 7692): messages compressed one by one.
//!
//! # Invariants
//! - What we send never refers to earlier messages (`server_no_context_takeover`, whether or not the peer asks for
//!   it), so that one compressed frame serves all receivers that agreed on a window.
//! - What has come of a message is held as it came. While a whole one is inflated it never takes more memory, besides, than
//!   the longest message that is allowed.
//! - Between messages nothing is held for a connection, unless its client may refer to earlier messages.

mod deflater;
mod inflate;
mod negotiate;
#[cfg(test)]
mod tests;

use std::num::NonZeroU8;

pub use deflater::Deflater;
pub(super) use inflate::Inflate;
pub use negotiate::{Agreed, Compression};

/// What a compressor ends a message with, and the sender leaves out (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Octets that a message of `len` octets has at most when it is compressed, even by the clumsiest means: a fixed code of
/// up to nine bits for each octet.
pub(super) const fn deflate_bound(len: usize) -> usize {
    /// Blocks that say nothing but that the message or a fragment ends.
    const ENDS: usize = 64;
    len.saturating_add(len / 8).saturating_add(ENDS)
}

/// How far back compressed data may refer, as the power of two: 9 to 15. (The 8 that the RFC also has is what zlib
/// cannot do for a sender.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowBits(NonZeroU8);

impl WindowBits {
    /// 512 octets.
    pub const SMALLEST: Self = Self(NonZeroU8::new(9).expect("not zero"));
    /// 32 KiB, which everybody must understand.
    pub const LARGEST: Self = Self(NonZeroU8::new(15).expect("not zero"));

    /// `None` outside of 9 to 15.
    #[must_use]
    pub fn new(bits: u8) -> Option<Self> {
        let bits = NonZeroU8::new(bits).map(Self)?;
        (Self::SMALLEST..=Self::LARGEST).contains(&bits).then_some(bits)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}
