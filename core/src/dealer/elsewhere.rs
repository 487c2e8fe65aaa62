//! Calls that do not stay with their first callee, or do not have one yet: the callee was gone or not available
//! (specification, "Call Rerouting"), or all callees are busy.

use std::sync::Arc;

use super::calls::Waiting;
use super::choose::{Found, Wanted};
use super::load::Joined;
use super::{Callee, Procedure};
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::CallKey;
use crate::peer::{Invoke, Outcome, PeerMessage, Reply};
use crate::router::Router;

impl Router {
    /// The callee was gone before it saw the call: another one may take it.
    pub(crate) fn bounced(&mut self, invoke: Invoke, fx: &mut Effects) {
        let Some(call) = self.calls.get_mut(invoke.call) else {
            return;
        };
        if call.killed {
            // Before its callee saw it, or all of it: the parts behind the first may have been dropped.
            if invoke.part.is_first() {
                self.fail_call(invoke.call, uri::CANCELED, fx);
            }
            return;
        }
        let key = invoke.call;
        let came_back = match call.parts_mut() {
            Some(parts) => parts.came_back(invoke),
            None => Some(invoke),
        };
        let may_wait = self.count_waiting(key);
        let (Some(invoke), Some(call)) = (came_back, self.calls.get_mut(key)) else {
            if !may_wait {
                self.fail_call(key, uri::LIMIT_EXCEEDED, fx);
            }
            return;
        };
        // The owner may not know yet. Until it does, calls that wait must not be sent where this one came back from: they
        // would come back as well, and give the place to each other for ever. A new registration of the same session has
        // a load of its own.
        match call.place.as_ref().and_then(|callee| callee.load.as_ref()) {
            Some(load) => load.close(),
            None => {
                let tried = (invoke.registration, invoke.callee);
                call.rare().tried.callees.insert(tried, &self.hasher);
            }
        }
        self.try_another(invoke, fx);
    }

    /// The callee leaves the call to another one of its registration. That cannot have what this one was sent in
    /// further parts.
    pub(crate) fn unavailable(&mut self, invoke: Invoke, fx: &mut Effects) {
        let Some(call) = self.calls.get_mut(invoke.call) else {
            return;
        };
        let had_more = call.parts_mut().is_some_and(|parts| !parts.first_is_back());
        let killed = call.killed;
        let rare = call.rare();
        let (rest, payload) = rare.left_with.take().unwrap_or_default();
        if killed || had_more {
            let (call, outcome) = (invoke.call, Outcome::Error(uri::UNAVAILABLE.into()));
            let reply = Reply {
                call,
                outcome,
                rest,
                payload,
            };
            return self.replied(reply, fx);
        }
        rare.rerouted = true;
        rare.tried
            .callees
            .insert((invoke.registration, invoke.callee), &self.hasher);
        self.try_another(invoke, fx);
    }

    /// Sends a call to a callee that it was not sent to before.
    fn try_another(&mut self, invoke: Invoke, fx: &mut Effects) {
        let Some(call) = self.calls.get_mut(invoke.call) else {
            return;
        };
        if let Some(callee) = call.place.take() {
            self.leave_callee(&callee, fx);
        }
        self.find_callee(invoke, fx);
    }

    fn find_callee(&mut self, invoke: Invoke, fx: &mut Effects) {
        let key = invoke.call;
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let caller = call.caller;
        let rerouted = call.rare().rerouted;
        let mut tried = std::mem::take(&mut call.rare().tried);
        let found = self.choose_callee(Wanted {
            realm: invoke.realm,
            procedure: &invoke.procedure,
            caller,
            tried: Some(&tried),
            only: rerouted.then_some((invoke.registration, invoke.incarnation)),
        });
        if let Found::Callee(_, place) = found {
            tried.last_place = place;
        }
        if let Some(call) = self.calls.get_mut(key) {
            call.rare().tried = tried;
        }
        match found {
            Found::Callee(procedure, place) => {
                self.send_call(key, invoke, (&procedure, &procedure.callees[place]), fx);
            }
            Found::Busy(_) | Found::Nobody if rerouted => {
                self.fail_call(key, uri::NO_AVAILABLE_CALLEE, fx);
            }
            Found::Busy(procedure) => self.wait_for_callee(key, invoke, procedure, fx),
            Found::Nobody => {
                self.fail_call(key, uri::NO_SUCH_PROCEDURE, fx);
            }
        }
    }

    /// All callees are busy: the call waits for one, if it may.
    pub(super) fn wait_for_callee(
        &mut self,
        key: CallKey,
        invoke: Invoke,
        procedure: Arc<Procedure>,
        fx: &mut Effects,
    ) {
        let had_one = self.calls.get(key).is_some_and(|call| call.callee.is_some());
        let has_returned = had_one
            && (invoke.registration, invoke.incarnation) == (procedure.registration, procedure.incarnation);
        let joined = match &procedure.queue {
            Some(queue) => queue.join(key, has_returned, || self.choose_again(&procedure)),
            None => Joined::Full,
        };
        match joined {
            Joined::Waits(place) => {
                let waiting = Waiting {
                    invoke,
                    procedure,
                    place,
                };
                self.waits(key, waiting, fx);
            }
            Joined::Found(place) => {
                self.send_call(key, invoke, (&procedure, &procedure.callees[place]), fx);
            }
            Joined::Full => {
                self.fail_call(key, uri::MAX_CONCURRENCY_REACHED, fx);
            }
            // All callees are gone, by their loads, which is known here a little later.
            Joined::Closed => self.find_callee(invoke, fx),
        }
    }

    /// The time that caller and realm give a call runs while it waits.
    fn waits(&mut self, key: CallKey, waiting: Waiting, fx: &mut Effects) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        call.rare().waiting = Some(waiting);
        if !self.count_waiting(key) {
            self.fail_call(key, uri::LIMIT_EXCEEDED, fx);
            return;
        }
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        if let Some(waiting) = &mut call.rare().waiting {
            waiting.invoke = waiting.invoke.detached();
        }
        let deadline = call.end_of_given();
        self.set_deadline(key, deadline);
    }

    /// A call that waited gets a callee, or has to look for one elsewhere.
    pub(crate) fn turn(&mut self, key: CallKey, callee: Option<Box<Callee>>, fx: &mut Effects) {
        let call = self.calls.get_mut(key);
        let waiting = call.and_then(|call| call.rare.as_mut()?.waiting.take());
        self.count_waiting(key);
        match (waiting, callee) {
            (
                Some(Waiting {
                    invoke, procedure, ..
                }),
                Some(callee),
            ) => {
                self.send_call(key, invoke, (&procedure, &callee), fx);
            }
            (Some(waiting), None) => self.find_callee(waiting.invoke, fx),
            // The call has ended meanwhile: the place is the next one's.
            (None, Some(callee)) => self.leave_callee(&callee, fx),
            (None, None) => {}
        }
    }

    /// Gives the place with a callee back.
    pub(super) fn leave_callee(&mut self, callee: &Callee, fx: &mut Effects) {
        let Some(load) = &callee.load else {
            return;
        };
        if let Some(call) = load.leave() {
            let callee = Some(Box::new(callee.clone()));
            self.post(call.shard, PeerMessage::Turn { call, callee }, fx);
        }
    }
}
