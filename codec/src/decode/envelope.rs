//! The list that a message is, element by element, and the payload at its end.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use crosspoint_core::message::Message;
use crosspoint_core::payload::Payload;
use smallvec::SmallVec;

use super::{Limits, messages};
use crate::error::{DecodeError, Malformed};
use crate::read::{Keys, Reader, Token, TokenOf};

/// Why decoding ends. Boxed, so that the results which everything here passes on are as small as what they hold.
pub(super) type Refusal = Box<DecodeError>;

/// The list of a message, and where in it reading has come to.
pub(super) struct Envelope<'a, R: Reader<'a>> {
    pub(super) reader: R,
    pub(super) limits: Limits,
    /// Values of options and details so far.
    pub(super) values: u32,
    /// The keys of the options or details that are being read, the current one last.
    pub(super) keys: SmallVec<[Cow<'a, str>; 8]>,
    input: &'a Bytes,
    shape: Shape,
    /// What is left of the list; none once its end was read.
    scope: Option<R::Scope>,
    /// Elements read.
    read: usize,
    /// The element that is being read, by its name in the specification.
    element: &'static str,
    /// The offset at which its value begins.
    start: usize,
}

/// A message's name and how many elements it has, the type included.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(super) least: usize,
    pub(super) most: usize,
}

