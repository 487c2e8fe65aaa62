//! Writes MessagePack.

use std::io::{self, Write};

use bytes::BytesMut;
use crosspoint_core::payload::Format;
use rmp::encode;

use super::{Open, Writer, replace_head};

/// Appends to a buffer.
pub(crate) struct MsgPackWriter<'b> {
    out: &'b mut BytesMut,
}

impl<'b> MsgPackWriter<'b> {
    pub(crate) fn new(out: &'b mut BytesMut) -> Self {
        Self { out }
    }
}

/// `rmp` writes to [`Write`], which for a growing buffer does not fail.
impl Write for MsgPackWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says that a result of `rmp` is not looked at, and why: see the `Write` above.
fn infallible<T, E>(result: Result<T, E>) {
    debug_assert!(result.is_ok());
}

/// MessagePack cannot express more than 2^32 - 1 items, entries or bytes; no message is that long.
fn length(count: usize) -> u32 {
    debug_assert!(u32::try_from(count).is_ok());
    count as u32
}

/// The longest head of a container: a marker and four bytes.
fn head(count: usize, write: impl FnOnce(&mut &mut [u8], u32) -> bool) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let mut free = &mut bytes[..];
    let written = write(&mut free, length(count));
    debug_assert!(written);
    let used = 5 - free.len();
    (bytes, used)
}

impl Writer for MsgPackWriter<'_> {
    const FORMAT: Format = Format::MsgPack;

    const TEXT_KEYS: bool = false;

    fn buffer(&mut self) -> &mut BytesMut {
        self.out
    }

    fn null(&mut self) {
        infallible(encode::write_nil(self));
    }

    fn bool(&mut self, value: bool) {
        infallible(encode::write_bool(self, value));
    }

    fn int(&mut self, value: i64) {
        infallible(encode::write_sint(self, value));
    }

    fn uint(&mut self, value: u64) {
        infallible(encode::write_uint(self, value));
    }

    fn float(&mut self, value: f64) {
        infallible(encode::write_f64(self, value));
    }

    fn str(&mut self, value: &str) {
        infallible(encode::write_str_len(self, length(value.len())));
        self.raw(value.as_bytes());
    }

    fn bytes(&mut self, value: &[u8]) {
        infallible(encode::write_bin_len(self, length(value.len())));
        self.raw(value);
    }

    fn begin_list(&mut self) -> Open {
        Open::with(0, self.out)
    }

    fn end_list(&mut self, open: Open, count: usize) {
        let (bytes, used) = head(count, |free, count| encode::write_array_len(free, count).is_ok());
        replace_head(self.out, open.head, &bytes[..used]);
    }

    fn begin_map(&mut self) -> Open {
        Open::with(0, self.out)
    }

    fn end_map(&mut self, open: Open, count: usize) {
        let (bytes, used) = head(count, |free, count| encode::write_map_len(free, count).is_ok());
        replace_head(self.out, open.head, &bytes[..used]);
    }

    fn key(&mut self, key: &str) {
        self.str(key);
    }
}
