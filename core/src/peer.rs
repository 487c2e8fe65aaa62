//! What shards tell each other.
//!
//! Invariants: between two shards messages arrive in the order in which they were posted; nothing is assumed
//! about the order between different pairs. A publication crosses once per interested shard, whatever the
//! number of subscribers there. Every message that asks for an answer names a [`Token`] of the asking shard.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;

use crate::dealer::{Callee, Incarnation, Procedure};
use crate::ids::{
    CallKey, PublicationId, RealmId, RegistrationId, SessionId, SessionRef, ShardId, ShardSet, SubscriptionId,
};
use crate::meta::{Answer, Question};
use crate::options::{CancelMode, InvokePolicy, MatchPolicy, Receivers};
use crate::payload::Payload;
use crate::session::Identity;
use crate::time::Time;
use crate::value::Dict;

/// An open question of one shard, answered by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// The URI or pattern of a subscription or registration, with its realm and match policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The realm.
    pub realm: RealmId,
    /// The match policy.
    pub policy: MatchPolicy,
    /// The URI or pattern.
    pub uri: Arc<str>,
}

/// A message between shards.
#[derive(Clone, Debug)]
pub enum PeerMessage {
    /// A publication that a subscriber of the receiving shard may want.
    Publication(Arc<Publication>),
    /// To the key's owner: the posting shard has its first subscriber to `key`.
    Subscribe {
        /// The posting shard.
        from: ShardId,
        /// What is subscribed to.
        key: Key,
        /// The subscriber.
        session: SessionId,
        /// Answered by [`PeerMessage::Interest`] from the owner and [`PeerMessage::Ack`] from all others.
        token: Token,
    },
    /// To the key's owner: the posting shard has no subscriber to `key` any more.
    Unsubscribe {
        /// The posting shard.
        from: ShardId,
        /// What was subscribed to.
        key: Key,
        /// Its last subscriber there.
        session: SessionId,
    },
    /// To a subscription's owner, where somebody wants to hear of it: a session has joined or left.
    Subscriber {
        /// The realm.
        realm: RealmId,
        /// The subscription.
        subscription: SubscriptionId,
        /// The session.
        session: SessionId,
        /// Whether it has joined.
        joined: bool,
    },
    /// From the key's owner to all shards: who has subscribers.
    Interest(Interest),
    /// To the topic's owner: a publication to be retained.
    Retain(Box<Retain>),
    /// To an owner of histories: a publication to be kept.
    Record(Arc<Publication>),
    /// To a topic's owner, or to all for patterns: a new subscriber wants retained events.
    FindRetained(Box<FindRetained>),
    /// To the shard that waits for `token`: the retained events that were found.
    Retained {
        /// The realm.
        realm: RealmId,
        /// The question.
        token: Token,
        /// What was found.
        events: Vec<Retained>,
    },
    /// To the key's owner: a session offers a procedure.
    Register(Box<RegisterRequest>),
    /// To the key's owner: a session no longer offers a procedure.
    Unregister {
        /// The procedure.
        key: Key,
        /// The registration, which may have been taken over in the meantime.
        registration: RegistrationId,
        /// The callee.
        callee: SessionRef,
        /// Set where the callee waits for UNREGISTERED.
        token: Option<Token>,
    },
    /// From the key's owner to the asking shard: the registration is refused.
    RegisterRefused {
        /// The question.
        token: Token,
        /// Why, as a WAMP error URI.
        error: &'static str,
    },
    /// From the key's owner to all shards: a procedure's callees changed.
    Procedure {
        /// The procedure as it is now; without callees it is gone.
        procedure: Arc<Procedure>,
        /// Set where a shard waits for all to know.
        grant: Option<Grant>,
    },
    /// From the key's owner to a callee's shard: `callee` lost its registration.
    Revoked {
        /// The registration.
        registration: RegistrationId,
        /// The callee.
        callee: SessionRef,
        /// Why.
        why: Revocation,
    },
    /// A question of the meta API.
    Ask(Arc<Question>),
    /// To the shard that asked it: what this one has to say.
    Answer {
        /// The question.
        token: Token,
        /// The answer.
        answer: Box<Answer>,
    },
    /// To the shard that waits for `token`: the announcement is known here.
    Ack {
        /// The question.
        token: Token,
    },
    /// From a caller's shard to the callee's: a call.
    Invoke(Box<Invoke>),
    /// From a callee's shard to the caller's: the callee no longer serves the registration; the call, which
    /// it never saw, may go elsewhere.
    Bounce(Box<Invoke>),
    /// From a callee's shard to the caller's: the callee had the call, and leaves it to another one.
    Unavailable(Box<Invoke>),
    /// To a caller's shard: a call that waits has its turn.
    Turn {
        /// The call.
        call: CallKey,
        /// Who takes it, with a place for it; `None`: nobody of those that it waits for is there any more.
        callee: Option<Box<Callee>>,
    },
    /// From a callee's shard to the caller's: an answer.
    Reply(Box<Reply>),
    /// From a caller's shard to the callee's: nobody waits for the answer, or the caller would rather not.
    Cancel {
        /// The call.
        call: CallKey,
        /// The callee.
        callee: SessionRef,
        /// Whether the callee is interrupted, and whether its answer still counts.
        mode: CancelMode,
        /// Why, as a URI for INTERRUPT.Options.reason.
        reason: &'static str,
    },
}

