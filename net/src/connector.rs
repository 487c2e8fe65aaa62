//! Connections that begin inside the process: what talks to the shard is not a peer's socket but another thread.
//!
//! Such a connection is a pair of Unix sockets, of which a shard serves one end like any other connection. So nothing
//! is shared with the other thread but the kernel's buffers, which are bounded: a shard never waits for it, who reads
//! too slowly is treated like every slow reader, and who writes too fast waits.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crosspoint_core::config::Access;
use crosspoint_core::payload::Format;

use crate::counters::ConnectionCounters;
use crate::inbox::{Handed, Inbox};

/// Opens connections with the shards from other threads of the process. Each goes to the next shard in turn.
#[derive(Clone, Debug)]
pub struct Connector {
    shards: Arc<[Inbox]>,
    next: Arc<AtomicUsize>,
    counters: Arc<ConnectionCounters>,
}

/// A connection that another thread opened, on its way to a shard.
#[derive(Debug)]
pub(crate) struct Inside {
    pub(crate) socket: UnixStream,
    pub(crate) format: Format,
    pub(crate) access: Arc<Access>,
}

impl Connector {
    pub(crate) fn new(shards: Vec<Inbox>, counters: Arc<ConnectionCounters>) -> Self {
        Self {
            shards: shards.into(),
            next: Arc::default(),
            counters,
        }
    }

    /// A new connection, on which no session has been opened: a stream in non-blocking mode, which carries messages in
    /// the frames of [RawSocket](crosspoint_codec::frame::rawsocket) both ways, without a handshake before. It is
    /// the peer's end of the transport: to drop it is to lose the connection.
    ///
    /// # Errors
    /// If there are no descriptors left, or [`io::ErrorKind::NotConnected`] if the shard is stopping.
    pub fn connect(&self, format: Format, access: Arc<Access>) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let turn = self.next.fetch_add(1, Relaxed) % self.shards.len();
        let inside = Inside {
            socket: theirs,
            format,
            access,
        };
        if !self.shards[turn].send(Handed::Inside(inside)) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.counters.inside.fetch_add(1, Relaxed);
        Ok(ours)
    }
}
