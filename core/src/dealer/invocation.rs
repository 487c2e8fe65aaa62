//! INVOCATION, YIELD and the callee's ERROR, on the callee's shard.

use ahash::RandomState;

use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{CallKey, ConnKey, RequestId, SessionRef};
use crate::message::{Error, Invocation as InvocationMessage, Message, RequestKind, Yield};
use crate::options::{CancelMode, InvocationDetails, MatchPolicy};
use crate::payload::Payload;
use crate::peer::{Invoke, Outcome, PeerMessage, Reply};
use crate::router::{Router, is_passthru, passthru};
use crate::session::{Invocation, Session, Work};
use crate::uri::{UriCheck, UriRules};
use crate::value::Dict;

/// What to do with a call that arrived for a session.
enum Place {
    Deliver,
    /// REGISTERED may not have been sent yet, or an earlier call waits for it.
    Hold,
    /// The session does not serve the registration any more.
    Bounce,
}

impl Router {
    /// A call for a session of this shard.
    pub(crate) fn invoke(&mut self, invoke: Box<Invoke>, fx: &mut Effects) {
        let place = match self.conns.same_session_mut(invoke.callee) {
            Some(session) if first_held(session).is_some() => Place::Hold,
            Some(session) => place(session, &invoke),
            None => Place::Bounce,
        };
        self.put(place, invoke, fx);
    }

    fn put(&mut self, place: Place, invoke: Box<Invoke>, fx: &mut Effects) {
        let limit = self.config.limits.kept_bytes;
        match (place, self.conns.same_session_mut(invoke.callee)) {
            (Place::Deliver, Some(session)) => {
                if let Some(request) = request_for(session, &invoke, limit, &self.hasher) {
                    fx.send(invoke.callee.conn, invocation(request, *invoke));
                }
            }
            (Place::Hold, Some(session)) => {
                if let Err(invoke) = session.work.held_mut(&self.hasher).hold(invoke, limit) {
                    self.refuse_held(&invoke, fx);
                }
            }
            (Place::Bounce, _) | (_, None) => self.bounce(invoke, fx),
        }
    }

    /// A call for which there is no room among those that are held. It fails: to send it back would say that the callee is
    /// gone.
    fn refuse_held(&mut self, invoke: &Invoke, fx: &mut Effects) {
        let (call, callee, error) = (invoke.call, invoke.callee, uri::LIMIT_EXCEEDED);
        if !invoke.part.is_first() {
            // The callee may have those before it, or they are held as well.
            self.cancel_invocation(call, callee, CancelMode::KillNoWait, error, fx);
        }
        self.fail_from_here(call, error, fx);
    }

    fn bounce(&mut self, invoke: Box<Invoke>, fx: &mut Effects) {
        self.post(invoke.call.shard, PeerMessage::Bounce(invoke), fx);
    }

    /// A registration of the session was granted, refused or taken back: calls that were held may go on.
    pub(super) fn release_held(&mut self, callee: SessionRef, fx: &mut Effects) {
        while let Some(session) = self.conns.same_session_mut(callee) {
            let Some(next) = first_held(session) else {
                return;
            };
            let place = place(session, next);
            if let Place::Hold = place {
                return;
            }
            if let Some(next) = session.work.held_mut(&self.hasher).next() {
                self.put(place, next, fx);
            }
        }
    }

    pub(crate) fn yielded(&mut self, conn: ConnKey, answer: Yield, fx: &mut Effects) {
        if is_passthru(&answer.options.rest) && !self.may_pass_through(conn) {
            let text = "YIELD.Options: the callee did not announce payload_passthru_mode";
            return self.violate(conn, text, fx);
        }
        let Some((call, receive_progress)) = self.open_invocation(conn, answer.request, "YIELD", fx) else {
            return;
        };
        let outcome = match (answer.options.progress, receive_progress) {
            (true, true) => Outcome::Progress,
            // Nobody asked for it: it neither reaches the caller nor ends the call.
            (true, false) => return,
            (false, _) => Outcome::Result,
        };
        match (&outcome, self.conns.session_mut(conn)) {
            (Outcome::Progress, Some(session)) => session.work.stays(answer.request.0),
            (_, Some(session)) => drop(session.work.finish(answer.request.0)),
            (_, None) => {}
        }
        let rest = passthru(answer.options.rest);
        self.reply(
            Reply {
                call,
                outcome,
                rest,
                payload: answer.payload,
            },
            fx,
        );
    }

