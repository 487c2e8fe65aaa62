//! Received bytes to messages.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use crosspoint_core::payload::Format;
use tungstenite::protocol::frame::FrameHeader;

use super::deflate::{Agreed, Inflate, deflate_bound};
use super::fragments::{Fragments, Whole};
use super::{
    CloseFrame, Control, Data, FrameError, HEADER_ROOM, MAX_CONTROL_PAYLOAD, OpCode, Role, apply_mask,
};
use super::{close, opcode_of};

/// What a peer sent, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message; valid UTF-8.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A ping, to be answered by a pong with the same payload of at most 125 octets.
    Ping(Bytes),
    /// A pong, asked for or not.
    Pong(Bytes),
    /// The peer closes the connection, and expects a close frame in return if it has not got one already.
    /// Nothing more will be decoded.
    Close(Option<CloseFrame>),
}

/// The receiving half of one connection.
///
/// Idle it holds no bytes: an incomplete frame stays in the caller's buffer, and only the parts of a
/// fragmented message are gathered here.
#[derive(Debug)]
pub struct Decoder {
    fragments: Option<Box<Fragments>>,
    /// Set where messages may be compressed.
    inflate: Option<Box<Inflate>>,
    max_message: usize,
    role: Role,
    /// The only kind of message that is taken, where the subprotocol says so.
    only: Option<Data>,
    /// Set by a close frame or an error.
    done: bool,
}

impl Decoder {
    /// A decoder for our `role`, which takes text and binary messages of at most `max_message` octets.
    #[must_use]
    pub const fn new(role: Role, max_message: usize) -> Self {
        Self {
            fragments: None,
            inflate: None,
            max_message,
            role,
            only: None,
            done: false,
        }
    }

    /// Takes only the kind of message that carries `format`; the other kind becomes [`FrameError::WrongType`].
    #[must_use]
    pub const fn for_format(mut self, format: Format) -> Self {
        if let OpCode::Data(kind) = opcode_of(format) {
            self.only = Some(kind);
        }
        self
    }

    /// Takes compressed messages too, as was agreed. The limit is that of the inflated message.
    #[must_use]
    pub fn with_deflate(mut self, agreed: &Agreed) -> Self {
        self.inflate = Some(Box::new(Inflate::new(agreed)));
        self
    }

