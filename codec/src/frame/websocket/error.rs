//! What a peer can do wrong once the connection is open.

use tungstenite::protocol::frame::coding::CloseCode;

/// A violation of RFC 6455, or of our limits, after which the connection is to be failed.
///
/// [`close_code`](Self::close_code) and the text of `Display` are what the close frame should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// RSV1, RSV2 or RSV3 is set where no negotiated extension gives it a meaning (section 5.2).
    #[error("reserved header bits are set")]
    ReservedBits,
    /// An opcode without a meaning (section 5.2).
    #[error("opcode {0} is reserved")]
    ReservedOpcode(u8),
    /// A frame of a client without a mask (section 5.1).
    #[error("a client's frame must be masked")]
    Unmasked,
    /// A frame of a server with a mask (section 5.1).
    #[error("a server's frame must not be masked")]
    Masked,
    /// A control frame without FIN (section 5.5).
    #[error("a control frame must not be fragmented")]
    FragmentedControl,
    /// A control frame with more than 125 octets (section 5.5).
    #[error("a control frame must not exceed 125 octets")]
    LongControl,
    /// A continuation where no message has begun (section 5.4).
    #[error("a continuation frame without a message to continue")]
    UnexpectedContinuation,
    /// A new message before the fragmented one was complete (section 5.4).
    #[error("a new message within a fragmented message")]
    InterruptedMessage,
    /// The most significant bit of a 64-bit length (section 5.2).
    #[error("the most significant bit of a frame length is set")]
    LengthSign,
    /// The message is longer than we take.
    #[error("a message must not exceed {limit} octets")]
    TooLong {
        /// The limit in octets.
        limit: usize,
    },
    /// A text message on a binary subprotocol, or the other way round (WAMP section "WebSocket Transport").
    #[error("the type of the frame does not fit the negotiated subprotocol")]
    WrongType,
    /// A text message that is not UTF-8 (section 8.1).
    #[error("a text message is not valid UTF-8")]
    InvalidUtf8,
    /// A compressed message that cannot be inflated (RFC 7692).
    #[error("a compressed message is corrupt")]
    Corrupt,
    /// A close frame with one octet of payload (section 5.5.1).
    #[error("a close frame must have no payload, or a code of two octets")]
    ShortClose,
    /// A close code that must not be sent (section 7.4).
    #[error("close code {0} must not be sent")]
    InvalidCloseCode(u16),
    /// The reason of a close frame is not UTF-8 (section 5.5.1).
    #[error("the reason of a close frame is not valid UTF-8")]
    InvalidCloseReason,
}

impl FrameError {
    /// The code to close the connection with (section 7.4.1).
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::TooLong { .. } => CloseCode::Size,
            Self::InvalidUtf8 | Self::InvalidCloseReason | Self::Corrupt => CloseCode::Invalid,
            _ => CloseCode::Protocol,
        }
    }
}
