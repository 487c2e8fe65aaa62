//! WebSocket (RFC 6455), both sides, on tungstenite's vocabulary.
//!
//! tungstenite's own `WebSocket` owns its stream and copies what it writes, which rules out one frame shared by
//! all subscribers; its header parser and its codes are used, reassembly, masking and checks are here. Of extensions
//! there is [`deflate`].

mod close;
mod decoder;
pub mod deflate;
mod encode;
mod error;
mod fragments;
pub mod handshake;
mod mask;
mod skim;
mod subprotocol;
#[cfg(test)]
pub(in crate::frame) mod tests;

pub use close::close_payload;
pub use decoder::{Decoder, Incoming};
pub use encode::{
    HEADER_ROOM, client_frame, close, encode_header, finish_client_frame, finish_server_frame, frame,
    opcode_of, ping, pong,
};
pub use error::FrameError;
pub use mask::apply_mask;
pub use skim::Skim;
pub use subprotocol::{Subprotocol, format_of, subprotocol};
pub use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
pub use tungstenite::protocol::{CloseFrame, Role};

/// The longest payload of a control frame, in octets (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;
