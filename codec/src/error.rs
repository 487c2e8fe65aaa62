//! Why bytes are not a message. The texts go to the peer in `ABORT.Details.message`.

use crosspoint_core::payload::Format;

/// Why [`decode`](crate::decode()) refused a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not one value of the serializer.
    #[error("not well-formed {} at byte {at}: {what}", format.name())]
    Malformed {
        /// The serializer.
        format: Format,
        /// Offset of the first byte that was not understood, or where the value began.
        at: usize,
        /// What is wrong there.
        what: Malformed,
    },
    /// A list, but empty, or a value of another type.
    #[error("a message is a list that begins with its type, found {found}")]
    NotAMessage {
        /// What was there.
        found: String,
    },
    /// The message type is not one that this router knows.
    #[error("unknown message type {0}")]
    UnknownType(u64),
    /// Too few or too many elements.
    #[error("{message}: expected {} elements, found {found}", counts(*least, *most))]
    ElementCount {
        /// The message's name.
        message: &'static str,
        /// Fewest elements, the type included.
        least: usize,
        /// Most elements, the type included.
        most: usize,
        /// Elements that were there.
        found: usize,
    },
    /// An element or an entry has the wrong type or a value that is not allowed.
    #[error("{place}: expected {expected}, found {found}")]
    Unexpected {
        /// The message, the element and where there is one the key, as in `PUBLISH.Options.acknowledge`.
        place: String,
        /// What belongs there.
        expected: &'static str,
        /// What was there, shortened.
        found: String,
    },
    /// A dictionary of the envelope has a key twice.
    #[error("{place}: the key occurs twice")]
    DuplicateKey {
        /// The message, the element and the key.
        place: String,
    },
    /// Options or details have more values than [`Limits::values`](crate::Limits::values).
    #[error("{message}: more than {limit} values in options or details")]
    TooManyValues {
        /// The message's name.
        message: &'static str,
        /// The limit.
        limit: u32,
    },
}

/// Why bytes are not a value of their serializer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The value goes on behind the end of the input.
    #[error("unexpected end")]
    Truncated,
    /// Something follows the message.
    #[error("bytes after the end of the message")]
    Trailing,
    /// Text is not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
    /// Lists and dictionaries are nested deeper than [`Limits::depth`](crate::Limits::depth).
    #[error("nested too deeply")]
    Depth,
    /// A key is a list or dictionary, inside of which another key is one too.
    #[error("a key that is a list or dictionary, inside of another one")]
    KeyInKey,
    /// A dictionary has a key that is not text where WAMP requires text.
    #[error("a key that is not text")]
    Key,
    /// Any other violation of the serializer's grammar.
    #[error("{0}")]
    Syntax(&'static str),
}

/// "3", or "3 to 5".
fn counts(least: usize, most: usize) -> String {
    if least == most {
        least.to_string()
    } else {
        format!("{least} to {most}")
    }
}
