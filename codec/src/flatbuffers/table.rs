//! Reads tables, and trusts nothing that they say.

use std::cell::Cell;

use bytes::Bytes;
use bytestring::ByteString;
use crosspoint_core::payload::Format;

use super::schema::Slot;
use crate::error::{DecodeError, Malformed};

/// How many times over the bytes of an input may be referred to. Builders may share equal texts.
const MOST_SHARED: usize = 4;

/// A buffer.
pub(super) struct Source<'a> {
    input: &'a Bytes,
    /// Bytes of texts and vectors that may still be referred to.
    allowance: Cell<usize>,
}

/// What is wrong with a buffer, and where.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    at: usize,
    what: Malformed,
}

/// A table of a buffer.
#[derive(Clone, Copy)]
pub(super) struct Table<'s> {
    source: &'s Source<'s>,
    /// Where it begins.
    at: usize,
    /// Bytes that it has for the values of its fields, and four before them.
    size: usize,
    /// Where the offsets of its fields are.
    offsets: usize,
    /// How many there are.
    slots: Slot,
}

impl From<Fault> for Box<DecodeError> {
    fn from(Fault { at, what }: Fault) -> Self {
        let format = Format::FlatBuffers;
        Self::new(DecodeError::Malformed { format, at, what })
    }
}

fn fault<T>(at: usize, what: &'static str) -> Result<T, Fault> {
    let what = Malformed::Syntax(what);
    Err(Fault { at, what })
}

impl<'a> Source<'a> {
    pub(super) fn new(input: &'a Bytes) -> Self {
        Self {
            input,
            allowance: Cell::new(input.len().saturating_mul(MOST_SHARED)),
        }
    }

    /// The table that the buffer is.
    pub(super) fn root(&self) -> Result<Table<'_>, Fault> {
        self.table(self.follow(0)?)
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], Fault> {
        let rest = self.input.get(at..).unwrap_or_default();
        let what = Malformed::Truncated;
        rest.first_chunk().copied().ok_or(Fault { at, what })
    }

    /// Where the offset at `at` leads.
    fn follow(&self, at: usize) -> Result<usize, Fault> {
        let offset = u32::from_le_bytes(self.array(at)?) as usize;
        if offset == 0 {
            return fault(at, "an offset that leads nowhere");
        }
        Ok(at.saturating_add(offset))
    }

    fn table(&self, at: usize) -> Result<Table<'_>, Fault> {
        let back = i64::from(i32::from_le_bytes(self.array(at)?));
        let Ok(vtable) = usize::try_from((at as i64).saturating_sub(back)) else {
            return fault(at, "a table whose layout lies before the buffer");
        };
        let length = u16::from_le_bytes(self.array(vtable)?);
        let size = usize::from(u16::from_le_bytes(self.array(vtable.saturating_add(2))?));
        if length < 4 || length % 2 != 0 || size < 4 {
            return fault(vtable, "the layout of no table");
        }
        self.range(vtable, length.into())?;
        self.range(at, size)?;
        Ok(Table {
            source: self,
            at,
            size,
            offsets: vtable + 4,
            slots: (length - 4) / 2,
        })
    }

    /// Checks that `length` bytes from `at` on are there.
    fn range(&self, at: usize, length: usize) -> Result<std::ops::Range<usize>, Fault> {
        match at.checked_add(length) {
            Some(end) if end <= self.input.len() => Ok(at..end),
            _ => Err(Fault {
                at,
                what: Malformed::Truncated,
            }),
        }
    }

    /// Where the items of the vector at `at` begin, and how many there are, `width` bytes each.
    fn vector(&self, at: usize, width: usize) -> Result<(usize, usize), Fault> {
        let count = u32::from_le_bytes(self.array(at)?) as usize;
        let range = self.range(at + 4, count.saturating_mul(width))?;
        match self.allowance.get().checked_sub(range.len()) {
            Some(left) => self.allowance.set(left),
            None => return fault(at, "the same bytes referred to too often"),
        }
        Ok((range.start, count))
    }

    fn bytes(&self, at: usize) -> Result<Bytes, Fault> {
        let (start, length) = self.vector(at, 1)?;
        Ok(self.input.slice(start..start + length))
    }

    fn text(&self, at: usize) -> Result<ByteString, Fault> {
        let bytes = self.bytes(at)?;
        if self.array(at + 4 + bytes.len())? != [0] {
            return fault(at, "text without a NUL behind it");
        }
        ByteString::try_from(bytes).map_err(|_| Fault {
            at,
            what: Malformed::Utf8,
        })
    }
}

