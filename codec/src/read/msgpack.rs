//! Reads MessagePack.

use std::borrow::Cow;

use crosspoint_core::payload::Format;
use rmp::Marker;

use super::{Cursor, Reader, unsigned};
use crate::error::Malformed;

/// Lists and dictionaries begin with their length: what is left are items or entries.
type Token<'a> = super::Token<'a, u64>;

/// The extension type of timestamps.
const TIMESTAMP: i8 = -1;

/// A reader over one input.
///
/// Extensions have no equivalent in the other serializers: a timestamp reads as its number of seconds, type 0
/// with one byte as null (JavaScript's undefined), every other as a byte string without its type.
pub(crate) struct MsgPackReader<'a> {
    cursor: Cursor<'a>,
}

impl<'a> MsgPackReader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(input),
        }
    }

    fn u8(&mut self) -> Result<u64, Malformed> {
        self.cursor.byte().map(u64::from)
    }

    fn u16(&mut self) -> Result<u64, Malformed> {
        self.cursor.array().map(|bytes| u16::from_be_bytes(bytes).into())
    }

    fn u32(&mut self) -> Result<u64, Malformed> {
        self.cursor.array().map(|bytes| u32::from_be_bytes(bytes).into())
    }

    fn text(&mut self, length: u64) -> Result<Token<'a>, Malformed> {
        self.cursor
            .text(length)
            .map(|text| Token::Str(Cow::Borrowed(text)))
    }

    fn binary(&mut self, length: u64) -> Result<Token<'a>, Malformed> {
        self.cursor
            .take(length)
            .map(|bytes| Token::Bytes(Cow::Borrowed(bytes)))
    }

    fn extension(&mut self, length: u64) -> Result<Token<'a>, Malformed> {
        let [kind] = self.cursor.array()?;
        let data = self.cursor.take(length)?;
        match (kind as i8, data.len()) {
            (0, 1) => Ok(Token::Null),
            (TIMESTAMP, _) => Ok(timestamp(data).unwrap_or(Token::Bytes(Cow::Borrowed(data)))),
            _ => Ok(Token::Bytes(Cow::Borrowed(data))),
        }
    }
}

/// The seconds since 1970 of a timestamp's three encodings; with a fraction where it has one.
fn timestamp<'a>(data: &[u8]) -> Option<Token<'a>> {
    let (seconds, nanoseconds) = match data.len() {
        4 => (i64::from(u32::from_be_bytes(data.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            ((both & 0x3_ffff_ffff) as i64, (both >> 34) as u32)
        }
        12 => {
            let (nanoseconds, seconds) = data.split_first_chunk()?;
            let seconds = i64::from_be_bytes(seconds.try_into().ok()?);
            (seconds, u32::from_be_bytes(*nanoseconds))
        }
        _ => return None,
    };
    Some(if nanoseconds == 0 {
        Token::Int(seconds)
    } else {
        Token::Float(seconds as f64 + f64::from(nanoseconds) / 1e9)
    })
}

impl<'a> Reader<'a> for MsgPackReader<'a> {
    const FORMAT: Format = Format::MsgPack;

    type Scope = u64;

    fn start(&mut self) -> usize {
        self.cursor.at
    }

    fn position(&self) -> usize {
        self.cursor.at
    }

    #[inline(always)]
    fn token(&mut self) -> Result<Token<'a>, Malformed> {
        match Marker::from_u8(self.cursor.byte()?) {
            Marker::Null => Ok(Token::Null),
            Marker::False => Ok(Token::Bool(false)),
            Marker::True => Ok(Token::Bool(true)),
            Marker::FixPos(value) => Ok(Token::Int(value.into())),
            Marker::FixNeg(value) => Ok(Token::Int(value.into())),
            Marker::U8 => self.u8().map(unsigned),
            Marker::U16 => self.u16().map(unsigned),
            Marker::U32 => self.u32().map(unsigned),
            Marker::U64 => self
                .cursor
                .array()
                .map(|bytes| unsigned(u64::from_be_bytes(bytes))),
            Marker::I8 => self
                .cursor
                .array()
                .map(|bytes| Token::Int(i8::from_be_bytes(bytes).into())),
            Marker::I16 => self
                .cursor
                .array()
                .map(|bytes| Token::Int(i16::from_be_bytes(bytes).into())),
            Marker::I32 => self
                .cursor
                .array()
                .map(|bytes| Token::Int(i32::from_be_bytes(bytes).into())),
            Marker::I64 => self
                .cursor
                .array()
                .map(|bytes| Token::Int(i64::from_be_bytes(bytes))),
            Marker::F32 => self
                .cursor
                .array()
                .map(|bytes| Token::Float(f32::from_be_bytes(bytes).into())),
            Marker::F64 => self
                .cursor
                .array()
                .map(|bytes| Token::Float(f64::from_be_bytes(bytes))),
            Marker::FixStr(length) => self.text(length.into()),
            Marker::Str8 => self.u8().and_then(|length| self.text(length)),
            Marker::Str16 => self.u16().and_then(|length| self.text(length)),
            Marker::Str32 => self.u32().and_then(|length| self.text(length)),
            Marker::Bin8 => self.u8().and_then(|length| self.binary(length)),
            Marker::Bin16 => self.u16().and_then(|length| self.binary(length)),
            Marker::Bin32 => self.u32().and_then(|length| self.binary(length)),
            Marker::FixArray(length) => Ok(Token::List(length.into())),
            Marker::Array16 => self.u16().map(Token::List),
            Marker::Array32 => self.u32().map(Token::List),
            Marker::FixMap(length) => Ok(Token::Map(length.into())),
            Marker::Map16 => self.u16().map(Token::Map),
            Marker::Map32 => self.u32().map(Token::Map),
            Marker::FixExt1 => self.extension(1),
            Marker::FixExt2 => self.extension(2),
            Marker::FixExt4 => self.extension(4),
            Marker::FixExt8 => self.extension(8),
            Marker::FixExt16 => self.extension(16),
            Marker::Ext8 => self.u8().and_then(|length| self.extension(length)),
            Marker::Ext16 => self.u16().and_then(|length| self.extension(length)),
            Marker::Ext32 => self.u32().and_then(|length| self.extension(length)),
            Marker::Reserved => Err(Malformed::Syntax("byte 0xc1, which MessagePack never uses")),
        }
    }

    fn more(&mut self, left: &mut u64) -> Result<bool, Malformed> {
        let more = *left > 0;
        *left = left.saturating_sub(1);
        Ok(more)
    }

    fn finish(&mut self) -> Result<(), Malformed> {
        self.cursor.finish()
    }
}
