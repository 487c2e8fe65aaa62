//! Reads UBJSON, draft 12, and its descendant BJData.

use std::borrow::Cow;

use crosspoint_core::payload::Format;

use super::{Cursor, JsonReader, Passed, Reader, half, unsigned};
use crate::error::Malformed;

type Token<'a> = super::Token<'a, Scope>;

/// What is left of a list or dictionary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scope {
    /// The bracket that ends it, where it has no count.
    close: u8,
    /// The type of all values, where the container says it and they do not.
    kind: Option<u8>,
    /// Items or entries, where they are counted.
    left: Option<u64>,
}

/// The bytes that say of what type a value is.
pub(crate) mod marker {
    pub(crate) const NULL: u8 = b'Z';
    pub(crate) const NO_OP: u8 = b'N';
    pub(crate) const TRUE: u8 = b'T';
    pub(crate) const FALSE: u8 = b'F';
    pub(crate) const INT8: u8 = b'i';
    pub(crate) const UINT8: u8 = b'U';
    pub(crate) const INT16: u8 = b'I';
    pub(crate) const INT32: u8 = b'l';
    pub(crate) const INT64: u8 = b'L';
    pub(crate) const FLOAT32: u8 = b'd';
    pub(crate) const FLOAT64: u8 = b'D';
    pub(crate) const HIGH_PRECISION: u8 = b'H';
    pub(crate) const CHAR: u8 = b'C';
    pub(crate) const STRING: u8 = b'S';
    pub(crate) const LIST: u8 = b'[';
    pub(crate) const LIST_END: u8 = b']';
    pub(crate) const MAP: u8 = b'{';
    pub(crate) const MAP_END: u8 = b'}';
    /// In front of the type that all values of a container have.
    pub(crate) const TYPE: u8 = b'$';
    /// In front of the number of a container's values.
    pub(crate) const COUNT: u8 = b'#';

    // Of BJData only.
    pub(crate) const UINT16: u8 = b'u';
    pub(crate) const UINT32: u8 = b'm';
    pub(crate) const UINT64: u8 = b'M';
    pub(crate) const FLOAT16: u8 = b'h';
    pub(crate) const BYTE: u8 = b'B';
}

/// Items of lists of nulls, trues or falses that say their type once have no bytes of their own, so that a few bytes
/// could stand for any number of them. All of one input may be this many more than it has bytes.
const WEIGHTLESS: u64 = 64;

/// BJData: little-endian, with unsigned integers, half floats and a type for bytes.
pub(crate) type BjDataReader<'a> = UbjsonReader<'a, true>;

/// UBJSON: big-endian.
pub(crate) type UbJsonReader<'a> = UbjsonReader<'a, false>;

/// A reader over one input.
///
/// A list that says that all of its items are bytes reads as a byte string: `[$B#` in BJData, `[$U#` in UBJSON.
/// No-ops are skipped. High-precision numbers read as integers where they are integers of up to 64 bits, else as
/// floats; characters as text. Refused are BJData's arrays of several dimensions and its tables (`[${`, `{${`),
/// which have no equivalent in the other serializers.
pub(crate) struct UbjsonReader<'a, const BJDATA: bool> {
    cursor: Cursor<'a>,
    /// The type of the next value, where its container said it.
    implied: Option<u8>,
    /// How many more items without bytes of their own there may be.
    weightless: u64,
}

impl<'a, const BJDATA: bool> UbjsonReader<'a, BJDATA> {
    /// The type of bytes.
    const BYTE: u8 = if BJDATA { marker::BYTE } else { marker::UINT8 };