impl<'s> Table<'s> {
    /// Where the value of a field is that has `width` bytes; `None` if it is absent.
    fn field(&self, slot: Slot, width: usize) -> Result<Option<usize>, Fault> {
        if slot >= self.slots {
            return Ok(None);
        }
        let at = self.offsets + 2 * usize::from(slot);
        let offset = usize::from(u16::from_le_bytes(self.source.array(at)?));
        match offset {
            0 => Ok(None),
            _ if offset < 4 || offset + width > self.size => fault(at, "a field outside of its table"),
            _ => Ok(Some(self.at + offset)),
        }
    }

    fn number<const N: usize>(&self, slot: Slot) -> Result<Option<[u8; N]>, Fault> {
        let at = self.field(slot, N)?;
        at.map(|at| self.source.array(at)).transpose()
    }

    /// A byte; `None` if it is absent and so has its default.
    pub(super) fn u8(&self, slot: Slot) -> Result<Option<u8>, Fault> {
        Ok(self.number(slot)?.map(u8::from_le_bytes))
    }

    /// A number, 0 if it is absent.
    pub(super) fn u16(&self, slot: Slot) -> Result<u16, Fault> {
        Ok(self.number(slot)?.map_or(0, u16::from_le_bytes))
    }

    /// A number, 0 if it is absent.
    pub(super) fn u32(&self, slot: Slot) -> Result<u32, Fault> {
        Ok(self.number(slot)?.map_or(0, u32::from_le_bytes))
    }

    /// A number, 0 if it is absent.
    pub(super) fn u64(&self, slot: Slot) -> Result<u64, Fault> {
        Ok(self.number(slot)?.map_or(0, u64::from_le_bytes))
    }

    /// A truth value, false if it is absent.
    pub(super) fn flag(&self, slot: Slot) -> Result<bool, Fault> {
        Ok(self.u8(slot)?.is_some_and(|value| value != 0))
    }

    /// Where the field leads, if it is there.
    fn offset(&self, slot: Slot) -> Result<Option<usize>, Fault> {
        let at = self.field(slot, 4)?;
        at.map(|at| self.source.follow(at)).transpose()
    }

    /// Text that shares the memory of the buffer.
    pub(super) fn text(&self, slot: Slot) -> Result<Option<ByteString>, Fault> {
        let at = self.offset(slot)?;
        at.map(|at| self.source.text(at)).transpose()
    }

    /// A vector of bytes, which shares the memory of the buffer.
    pub(super) fn bytes(&self, slot: Slot) -> Result<Option<Bytes>, Fault> {
        let at = self.offset(slot)?;
        at.map(|at| self.source.bytes(at)).transpose()
    }

    /// A table.
    pub(super) fn table(&self, slot: Slot) -> Result<Option<Self>, Fault> {
        let at = self.offset(slot)?;
        at.map(|at| self.source.table(at)).transpose()
    }

    /// The items of a vector of numbers.
    pub(super) fn u64s(
        &self,
        slot: Slot,
    ) -> Result<Option<impl ExactSizeIterator<Item = Result<u64, Fault>> + use<'s>>, Fault> {
        let source = self.source;
        let items = self.items(slot, 8)?;
        Ok(items.map(|places| places.map(move |at| source.array(at).map(u64::from_le_bytes))))
    }

    /// The items of a vector of texts.
    pub(super) fn texts(
        &self,
        slot: Slot,
    ) -> Result<Option<impl ExactSizeIterator<Item = Result<ByteString, Fault>> + use<'s>>, Fault> {
        let source = self.source;
        let items = self.items(slot, 4)?;
        Ok(items.map(|places| places.map(move |at| source.text(source.follow(at)?))))
    }

    /// The items of a vector of tables.
    pub(super) fn tables(
        &self,
        slot: Slot,
    ) -> Result<Option<impl ExactSizeIterator<Item = Result<Table<'s>, Fault>> + use<'s>>, Fault> {
        let source = self.source;
        let items = self.items(slot, 4)?;
        Ok(items.map(|places| places.map(move |at| source.table(source.follow(at)?))))
    }

    /// Where the items of a vector are, `width` bytes each.
    fn items(
        &self,
        slot: Slot,
        width: usize,
    ) -> Result<Option<impl ExactSizeIterator<Item = usize> + use<'s>>, Fault> {
        let Some(at) = self.offset(slot)? else {
            return Ok(None);
        };
        let (start, count) = self.source.vector(at, width)?;
        Ok(Some((0..count).map(move |index| start + index * width)))
    }
}
