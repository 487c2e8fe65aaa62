//! Values of the envelope: details and options that the router reads or writes itself.
//!
//! Application payloads are not read into values: see [`crate::payload`].

use bytes::Bytes;
use bytestring::ByteString;

use crate::payload::Format;

/// One value of a details or options dictionary.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// JSON null, MessagePack nil, CBOR null.
    Null,
    /// A truth value; never an integer (specification, "Serializers").
    Bool(bool),
    /// A negative integer, or any that fits.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Str(ByteString),
    /// A byte string; in JSON a string that begins with NUL, followed by base64.
    Bytes(Bytes),
    /// A list.
    List(Vec<Self>),
    /// A dictionary with unique string keys.
    Dict(Dict),
    /// A value of an application, well-formed in one of [`Format::OF_PAYLOADS`], which is passed on without being read.
    Encoded(Format, Bytes),
}

impl Value {
    /// The text, if this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if this is an integer that is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(value) => u64::try_from(*value).ok(),
            Self::UInt(value) => Some(*value),
            _ => None,
        }
    }

    /// The list, if this is one.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The dictionary, if this is one.
    #[must_use]
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Self::Dict(dict) => Some(dict),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Value {
    /// Numbers that fit are [`Value::Int`], so that equal numbers are equal values.
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::UInt(value), Self::Int)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Str(value.into())
    }
}

impl From<ByteString> for Value {
    fn from(value: ByteString) -> Self {
        Self::Str(value)
    }
}

impl From<Dict> for Value {
    fn from(value: Dict) -> Self {
        Self::Dict(value)
    }
}

impl From<Vec<Self>> for Value {
    fn from(value: Vec<Self>) -> Self {
        Self::List(value)
    }
}

/// A dictionary in the order in which its keys came. Codecs refuse duplicate keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict(pub Vec<(ByteString, Value)>);

impl Dict {
    /// A dictionary without entries; does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Adds an entry. The caller sees to it that the key is new.
    pub fn push(&mut self, key: impl Into<ByteString>, value: impl Into<Value>) {
        self.0.push((key.into(), value.into()));
    }

    /// [`Dict::push`] for building in one expression.
    #[must_use]
    pub fn with(mut self, key: impl Into<ByteString>, value: impl Into<Value>) -> Self {
        self.push(key, value);
        self
    }
}