    /// ERROR of a client: only callees may send one.
    pub(crate) fn callee_error(&mut self, conn: ConnKey, error: Error, fx: &mut Effects) {
        if error.kind != RequestKind::Invocation {
            return self.violate(
                conn,
                "ERROR.Request.Type: a client may only answer an INVOCATION (68)",
                fx,
            );
        }
        let rules = UriRules {
            check: UriCheck::Loose,
            len_max: self.config.limits.uri_bytes,
        };
        if !rules.allow(MatchPolicy::Exact, &error.error) {
            return self.violate(conn, "ERROR.Error is no valid URI", fx);
        }
        if is_passthru(&error.details) && !self.may_pass_through(conn) {
            let text = "ERROR.Details: the callee did not announce payload_passthru_mode";
            return self.violate(conn, text, fx);
        }
        let Some((call, _)) = self.open_invocation(conn, error.request, "ERROR", fx) else {
            return;
        };
        let answered = self
            .conns
            .session_mut(conn)
            .and_then(|session| session.work.finish(error.request.0));
        let is_unavailable = &*error.error == uri::UNAVAILABLE;
        let mut reply = Reply {
            call,
            outcome: Outcome::Error(error.error),
            rest: passthru(error.details),
            payload: error.payload,
        };
        if is_unavailable && let Some(invoke) = answered.and_then(|it| it.retry) {
            reply.outcome = Outcome::Left;
            self.reply(reply, fx);
            return self.post(call.shard, PeerMessage::Unavailable(invoke), fx);
        }
        self.reply(reply, fx);
    }

    fn may_pass_through(&self, conn: ConnKey) -> bool {
        let session = self.conns.session(conn);
        session.is_some_and(|session| session.features.callee_passthru)
    }

    /// The call that an answer is for, and whether its caller wants progress. Late answers find none; an id that was never given out is a
    /// violation (the specification's "YIELD with invalid INVOCATION.Request", read narrowly).
    fn open_invocation(
        &mut self,
        conn: ConnKey,
        request: RequestId,
        what: &str,
        fx: &mut Effects,
    ) -> Option<(CallKey, bool)> {
        let work = &self.conns.session(conn)?.work;
        let found = work
            .invocation(request.0)
            .map(|invocation| (invocation.call, invocation.receive_progress));
        if found.is_none() && request.0 > work.last_invocation {
            let text = format!("{what} for invocation {request}, which this session never got");
            self.violate(conn, &text, fx);
        }
        found
    }

    fn reply(&mut self, reply: Reply, fx: &mut Effects) {
        self.post(reply.call.shard, PeerMessage::Reply(Box::new(reply)), fx);
    }

    /// The callee's session ended: callers do not wait any longer.
    pub(crate) fn end_work(&mut self, work: Work, fx: &mut Effects) {
        let (held, open) = work.into_open();
        for invoke in held.into_calls() {
            self.bounce(invoke, fx);
        }
        for (_, invocation) in open {
            self.fail_from_here(invocation.call, uri::CANCELED, fx);
        }
    }

    /// Ends a call by an error of the router's own, on the callee's shard.
    fn fail_from_here(&mut self, call: CallKey, error: &'static str, fx: &mut Effects) {
        let (outcome, rest, payload) = (Outcome::Error(error.into()), Dict::new(), Payload::EMPTY);
        self.reply(
            Reply {
                call,
                outcome,
                rest,
                payload,
            },
            fx,
        );
    }
}

/// The call that a session holds longest.
fn first_held(session: &Session) -> Option<&Invoke> {
    session.work.held()?.first()
}

fn place(session: &Session, invoke: &Invoke) -> Place {
    if !invoke.part.is_first() {
        // Where the first part is not open, it went back or is answered; the caller's shard knows which.
        let is_open = session.work.request_of(invoke.call).is_some();
        return if is_open { Place::Deliver } else { Place::Bounce };
    }
    let held = session.serving.get(invoke.registration);
    if held.is_some_and(|held| held.incarnation == invoke.incarnation) {
        Place::Deliver
    } else if session.serving.waits_for(&invoke.procedure) {
        Place::Hold
    } else {
        Place::Bounce
    }
}

/// The id of the invocation for a call, which opens in the callee's session, or of the open one that it continues.
fn request_for(session: &mut Session, invoke: &Invoke, limit: usize, hasher: &RandomState) -> Option<u64> {
    if !invoke.part.is_first() {
        let (request, invocation) = session.work.invocation_of(invoke.call)?;
        invocation.parts += 1;
        return Some(request);
    }
    let open = Invocation {
        call: invoke.call,
        receive_progress: invoke.receive_progress,
        interrupted: false,
        parts: 1,
        retry: None,
    };
    let request = session.work.open(open, hasher);
    if session.features.call_reroute {
        session.work.keep_copy(request, invoke, limit);
    }
    Some(request)
}

fn invocation(request: u64, invoke: Invoke) -> Message {
    let caller = invoke.caller;
    let details = InvocationDetails {
        caller: caller.as_ref().map(|caller| caller.session),
        caller_authid: caller.as_ref().map(|caller| caller.identity.authid.clone()),
        caller_authrole: caller.as_ref().map(|caller| caller.identity.authrole.clone()),
        procedure: invoke.name_procedure.then_some(invoke.procedure),
        trustlevel: invoke.trustlevel.map(u64::from),
        timeout: invoke.timeout,
        receive_progress: invoke.receive_progress,
        progress: invoke.part.is_followed(),
        rest: invoke.rest,
    };
    let (request, registration) = (RequestId(request), invoke.registration);
    let message = InvocationMessage {
        request,
        registration,
        details,
        payload: invoke.payload,
    };
    Message::Invocation(message)
}
