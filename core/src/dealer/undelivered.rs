//! What a shard could not queue to its receiver: somebody waits for an answer to it.

use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{ConnKey, RequestId};
use crate::message::{Error, Interrupt, Message, RequestKind};
use crate::options::CancelMode;
use crate::payload::Payload;
use crate::router::Router;
use crate::time::Time;
use crate::value::Dict;

/// A message to a connection that was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// INVOCATION: it is larger than its callee takes, or too much waits for the callee already.
    Invocation {
        /// INVOCATION.Request.
        request: RequestId,
        /// How many of this id were not queued in the step: one and all that came behind it.
        parts: u32,
        /// What the caller is told, unless the call goes to another callee.
        error: &'static str,
    },
    /// RESULT with progress, which is larger than its caller takes.
    Progress {
        /// CALL.Request.
        request: RequestId,
    },
}

impl Router {
    /// A message of an earlier step was not queued to the connection, which knows nothing of it: the call that it is a part
    /// of ends.
    pub fn undelivered(&mut self, now: Time, conn: ConnKey, message: Undelivered, fx: &mut Effects) {
        self.now = now;
        match message {
            Undelivered::Invocation {
                request,
                parts,
                error,
            } => self.invocation_undelivered(conn, (request, parts), error, fx),
            Undelivered::Progress { request } => self.progress_undelivered(conn, request, fx),
        }
        self.deliver_loopback(fx);
    }

    /// As if the callee had answered with an error. One that has other parts of the call is told that it need not wait for more;
    /// one that has not sees no gap in the ids, unless further invocations were sent in the same step.
    fn invocation_undelivered(
        &mut self,
        conn: ConnKey,
        (request, parts): (RequestId, u32),
        error: &'static str,
        fx: &mut Effects,
    ) {
        let Some(session) = self.conns.session(conn) else {
            return;
        };
        let Some(invocation) = session.work.invocation(request.0) else {
            return;
        };
        let is_known = invocation.parts > parts;
        if is_known && !invocation.interrupted && session.features.call_canceling {
            let mode = CancelMode::KillNoWait.name();
            let options = Dict::new().with("mode", mode).with("reason", error);
            fx.send(conn, Message::Interrupt(Interrupt { request, options }));
        }
        let answer = Error {
            kind: RequestKind::Invocation,
            request,
            details: Dict::new(),
            error: error.into(),
            payload: Payload::EMPTY,
        };
        self.callee_error(conn, answer, fx);
        if !is_known && let Some(session) = self.conns.session_mut(conn) {
            session.work.take_back(request.0);
        }
    }

    /// A caller that misses a part of its result would not know it.
    fn progress_undelivered(&mut self, conn: ConnKey, request: RequestId, fx: &mut Effects) {
        let session = self.conns.session(conn);
        let Some(key) = session.and_then(|session| session.calls.get(&request).copied()) else {
            return;
        };
        self.end_call(key, uri::PAYLOAD_SIZE_EXCEEDED, fx);
    }
}
