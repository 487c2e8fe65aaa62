//! Which callee gets a call.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::calls::Tried;
use super::load::Load;
use super::{Callee, Incarnation, Procedure};
use crate::ids::{ConnKey, RealmId, RegistrationId, SessionRef};
use crate::options::InvokePolicy;
use crate::router::Router;

/// A callee, in whose load the call has a place, and the registration by which it was found.
pub(super) struct Choice {
    pub(super) callee: Callee,
    pub(super) procedure: Arc<Procedure>,
}

/// What there is for a call.
pub(super) enum Found {
    Callee(Choice),
    /// All callees of the best registration work on as many calls as they want.
    Busy(Arc<Procedure>),
    Nobody,
}

/// What a registration has for a call.
enum Picked {
    Callee(Callee),
    Busy,
    Nobody,
}

/// What is wanted of a callee.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) realm: RealmId,
    pub(super) procedure: &'a str,
    pub(super) caller: ConnKey,
    /// None of these.
    pub(super) tried: &'a [Tried],
    /// Set where only the callees of one registration count.
    pub(super) only: Option<(RegistrationId, Incarnation)>,
}

impl Router {
    /// The callee of a call: the best registration that has one which was not tried yet decides.
    pub(super) fn choose_callee(&mut self, wanted: Wanted<'_>) -> Found {
        let random = self.rng.usize(..);
        let session = self.conns.session(wanted.caller);
        let before = |procedure: &Procedure| match procedure.invoke {
            InvokePolicy::Sticky => session?.sticky.get(&procedure.registration).copied(),
            _ => None,
        };
        let procedures = &self.realms[wanted.realm.0 as usize].dealer.procedures;
        let found = procedures.visit(wanted.procedure, |found| {
            let procedure = found.value;
            let this = (procedure.registration, procedure.incarnation);
            if wanted.only.is_some_and(|only| only != this) {
                return ControlFlow::Continue(());
            }
            match pick(procedure, (random, before(procedure)), wanted.tried) {
                Picked::Callee(callee) => ControlFlow::Break(Found::Callee(Choice {
                    callee,
                    procedure: Arc::clone(procedure),
                })),
                Picked::Busy => ControlFlow::Break(Found::Busy(Arc::clone(procedure))),
                Picked::Nobody => ControlFlow::Continue(()),
            }
        });
        found.break_value().unwrap_or(Found::Nobody)
    }

    /// Some callee of a registration that had none a moment ago.
    pub(super) fn choose_again(&mut self, procedure: &Procedure, tried: &[Tried]) -> Option<Callee> {
        match pick(procedure, (self.rng.usize(..), None), tried) {
            Picked::Callee(callee) => Some(callee),
            Picked::Busy | Picked::Nobody => None,
        }
    }

    /// A caller stays with the callee that it called first.
    pub(super) fn stick(&mut self, caller: ConnKey, choice: &Choice) {
        let limit = self.config.limits.registrations;
        if choice.procedure.invoke == InvokePolicy::Sticky
            && let Some(session) = self.conns.session_mut(caller)
        {
            if session.sticky.len() >= limit {
                session.sticky = Default::default();
            }
            let (registration, callee) = (choice.procedure.registration, choice.callee.session);
            session.sticky.insert(registration, callee, &self.hasher);
        }
    }
}

/// One callee of `procedure` by its policy; never one of `tried`. `before` is whom the caller called before.
fn pick(procedure: &Procedure, (random, before): (usize, Option<SessionRef>), tried: &[Tried]) -> Picked {
    let callees = &procedure.callees;
    let count = callees.len();
    let start = match procedure.invoke {
        InvokePolicy::Single | InvokePolicy::First => 0,
        InvokePolicy::Last => count.saturating_sub(1),
        InvokePolicy::Random => random % count.max(1),
        InvokePolicy::RoundRobin | InvokePolicy::Load => next_turn(procedure),
        InvokePolicy::Sticky => match before.and_then(|before| place_of(callees, before)) {
            Some(place) => place,
            None => next_turn(procedure),
        },
    };
    let step = |distance: usize| match procedure.invoke {
        // The next older one.
        InvokePolicy::Last => start.checked_sub(distance),
        _ => Some((start + distance) % count),
    };
    let mut candidates = (0..count)
        .filter_map(step)
        .map(|index| &callees[index])
        .filter(|callee| !tried.contains(&(procedure.registration, callee.session)));
    if procedure.invoke == InvokePolicy::Load {
        return pick_by_load(candidates.collect());
    }
    let mut picked = Picked::Nobody;
    let free = candidates.find(|callee| match &callee.load {
        None => true,
        Some(load) if load.is_gone() => false,
        Some(load) => {
            picked = Picked::Busy;
            load.enter()
        }
    });
    free.map_or(picked, |callee| Picked::Callee(callee.clone()))
}

fn next_turn(procedure: &Procedure) -> usize {
    procedure.turn.fetch_add(1, Ordering::Relaxed) % procedure.callees.len().max(1)
}

fn place_of(callees: &[Callee], session: SessionRef) -> Option<usize> {
    callees.iter().position(|callee| callee.session == session)
}

/// The one with the fewest open calls, of several the first.
fn pick_by_load(mut candidates: Vec<&Callee>) -> Picked {
    candidates.retain(|callee| !callee.load.as_deref().is_some_and(Load::is_gone));
    let is_nobody = candidates.is_empty();
    loop {
        let least = candidates
            .iter()
            .filter_map(|callee| Some((*callee, callee.load.as_deref()?)))
            .filter(|(_, load)| !load.is_full())
            .min_by_key(|(_, load)| load.open());
        match least {
            // Else another shard was faster.
            Some((callee, load)) if load.enter() => return Picked::Callee(callee.clone()),
            Some(_) => {}
            None if is_nobody => return Picked::Nobody,
            None => return Picked::Busy,
        }
    }
}
