//! Which callee gets a call.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::calls::AllTried;
use super::load::Load;
use super::{Callee, Incarnation, Procedure};
use crate::ids::{ConnKey, RealmId, RegistrationId, SessionRef};
use crate::options::InvokePolicy;
use crate::router::Router;

/// For so many registrations a caller's callee is remembered; at the next, all are forgotten.
const STICKY_MAX: usize = 10_000;

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
    pub(super) tried: Option<&'a AllTried>,
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
        match pick(procedure, (self.rng.usize(..), None), None) {
            Picked::Callee(place) => Some(place),
            Picked::Busy | Picked::Nobody => None,
        }
    }

    /// A caller stays with the callee that it called first.
    pub(super) fn stick(&mut self, caller: ConnKey, registration: RegistrationId, callee: SessionRef) {
        if let Some(session) = self.conns.session_mut(caller) {
            if session.sticky.len() >= STICKY_MAX && !session.sticky.contains_key(&registration) {
                session.sticky = Default::default();
            }
            session.sticky.insert(registration, callee, &self.hasher);
        }
    }
}

/// One callee of `procedure` by its policy; never one of `tried`. `before` is whom the caller called before.
fn pick(
    procedure: &Procedure,
    (random, before): (usize, Option<SessionRef>),
    tried: Option<&AllTried>,
) -> Picked {
    let callees = &procedure.callees;
    let count = callees.len();
    // A call that has to go on comes from there.
    let before = before
        .filter(|_| tried.is_none())
        .and_then(|before| place_of(callees, before));
    let first = match procedure.invoke {
        InvokePolicy::Single | InvokePolicy::First => 0,
        InvokePolicy::Last => count.saturating_sub(1),
        InvokePolicy::Random => random % count.max(1),
        InvokePolicy::RoundRobin | InvokePolicy::Load => next_turn(procedure),
        InvokePolicy::Sticky => before.unwrap_or_else(|| next_turn(procedure)),
    };
    let is_counted = procedure.invoke == InvokePolicy::Load;
    let is_free = |callee: &Callee| callee.load.is_none();
    if tried.is_none() && !is_counted && callees.get(first).is_some_and(is_free) {
        return Picked::Callee(first);
    }
    let mut search = Search {
        procedure,
        tried,
        is_busy: false,
    };
    let picked = match procedure.invoke {
        InvokePolicy::Load => return search.by_load(first),
        InvokePolicy::Single | InvokePolicy::First => search.go_on(first, 1),
        InvokePolicy::Last => search.go_on(first, count.saturating_sub(1)),
        InvokePolicy::RoundRobin => search.round(first, 1),
        InvokePolicy::Random => search.at_random(first, random),
        InvokePolicy::Sticky => search
            .take(first)
            .or_else(|| search.round(before.map_or(first, |_| next_turn(procedure)), 1)),
    };
    match picked {
        Some(place) => Picked::Callee(place),
        None if search.is_busy => Picked::Busy,
        None => Picked::Nobody,
    }
}

/// A search for a callee that has room for a call and did not have it before.
struct Search<'a> {
    procedure: &'a Procedure,
    tried: Option<&'a AllTried>,
    /// Whether there is a callee that has no room.
    is_busy: bool,
}

impl Search<'_> {
    fn count(&self) -> usize {
        self.procedure.callees.len()
    }

    fn was_tried(&self, place: usize) -> bool {
        self.tried
            .is_some_and(|tried| tried.contains(self.procedure, place))
    }

    fn load(&self, place: usize) -> Option<&Load> {
        self.procedure.callees[place].load.as_deref()
    }

    /// Takes a place with the callee there, if it is one that may have the call.
    fn take(&mut self, place: usize) -> Option<usize> {
        if place >= self.count() || self.was_tried(place) {
            return None;
        }
        let has_room = match self.load(place) {
            None => true,
            Some(load) if load.is_gone() => false,
            Some(load) => {
                let has_room = load.enter();
                self.is_busy |= !has_room;
                has_room
            }
        };
        has_room.then_some(place)
    }

    /// The first that can be had from `start` on, in steps of `step`.
    fn round(&mut self, start: usize, step: usize) -> Option<usize> {
        let count = self.count();
        (0..count).find_map(|steps| self.take((start + steps * step) % count))
    }

    /// Likewise, but behind the one that had the call last, so that of many none is looked at again and again.
    fn go_on(&mut self, start: usize, step: usize) -> Option<usize> {
        let last = self.tried.map(|tried| tried.last_place);
        let start = last.filter(|last| self.was_tried(*last)).unwrap_or(start);
        self.round(start, step)
    }

    /// `first`, or else any: each with the same chance.
    fn at_random(&mut self, first: usize, seed: usize) -> Option<usize> {
        let count = self.count();
        if let Some(place) = self.take(first) {
            return Some(place);
        }
        let mut rng = fastrand::Rng::with_seed(seed as u64);
        // So many draws miss all that are left with a chance of 1 in count², so that a call which goes to all of them
        // seldom has to look at each.
        let left = count
            .saturating_sub(self.tried.map_or(0, |tried| tried.callees.len()))
            .max(1);
        let draws = (count / left + 1) * 2 * (count.max(1).ilog2() as usize + 1);
        for _ in 0..draws.min(count) {
            if let Some(place) = self.take(rng.usize(..count)) {
                return Some(place);
            }
        }
        let mut places: Vec<usize> = (0..count).collect();
        rng.shuffle(&mut places);
        places.into_iter().find_map(|place| self.take(place))
    }

    /// The one with the fewest open calls, of several the first from `start` on.
    fn by_load(&self, start: usize) -> Picked {
        let count = self.count();
        loop {
            let places = (0..count)
                .map(|distance| (start + distance) % count)
                .filter(|place| !self.was_tried(*place) && !self.load(*place).is_some_and(Load::is_gone));
            let mut is_nobody = true;
            let least = places
                .inspect(|_| is_nobody = false)
                .filter_map(|place| Some((place, self.load(place)?)))
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
