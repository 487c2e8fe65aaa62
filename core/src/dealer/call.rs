//! CALL: from the caller to the callee's shard, and the answer back to the caller.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use smallvec::SmallVec;

use super::calls::{CallState, Tried};
use super::{Callee, Procedure};
use crate::authorize::Action;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{CallKey, ConnKey, RealmId, RequestId};
use crate::message::{Call, CallResult, Error, Message, RequestKind};
use crate::options::{CallOptions, InvokePolicy, MatchPolicy, ResultDetails};
use crate::peer::{Disclosed, Invoke, Outcome, PeerMessage, Reply};
use crate::router::{Refusal, Router, invalid_uri, passthru};
use crate::session::Session;
use crate::timers::Timer;

impl Router {
    pub(crate) fn call(&mut self, conn: ConnKey, call: Call, fx: &mut Effects) {
        let Some(session) = self.conns.session(conn) else {
            return;
        };
        if call.options.progress {
            return self.violate(
                conn,
                "CALL.Options.progress: this router does not offer progressive calls",
                fx,
            );
        }
        if session.calls.contains_key(&call.request) {
            return self.violate(conn, "CALL.Request is that of a call in progress", fx);
        }
        let request = call.request;
        if let Err(refusal) = self.try_call(conn, call, fx) {
            self.refuse(conn, (RequestKind::Call, request), refusal, fx);
        }
    }

    fn try_call(&mut self, conn: ConnKey, call: Call, fx: &mut Effects) -> Result<(), Refusal> {
        let Some(session) = self.conns.session(conn) else {
            return Ok(());
        };
        let realm = session.realm;
        let disclose = self.admit_call(session, &call)?;
        let choice = self
            .choose_callee(realm, &call.procedure, &[])
            .ok_or_else(no_such_procedure)?;
        let CallOptions {
            timeout,
            receive_progress,
            rest,
            ..
        } = call.options;
        let state = CallState {
            caller: conn,
            request: call.request,
            callee: choice.callee,
            disclose,
            want_progress: receive_progress,
            timeout: timeout.filter(|millis| *millis > 0),
            deadline: None,
            killed: false,
            tried: SmallVec::new(),
        };
        let key = self.calls.insert(self.me, state);
        if let Some(session) = self.conns.session_mut(conn) {
            session.calls.insert(call.request, key, &self.hasher);
        }
        let invoke = Invoke {
            call: key,
            callee: choice.callee.session,
            realm,
            registration: choice.procedure.registration,
            procedure: call.procedure,
            incarnation: choice.procedure.incarnation,
            name_procedure: false,
            caller: None,
            receive_progress: false,
            timeout: None,
            rest: passthru(rest),
            payload: call.payload,
        };
        self.send_call(key, invoke, &choice, fx);
        Ok(())
    }

    /// Whether a session may make this call, and if so whether the caller is disclosed.
    fn admit_call(&self, session: &Session, call: &Call) -> Result<bool, Refusal> {
        if !self.realms[session.realm.0 as usize]
            .uris
            .allow(MatchPolicy::Exact, &call.procedure)
        {
            return Err(invalid_uri("the procedure is no valid URI"));
        }
        let config = self.realm_config(session.realm);
        let decision = config.roles[session.role].decide(Action::Call, &call.procedure, MatchPolicy::Exact);
        if !decision.allowed {
            return Err(Refusal::new(uri::NOT_AUTHORIZED, "the role may not call this"));
        }
        let asks_to_be_disclosed = call.options.disclose_me == Some(true);
        if asks_to_be_disclosed && !config.allow_disclose {
            return Err(Refusal::new(
                uri::DISCLOSE_ME_DISALLOWED,
                "this realm discloses nobody",
            ));
        }
        let limit = self.config.limits.pending_calls;
        if session.calls.len() >= limit {
            let message = format!("a session may wait for {limit} calls");
            return Err(Refusal::new(uri::LIMIT_EXCEEDED, message));
        }
        Ok(asks_to_be_disclosed || decision.disclose)
    }

