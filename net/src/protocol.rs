//! What the two transports have in common once their handshakes are done: bytes in, WAMP messages and frames of
//! the transport's own out.

use bytes::{Bytes, BytesMut};
use crosspoint_codec::frame::batch::Separator;
use crosspoint_codec::frame::websocket::{self, CloseCode, FrameError, Incoming, Skim};
use crosspoint_codec::frame::{Framing, rawsocket};

use crate::batches::Batches;

/// The receiving side of an open connection.
#[derive(Debug)]
pub(crate) enum Protocol {
    WebSocket(websocket::Decoder),
    Batched(Box<Batches>),
    RawSocket(rawsocket::Decoder),
}

/// What a peer sent, as far as the transport is concerned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A WAMP message.
    Message(Bytes),
    /// A ping, and the frame that answers it.
    Ping(Bytes),
    /// The answer to a ping.
    Pong,
    /// From here on messages to the peer are to have another framing.
    Framing(Framing),
    /// The end: by the peer's will or by its fault. The frame is the last one to send.
    End {
        /// The close frame, where the transport has such a thing.
        last: Option<Bytes>,
        /// What the peer did wrong, for the log.
        fault: Option<String>,
    },
}

impl Protocol {
    pub(crate) fn framing(&self) -> Framing {
        match self {
            Self::WebSocket(_) => Framing::WebSocket,
            Self::Batched(_) => Framing::Batched(Separator::default()),
            Self::RawSocket(_) => Framing::RawSocket,
        }
    }

    /// Takes the next input off the front of `buf`; `None` when more bytes are needed. After
    /// [`Input::End`] it must not be called again.
    pub(crate) fn next(&mut self, buf: &mut BytesMut) -> Option<Input> {
        match self {
            Self::WebSocket(decoder) => websocket_input(decoder, buf),
            Self::Batched(batches) => batches.next(buf),
            Self::RawSocket(decoder) => rawsocket_input(*decoder, buf),
        }
    }

    /// To be called when messages are left for another turn: they must not keep a chunk of the scratch buffer that
    /// others could use.
    pub(crate) fn keep(&mut self) {
        if let Self::Batched(batches) = self {
            batches.keep();
        }
    }

    /// What finds the frame by which the peer closes, in octets that begin where a frame does; nothing where the
    /// transport has no such frame.
    pub(crate) fn skim(&self) -> Option<Skim> {
        match self {
            Self::WebSocket(_) | Self::Batched(_) => Some(Skim::default()),
            Self::RawSocket(_) => None,
        }
    }

    /// How many more octets the incomplete frame in `buf` is said to need.
    pub(crate) fn missing(&self, buf: &[u8]) -> usize {
        match self {
            Self::WebSocket(decoder) => decoder.missing(buf),
            Self::Batched(batches) => batches.missing(buf),
            Self::RawSocket(decoder) => decoder.missing(buf),
        }
    }
}

pub(crate) fn websocket_input(decoder: &mut websocket::Decoder, buf: &mut BytesMut) -> Option<Input> {
    websocket_input_of(decoder.next(buf))
}

/// What a WebSocket's decoder found, as far as the transport is concerned.
pub(crate) fn websocket_input_of(found: Result<Option<Incoming>, FrameError>) -> Option<Input> {
    Some(match found {
        Ok(None) => return None,
        Ok(Some(Incoming::Text(message) | Incoming::Binary(message))) => Input::Message(message),
        Ok(Some(Incoming::Ping(payload))) => Input::Ping(websocket::pong(&payload)),
        Ok(Some(Incoming::Pong(_))) => Input::Pong,
        Ok(Some(Incoming::Close(frame))) => {
            // The peer's own code goes back (RFC 6455 section 5.5.1); none is answered by none.
            let code = frame.map_or(CloseCode::Status, |frame| frame.code);
            Input::End {
                last: Some(websocket::close(code, "")),
                fault: None,
            }
        }
        Err(error) => websocket_fault(error.close_code(), error.to_string()),
    })
}

