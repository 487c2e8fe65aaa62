//! Which callee gets a call.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::calls::Tried;
use super::{Callee, Procedure};
use crate::ids::RealmId;
use crate::options::InvokePolicy;
use crate::router::Router;

/// A callee and the registration by which it was found.
pub(super) struct Choice {
    pub(super) callee: Callee,
    pub(super) procedure: Arc<Procedure>,
}

impl Router {
    /// The callee of a call: the best registration that has one which was not tried yet.
    pub(super) fn choose_callee(
        &mut self,
        realm: RealmId,
        procedure: &str,
        tried: &[Tried],
    ) -> Option<Choice> {
        let random = self.rng.usize(..);
        let procedures = &self.realms[realm.0 as usize].dealer.procedures;
        let found = procedures.visit(procedure, |found| match pick(found.value, random, tried) {
            Some(callee) => ControlFlow::Break(Choice {
                callee,
                procedure: Arc::clone(found.value),
            }),
            None => ControlFlow::Continue(()),
        });
        found.break_value()
    }
}

/// One callee of `procedure` by its policy; never one of `tried`.
fn pick(procedure: &Procedure, random: usize, tried: &[Tried]) -> Option<Callee> {
    let callees = &procedure.callees;
    let start = match procedure.invoke {
        InvokePolicy::Single | InvokePolicy::First => 0,
        InvokePolicy::Last => callees.len().checked_sub(1)?,
        InvokePolicy::RoundRobin => procedure.turn.fetch_add(1, Ordering::Relaxed) % callees.len().max(1),
        InvokePolicy::Random => random % callees.len().max(1),
    };
    let step = |distance: usize| match procedure.invoke {
        // The next older one.
        InvokePolicy::Last => start.checked_sub(distance),
        _ => Some((start + distance) % callees.len()),
    };
    let order = (0..callees.len()).filter_map(step).map(|index| callees[index]);
    order
        .into_iter()
        .find(|callee| !tried.contains(&(procedure.registration, callee.session)))
}
