//! The testee: a WebSocket server that sends every message back, for test suites of the protocol.
//!
//! It shares the handshake and all that is done with frames with WAMP's connections, but knows no session: its
//! connections are tasks of their own, as those in their handshake are, and end with the server in the same way. A
//! peer that takes nothing for the stall timeout of WAMP's connections is closed here too, by the timeout of its link.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use crosspoint_codec::frame::websocket::deflate::Deflater;
use crosspoint_codec::frame::websocket::{Data, Decoder, Incoming, OpCode, frame};
use crosspoint_shard::rt::reactor_turn;

use crate::connection::next_read;
use crate::link::Link;
use crate::local::{InHandshake, Local};
use crate::protocol::{Input, websocket_input_of};
use crate::scratch::Received;
use crate::spec::WebSocketSpec;

/// Octets of answers that are gathered for one write.
const WRITE: usize = 64 * 1024;

/// A connection to the testee whose handshake is in order.
#[derive(Debug)]
pub(crate) struct Echo {
    /// What to send first.
    pub(crate) reply: Bytes,
    pub(crate) decoder: Decoder,
    /// Set if the peer takes compressed messages.
    pub(crate) deflater: Option<Deflater>,
    pub(crate) websocket: Arc<WebSocketSpec>,
}

impl Echo {
    /// Serves the connection, which keeps its `place` among those that are not WAMP's, until it ends. `received` is what came along with its handshake.
    pub(crate) async fn serve(
        mut self,
        local: &Local,
        link: &Link,
        place: &mut InHandshake<'_>,
        mut received: Received,
    ) -> io::Result<()> {
        if !self.websocket.tcp_nodelay {
            link.delay_small_writes();
        }
        let mut out = BytesMut::from(&self.reply[..]);
        loop {
            let open = self.answer_all(link, &mut received, &mut out).await?;
            received.keep(self.decoder.missing(&received.bytes));
            link.write_all(&out).await?;
            out = BytesMut::new();
            if !open {
                return self.end(local, link).await;
            }
            reactor_turn().await;
            let read = place.read(None).await?;
            if read.is_empty() {
                return Ok(());
            }
            received.append(read);
        }
    }

    /// Answers what is whole in `received`. Whether the connection goes on.
    async fn answer_all(
        &mut self,
        link: &Link,
        received: &mut Received,
        out: &mut BytesMut,
    ) -> io::Result<bool> {
        loop {
            match self.decoder.next(&mut received.bytes) {
                Ok(None) => return Ok(true),
                Ok(Some(Incoming::Text(text))) => out.extend_from_slice(&self.message(Data::Text, &text)),
                Ok(Some(Incoming::Binary(data))) => out.extend_from_slice(&self.message(Data::Binary, &data)),
                other => match websocket_input_of(other) {
                    Some(Input::Ping(pong)) => out.extend_from_slice(&pong),
                    Some(Input::End { last, .. }) => {
                        out.extend_from_slice(&last.unwrap_or_default());
                        return Ok(false);
                    }
                    _ => {}
                },
            }
            if out.len() >= WRITE {
                // Until the peer takes it, the rest must not keep a chunk that others could use.
                received.keep(0);
                link.write_all(out).await?;
                out.clear();
            }
        }
    }

    fn message(&mut self, kind: Data, payload: &[u8]) -> Bytes {
        let plain = frame(OpCode::Data(kind), payload);
        match &mut self.deflater {
            // What is tested here is compression, not whether it pays.
            Some(deflater) => deflater.frame_anyway(&plain),
            None => plain,
        }
    }

    /// After our close frame: waits for the end of what the peer sends, but not for ever.
    async fn end(self, local: &Local, link: &Link) -> io::Result<()> {
        link.end_writing();
        let deadline = Instant::now() + self.websocket.closing_timeout;
        while next_read(local, link, deadline).await.is_some() {}
        Ok(())
    }
}
