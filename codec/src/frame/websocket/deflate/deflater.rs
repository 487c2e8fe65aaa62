//! Frames to compressed frames.

use bytes::{Bytes, BytesMut};
use flate2::{Compress, FlushCompress};

use super::{TAIL, WindowBits, deflate_bound};
use crate::frame::websocket::encode::{HEADER_ROOM, append_deflated_header};

/// Payloads that are shorter stay as they are: the compressor would not save as much as it costs.
const SHORTEST: usize = 64;

/// How hard to try, 1 to 9. More saves a few octets in a hundred and takes twice the time.
const LEVEL: u32 = 3;

/// Octets of scratch space that are kept between messages.
const KEPT: usize = 64 * 1024;

/// Compresses the messages of a server, each on its own. Takes some 200 KiB, however many receivers there are.
#[derive(Debug)]
pub struct Deflater {
    compress: Compress,
    scratch: Vec<u8>,
}

impl Deflater {
    /// A compressor for peers that take this window.
    #[must_use]
    pub fn new(window: WindowBits) -> Self {
        Self {
            compress: Compress::new_with_window_bits(flate2::Compression::new(LEVEL), false, window.get()),
            scratch: Vec::new(),
        }
    }

    /// The compressed form of `frame`, a server's frame with a whole message; `frame` itself if it would not be
    /// shorter.
    pub fn frame(&mut self, frame: &Bytes) -> Bytes {
        match payload(frame) {
            Some(payload) if payload.len() >= SHORTEST => self.deflate(frame, payload, payload.len()),
            _ => frame.clone(),
        }
    }

    /// As [`frame`](Self::frame), even if it becomes longer.
    pub fn frame_anyway(&mut self, frame: &Bytes) -> Bytes {
        match payload(frame) {
            Some(payload) => self.deflate(frame, payload, deflate_bound(payload.len())),
            None => frame.clone(),
        }
    }

    /// `frame` itself if its `payload` takes more than `longest` octets compressed.
    fn deflate(&mut self, frame: &Bytes, payload: &[u8], longest: usize) -> Bytes {
        let compressed = self.message(payload, longest).map(|message| {
            let mut out = BytesMut::with_capacity(HEADER_ROOM + message.len());
            append_deflated_header(frame[0], message.len(), &mut out);
            out.extend_from_slice(message);
            out.freeze()
        });
        if self.scratch.capacity() > KEPT {
            self.scratch = Vec::new();
        }
        compressed.unwrap_or_else(|| frame.clone())
    }

    /// `None` if it takes `longest` octets or more.
    fn message(&mut self, payload: &[u8], longest: usize) -> Option<&[u8]> {
        self.compress.reset();
        self.scratch.clear();
        self.scratch.reserve(longest + TAIL.len());
        let room = self.scratch.capacity();
        self.compress
            .compress_vec(payload, &mut self.scratch, FlushCompress::Sync)
            .ok()?;
        // With room left, all of the input is out.
        let whole = self.compress.total_in() == payload.len() as u64 && self.scratch.len() < room;
        let message = self.scratch.strip_suffix(&TAIL)?;
        (whole && message.len() < longest).then_some(message)
    }
}

/// The payload of a server's frame.
fn payload(frame: &[u8]) -> Option<&[u8]> {
    let header = match frame.get(1)? {
        127 => 10,
        126 => 4,
        _ => 2,
    };
    frame.get(header..)
}
