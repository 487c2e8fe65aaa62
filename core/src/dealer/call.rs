//! CALL: from the caller to the callee's shard.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::calls::{CallState, Rare};
use super::choose::{Found, Wanted};
use super::parts::Parts;
use super::{Callee, Incarnation, Procedure};
use crate::authorize::Action;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{CallKey, ConnKey, RealmId, RegistrationId, SessionRef};
use crate::message::{Call, RequestKind};
use crate::meta;
use crate::options::{CallOptions, InvokePolicy, MatchPolicy};
use crate::peer::{Disclosed, Invoke, Part, PeerMessage};
use crate::router::{Refusal, Router, invalid_uri, is_passthru, passthru};
use crate::session::Session;
use crate::time::Time;
use crate::uri::is_reserved;

impl Router {
    pub(crate) fn call(&mut self, conn: ConnKey, call: Call, fx: &mut Effects) {
        let Some(session) = self.conns.session(conn) else {
            return;
        };
        if let Some(key) = session.calls.get(&call.request) {
            return self.further_call(conn, *key, call, fx);
        }
        let (request, is_followed) = (call.request, call.options.progress);
        if is_followed && !session.features.calls_progressively {
            let text = "CALL.Options.progress: the caller did not announce progressive_call_invocations";
            return self.violate(conn, text, fx);
        }
        if is_passthru(&call.options.rest) && !session.features.caller_passthru {
            let text = "CALL.Options: the caller did not announce payload_passthru_mode";
            return self.violate(conn, text, fx);
        }
        if let Err(refusal) = self.try_call(conn, call, fx) {
            self.refuse(conn, (RequestKind::Call, request), refusal, fx);
            if is_followed {
                self.ended_early(conn, request, None);
            }
        }
    }

    fn try_call(&mut self, conn: ConnKey, call: Call, fx: &mut Effects) -> Result<(), Refusal> {
        let Some(session) = self.conns.session(conn) else {
            return Ok(());
        };
        let realm = session.realm;
        let (disclose, trustlevel) = self.admit_call(session, &call)?;
        if is_reserved(&call.procedure) {
            // The router's own names are for no client to answer, whatever its pattern matches.
            return match meta::procedure(&call.procedure) {
                Some(procedure) if self.realm_config(realm).enable_meta_api => {
                    self.call_meta(conn, call, procedure, fx)
                }
                _ => Err(no_such_procedure()),
            };
        }
        let found = self.choose_callee(Wanted {
            realm,
            procedure: &call.procedure,
            caller: conn,
            tried: None,
            only: None,
        });
        if let Found::Nobody = found {
            return Err(no_such_procedure());
        }
        let CallOptions {
            timeout,
            receive_progress,
            progress,
            rest,
            ..
        } = call.options;
        let state = CallState {
            caller: conn,
            request: call.request,
            callee: None,
            can_be_cancelled: false,
            disclose,
            want_progress: receive_progress,
            began: self.now,
            given: self.time_given(realm, timeout),
            timeout: None,
            deadline: None,
            killed: false,
            place: None,
            rare: progress.then(|| {
                Box::new(Rare {
                    parts: Some(Parts::new(&call.procedure)),
                    ..Rare::default()
                })
            }),
        };
        let key = self.calls.insert(self.me, state);
        if let Some(session) = self.conns.session_mut(conn) {
            session.calls.insert(call.request, key, &self.hasher);
        }
        let invoke = Invoke {
            call: key,
            callee: SessionRef::default(),
            realm,
            registration: RegistrationId::default(),
            procedure: call.procedure,
            incarnation: Incarnation::default(),
            name_procedure: false,
            caller: None,
            trustlevel,
            receive_progress: false,
            timeout: None,
            rest: passthru(rest),
            part: if progress { Part::First } else { Part::Whole },
            payload: call.payload,
        };
        match found {
            Found::Callee(procedure, place) => {
                self.send_call(key, invoke, (&procedure, &procedure.callees[place]), fx);
            }
            Found::Busy(procedure) => self.wait_for_callee(key, invoke, procedure, fx),
            Found::Nobody => {}
        }
        Ok(())
    }

    /// The milliseconds that a call has by its caller and its realm.
    fn time_given(&self, realm: RealmId, timeout: Option<u64>) -> Option<NonZeroU64> {
        let rule = self.realm_config(realm).calls.timeout;
        let rule = rule.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let given = [timeout, rule].into_iter().flatten().filter_map(NonZeroU64::new);
        given.min()
    }

