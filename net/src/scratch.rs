//! The read buffer that all connections of a shard share.
//!
//! Invariants: what was read is handed out as a slice of the buffer and never copied as long as it holds whole
//! frames; nothing that outlives its turn may stay a slice of it, for it would keep a whole chunk alive.

use bytes::{Bytes, BytesMut};

/// Bytes of one chunk: the most that one read can bring.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Room below which the next chunk is begun: the least that one read can bring if there is more than that.
pub(crate) const ROOM_MIN: usize = 16 * 1024;

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

/// What one connection sent and nobody has taken yet. It is a slice of the scratch buffer as long as that is
/// enough, and the connection's own while a frame is incomplete.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) bytes: BytesMut,
    own: bool,
}

impl Received {
    /// What somebody else has read.
    pub(crate) fn of(bytes: Bytes) -> Self {
        Self {
            bytes: bytes.into(),
            own: true,
        }
    }

    /// Appends what was read.
    pub(crate) fn append(&mut self, read: BytesMut) {
        if self.bytes.is_empty() {
            *self = Self {
                bytes: read,
                own: false,
            };
        } else {
            // Only what is its own is left behind by `keep`.
            self.bytes.extend_from_slice(&read);
        }
    }

    /// To be called before the next read: what is left becomes the connection's own, with room for `missing`
    /// bytes more as far as the peer has earned it by sending as many; where nothing is left no memory is.
    pub(crate) fn keep(&mut self, missing: usize) {
        if self.bytes.is_empty() {
            *self = Self::default();
        } else if !self.own {
            let mut own = BytesMut::with_capacity(self.bytes.len() + missing.min(self.bytes.len()));
            own.extend_from_slice(&self.bytes);
            *self = Self {
                bytes: own,
                own: true,
            };
        }
    }

    /// All of it, for somebody else, who may keep it for long.
    pub(crate) fn detach(mut self) -> Bytes {
        self.keep(0);
        self.bytes.freeze()
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

    #[test]
    fn what_is_left_of_a_read_is_copied_once() {
        let mut scratch = Scratch::default();
        let mut read = |bytes: &[u8]| {
            scratch.room()[..bytes.len()].copy_from_slice(bytes);
            scratch.take(bytes.len())
        };
        let mut received = Received::default();
        let first = read(b"whole part");
        let start = first.as_ptr();
        received.append(first);
        assert_eq!(received.bytes.split_to(6).as_ptr(), start, "no copy");
        received.keep(1000);
        assert_eq!(
            received.bytes.capacity(),
            8,
            "room in proportion to what is there"
        );
        assert_ne!(received.bytes.as_ptr(), start.wrapping_add(6));
        let own = received.bytes.as_ptr();
        received.append(read(b"ial"));
        received.keep(1);
        assert_eq!(
            (&received.bytes[..], received.bytes.as_ptr()),
            (&b"partial"[..], own)
        );
        received.bytes.clear();
        received.keep(1);
        assert_eq!(received.bytes.capacity(), 0);
    }
}
