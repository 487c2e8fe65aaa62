//! Reads JSON.

use std::borrow::Cow;

use crosspoint_core::payload::Format;

use super::{Passed, Reader, unsigned};
use crate::error::Malformed;
use crate::text::{binary_of_text, plain_run};

type Token<'a> = super::Token<'a, Scope>;

/// What is left of a list or dictionary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scope {
    /// The bracket that ends it.
    close: u8,
    /// Whether nothing was read yet, and so no comma belongs before the next item.
    first: bool,
}

/// What the grammar knows, before text is unescaped and numbers are converted.
#[repr(u64)]
enum Lexeme<'a> {
    Null,
    Bool(bool),
    Number { text: &'a str, integer: bool },
    Str(RawText<'a>),
    Open { map: bool, scope: Scope },
}

/// A checked string between its quotes.
struct RawText<'a> {
    text: &'a str,
    escaped: bool,
}

/// A reader over one text.
///
/// Integers that do not fit 64 bits read as floats. A string that begins with NUL and goes on with base64
/// reads as a byte string, but for keys.
pub(crate) struct JsonReader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> JsonReader<'a> {
    /// Checks the UTF-8 of the whole input, so that pieces of it are text. On failure answers the offset of
    /// the first byte that is not.
    pub(crate) fn new(input: &'a [u8]) -> Result<Self, usize> {
        match simdutf8::basic::from_utf8(input) {
            Ok(text) => Ok(Self { text, at: 0 }),
            Err(_) => Err(str::from_utf8(input).map_or_else(|error| error.valid_up_to(), str::len)),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Reads `wanted`, and space before it.
    fn punctuation(&mut self, wanted: u8, missing: &'static str) -> Result<(), Malformed> {
        self.space();
        match self.peek() {
            Some(byte) if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Malformed::Syntax(missing)),
            None => Err(Malformed::Truncated),
        }
    }

    #[inline(always)]
    fn lexeme(&mut self) -> Result<Lexeme<'a>, Malformed> {
        self.space();
        match self.peek().ok_or(Malformed::Truncated)? {
            b'"' => self.string().map(Lexeme::Str),
            b'-' | b'0'..=b'9' => self.number(),
            b'[' => Ok(self.open(false, b']')),
            b'{' => Ok(self.open(true, b'}')),
            b'n' => self.literal("null", Lexeme::Null),
            b't' => self.literal("true", Lexeme::Bool(true)),
            b'f' => self.literal("false", Lexeme::Bool(false)),
            _ => Err(Malformed::Syntax("not the beginning of a JSON value")),
        }
    }

    fn open(&mut self, map: bool, close: u8) -> Lexeme<'a> {
        self.at += 1;
        let scope = Scope { close, first: true };
        Lexeme::Open { map, scope }
    }

    fn literal(&mut self, word: &'static str, lexeme: Lexeme<'a>) -> Result<Lexeme<'a>, Malformed> {
        let rest = self.rest();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(lexeme)
        } else if word.as_bytes().starts_with(rest) {
            Err(Malformed::Truncated)
        } else {
            Err(Malformed::Syntax("a word other than null, true and false"))
        }
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let count = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.at += count;
        match count {
            0 if self.peek().is_none() => Err(Malformed::Truncated),
            0 => Err(Malformed::Syntax("a number without digits")),
            _ => Ok(()),
        }
    }

    fn number(&mut self) -> Result<Lexeme<'a>, Malformed> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let zero = self.peek() == Some(b'0');
        let digits = self.at;
        self.digits()?;
        if zero && self.at > digits + 1 {
            return Err(Malformed::Syntax("a number with a leading zero"));
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            integer = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        Ok(Lexeme::Number { text, integer })
    }

    /// Reads a string whose opening quote is next.
    #[inline(always)]
    fn string(&mut self) -> Result<RawText<'a>, Malformed> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_run(self.rest());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(Malformed::Syntax("a control character in a string")),
                None => return Err(Malformed::Truncated),
            }
        }
        let text = &self.text[start..self.at];
        self.at += 1;
        Ok(RawText { text, escaped })
    }

    /// Reads an escape, from its backslash on.
    #[cold]
    fn escape(&mut self) -> Result<char, Malformed> {
        let kind = *self.rest().get(1).ok_or(Malformed::Truncated)?;
        self.at += 2;
        Ok(match kind {
            b'"' | b'\\' | b'/' => kind.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(Malformed::Syntax("an unknown escape")),
        })
    }

    /// Reads the digits of an escape, and the escape of the second surrogate where the first one is one.
    fn unicode_escape(&mut self) -> Result<char, Malformed> {
        const LONE: Malformed = Malformed::Syntax("a lone surrogate");
        let unit = self.code_unit()?;
        let code = match unit {
            0xd800..0xdc00 => {
                match self.rest() {
                    [b'\\', b'u', ..] => self.at += 2,
                    [] | [b'\\'] => return Err(Malformed::Truncated),
                    _ => return Err(LONE),
                }
                let low = self.code_unit()?;
                if !(0xdc00..0xe000).contains(&low) {
                    return Err(LONE);
                }
                0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            }
            _ => unit,
        };
        char::from_u32(code).ok_or(LONE)
    }

    /// Reads four hexadecimal digits.
    fn code_unit(&mut self) -> Result<u32, Malformed> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = char::from(self.peek().ok_or(Malformed::Truncated)?).to_digit(16);
            unit = unit << 4 | digit.ok_or(Malformed::Syntax("an escape without four hexadecimal digits"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    /// Reads a key and its colon.
    #[inline(always)]
    fn raw_key(&mut self) -> Result<RawText<'a>, Malformed> {
        self.space();
        match self.peek() {
            Some(b'"') => {}
            Some(_) => return Err(Malformed::Syntax("a key that is not a string")),
            None => return Err(Malformed::Truncated),
        }
        let key = self.string()?;
        self.punctuation(b':', "a key without a colon")?;
        Ok(key)
    }
}

