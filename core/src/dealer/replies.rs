//! How calls end: what their callees answer, on the caller's shard.

use std::time::Duration;

use super::calls::Waiting;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{CallKey, ConnKey, RequestId, SessionRef};
use crate::message::{CallResult, Error, Message, RequestKind};
use crate::options::{CancelMode, ResultDetails};
use crate::peer::{Outcome, Reply};
use crate::router::{Refusal, Router, is_passthru};

impl Router {
    /// A callee answered; the call may have ended otherwise in the meantime.
    pub(crate) fn replied(&mut self, reply: Reply, fx: &mut Effects) {
        let Some((caller, request)) = self.calls.get(reply.call).map(|call| (call.caller, call.request))
        else {
            return;
        };
        if is_passthru(&reply.rest) && !self.takes_passthru(caller, &reply.outcome) {
            return self.refuse_passthru(&reply, fx);
        }
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
                self.finish_call(reply.call, fx);
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
            Outcome::Left => {
                if let Some(call) = self.calls.get_mut(reply.call) {
                    call.rare().left_with = Some((reply.rest, reply.payload));
                }
                return;
            }
            Outcome::Error(error) => {
                self.finish_call(reply.call, fx);
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
            call.deadline = Some(now.after(Duration::from_millis(millis.get())));
        }
    }

    /// Whether a caller understands what payload passthru mode brings it. An error it understands by its URI.
    fn takes_passthru(&self, caller: ConnKey, outcome: &Outcome) -> bool {
        let session = self.conns.session(caller);
        matches!(outcome, Outcome::Error(_) | Outcome::Left)
            || session.is_some_and(|session| session.features.caller_passthru)
    }

    /// The callee answers in a mode that the caller does not understand.
    fn refuse_passthru(&mut self, reply: &Reply, fx: &mut Effects) {
        let Some(call) = self.fail_call(reply.call, uri::FEATURE_NOT_SUPPORTED, fx) else {
            return;
        };
        if let (Outcome::Progress, Some(callee)) = (&reply.outcome, call.served_by) {
            self.post_cancel(
                reply.call,
                callee,
                CancelMode::KillNoWait,
                uri::FEATURE_NOT_SUPPORTED,
                fx,
            );
        }
    }

    /// Forgets a call; its caller gets its answer from whoever calls this.
    pub(super) fn finish_call(&mut self, key: CallKey, fx: &mut Effects) -> Option<Ended> {
        let call = self.calls.remove(key)?;
        let calls = &self.calls;
        self.timers.call_ended(|key| calls.get(key).is_some());
        if let Some(Waiting { procedure, place, .. }) =
            call.rare.as_ref().and_then(|rare| rare.waiting.as_ref())
            && let Some(queue) = &procedure.queue
        {
            queue.quit(*place);
        }
        if let Some(callee) = &call.place {
            self.leave_callee(callee, fx);
        }
        if let (Some(rare), Some(session)) = (&call.rare, self.conns.session_mut(call.caller)) {
            session.waiting_bytes -= rare.counted_bytes;
        }
        if call.parts().is_some_and(|parts| !parts.is_complete) {
            // The key, which names nothing now, stays until the caller has sent the last part.
            self.ended_early(call.caller, call.request, Some(key));
        } else if let Some(session) = self.conns.session_mut(call.caller) {
            session.calls.remove(&call.request);
        }
        Some(Ended {
            caller: call.caller,
            request: call.request,
            served_by: call.served_by(),
        })
    }

    /// Ends a call by an error of the router's own.
    pub(super) fn fail_call(&mut self, key: CallKey, error: &'static str, fx: &mut Effects) -> Option<Ended> {
        let call = self.finish_call(key, fx)?;
        let request = (RequestKind::Call, call.request);
        self.refuse(call.caller, request, Refusal::new(error, ""), fx);
        Some(call)
    }
}

/// A call that is over.
pub(super) struct Ended {
    pub(super) caller: ConnKey,
    pub(super) request: RequestId,
    /// The session that worked on it.
    pub(super) served_by: Option<SessionRef>,
}
