//! One message, encoded once for all receivers that share a serializer and a framing, and compressed once for all
//! that share a window too.

use bytes::Bytes;
use crosspoint_codec::frame::websocket::deflate::{Deflater, WindowBits};
use crosspoint_codec::frame::{FrameBuilder, Framing};
use crosspoint_codec::{encode, encode_event, transcode};
use crosspoint_core::message::{Event, Message};
use crosspoint_core::payload::{Format, Payload};
use smallvec::SmallVec;

use crate::kind::Kind;

/// A message in its frame.
#[derive(Clone)]
pub(super) struct Encoded {
    /// The frame; `None` where the framing cannot express the message's length.
    pub(super) frame: Option<Bytes>,
    /// Bytes of the message without its frame.
    pub(super) message_bytes: usize,
}

impl Encoded {
    pub(super) fn new(format: Format, framing: Framing, message: &Message) -> Self {
        /// Most messages without a payload fit; those with one grow once.
        const CAPACITY: usize = 256;
        let mut builder = FrameBuilder::new(framing, format, CAPACITY);
        encode(format, message, builder.message());
        Self::finish(builder)
    }

    /// The frame, if a peer that takes messages of `max_bytes` takes this one.
    pub(super) fn for_peer(&self, max_bytes: usize) -> Option<&Bytes> {
        self.frame.as_ref().filter(|_| self.message_bytes <= max_bytes)
    }

    fn finish(builder: FrameBuilder) -> Self {
        let message_bytes = builder.message_len();
        Self {
            frame: builder.finish().ok(),
            message_bytes,
        }
    }
}

/// The compressors of a shard, one for each window that its connections agreed on.
#[derive(Default)]
pub(super) struct Deflaters(Vec<(WindowBits, Deflater)>);

impl Deflaters {
    /// The same message, compressed if that makes it shorter.
    pub(super) fn deflated(&mut self, window: WindowBits, encoded: Encoded) -> Encoded {
        let at = self
            .0
            .iter()
            .position(|each| each.0 == window)
            .unwrap_or_else(|| {
                self.0.push((window, Deflater::new(window)));
                self.0.len() - 1
            });
        Encoded {
            frame: encoded.frame.map(|frame| self.0[at].1.frame(&frame)),
            ..encoded
        }
    }
}

/// The frames of one event, made when their first receiver is met.
pub(super) struct EventFrames<'e> {
    event: &'e Event,
    /// The payload in the other formats, where it was translated.
    payloads: [Option<Payload>; Format::OF_PAYLOADS.len()],
    /// One for each kind of receiver met so far; nearly always there are few kinds.
    frames: SmallVec<[(Kind, Encoded); 2]>,
    /// The place of the last receiver's: most receivers are of the same kind as the one before.
    last: usize,
}

impl<'e> EventFrames<'e> {
    pub(super) fn new(event: &'e Event) -> Self {
        Self {
            event,
            payloads: Default::default(),
            frames: SmallVec::new(),
            last: 0,
        }
    }

    #[inline]
    pub(super) fn get(&mut self, kind: Kind, deflaters: &mut Deflaters) -> &Encoded {
        if self.frames.get(self.last).is_none_or(|made| made.0 != kind) {
            self.last = self.place(kind, deflaters);
        }
        &self.frames[self.last].1
    }

    /// The place of the frame for receivers of a kind, which is made if it is the first of them.
    fn place(&mut self, kind: Kind, deflaters: &mut Deflaters) -> usize {
        if let Some(place) = self.frames.iter().position(|made| made.0 == kind) {
            return place;
        }
        let encoded = match kind.deflate {
            None => self.encode(kind.format, kind.framing),
            Some(window) => {
                let plain = self.place(kind.plain(), deflaters);
                deflaters.deflated(window, self.frames[plain].1.clone())
            }
        };
        self.frames.push((kind, encoded));
        self.frames.len() - 1
    }

    /// How many frames were made.
    pub(super) fn made(&self) -> u64 {
        self.frames.len() as u64
    }

    fn encode(&mut self, format: Format, framing: Framing) -> Encoded {
        /// What an EVENT has beside its payload, with some details.
        const ENVELOPE: usize = 192;
        let event = self.event;
        let wanted = format.of_payload();
        let payload = if event.payload.format == wanted {
            &event.payload
        } else {
            self.payloads[wanted as usize].get_or_insert_with(|| transcode(&event.payload, wanted))
        };
        let mut builder = FrameBuilder::new(framing, format, payload.len() + ENVELOPE);
        encode_event(
            format,
            event.subscription,
            event.publication,
            &event.details,
            payload,
            builder.message(),
        );
        Encoded::finish(builder)
    }
}
