//! Calls made while all else is quiet: then the model knows exactly who must get them.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crosspoint_core::options::InvokePolicy;

use super::Oracle;
use crate::broken::{Check, ensure};
use crate::uris::Key;

/// A series of calls to one procedure, with nothing else going on.
pub(crate) struct Probe {
    realm: usize,
    procedure: &'static str,
    /// Who could be called when one was last. A call may end its caller's session, which may be one of them.
    callees: BTreeSet<usize>,
    /// Who was called so far, of the same callees.
    called: Vec<usize>,
}

impl Oracle {
    pub(crate) fn probe(&self, realm: usize, procedure: &'static str) -> Probe {
        Probe {
            realm,
            procedure,
            callees: BTreeSet::new(),
            called: Vec::new(),
        }
    }

    /// Whether a session may make a call that is not refused, in which realm.
    pub(crate) fn can_call(&self, connection: usize) -> Option<usize> {
        let session = &self.sessions[self.connections[connection].session()?];
        (session.calls.len() < self.config.limits.pending_calls).then_some(session.realm)
    }

    /// Call `token` of the probe is over, or as far as it comes without its callee.
    pub(crate) fn probed(&mut self, probe: &mut Probe, token: u64) -> Check {
        let Some(call) = self.calls.get(&token) else {
            return Ok(());
        };
        let callee = call.invoked.as_ref().map(|invoked| invoked.callee);
        let Some((key, callees)) = self.best(probe) else {
            ensure!(
                callee.is_none() && !call.is_open,
                "a call to what nobody serves fails",
                "{} is called on session {callee:?}",
                probe.procedure
            );
            return Ok(());
        };
        let is_limited = |callee: &usize| self.sessions[*callee].persona.concurrency.is_some();
        if callee.is_none() && callees.iter().all(is_limited) {
            // Whether it may wait, or fail, is seen to elsewhere.
            return Ok(());
        }
        let has_limits = callees.iter().any(is_limited);
        let Some(callee) = callee.filter(|callee| callees.contains(callee)) else {
            ensure!(
                false,
                "a call goes to a callee of the most specific registration",
                "{} goes to {callee:?} instead of {callees:?} for {key:?}",
                probe.procedure
            );
            return Ok(());
        };
        if probe.callees != callees {
            probe.called.clear();
            probe.callees.clone_from(&callees);
        }
        probe.called.push(callee);
        if !has_limits {
            self.check_policy(probe, key, &callees)?;
        }
        self.tally.add("probes");
        Ok(())
    }

    /// The key that a call finds, and its callees.
    fn best(&self, probe: &Probe) -> Option<(&Key, BTreeSet<usize>)> {
        let (key, procedure) = self
            .procedures
            .iter()
            .filter(|(key, procedure)| {
                !procedure.callees.is_empty() && key.realm == probe.realm && key.matches(probe.procedure)
            })
            .max_by(|(a, _), (b, _)| a.precedence(b))?;
        Some((key, procedure.callees.keys().copied().collect()))
    }

    fn check_policy(&self, probe: &Probe, key: &Key, callees: &BTreeSet<usize>) -> Check {
        let Some(policy) = self.procedures[key]
            .callees
            .values()
            .next()
            .map(|(_, policy)| *policy)
        else {
            return Ok(());
        };
        let called = &probe.called;
        let Some(last) = called.last() else {
            return Ok(());
        };
        let fits = match policy {
            InvokePolicy::Single => callees.len() == 1,
            // What is open elsewhere decides, or who calls.
            InvokePolicy::Random | InvokePolicy::Load | InvokePolicy::Sticky => true,
            // Any round of as many calls as there are callees reaches each.
            InvokePolicy::RoundRobin => {
                let round = called.iter().rev().take(callees.len()).collect::<BTreeSet<_>>();
                round.len() == called.len().min(callees.len())
            }
            InvokePolicy::First | InvokePolicy::Last => {
                called[0] == *last
                    && callees
                        .iter()
                        .all(|other| !self.is_before(policy, key, (*other, *last)))
            }
        };
        ensure!(
            fits,
            "the invocation policy chooses the callee",
            "{key:?} with {policy:?} and callees {callees:?} calls {called:?}"
        );
        Ok(())
    }

    /// Whether by `policy` the call would surely go to `other` rather than to `chosen`: one had REGISTERED
    /// before the other sent REGISTER. Of registrations at the same time either may come first.
    fn is_before(&self, policy: InvokePolicy, key: &Key, (other, chosen): (usize, usize)) -> bool {
        let times = |callee: usize| {
            let held = self.sessions[callee]
                .registrations
                .values()
                .find(|held| held.key == *key);
            held.map(|held| (held.asked, held.granted))
        };
        let (Some(other), Some(chosen)) = (times(other), times(chosen)) else {
            return false;
        };
        let order = match policy {
            InvokePolicy::First => other.1.cmp(&chosen.0),
            _ => chosen.1.cmp(&other.0),
        };
        order == Ordering::Less
    }
}
