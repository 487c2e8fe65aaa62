//! REGISTER and UNREGISTER, and what shards tell each other about them.

use std::num::NonZeroU64;
use std::sync::Arc;

use smallvec::SmallVec;

use super::owner::store;
use super::serving::{Registration, Serving};
use super::{Callee, Procedure};
use crate::authorize::Action;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{ConnKey, RegistrationId, RequestId, SessionRef, ShardId};
use crate::message::{Message, Register, Registered, RequestKind, Unregister, Unregistered};
use crate::options::MatchPolicy;
use crate::peer::{Grant, Key, PeerMessage, RegisterRequest, Revocation, Token};
use crate::router::{Pending, PendingRegister, Refusal, Router, invalid_uri};
use crate::session::Session;
use crate::uri::is_reserved;
use crate::value::Dict;

impl Router {
    pub(crate) fn register(&mut self, conn: ConnKey, register: Register, fx: &mut Effects) {
        let request = register.request;
        match self.admit_register(conn, &register) {
            Ok(Some((key, callee))) => self.ask_for_registration(key, callee, &register, fx),
            Ok(None) => {}
            Err(refusal) => self.refuse(conn, (RequestKind::Register, request), refusal, fx),
        }
    }

    fn admit_register(&self, conn: ConnKey, register: &Register) -> Result<Option<(Key, Callee)>, Refusal> {
        let Some(session) = self.conns.session(conn) else {
            return Ok(None);
        };
        let (realm, options) = (session.realm, &register.options);
        let policy = options.match_policy.unwrap_or_default();
        if !self.realms[realm.0 as usize]
            .uris
            .allow(policy, &register.procedure)
        {
            return Err(invalid_uri("the procedure is no valid URI for its match policy"));
        }
        if is_reserved(&register.procedure) {
            return Err(invalid_uri(
                "procedures that begin with 'wamp.' are the router's own",
            ));
        }
        let config = self.realm_config(realm);
        if !config.roles[session.role()]
            .decide(Action::Register, &register.procedure, policy)
            .allowed
        {
            return Err(Refusal::new(
                uri::NOT_AUTHORIZED,
                "the role may not register this",
            ));
        }
        if options.disclose_caller == Some(true) && !config.allow_disclose {
            return Err(Refusal::new(
                uri::DISCLOSE_ME_DISALLOWED,
                "this realm discloses nobody",
            ));
        }
        self.check_registration_limits(session, policy, &register.procedure)?;
        let callee = Callee {
            session: self.session_ref(conn, session),
            features: session.features,
            disclose_caller: options.disclose_caller == Some(true),
            forward_timeout: options.forward_timeout == Some(true),
            timeout: options.timeout.and_then(NonZeroU64::new),
            load: None,
        };
        Ok(Some((
            Key {
                realm,
                policy,
                uri: Arc::from(&*register.procedure),
            },
            callee,
        )))
    }

    fn check_registration_limits(
        &self,
        session: &Session,
        policy: MatchPolicy,
        procedure: &str,
    ) -> Result<(), Refusal> {
        let limits = &self.config.limits;
        let most_wildcards = limits.wildcard_registrations;
        let (most, most_bytes) = (limits.registrations, limits.registration_bytes);
        let message = if session.serving.len() >= most {
            format!("a session may have {most} registrations")
        } else if policy == MatchPolicy::Wildcard && session.serving.wildcards() >= most_wildcards {
            format!("a session may have {most_wildcards} wildcard registrations")
        } else if session.serving.uri_bytes() + procedure.len() > most_bytes {
            format!("the URIs of a session's registrations may have {most_bytes} bytes")
        } else {
            return Ok(());
        };
        Err(Refusal::new(uri::LIMIT_EXCEEDED, message))
    }

    fn ask_for_registration(&mut self, key: Key, callee: Callee, register: &Register, fx: &mut Effects) {
        let token = self.new_token();
        if let Some(session) = self.conns.session_mut(callee.session.conn) {
            session.serving.ask(&key, token, &self.hasher);
        }
        let pending = PendingRegister {
            callee: callee.session,
            request: register.request,
            key: key.clone(),
            registration: None,
            revoked: None,
            given_up: SmallVec::new(),
            waiting_for: self.shards,
        };
        self.pending.insert(token, Pending::Register(Box::new(pending)));
        let invoke = register.options.invoke.unwrap_or_default();
        let force = register.options.force_reregister;
        let owner = self.owner_of(&key);
        let request = RegisterRequest {
            key,
            invoke,
            force,
            callee,
            concurrency: register
                .options
                .concurrency
                .map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
            token,
        };
        self.post(owner, PeerMessage::Register(Box::new(request)), fx);
    }