impl<'a, R: Reader<'a>> Envelope<'a, R> {
    /// Reads the one message of `input`, over which `reader` was made.
    pub(super) fn decode(mut reader: R, input: &'a Bytes, limits: Limits) -> Result<Message, Refusal> {
        let (code, scope) = begin(&mut reader)?;
        let shape = messages::shape(code).ok_or(DecodeError::UnknownType(code))?;
        let mut envelope = Self {
            reader,
            limits,
            values: 0,
            keys: SmallVec::new(),
            input,
            shape,
            scope: Some(scope),
            read: 1,
            element: "Type",
            start: 0,
        };
        let message = envelope.message(code)?;
        envelope.end()?;
        Ok(message)
    }

    /// Goes to the next element, which has to be there.
    pub(super) fn element(&mut self, name: &'static str) -> Result<TokenOf<'a, R>, Refusal> {
        match self.optional_element(name)? {
            Some(token) => Ok(token),
            None => Err(self.wrong_count(self.read)),
        }
    }

    /// Goes to the next element, if there is one.
    pub(super) fn optional_element(&mut self, name: &'static str) -> Result<Option<TokenOf<'a, R>>, Refusal> {
        self.element = name;
        if !self.more()? {
            return Ok(None);
        }
        self.read += 1;
        self.start = self.reader.start();
        self.token().map(Some)
    }

    /// Reads `Arguments` and `ArgumentsKw`. With `transparent`, one byte string or text may stand in the place
    /// of both: autobahn's older form of payload passthru, which `enc_algo` announces.
    pub(super) fn payload(&mut self, transparent: bool) -> Result<Payload, Refusal> {
        let args = match self.optional_element("Arguments")? {
            None | Some(Token::Null) => Bytes::new(),
            Some(Token::List(scope)) => {
                let count = self.reader.skip_list(scope, self.limits.depth.saturating_sub(1));
                self.slice_unless_empty(self.well_formed(count)?)
            }
            Some(Token::Str(_) | Token::Bytes(_)) if transparent => return self.opaque_payload(),
            Some(other) => return Err(self.unexpected("a list", &other)),
        };
        let kwargs = match self.optional_element("ArgumentsKw")? {
            None | Some(Token::Null) => Bytes::new(),
            Some(Token::Map(scope)) => {
                let depth = self.limits.depth.saturating_sub(1);
                let count = self.reader.skip_map(scope, Keys::Text, depth);
                self.slice_unless_empty(self.well_formed(count)?)
            }
            Some(other) => return Err(self.unexpected("a dictionary", &other)),
        };
        if args.is_empty() && kwargs.is_empty() {
            return Ok(Payload::EMPTY);
        }
        let format = R::FORMAT;
        Ok(Payload { format, args, kwargs })
    }

    /// The value that was just read is the whole payload. Autobahn, to which it may go, takes nothing after it.
    fn opaque_payload(&mut self) -> Result<Payload, Refusal> {
        let payload = Payload {
            format: R::FORMAT,
            args: self.slice_unless_empty(1),
            kwargs: Bytes::new(),
        };
        match self.optional_element("ArgumentsKw")? {
            None | Some(Token::Null) => Ok(payload),
            Some(other) => Err(self.unexpected("nothing after an opaque payload", &other)),
        }
    }

    /// The bytes of the element, which has `count` items and was just read: an empty one is absent.
    fn slice_unless_empty(&self, count: usize) -> Bytes {
        if count == 0 {
            return Bytes::new();
        }
        self.input.slice(self.start..self.reader.position())
    }

    fn end(mut self) -> Result<(), Refusal> {
        let read = self.read;
        while self.more()? {
            let skipped = self.reader.skip(self.limits.depth.saturating_sub(1));
            self.well_formed(skipped)?;
            self.read += 1;
        }
        if self.read > read {
            return Err(self.wrong_count(self.read));
        }
        let finished = self.reader.finish();
        self.well_formed(finished)
    }

    fn more(&mut self) -> Result<bool, Refusal> {
        let Some(scope) = &mut self.scope else {
            return Ok(false);
        };
        let more = self.reader.more(scope);
        let more = self.well_formed(more)?;
        if !more {
            self.scope = None;
        }
        Ok(more)
    }

    /// Reads the beginning of a value.
    pub(super) fn token(&mut self) -> Result<TokenOf<'a, R>, Refusal> {
        let token = self.reader.token();
        self.well_formed(token)
    }

    /// Text that shares the memory of the input where it can.
    pub(super) fn own(&self, text: Cow<'a, str>) -> ByteString {
        match text {
            Cow::Borrowed(text) => {
                // Checking the short strings of an envelope a second time costs less than it would to know,
                // without unsafe code, that they were checked.
                let shared = ByteString::try_from(self.input.slice_ref(text.as_bytes()));
                shared.unwrap_or_else(|_| ByteString::from(text))
            }
            Cow::Owned(text) => ByteString::from(text),
        }
    }

    /// Bytes that share the memory of the input where they can.
    pub(super) fn own_bytes(&self, bytes: Cow<'a, [u8]>) -> Bytes {
        match bytes {
            Cow::Borrowed(bytes) => self.input.slice_ref(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        }
    }

    /// Adds to an error of the reader where it happened.
    pub(super) fn well_formed<T>(&self, result: Result<T, Malformed>) -> Result<T, Refusal> {
        result.map_err(|what| malformed(&self.reader, what))
    }

    /// `expected` was not what came at the current place.
    #[cold]
    pub(super) fn unexpected(&self, expected: &'static str, found: &TokenOf<'a, R>) -> Refusal {
        self.unexpected_text(expected, describe(found))
    }

    /// `expected` was not what came at the current place, in words.
    #[cold]
    pub(super) fn unexpected_text(&self, expected: &'static str, found: String) -> Refusal {
        DecodeError::Unexpected {
            place: self.place(self.keys.last().map(|key| &**key)),
            expected,
            found,
        }
        .into()
    }

    /// The current element, or its entry `key`.
    pub(super) fn place(&self, key: Option<&str>) -> String {
        let Shape { name, .. } = self.shape;
        match key {
            Some(key) => format!("{name}.{}.{}", self.element, shorten(key).escape_debug()),
            None => format!("{name}.{}", self.element),
        }
    }

    #[cold]
    pub(super) fn too_many_values(&self) -> Refusal {
        DecodeError::TooManyValues {
            message: self.shape.name,
            limit: self.limits.values,
        }
        .into()
    }

    #[cold]
    fn wrong_count(&self, found: usize) -> Refusal {
        DecodeError::ElementCount {
            message: self.shape.name,
            least: self.shape.least,
            most: self.shape.most,
            found,
        }
        .into()
    }
}

/// Reads up to the message type.
fn begin<'a, R: Reader<'a>>(reader: &mut R) -> Result<(u64, R::Scope), Refusal> {
    let not_a_message = |found| Err(DecodeError::NotAMessage { found }.into());
    let mut scope = match reader.token().map_err(|what| malformed(reader, what))? {
        Token::List(scope) => scope,
        other => return not_a_message(describe(&other)),
    };
    if !reader.more(&mut scope).map_err(|what| malformed(reader, what))? {
        return not_a_message("an empty list".to_owned());
    }
    match reader.token().map_err(|what| malformed(reader, what))? {
        Token::Int(code) if code >= 0 => Ok((code.unsigned_abs(), scope)),
        Token::UInt(code) => Ok((code, scope)),
        other => not_a_message(format!("a list that begins with {}", describe(&other))),
    }
}

#[cold]
fn malformed<'a, R: Reader<'a>>(reader: &R, what: Malformed) -> Refusal {
    DecodeError::Malformed {
        format: R::FORMAT,
        at: reader.position(),
        what,
    }
    .into()
}

/// A value as an error's text names it.
pub(crate) fn describe<S>(token: &Token<'_, S>) -> String {
    match token {
        Token::Null => "null".to_owned(),
        Token::Bool(value) => value.to_string(),
        Token::Int(value) => value.to_string(),
        Token::UInt(value) => value.to_string(),
        Token::Float(value) => format!("{value:?}"),
        Token::Str(text) => format!("{:?}", shorten(text)),
        Token::Bytes(_) => "a byte string".to_owned(),
        Token::List(_) => "a list".to_owned(),
        Token::Map(_) => "a dictionary".to_owned(),
    }
}

/// The beginning of a stranger's text, short enough to be part of an error's.
fn shorten(text: &str) -> Cow<'_, str> {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}
