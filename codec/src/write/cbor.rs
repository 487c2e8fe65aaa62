//! Writes CBOR, always with definite lengths and the shortest heads.

use bytes::{BufMut, BytesMut};
use crosspoint_core::payload::Format;

use super::{Open, Writer, replace_head};
use crate::read::major;

/// Appends to a buffer.
pub(crate) struct CborWriter<'b> {
    out: &'b mut BytesMut,
}

/// The first bytes of a value.
struct Head {
    bytes: [u8; 9],
    length: usize,
}

impl Head {
    fn new(major: u8, number: u64) -> Self {
        let [.., b4, b5, b6, b7] = number.to_be_bytes();
        let first = |info: u8| major << 5 | info;
        let mut bytes = [0; 9];
        let length = match number {
            0..24 => {
                bytes[0] = first(b7);
                1
            }
            24..0x100 => {
                bytes[..2].copy_from_slice(&[first(24), b7]);
                2
            }
            0x100..0x1_0000 => {
                bytes[..3].copy_from_slice(&[first(25), b6, b7]);
                3
            }
            0x1_0000..0x1_0000_0000 => {
                bytes[..5].copy_from_slice(&[first(26), b4, b5, b6, b7]);
                5
            }
            _ => {
                bytes[0] = first(27);
                bytes[1..].copy_from_slice(&number.to_be_bytes());
                9
            }
        };
        Self { bytes, length }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl<'b> CborWriter<'b> {
    pub(crate) fn new(out: &'b mut BytesMut) -> Self {
        Self { out }
    }

    fn head(&mut self, major: u8, number: u64) {
        self.out.extend_from_slice(Head::new(major, number).as_bytes());
    }

    fn end(&mut self, major: u8, open: &Open, count: usize) {
        replace_head(self.out, open.head, Head::new(major, count as u64).as_bytes());
    }
}

impl Writer for CborWriter<'_> {
    const FORMAT: Format = Format::Cbor;

    const TEXT_KEYS: bool = false;

    fn buffer(&mut self) -> &mut BytesMut {
        self.out
    }

    fn null(&mut self) {
        self.head(major::SIMPLE, 22);
    }

    fn bool(&mut self, value: bool) {
        self.head(major::SIMPLE, 20 + u64::from(value));
    }

    fn int(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.head(major::UNSIGNED, value),
            // The number of a negative integer is -1 - value, which is its complement.
            Err(_) => self.head(major::NEGATIVE, !value as u64),
        }
    }

    fn uint(&mut self, value: u64) {
        self.head(major::UNSIGNED, value);
    }

    fn float(&mut self, value: f64) {
        self.out.put_u8(major::SIMPLE << 5 | 27);
        self.out.put_f64(value);
    }

    fn str(&mut self, value: &str) {
        self.head(major::TEXT, value.len() as u64);
        self.raw(value.as_bytes());
    }

    fn bytes(&mut self, value: &[u8]) {
        self.head(major::BYTES, value.len() as u64);
        self.raw(value);
    }

    fn begin_list(&mut self) -> Open {
        Open::with(0, self.out)
    }

    fn end_list(&mut self, open: Open, count: usize) {
        self.end(major::LIST, &open, count);
    }

    fn begin_map(&mut self) -> Open {
        Open::with(0, self.out)
    }

    fn end_map(&mut self, open: Open, count: usize) {
        self.end(major::MAP, &open, count);
    }

    fn key(&mut self, key: &str) {
        self.str(key);
    }
}
