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

#[derive(Debug)]
pub(in crate::frame::websocket) struct Inflate {
    /// Set if the peer's messages may refer to earlier ones: then this is its window.
    takeover: Option<WindowBits>,
    /// Set within a message, and once it was needed also between messages where they may refer to earlier ones.
    inflater: Option<Decompress>,
}

impl Inflate {
    pub(in crate::frame::websocket) fn new(agreed: &Agreed) -> Self {
        Self {
            takeover: (!agreed.client_no_context_takeover).then_some(agreed.client_window),
            inflater: None,
        }
    }

    /// Appends what a fragment of a message says to `out`, which must not exceed `limit` octets.
    pub(in crate::frame::websocket) fn push(
        &mut self,
        fragment: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), FrameError> {
        let takeover = self.takeover;
        let inflater = self.inflater.get_or_insert_with(|| fresh(takeover));
        inflate(inflater, fragment, out, limit)
    }

    /// As [`push`](Self::push), with the last fragment of a message.
    pub(in crate::frame::websocket) fn push_last(
        &mut self,
        fragment: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), FrameError> {
        self.push(fragment, out, limit)?;
        self.push(&TAIL, out, limit)?;
        if self.takeover.is_none()
            && let Some(mut inflater) = self.inflater.take()
        {
            inflater.reset(false);
            SPARE.set(Some(inflater));
        }
        Ok(())
    }
}

fn fresh(takeover: Option<WindowBits>) -> Decompress {
    let new = |window: WindowBits| Decompress::new_with_window_bits(false, window.get());
    match takeover {
        Some(window) => new(window),
        None => SPARE.take().unwrap_or_else(|| new(WindowBits::LARGEST)),
    }
}

fn inflate(
    inflater: &mut Decompress,
    mut input: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<(), FrameError> {
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
            inflater.reset(false);
        }
        let has_room = out.len() < out.capacity();
        if input.is_empty() && has_room {
            return Ok(());
        }
        if taken == 0 && out.len() == made && has_room {
            return Err(FrameError::Corrupt);
        }
    }
}
