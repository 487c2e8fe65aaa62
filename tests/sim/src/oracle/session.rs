//! An open session, its requests and their answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytestring::ByteString;
use crosspoint_core::error_uri as uri;
use crosspoint_core::ids::{RegistrationId, RequestId, SessionId, ShardId, SubscriptionId};
use crosspoint_core::message::{Error, Message, RequestKind};
use crosspoint_core::options::InvokePolicy;

use super::Oracle;
use super::meta::Told;
use super::meta_calls::MetaCall;
use super::retained::Ask;
use crate::broken::{Broken, Check, ensure, found};
use crate::client::Persona;
use crate::plan::ROLES;
use crate::uris::Key;

/// A session, also after its end.
pub(super) struct Session {
    pub(super) shard: ShardId,
    pub(super) realm: usize,
    pub(super) id: SessionId,
    pub(super) authid: ByteString,
    pub(super) authrole: ByteString,
    pub(super) persona: Persona,
    pub(super) is_alive: bool,
    last_request: u64,
    /// What waits for an answer, other than calls.
    pub(super) requests: BTreeMap<RequestId, Request>,
    pub(super) subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// Events that were delivered: publication and key.
    pub(super) events: BTreeSet<(u64, Key)>,
    pub(super) registrations: BTreeMap<RegistrationId, Registration>,
    /// Calls that wait for their final answer.
    pub(super) calls: BTreeMap<RequestId, u64>,
    pub(super) meta_calls: BTreeMap<RequestId, MetaCall>,
    /// Publications that the session leaves behind.
    pub(super) testaments: Vec<u64>,
    /// Calls that ended before their last part came, the oldest first.
    pub(super) ended: VecDeque<RequestId>,
    /// The calls of its invocations, by INVOCATION.Request less one.
    pub(super) invocations: Vec<u64>,
}

/// In force: SUBSCRIBED is sent, and UNSUBSCRIBE has not come.
pub(super) struct Subscription {
    pub(super) key: Key,
    /// Publications that must still come.
    pub(super) expected: BTreeSet<u64>,
    /// SUBSCRIBEs that asked for retained events.
    pub(super) asks: Vec<Ask>,
    /// For meta topics.
    pub(super) told: Told,
}

/// In force: REGISTERED is sent, and neither UNREGISTER has come nor has it been revoked.
pub(super) struct Registration {
    pub(super) key: Key,
    /// The step in which REGISTER was taken.
    pub(super) asked: u64,
    /// The step in which REGISTERED was sent; tells this registration from others.
    pub(super) granted: u64,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) asked: u64,
    pub(super) what: Asked,
    /// The error that must be the answer, at once.
    pub(super) refusal: Option<&'static str>,
}

#[derive(Debug)]
pub(super) enum Asked {
    Publish {
        token: u64,
    },
    Subscribe {
        key: Key,
        /// Set where it asks for retained events: the quiet moments before it.
        retained: Option<u64>,
    },
    Unsubscribe,
    Register {
        key: Key,
        invoke: InvokePolicy,
        force: bool,
        /// Registrations of the same key that the session gave up after this request.
        given_up: Vec<RegistrationId>,
    },
    Unregister,
}

impl Asked {
    fn kind(&self) -> RequestKind {
        match self {
            Self::Publish { .. } => RequestKind::Publish,
            Self::Subscribe { .. } => RequestKind::Subscribe,
            Self::Unsubscribe => RequestKind::Unsubscribe,
            Self::Register { .. } => RequestKind::Register,
            Self::Unregister => RequestKind::Unregister,
        }
    }
}

impl Session {
    pub(super) fn new(
        (shard, realm): (ShardId, usize),
        (id, authid, authrole): (SessionId, ByteString, ByteString),
        persona: Persona,
    ) -> Self {
        Self {
            shard,
            realm,
            id,
            authid,
            authrole,
            persona,
            is_alive: true,
            last_request: 0,
            requests: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            events: BTreeSet::new(),
            registrations: BTreeMap::new(),
            calls: BTreeMap::new(),
            meta_calls: BTreeMap::new(),
            testaments: Vec::new(),
            ended: VecDeque::new(),
            invocations: Vec::new(),
        }
    }

    /// What is still known of a session when the router starts again.
    pub(super) fn after_end(self) -> Self {
        let who = (self.id, self.authid, self.authrole);
        Self {
            is_alive: false,
            ..Self::new((self.shard, self.realm), who, self.persona)
        }
    }

    /// Whether the session is disclosed without asking for it.
    pub(super) fn is_shown(&self) -> bool {
        self.authrole == ROLES[1]
    }

    /// Calls of meta procedures that wait for other shards.
    pub(super) fn asking(&self) -> usize {
        let asks = |call: &&MetaCall| matches!(call, MetaCall::Kill(_) | MetaCall::Recall(_));
        self.meta_calls.values().filter(asks).count()
    }

    /// Requests of one kind that wait.
    pub(super) fn waiting(&self, kind: RequestKind) -> usize {
        self.requests
            .values()
            .filter(|request| request.what.kind() == kind)
            .count()
    }

    /// Refusals, PUBLISHED and UNSUBSCRIBED need no question to other shards.
    pub(super) fn check_answered_at_once(&self) -> Check {
        for (id, request) in &self.requests {
            let may_wait = matches!(
                request.what,
                Asked::Subscribe { .. } | Asked::Register { .. } | Asked::Unregister
            );
            ensure!(
                request.refusal.is_none() && may_wait,
                "what needs no other shard is answered at once",
                "session {}: request {id}, {request:?}",
                self.id
            );
        }
        Ok(())
    }

