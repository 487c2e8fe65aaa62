//! One long-poll transport: the connection to its shard, and what its requests do with it.
//!
//! Invariants:
//! - What a request takes off the connection goes into its response at once. A request that is given up while it
//!   waits has taken nothing.
//! - Messages are written whole, whatever becomes of the request that brought them.
//! - Only one request's messages are in memory at a time: while the router does not read, no further body is.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use crosspoint_codec::frame::batch::{self, Batch, BatchError, Separator};
use crosspoint_codec::frame::rawsocket::{Decoder, HEADER_LEN, Incoming, MaxLength, append_message};
use crosspoint_codec::frame::websocket::Subprotocol;
use crosspoint_codec::{Limits, decode};
use rustix::net::Shutdown;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};
use tokio::time::{Instant, sleep};

/// The least that is read at once.
const CHUNK: usize = 16 << 10;

/// What one response to `receive` holds at most, if it can hold several messages; it is never less than one.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueLimits {
    pub(super) bytes: usize,
    pub(super) messages: usize,
}

/// The router has closed the transport.
#[derive(Debug)]
pub(super) struct Gone;

/// Why a body was not taken as it should have been.
#[derive(Debug)]
pub(super) enum SendError {
    /// The router has closed the transport.
    Gone,
    /// One of the messages is none. It was passed on, so that the session is aborted for it.
    Malformed(String),
    /// The batch is none, so that the transport must be closed.
    Batch(BatchError),
}

/// One transport, shared by its requests.
#[derive(Debug)]
pub(super) struct Transport {
    /// RawSocket's frames, see [`Connector`](crosspoint_net::Connector).
    pipe: UnixStream,
    protocol: Subprotocol,
    limits: QueueLimits,
    unread: AsyncMutex<BytesMut>,
    sending: Arc<AsyncMutex<()>>,
    /// The number of the last `receive`.
    turn: watch::Sender<u64>,
    /// What the client puts behind the JSON messages of a batch is not the specification's separator.
    cancel: AtomicBool,
    /// It was closed on this side.
    shut: AtomicBool,
    presence: Mutex<Presence>,
}

/// When the client was there.
#[derive(Debug)]
struct Presence {
    requests: usize,
    /// Where there is no request now: the end of the last one.
    since: Instant,
}

/// The right to send, which one request has at a time.
pub(super) struct Sending(OwnedMutexGuard<()>);

/// A request of the client, during which it does not count as idle.
pub(super) struct Present<'t>(&'t Transport);

impl Transport {
    /// # Errors
    /// If the runtime cannot watch the connection.
    pub(super) fn new(
        pipe: std::os::unix::net::UnixStream,
        protocol: Subprotocol,
        limits: QueueLimits,
    ) -> io::Result<Self> {
        Ok(Self {
            pipe: UnixStream::from_std(pipe)?,
            protocol,
            limits,
            unread: AsyncMutex::default(),
            sending: Arc::default(),
            turn: watch::Sender::default(),
            cancel: AtomicBool::default(),
            shut: AtomicBool::default(),
            presence: Mutex::new(Presence {
                requests: 0,
                since: Instant::now(),
            }),
        })
    }

    pub(super) fn protocol(&self) -> Subprotocol {
        self.protocol
    }