/// A publication on its way to other shards.
#[derive(Debug)]
pub struct Publication {
    /// The realm.
    pub realm: RealmId,
    /// The topic; a checked URI.
    pub topic: ByteString,
    /// Its id.
    pub publication: PublicationId,
    /// The publisher where it is disclosed to subscribers.
    pub publisher: Option<Disclosed>,
    /// How far the publisher is trusted, where the configuration says so.
    pub trustlevel: Option<u32>,
    /// Who may receive it.
    pub receivers: Option<Box<Receivers>>,
    /// Whether its topic's owner was asked to retain it.
    pub retain: bool,
    /// Keys of payload passthru, for EVENT.Details.
    pub rest: Dict,
    /// What it carries.
    pub payload: Payload,
}

/// See [`PeerMessage::Retain`].
#[derive(Clone, Debug)]
pub struct Retain {
    /// What is to be retained.
    pub publication: Arc<Publication>,
    /// The publisher, where it is not to receive its own event.
    pub excluded: Option<SessionId>,
    /// How long it is retained; `None` means until it is replaced.
    pub expires: Option<Duration>,
}

/// See [`PeerMessage::FindRetained`].
#[derive(Clone, Debug)]
pub struct FindRetained {
    /// The asking shard.
    pub from: ShardId,
    /// Answered by [`PeerMessage::Retained`].
    pub token: Token,
    /// What is subscribed to.
    pub key: Key,
    /// The subscriber, who gets only what it may receive.
    pub subscriber: Disclosed,
}

/// A retained event.
#[derive(Clone, Debug)]
pub struct Retained {
    /// When it was retained.
    pub at: Time,
    /// Bytes that it holds, about.
    pub bytes: usize,
    /// The publication.
    pub publication: Arc<Publication>,
}

/// A session that is disclosed to others.
#[derive(Clone, Debug)]
pub struct Disclosed {
    /// Its id.
    pub session: SessionId,
    /// Its authid and authrole.
    pub identity: Arc<Identity>,
}

/// See [`PeerMessage::Interest`].
#[derive(Clone, Debug)]
pub struct Interest {
    /// The key that changed.
    pub key: Key,
    /// The key's hash, shared by keys that clash.
    pub hash: u64,
    /// For exact keys the shards with subscribers to any key of this hash, else those of this key.
    pub shards: ShardSet,
    /// Set where a shard waits for all to know.
    pub grant: Option<SubscriptionGrant>,
}

/// Who waits for an announcement to be known everywhere.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// The shard that asked and to which all acknowledge.
    pub to: ShardId,
    /// Its question.
    pub token: Token,
}

/// A [`Grant`] with the id that the owner gave the subscription.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionGrant {
    /// Who waits.
    pub grant: Grant,
    /// The subscription's id.
    pub subscription: SubscriptionId,
}

/// See [`PeerMessage::Register`].
#[derive(Clone, Debug)]
pub struct RegisterRequest {
    /// The procedure or pattern.
    pub key: Key,
    /// Which callee gets a call.
    pub invoke: InvokePolicy,
    /// Whether callees in the way are removed.
    pub force: bool,
    /// The session that offers it.
    pub callee: Callee,
    /// Most calls that it works on at a time.
    pub concurrency: Option<u32>,
    /// Answered by [`PeerMessage::Procedure`] and [`PeerMessage::Ack`]s, or by a refusal.
    pub token: Token,
}

/// Why a callee loses its registration.
#[derive(Clone, Debug)]
pub enum Revocation {
    /// Another session took it over, of which the callee hears whatever it announced.
    TakenOver,
    /// Somebody who may has decided so; with the reason, a URI. The callee hears of it if it announced
    /// `registration_revocation`.
    Removed(ByteString),
}

/// A call on its way to its callee.
#[derive(Clone, Debug)]
pub struct Invoke {
    /// Where the answer goes.
    pub call: CallKey,
    /// Who is to answer.
    pub callee: SessionRef,
    /// The realm of both.
    pub realm: RealmId,
    /// The registration that was chosen.
    pub registration: RegistrationId,
    /// The procedure as called; a checked URI.
    pub procedure: ByteString,
    /// Which of those that had the registration's id.
    pub incarnation: Incarnation,
    /// Whether INVOCATION names the procedure: the registration is a pattern.
    pub name_procedure: bool,
    /// The caller, where it is disclosed.
    pub caller: Option<Disclosed>,
    /// How far the caller is trusted, where the configuration says so.
    pub trustlevel: Option<u32>,
    /// Whether progressive results are wanted.
    pub receive_progress: bool,
    /// Milliseconds that the callee has, where timeouts are left to it.
    pub timeout: Option<u64>,
    /// Keys of payload passthru, for INVOCATION.Details.
    pub rest: Dict,
    /// Which of the parts of its call.
    pub part: Part,
    /// The arguments.
    pub payload: Payload,
}

/// Which part of a call: most calls have one. Those of one call take the same way, and come back by it, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The only one.
    Whole,
    /// More follow.
    First,
    /// Neither the first nor the last.
    Next,
    /// The last of several.
    Last,
}

impl Part {
    /// Whether it begins its call.
    #[must_use]
    pub fn is_first(self) -> bool {
        matches!(self, Self::Whole | Self::First)
    }

    /// Whether another one follows: CALL.Options.progress, and INVOCATION.Details.progress.
    #[must_use]
    pub fn is_followed(self) -> bool {
        matches!(self, Self::First | Self::Next)
    }
}

/// An answer on its way to the caller.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The call.
    pub call: CallKey,
    /// What it brought.
    pub outcome: Outcome,
    /// Keys of payload passthru, for RESULT.Details or ERROR.Details.
    pub rest: Dict,
    /// Results, or arguments of the error.
    pub payload: Payload,
}

/// How a call went.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A result, and more follows.
    Progress,
    /// The result.
    Result,
    /// It failed with this error URI.
    Error(ByteString),
    /// The callee leaves it to another one: [`PeerMessage::Unavailable`] follows. Its error is the answer if there cannot
    /// be another one.
    Left,
}
