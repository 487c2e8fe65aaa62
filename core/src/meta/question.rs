//! Questions that one shard asks others for a meta procedure, and how the answers become one.

use std::sync::Arc;

use bytestring::ByteString;

use super::asking::Waiting;
use super::{MetaCall, Step};
use crate::broker::recall::EventQuery;
use crate::detached::text;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{RealmId, RegistrationId, RequestId, SessionId, SessionRef, ShardId, SubscriptionId};
use crate::options::MatchPolicy;
use crate::peer::{Key, PeerMessage, Token};
use crate::router::{Pending, Refusal, Router};
use crate::value::{Dict, Value};

/// What a shard asks others.
#[derive(Debug)]
pub struct Question {
    /// The shard that asks.
    pub from: ShardId,
    /// Its question.
    pub token: Token,
    /// The realm that the question is about.
    pub realm: RealmId,
    /// What is asked.
    pub query: Query,
}

impl Question {
    /// Bytes of what its caller may have made long.
    #[must_use]
    pub fn cost(&self) -> usize {
        match &self.query {
            Query::SessionCount { roles } | Query::SessionList { roles } => {
                roles.as_ref().map_or(0, Vec::len)
            }
            Query::Kill(kill) => {
                let victims = match &kill.victims {
                    Victims::Authid(name) | Victims::Authrole(name) => name.len(),
                    Victims::Session(_) | Victims::All => 0,
                };
                victims + kill.reason.len() + kill.message.as_ref().map_or(0, |text| text.len())
            }
            Query::RemoveCallee { reason, .. } => reason.len(),
            Query::RemoveSubscriber { reason, .. } => reason.as_ref().map_or(0, |text| text.len()),
            Query::Subscription(key) => key.uri.len(),
            Query::SubscriptionMatch(topic) => topic.len(),
            Query::Events(query) => query.selection.topic.as_ref().map_or(0, |topic| topic.len()),
            Query::Session(_)
            | Query::Registration(_)
            | Query::Callees(_)
            | Query::CalleeCount(_)
            | Query::SubscriptionList
            | Query::SubscriptionDetails(_)
            | Query::Subscribers(_)
            | Query::SubscriberCount(_) => 0,
        }
    }
}

/// What is asked, or to be done, on the shards asked.
#[derive(Debug)]
pub enum Query {
    /// How many sessions there are, of these roles if named.
    SessionCount {
        /// For each role of the realm whether it is one of them.
        roles: Option<Vec<bool>>,
    },
    /// Which sessions there are, of these roles if named.
    SessionList {
        /// For each role of the realm whether it is one of them.
        roles: Option<Vec<bool>>,
    },
    /// The details of a session.
    Session(SessionId),
    /// Sessions are to end.
    Kill(Kill),
    /// The details of a registration of the owner.
    Registration(RegistrationId),
    /// The sessions that serve a registration of the owner.
    Callees(RegistrationId),
    /// How many they are.
    CalleeCount(RegistrationId),
    /// A registration of the owner is to be taken from a session.
    RemoveCallee {
        /// The registration.
        registration: RegistrationId,
        /// The callee.
        session: SessionId,
        /// UNREGISTERED.Details.reason; a checked URI.
        reason: ByteString,
    },
    /// The subscriptions of the owner.
    SubscriptionList,
    /// The id of the owner's subscription to a key.
    Subscription(Key),
    /// The owner's subscriptions that get events of a topic.
    SubscriptionMatch(ByteString),
    /// The details of a subscription of the owner.
    SubscriptionDetails(SubscriptionId),
    /// The sessions that are subscribed.
    Subscribers(SubscriptionId),
    /// How many sessions are subscribed.
    SubscriberCount(SubscriptionId),
    /// Past events.
    Events(Box<EventQuery>),
    /// A subscription is to be taken from a session.
    RemoveSubscriber {
        /// The subscription.
        subscription: SubscriptionId,
        /// The subscriber.
        session: SessionId,
        /// UNSUBSCRIBED.Details.reason; a checked URI.
        reason: Option<ByteString>,
    },
}

impl Query {
    /// The same question in memory of its own.
    pub(super) fn detached(mut self) -> Self {
        let own = |held: &mut ByteString| *held = text(held);
        match &mut self {
            Self::SubscriptionMatch(topic) => own(topic),
            Self::RemoveSubscriber { reason, .. } => reason.iter_mut().for_each(own),
            Self::RemoveCallee { reason, .. } => own(reason),
            Self::Kill(kill) => kill.detach(own),
            Self::SessionCount { .. }
            | Self::SessionList { .. }
            | Self::Session(_)
            | Self::Registration(_)
            | Self::Callees(_)
            | Self::CalleeCount(_)
            | Self::SubscriptionList
            | Self::Subscription(_)
            | Self::SubscriptionDetails(_)
            | Self::Subscribers(_)
            | Self::SubscriberCount(_)
            | Self::Events(_) => {}
        }
        self
    }
}

