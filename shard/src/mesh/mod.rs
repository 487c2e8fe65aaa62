//! The mesh: one mailbox per shard, into which all others post.
//!
//! Invariants:
//! - From one shard to another, messages arrive in the order in which they were posted, whether the mailbox was
//!   full in between or not. Nothing is said about different pairs.
//! - Posting never blocks and never fails: what a full mailbox does not take waits at the sender.
//! - What one shard posts to another during one turn travels as one [`Envelope`]: one slot, at most one wake-up.
//! - A mailbox over its limit of bytes is visible to all shards ([`Mesh::over_limit`]), where those pause who post into it.
//!   Mailboxes themselves are always emptied, so shards that wait for each other cannot lock up.
//! - A sleeping shard is woken at most once until it has run: wake-ups never pile up, which glommio's 16-bit
//!   reference count of a task could not take.
//!
//! A shard here is any member of the mesh: one core's executor, or the control plane's thread.

mod mailbox;
mod postman;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use crossbeam_channel::{Sender, TrySendError, bounded};
use crosspoint_core::ids::{SHARDS_MAX, ShardId, ShardSet};
use crosspoint_core::peer::{PeerMessage, Publication, Retained};
use crosspoint_core::value::Dict;

pub use mailbox::Mailbox;
pub(crate) use postman::Postman;

/// What one shard posted to another during one turn.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) from: ShardId,
    /// What the messages hold, by [`cost`].
    pub(crate) bytes: usize,
    pub(crate) messages: Vec<PeerMessage>,
}

// Each mailbox has a thousand places for these.
const _: () = assert!(size_of::<Envelope>() <= 40);

/// Bounds of every mailbox.
#[derive(Clone, Copy, Debug)]
pub struct MeshLimits {
    /// Envelopes that a mailbox holds before they wait at their senders.
    pub envelopes: usize,
    /// Bytes posted to a mailbox and not yet taken out, those that wait at their senders included, above which
    /// those who post into it are not read from. They go on below half of it. A mailbox's own limit is a
    /// [part](FLOOR_PART) of this where its shard handles less in a tenth of a second.
    pub bytes: usize,
}

/// The part of [`MeshLimits::bytes`] that any mailbox may hold, however little its shard handles.
const FLOOR_PART: usize = 64;

impl Default for MeshLimits {
    /// 16 MiB is a hundred thousand messages, of which a shard handles a million a second if each is for one receiver;
    /// 256 KiB are a thousand, or two envelopes.
    fn default() -> Self {
        Self {
            envelopes: 1024,
            bytes: 16 << 20,
        }
    }
}

/// All mailboxes, as their senders see them.
#[derive(Debug)]
pub struct Mesh {
    inboxes: Box<[Inbox]>,
    limits: MeshLimits,
    /// One bit for each mailbox that was seen over its limit and not yet seen below half of it.
    over: AtomicU64,
}

/// The senders' side of one mailbox; on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Inbox {
    sender: Sender<Envelope>,
    bytes: AtomicUsize,
    /// The mailbox's own limit, which its receiver sets.
    limit: AtomicUsize,
    /// Set by the receiver when it is about to wait, taken by the one sender that wakes it.
    sleeping: AtomicBool,
    /// Locked only to wake, and when the receiver's task changes or ends. Held while waking, so that nobody
    /// wakes a task whose executor is gone.
    waker: Mutex<Option<Waker>>,
}

