//! Payloads that the router itself reads and writes: those of the meta API. All others pass through unread.

use std::fmt;

use bytes::Bytes;

use crate::payload::Payload;
use crate::value::{Dict, Value};

/// What a payload says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    /// `Arguments`.
    pub list: Vec<Value>,
    /// `ArgumentsKw`.
    pub dict: Dict,
}

/// Reads and writes payloads; the codec's part of the meta API, handed over in
/// [`RouterConfig::values`](crate::config::RouterConfig::values).
pub trait Values: fmt::Debug + Send + Sync {
    /// The values of a payload. `None` where `Arguments` is no list (a payload of the older transparency mode), or
    /// where there are more values than the router is willing to hold in memory.
    fn read(&self, payload: &Payload) -> Option<Arguments>;

    /// One positional argument as it lies in the payload, of the payload's format: for what is only passed on.
    fn item(&self, payload: &Payload, index: usize) -> Option<Bytes>;

    /// Likewise a positional argument that is a dictionary for `ArgumentsKw`: `None` where a key is not text.
    fn keywords(&self, payload: &Payload, index: usize) -> Option<Bytes>;

    /// A payload in a format of the codec's choice; receivers get it in their own.
    fn write(&self, arguments: &Arguments) -> Payload;
}
