//! Encodes messages. See [`encode()`].

mod messages;
mod options;

use bytes::BytesMut;
use crosspoint_core::ids::{PublicationId, RegistrationId, RequestId, SubscriptionId};
use crosspoint_core::message::Message;
use crosspoint_core::options::{EventDetails, InvocationDetails, ResultDetails};
use crosspoint_core::payload::{Format, Payload};

use crate::flatbuffers;
use crate::write::{BjDataWriter, CborWriter, JsonWriter, MsgPackWriter, UbJsonWriter};

/// Calls a function of `messages` with the writer of a format.
macro_rules! with_writer {
    ($format:expr, $out:expr, $function:ident($($argument:expr),*)) => {
        match $format {
            Format::Json => messages::$function(&mut JsonWriter::new($out), $($argument),*),
            Format::MsgPack => messages::$function(&mut MsgPackWriter::new($out), $($argument),*),
            Format::Cbor => messages::$function(&mut CborWriter::new($out), $($argument),*),
            Format::BjData => messages::$function(&mut BjDataWriter::new($out), $($argument),*),
            Format::UbJson => messages::$function(&mut UbJsonWriter::new($out), $($argument),*),
            Format::FlatBuffers => flatbuffers::encode::$function($out, $($argument),*),
        }
    };
}

/// Appends `message` to `out`.
///
/// A payload that has another form is translated, as [`transcode`](crate::transcode()) says, which also says
/// what becomes of values that `format` cannot express: encoding never fails.
pub fn encode(format: Format, message: &Message, out: &mut BytesMut) {
    with_writer!(format, out, message(message));
}

/// Appends an EVENT, like [`encode()`], without building the message.
pub fn encode_event(
    format: Format,
    subscription: SubscriptionId,
    publication: PublicationId,
    details: &EventDetails,
    payload: &Payload,
    out: &mut BytesMut,
) {
    with_writer!(format, out, event(subscription, publication, details, payload));
}

/// Appends an INVOCATION, like [`encode()`], without building the message.
pub fn encode_invocation(
    format: Format,
    request: RequestId,
    registration: RegistrationId,
    details: &InvocationDetails,
    payload: &Payload,
    out: &mut BytesMut,
) {
    with_writer!(format, out, invocation(request, registration, details, payload));
}

/// Appends a RESULT, like [`encode()`], without building the message.
pub fn encode_result(
    format: Format,
    request: RequestId,
    details: &ResultDetails,
    payload: &Payload,
    out: &mut BytesMut,
) {
    with_writer!(format, out, result(request, details, payload));
}