/// What becomes of a peer that broke the rules: the close frame says which.
pub(crate) fn websocket_fault(code: CloseCode, fault: String) -> Input {
    Input::End {
        last: Some(websocket::close(code, &fault)),
        fault: Some(fault),
    }
}

fn rawsocket_input(decoder: rawsocket::Decoder, buf: &mut BytesMut) -> Option<Input> {
    use rawsocket::Incoming;
    Some(match decoder.next(buf) {
        Ok(None) => return None,
        Ok(Some(Incoming::Message(message))) => Input::Message(message),
        Ok(Some(Incoming::Ping(payload))) => match rawsocket::pong(&payload) {
            Ok(pong) => Input::Ping(pong),
            Err(error) => Input::End {
                last: None,
                fault: Some(error.to_string()),
            },
        },
        Ok(Some(Incoming::Pong(_))) => Input::Pong,
        Err(error) => Input::End {
            last: None,
            fault: Some(error.to_string()),
        },
    })
}

#[cfg(test)]
mod tests {
    use crosspoint_codec::frame::rawsocket::MaxLength;
    use crosspoint_codec::frame::websocket::{Control, Data, OpCode, Role, client_frame};

    use super::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];

    fn websocket_inputs(frames: &[Bytes]) -> Vec<Input> {
        let mut protocol = Protocol::WebSocket(websocket::Decoder::new(Role::Server, 1000));
        let mut buf = BytesMut::from(frames.concat().as_slice());
        std::iter::from_fn(|| protocol.next(&mut buf)).collect()
    }

    #[test]
    fn a_close_frame_is_answered_with_its_own_code() {
        let close = |payload: &[u8]| client_frame(OpCode::Control(Control::Close), payload, MASK);
        let answer = |inputs: Vec<Input>| match inputs.into_iter().next() {
            Some(Input::End {
                last: Some(last),
                fault: None,
            }) => last,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            answer(websocket_inputs(&[close(&1000_u16.to_be_bytes())])),
            websocket::close(CloseCode::Normal, "")
        );
        assert_eq!(
            answer(websocket_inputs(&[close(&4000_u16.to_be_bytes())]))[..],
            [0x88, 2, 0x0f, 0xa0]
        );
        assert_eq!(answer(websocket_inputs(&[close(b"")]))[..], [0x88, 0]);
    }

    #[test]
    fn messages_pings_and_faults_come_in_order() {
        let text = client_frame(OpCode::Data(Data::Text), b"[1]", MASK);
        let ping = client_frame(OpCode::Control(Control::Ping), b"p", MASK);
        let reserved = Bytes::from_static(&[0x8b, 0x80, 0, 0, 0, 0]);
        let inputs = websocket_inputs(&[text, ping, reserved]);
        assert_eq!(inputs[0], Input::Message(Bytes::from_static(b"[1]")));
        assert_eq!(inputs[1], Input::Ping(websocket::pong(b"p")));
        let Input::End {
            last: Some(last),
            fault: Some(_),
        } = &inputs[2]
        else {
            panic!("{inputs:?}")
        };
        assert_eq!(last[2..4], 1002_u16.to_be_bytes());
    }

    #[test]
    fn rawsocket_faults_have_no_last_frame() {
        let mut protocol = Protocol::RawSocket(rawsocket::Decoder::new(MaxLength::at_least(512)));
        let mut buf = BytesMut::from(&[0, 0, 0, 3, b'[', b'1', b']', 1, 0, 0, 1, b'p', 5, 0, 0, 0][..]);
        assert_eq!(
            protocol.next(&mut buf),
            Some(Input::Message(Bytes::from_static(b"[1]")))
        );
        assert_eq!(
            protocol.next(&mut buf),
            Some(Input::Ping(Bytes::from_static(&[2, 0, 0, 1, b'p'])))
        );
        assert!(matches!(
            protocol.next(&mut buf),
            Some(Input::End {
                last: None,
                fault: Some(_)
            })
        ));
    }
}
