//! Registrations: who serves a key, and when a session must be able to.

use std::collections::BTreeMap;

use crosspoint_core::error_uri as uri;
use crosspoint_core::ids::RegistrationId;
use crosspoint_core::message::{Register, Registered, RequestKind, Unregister, Unregistered};
use crosspoint_core::options::{InvokePolicy, MatchPolicy};
use crosspoint_core::value::Value;

use super::Oracle;
use super::session::{Asked, REGISTER_REFUSALS, Registration};
use crate::broken::{Check, ensure, found};
use crate::uris::{Key, is_invalid, is_reserved};

/// A key that somebody registered at some time.
#[derive(Default)]
pub(super) struct Procedure {
    /// The sessions that serve it, by their places.
    pub(super) callees: BTreeMap<usize, (RegistrationId, InvokePolicy)>,
    /// Whether somebody served it when all was quiet last.
    was_held: bool,
    /// REGISTERs since then, and whether a callee has left.
    asked: u32,
    has_lost: bool,
    /// REGISTERs by force, ever and those that are not yet answered.
    forced: u64,
    forcing: u32,
}

/// A registration that should be able to serve a call for as long as it [stands](Oracle::stands).
pub(super) struct Candidate {
    pub(super) key: Key,
    pub(super) callee: usize,
    registration: RegistrationId,
    pub(super) granted: u64,
    forced: u64,
}

impl Procedure {
    /// Whether nobody has come or gone since all was quiet, so that all shards know the same of it.
    pub(super) fn is_settled(&self) -> bool {
        self.asked == 0 && self.keeps_all()
    }

    /// Whether no callee has left since all was quiet.
    pub(super) fn keeps_all(&self) -> bool {
        !self.has_lost
    }

    /// All is quiet.
    pub(super) fn settle(&mut self) {
        self.was_held = !self.callees.is_empty();
        self.asked = 0;
        self.has_lost = false;
        self.forcing = 0;
    }
}

impl Oracle {
    pub(super) fn register(&mut self, session: usize, register: &Register) {
        let options = &register.options;
        let policy = options.match_policy.unwrap_or_default();
        let state = &self.sessions[session];
        let key = Key::new(state.realm, policy, &register.procedure);
        let held = state.registrations.len() + state.waiting(RequestKind::Register);
        let refusal = if is_invalid(policy, &register.procedure) || is_reserved(&register.procedure) {
            Some(uri::INVALID_URI)
        } else if options.disclose_caller == Some(true) && !self.allows_disclosure() {
            Some(uri::DISCLOSE_ME_DISALLOWED)
        } else if held >= self.config.limits.registrations {
            Some(uri::LIMIT_EXCEEDED)
        } else {
            None
        };
        if refusal.is_none() {
            let procedure = self.procedures.entry(key.clone()).or_default();
            procedure.asked += 1;
            if options.force_reregister {
                procedure.forced += 1;
                procedure.forcing += 1;
            }
        }
        let what = Asked::Register {
            key,
            invoke: options.invoke.unwrap_or_default(),
            force: options.force_reregister,
            given_up: Vec::new(),
        };
        self.asked(session, register.request, what, refusal);
        self.this_step.registering = Some(session);
    }

    pub(super) fn registered(&mut self, session: usize, registered: &Registered) -> Check {
        let granted = self.granted(session, (RequestKind::Register, registered.request))?;
        let (asked, id) = (granted.asked, registered.registration);
        let Asked::Register {
            key,
            invoke,
            force,
            given_up,
        } = granted.what
        else {
            return Ok(());
        };
        self.tally.add("registrations");
        let procedure = self.procedures.entry(key.clone()).or_default();
        if force {
            procedure.forcing = procedure.forcing.saturating_sub(1);
        }
        if given_up.contains(&id) {
            self.tally.add("registrations given up before they were granted");
            return Ok(());
        }
        let (held, _) = *procedure.callees.entry(session).or_insert((id, invoke));
        let state = &mut self.sessions[session];
        let registration = state.registrations.entry(id).or_insert_with(|| Registration {
            key: key.clone(),
            asked,
            granted: self.step,
        });
        ensure!(
            registration.key == key && held == id,
            "keys that differ have ids that differ, and a session serves a key once",
            "session {} gets {id} for {key:?}, which it serves as {held}, and has {:?} under {id}",
            state.id,
            registration.key
        );
        self.changed.insert(key);
        Ok(())
    }

    /// The owner of a key may refuse it only where somebody is or was in the way.
    pub(super) fn register_refused(&mut self, key: Key, error: &str) -> Check {
        let procedure = self.procedures.entry(key.clone()).or_default();
        ensure!(
            REGISTER_REFUSALS.contains(&error) && (procedure.was_held || procedure.asked > 1),
            "REGISTER is refused only where another callee is in the way",
            "{key:?} is refused with {error}"
        );
        self.tally.add("registrations refused");
        Ok(())
    }

