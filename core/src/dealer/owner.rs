//! What the owner of a key decides about it: who serves it, under which id, and what all shards are told.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytestring::ByteString;

use super::{Callee, Dealer, Incarnation, Load, Procedure, Queue};
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{CallKey, RegistrationId, SessionRef};
use crate::meta::MetaEvent;
use crate::options::InvokePolicy;
use crate::pattern::PatternMap;
use crate::peer::{Grant, Key, PeerMessage, RegisterRequest, Revocation, Token};
use crate::router::Router;
use crate::time::Time;

impl Router {
    /// Decides whether a session may serve the key.
    pub(crate) fn own_register(&mut self, request: RegisterRequest, fx: &mut Effects) {
        let RegisterRequest {
            key,
            invoke,
            force,
            mut callee,
            concurrency,
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
        let queue = match &held {
            Some(old) if !force => old.queue.clone(),
            _ => self.new_queue(&key),
        };
        let is_counted = concurrency.is_some() || invoke == InvokePolicy::Load || queue.is_some();
        callee.load = is_counted.then(|| Arc::new(Load::new(concurrency, queue.clone())));
        let mut closed = Vec::new();
        let procedure = match held {
            None => Arc::new(self.new_procedure(key, invoke, (callee, queue), None, fx)),
            Some(old) if force => {
                closed = close(&old);
                self.tell_registration_lost(&old, fx);
                for callee in &old.callees {
                    let (registration, callee) = (old.registration, callee.session);
                    let why = Revocation::TakenOver;
                    let revoked = PeerMessage::Revoked {
                        registration,
                        callee,
                        why,
                    };
                    self.post(callee.shard, revoked, fx);
                }
                Arc::new(self.new_procedure(key, invoke, (callee, queue), Some(old.registration), fx))
            }
            Some(old) => match check_shared(&old, invoke) {
                Err(error) => return self.post(grant.to, PeerMessage::RegisterRefused { token, error }, fx),
                // Nothing changes, and there may be many callees: no copy of them.
                Ok(()) if serves(&old, callee.session) => old,
                Ok(()) => {
                    self.tell_callee(&old, (MetaEvent::RegistrationRegister, callee.session.id), fx);
                    Arc::new(with_callee(&old, callee))
                }
            },
        };
        self.announce(procedure, Some(grant), fx);
        self.look_elsewhere(closed, fx);
    }

    /// The queue of a registration, if the realm wants it to have one.
    fn new_queue(&self, key: &Key) -> Option<Arc<Queue>> {
        let rules = &self.realm_config(key.realm).calls;
        let limit = rules.queue_limit(key.policy, &key.uri)?;
        Some(Arc::new(Queue::new(limit)))
    }

    /// Tells calls that wait for a registration that it is gone. Their shards hear of that first.
    fn look_elsewhere(&mut self, calls: Vec<CallKey>, fx: &mut Effects) {
        for call in calls {
            self.post(call.shard, PeerMessage::Turn { call, callee: None }, fx);
        }
    }

    /// A procedure with its first callee. Where it takes the place of another, clients must be able to tell
    /// the two apart, so the id is the next after the `old` one: with takeovers to and fro none comes back.
    fn new_procedure(
        &mut self,
        key: Key,
        invoke: InvokePolicy,
        (callee, queue): (Callee, Option<Arc<Queue>>),
        old: Option<RegistrationId>,
        fx: &mut Effects,
    ) -> Procedure {
        let (now, session) = (self.now, callee.session.id);
        let realm = self.realm(key.realm);
        let hash = realm.hasher.hash(key.policy, &key.uri);
        let Dealer {
            taken,
            last_incarnation,
            ..
        } = &mut realm.dealer;
        *last_incarnation += 1;
        let first = old.map_or(hash, |old| old.0);
        let id = realm
            .hasher
            .free_id(first, |id| taken.contains_key(&RegistrationId(id)));
        let id = RegistrationId(id);
        taken.insert(id, key.clone());
        if let Some(old) = old {
            taken.remove(&old);
        }
        let procedure = Procedure {
            key,
            registration: id,
            incarnation: Incarnation(*last_incarnation),
            invoke,
            created: now,
            callees: vec![callee],
            queue,
            turn: Arc::new(AtomicUsize::new(0)),
        };
        self.tell_registration_created(&procedure, session, fx);
        procedure
    }

    /// A session serves the key no longer.
    pub(crate) fn own_unregister(
        &mut self,
        key: &Key,
        (registration, callee): (RegistrationId, SessionRef),
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
        let mut closed = Vec::new();
        let procedure = match held {
            Some(old) if old.registration == registration && serves(&old, callee) => {
                let left = without_callee(&old, callee);
                self.tell_callee(&old, (MetaEvent::RegistrationUnregister, callee.id), fx);
                if left.callees.is_empty() {
                    closed = close(&old);
                    self.tell_callee(&old, (MetaEvent::RegistrationDelete, callee.id), fx);
                }
                Arc::new(left)
            }
            // Another session took it over. Who waits is told when all shards know.
            _ if grant.is_none() => return,
            Some(other) => other,
            // And that one is gone as well: say so once more.
            None => Arc::new(Procedure {
                key: key.clone(),
                registration: RegistrationId::default(),
                incarnation: Incarnation::default(),
                invoke: InvokePolicy::Single,
                created: Time::default(),
                callees: Vec::new(),
                queue: None,
                turn: Arc::default(),
            }),
        };
        self.announce(procedure, grant, fx);
        self.look_elsewhere(closed, fx);
    }

    /// Takes a registration of its key's owner away from one callee. Whether it had it.
    pub fn own_revoke(
        &mut self,
        key: &Key,
        (registration, callee): (RegistrationId, SessionRef),
        reason: ByteString,
        fx: &mut Effects,
    ) -> bool {
        let held = self.realm(key.realm).dealer.owned.get(key.policy, &key.uri);
        if !held.is_some_and(|held| held.registration == registration && serves(held, callee)) {
            return false;
        }
        let why = Revocation::Removed(reason);
        let revoked = PeerMessage::Revoked {
            registration,
            callee,
            why,
        };
        self.post(callee.shard, revoked, fx);
        self.own_unregister(key, (registration, callee), None, fx);
        true
    }

    /// Takes a change in, and makes it known to all shards.
    fn announce(&mut self, procedure: Arc<Procedure>, grant: Option<Grant>, fx: &mut Effects) {
        let dealer = &mut self.realm(procedure.key.realm).dealer;
        if procedure.callees.is_empty() {
            dealer.taken.remove(&procedure.registration);
        }
        store(dealer, &procedure, |dealer| &mut dealer.owned);
        self.post_all(&PeerMessage::Procedure { procedure, grant }, fx);
    }
}

/// Takes a procedure into a table, or out of it where nobody serves it any more.
pub(super) fn store(
    dealer: &mut Dealer,
    procedure: &Arc<Procedure>,
    table: impl FnOnce(&mut Dealer) -> &mut PatternMap<Arc<Procedure>>,
) {
    let key = &procedure.key;
    if procedure.callees.is_empty() {
        table(dealer).remove(key.policy, &key.uri);
    } else {
        table(dealer).insert(key.policy, Arc::clone(&key.uri), Arc::clone(procedure));
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

fn serves(procedure: &Procedure, callee: SessionRef) -> bool {
    procedure.callees.iter().any(|held| held.session == callee)
}

/// Ends the service of all callees. The calls that waited for them.
fn close(procedure: &Procedure) -> Vec<CallKey> {
    for load in procedure.callees.iter().filter_map(|callee| callee.load.as_ref()) {
        load.close();
    }
    procedure
        .queue
        .as_ref()
        .map(|queue| queue.close())
        .unwrap_or_default()
}

fn with_callee(procedure: &Procedure, callee: Callee) -> Procedure {
    let held = procedure.callees.iter().cloned();
    let callees = held.chain([callee]).collect();
    Procedure {
        callees,
        ..procedure.shallow()
    }
}

fn without_callee(procedure: &Procedure, callee: SessionRef) -> Procedure {
    let (gone, left): (Vec<&Callee>, Vec<_>) =
        procedure.callees.iter().partition(|held| held.session == callee);
    for load in gone.iter().filter_map(|callee| callee.load.as_ref()) {
        load.close();
    }
    let callees = left.into_iter().cloned().collect();
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
            incarnation: self.incarnation,
            invoke: self.invoke,
            created: self.created,
            callees: Vec::new(),
            queue: self.queue.clone(),
            turn: Arc::clone(&self.turn),
        }
    }
}
