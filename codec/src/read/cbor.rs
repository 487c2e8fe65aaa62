//! Reads CBOR.

use std::borrow::Cow;

use crosspoint_core::payload::Format;

use super::{Cursor, Reader, half, unsigned};
use crate::error::Malformed;

type Token<'a> = super::Token<'a, Scope>;

/// What is left of a list or dictionary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scope {
    /// This many items or entries.
    Counted(u64),
    /// Up to the break.
    Indefinite,
}

/// The byte that ends what has indefinite length.
const BREAK: u8 = 0xff;

/// Major types, the upper three bits of a value's first byte (RFC 8949, section 3.1).
pub(crate) mod major {
    pub(crate) const UNSIGNED: u8 = 0;
    pub(crate) const NEGATIVE: u8 = 1;
    pub(crate) const BYTES: u8 = 2;
    pub(crate) const TEXT: u8 = 3;
    pub(crate) const LIST: u8 = 4;
    pub(crate) const MAP: u8 = 5;
    pub(crate) const TAG: u8 = 6;
    pub(crate) const SIMPLE: u8 = 7;
}

/// The number that a value's first byte announces.
#[derive(Clone, Copy)]
enum Argument {
    Number(u64),
    Indefinite,
}

/// A reader over one input.
///
/// Tags have no equivalent in the other serializers: a tagged value reads as the value inside. Undefined and
/// the simple values without meaning read as null, half and single floats as doubles, integers below
/// `i64::MIN` as floats.
pub(crate) struct CborReader<'a> {
    cursor: Cursor<'a>,
}

impl<'a> CborReader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(input),
        }
    }

    /// Major type and the lower five bits of the next value's first byte, behind any tags.
    fn head(&mut self) -> Result<(u8, u8), Malformed> {
        loop {
            let first = self.cursor.byte()?;
            let (major, info) = (first >> 5, first & 0x1f);
            if major != major::TAG {
                return Ok((major, info));
            }
            self.number(info)?;
        }
    }

    fn argument(&mut self, info: u8) -> Result<Argument, Malformed> {
        let number = match info {
            0..24 => info.into(),
            24 => self.cursor.byte()?.into(),
            25 => u16::from_be_bytes(self.cursor.array()?).into(),
            26 => u32::from_be_bytes(self.cursor.array()?).into(),
            27 => u64::from_be_bytes(self.cursor.array()?),
            31 => return Ok(Argument::Indefinite),
            _ => return Err(Malformed::Syntax("a reserved CBOR length")),
        };
        Ok(Argument::Number(number))
    }

    fn number(&mut self, info: u8) -> Result<u64, Malformed> {
        match self.argument(info)? {
            Argument::Number(number) => Ok(number),
            Argument::Indefinite => Err(Malformed::Syntax("a CBOR number of indefinite length")),
        }
    }

    fn scope(&mut self, info: u8) -> Result<Scope, Malformed> {
        Ok(match self.argument(info)? {
            Argument::Number(number) => Scope::Counted(number),
            Argument::Indefinite => Scope::Indefinite,
        })
    }

    /// The definite length of the next chunk of a string of indefinite length, or `None` at its end.
    fn chunk(&mut self, major: u8) -> Result<Option<u64>, Malformed> {
        let first = self.cursor.byte()?;
        if first == BREAK {
            return Ok(None);
        }
        if first >> 5 != major {
            return Err(Malformed::Syntax("a CBOR chunk of another type than its string"));
        }
        self.number(first & 0x1f).map(Some)
    }

    #[inline(always)]
    fn text(&mut self, info: u8) -> Result<Cow<'a, str>, Malformed> {
        match self.argument(info)? {
            Argument::Number(length) => self.cursor.text(length).map(Cow::Borrowed),
            Argument::Indefinite => self.text_in_chunks().map(Cow::Owned),
        }
    }

    #[cold]
    fn text_in_chunks(&mut self) -> Result<String, Malformed> {
        let mut text = String::new();
        while let Some(length) = self.chunk(major::TEXT)? {
            text.push_str(self.cursor.text(length)?);
        }
        Ok(text)
    }

    fn binary(&mut self, info: u8) -> Result<Cow<'a, [u8]>, Malformed> {
        match self.argument(info)? {
            Argument::Number(length) => self.cursor.take(length).map(Cow::Borrowed),
            Argument::Indefinite => self.binary_in_chunks().map(Cow::Owned),
        }
    }

    #[cold]
    fn binary_in_chunks(&mut self) -> Result<Vec<u8>, Malformed> {
        let mut bytes = Vec::new();
        while let Some(length) = self.chunk(major::BYTES)? {
            bytes.extend_from_slice(self.cursor.take(length)?);
        }
        Ok(bytes)
    }

    fn simple(&mut self, info: u8) -> Result<Token<'a>, Malformed> {
        match info {
            20 => Ok(Token::Bool(false)),
            21 => Ok(Token::Bool(true)),
            0..24 => Ok(Token::Null),
            24 if self.cursor.byte()? >= 32 => Ok(Token::Null),
            25 => self
                .cursor
                .array()
                .map(|bytes| Token::Float(half(u16::from_be_bytes(bytes)))),
            26 => self
                .cursor
                .array()
                .map(|bytes| Token::Float(f32::from_be_bytes(bytes).into())),
            27 => self
                .cursor
                .array()
                .map(|bytes| Token::Float(f64::from_be_bytes(bytes))),
            31 => Err(Malformed::Syntax("a CBOR break where a value belongs")),
            _ => Err(Malformed::Syntax("a reserved CBOR simple value")),
        }
    }
}

/// The integer `-1 - number`, as a float where no other type can hold it.
fn negative<'a>(number: u64) -> Token<'a> {
    match i64::try_from(number) {
        Ok(number) => Token::Int(-1 - number),
        Err(_) => Token::Float(-1.0 - number as f64),
    }
}

impl<'a> Reader<'a> for CborReader<'a> {
    const FORMAT: Format = Format::Cbor;

    type Scope = Scope;

    fn start(&mut self) -> usize {
        self.cursor.at
    }

    fn position(&self) -> usize {
        self.cursor.at
    }

    #[inline(always)]
    fn token(&mut self) -> Result<Token<'a>, Malformed> {
        let (major, info) = self.head()?;
        match major {
            major::UNSIGNED => self.number(info).map(unsigned),
            major::NEGATIVE => self.number(info).map(negative),
            major::BYTES => self.binary(info).map(Token::Bytes),
            major::TEXT => self.text(info).map(Token::Str),
            major::LIST => self.scope(info).map(Token::List),
            major::MAP => self.scope(info).map(Token::Map),
            _ => self.simple(info),
        }
    }

    fn more(&mut self, scope: &mut Scope) -> Result<bool, Malformed> {
        match scope {
            Scope::Counted(0) => Ok(false),
            Scope::Counted(left) => {
                *left -= 1;
                Ok(true)
            }
            Scope::Indefinite => {
                let next = self
                    .cursor
                    .bytes
                    .get(self.cursor.at)
                    .ok_or(Malformed::Truncated)?;
                let ended = *next == BREAK;
                self.cursor.at += usize::from(ended);
                Ok(!ended)
            }
        }
    }

    fn finish(&mut self) -> Result<(), Malformed> {
        self.cursor.finish()
    }
}