    fn is_in_sequence(&mut self, request: RequestId) -> bool {
        let expected = self.last_request + 1;
        self.last_request = request.0;
        request.0 == expected
    }
}

impl Oracle {
    /// The router takes a message of an open session.
    pub(super) fn in_session(&mut self, connection: usize, session: usize, message: &Message) {
        let sequential = match message {
            Message::Publish(publish) => Some(publish.request),
            Message::Subscribe(subscribe) => Some(subscribe.request),
            Message::Unsubscribe(unsubscribe) => Some(unsubscribe.request),
            Message::Call(call) => Some(call.request),
            Message::Register(register) => Some(register.request),
            Message::Unregister(unregister) => Some(unregister.request),
            _ => None,
        };
        let is_part = matches!(message, Message::Call(call) if self.is_known_call(session, call.request));
        if let Some(request) = sequential
            && !is_part
            && !self.sessions[session].is_in_sequence(request)
            && self.config.realms[self.sessions[session].realm].strict_request_ids
        {
            return self.violated(connection);
        }
        match message {
            Message::Publish(publish) => self.publish(session, publish),
            Message::Subscribe(subscribe) => self.subscribe(session, subscribe),
            Message::Unsubscribe(unsubscribe) => self.unsubscribe(session, unsubscribe),
            Message::Register(register) => self.register(session, register),
            Message::Unregister(unregister) => self.unregister(session, unregister),
            Message::Call(call) if self.is_bad_call(session, call) => self.violated(connection),
            Message::Call(call) if is_part => self.further_call(session, call),
            Message::Call(call) if self.meta_call(session, call) => {}
            Message::Call(call) => self.call(session, call),
            Message::Cancel(cancel) => self.cancel(session, cancel),
            Message::Yield(answer) if self.is_unknown(session, answer.request) => self.violated(connection),
            Message::Yield(answer) => self.answered_by_yield(session, answer),
            Message::Error(error)
                if error.kind != RequestKind::Invocation || self.is_unknown(session, error.request) =>
            {
                self.violated(connection);
            }
            Message::Error(error) => self.answered_by_error(session, error),
            Message::Goodbye(goodbye) if goodbye.reason.contains('#') => self.violated(connection),
            Message::Goodbye(_) => self.said_goodbye(connection),
            Message::Abort(_) => self.end_session(connection),
            _ => self.violated(connection),
        }
    }

    pub(super) fn asked(
        &mut self,
        session: usize,
        request: RequestId,
        what: Asked,
        refusal: Option<&'static str>,
    ) {
        let request_state = Request {
            asked: self.step,
            what,
            refusal,
        };
        self.sessions[session].requests.insert(request, request_state);
    }

    /// Takes the request that a positive answer is for.
    pub(super) fn granted(
        &mut self,
        session: usize,
        (kind, request): (RequestKind, RequestId),
    ) -> Result<Request, Broken> {
        let id = self.sessions[session].id;
        let asked = found!(
            self.sessions[session].requests.remove(&request),
            "every request is answered once",
            "session {id} gets an answer to {kind:?} {request}, which does not wait for one"
        );
        ensure!(
            asked.what.kind() == kind && asked.refusal.is_none(),
            "a request is granted by its own kind of answer, and not where it must be refused",
            "session {id}: {kind:?} {request} for {asked:?}"
        );
        Ok(asked)
    }

    pub(super) fn error(&mut self, session: usize, error: &Error) -> Check {
        if error.kind == RequestKind::Call {
            return self.call_error(session, error);
        }
        let id = self.sessions[session].id;
        let asked = found!(
            self.sessions[session].requests.remove(&error.request),
            "every request is answered once",
            "session {id} gets {error:?}, which answers nothing that waits"
        );
        ensure!(
            asked.what.kind() == error.kind,
            "ERROR names the kind of its request",
            "session {id} gets {error:?} for {asked:?}"
        );
        if let Some(refusal) = asked.refusal {
            ensure!(
                error.error == refusal,
                "a request is refused for the right reason",
                "session {id} gets {error:?} for {asked:?}"
            );
            return Ok(());
        }
        match asked.what {
            Asked::Register { key, force, .. } if !force => self.register_refused(key, &error.error),
            what => Err(Broken {
                invariant: "no request is refused without a reason",
                detail: format!("session {id} gets {error:?} for {what:?}"),
            }),
        }
    }

    /// Everything that a session held is given up.
    pub(super) fn session_ended(&mut self, place: usize) {
        let session = &mut self.sessions[place];
        session.is_alive = false;
        session.requests.clear();
        session.events.clear();
        session.meta_calls.clear();
        let testaments = std::mem::take(&mut session.testaments);
        let subscriptions = std::mem::take(&mut session.subscriptions);
        let registrations = std::mem::take(&mut session.registrations);
        let calls = std::mem::take(&mut session.calls);
        for subscription in subscriptions.into_values() {
            self.no_longer_subscribed(&subscription.key);
        }
        for registration in registrations.into_values() {
            self.no_longer_registered(place, &registration.key);
        }
        for token in calls.into_values() {
            self.caller_left(token);
        }
        self.callee_left(place);
        for token in testaments {
            self.expect(token);
        }
    }
}

/// URIs that a refusal of REGISTER by the procedure's owner may have.
pub(super) const REGISTER_REFUSALS: [&str; 2] = [
    uri::PROCEDURE_ALREADY_EXISTS,
    uri::PROCEDURE_EXISTS_WITH_DIFFERENT_POLICY,
];