    /// Reads what was read before, by [`UbjsonReader::of_stranger`].
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(input),
            implied: None,
            weightless: u64::MAX,
        }
    }

    /// Reads what a client sent.
    pub(crate) fn of_stranger(input: &'a [u8]) -> Self {
        Self {
            weightless: WEIGHTLESS + input.len() as u64,
            ..Self::new(input)
        }
    }

    fn peek(&self) -> Option<u8> {
        self.cursor.bytes.get(self.cursor.at).copied()
    }

    fn skip_no_ops(&mut self) {
        while self.peek() == Some(marker::NO_OP) {
            self.cursor.at += 1;
        }
    }

    /// The next byte behind any no-ops.
    fn marker(&mut self) -> Result<u8, Malformed> {
        self.skip_no_ops();
        self.cursor.byte()
    }

    /// The bytes of a number, the most significant one first.
    fn number<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut bytes = self.cursor.array()?;
        if BJDATA {
            bytes.reverse();
        }
        Ok(bytes)
    }

    /// The integer whose type is `kind`; `None` if that is not a type of integers.
    #[inline(always)]
    fn integer(&mut self, kind: u8) -> Result<Option<Token<'a>>, Malformed> {
        Ok(Some(match kind {
            marker::UINT8 => Token::Int(self.cursor.byte()?.into()),
            marker::INT8 => Token::Int(i8::from_be_bytes(self.number()?).into()),
            marker::INT16 => Token::Int(i16::from_be_bytes(self.number()?).into()),
            marker::INT32 => Token::Int(i32::from_be_bytes(self.number()?).into()),
            marker::INT64 => Token::Int(i64::from_be_bytes(self.number()?)),
            marker::UINT16 if BJDATA => Token::Int(u16::from_be_bytes(self.number()?).into()),
            marker::UINT32 if BJDATA => Token::Int(u32::from_be_bytes(self.number()?).into()),
            marker::UINT64 if BJDATA => unsigned(u64::from_be_bytes(self.number()?)),
            marker::BYTE if BJDATA => Token::Int(self.cursor.byte()?.into()),
            _ => return Ok(None),
        }))
    }

    /// The length or count whose type is `kind`.
    fn length(&mut self, kind: u8) -> Result<u64, Malformed> {
        match self.integer(kind)? {
            Some(Token::Int(length)) => {
                u64::try_from(length).map_err(|_| Malformed::Syntax("a negative UBJSON length"))
            }
            Some(Token::UInt(length)) => Ok(length),
            _ => Err(Malformed::Syntax("a UBJSON length that is not an integer")),
        }
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let kind = self.cursor.byte()?;
        let length = self.length(kind)?;
        self.cursor.text(length)
    }

    #[cold]
    fn high_precision(&mut self) -> Result<Token<'a>, Malformed> {
        const NO_NUMBER: Malformed = Malformed::Syntax("a high-precision number that is not one");
        let mut json = JsonReader::new(self.text()?.as_bytes()).map_err(|_| Malformed::Utf8)?;
        let number = match json.token() {
            Ok(super::Token::Int(value)) => Token::Int(value),
            Ok(super::Token::UInt(value)) => Token::UInt(value),
            Ok(super::Token::Float(value)) => Token::Float(value),
            _ => return Err(NO_NUMBER),
        };
        json.finish().map_err(|_| NO_NUMBER).map(|()| number)
    }

    /// The value whose type is `kind`.
    #[inline(always)]
    fn value(&mut self, kind: u8) -> Result<Token<'a>, Malformed> {
        if let Some(integer) = self.integer(kind)? {
            return Ok(integer);
        }
        match kind {
            marker::NULL => Ok(Token::Null),
            marker::TRUE => Ok(Token::Bool(true)),
            marker::FALSE => Ok(Token::Bool(false)),
            marker::STRING => self.text().map(|text| Token::Str(Cow::Borrowed(text))),
            marker::CHAR => self.cursor.text(1).map(|text| Token::Str(Cow::Borrowed(text))),
            marker::LIST => self.list(),
            marker::MAP => {
                let (kind, left) = self.optimisation()?;
                let close = marker::MAP_END;
                Ok(Token::Map(Scope { close, kind, left }))
            }
            marker::FLOAT64 => Ok(Token::Float(f64::from_be_bytes(self.number()?))),
            marker::FLOAT32 => Ok(Token::Float(f32::from_be_bytes(self.number()?).into())),
            marker::FLOAT16 if BJDATA => Ok(Token::Float(half(u16::from_be_bytes(self.number()?)))),
            marker::HIGH_PRECISION => self.high_precision(),
            _ => Err(Malformed::Syntax("not the beginning of a UBJSON value")),
        }
    }

    fn list(&mut self) -> Result<Token<'a>, Malformed> {
        let (kind, left) = self.optimisation()?;
        match (kind, left) {
            (Some(kind), Some(length)) if kind == Self::BYTE => {
                return self
                    .cursor
                    .take(length)
                    .map(|bytes| Token::Bytes(Cow::Borrowed(bytes)));
            }
            (Some(marker::NULL | marker::TRUE | marker::FALSE), Some(count)) => {
                let left = self.weightless.checked_sub(count);
                self.weightless =
                    left.ok_or(Malformed::Syntax("too many items without bytes of their own"))?;
            }
            _ => {}
        }
        let close = marker::LIST_END;
        Ok(Token::List(Scope { close, kind, left }))
    }

    /// The type and the number of a container's values, where it says them.
    fn optimisation(&mut self) -> Result<(Option<u8>, Option<u64>), Malformed> {
        let kind = match self.peek() {
            Some(marker::TYPE) => {
                self.cursor.at += 1;
                Some(self.kind()?)
            }
            _ => None,
        };
        match (kind, self.peek()) {
            (_, Some(marker::COUNT)) => {}
            (None, _) => return Ok((None, None)),
            (Some(_), None) => return Err(Malformed::Truncated),
            (Some(_), Some(_)) => return Err(Malformed::Syntax("a UBJSON type without a count")),
        }
        self.cursor.at += 1;
        match self.cursor.byte()? {
            marker::LIST if BJDATA => Err(Malformed::Syntax("a BJData array of several dimensions")),
            counting => Ok((kind, Some(self.length(counting)?))),
        }
    }

    /// The type that all values of a container have.
    fn kind(&mut self) -> Result<u8, Malformed> {
        match self.cursor.byte()? {
            marker::MAP if BJDATA => Err(Malformed::Syntax("a BJData table")),
            kind if b"ZTFiUIlLdDHCS[{".contains(&kind) => Ok(kind),
            kind if BJDATA && b"umMhB".contains(&kind) => Ok(kind),
            _ => Err(Malformed::Syntax("not a type of UBJSON values")),
        }
    }
}