    /// Whether a session may make this call, and if so whether the caller is disclosed, and how far it is
    /// trusted.
    fn admit_call(&self, session: &Session, call: &Call) -> Result<(bool, Option<u32>), Refusal> {
        if !self.realms[session.realm.0 as usize]
            .uris
            .allow(MatchPolicy::Exact, &call.procedure)
        {
            return Err(invalid_uri("the procedure is no valid URI"));
        }
        let config = self.realm_config(session.realm);
        let decision = config.roles[session.role()].decide(Action::Call, &call.procedure, MatchPolicy::Exact);
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
        let waiting = session.calls.len() - session.ended_calls.len() + session.asking.len();
        if waiting >= limit {
            let message = format!("a session may wait for {limit} calls");
            return Err(Refusal::new(uri::LIMIT_EXCEEDED, message));
        }
        Ok((asks_to_be_disclosed || decision.disclose, decision.trustlevel))
    }

    /// Fills in what depends on the callee, starts the clock and posts the call.
    pub(super) fn send_call(
        &mut self,
        key: CallKey,
        mut invoke: Invoke,
        (procedure, callee): (&Procedure, &Callee),
        fx: &mut Effects,
    ) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        call.callee = Some(callee.session);
        call.can_be_cancelled = callee.features.call_canceling;
        // From here on the call gives its place back at its end.
        call.place = callee.load.is_some().then(|| Box::new(callee.clone()));
        if let Some(error) = lacks(callee, &invoke) {
            self.fail_call(key, error, fx);
            return;
        }
        let progress = callee.features.progressive_call_results && callee.features.call_canceling;
        invoke.callee = callee.session;
        invoke.registration = procedure.registration;
        invoke.incarnation = procedure.incarnation;
        invoke.name_procedure = procedure.key.policy != MatchPolicy::Exact;
        invoke.receive_progress = call.want_progress && progress;
        let (caller, disclose) = (call.caller, call.disclose || callee.disclose_caller);
        // Most calls may take as long as they do.
        let is_timed = call.given.is_some()
            || callee.timeout.is_some()
            || call.timeout.is_some()
            || call.deadline.is_some();
        if is_timed && !self.limit_time(key, &mut invoke, callee) {
            self.fail_call(key, uri::TIMEOUT, fx);
            return;
        }
        invoke.caller = self
            .conns
            .session(caller)
            .filter(|_| disclose)
            .map(|session| Disclosed {
                session: session.id,
                identity: Arc::clone(&session.identity),
            });
        if procedure.invoke == InvokePolicy::Sticky {
            self.stick(caller, procedure.registration, callee.session);
        }
        let (shard, part) = (callee.session.shard, invoke.part);
        if part == Part::First {
            self.first_part_sent(&invoke);
        }
        self.post(shard, PeerMessage::Invoke(Box::new(invoke)), fx);
        if part == Part::First {
            self.send_waiting_parts(key, fx);
        }
    }

    /// Sets how long the callee may take, and who keeps that time. Whether any is left.
    fn limit_time(&mut self, key: CallKey, invoke: &mut Invoke, callee: &Callee) -> bool {
        let now = self.now;
        let Some(call) = self.calls.get_mut(key) else {
            return false;
        };
        call.timeout = [call.given, callee.timeout].into_iter().flatten().min();
        // What the callee gives begins with it; what was given before may have run elsewhere, and may be over.
        let own = callee
            .timeout
            .map(|millis| now.after(Duration::from_millis(millis.get())));
        let deadline = [call.end_of_given(), own].into_iter().flatten().min();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return false;
        }
        let callee_keeps_time = callee.forward_timeout && callee.features.call_timeout;
        invoke.timeout = deadline
            .filter(|_| callee_keeps_time)
            .map(|deadline| millis_until(now, deadline));
        self.set_deadline(key, deadline.filter(|_| !callee_keeps_time));
        true
    }
}

/// Milliseconds from `now` until `later`, of which the last may be a part of one.
fn millis_until(now: Time, later: Time) -> u64 {
    let nanos = now.until(later).as_nanos();
    u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// What a callee would have had to announce to get this call.
fn lacks(callee: &Callee, invoke: &Invoke) -> Option<&'static str> {
    let features = callee.features;
    let takes_parts = features.progressive_call_invocations && features.call_canceling;
    let lacks_parts = invoke.part == Part::First && !takes_parts;
    let lacks_passthru = is_passthru(&invoke.rest) && !features.callee_passthru;
    (lacks_parts || lacks_passthru).then_some(uri::FEATURE_NOT_SUPPORTED)
}

fn no_such_procedure() -> Refusal {
    Refusal::new(uri::NO_SUCH_PROCEDURE, "")
}
