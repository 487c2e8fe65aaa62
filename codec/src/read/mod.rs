//! Pull readers: one value of a serializer after the other, without building anything.
//!
//! What hands over a [`Token`] is inlined into its few callers, and the token has a tag of a word's size: a token
//! that goes through memory in pieces of other sizes than it is read in took half of the time of a transcoding.

mod cbor;
mod json;
mod msgpack;
#[cfg(test)]
mod tests;
mod ubjson;

use std::borrow::Cow;

pub(crate) use cbor::{CborReader, major};
use crosspoint_core::payload::Format;
pub(crate) use json::JsonReader;
pub(crate) use msgpack::MsgPackReader;
pub(crate) use ubjson::{BjDataReader, UbJsonReader, marker};

use crate::error::Malformed;

/// A scalar, or the beginning of a list or dictionary.
#[derive(Debug, PartialEq)]
#[repr(u64)]
pub(crate) enum Token<'a, S> {
    /// Also CBOR undefined and MessagePack ext 0, with which clients mean "absent".
    Null,
    Bool(bool),
    Int(i64),
    /// Above `i64::MAX`.
    UInt(u64),
    Float(f64),
    /// Borrowed unless JSON escapes or CBOR chunks stand between the input and the text.
    Str(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// Items follow; ask [`Reader::more`] before each.
    List(S),
    /// Entries follow; ask [`Reader::more`] before each, then read [`Reader::key`] and a value.
    Map(S),
}

/// The tokens of a reader.
pub(crate) type TokenOf<'a, R> = Token<'a, <R as Reader<'a>>::Scope>;

/// What [`Reader::pass`] answers for a reader.
pub(crate) type PassedOf<'a, R> = Passed<<R as Reader<'a>>::Scope>;

/// What a container's keys may be.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Keys {
    /// Text only, as WAMP requires of its own dictionaries and of `ArgumentsKw`.
    Text,
    /// Anything, as applications may use inside.
    Any,
}

/// Reads one serializer. All positions are offsets into the input.
pub(crate) trait Reader<'a>: Sized {
    /// The serializer.
    const FORMAT: Format;

    /// What is left of a list or dictionary.
    type Scope: Copy;

    /// Where the next value begins.
    fn start(&mut self) -> usize;

    /// The first byte that was not read.
    fn position(&self) -> usize;

    /// Reads a scalar, or the beginning of a list or dictionary.
    fn token(&mut self) -> Result<TokenOf<'a, Self>, Malformed>;

    /// Whether another item or entry follows in `scope`; leaves the container when none does.
    fn more(&mut self, scope: &mut Self::Scope) -> Result<bool, Malformed>;

    /// Succeeds if nothing but insignificant space is left.
    fn finish(&mut self) -> Result<(), Malformed>;

    /// Reads a key of a dictionary, or the beginning of one that is a container.
    #[inline(always)]
    fn key(&mut self) -> Result<TokenOf<'a, Self>, Malformed> {
        self.token()
    }

    /// Like [`Reader::token`], but only checks scalars.
    #[inline(always)]
    fn pass(&mut self) -> Result<PassedOf<'a, Self>, Malformed> {
        self.token().map(|token| Passed::from(&token))
    }

    /// Like [`Reader::key`], but only checks scalars.
    #[inline(always)]
    fn pass_key(&mut self) -> Result<PassedOf<'a, Self>, Malformed> {
        self.pass()
    }

    /// Reads a whole value that has at most `depth` levels.
    fn skip(&mut self, depth: u8) -> Result<(), Malformed> {
        let passed = self.pass()?;
        self.skip_inside(passed, depth)
    }

    /// Reads what is inside of a value whose beginning was read.
    #[inline(always)]
    fn skip_inside(&mut self, passed: PassedOf<'a, Self>, depth: u8) -> Result<(), Malformed> {
        match passed {
            Passed::Text | Passed::Scalar => Ok(()),
            Passed::List(scope) => self.skip_list(scope, depth).map(drop),
            Passed::Map(scope) => self.skip_map(scope, Keys::Any, depth).map(drop),
        }
    }

    /// Reads the rest of a list, and counts the items.
    fn skip_list(&mut self, mut scope: Self::Scope, depth: u8) -> Result<usize, Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed::Depth)?;
        let mut count = 0;
        while self.more(&mut scope)? {
            self.skip(depth)?;
            count += 1;
        }
        Ok(count)
    }

    /// Reads the rest of a dictionary, and counts the entries.
    fn skip_map(&mut self, mut scope: Self::Scope, keys: Keys, depth: u8) -> Result<usize, Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed::Depth)?;
        let mut count = 0;
        while self.more(&mut scope)? {
            match self.pass_key()? {
                Passed::Text => {}
                _ if keys == Keys::Text => return Err(Malformed::Key),
                Passed::Scalar => {}
                container => self.skip_key(container, depth)?,
            }
            self.skip(depth)?;
            count += 1;
        }
        Ok(count)
    }

    /// Reads the rest of a key, of which a container may be the beginning. It has no such keys itself: where keys are
    /// text it is one in quotes, and each level of such keys would double what quotes are escaped with.
    #[cold]
    #[inline(never)]
    fn skip_key(&mut self, passed: PassedOf<'a, Self>, depth: u8) -> Result<(), Malformed> {
        let (mut scope, is_map) = match passed {
            Passed::Text | Passed::Scalar => return Ok(()),
            Passed::List(scope) => (scope, false),
            Passed::Map(scope) => (scope, true),
        };
        let depth = depth.checked_sub(1).ok_or(Malformed::Depth)?;
        while self.more(&mut scope)? {
            if is_map && !matches!(self.pass_key()?, Passed::Text | Passed::Scalar) {
                return Err(Malformed::KeyInKey);
            }
            let value = self.pass()?;
            self.skip_key(value, depth)?;
        }
        Ok(())
    }
}

/// A [`Token`] of which only the kind matters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Passed<S> {
    Text,
    Scalar,
    List(S),
    Map(S),
}

impl<S: Copy> From<&Token<'_, S>> for Passed<S> {
    #[inline(always)]
    fn from(token: &Token<'_, S>) -> Self {
        match token {
            Token::Str(_) => Self::Text,
            Token::List(scope) => Self::List(*scope),
            Token::Map(scope) => Self::Map(*scope),
            _ => Self::Scalar,
        }
    }
}

/// An integer as a token: [`Token::UInt`] only where [`Token::Int`] cannot hold it.
fn unsigned<'a, S>(value: u64) -> Token<'a, S> {
    i64::try_from(value).map_or(Token::UInt(value), Token::Int)
}

/// The value of a half-precision float (IEEE 754 binary16).
fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 0 { magnitude } else { -magnitude }
}

/// The bytes of a binary serializer and how far they were read.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = *self.bytes.get(self.at).ok_or(Malformed::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let bytes = *rest.first_chunk().ok_or(Malformed::Truncated)?;
        self.at += N;
        Ok(bytes)
    }

    /// The length is the sender's word, and so compared with what is there before anything else.
    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
        let taken = rest.get(..length).ok_or(Malformed::Truncated)?;
        self.at += length;
        Ok(taken)
    }

    fn text(&mut self, length: u64) -> Result<&'a str, Malformed> {
        simdutf8::basic::from_utf8(self.take(length)?).map_err(|_| Malformed::Utf8)
    }

    fn finish(&self) -> Result<(), Malformed> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(Malformed::Trailing)
        }
    }
}