impl<'a, const BJDATA: bool> Reader<'a> for UbjsonReader<'a, BJDATA> {
    const FORMAT: Format = if BJDATA { Format::BjData } else { Format::UbJson };

    type Scope = Scope;

    fn start(&mut self) -> usize {
        // A value without its marker is never cut out: only elements of messages are, and a message whose elements
        // are of one type cannot have lists and dictionaries among them, since it begins with a number.
        if self.implied.is_none() {
            self.skip_no_ops();
        }
        self.cursor.at
    }

    fn position(&self) -> usize {
        self.cursor.at
    }

    #[inline(always)]
    fn token(&mut self) -> Result<Token<'a>, Malformed> {
        let kind = match self.implied.take() {
            Some(kind) => kind,
            None => self.marker()?,
        };
        self.value(kind)
    }

    fn more(&mut self, scope: &mut Scope) -> Result<bool, Malformed> {
        match &mut scope.left {
            Some(0) => return Ok(false),
            Some(left) => *left -= 1,
            None => {
                self.skip_no_ops();
                if self.peek().ok_or(Malformed::Truncated)? == scope.close {
                    self.cursor.at += 1;
                    return Ok(false);
                }
            }
        }
        self.implied = scope.kind;
        Ok(true)
    }

    fn finish(&mut self) -> Result<(), Malformed> {
        self.skip_no_ops();
        self.cursor.finish()
    }

    /// Keys are text without a marker; the type that a dictionary says is that of its values.
    #[inline(always)]
    fn key(&mut self) -> Result<Token<'a>, Malformed> {
        let kind = self.marker()?;
        let length = self.length(kind)?;
        self.cursor
            .text(length)
            .map(|text| Token::Str(Cow::Borrowed(text)))
    }

    #[inline(always)]
    fn pass_key(&mut self) -> Result<Passed<Scope>, Malformed> {
        self.key().map(|_| Passed::Text)
    }
}

#[cfg(test)]
mod tests;