/// See [`Query::Kill`].
#[derive(Debug)]
pub struct Kill {
    /// Which sessions.
    pub victims: Victims,
    /// The session that asks for it, which is never among them.
    pub except: SessionId,
    /// GOODBYE.Reason; a checked URI.
    pub reason: ByteString,
    /// GOODBYE.Details.message.
    pub message: Option<ByteString>,
}

impl Kill {
    /// Does `own` with each text.
    fn detach(&mut self, own: impl Fn(&mut ByteString)) {
        if let Victims::Authid(text) | Victims::Authrole(text) = &mut self.victims {
            own(text);
        }
        own(&mut self.reason);
        self.message.iter_mut().for_each(own);
    }
}

/// See [`Kill::victims`].
#[derive(Debug)]
pub enum Victims {
    /// This session.
    Session(SessionId),
    /// All with this authid.
    Authid(ByteString),
    /// All with this authrole.
    Authrole(ByteString),
    /// All.
    All,
}

/// What a shard has to say to a question.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Answer {
    /// Nothing: what was asked for is not here.
    #[default]
    Nothing,
    /// A number.
    Count(u64),
    /// Ids.
    Ids(Vec<u64>),
    /// Ids of what is exact, what is a prefix and what is a wildcard.
    ByPolicy([Vec<u64>; 3]),
    /// Details of one thing.
    Details(Dict),
    /// Past events.
    Events {
        /// One dictionary each.
        events: Vec<Value>,
        /// Bytes of all, about.
        bytes: usize,
    },
    /// It is not to be had, for this reason: an error URI.
    Refused(&'static str),
}

impl Answer {
    /// Both answers as one.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Count(one), Self::Count(other)) => Self::Count(one + other),
            (Self::Ids(mut one), Self::Ids(mut other)) => {
                one.append(&mut other);
                Self::Ids(one)
            }
            (Self::ByPolicy(mut one), Self::ByPolicy(mut other)) => {
                for (one, other) in one.iter_mut().zip(&mut other) {
                    one.append(other);
                }
                Self::ByPolicy(one)
            }
            (Self::Nothing, other) => other,
            (one, _) => one,
        }
    }

    /// Bytes that the answer holds, roughly.
    #[must_use]
    pub fn cost(&self) -> usize {
        match self {
            Self::Nothing | Self::Count(_) | Self::Details(_) | Self::Refused(_) => 0,
            Self::Events { bytes, .. } => *bytes,
            Self::Ids(ids) => size_of_val(&ids[..]),
            Self::ByPolicy(lists) => lists.iter().map(|ids| size_of_val(&ids[..])).sum(),
        }
    }

    /// This answer, or `refusal` where there is none: what was asked about does not exist.
    pub(super) fn or_refuse(self, refusal: fn() -> Refusal) -> Result<Self, Refusal> {
        match self {
            Self::Nothing => Err(refusal()),
            answer => Ok(answer),
        }
    }

    /// The details of what was asked about, or `refusal` if it does not exist.
    pub(super) fn details(self, refusal: fn() -> Refusal) -> Result<Vec<Value>, Refusal> {
        match self {
            Self::Details(details) => Ok(vec![Value::Dict(details)]),
            _ => Err(refusal()),
        }
    }

    /// No results, if something was taken from a session; else `refusal` if that does not exist, or `why` it was not the
    /// session's.
    pub(super) fn removed(self, refusal: fn() -> Refusal, why: &'static str) -> Result<Vec<Value>, Refusal> {
        match self.or_refuse(refusal)? {
            Self::Count(0) => Err(Refusal::new(uri::NO_SUCH_SESSION, why)),
            _ => Ok(Vec::new()),
        }
    }

    /// The number of things; [`Answer::Nothing`] is none.
    pub(super) fn count(self) -> Vec<Value> {
        match self {
            Self::Count(count) => vec![count.into()],
            Self::Ids(ids) => vec![(ids.len() as u64).into()],
            _ => vec![0.into()],
        }
    }

    /// With the ids in their order, which is that of neither shards nor tables.
    pub(super) fn sorted(mut self) -> Self {
        if let Self::Ids(ids) = &mut self {
            ids.sort_unstable();
        }
        self
    }

    /// The ids as a list; [`Answer::Nothing`] is an empty one.
    pub(super) fn ids(self) -> Vec<Value> {
        let ids = match self {
            Self::Ids(ids) => ids,
            _ => Vec::new(),
        };
        vec![list(ids)]
    }

    /// One result for each event.
    pub(crate) fn events(self) -> Result<Vec<Value>, Refusal> {
        match self {
            Self::Events { events, .. } => Ok(events),
            Self::Refused(error) => Err(Refusal::new(error, "")),
            _ => Ok(Vec::new()),
        }
    }

    /// The ids of each policy, in their order.
    pub(super) fn by_policy(self) -> Vec<Value> {
        let lists = match self {
            Self::ByPolicy(lists) => lists,
            _ => Default::default(),
        };
        let mut dict = Dict::new();
        let policies = [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard];
        for (policy, mut ids) in policies.into_iter().zip(lists) {
            ids.sort_unstable();
            dict.push(policy.name(), list(ids));
        }
        vec![Value::Dict(dict)]
    }
}