    fn owner_of(&mut self, key: &Key) -> ShardId {
        let hasher = &self.realm(key.realm).hasher;
        hasher.owner(hasher.hash(key.policy, &key.uri))
    }

    /// The owner of a key says who serves it.
    pub(crate) fn learn_procedure(
        &mut self,
        procedure: Arc<Procedure>,
        grant: Option<Grant>,
        fx: &mut Effects,
    ) {
        let dealer = &mut self.realm(procedure.key.realm).dealer;
        store(dealer, &procedure, |dealer| &mut dealer.procedures);
        let Some(grant) = grant else {
            return;
        };
        if grant.to != self.me {
            return self.acknowledge(grant, fx);
        }
        if let Some(Pending::Register(pending)) = self.pending.get_mut(&grant.token) {
            pending.registration = Some((procedure.registration, procedure.incarnation));
        }
        self.acknowledged(grant.token, fx);
    }

    /// Every shard knows of the registration: it is in force.
    pub(crate) fn registered(&mut self, token: Token, pending: PendingRegister, fx: &mut Effects) {
        let PendingRegister {
            callee,
            request,
            key,
            registration,
            revoked,
            given_up,
            ..
        } = pending;
        let Some((registration, incarnation)) = registration else {
            unreachable!("a registration is granted by its owner's announcement, which names it");
        };
        let Some(session) = self.conns.same_session_mut(callee) else {
            return self.post_unregister(key, (registration, callee), None, fx);
        };
        session.serving.end_asking(&key, token);
        if !given_up.contains(&registration) {
            let held = Registration {
                key: key.clone(),
                incarnation,
            };
            session.serving.insert(registration, held, &self.hasher);
        }
        fx.send(
            callee.conn,
            Message::Registered(Registered {
                request,
                registration,
            }),
        );
        if let Some(why) = revoked {
            self.take_back(registration, callee, &why, fx);
        } else {
            self.serve_waiting(&key, (registration, callee), fx);
        }
        self.release_held(callee, fx);
    }

    /// Calls that wait for a registration go to its new callee.
    fn serve_waiting(
        &mut self,
        key: &Key,
        (registration, callee): (RegistrationId, SessionRef),
        fx: &mut Effects,
    ) {
        let procedures = &self.realm(key.realm).dealer.procedures;
        let Some(procedure) = procedures.get(key.policy, &key.uri).cloned() else {
            return;
        };
        let mut callees = procedure.callees.iter();
        let callee = callees.find(|held| held.session == callee);
        let (Some(queue), Some(callee)) = (&procedure.queue, callee) else {
            return;
        };
        let Some(load) = callee.load.as_deref() else {
            return;
        };
        if procedure.registration != registration {
            return;
        }
        while let Some(call) = queue.next_for(load) {
            let callee = Some(Box::new(callee.clone()));
            self.post(call.shard, PeerMessage::Turn { call, callee }, fx);
        }
    }

    pub(crate) fn register_refused(&mut self, token: Token, error: &'static str, fx: &mut Effects) {
        let Some(Pending::Register(pending)) = self.pending.remove(&token) else {
            return;
        };
        let Some(session) = self.conns.same_session_mut(pending.callee) else {
            return;
        };
        session.serving.end_asking(&pending.key, token);
        let request = (RequestKind::Register, pending.request);
        self.refuse(pending.callee.conn, request, Refusal::new(error, ""), fx);
        self.release_held(pending.callee, fx);
    }