    /// Takes the next message or control frame off the front of `buf`; `None` when more bytes are needed.
    /// Call it until it returns `None`. After a close frame or an error it discards whatever comes.
    ///
    /// # Errors
    /// [`FrameError`]: the connection is to be closed with that error's code.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Incoming>, FrameError> {
        if self.done {
            buf.clear();
            return Ok(None);
        }
        let result = self.take_message(buf);
        if matches!(result, Err(_) | Ok(Some(Incoming::Close(_)))) {
            self.done = true;
            self.fragments = None;
            self.inflate = None;
        }
        result
    }

    /// How many more octets the frame at the front of `buf` needs, as far as its header tells; at least one.
    ///
    /// Meant for reserving space after [`next`](Self::next) returned `None`. The peer has only claimed this
    /// length: reserve in proportion to what it has sent, or a few bytes of header cost a whole message.
    #[must_use]
    pub fn missing(&self, buf: &[u8]) -> usize {
        match Header::parse(buf) {
            Ok(Some(header)) => header.frame_len().saturating_sub(buf.len()).max(1),
            _ => 2_usize.saturating_sub(buf.len()).max(1),
        }
    }

    /// Whether a close frame or an error has ended the stream.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    fn take_message(&mut self, buf: &mut BytesMut) -> Result<Option<Incoming>, FrameError> {
        while let Some(header) = Header::parse(buf)? {
            self.check(&header)?;
            if buf.len() < header.frame_len() {
                break;
            }
            buf.advance(header.len);
            let mut payload = buf.split_to(header.payload_len as usize);
            if let Some(key) = header.frame.mask {
                apply_mask(&mut payload, key);
            }
            let complete = match header.frame.opcode {
                OpCode::Data(kind) => self.take_data(kind, &header.frame, payload.freeze())?,
                OpCode::Control(kind) => Some(take_control(kind, payload.freeze())?),
            };
            if complete.is_some() {
                return Ok(complete);
            }
        }
        Ok(None)
    }

    /// All that can be said of a frame from its header alone.
    fn check(&self, header: &Header) -> Result<(), FrameError> {
        let frame = &header.frame;
        if frame.rsv1 && !self.may_be_compressed(frame.opcode) || frame.rsv2 || frame.rsv3 {
            return Err(FrameError::ReservedBits);
        }
        match (self.role, frame.mask) {
            (Role::Server, None) => return Err(FrameError::Unmasked),
            (Role::Client, Some(_)) => return Err(FrameError::Masked),
            _ => {}
        }
        if header.payload_len >> 63 != 0 {
            return Err(FrameError::LengthSign);
        }
        match frame.opcode {
            OpCode::Control(_) if !frame.is_final => Err(FrameError::FragmentedControl),
            OpCode::Control(_) if header.payload_len > MAX_CONTROL_PAYLOAD as u64 => {
                Err(FrameError::LongControl)
            }
            OpCode::Control(_) => Ok(()),
            OpCode::Data(kind) => self.check_data(kind, frame.rsv1, header.payload_len),
        }
    }

    /// The first frame of a message says whether it is compressed (RFC 7692 section 6).
    fn may_be_compressed(&self, opcode: OpCode) -> bool {
        self.inflate.is_some() && matches!(opcode, OpCode::Data(Data::Text | Data::Binary))
    }

    fn check_data(&self, kind: Data, compressed: bool, payload_len: u64) -> Result<(), FrameError> {
        let held = match (kind, &self.fragments) {
            (Data::Continue, None) => return Err(FrameError::UnexpectedContinuation),
            (Data::Continue, Some(fragments)) => fragments.len(),
            (_, Some(_)) => return Err(FrameError::InterruptedMessage),
            (kind, None) if self.only.is_some_and(|only| only != kind) => return Err(FrameError::WrongType),
            (_, None) => 0,
        };
        let is_compressed = compressed || self.fragments.as_ref().is_some_and(|held| held.is_compressed());
        let most = if is_compressed {
            deflate_bound(self.max_message)
        } else {
            self.max_message
        };
        // `held` has passed this check before, so it is not above the limit.
        let room = most - held;
        if payload_len > room as u64 {
            return Err(FrameError::TooLong {
                limit: self.max_message,
            });
        }
        Ok(())
    }

    /// Takes a data frame; `None` if its message goes on.
    fn take_data(
        &mut self,
        kind: Data,
        frame: &FrameHeader,
        payload: Bytes,
    ) -> Result<Option<Incoming>, FrameError> {
        if frame.is_final && kind != Data::Continue {
            if !frame.rsv1 {
                return whole_message(kind, payload).map(Some);
            }
            return whole_message(kind, self.inflated(&payload)?).map(Some);
        }
        let mut fragments = self
            .fragments
            .take()
            .unwrap_or_else(|| Box::new(Fragments::new(kind, frame.rsv1)));
        fragments.push(&payload)?;
        if !frame.is_final {
            self.fragments = Some(fragments);
            return Ok(None);
        }
        let message = match fragments.finish()? {
            Whole::Plain(message) => message,
            Whole::Compressed(kind, octets) => whole_message(kind, self.inflated(&octets)?)?,
        };
        Ok(Some(message))
    }

    /// What a compressed message says.
    #[inline(never)]
    fn inflated(&mut self, message: &[u8]) -> Result<Bytes, FrameError> {
        match &mut self.inflate {
            Some(inflate) => inflate.message(message, self.max_message).map(Bytes::from),
            None => Err(FrameError::ReservedBits),
        }
    }
}

fn whole_message(kind: Data, payload: Bytes) -> Result<Incoming, FrameError> {
    if kind == Data::Binary {
        return Ok(Incoming::Binary(payload));
    }
    match simdutf8::basic::from_utf8(&payload) {
        Ok(_) => Ok(Incoming::Text(payload)),
        Err(_) => Err(FrameError::InvalidUtf8),
    }
}

fn take_control(kind: Control, payload: Bytes) -> Result<Incoming, FrameError> {
    match kind {
        Control::Close => Ok(Incoming::Close(close::parse_close(payload)?)),
        Control::Ping => Ok(Incoming::Ping(payload)),
        Control::Pong => Ok(Incoming::Pong(payload)),
        Control::Reserved(code) => Err(FrameError::ReservedOpcode(code)),
    }
}

/// A frame's header and how many octets it and the payload take.
pub(super) struct Header {
    pub(super) frame: FrameHeader,
    pub(super) len: usize,
    pub(super) payload_len: u64,
}

impl Header {
    /// The header at the front of `buf`; `None` while it is incomplete.
    #[inline]
    pub(super) fn parse(buf: &[u8]) -> Result<Option<Self>, FrameError> {
        let mut cursor = Cursor::new(&buf[..buf.len().min(HEADER_ROOM)]);
        match FrameHeader::parse(&mut cursor) {
            Ok(Some((frame, payload_len))) => Ok(Some(Self {
                frame,
                len: cursor.position() as usize,
                payload_len,
            })),
            Ok(None) => Ok(None),
            // Reading from memory does not fail, and nothing else is checked there.
            Err(_) => Err(FrameError::ReservedOpcode(
                buf.first().map_or(0, |first| first & 0x0f),
            )),
        }
    }

    /// Octets of the whole frame; saturates, so check the payload's length before.
    pub(super) fn frame_len(&self) -> usize {
        usize::try_from(self.payload_len)
            .unwrap_or(usize::MAX)
            .saturating_add(self.len)
    }
}
