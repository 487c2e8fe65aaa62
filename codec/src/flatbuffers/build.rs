//! Writes tables, each before what it refers to.

use bytes::{BufMut, Bytes, BytesMut};

use super::schema::{MESSAGE, MESSAGE_TYPE, Slot};

/// More fields than any table has.
const MOST_SLOTS: usize = 24;

/// The value of a field.
enum Value<'m> {
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    Text(&'m str),
    Bytes(Bytes),
    U64s(Vec<u64>),
    Texts(Vec<&'m str>),
    Table(Fields<'m>),
    Tables(Vec<Fields<'m>>),
}

/// The fields of a table. Adding one that has the schema's default, or is `None`, does nothing.
#[derive(Default)]
pub(super) struct Fields<'m>(Vec<(Slot, Value<'m>)>);

impl<'m> Fields<'m> {
    pub(super) fn new() -> Self {
        /// More than most messages have.
        const CAPACITY: usize = 8;
        Self(Vec::with_capacity(CAPACITY))
    }

    fn with(mut self, slot: Slot, value: Value<'m>) -> Self {
        self.0.push((slot, value));
        self
    }

    /// A byte, unless it is `default`.
    pub(super) fn u8(self, slot: Slot, value: u8, default: u8) -> Self {
        if value == default {
            return self;
        }
        self.with(slot, Value::U8(value))
    }

    pub(super) fn u16(self, slot: Slot, value: u16) -> Self {
        if value == 0 {
            return self;
        }
        self.with(slot, Value::U16(value))
    }

    pub(super) fn u32(self, slot: Slot, value: u32) -> Self {
        if value == 0 {
            return self;
        }
        self.with(slot, Value::U32(value))
    }

    pub(super) fn u64(self, slot: Slot, value: u64) -> Self {
        if value == 0 {
            return self;
        }
        self.with(slot, Value::U64(value))
    }

    pub(super) fn flag(self, slot: Slot, value: bool) -> Self {
        self.u8(slot, value.into(), 0)
    }

    pub(super) fn text(self, slot: Slot, text: Option<&'m str>) -> Self {
        match text {
            Some(text) => self.with(slot, Value::Text(text)),
            None => self,
        }
    }

    pub(super) fn bytes(self, slot: Slot, bytes: Option<Bytes>) -> Self {
        match bytes {
            Some(bytes) => self.with(slot, Value::Bytes(bytes)),
            None => self,
        }
    }

    pub(super) fn u64s(self, slot: Slot, items: Option<Vec<u64>>) -> Self {
        match items {
            Some(items) => self.with(slot, Value::U64s(items)),
            None => self,
        }
    }

    pub(super) fn texts(self, slot: Slot, items: Option<Vec<&'m str>>) -> Self {
        match items {
            Some(items) => self.with(slot, Value::Texts(items)),
            None => self,
        }
    }

    pub(super) fn table(self, slot: Slot, table: Option<Self>) -> Self {
        match table {
            Some(table) => self.with(slot, Value::Table(table)),
            None => self,
        }
    }

    pub(super) fn tables(self, slot: Slot, items: Option<Vec<Self>>) -> Self {
        match items {
            Some(items) => self.with(slot, Value::Tables(items)),
            None => self,
        }
    }

    /// Appends the buffer of a message that has these fields.
    pub(super) fn write(self, kind: u8, out: &mut BytesMut) {
        let root = Self::new().u8(MESSAGE_TYPE, kind, 0).table(MESSAGE, Some(self));
        let base = out.len();
        let mut buffer = Buffer { out, base };
        let reference = buffer.reference();
        buffer.table(reference, &root);
    }
}

impl Value<'_> {
    /// Bytes that it takes in its table.
    fn width(&self) -> u16 {
        match self {
            Self::U8(_) => 1,
            Self::U16(_) => 2,
            Self::U64(_) => 8,
            _ => 4,
        }
    }
}

