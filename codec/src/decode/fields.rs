//! Elements and entries by their type, with the checks that each type asks for.

use std::borrow::Cow;

use bytestring::ByteString;
use crosspoint_core::extensions;
use crosspoint_core::ids::{ID_MAX, SessionId, is_valid_id};
use crosspoint_core::payload::Format;
use crosspoint_core::value::{Dict, Value};

use super::envelope::{Envelope, Refusal};
use crate::error::DecodeError;
use crate::read::{Reader, Token, TokenOf};

/// Key and beginning of the value.
type Entry<'a, R> = (Cow<'a, str>, TokenOf<'a, R>);

const AN_ID: &str = "an integer from 1 to 2^53";

impl<'a, R: Reader<'a>> Envelope<'a, R> {
    /// An element that is an id.
    pub(super) fn id_element<T>(
        &mut self,
        name: &'static str,
        id: impl FnOnce(u64) -> T,
    ) -> Result<T, Refusal> {
        let token = self.element(name)?;
        self.id(&token).map(id)
    }

    /// An element that is an id, or 0: the request that a revocation answers.
    pub(super) fn id_element_or_zero<T>(
        &mut self,
        name: &'static str,
        id: impl FnOnce(u64) -> T,
    ) -> Result<T, Refusal> {
        match self.element(name)? {
            Token::Int(0) => Ok(id(0)),
            token => self.id(&token).map(id),
        }
    }

    /// An element that is text.
    pub(super) fn text_element(&mut self, name: &'static str) -> Result<ByteString, Refusal> {
        let token = self.element(name)?;
        self.text(token)
    }

    /// An element that is a dictionary without typed entries.
    pub(super) fn dict_element(&mut self, name: &'static str) -> Result<Dict, Refusal> {
        let token = self.element(name)?;
        self.dict(token)
    }

    /// An element that is such a dictionary, null or absent.
    pub(super) fn optional_dict_element(&mut self, name: &'static str) -> Result<Option<Dict>, Refusal> {
        match self.optional_element(name)? {
            None | Some(Token::Null) => Ok(None),
            Some(token) => self.dict(token).map(Some),
        }
    }

    /// The beginning of an element that is a dictionary; [`Self::entry`] reads what is inside.
    pub(super) fn entries(&mut self, name: &'static str) -> Result<R::Scope, Refusal> {
        let token = self.element(name)?;
        self.map_scope(token)
    }

    /// Key and value of the next entry that is not absent, until there are no more.
    pub(super) fn entry(&mut self, scope: &mut R::Scope) -> Result<Option<Entry<'a, R>>, Refusal> {
        while self.next_entry(scope)? {
            self.count_value()?;
            let key = self.key()?;
            self.keys.push(key.clone());
            match self.token()? {
                Token::Null => {}
                token => return Ok(Some((key, token))),
            }
        }
        let duplicate = first_duplicate(&self.keys).map(|key| self.place(Some(key)));
        self.keys.clear();
        match duplicate {
            Some(place) => Err(DecodeError::DuplicateKey { place }.into()),
            None => Ok(None),
        }
    }

    /// Keeps an entry that has no field.
    pub(super) fn rest(
        &mut self,
        key: Cow<'a, str>,
        token: TokenOf<'a, R>,
        rest: &mut Dict,
    ) -> Result<(), Refusal> {
        let value = self.value(token, self.limits.depth.saturating_sub(2))?;
        if let Some((expected, found)) = extensions::violation(&key, &value) {
            return Err(self.unexpected_text(expected, found.to_owned()));
        }
        rest.0.push((self.own(key), value));
        Ok(())
    }

    fn dict(&mut self, token: TokenOf<'a, R>) -> Result<Dict, Refusal> {
        let mut dict = Dict::new();
        let mut scope = self.map_scope(token)?;
        while let Some((key, token)) = self.entry(&mut scope)? {
            self.rest(key, token, &mut dict)?;
        }
        Ok(dict)
    }

    pub(super) fn bool(&mut self, token: TokenOf<'a, R>) -> Result<bool, Refusal> {
        match token {
            Token::Bool(value) => Ok(value),
            other => Err(self.unexpected("a bool", &other)),
        }
    }

    pub(super) fn text(&mut self, token: TokenOf<'a, R>) -> Result<ByteString, Refusal> {
        match token {
            Token::Str(text) => Ok(self.own(text)),
            other => Err(self.unexpected("a string", &other)),
        }
    }

    pub(super) fn session(&mut self, token: TokenOf<'a, R>) -> Result<SessionId, Refusal> {
        self.id(&token).map(SessionId)
    }

    /// An integer of at least `least`, which `expected` says in words.
    pub(super) fn integer(
        &mut self,
        token: TokenOf<'a, R>,
        least: u64,
        expected: &'static str,
    ) -> Result<u64, Refusal> {
        match unsigned(&token) {
            Some(value) if value >= least => Ok(value),
            _ => Err(self.unexpected(expected, &token)),
        }
    }

    /// One of `all`, by its name; `expected` lists the names.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        token: TokenOf<'a, R>,
        from_name: impl FnOnce(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<T, Refusal> {
        let named = match &token {
            Token::Str(name) => from_name(name),
            _ => None,
        };
        named.ok_or_else(|| self.unexpected(expected, &token))
    }

    pub(super) fn sessions(&mut self, token: TokenOf<'a, R>) -> Result<Vec<SessionId>, Refusal> {
        self.list(token, "a list of session ids", |envelope, item| {
            envelope.id(&item).map(SessionId)
        })
    }

    pub(super) fn texts(&mut self, token: TokenOf<'a, R>) -> Result<Vec<ByteString>, Refusal> {
        self.list(token, "a list of strings", Self::text)
    }

    fn list<T>(
        &mut self,
        token: TokenOf<'a, R>,
        expected: &'static str,
        mut item: impl FnMut(&mut Self, TokenOf<'a, R>) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let mut scope = match token {
            Token::List(scope) => scope,
            other => return Err(self.unexpected(expected, &other)),
        };
        let mut list = Vec::new();
        while self.next_entry(&mut scope)? {
            self.count_value()?;
            let token = self.token()?;
            list.push(item(self, token)?);
        }
        Ok(list)
    }

    fn id(&self, token: &TokenOf<'a, R>) -> Result<u64, Refusal> {
        let number = match token {
            // Some clients have no integers of this size: JavaScript's serializers write floats above 2^32. In
            // JSON they write the same digits as everybody else.
            Token::Float(value) if R::FORMAT != Format::Json => integral(*value),
            token => unsigned(token),
        };
        match number {
            Some(id) if is_valid_id(id) => Ok(id),
            _ => Err(self.unexpected(AN_ID, token)),
        }
    }

    fn map_scope(&self, token: TokenOf<'a, R>) -> Result<R::Scope, Refusal> {
        match token {
            Token::Map(scope) => Ok(scope),
            other => Err(self.unexpected("a dictionary", &other)),
        }
    }

    fn key(&mut self) -> Result<Cow<'a, str>, Refusal> {
        let key = self.reader.key();
        match self.well_formed(key)? {
            Token::Str(key) => Ok(key),
            other => Err(self.unexpected("a key that is a string", &other)),
        }
    }

    fn next_entry(&mut self, scope: &mut R::Scope) -> Result<bool, Refusal> {
        let more = self.reader.more(scope);
        self.well_formed(more)
    }

    /// Counts an item or entry that is kept in memory.
    fn count_value(&mut self) -> Result<(), Refusal> {
        self.values += 1;
        if self.values > self.limits.values {
            return Err(self.too_many_values());
        }
        Ok(())
    }

    /// Reads the value that begins with `token` and has at most `depth` levels.
    fn value(&mut self, token: TokenOf<'a, R>, depth: u8) -> Result<Value, Refusal> {
        Ok(match token {
            Token::Null => Value::Null,
            Token::Bool(value) => Value::Bool(value),
            Token::Int(value) => Value::Int(value),
            Token::UInt(value) => Value::UInt(value),
            Token::Float(value) => Value::Float(value),
            Token::Str(text) => Value::Str(self.own(text)),
            Token::Bytes(bytes) => Value::Bytes(self.own_bytes(bytes)),
            Token::List(scope) => Value::List(self.value_list(scope, depth)?),
            Token::Map(scope) => Value::Dict(self.value_dict(scope, depth)?),
        })
    }

    fn value_list(&mut self, mut scope: R::Scope, depth: u8) -> Result<Vec<Value>, Refusal> {
        let depth = self.inside(depth)?;
        let mut list = Vec::new();
        while self.next_entry(&mut scope)? {
            self.count_value()?;
            let token = self.token()?;
            list.push(self.value(token, depth)?);
        }
        Ok(list)
    }

    fn value_dict(&mut self, mut scope: R::Scope, depth: u8) -> Result<Dict, Refusal> {
        let depth = self.inside(depth)?;
        let mut dict = Dict::new();
        while self.next_entry(&mut scope)? {
            self.count_value()?;
            let key = self.key()?;
            let token = self.token()?;
            let value = self.value(token, depth)?;
            dict.0.push((self.own(key), value));
        }
        let keys: Vec<&str> = dict.0.iter().map(|(key, _)| &**key).collect();
        match first_duplicate(&keys) {
            Some(key) => {
                let place = self.place(Some(key));
                Err(DecodeError::DuplicateKey { place }.into())
            }
            None => Ok(dict),
        }
    }

    fn inside(&self, depth: u8) -> Result<u8, Refusal> {
        self.well_formed(depth.checked_sub(1).ok_or(crate::Malformed::Depth))
    }
}

pub(super) fn unsigned<S>(token: &Token<'_, S>) -> Option<u64> {
    match token {
        Token::Int(value) => u64::try_from(*value).ok(),
        Token::UInt(value) => Some(*value),
        _ => None,
    }
}

/// A float that is an integer which floats hold exactly.
fn integral(value: f64) -> Option<u64> {
    let is_exact = value.fract() == 0.0 && (0.0..=ID_MAX as f64).contains(&value);
    is_exact.then_some(value as u64)
}

/// A key that occurs twice. Few keys are compared each with each, many are sorted, since a stranger chooses
/// how many there are.
fn first_duplicate<K: AsRef<str>>(keys: &[K]) -> Option<&str> {
    const FEW: usize = 16;
    if keys.len() <= FEW {
        let mut earlier = keys.iter().enumerate();
        return earlier.find_map(|(index, key)| {
            let key = key.as_ref();
            keys[..index]
                .iter()
                .any(|other| other.as_ref() == key)
                .then_some(key)
        });
    }
    let mut sorted: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    sorted
        .windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
}