    /// The callee of a call: the best registration that has one which was not tried yet.
    fn choose_callee(&mut self, realm: RealmId, procedure: &str, tried: &[Tried]) -> Option<Choice> {
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

    /// Fills in what depends on the callee, starts the clock and posts the call.
    fn send_call(&mut self, key: CallKey, mut invoke: Invoke, choice: &Choice, fx: &mut Effects) {
        let Choice { callee, procedure } = choice;
        let now = self.now;
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let progress = callee.features.progressive_call_results && callee.features.call_canceling;
        invoke.callee = callee.session;
        invoke.registration = procedure.registration;
        invoke.incarnation = procedure.incarnation;
        invoke.name_procedure = procedure.key.policy != MatchPolicy::Exact;
        invoke.receive_progress = call.want_progress && progress;
        let callee_keeps_time = callee.forward_timeout && callee.features.call_timeout;
        invoke.timeout = call.timeout.filter(|_| callee_keeps_time);
        call.callee = *callee;
        if callee_keeps_time {
            // Also where a callee that is gone did not, and the time ran here.
            call.deadline = None;
        } else if let (Some(millis), None) = (call.timeout, call.deadline) {
            let deadline = now.after(Duration::from_millis(millis));
            call.deadline = Some(deadline);
            self.timers.set(deadline, Timer::Call(key));
        }
        let (caller, disclose) = (call.caller, call.disclose || callee.disclose_caller);
        invoke.caller = self
            .conns
            .session(caller)
            .filter(|_| disclose)
            .map(|session| Disclosed {
                session: session.id,
                identity: Arc::clone(&session.identity),
            });
        self.post(callee.session.shard, PeerMessage::Invoke(Box::new(invoke)), fx);
    }

    /// The callee was gone before it saw the call: another one may take it.
    pub(crate) fn bounced(&mut self, invoke: Invoke, fx: &mut Effects) {
        let Some(call) = self.calls.get_mut(invoke.call) else {
            return;
        };
        if call.killed {
            return self.fail_call(invoke.call, uri::CANCELED, fx);
        }
        call.tried.push((invoke.registration, invoke.callee));
        let tried = call.tried.clone();
        match self.choose_callee(invoke.realm, &invoke.procedure, &tried) {
            Some(choice) => self.send_call(invoke.call, invoke, &choice, fx),
            None => self.fail_call(invoke.call, uri::NO_SUCH_PROCEDURE, fx),
        }
    }

    /// A callee answered; the call may have ended otherwise in the meantime.
    pub(crate) fn replied(&mut self, reply: Reply, fx: &mut Effects) {
        let Some((caller, request)) = self.calls.get(reply.call).map(|call| (call.caller, call.request))
        else {
            return;
        };
        let message = match reply.outcome {
            Outcome::Progress => {
                self.extend_timeout(reply.call);
                let details = ResultDetails {
                    progress: true,
                    rest: reply.rest,
                };
                Message::Result(CallResult {
                    request,
                    details,
                    payload: reply.payload,
                })
            }
            Outcome::Result => {
                self.finish_call(reply.call);
                let details = ResultDetails {
                    progress: false,
                    rest: reply.rest,
                };
                Message::Result(CallResult {
                    request,
                    details,
                    payload: reply.payload,
                })
            }
            Outcome::Error(error) => {
                self.finish_call(reply.call);
                let (kind, details, payload) = (RequestKind::Call, reply.rest, reply.payload);
                Message::Error(Error {
                    kind,
                    request,
                    details,
                    error,
                    payload,
                })
            }
        };
        fx.send(caller, message);
    }

    /// With progressive results the time limit holds between one and the next.
    fn extend_timeout(&mut self, key: CallKey) {
        let now = self.now;
        if let Some(call) = self.calls.get_mut(key)
            && let (Some(millis), Some(_)) = (call.timeout, call.deadline)
        {
            // The timer that is set will find the later deadline and set itself anew.
            call.deadline = Some(now.after(Duration::from_millis(millis)));
        }
    }

    /// Forgets a call; its caller gets its answer from whoever calls this.
    pub(super) fn finish_call(&mut self, key: CallKey) -> Option<(ConnKey, RequestId, Callee)> {
        let call = self.calls.remove(key)?;
        if let Some(session) = self.conns.session_mut(call.caller) {
            session.calls.remove(&call.request);
        }
        Some((call.caller, call.request, call.callee))
    }

    /// Ends a call by an error of the router's own.
    pub(super) fn fail_call(&mut self, key: CallKey, error: &'static str, fx: &mut Effects) {
        if let Some((caller, request, _)) = self.finish_call(key) {
            self.refuse(caller, (RequestKind::Call, request), Refusal::new(error, ""), fx);
        }
    }
}

/// A callee and the registration by which it was found.
struct Choice {
    callee: Callee,
    procedure: Arc<Procedure>,
}

fn no_such_procedure() -> Refusal {
    Refusal::new(uri::NO_SUCH_PROCEDURE, "")
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
