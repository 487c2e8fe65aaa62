//! Writers: one value of a serializer after the other, appended to a buffer.

mod cbor;
mod json;
mod msgpack;
mod ubjson;

use bytes::{BufMut, BytesMut};
pub(crate) use cbor::CborWriter;
use crosspoint_core::payload::Format;
use crosspoint_core::value::{Dict, Value};
pub(crate) use json::JsonWriter;
pub(crate) use msgpack::MsgPackWriter;
pub(crate) use ubjson::{BjDataWriter, UbJsonWriter};

use crate::transcode::copy_encoded;

/// A list or dictionary that was begun and not yet ended.
#[must_use = "a container has to be ended"]
pub(crate) struct Open {
    /// Offset of its first byte.
    head: usize,
}

impl Open {
    /// Begins with `first`, or leaves room for it.
    fn with(first: u8, out: &mut BytesMut) -> Self {
        let head = out.len();
        out.put_u8(first);
        Self { head }
    }
}

/// A place between two values.
pub(crate) struct Mark {
    length: usize,
    /// See [`JsonWriter`]; of no meaning to the others.
    comma: bool,
}

/// Writes one serializer. Never fails: the buffer grows.
///
/// Containers are counted by whoever writes them and may be begun without knowing the count: a binary
/// serializer leaves room for the shortest head, and moves the content in the rare case that it needs more.
pub(crate) trait Writer {
    /// The serializer.
    const FORMAT: Format;

    /// Whether keys can only be text.
    const TEXT_KEYS: bool;

    /// What it appends to.
    fn buffer(&mut self) -> &mut BytesMut;

    fn null(&mut self);
    fn bool(&mut self, value: bool);
    fn int(&mut self, value: i64);
    fn uint(&mut self, value: u64);
    /// JSON and UBJSON have no infinities and no NaN: there they are null.
    fn float(&mut self, value: f64);
    fn str(&mut self, value: &str);
    fn bytes(&mut self, value: &[u8]);

    fn begin_list(&mut self) -> Open;
    fn end_list(&mut self, open: Open, count: usize);
    fn begin_map(&mut self) -> Open;
    fn end_map(&mut self, open: Open, count: usize);

    /// Writes the key of the next entry.
    fn key(&mut self, key: &str);

    /// Writes a value that is encoded already.
    fn raw(&mut self, encoded: &[u8]) {
        self.buffer().extend_from_slice(encoded);
    }

    /// Where the next value begins.
    fn mark(&mut self) -> Mark {
        Mark {
            length: self.buffer().len(),
            comma: false,
        }
    }

    /// Takes back what was written since `mark`.
    fn rewind(&mut self, mark: Mark) {
        self.buffer().truncate(mark.length);
    }

    fn value(&mut self, value: &Value)
    where
        Self: Sized,
    {
        match value {
            Value::Null => self.null(),
            Value::Bool(value) => self.bool(*value),
            Value::Int(value) => self.int(*value),
            Value::UInt(value) => self.uint(*value),
            Value::Float(value) => self.float(*value),
            Value::Str(value) => self.str(value),
            Value::Bytes(value) => self.bytes(value),
            Value::List(list) => {
                let open = self.begin_list();
                for item in list {
                    self.value(item);
                }
                self.end_list(open, list.len());
            }
            Value::Dict(dict) => self.dict(dict),
            Value::Encoded(format, encoded) => copy_encoded(*format, encoded, self),
        }
    }

    fn dict(&mut self, dict: &Dict)
    where
        Self: Sized,
    {
        let open = self.begin_map();
        for (key, value) in &dict.0 {
            self.key(key);
            self.value(value);
        }
        self.end_map(open, dict.0.len());
    }
}

/// Puts `head`, whose length is now known, in the place of the one byte at `at` that was kept for it.
fn replace_head(out: &mut BytesMut, at: usize, head: &[u8]) {
    let [first, more @ ..] = head else { return };
    out[at] = *first;
    if !more.is_empty() {
        let content = at + 1..out.len();
        out.resize(out.len() + more.len(), 0);
        out.copy_within(content, at + head.len());
        out[at + 1..at + head.len()].copy_from_slice(more);
    }
}
