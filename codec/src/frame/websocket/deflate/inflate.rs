//! The receiving half of one connection's compression.

use std::cell::Cell;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Agreed, TAIL, WindowBits};
use crate::frame::websocket::FrameError;

thread_local! {
    /// An inflater that nobody uses now, with the largest window: making one takes longer than a short message.
    static SPARE: Cell<Option<Decompress>> = const { Cell::new(None) };
}

/// Octets that output grows by at least.
const LEAST_ROOM: usize = 128;

/// Blocks of a message that may be marked as the last of all, and one more for each [`OCTETS_PER_LAST_BLOCK`] that came out.
/// They say nothing that others would not, and each costs as much as some hundred octets.
const LAST_BLOCKS: usize = 64;

/// See [`LAST_BLOCKS`].
const OCTETS_PER_LAST_BLOCK: usize = 1024;

/// What a message must end with after [`TAIL`]: the shortest last block. A message that ends inside a block takes this
/// for a part of that block, and does not come to its end.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// The same where the next message may refer to this one, so that no block may be the last: blocks of nothing, as many
/// as fill up the longest list of codes (2212 bits) that a block can begin with. They begin with bits of both kinds so
/// that whichever of them ends another block is followed by something that is no block.
const NO_BLOCKS: [u8; 5 * 56] = {
    let mut octets = [0; 5 * 56];
    let mut at = 0;
    while at < octets.len() {
        octets[at] = 0xf8;
        octets[at + 3] = 0xff;
        octets[at + 4] = 0xff;
        at += 5;
    }
    octets
};

#[derive(Debug)]
pub(in crate::frame::websocket) struct Inflate {
    /// Set if the peer's messages may refer to earlier ones: then this is its window.
    takeover: Option<WindowBits>,
    /// Set while a message is inflated, and once it was needed also between messages where they may refer to earlier ones.
    inflater: Option<Decompress>,
}

impl Inflate {
    pub(in crate::frame::websocket) fn new(agreed: &Agreed) -> Self {
        Self {
            takeover: (!agreed.client_no_context_takeover).then_some(agreed.client_window),
            inflater: None,
        }
    }

    /// What a message says, which must not exceed `limit` octets.
    pub(in crate::frame::websocket) fn message(
        &mut self,
        message: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, FrameError> {
        let mut out = Vec::new();
        inflate(self.inflater(), message, &mut out, limit)?;
        self.end(&mut out, limit)?;
        if self.takeover.is_none()
            && let Some(mut inflater) = self.inflater.take()
        {
            inflater.reset(false);
            SPARE.set(Some(inflater));
        }
        Ok(out)
    }

    /// A message ends where a block does: its end says nothing more.
    fn end(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<(), FrameError> {
        let said = out.len();
        let goes_on = self.takeover.is_some();
        let inflater = self.inflater();
        inflate(inflater, &TAIL, out, limit)?;
        let end: &[u8] = if goes_on { &NO_BLOCKS } else { &LAST_BLOCK };
        let has_ended = inflate(inflater, end, out, limit)?;
        if out.len() == said && has_ended != goes_on {
            Ok(())
        } else {
            Err(FrameError::Corrupt)
        }
    }

    fn inflater(&mut self) -> &mut Decompress {
        let takeover = self.takeover;
        self.inflater.get_or_insert_with(|| fresh(takeover))
    }
}

fn fresh(takeover: Option<WindowBits>) -> Decompress {
    let new = |window: WindowBits| Decompress::new_with_window_bits(false, window.get());
    match takeover {
        Some(window) => new(window),
        None => SPARE.take().unwrap_or_else(|| new(WindowBits::LARGEST)),
    }
}

/// Whether the input ends with a last block.
fn inflate(
    inflater: &mut Decompress,
    mut input: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<bool, FrameError> {
    let mut last_blocks = 0;
    loop {
        if out.len() == out.capacity() {
            // One octet over the limit is enough to know that there is one. In between, memory is in proportion to
            // what has come out.
            let room = out.len().max(2 * input.len()).max(LEAST_ROOM);
            out.reserve_exact(room.min(limit + 1 - out.len()));
        }
        let (taken, made) = (inflater.total_in(), out.len());
        let status = inflater
            .decompress_vec(input, out, FlushDecompress::Sync)
            .map_err(|_| FrameError::Corrupt)?;
        let taken = (inflater.total_in() - taken) as usize;
        input = &input[taken..];
        if out.len() > limit {
            return Err(FrameError::TooLong { limit });
        }
        // A peer may end a block as the last one of all; more may follow nevertheless (section 7.2.3.4).
        if status == Status::StreamEnd {
            last_blocks += 1;
            if last_blocks > LAST_BLOCKS + out.len() / OCTETS_PER_LAST_BLOCK {
                return Err(FrameError::Corrupt);
            }
            inflater.reset(false);
        }
        let has_room = out.len() < out.capacity();
        if input.is_empty() && has_room {
            return Ok(status == Status::StreamEnd);
        }
        if taken == 0 && out.len() == made && has_room {
            return Err(FrameError::Corrupt);
        }
    }
}
