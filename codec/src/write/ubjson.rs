//! Writes UBJSON and BJData, byte for byte as autobahn's serializers do: containers without types and counts,
//! integers in the shortest type.

use bytes::{BufMut, BytesMut};
use crosspoint_core::payload::Format;

use super::{Open, Writer};
use crate::read::marker;

/// BJData.
pub(crate) type BjDataWriter<'b> = UbjsonWriter<'b, true>;

/// UBJSON.
pub(crate) type UbJsonWriter<'b> = UbjsonWriter<'b, false>;

/// Appends to a buffer.
pub(crate) struct UbjsonWriter<'b, const BJDATA: bool> {
    out: &'b mut BytesMut,
}

impl<'b, const BJDATA: bool> UbjsonWriter<'b, BJDATA> {
    pub(crate) fn new(out: &'b mut BytesMut) -> Self {
        Self { out }
    }

    /// A number, of which `bytes` has the most significant byte first.
    fn number<const N: usize>(&mut self, kind: u8, mut bytes: [u8; N]) {
        if BJDATA {
            bytes.reverse();
        }
        self.out.put_u8(kind);
        self.out.extend_from_slice(&bytes);
    }

    fn length(&mut self, length: usize) {
        self.uint(length as u64);
    }
}

impl<const BJDATA: bool> Writer for UbjsonWriter<'_, BJDATA> {
    const FORMAT: Format = if BJDATA { Format::BjData } else { Format::UbJson };

    const TEXT_KEYS: bool = true;

    fn buffer(&mut self) -> &mut BytesMut {
        self.out
    }

    fn null(&mut self) {
        self.out.put_u8(marker::NULL);
    }

    fn bool(&mut self, value: bool) {
        self.out.put_u8(if value { marker::TRUE } else { marker::FALSE });
    }

    fn int(&mut self, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.uint(value);
        } else if let Ok(value) = i8::try_from(value) {
            self.number(marker::INT8, value.to_be_bytes());
        } else if let Ok(value) = i16::try_from(value) {
            self.number(marker::INT16, value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.number(marker::INT32, value.to_be_bytes());
        } else {
            self.number(marker::INT64, value.to_be_bytes());
        }
    }

    fn uint(&mut self, value: u64) {
        if let Ok(value) = u8::try_from(value) {
            self.number(marker::UINT8, [value]);
        } else if BJDATA {
            if let Ok(value) = u16::try_from(value) {
                self.number(marker::UINT16, value.to_be_bytes());
            } else if let Ok(value) = u32::try_from(value) {
                self.number(marker::UINT32, value.to_be_bytes());
            } else {
                self.number(marker::UINT64, value.to_be_bytes());
            }
        } else if let Ok(value) = i16::try_from(value) {
            self.number(marker::INT16, value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.number(marker::INT32, value.to_be_bytes());
        } else if let Ok(value) = i64::try_from(value) {
            self.number(marker::INT64, value.to_be_bytes());
        } else {
            let mut digits = itoa::Buffer::new();
            self.out.put_u8(marker::HIGH_PRECISION);
            self.key(digits.format(value));
        }
    }

    /// UBJSON writes what is not finite as null (draft 12, "Numeric Values").
    fn float(&mut self, value: f64) {
        if BJDATA || value.is_finite() {
            self.number(marker::FLOAT64, value.to_be_bytes());
        } else {
            self.null();
        }
    }

    fn str(&mut self, value: &str) {
        if let [byte] = value.as_bytes() {
            self.out.extend_from_slice(&[marker::CHAR, *byte]);
        } else {
            self.out.put_u8(marker::STRING);
            self.key(value);
        }
    }

    fn bytes(&mut self, value: &[u8]) {
        let kind = if BJDATA { marker::BYTE } else { marker::UINT8 };
        self.out
            .extend_from_slice(&[marker::LIST, marker::TYPE, kind, marker::COUNT]);
        self.length(value.len());
        self.raw(value);
    }

    fn begin_list(&mut self) -> Open {
        Open::with(marker::LIST, self.out)
    }

    fn end_list(&mut self, _: Open, _: usize) {
        self.out.put_u8(marker::LIST_END);
    }

    fn begin_map(&mut self) -> Open {
        Open::with(marker::MAP, self.out)
    }

    fn end_map(&mut self, _: Open, _: usize) {
        self.out.put_u8(marker::MAP_END);
    }

    fn key(&mut self, key: &str) {
        self.length(key.len());
        self.raw(key.as_bytes());
    }
}
