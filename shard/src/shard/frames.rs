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

/// Bytes that are compressed in one step before further frames of it go out as they are: a publication that matches many
/// subscriptions, or meets many windows, would otherwise hold the shard up for each.
const DEFLATED_PER_STEP: usize = 16 << 20;

/// The compressors of a shard, one for each window that its connections agreed on.
#[derive(Default)]
pub(super) struct Deflaters {
    all: Vec<(WindowBits, Deflater)>,
    /// Bytes that were compressed in this step.
    spent: usize,
}

impl Deflaters {
    /// The same message, compressed if that makes it shorter and the step has not had its share.
    pub(super) fn deflated(&mut self, window: WindowBits, encoded: Encoded) -> Encoded {
        if self.spent >= DEFLATED_PER_STEP {
            return encoded;
        }
        self.spent += encoded.message_bytes;
        let at = self
            .all
            .iter()
            .position(|each| each.0 == window)
            .unwrap_or_else(|| {
                self.all.push((window, Deflater::new(window)));
                self.all.len() - 1
            });
        Encoded {
            frame: encoded.frame.map(|frame| self.all[at].1.frame(&frame)),
            ..encoded
        }
    }

    /// A step begins, with a share of its own.
    pub(super) fn begin_step(&mut self) {
        self.spent = 0;
    }
}

/// How many times as long as its receiver takes a payload must be, in the publisher's serializer, to be known to be too long in the
/// receiver's. No translation makes one shorter than that, unless it consists of blanks.
const TOO_LONG_ANYWAY: usize = 16;

/// The payload that was translated last, so that one that goes out for many subscriptions is translated once.
#[derive(Default)]
pub(super) struct Translations {
    of: Option<Payload>,
    made: [Option<Payload>; Format::OF_PAYLOADS.len()],
}

impl Translations {
    /// The payload in the wanted format, which is not its own.
    fn get(&mut self, payload: &Payload, wanted: Format) -> &Payload {
        if !self.of.as_ref().is_some_and(|of| is_same(of, payload)) {
            self.made = Default::default();
            self.of = Some(payload.clone());
        }
        self.made[wanted as usize].get_or_insert_with(|| transcode(payload, wanted))
    }

    /// Keeps nothing.
    pub(super) fn clear(&mut self) {
        if self.of.is_some() {
            *self = Self::default();
        }
    }
}

/// Whether two payloads are the same memory.
fn is_same(one: &Payload, other: &Payload) -> bool {
    let place = |bytes: &Bytes| (bytes.as_ptr(), bytes.len());
    one.format == other.format
        && place(&one.args) == place(&other.args)
        && place(&one.kwargs) == place(&other.kwargs)
}

/// The frames of one event, made when their first receiver is met.
pub(super) struct EventFrames<'e> {
    event: &'e Event,
    translations: &'e mut Translations,
    deflaters: &'e mut Deflaters,
    /// One for each kind of receiver met so far; nearly always there are few kinds.
    frames: SmallVec<[(Kind, Encoded); 2]>,
    /// The place of the last receiver's: most receivers are of the same kind as the one before.
    last: usize,
}

impl<'e> EventFrames<'e> {
    pub(super) fn new(
        event: &'e Event,
        translations: &'e mut Translations,
        deflaters: &'e mut Deflaters,
    ) -> Self {
        Self {
            event,
            translations,
            deflaters,
            frames: SmallVec::new(),
            last: 0,
        }
    }

    /// The frame for a receiver that takes messages of `max_bytes`, if it takes this one. None is made for nobody.
    #[inline]
    pub(super) fn get(&mut self, kind: Kind, max_bytes: usize) -> Option<&Bytes> {
        if self.frames.get(self.last).is_none_or(|made| made.0 != kind) {
            self.last = self.place(kind, max_bytes)?;
        }
        self.frames[self.last].1.for_peer(max_bytes)
    }

    /// The place of the frame for receivers of a kind, which is made if it is the first of them. None if its payload alone is
    /// too long.
    fn place(&mut self, kind: Kind, max_bytes: usize) -> Option<usize> {
        if let Some(place) = self.frames.iter().position(|made| made.0 == kind) {
            return Some(place);
        }
        let encoded = match kind.deflate {
            None => self.encode(kind.format, kind.framing, max_bytes)?,
            Some(window) => {
                let plain = self.place(kind.plain(), max_bytes)?;
                self.deflaters.deflated(window, self.frames[plain].1.clone())
            }
        };
        self.frames.push((kind, encoded));
        Some(self.frames.len() - 1)
    }

