//! CANCEL, timeouts and callers who leave: the ways in which a call ends before its callee answers.

use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{CallKey, ConnKey, RequestId, SessionRef};
use crate::lazy_map::LazyMap;
use crate::message::{Cancel, Interrupt, Message};
use crate::options::CancelMode;
use crate::peer::PeerMessage;
use crate::router::Router;
use crate::time::Time;
use crate::timers::Timer;
use crate::value::Dict;

impl Router {
    pub(crate) fn cancel(&mut self, conn: ConnKey, cancel: &Cancel, fx: &mut Effects) {
        let Some(key) = self
            .conns
            .session(conn)
            .and_then(|session| session.calls.get(&cancel.request).copied())
        else {
            // The answer was on its way already: no error, since the client could not know.
            return;
        };
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let Some(callee) = call.served_by() else {
            self.fail_call(key, uri::CANCELED, fx);
            return;
        };
        let mode = match cancel.options.mode.unwrap_or(CancelMode::KillNoWait) {
            _ if !call.can_be_cancelled => CancelMode::Skip,
            mode => mode,
        };
        if mode == CancelMode::Kill {
            call.killed = true;
            // The callee's answer is waited for, however long it takes.
            call.deadline = None;
        } else {
            self.fail_call(key, uri::CANCELED, fx);
        }
        self.post_cancel(key, callee, mode, uri::CANCELED, fx);
    }

    /// From now on this shard ends a call at `deadline`, or lets it go on. The timer of an earlier one finds the later one,
    /// and is set anew.
    pub(super) fn set_deadline(&mut self, key: CallKey, deadline: Option<Time>) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let held = std::mem::replace(&mut call.deadline, deadline);
        if let Some(deadline) = deadline
            && held.is_none_or(|held| held > deadline)
        {
            self.timers.set(deadline, Timer::Call(key));
        }
    }

    /// The deadline of a call may have passed, or may have moved.
    pub(crate) fn call_timeout(&mut self, key: CallKey, fx: &mut Effects) {
        let Some(call) = self.calls.get(key) else {
            return;
        };
        let Some(deadline) = call.deadline else {
            return;
        };
        if deadline > self.now {
            return self.timers.set(deadline, Timer::Call(key));
        }
        self.end_call(key, uri::TIMEOUT, fx);
    }

    /// The router ends a call by an error: its callee need not go on.
    pub(super) fn end_call(&mut self, key: CallKey, error: &'static str, fx: &mut Effects) {
        let ended = self.fail_call(key, error, fx);
        if let Some(callee) = ended.and_then(|call| call.served_by) {
            self.post_cancel(key, callee, CancelMode::KillNoWait, error, fx);
        }
    }

    /// The caller's session ended: its callees may stop working.
    pub(crate) fn end_calls(&mut self, calls: LazyMap<RequestId, CallKey>, fx: &mut Effects) {
        for (_, key) in calls.into_sorted() {
            let call = self.finish_call(key, fx);
            if let Some(callee) = call.and_then(|call| call.served_by) {
                self.post_cancel(key, callee, CancelMode::KillNoWait, uri::CANCELED, fx);
            }
        }
    }

    pub(super) fn post_cancel(
        &mut self,
        call: CallKey,
        callee: SessionRef,
        mode: CancelMode,
        reason: &'static str,
        fx: &mut Effects,
    ) {
        self.post(
            callee.shard,
            PeerMessage::Cancel {
                call,
                callee,
                mode,
                reason,
            },
            fx,
        );
    }

    /// On the callee's shard: the caller does not want an invocation any more.
    pub(crate) fn cancel_invocation(
        &mut self,
        call: CallKey,
        callee: SessionRef,
        mode: CancelMode,
        reason: &'static str,
        fx: &mut Effects,
    ) {
        let Some(session) = self.conns.same_session_mut(callee) else {
            return;
        };
        if session.work.held().is_some_and(|held| held.holds(call)) {
            self.drop_held(callee, call, mode, fx);
        }
        let Some(session) = self.conns.same_session_mut(callee) else {
            return;
        };
        let work = &mut session.work;
        let Some((request, invocation)) = work.invocation_of(call) else {
            return;
        };
        let was_interrupted = std::mem::replace(&mut invocation.interrupted, true);
        if mode == CancelMode::Kill {
            work.stays(request);
        } else {
            work.finish(request);
        }
        if mode == CancelMode::Skip || was_interrupted || !session.features.call_canceling {
            return;
        }
        let options = Dict::new().with("mode", mode.name()).with("reason", reason);
        let interrupt = Interrupt {
            request: RequestId(request),
            options,
        };
        fx.send(callee.conn, Message::Interrupt(interrupt));
    }

    /// A call that its callee has not seen, or not all of it, is cancelled: with mode kill the caller still waits
    /// for an answer.
    fn drop_held(&mut self, callee: SessionRef, call: CallKey, mode: CancelMode, fx: &mut Effects) {
        let Some(session) = self.conns.same_session_mut(callee) else {
            return;
        };
        let first = session.work.held_mut(&self.hasher).take_call(call);
        if let Some(invoke) = first.filter(|_| mode == CancelMode::Kill) {
            self.post(invoke.call.shard, PeerMessage::Bounce(invoke), fx);
        }
        self.release_held(callee, fx);
    }
}
