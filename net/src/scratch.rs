//! The read buffer that all connections of a shard share.
//!
//! Invariants: what was read is handed out as a slice of the buffer and never copied as long as it holds whole
//! frames; nothing that outlives its turn may stay a slice of it, for it would keep a whole chunk alive.

use bytes::BytesMut;

/// Bytes of one chunk: the most that one read can bring.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Room below which the next chunk is begun.
const ROOM_MIN: usize = 16 * 1024;

/// Where the next read goes.
#[derive(Debug, Default)]
pub(crate) struct Scratch(BytesMut);

impl Scratch {
    /// Room for a read.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.0.len() < ROOM_MIN {
            // Where nothing refers to the old chunk any more its memory is used again.
            self.0.clear();
            self.0.resize(CHUNK, 0);
        }
        &mut self.0
    }

    /// The first `len` bytes of the room, which a read has filled.
    pub(crate) fn take(&mut self, len: usize) -> BytesMut {
        self.0.split_to(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_do_not_overlap_and_memory_is_used_again() {
        let mut scratch = Scratch::default();
        scratch.room()[..3].copy_from_slice(b"abc");
        let first = scratch.take(3);
        scratch.room()[..3].copy_from_slice(b"def");
        let second = scratch.take(3);
        assert_eq!((&first[..], &second[..]), (&b"abc"[..], &b"def"[..]));
        let start = first.as_ptr();
        drop((first, second));
        let rest = scratch.room().len();
        drop(scratch.take(rest));
        assert_eq!(scratch.room().len(), CHUNK);
        assert_eq!(scratch.room().as_ptr(), start, "the chunk was free");
    }
}
