//! What is queued to one connection.
//!
//! Invariants: frames leave whole and in order; an empty outbox holds no heap memory, so that an idle
//! connection costs none.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::Bytes;

use crate::config::{FRAME_COST, SLICES_MAX};

/// Frames that wait to be written, most of them shared with other outboxes.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The oldest frame, in place: most outboxes hold one at a time.
    first: Option<Bytes>,
    /// The others; none where there is no first.
    rest: VecDeque<Bytes>,
    /// Bytes of the first frame that are written already.
    written: usize,
    cost: usize,
}

/// What one write achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrote {
    /// Bytes that the kernel took.
    pub(crate) bytes: usize,
    /// Frames that are gone with them.
    pub(crate) frames: usize,
    /// It would have taken no more: wait until it says that it would.
    pub(crate) blocked: bool,
}

impl Outbox {
    pub(crate) fn push(&mut self, frame: Bytes) {
        debug_assert!(
            !frame.is_empty(),
            "an empty frame would look like a blocked write"
        );
        self.cost += frame.len() + FRAME_COST;
        if self.first.is_none() {
            self.first = Some(frame);
        } else {
            self.rest.push_back(frame);
        }
    }

    /// What is queued, in bytes, with [`FRAME_COST`] for each frame; a frame counts in full until it is gone.
    pub(crate) fn cost(&self) -> usize {
        self.cost
    }

    /// What waits behind the oldest frame, counted like [`cost`](Self::cost). The oldest one is perhaps under way, and may be
    /// as large as it likes.
    pub(crate) fn behind(&self) -> usize {
        let first = self.first.as_ref().map_or(0, |frame| frame.len() + FRAME_COST);
        self.cost - first
    }

    /// How many frames are queued.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds the oldest frames to `slices`, as one write offers them. Their bytes.
    pub(crate) fn offer<'a>(&'a self, slices: &mut Vec<IoSlice<'a>>) -> usize {
        let Some(first) = &self.first else { return 0 };
        let first = &first[self.written..];
        slices.push(IoSlice::new(first));
        let mut offered = first.len();
        for frame in self.rest.iter().take(SLICES_MAX - 1) {
            slices.push(IoSlice::new(frame));
            offered += frame.len();
        }
        offered
    }

    /// How many slices [`offer`](Self::offer) adds.
    pub(crate) fn slices(&self) -> usize {
        self.len().min(SLICES_MAX)
    }

    /// Takes off what a write of `offered` bytes achieved.
    ///
    /// # Errors
    /// Those of the write, but for `WouldBlock` and `Interrupted`, which mean that nothing was taken; and `WriteZero`.
    pub(crate) fn wrote(&mut self, offered: usize, result: io::Result<usize>) -> io::Result<Wrote> {
        let taken = match result {
            Ok(0) if offered > 0 => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => taken.min(offered),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            // Nothing is known to block: the next attempt finds out.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Wrote {
                    bytes: 0,
                    frames: 0,
                    blocked: false,
                });
            }
            Err(error) => return Err(error),
        };
        Ok(Wrote {
            bytes: taken,
            frames: self.advance(taken),
            blocked: taken < offered,
        })
    }

    /// Takes off what was written. Frames that are gone with it.
    fn advance(&mut self, mut taken: usize) -> usize {
        let mut frames = 0;
        while let Some(frame) = &self.first {
            let unwritten = frame.len() - self.written;
            if taken < unwritten {
                self.written += taken;
                return frames;
            }
            frames += 1;
            taken -= unwritten;
            self.written = 0;
            self.cost -= frame.len() + FRAME_COST;
            self.first = self.rest.pop_front();
        }
        self.rest = VecDeque::new();
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(frames: &[&'static [u8]]) -> Outbox {
        let mut outbox = Outbox::default();
        for frame in frames {
            outbox.push(Bytes::from_static(frame));
        }
        outbox
    }

    fn write(
        outbox: &mut Outbox,
        write: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<Wrote> {
        let mut slices = Vec::new();
        let offered = outbox.offer(&mut slices);
        assert_eq!(slices.len(), outbox.slices());
        let result = write(&slices);
        outbox.wrote(offered, result)
    }

    /// A kernel that takes `room` bytes and says that it would block when it has none.
    fn take(room: usize, into: &mut Vec<u8>) -> impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize> {
        move |bufs| {
            if room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            let taken = room.min(all.len());
            into.extend_from_slice(&all[..taken]);
            Ok(taken)
        }
    }

    #[test]
    fn every_way_to_cut_writes_keeps_the_bytes_in_order() {
        for room in 1..=12 {
            let mut outbox = outbox(&[b"abc", b"d", b"efghij"]);
            let mut out = Vec::new();
            while !outbox.is_empty() {
                let wrote = write(&mut outbox, take(room, &mut out)).unwrap();
                assert_eq!(wrote.blocked, !outbox.is_empty());
            }
            assert_eq!(out, b"abcdefghij");
            assert_eq!(outbox.cost(), 0);
        }
    }

    #[test]
    fn a_full_kernel_takes_nothing_and_nothing_is_lost() {
        let mut outbox = outbox(&[b"abc"]);
        let cost = outbox.cost();
        let mut out = Vec::new();
        assert_eq!(
            write(&mut outbox, take(0, &mut out)).unwrap(),
            Wrote {
                bytes: 0,
                frames: 0,
                blocked: true
            }
        );
        assert_eq!(outbox.cost(), cost);
        assert_eq!(cost, 3 + FRAME_COST);
    }

    #[test]
    fn one_write_offers_a_bounded_number_of_frames() {
        let mut outbox = Outbox::default();
        for _ in 0..SLICES_MAX + 1 {
            outbox.push(Bytes::from_static(b"x"));
        }
        let wrote = write(&mut outbox, |bufs| Ok(bufs.len())).unwrap();
        assert_eq!(
            wrote,
            Wrote {
                bytes: SLICES_MAX,
                frames: SLICES_MAX,
                blocked: false
            }
        );
        assert!(!outbox.is_empty());
    }

    #[test]
    fn an_emptied_outbox_holds_no_memory() {
        let mut outbox = outbox(&[b"abc", b"def"]);
        write(&mut outbox, take(100, &mut Vec::new())).unwrap();
        assert!(outbox.is_empty());
        assert_eq!(outbox.rest.capacity(), 0);
    }

    #[test]
    fn errors_pass_through() {
        let mut outbox = outbox(&[b"abc"]);
        let error = write(&mut outbox, |_| Err(io::ErrorKind::ConnectionReset.into())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let error = write(&mut outbox, |_| Ok(0)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}
