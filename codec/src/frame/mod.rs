//! Framing: where one message ends and the next begins on a stream of bytes.
//!
//! Nothing here does I/O. A decoder is given the buffer into which the caller reads and takes whole frames
//! off its front; encoders return one [`Bytes`](bytes::Bytes) per frame. The same code serves the router (the
//! server's side) and its clients.
//!
//! # Invariants
//! - A message that arrived in one frame is a slice of the receive buffer: it is never copied. It therefore
//!   keeps that whole buffer alive; what is to be held for long should be copied out.
//! - What stays in the receive buffer after a decoder returned `None` is the beginning of one incomplete frame.
//! - The events do not depend on how the stream was cut into reads.
//! - A length is checked against the limit as soon as the header is there, before its payload is buffered.
//! - Server frames are not masked, so a frame does not depend on its receiver and all can share it.

pub mod batch;
mod builder;
pub mod http;
pub mod rawsocket;
pub mod websocket;

pub use builder::{FrameBuilder, Framing, TooLong, build};
