//! The seam to the transports: what a shard asks of a connection, and is told about it.

use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;

use crosspoint_codec::frame::Framing;
use crosspoint_core::config::Access;
use crosspoint_core::ids::ShardId;
use crosspoint_core::payload::Format;

/// A connection's transport, as its shard sees it.
///
/// All but [`timer`](Self::timer) are called while the shard is borrowed, so they must not call it back; what
/// they set off there comes later, from a task of the transport.
pub trait Wire {
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

/// A connection for [`Shard::attach`](crate::Shard::attach), after its transport's handshake.
pub struct Attach {
    /// The serializer that was agreed on.
    pub format: Format,
    /// How messages are delimited.
    pub framing: Framing,
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