    pub(super) fn unregister(&mut self, session: usize, unregister: &Unregister) {
        let id = unregister.registration;
        let state = &mut self.sessions[session];
        let held = state.registrations.remove(&id);
        let refusal = held.is_none().then_some(uri::NO_SUCH_REGISTRATION);
        if let Some(registration) = held {
            for request in state.requests.values_mut() {
                if let Asked::Register { key, given_up, .. } = &mut request.what
                    && *key == registration.key
                {
                    given_up.push(id);
                }
            }
            self.no_longer_registered(session, &registration.key);
        }
        self.asked(session, unregister.request, Asked::Unregister, refusal);
    }

    pub(super) fn no_longer_registered(&mut self, session: usize, key: &Key) {
        if let Some(procedure) = self.procedures.get_mut(key) {
            procedure.callees.remove(&session);
            procedure.has_lost = true;
        }
    }

    pub(super) fn unregistered(&mut self, session: usize, unregistered: &Unregistered) -> Check {
        if unregistered.request.0 == 0 {
            return self.revoked(session, unregistered);
        }
        self.granted(session, (RequestKind::Unregister, unregistered.request))?;
        Ok(())
    }

    /// Another session took over.
    fn revoked(&mut self, session: usize, unregistered: &Unregistered) -> Check {
        let details = unregistered.details.as_ref();
        let id = details
            .and_then(|details| details.get("registration"))
            .and_then(Value::as_u64)
            .map(RegistrationId);
        let state = &mut self.sessions[session];
        let registration = found!(
            id.and_then(|id| state.registrations.remove(&id)),
            "a registration is revoked only from who has it",
            "session {} gets {unregistered:?}",
            state.id
        );
        let forced = self
            .procedures
            .get(&registration.key)
            .map_or(0, |held| held.forced);
        ensure!(
            forced > 0,
            "a registration is revoked only by force",
            "session {} loses {:?}",
            self.sessions[session].id,
            registration.key
        );
        self.no_longer_registered(session, &registration.key);
        self.tally.add("registrations revoked");
        Ok(())
    }

    /// After each step: callees of a key have one id and one policy, that of `single` is alone, and no other
    /// key has the id.
    pub(super) fn check_procedures(&mut self) -> Check {
        while let Some(key) = self.changed.pop_first() {
            let callees = &self.procedures[&key].callees;
            let Some(first) = callees.values().next() else {
                continue;
            };
            ensure!(
                callees.values().all(|callee| callee == first),
                "all callees of a procedure have the same registration id and policy",
                "{key:?}: {callees:?}"
            );
            ensure!(
                first.1 != InvokePolicy::Single || callees.len() == 1,
                "a procedure that is not shared has one callee",
                "{key:?}: {callees:?}"
            );
            let clash = self.procedures.iter().find(|(other, procedure)| {
                **other != key
                    && other.realm == key.realm
                    && procedure.callees.values().any(|(id, _)| *id == first.0)
            });
            if let Some((other, _)) = clash {
                ensure!(
                    false,
                    "keys that differ have ids that differ",
                    "{other:?} and {key:?} both have {}",
                    first.0
                );
            }
        }
        Ok(())
    }

    /// The registrations that can serve a call made now.
    pub(super) fn candidates(&self, realm: usize, procedure: &str) -> Vec<Candidate> {
        let fits = |key: &Key| key.realm == realm && key.matches(procedure);
        let serving = self
            .procedures
            .iter()
            // A registration that is being taken over may end at any time.
            .filter(|(key, served)| served.forcing == 0 && fits(key));
        let mut candidates = Vec::new();
        for (key, served) in serving {
            for (callee, (registration, _)) in &served.callees {
                candidates.push(Candidate {
                    key: key.clone(),
                    callee: *callee,
                    registration: *registration,
                    granted: self.sessions[*callee].registrations[registration].granted,
                    forced: served.forced,
                });
            }
        }
        candidates
    }

    /// Whether a candidate could serve its call all the time until now.
    pub(super) fn stands(&self, candidate: &Candidate) -> bool {
        let held = self.sessions[candidate.callee]
            .registrations
            .get(&candidate.registration);
        held.is_some_and(|held| held.granted == candidate.granted && held.key == candidate.key)
            && self.procedures[&candidate.key].forced == candidate.forced
    }
}

/// Whether a procedure is one that can be called.
pub(super) fn is_invalid_procedure(procedure: &str) -> bool {
    is_invalid(MatchPolicy::Exact, procedure)
}
