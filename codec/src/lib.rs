//! Bytes to WAMP messages and back.
//!
//! [`decode()`] reads the envelope of one message: its type, ids, options and URIs. What the message carries
//! for the application stays a checked slice of the received bytes ([`core::payload::Payload`]). [`encode()`]
//! writes a message; a payload that arrived in another serializer's form is translated by [`transcode()`] on
//! the way, and [`PayloadValues`] reads those few that are for the router itself. [`frame`] cuts a transport's byte stream into messages.
//!
//! The serializers share one description of the messages: `decode` and `encode` are generic over a pull
//! reader (`read`) and a writer (`write`), each with an implementation for JSON, MessagePack, CBOR and both
//! dialects of UBJSON. FlatBuffers, where a message is no list, has a description of its own (`flatbuffers`).
#![forbid(unsafe_code)]

pub use crosspoint_core as core;

mod decode;
mod encode;
mod error;
mod flatbuffers;
pub mod frame;
mod read;
mod text;
mod transcode;
mod values;
mod write;

pub use decode::{Limits, decode};
pub use encode::{encode, encode_event, encode_invocation, encode_result};
pub use error::{DecodeError, Malformed};
pub use transcode::transcode;
pub use values::PayloadValues;