    pub(crate) fn unregister(&mut self, conn: ConnKey, unregister: &Unregister, fx: &mut Effects) {
        let Some(session) = self.conns.session_mut(conn) else {
            return;
        };
        let Some(Registration { key, .. }) = session.serving.remove(unregister.registration) else {
            let refusal = Refusal::new(uri::NO_SUCH_REGISTRATION, "");
            return self.refuse(conn, (RequestKind::Unregister, unregister.request), refusal, fx);
        };
        let callee = SessionRef {
            shard: self.me,
            conn,
            id: session.id,
        };
        self.give_up_pending((&key, unregister.registration), callee);
        let token = self.new_token();
        let pending = Pending::Unregister {
            callee,
            request: unregister.request,
            waiting_for: self.shards,
        };
        self.pending.insert(token, pending);
        self.post_unregister(key, (unregister.registration, callee), Some(token), fx);
    }

    /// Asks the owner of a key to take a callee out. Its places are nobody's from now on: no call that waits is sent here
    /// only to come back.
    fn post_unregister(
        &mut self,
        key: Key,
        (registration, callee): (RegistrationId, SessionRef),
        token: Option<Token>,
        fx: &mut Effects,
    ) {
        let procedures = &self.realm(key.realm).dealer.procedures;
        let held = procedures.get(key.policy, &key.uri);
        let callees = held.filter(|held| held.registration == registration);
        let mut callees = callees.into_iter().flat_map(|held| &held.callees);
        let gone = callees.find(|held| held.session == callee);
        if let Some(load) = gone.and_then(|callee| callee.load.as_ref()) {
            load.close();
        }
        let owner = self.owner_of(&key);
        let message = PeerMessage::Unregister {
            key,
            registration,
            callee,
            token,
        };
        self.post(owner, message, fx);
    }

    /// The session registered the key twice, and gives the registration up before the second REGISTERED, which
    /// is still to be sent. The owner takes the callee out after both.
    fn give_up_pending(&mut self, (key, registration): (&Key, RegistrationId), callee: SessionRef) {
        let Some(session) = self.conns.same_session_mut(callee) else {
            return;
        };
        for token in session.serving.asked_for(key) {
            if let Some(Pending::Register(pending)) = self.pending.get_mut(token) {
                pending.given_up.push(registration);
            }
        }
    }

    /// No shard sends calls for the registration any more.
    pub(crate) fn unregistered(&mut self, callee: SessionRef, request: RequestId, fx: &mut Effects) {
        if self.conns.same_session_mut(callee).is_some() {
            fx.send(
                callee.conn,
                Message::Unregistered(Unregistered {
                    request,
                    details: None,
                }),
            );
        }
    }

    /// Another session took a registration over by force, or somebody had it removed.
    pub(crate) fn revoked(
        &mut self,
        registration: RegistrationId,
        callee: SessionRef,
        why: &Revocation,
        fx: &mut Effects,
    ) {
        let Some(session) = self.conns.same_session_mut(callee) else {
            return;
        };
        // Lost before the grant is complete: REGISTERED comes first all the same.
        for token in session.serving.all_asked() {
            if let Some(Pending::Register(pending)) = self.pending.get_mut(&token)
                && pending.registration.is_some_and(|(id, _)| id == registration)
            {
                pending.revoked = Some(why.clone());
            }
        }
        self.take_back(registration, callee, why, fx);
    }

    /// Tells a callee that it does not serve a registration any more, if it still does.
    fn take_back(
        &mut self,
        registration: RegistrationId,
        callee: SessionRef,
        why: &Revocation,
        fx: &mut Effects,
    ) {
        let Some(session) = self.conns.same_session_mut(callee) else {
            return;
        };
        if session.serving.remove(registration).is_none() {
            return;
        }
        let reason = match why {
            Revocation::TakenOver => Some(uri::UNREGISTERED),
            Revocation::Removed(reason) => session.features.registration_revocation.then_some(&**reason),
        };
        if let Some(reason) = reason {
            let details = Dict::new()
                .with("registration", registration.0)
                .with("reason", reason);
            let message = Unregistered {
                request: RequestId(0),
                details: Some(details),
            };
            fx.send(callee.conn, Message::Unregistered(message));
        }
        self.release_held(callee, fx);
    }

    /// The session ended.
    pub(crate) fn end_registrations(&mut self, callee: SessionRef, serving: Serving, fx: &mut Effects) {
        for (registration, Registration { key, .. }) in serving.into_sorted() {
            self.post_unregister(key, (registration, callee), None, fx);
        }
    }
}
