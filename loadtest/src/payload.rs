//! What every publication and call carries: who sent it, as which of its messages, and when.
//!
//! The payload is one text of a chosen length, so that it can cross from any serializer into any other:
//!
//! ```text
//! ~xp | source, 8 hex digits | sequence, 12 | time in ns, 16 | filler
//! ```
//! A receiver finds it by its mark, whatever the serializer put in front of it.

use bytes::{Bytes, BytesMut};
use crosspoint_codec::core::payload::{Format, Payload};
use crosspoint_codec::transcode;

/// No serializer's text header of a text below 8 MiB contains it.
const MARK: &[u8; 3] = b"~xp";
const SOURCE: usize = MARK.len();
const SEQUENCE: usize = SOURCE + 8;
const TIME: usize = SEQUENCE + 12;

/// Octets of the shortest payload.
pub(crate) const MIN_SIZE: usize = TIME + 16;
/// Octets of the longest payload.
pub(crate) const MAX_SIZE: usize = 4 << 20;

/// Octets in front of the text: the list's header and the text's, six octets at most.
const HEADER_MAX: usize = 1 + 6;

/// What a payload says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The publisher or caller.
    pub(crate) source: u32,
    /// Which of the source's messages, from 0.
    pub(crate) sequence: u64,
    /// When it was to be sent, in nanoseconds of the run's clock.
    pub(crate) time: u64,
}

/// Makes payloads of one size in one serializer's form.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    encoded: Payload,
    /// Where the mark is.
    at: usize,
    size: usize,
}

impl Template {
    /// `size` is the length of the text, raised to [`MIN_SIZE`].
    pub(crate) fn new(format: Format, size: usize) -> Self {
        let size = size.clamp(MIN_SIZE, MAX_SIZE);
        let mut text = String::with_capacity(size + 4);
        text.push_str("[\"~xp");
        text.extend(std::iter::repeat_n('.', size - MARK.len()));
        text.push_str("\"]");
        let json = Payload {
            format: Format::Json,
            args: text.into(),
            kwargs: Bytes::new(),
        };
        let encoded = transcode(&json, format);
        let at = find(&encoded.args).unwrap_or_default();
        Self { encoded, at, size }
    }

    /// A payload that says `stamp`.
    pub(crate) fn stamped(&self, stamp: Stamp) -> Payload {
        let mut args = BytesMut::from(&*self.encoded.args);
        let text = &mut args[self.at..];
        write_hex(u64::from(stamp.source), &mut text[SOURCE..SEQUENCE]);
        write_hex(stamp.sequence, &mut text[SEQUENCE..TIME]);
        write_hex(stamp.time, &mut text[TIME..MIN_SIZE]);
        Payload {
            format: self.encoded.format,
            args: args.freeze(),
            kwargs: Bytes::new(),
        }
    }

    /// Reads what a payload says; `None` if it is not one of ours, or any octet of it is not as it was sent.
    pub(crate) fn read(&self, payload: &Payload) -> Option<Stamp> {
        let at = find(&payload.args)?;
        let text = &payload.args[at..];
        // JSON puts a quotation mark and a bracket behind the text, UBJSON a bracket, the others nothing.
        let behind: &[u8] = match payload.format {
            Format::Json => b"\"]",
            Format::BjData | Format::UbJson => b"]",
            _ => b"",
        };
        let (text, rest) = text.split_at_checked(self.size)?;
        let sent = &self.encoded.args[self.at..self.at + self.size];
        if rest != behind || text[MIN_SIZE..] != sent[MIN_SIZE..] {
            return None;
        }
        Some(Stamp {
            source: read_hex(&text[SOURCE..SEQUENCE])? as u32,
            sequence: read_hex(&text[SEQUENCE..TIME])?,
            time: read_hex(&text[TIME..MIN_SIZE])?,
        })
    }
}

fn find(args: &[u8]) -> Option<usize> {
    let head = &args[..args.len().min(HEADER_MAX + MARK.len())];
    head.windows(MARK.len()).position(|window| window == MARK)
}

fn write_hex(mut value: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 0xf) as usize];
        value >>= 4;
    }
}

fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, &digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        source: 0xdead_beef,
        sequence: 0xffff_ffff_fffe,
        time: u64::MAX - 1,
    };

    #[test]
    fn every_serializer_carries_it_at_every_length_of_header() {
        // 126 is `~` as a length octet; the others are where headers grow.
        for size in [MIN_SIZE, 126, 127, 255, 256, 65_535, 65_536] {
            for from in Format::ALL {
                let template = Template::new(from, size);
                for to in Format::ALL {
                    let payload = transcode(&template.stamped(STAMP), to);
                    assert_eq!(template.read(&payload), Some(STAMP), "{from:?} to {to:?}, {size}");
                }
            }
        }
    }

    #[test]
    fn a_size_too_small_is_raised() {
        let payload = Template::new(Format::MsgPack, 0).stamped(STAMP);
        assert!(payload.args.len() >= MIN_SIZE);
    }

    #[test]
    fn what_is_cut_or_changed_is_noticed() {
        for format in Format::ALL {
            let template = Template::new(format, 128);
            let good = template.stamped(STAMP);
            let with = |args: Bytes| Payload { args, ..good.clone() };
            assert_eq!(template.read(&with(good.args.slice(..good.args.len() - 1))), None);
            assert_eq!(template.read(&with(Bytes::new())), None);
            // Within the stamp, within the filler, and at the very end.
            for place in [template.at + SEQUENCE, template.at + 100, good.args.len() - 1] {
                let mut changed = good.args.to_vec();
                changed[place] ^= 0x80;
                assert_eq!(template.read(&with(changed.into())), None, "{format:?} {place}");
            }
            assert_eq!(template.read(&Payload::EMPTY), None);
        }
    }
}
