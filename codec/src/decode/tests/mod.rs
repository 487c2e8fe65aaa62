//! The checks of [`decode()`], each in all serializers that write lists, where they can express the input.

mod elements;
mod options;
mod payload;

use bytes::Bytes;
use crosspoint_core::message::Message;
use crosspoint_core::payload::{Format, Payload};

use super::{Limits, decode};
use crate::error::{DecodeError, Malformed};
use crate::transcode;

/// The list that `json` is, in `format`.
fn input(json: &str, format: Format) -> Bytes {
    let payload = Payload {
        format: Format::Json,
        args: json.to_owned().into(),
        kwargs: Bytes::new(),
    };
    transcode(&payload, format).args
}

/// The message that `json` is, the same in all formats but for its payload.
fn accepted(json: &str) -> Message {
    for format in [Format::MsgPack, Format::Cbor, Format::BjData, Format::UbJson] {
        let result = decode(format, &input(json, format), &Limits::default());
        assert!(result.is_ok(), "{json} in {}: {result:?}", format.name());
    }
    let result = decode(Format::Json, &json.to_owned().into(), &Limits::default());
    result.unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// Asserts that `json` is refused, with an error of this text.
fn refused(json: &str, text: &str) {
    for format in Format::OF_PAYLOADS {
        let result = decode(format, &input(json, format), &Limits::default());
        let error = result.expect_err(json).to_string();
        assert_eq!(error, text, "{json} in {}", format.name());
    }
}

fn malformed(format: Format, input: &[u8], at: usize, what: Malformed) {
    let result = decode(format, &Bytes::copy_from_slice(input), &Limits::default());
    assert_eq!(
        result,
        Err(DecodeError::Malformed { format, at, what }),
        "{input:x?}"
    );
}
