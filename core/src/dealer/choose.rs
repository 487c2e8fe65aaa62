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

/// What there is for a call.
pub(super) enum Found {
    /// A registration's callee by its place, in whose load the call now has a place.
    Callee(Arc<Procedure>, usize),
    /// All callees of the best registration work on as many calls as they want, or other calls wait for them.
    Busy(Arc<Procedure>),
    Nobody,
}

/// What a registration has for a call.
enum Picked {
    /// A callee by its place.
    Callee(usize),
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
    /// Set where only the callees of one registration count: the call had one of them, before all that wait.
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
            let queue = procedure.queue.as_ref().filter(|_| wanted.only.is_none());
            let picked = match queue {
                Some(queue) if queue.is_used() => behind_others(procedure),
                _ => pick(procedure, (random, before(procedure)), wanted.tried),
            };
            match picked {
                Picked::Callee(place) => ControlFlow::Break(Found::Callee(Arc::clone(procedure), place)),
                Picked::Busy => ControlFlow::Break(Found::Busy(Arc::clone(procedure))),
                Picked::Nobody => ControlFlow::Continue(()),
            }
        });
        found.break_value().unwrap_or(Found::Nobody)
    }

    /// Some callee of a registration that had none a moment ago.
    pub(super) fn choose_again(&mut self, procedure: &Procedure) -> Option<usize> {
        match pick(procedure, (self.rng.usize(..), None), &[]) {
            Picked::Callee(place) => Some(place),
            Picked::Busy | Picked::Nobody => None,
        }
    }

    /// A caller stays with the callee that it called first.
    pub(super) fn stick(&mut self, caller: ConnKey, registration: RegistrationId, callee: SessionRef) {
        let limit = self.config.limits.registrations;
        if let Some(session) = self.conns.session_mut(caller) {
            if session.sticky.len() >= limit {
                session.sticky = Default::default();
            }
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
    let is_counted = procedure.invoke == InvokePolicy::Load;
    if tried.is_empty() && !is_counted && callees.get(start).is_some_and(|callee| callee.load.is_none()) {
        return Picked::Callee(start);
    }
    let step = |distance: usize| match procedure.invoke {
        // The next older one.
        InvokePolicy::Last => start.checked_sub(distance),
        _ => Some((start + distance) % count),
    };
    let is_new = |place: &usize| !tried.contains(&(procedure.registration, callees[*place].session));
    let mut places = (0..count).filter_map(step).filter(is_new);
    if is_counted {
        return pick_by_load(callees, places.collect());
    }
    let mut picked = Picked::Nobody;
    let free = places.find(|place| match &callees[*place].load {
        None => true,
        Some(load) if load.is_gone() => false,
        Some(load) => {
            picked = Picked::Busy;
            load.enter()
        }
    });
    free.map_or(picked, Picked::Callee)
}

/// What there is where calls wait: no more than a place behind them.
fn behind_others(procedure: &Procedure) -> Picked {
    let mut loads = procedure.callees.iter().map(|callee| callee.load.as_deref());
    if loads.all(|load| load.is_some_and(Load::is_gone)) {
        Picked::Nobody
    } else {
        Picked::Busy
    }
}

fn next_turn(procedure: &Procedure) -> usize {
    procedure.turn.fetch_add(1, Ordering::Relaxed) % procedure.callees.len().max(1)
}

fn place_of(callees: &[Callee], session: SessionRef) -> Option<usize> {
    callees.iter().position(|callee| callee.session == session)
}

/// The one with the fewest open calls, of several the first.
fn pick_by_load(callees: &[Callee], mut places: Vec<usize>) -> Picked {
    let load = |place: usize| callees[place].load.as_deref();
    places.retain(|place| !load(*place).is_some_and(Load::is_gone));
    let is_nobody = places.is_empty();
    loop {
        let least = places
            .iter()
            .filter_map(|place| Some((*place, load(*place)?)))
            .filter(|(_, load)| !load.is_full())
            .min_by_key(|(_, load)| load.open());
        match least {
            // Else another shard was faster.
            Some((place, load)) if load.enter() => return Picked::Callee(place),
            Some(_) => {}
            None if is_nobody => return Picked::Nobody,
            None => return Picked::Busy,
        }
    }
}
