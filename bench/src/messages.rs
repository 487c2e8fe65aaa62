//! Messages as clients send them.

use bytes::{Bytes, BytesMut};
use crosspoint_codec::{encode, transcode};
use crosspoint_core::ids::RequestId;
use crosspoint_core::message::{Call, Hello, Message, Publish, Register, Subscribe, Yield};
use crosspoint_core::options::{
    CallOptions, PublishOptions, RegisterOptions, SubscribeOptions, YieldOptions,
};
use crosspoint_core::payload::{Format, Payload};
use crosspoint_core::value::Dict;

/// The realm of every router here.
pub const REALM: &str = "realm1";

/// The topic or procedure of every message here; of usual length.
pub const URI: &str = "com.example.building7.floor3.temperature";

/// Arguments of about `size` octets as JSON: a list of measurements, each a dictionary of numbers and texts.
#[must_use]
pub fn payload(format: Format, size: usize) -> Payload {
    const ITEM: &str = r#"{"id":48213,"kind":"temperature","value":21.75,"ok":true}"#;
    let mut text = String::from("[");
    while text.len() + ITEM.len() < size {
        text.push_str(ITEM);
        text.push(',');
    }
    let filler = size.saturating_sub(text.len() + 3);
    text.push('"');
    text.extend(std::iter::repeat_n('x', filler));
    text.push_str("\"]");
    let json = Payload {
        format: Format::Json,
        args: text.into(),
        kwargs: Bytes::new(),
    };
    transcode(&json, format)
}

/// The name of a serializer, which for the two dialects of UBJSON is not the same.
#[must_use]
pub const fn label(format: Format) -> &'static str {
    match format {
        Format::BjData => "bjdata",
        other => other.name(),
    }
}

/// A message as it travels, without its frame.
#[must_use]
pub fn encoded(format: Format, message: &Message) -> Bytes {
    let mut out = BytesMut::new();
    encode(format, message, &mut out);
    out.freeze()
}

/// HELLO with all four roles.
#[must_use]
pub fn hello() -> Message {
    let roles = ["publisher", "subscriber", "caller", "callee"];
    let roles = roles
        .into_iter()
        .fold(Dict::new(), |dict, role| dict.with(role, Dict::new()));
    Message::Hello(Hello {
        realm: REALM.into(),
        details: Dict::new().with("roles", roles),
    })
}

/// SUBSCRIBE to [`URI`].
#[must_use]
pub fn subscribe() -> Message {
    Message::Subscribe(Subscribe {
        request: RequestId(1),
        options: SubscribeOptions::default(),
        topic: URI.into(),
    })
}

/// REGISTER of [`URI`].
#[must_use]
pub fn register() -> Message {
    Message::Register(Register {
        request: RequestId(1),
        options: RegisterOptions::default(),
        procedure: URI.into(),
    })
}

/// PUBLISH to `topic`, not acknowledged.
#[must_use]
pub fn publish(topic: &'static str, payload: Payload) -> Message {
    Message::Publish(Publish {
        request: RequestId(1),
        options: PublishOptions::default(),
        topic: topic.into(),
        payload,
    })
}

/// CALL of [`URI`].
#[must_use]
pub fn call(request: u64, payload: Payload) -> Message {
    Message::Call(Call {
        request: RequestId(request),
        options: CallOptions::default(),
        procedure: URI.into(),
        payload,
    })
}

/// YIELD.
#[must_use]
pub fn answer(request: u64, payload: Payload) -> Message {
    Message::Yield(Yield {
        request: RequestId(request),
        options: YieldOptions::default(),
        payload,
    })
}