impl<'a> RawText<'a> {
    #[inline(always)]
    fn unescape(self) -> Result<Cow<'a, str>, Malformed> {
        if self.escaped {
            self.unescape_slowly().map(Cow::Owned)
        } else {
            Ok(Cow::Borrowed(self.text))
        }
    }

    #[cold]
    fn unescape_slowly(self) -> Result<String, Malformed> {
        let mut reader = JsonReader {
            text: self.text,
            at: 0,
        };
        let mut text = String::with_capacity(self.text.len());
        while reader.at < self.text.len() {
            let start = reader.at;
            reader.at += plain_run(reader.rest());
            text.push_str(&self.text[start..reader.at]);
            if reader.at < self.text.len() {
                text.push(reader.escape()?);
            }
        }
        Ok(text)
    }

    #[inline(always)]
    fn token(self) -> Result<Token<'a>, Malformed> {
        // NUL has no plain form, so a string without escapes is always text.
        if !self.escaped {
            return Ok(Token::Str(Cow::Borrowed(self.text)));
        }
        let text = self.unescape_slowly()?;
        Ok(match binary_of_text(&text) {
            Some(bytes) => Token::Bytes(Cow::Owned(bytes)),
            None => Token::Str(Cow::Owned(text)),
        })
    }
}

fn number<'a>(text: &'a str, integer: bool) -> Result<Token<'a>, Malformed> {
    if integer {
        if let Ok(value) = text.parse() {
            return Ok(Token::Int(value));
        }
        if let Ok(value) = text.parse() {
            return Ok(unsigned(value));
        }
    }
    let value = text.parse().map_err(|_| Malformed::Syntax("not a number"))?;
    Ok(Token::Float(value))
}

impl<'a> Reader<'a> for JsonReader<'a> {
    const FORMAT: Format = Format::Json;

    type Scope = Scope;

    fn start(&mut self) -> usize {
        self.space();
        self.at
    }

    fn position(&self) -> usize {
        self.at
    }

    #[inline(always)]
    fn token(&mut self) -> Result<Token<'a>, Malformed> {
        match self.lexeme()? {
            Lexeme::Null => Ok(Token::Null),
            Lexeme::Bool(value) => Ok(Token::Bool(value)),
            Lexeme::Number { text, integer } => number(text, integer),
            Lexeme::Str(raw) => raw.token(),
            Lexeme::Open { map: true, scope } => Ok(Token::Map(scope)),
            Lexeme::Open { map: false, scope } => Ok(Token::List(scope)),
        }
    }

    fn more(&mut self, scope: &mut Scope) -> Result<bool, Malformed> {
        self.space();
        let next = self.peek().ok_or(Malformed::Truncated)?;
        if next == scope.close {
            self.at += 1;
            return Ok(false);
        }
        if !scope.first {
            self.punctuation(b',', "neither a comma nor the end of a list or dictionary")?;
        }
        scope.first = false;
        Ok(true)
    }

    fn finish(&mut self) -> Result<(), Malformed> {
        self.space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Malformed::Trailing),
        }
    }

    #[inline(always)]
    fn key(&mut self) -> Result<Token<'a>, Malformed> {
        self.raw_key()?.unescape().map(Token::Str)
    }

    #[inline(always)]
    fn pass(&mut self) -> Result<Passed<Scope>, Malformed> {
        Ok(match self.lexeme()? {
            Lexeme::Str(_) => Passed::Text,
            Lexeme::Open { map: true, scope } => Passed::Map(scope),
            Lexeme::Open { map: false, scope } => Passed::List(scope),
            _ => Passed::Scalar,
        })
    }

    #[inline(always)]
    fn pass_key(&mut self) -> Result<Passed<Scope>, Malformed> {
        self.raw_key().map(|_| Passed::Text)
    }
}
