//! The seam to the transports: what a shard asks of a connection, and is told about it.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crosspoint_codec::frame::Framing;
use crosspoint_codec::frame::websocket::deflate::WindowBits;
use crosspoint_core::config::Access;
use crosspoint_core::ids::ShardId;
use crosspoint_core::payload::Format;

/// A connection's transport, as its shard sees it.
///
/// All but [`readable`](Self::readable) and [`timer`](Self::timer) are called while the shard is borrowed, so they
/// must not call it back; what they set off there comes later, from a task of the transport.
pub trait Wire {
    /// The socket behind it, if all that is to be written may go there as it is: whoever writes for many
    /// connections then does it without [`write`](Self::write).
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Reads what has arrived, and hands it to the shard, which is not borrowed. Called when the socket became
    /// readable, and again as the result says.
    fn readable(&self, hangup: Hangup) -> Reading {
        let _ = hangup;
        Reading::Drained
    }

    /// Writes as much as the kernel takes without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing now; any other error means that the connection is broken.
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Asks for one later call of [`Shard::writable`](crate::Shard::writable): a write found the kernel's buffer
    /// full. Not called again before that.
    fn wait_writable(&self);

    /// Everything was written, or is given up: the transport is to be shut down. Called once at most, and
    /// nothing is written afterwards; the transport then calls [`Shard::detach`](crate::Shard::detach).
    fn close(&self);

    /// The timer that the transport set by [`Shard::set_timer`](crate::Shard::set_timer) is over. The shard is
    /// not borrowed.
    fn timer(&self);
}

/// Whether a socket's peer has ended its side, so that there is an end of the stream to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// Not as far as is known.
    No,
    /// Yes, or the connection is broken.
    Yes,
}

/// What a transport's turn of reading left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Nothing: the next event of the socket tells when there is more.
    Drained,
    /// Something: it is to be called again after other connections had their turn.
    More,
    /// Everything, since reading is paused: it is to be called again after this time.
    Paused(Duration),
}

/// What one connection is to send, as part of a batch.
pub struct Job<'a> {
    /// The connection's transport.
    pub wire: &'a dyn Wire,
    /// At least one buffer, none of them empty.
    pub bufs: &'a [IoSlice<'a>],
    /// How many bytes were taken; errors as of [`Wire::write`].
    pub result: io::Result<usize>,
}

/// Writes for many connections.
pub trait Sender {
    /// Does each job, and sets its result.
    fn send(&mut self, jobs: &mut [Job<'_>]);

    /// Whether something has come in meanwhile that should not wait until everything is sent.
    fn is_wanted(&mut self) -> bool {
        false
    }
}

/// Calls [`Wire::write`] for one connection after the other.
#[derive(Clone, Copy, Debug)]
pub struct OneByOne;

impl Sender for OneByOne {
    fn send(&mut self, jobs: &mut [Job<'_>]) {
        for job in jobs {
            job.result = job.wire.write(job.bufs);
        }
    }
}

/// A connection for [`Shard::attach`](crate::Shard::attach), after its transport's handshake.
pub struct Attach {
    /// The serializer that was agreed on.
    pub format: Format,
    /// How messages are delimited.
    pub framing: Framing,
    /// Set if the peer takes compressed messages, and with which window.
    pub deflate: Option<WindowBits>,
    /// Who may open a session here.
    pub access: Arc<Access>,
    /// The transport.
    pub wire: Rc<dyn Wire>,
    /// The longest message that the peer takes, in bytes, without its frame; RawSocket peers announce it.
    pub peer_max_bytes: usize,
}

/// Why a reader waits before it reads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// The mailbox of this shard is over its limit: publishers slow down, not subscribers.
    Mailbox(ShardId),
    /// The connection's own replies pile up unread.
    Unread,
}
