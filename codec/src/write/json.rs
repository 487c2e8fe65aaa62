//! Writes JSON, without spaces.

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};
use crosspoint_core::payload::Format;

use super::{Mark, Open, Writer};
use crate::text::{plain_run, push_base64};

/// Appends to a buffer.
pub(crate) struct JsonWriter<'b> {
    out: &'b mut BytesMut,
    /// Whether the next value or key follows another one in its container.
    comma: bool,
}

impl<'b> JsonWriter<'b> {
    pub(crate) fn new(out: &'b mut BytesMut) -> Self {
        Self { out, comma: false }
    }

    /// Separates what comes next from what came before.
    fn separate(&mut self) {
        if self.comma {
            self.out.put_u8(b',');
        }
        self.comma = true;
    }

    fn word(&mut self, word: &str) {
        self.raw(word.as_bytes());
    }

    fn begin(&mut self, bracket: u8) -> Open {
        self.separate();
        self.comma = false;
        Open::with(bracket, self.out)
    }

    fn end(&mut self, bracket: u8) {
        self.out.put_u8(bracket);
        self.comma = true;
    }

    fn quoted(&mut self, text: &str) {
        self.out.put_u8(b'"');
        let mut rest = text.as_bytes();
        loop {
            let (plain, special) = rest.split_at(plain_run(rest));
            self.out.extend_from_slice(plain);
            let [first, more @ ..] = special else { break };
            self.escape(*first);
            rest = more;
        }
        self.out.put_u8(b'"');
    }

    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                self.out.extend_from_slice(b"\\u00");
                self.out.extend_from_slice(&digits);
                return;
            }
        };
        self.out.extend_from_slice(&[b'\\', short]);
    }
}

impl Writer for JsonWriter<'_> {
    const FORMAT: Format = Format::Json;

    const TEXT_KEYS: bool = true;

    fn buffer(&mut self) -> &mut BytesMut {
        self.out
    }

    fn null(&mut self) {
        self.word("null");
    }

    fn bool(&mut self, value: bool) {
        self.word(if value { "true" } else { "false" });
    }

    fn int(&mut self, value: i64) {
        self.word(itoa::Buffer::new().format(value));
    }

    fn uint(&mut self, value: u64) {
        self.word(itoa::Buffer::new().format(value));
    }

    fn float(&mut self, value: f64) {
        if !value.is_finite() {
            return self.null();
        }
        self.separate();
        // Debug, unlike Display, keeps ".0" on whole numbers, so that they remain floats, and the exponents of
        // big ones. Writing to a buffer that grows does not fail.
        let written = write!(self.out, "{value:?}");
        debug_assert!(written.is_ok());
    }

    fn str(&mut self, value: &str) {
        self.separate();
        self.quoted(value);
    }

    fn bytes(&mut self, value: &[u8]) {
        self.separate();
        self.out.extend_from_slice(b"\"\\u0000");
        push_base64(self.out, value);
        self.out.put_u8(b'"');
    }

    fn begin_list(&mut self) -> Open {
        self.begin(b'[')
    }

    fn end_list(&mut self, _: Open, _: usize) {
        self.end(b']');
    }

    fn begin_map(&mut self) -> Open {
        self.begin(b'{')
    }

    fn end_map(&mut self, _: Open, _: usize) {
        self.end(b'}');
    }

    fn key(&mut self, key: &str) {
        self.separate();
        self.quoted(key);
        self.out.put_u8(b':');
        self.comma = false;
    }

    fn raw(&mut self, encoded: &[u8]) {
        self.separate();
        self.out.extend_from_slice(encoded);
    }

    fn mark(&mut self) -> Mark {
        Mark {
            length: self.out.len(),
            comma: self.comma,
        }
    }

    fn rewind(&mut self, mark: Mark) {
        self.out.truncate(mark.length);
        self.comma = mark.comma;
    }
}
