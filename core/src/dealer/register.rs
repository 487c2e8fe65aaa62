//! REGISTER and UNREGISTER, and what shards tell each other about them.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use ahash::HashMap;

use super::{Callee, Dealer, Procedure};
use crate::authorize::Action;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{ConnKey, RegistrationId, RequestId, SessionRef};
use crate::message::{Message, Register, Registered, RequestKind, Unregister, Unregistered};
use crate::options::InvokePolicy;
use crate::peer::{Grant, Key, PeerMessage, RegisterRequest, Token};
use crate::router::{Pending, PendingRegister, Refusal, Router, invalid_uri};
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
        if !config.roles[session.role]
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
        let limit = self.config.limits.registrations;
        if session.registrations.len() + session.registering >= limit {
            let message = format!("a session may have {limit} registrations");
            return Err(Refusal::new(uri::LIMIT_EXCEEDED, message));
        }
        let callee = Callee {
            session: self.session_ref(conn, session),
            features: session.features,
            disclose_caller: options.disclose_caller == Some(true),
            forward_timeout: options.forward_timeout == Some(true),
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

    fn ask_for_registration(&mut self, key: Key, callee: Callee, register: &Register, fx: &mut Effects) {
        if let Some(session) = self.conns.session_mut(callee.session.conn) {
            session.registering += 1;
        }
        let token = self.new_token();
        let pending = PendingRegister {
            callee: callee.session,
            request: register.request,
            key: key.clone(),
            registration: None,
            revoked: false,
            waiting_for: self.shards,
        };
        self.pending.insert(token, Pending::Register(pending));
        let invoke = register.options.invoke.unwrap_or_default();
        let force = register.options.force_reregister;
        let owner = self.owner_of(&key);
        let request = RegisterRequest {
            key,
            invoke,
            force,
            callee,
            token,
        };
        self.post(owner, PeerMessage::Register(Box::new(request)), fx);
    }

    fn owner_of(&mut self, key: &Key) -> crate::ids::ShardId {
        let hasher = &self.realm(key.realm).hasher;
        hasher.owner(hasher.hash(key.policy, &key.uri))
    }

    /// As owner: decides whether a session may serve the key.
    pub(crate) fn own_register(&mut self, request: RegisterRequest, fx: &mut Effects) {
        let RegisterRequest {
            key,
            invoke,
            force,
            callee,
            token,
        } = request;
        let grant = Grant {
            to: callee.session.shard,
            token,
        };
        let held = self
            .realm(key.realm)
            .dealer
            .owned
            .get(key.policy, &key.uri)
            .cloned();
        let procedure = match held {
            None => self.new_procedure(key, invoke, callee, None),
            Some(old) if force => {
                for callee in &old.callees {
                    let (registration, callee) = (old.registration, callee.session);
                    self.post(callee.shard, PeerMessage::Revoked { registration, callee }, fx);
                }
                self.new_procedure(key, invoke, callee, Some(old.registration))
            }
            Some(old) => match check_shared(&old, invoke) {
                Err(error) => return self.post(grant.to, PeerMessage::RegisterRefused { token, error }, fx),
                Ok(()) => with_callee(&old, callee),
            },
        };
        self.announce(Arc::new(procedure), Some(grant), fx);
    }

    /// A procedure with its first callee. Where it takes the place of another, clients must be able to tell
    /// the two apart, so the id is not the `old` one.
    fn new_procedure(
        &mut self,
        key: Key,
        invoke: InvokePolicy,
        callee: Callee,
        old: Option<RegistrationId>,
    ) -> Procedure {
        let realm = self.realm(key.realm);
        let hash = realm.hasher.hash(key.policy, &key.uri);
        let taken = &mut realm.dealer.taken;
        let id = RegistrationId(
            realm
                .hasher
                .free_id(hash, |id| taken.contains(&RegistrationId(id))),
        );
        taken.insert(id);
        if let Some(old) = old {
            taken.remove(&old);
        }
        Procedure {
            key,
            registration: id,
            invoke,
            callees: vec![callee],
            turn: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// As owner: a session serves the key no longer.
    pub(crate) fn own_unregister(
        &mut self,
        key: &Key,
        callee: SessionRef,
        token: Option<Token>,
        fx: &mut Effects,
    ) {
        let held = self
            .realm(key.realm)
            .dealer
            .owned
            .get(key.policy, &key.uri)
            .cloned();
        let grant = token.map(|token| Grant {
            to: callee.shard,
            token,
        });
        let procedure = match held {
            Some(old) => {
                let without = without_callee(&old, callee);
                if without.callees.len() == old.callees.len() && grant.is_none() {
                    return;
                }
                Arc::new(without)
            }
            // Another session took it over, and that one is gone as well: say so once more, for the grant.
            None => Arc::new(Procedure {
                key: key.clone(),
                registration: RegistrationId::default(),
                invoke: InvokePolicy::Single,
                callees: Vec::new(),
                turn: Arc::default(),
            }),
        };
        self.announce(procedure, grant, fx);
    }

    /// As owner: takes a change in, and makes it known to all shards.
    fn announce(&mut self, procedure: Arc<Procedure>, grant: Option<Grant>, fx: &mut Effects) {
        let dealer = &mut self.realm(procedure.key.realm).dealer;
        if procedure.callees.is_empty() {
            dealer.taken.remove(&procedure.registration);
        }
        store(dealer, &procedure, |dealer| &mut dealer.owned);
        self.post_all(&PeerMessage::Procedure { procedure, grant }, fx);
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
            pending.registration = Some(procedure.registration);
        }
        self.acknowledged(grant.token, fx);
    }

    /// Every shard knows of the registration: it is in force.
    pub(crate) fn registered(&mut self, pending: PendingRegister, fx: &mut Effects) {
        let PendingRegister {
            callee,
            request,
            key,
            registration,
            revoked,
            ..
        } = pending;
        let Some(registration) = registration else {
            unreachable!("a registration is granted by its owner's announcement, which names it");
        };
        let Some(session) = self.conns.same_session_mut(callee) else {
            let owner = self.owner_of(&key);
            return self.post(
                owner,
                PeerMessage::Unregister {
                    key,
                    callee,
                    token: None,
                },
                fx,
            );
        };
        session.registering -= 1;
        session.registrations.insert(registration, key);
        fx.send(
            callee.conn,
            Message::Registered(Registered {
                request,
                registration,
            }),
        );
        if revoked {
            self.revoked(registration, callee, fx);
        }
        self.release_held(callee, fx);
    }

    pub(crate) fn register_refused(&mut self, token: Token, error: &'static str, fx: &mut Effects) {
        let Some(Pending::Register(pending)) = self.pending.remove(&token) else {
            return;
        };
        let Some(session) = self.conns.same_session_mut(pending.callee) else {
            return;
        };
        session.registering -= 1;
        let request = (RequestKind::Register, pending.request);
        self.refuse(pending.callee.conn, request, Refusal::new(error, ""), fx);
        self.release_held(pending.callee, fx);
    }

    pub(crate) fn unregister(&mut self, conn: ConnKey, unregister: &Unregister, fx: &mut Effects) {
        let Some(session) = self.conns.session_mut(conn) else {
            return;
        };
        let Some(key) = session.registrations.remove(&unregister.registration) else {
            let refusal = Refusal::new(uri::NO_SUCH_REGISTRATION, "");
            return self.refuse(conn, (RequestKind::Unregister, unregister.request), refusal, fx);
        };
        let callee = SessionRef {
            shard: self.me,
            conn,
            id: session.id,
        };
        let token = self.new_token();
        let pending = Pending::Unregister {
            callee,
            request: unregister.request,
            waiting_for: self.shards,
        };
        self.pending.insert(token, pending);
        let owner = self.owner_of(&key);
        self.post(
            owner,
            PeerMessage::Unregister {
                key,
                callee,
                token: Some(token),
            },
            fx,
        );
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

    /// Another session took a registration over by force.
    pub(crate) fn revoked(&mut self, registration: RegistrationId, callee: SessionRef, fx: &mut Effects) {
        let Some(session) = self.conns.same_session_mut(callee) else {
            return;
        };
        if session.registrations.remove(&registration).is_none() {
            self.revoke_pending(registration, callee);
            return;
        }
        let details = Dict::new()
            .with("registration", registration.0)
            .with("reason", uri::UNREGISTERED);
        let message = Unregistered {
            request: RequestId(0),
            details: Some(details),
        };
        fx.send(callee.conn, Message::Unregistered(message));
        self.release_held(callee, fx);
    }

    /// The registration was lost before its grant was complete: REGISTERED comes first all the same.
    fn revoke_pending(&mut self, registration: RegistrationId, callee: SessionRef) {
        for pending in self.pending.values_mut() {
            if let Pending::Register(pending) = pending
                && pending.callee == callee
                && pending.registration == Some(registration)
            {
                pending.revoked = true;
            }
        }
    }

    /// The session ended.
    pub(crate) fn end_registrations(
        &mut self,
        callee: SessionRef,
        registrations: HashMap<RegistrationId, Key>,
        fx: &mut Effects,
    ) {
        let mut registrations: Vec<_> = registrations.into_iter().collect();
        // In the order of the ids, not in that of a hash map.
        registrations.sort_unstable_by_key(|(id, _)| *id);
        for (_, key) in registrations {
            let owner = self.owner_of(&key);
            self.post(
                owner,
                PeerMessage::Unregister {
                    key,
                    callee,
                    token: None,
                },
                fx,
            );
        }
    }
}

fn store(
    dealer: &mut Dealer,
    procedure: &Arc<Procedure>,
    table: impl FnOnce(&mut Dealer) -> &mut crate::pattern::PatternMap<Arc<Procedure>>,
) {
    let key = &procedure.key;
    if procedure.callees.is_empty() {
        table(dealer).remove(key.policy, &key.uri);
    } else {
        table(dealer).insert(key.policy, &key.uri, Arc::clone(procedure));
    }
}

/// Whether one more callee fits to those there are.
fn check_shared(procedure: &Procedure, invoke: InvokePolicy) -> Result<(), &'static str> {
    match (procedure.invoke, invoke) {
        (InvokePolicy::Single, _) => Err(uri::PROCEDURE_ALREADY_EXISTS),
        (held, asked) if held != asked => Err(uri::PROCEDURE_EXISTS_WITH_DIFFERENT_POLICY),
        _ => Ok(()),
    }
}

fn with_callee(procedure: &Procedure, callee: Callee) -> Procedure {
    let mut callees = procedure.callees.clone();
    if !callees.iter().any(|held| held.session == callee.session) {
        callees.push(callee);
    }
    Procedure {
        callees,
        ..procedure.shallow()
    }
}

fn without_callee(procedure: &Procedure, callee: SessionRef) -> Procedure {
    let callees = procedure
        .callees
        .iter()
        .filter(|held| held.session != callee)
        .copied()
        .collect();
    Procedure {
        callees,
        ..procedure.shallow()
    }
}

impl Procedure {
    /// All but the callees.
    fn shallow(&self) -> Self {
        Self {
            key: self.key.clone(),
            registration: self.registration,
            invoke: self.invoke,
            callees: Vec::new(),
            turn: Arc::clone(&self.turn),
        }
    }
}
