//! One message, encoded once for all receivers that share a serializer and a framing.

use bytes::Bytes;
use crosspoint_codec::frame::{FrameBuilder, Framing};
use crosspoint_codec::{encode, encode_event, transcode};
use crosspoint_core::message::{Event, Message};
use crosspoint_core::payload::{Format, Payload};
use smallvec::SmallVec;

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

/// The frames of one event, made when their first receiver is met.
pub(super) struct EventFrames<'e> {
    event: &'e Event,
    /// The payload in the other formats, where it was translated.
    payloads: [Option<Payload>; Format::ALL.len()],
    /// One for each kind of receiver met so far; nearly always there are few kinds.
    frames: SmallVec<[(Format, Framing, Encoded); 2]>,
}

impl<'e> EventFrames<'e> {
    pub(super) fn new(event: &'e Event) -> Self {
        Self {
            event,
            payloads: Default::default(),
            frames: SmallVec::new(),
        }
    }

    pub(super) fn get(&mut self, format: Format, framing: Framing) -> &Encoded {
        let found = self
            .frames
            .iter()
            .position(|made| made.0 == format && made.1 == framing);
        let at = found.unwrap_or_else(|| {
            let encoded = self.encode(format, framing);
            self.frames.push((format, framing, encoded));
            self.frames.len() - 1
        });
        &self.frames[at].2
    }

    /// How many frames were made.
    pub(super) fn made(&self) -> u64 {
        self.frames.len() as u64
    }

    fn encode(&mut self, format: Format, framing: Framing) -> Encoded {
        /// What an EVENT has beside its payload, with some details.
        const ENVELOPE: usize = 192;
        let event = self.event;
        let payload = if event.payload.format == format {
            &event.payload
        } else {
            self.payloads[format as usize].get_or_insert_with(|| transcode(&event.payload, format))
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