impl Mesh {
    /// A mesh of `shards`, with the mailbox of each, in the order of their numbers.
    ///
    /// # Panics
    /// If `shards` is above [`SHARDS_MAX`].
    #[must_use]
    pub fn new(shards: u16, limits: MeshLimits) -> (Arc<Self>, Vec<Mailbox>) {
        assert!(shards <= SHARDS_MAX, "{shards} shards");
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..shards).map(|_| bounded(limits.envelopes)).unzip();
        let inbox = |sender| Inbox {
            sender,
            bytes: AtomicUsize::new(0),
            limit: AtomicUsize::new(limits.bytes),
            sleeping: AtomicBool::new(false),
            waker: Mutex::new(None),
        };
        let mesh = Arc::new(Self {
            inboxes: senders.into_iter().map(inbox).collect(),
            limits,
            over: AtomicU64::new(0),
        });
        let mailboxes = (0..shards).zip(receivers);
        let mailboxes =
            mailboxes.map(|(me, receiver)| Mailbox::new(ShardId(me), Arc::clone(&mesh), receiver));
        let mailboxes = mailboxes.collect();
        (mesh, mailboxes)
    }

    /// The number of shards.
    #[must_use]
    pub fn shards(&self) -> u16 {
        self.inboxes.len() as u16
    }

    /// The shards whose mailboxes hold too much, so that those who post to them should wait; one load where there are none.
    #[must_use]
    pub fn over_limit(&self) -> ShardSet {
        let mut over = self.over.load(Ordering::Relaxed);
        let mut shards = ShardSet::EMPTY;
        while over != 0 {
            let shard = ShardId(over.trailing_zeros() as u16);
            let inbox = self.inbox(shard);
            if inbox.bytes.load(Ordering::Relaxed) > inbox.limit.load(Ordering::Relaxed) / 2 {
                shards.insert(shard);
            } else {
                // A sender may have set the bit again just now: its next envelope repeats that.
                self.over.fetch_and(!(1 << shard.0), Ordering::Relaxed);
            }
            over &= over - 1;
        }
        shards
    }

    /// What the mailbox of a shard may hold from now on, within the bounds of all.
    fn set_limit(&self, shard: ShardId, bytes: usize) {
        let bytes = bytes.clamp(self.limits.bytes / FLOOR_PART, self.limits.bytes);
        self.inbox(shard).limit.store(bytes, Ordering::Relaxed);
    }

    fn inbox(&self, shard: ShardId) -> &Inbox {
        &self.inboxes[usize::from(shard.0)]
    }

    /// Counts bytes that are on their way to `to`, wherever they wait.
    fn charge(&self, to: ShardId, bytes: usize) {
        let inbox = self.inbox(to);
        let before = inbox.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > inbox.limit.load(Ordering::Relaxed) {
            self.over.fetch_or(1 << to.0, Ordering::Relaxed);
        }
    }

    fn discharge(&self, to: ShardId, bytes: usize) {
        self.inbox(to).bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What became of an envelope.
enum Posted {
    /// It is in the mailbox, and its receiver is awake or will be.
    Taken { woken: bool },
    /// The mailbox is full.
    Full(Envelope),
    /// The receiver has ended.
    Lost(Envelope),
}

impl Inbox {
    fn post(&self, envelope: Envelope) -> Posted {
        match self.sender.try_send(envelope) {
            Ok(()) => Posted::Taken {
                woken: self.wake_if_sleeping(),
            },
            Err(TrySendError::Full(envelope)) => Posted::Full(envelope),
            Err(TrySendError::Disconnected(envelope)) => Posted::Lost(envelope),
        }
    }

    /// The receiver sets `sleeping` and then looks into the mailbox once more; a sender posts and then looks at
    /// `sleeping`. With a fence between the two on both sides, at least one sees the other.
    fn wake_if_sleeping(&self) -> bool {
        fence(Ordering::SeqCst);
        let wake = self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed);
        if wake && let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake_by_ref();
        }
        wake
    }

    fn register(&self, waker: Option<Waker>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = waker;
    }
}

/// Bytes that a message holds while it waits: its place, what usually hangs on it, its payload, and what a client may
/// make long.
fn cost(message: &PeerMessage) -> usize {
    /// The message itself, URIs, options: rounded up, since counting them exactly would cost more than they do.
    const FIXED: usize = 256;
    let payload = match message {
        PeerMessage::Publication(publication) | PeerMessage::Record(publication) => {
            of_publication(publication)
        }
        PeerMessage::Invoke(invoke) | PeerMessage::Bounce(invoke) | PeerMessage::Unavailable(invoke) => {
            invoke.payload.len() + of_texts(&invoke.rest)
        }
        PeerMessage::Reply(reply) => reply.payload.len() + of_texts(&reply.rest),
        PeerMessage::Retain(retain) => of_publication(&retain.publication),
        PeerMessage::Retained { events, .. } => {
            let bytes = |event: &Retained| FIXED + of_publication(&event.publication);
            events.iter().map(bytes).sum()
        }
        PeerMessage::Ask(question) => question.cost(),
        PeerMessage::Answer { answer, .. } => answer.cost(),
        PeerMessage::FindRetained(_)
        | PeerMessage::Subscribe { .. }
        | PeerMessage::Unsubscribe { .. }
        | PeerMessage::Subscriber { .. }
        | PeerMessage::Interest(_)
        | PeerMessage::Register(_)
        | PeerMessage::Unregister { .. }
        | PeerMessage::RegisterRefused { .. }
        | PeerMessage::Procedure { .. }
        | PeerMessage::Revoked { .. }
        | PeerMessage::Ack { .. }
        | PeerMessage::Turn { .. }
        | PeerMessage::Cancel { .. } => 0,
    };
    FIXED + payload
}

fn of_publication(publication: &Publication) -> usize {
    /// One entry of a list of receivers, its text included.
    const ENTRY: usize = 48;
    let receivers = publication.receivers.as_deref();
    let lists = receivers.map_or(0, |lists| ENTRY * lists.entries());
    publication.payload.len() + lists + of_texts(&publication.rest)
}

/// Of the keys of payload passthru mode, which are few.
fn of_texts(dict: &Dict) -> usize {
    let texts = dict.0.iter().map(|(_, value)| value.as_str().map_or(0, str::len));
    texts.sum()
}