    /// How many frames were made.
    pub(super) fn made(&self) -> u64 {
        self.frames.len() as u64
    }

    fn encode(&mut self, format: Format, framing: Framing, max_bytes: usize) -> Option<Encoded> {
        /// What an EVENT has beside its payload, with some details.
        const ENVELOPE: usize = 192;
        let event = self.event;
        let wanted = format.of_payload();
        let payload = if event.payload.format == wanted {
            &event.payload
        } else {
            if event.payload.len() / TOO_LONG_ANYWAY > max_bytes {
                return None;
            }
            self.translations.get(&event.payload, wanted)
        };
        if payload.len() > max_bytes {
            return None;
        }
        let mut builder = FrameBuilder::new(framing, format, payload.len() + ENVELOPE);
        encode_event(
            format,
            event.subscription,
            event.publication,
            &event.details,
            payload,
            builder.message(),
        );
        Some(Encoded::finish(builder))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use crosspoint_core::ids::{PublicationId, SubscriptionId};
    use crosspoint_core::options::EventDetails;

    use super::*;

    fn payload(args: impl Into<Bytes>) -> Payload {
        Payload {
            format: Format::MsgPack,
            args: args.into(),
            kwargs: Bytes::new(),
        }
    }

    fn event(payload: &Payload) -> Event {
        Event {
            subscription: SubscriptionId(1),
            publication: PublicationId(2),
            details: EventDetails::default(),
            payload: payload.clone(),
        }
    }

    fn json(deflate: Option<WindowBits>) -> Kind {
        Kind::new(Format::Json, Framing::WebSocket, deflate)
    }

    #[test]
    fn a_payload_is_translated_once_for_all_subscriptions() {
        let (mut translations, mut deflaters) = (Translations::default(), Deflaters::default());
        let args = payload(b"\x92\x01\x02".as_slice());
        let first = translations.get(&args, Format::Json).args.clone();
        let event = event(&args);
        let mut frames = EventFrames::new(&event, &mut translations, &mut deflaters);
        let frame = frames.get(json(None), 1000).unwrap();
        assert!(frame.ends_with(b"[1,2]]"), "{frame:?}");
        assert_eq!(
            translations.get(&args, Format::Json).args.as_ptr(),
            first.as_ptr()
        );
        // Another payload with the same content is another one.
        translations.get(&payload(b"\x92\x01\x02".to_vec()), Format::Json);
        assert_eq!(translations.of, Some(args.clone()));
        assert_ne!(
            translations.get(&args, Format::Json).args.as_ptr(),
            first.as_ptr()
        );
        translations.clear();
        assert_eq!(translations.of, None);
    }

    #[test]
    fn what_is_too_long_in_any_serializer_is_not_translated() {
        let (mut translations, mut deflaters) = (Translations::default(), Deflaters::default());
        // An array of 8,000 small numbers, twice as long in JSON.
        let mut args = b"\xdc\x1f\x40".to_vec();
        args.resize(3 + 8000, 1);
        let event = event(&payload(args));
        let mut frames = EventFrames::new(&event, &mut translations, &mut deflaters);
        assert_eq!(frames.get(json(None), 400), None);
        assert!(frames.made() == 0 && frames.translations.of.is_none());
        // With a larger limit it is looked at, and found to be too long.
        assert_eq!(frames.get(json(None), 8500), None);
        assert!(frames.made() == 0 && frames.translations.of.is_some());
        assert!(frames.get(json(None), 17_000).is_some());
        assert_eq!(frames.get(json(None), 16_000), None);
        assert_eq!(frames.made(), 1);
    }

    #[test]
    fn one_step_compresses_no_more_than_its_share() {
        let mut deflaters = Deflaters::default();
        let (large, window) = (1 << 22, WindowBits::LARGEST);
        let encoded = Encoded {
            frame: {
                let mut builder = FrameBuilder::new(Framing::WebSocket, Format::Json, large);
                builder.message().resize(large, b'x');
                builder.finish().ok()
            },
            message_bytes: large,
        };
        let mut bytes = || {
            let made = deflaters.deflated(window, encoded.clone());
            made.frame.unwrap().len()
        };
        let shares = [(); 5].map(|()| bytes() < large / 2);
        assert_eq!(shares, [true, true, true, true, false]);
        deflaters.begin_step();
        assert!(deflaters.deflated(window, encoded).frame.unwrap().len() < large / 2);
    }
}