/// Lengths and distances have four bytes; no message is longer.
fn short(length: usize) -> u32 {
    debug_assert!(u32::try_from(length).is_ok());
    length as u32
}

/// A buffer that is being written.
struct Buffer<'b> {
    out: &'b mut BytesMut,
    /// Where it begins: values lie at multiples of their width from here on.
    base: usize,
}

impl Buffer<'_> {
    /// Goes on to the next place that is `rest` bytes behind a multiple of `width`.
    fn align(&mut self, width: usize, rest: usize) {
        while (self.out.len() - self.base) % width != rest {
            self.out.put_u8(0);
        }
    }

    /// Keeps room for an offset.
    fn reference(&mut self) -> usize {
        let at = self.out.len();
        self.out.put_u32_le(0);
        at
    }

    /// Makes the offset at `reference` lead here.
    fn refer(&mut self, reference: usize) {
        let distance = short(self.out.len() - reference);
        self.patch(reference, &distance.to_le_bytes());
    }

    fn patch(&mut self, at: usize, bytes: &[u8]) {
        self.out[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes a table to which the offset at `reference` leads: how its fields lie, the table with the widest
    /// ones first so that no gaps are needed, and what it refers to.
    fn table(&mut self, reference: usize, Fields(fields): &Fields<'_>) {
        let mut layout = [0; MOST_SLOTS];
        let (mut size, mut slots) = (4, 0);
        for width in [8, 4, 2, 1] {
            for (slot, _) in fields.iter().filter(|(_, value)| value.width() == width) {
                layout[usize::from(*slot)] = size;
                size += width;
                slots = slots.max(slot + 1);
            }
        }
        self.align(2, 0);
        let vtable = self.out.len();
        self.out.put_u16_le(4 + 2 * slots);
        self.out.put_u16_le(size);
        for offset in &layout[..usize::from(slots)] {
            self.out.put_u16_le(*offset);
        }
        self.align(8, 4);
        let at = self.out.len();
        self.refer(reference);
        self.out.put_u32_le(short(at - vtable));
        self.out.put_bytes(0, usize::from(size) - 4);
        for (slot, value) in fields {
            self.value(at + usize::from(layout[usize::from(*slot)]), value);
        }
    }

    /// Writes a value, whose place in its table is `at`.
    fn value(&mut self, at: usize, value: &Value<'_>) {
        match value {
            Value::U8(value) => self.patch(at, &[*value]),
            Value::U16(value) => self.patch(at, &value.to_le_bytes()),
            Value::U32(value) => self.patch(at, &value.to_le_bytes()),
            Value::U64(value) => self.patch(at, &value.to_le_bytes()),
            Value::Text(text) => self.text(at, text),
            Value::Bytes(bytes) => {
                self.vector(at, bytes.len(), 4);
                self.out.extend_from_slice(bytes);
            }
            Value::U64s(items) => {
                self.vector(at, items.len(), 8);
                for item in items {
                    self.out.put_u64_le(*item);
                }
            }
            Value::Texts(items) => self.references(at, items, |buffer, at, text| buffer.text(at, text)),
            Value::Table(table) => self.table(at, table),
            Value::Tables(items) => self.references(at, items, Self::table),
        }
    }

    /// Begins a vector whose items are aligned to `width`.
    fn vector(&mut self, reference: usize, count: usize, width: usize) {
        self.align(width, width - 4);
        self.refer(reference);
        self.out.put_u32_le(short(count));
    }

    fn text(&mut self, reference: usize, text: &str) {
        self.vector(reference, text.len(), 4);
        self.out.extend_from_slice(text.as_bytes());
        self.out.put_u8(0);
    }

    /// Writes a vector of offsets, and where each of them leads.
    fn references<T>(&mut self, reference: usize, items: &[T], write: impl Fn(&mut Self, usize, &T)) {
        self.vector(reference, items.len(), 4);
        let first = self.out.len();
        self.out.put_bytes(0, 4 * items.len());
        for (index, item) in items.iter().enumerate() {
            write(self, first + 4 * index, item);
        }
    }
}