fn list(ids: Vec<u64>) -> Value {
    Value::List(ids.into_iter().map(Value::from).collect())
}

/// How the answer of all shards becomes the results of the call.
pub(crate) type Conclude = fn(Answer) -> Result<Vec<Value>, Refusal>;

/// A call of a meta procedure that waits for shards.
#[derive(Debug)]
pub(crate) struct Gathering {
    pub(crate) caller: SessionRef,
    pub(crate) request: RequestId,
    pub(crate) whom: Whom,
    pub(crate) waiting_for: u16,
    /// Of those that have answered.
    pub(crate) answer: Answer,
    pub(crate) conclude: Conclude,
}

/// Who is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whom {
    /// Every shard, this one included.
    All,
    /// One shard, perhaps this one.
    One(ShardId),
}

impl Whom {
    fn is_all(self) -> bool {
        matches!(self, Self::All)
    }
}

impl Router {
    /// Asks shards on behalf of a call, which `conclude` answers once they have. All shards are asked when not too many
    /// such questions of the session are under way.
    ///
    /// # Errors
    /// If too many wait already.
    pub(crate) fn ask(
        &mut self,
        call: &MetaCall,
        (whom, query): (Whom, Query),
        conclude: Conclude,
        fx: &mut Effects,
    ) -> Result<Step, Refusal> {
        let limit = self.config.limits.kept_bytes;
        let Some(session) = self.conns.same_session_mut(call.caller) else {
            return Ok(Step::Asked);
        };
        if !whom.is_all() || !session.asking.is_busy() {
            self.ask_now((call.caller, call.request), (whom, query), conclude, fx);
            return Ok(Step::Asked);
        }
        let waiting = Waiting::new(call.request, query, conclude, &call.payload);
        let bytes = session.waiting_bytes + waiting.bytes;
        if bytes > limit {
            return Err(Refusal::new(uri::LIMIT_EXCEEDED, ""));
        }
        session.asking.wait(waiting)?;
        session.waiting_bytes = bytes;
        Ok(Step::Asked)
    }

    /// See [`Router::ask`].
    fn ask_now(
        &mut self,
        (caller, request): (SessionRef, RequestId),
        (whom, query): (Whom, Query),
        conclude: Conclude,
        fx: &mut Effects,
    ) {
        let Some(session) = self.conns.same_session_mut(caller) else {
            return;
        };
        session.asking.begins(whom.is_all());
        let realm = session.realm;
        let token = self.new_token();
        let gathering = Gathering {
            caller,
            request,
            whom,
            waiting_for: match whom {
                Whom::All => self.shards,
                Whom::One(_) => 1,
            },
            answer: Answer::Nothing,
            conclude,
        };
        self.pending.insert(token, Pending::Meta(Box::new(gathering)));
        let question = Question {
            from: self.me,
            token,
            realm,
            query,
        };
        let message = PeerMessage::Ask(Arc::new(question));
        match whom {
            Whom::All => self.post_all(&message, fx),
            Whom::One(shard) => self.post(shard, message, fx),
        }
    }

    /// A question is answered: one that waits may begin.
    pub(super) fn ask_next(&mut self, caller: SessionRef, answered: Whom, fx: &mut Effects) {
        let Some(session) = self.conns.same_session_mut(caller) else {
            return;
        };
        if let Some(Waiting {
            request,
            query,
            conclude,
            bytes,
        }) = session.asking.ends(answered.is_all())
        {
            session.waiting_bytes -= bytes;
            self.ask_now((caller, request), (Whom::All, query), conclude, fx);
        }
    }

    pub(crate) fn answer(&mut self, question: &Question, answer: Answer, fx: &mut Effects) {
        let message = PeerMessage::Answer {
            token: question.token,
            answer: Box::new(answer),
        };
        self.post(question.from, message, fx);
    }

    /// One of the shards that were asked has answered.
    pub(crate) fn answered(&mut self, token: Token, answer: Answer, fx: &mut Effects) {
        if let Some(Pending::Meta(gathering)) = self.pending.get_mut(&token) {
            gathering.answer = std::mem::take(&mut gathering.answer).and(answer);
        }
        self.acknowledged(token, fx);
    }
}