    /// The client is here until the result is dropped.
    pub(super) fn present(&self) -> Present<'_> {
        self.presence().requests += 1;
        Present(self)
    }

    /// For how long there was no request.
    pub(super) fn idle(&self) -> Duration {
        let presence = self.presence();
        if presence.requests > 0 {
            return Duration::ZERO;
        }
        presence.since.elapsed()
    }

    /// What the router has for the client: one message, or a batch. Nothing if there is none in time, or when
    /// another request takes over.
    pub(super) async fn receive(&self, timeout: Duration) -> Result<Bytes, Gone> {
        let mut turn = 0;
        self.turn.send_modify(|last| {
            *last += 1;
            turn = *last;
        });
        let mut last = self.turn.subscribe();
        tokio::select! {
            biased;
            _ = last.wait_for(|last| *last != turn) => Ok(Bytes::new()),
            received = self.take() => match received {
                // Whoever asked for the end is told of it there.
                Err(Gone) if self.shut.load(Relaxed) => Ok(Bytes::new()),
                received => received,
            },
            () = sleep(timeout) => Ok(Bytes::new()),
        }
    }

    async fn take(&self) -> Result<Bytes, Gone> {
        let mut unread = self.unread.lock().await;
        let enough = if self.protocol.batched {
            self.limits.bytes
        } else {
            1
        };
        loop {
            if unread.len() >= enough
                && let Some(body) = self.cut(&mut unread)?
            {
                return Ok(body);
            }
            let ended = self.read(&mut unread, enough).is_err();
            if let Some(body) = self.cut(&mut unread)? {
                return Ok(body);
            }
            release(&mut unread);
            if ended || self.pipe.readable().await.is_err() {
                return Err(Gone);
            }
        }
    }

    /// Reads what there is, until there is `enough`, something at least.
    fn read(&self, unread: &mut BytesMut, enough: usize) -> io::Result<()> {
        loop {
            unread.reserve(CHUNK);
            match self.pipe.try_read_buf(unread) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if unread.len() >= enough => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the next response off what was read, if it holds a whole message.
    fn cut(&self, unread: &mut BytesMut) -> Result<Option<Bytes>, Gone> {
        let decoder = Decoder::new(MaxLength::LARGEST);
        let mut next = || match decoder.next(unread) {
            Ok(Some(Incoming::Message(message))) => Ok(Some(message)),
            Ok(None) => Ok(None),
            Ok(Some(_)) | Err(_) => Err(Gone),
        };
        let Some(mut body) = next()? else { return Ok(None) };
        if self.protocol.batched {
            let mut batch = BytesMut::new();
            self.append(&body, &mut batch);
            let mut messages = 1;
            while messages < self.limits.messages
                && batch.len() < self.limits.bytes
                && let Some(message) = next()?
            {
                self.append(&message, &mut batch);
                messages += 1;
            }
            body = batch.freeze();
        }
        release(unread);
        Ok(Some(body))
    }

    fn append(&self, message: &[u8], body: &mut BytesMut) {
        let separator = match self.cancel.load(Relaxed) {
            true => Separator::Cancel,
            false => Separator::Record,
        };
        let format = self.protocol.format;
        body.put_bytes(0, batch::room(format));
        let start = body.len();
        body.put_slice(message);
        // RawSocket's messages are short enough.
        let _ = batch::finish(format, separator, start, body);
    }

    /// Waits until all earlier requests have passed on what they bring. To be called before a body is read.
    pub(super) async fn sending(&self) -> Sending {
        Sending(Arc::clone(&self.sending).lock_owned().await)
    }

    /// Passes on what the client sends, after a look at whether it is WAMP: the router would tell its session only.
    pub(super) async fn send(
        self: &Arc<Self>,
        Sending(sending): Sending,
        body: Bytes,
        limits: &Limits,
    ) -> Result<(), SendError> {
        let mut frames = BytesMut::with_capacity(body.len() + HEADER_LEN);
        let malformed = if self.protocol.batched {
            let mut messages = Batch::new(self.protocol.format, body).map_err(SendError::Batch)?;
            if let Some(error) = messages.clone().find_map(Result::err) {
                return Err(SendError::Batch(error));
            }
            if let Some(separator) = messages.separator() {
                self.cancel.store(separator == Separator::Cancel, Relaxed);
            }
            messages.find_map(|message| self.look(&message.ok()?, limits, &mut frames).err())
        } else {
            self.look(&body, limits, &mut frames).err()
        };
        let frames = frames.freeze();
        let transport = Arc::clone(self);
        // In a task of its own, which is not given up along with the request.
        let written = tokio::spawn(async move {
            let _sending = sending;
            transport.write(&frames).await
        });
        match (written.await, malformed) {
            (Ok(Ok(())), None) => Ok(()),
            (Ok(Ok(())), Some(text)) => Err(SendError::Malformed(text)),
            _ => Err(SendError::Gone),
        }
    }

    /// Frames a message. An error says why it is none; the router is to see that for itself.
    fn look(&self, message: &Bytes, limits: &Limits, frames: &mut BytesMut) -> Result<(), String> {
        append_message(message, frames).map_err(|error| error.to_string())?;
        decode(self.protocol.format, message, limits)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    async fn write(&self, mut frames: &[u8]) -> io::Result<()> {
        // The router ends its own side first, and listens to the last for a moment longer.
        let either = Interest::READABLE | Interest::WRITABLE;
        if self.pipe.ready(either).await?.is_read_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        while !frames.is_empty() {
            self.pipe.writable().await?;
            match self.pipe.try_write(frames) {
                Ok(written) => frames = &frames[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends the session, and all requests that wait here.
    pub(super) fn shut(&self) {
        self.shut.store(true, Relaxed);
        // It fails where the router has closed the connection already, which is as well.
        let _ = rustix::net::shutdown(&self.pipe, Shutdown::Both);
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        // No code that holds the lock can leave it half changed.
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transport that waits keeps no memory for what it will read.
fn release(unread: &mut BytesMut) {
    if unread.is_empty() {
        *unread = BytesMut::new();
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        let mut presence = self.0.presence();
        presence.requests -= 1;
        presence.since = Instant::now();
    }
}
