//! How sessions end (specification, "Session Closing" and "Protocol Violations").

use bytestring::ByteString;

use super::Router;
use crate::effect::{Close, Effects};
use crate::error_uri as uri;
use crate::ids::ConnKey;
use crate::message::{Goodbye, Message};
use crate::meta::MetaEvent;
use crate::session::State;
use crate::timers::Timer;
use crate::value::Dict;

/// How the router ends a session of its own accord.
pub(crate) struct Farewell {
    /// GOODBYE.Reason; a checked URI.
    pub(crate) reason: ByteString,
    /// GOODBYE.Details.message.
    pub(crate) message: Option<ByteString>,
    /// What the transport is told in the end.
    pub(crate) close: Close,
    /// Whether nobody is to hear of it.
    pub(crate) quiet: bool,
}

impl Router {
    /// Ends the session of a peer that broke the protocol, says why, and closes the transport.
    pub(crate) fn violate(&mut self, conn: ConnKey, text: &str, fx: &mut Effects) {
        self.end_session(conn, fx);
        self.abort(conn, uri::PROTOCOL_VIOLATION, text, fx);
        self.close(conn, Close::Violation, fx);
    }

    /// The client says GOODBYE. The transport stays open for another session.
    pub(super) fn client_goodbye(&mut self, conn: ConnKey, fx: &mut Effects) {
        self.end_session(conn, fx);
        let reply = Goodbye {
            details: Dict::new(),
            reason: uri::GOODBYE_AND_OUT.into(),
        };
        fx.send(conn, Message::Goodbye(reply));
    }

    /// The client aborts an open session: no answer.
    pub(super) fn client_abort(&mut self, conn: ConnKey, fx: &mut Effects) {
        self.end_session(conn, fx);
    }

    /// A message after the router's GOODBYE: only the client's counts.
    pub(super) fn after_goodbye(&mut self, conn: ConnKey, message: &Message, fx: &mut Effects) {
        if let (Message::Goodbye(_) | Message::Abort(_), Some(State::ShuttingDown { close, .. })) =
            (message, self.conns.get(conn).map(|conn| &conn.state))
        {
            let close = *close;
            self.close(conn, close, fx);
        }
    }

    /// Ends the session on `conn` and says why; the transport is closed when the client has answered, or has had
    /// its time.
    pub(crate) fn say_goodbye(&mut self, conn: ConnKey, farewell: Farewell, fx: &mut Effects) {
        let Farewell {
            reason,
            message,
            close,
            quiet,
        } = farewell;
        self.leave(conn, quiet, fx);
        let deadline = self.now.after(self.config.limits.goodbye_timeout);
        if let Some(conn) = self.conns.get_mut(conn) {
            conn.state = State::ShuttingDown { deadline, close };
        }
        self.timers.set(deadline, Timer::Conn(conn));
        let mut details = Dict::new();
        if let Some(message) = message {
            details.push("message", message);
        }
        fx.send(conn, Message::Goodbye(Goodbye { details, reason }));
    }

    pub(super) fn shut_down_conn(&mut self, conn: ConnKey, fx: &mut Effects) {
        match self.conns.get(conn).map(|conn| &conn.state) {
            Some(State::AwaitingHello { .. }) => self.close(conn, Close::Shutdown, fx),
            Some(State::Established(_)) => {
                let farewell = Farewell {
                    reason: uri::SYSTEM_SHUTDOWN.into(),
                    message: Some("the router shuts down".into()),
                    close: Close::Shutdown,
                    quiet: false,
                };
                self.say_goodbye(conn, farewell, fx);
            }
            Some(State::ShuttingDown { .. } | State::Closed) | None => {}
        }
    }

    /// A deadline of a connection passed; it may be one that no longer counts.
    pub(super) fn conn_timeout(&mut self, conn: ConnKey, fx: &mut Effects) {
        let now = self.now;
        match self.conns.get(conn).map(|conn| &conn.state) {
            Some(State::AwaitingHello { deadline }) if *deadline <= now => {
                self.close(conn, Close::Normal, fx)
            }
            // That of a session before: the deadline is a later one now.
            Some(State::AwaitingHello { deadline }) => self.timers.set(*deadline, Timer::Conn(conn)),
            Some(State::Established(_)) => {
                if let Some(session) = self.conns.session_mut(conn) {
                    session.has_timer = false;
                }
            }
            Some(State::ShuttingDown { deadline, close }) if *deadline <= now => {
                let close = *close;
                self.close(conn, close, fx)
            }
            _ => {}
        }
    }

    /// Gives up everything that the session on `conn` holds. The connection then waits for another HELLO.
    pub(super) fn end_session(&mut self, conn: ConnKey, fx: &mut Effects) {
        let had_timer = self.conns.session(conn).is_none_or(|session| session.has_timer);
        self.leave(conn, false, fx);
        // One that is set is over before, and goes on.
        if !had_timer
            && let Some(State::AwaitingHello { deadline }) = self.conns.get(conn).map(|conn| &conn.state)
        {
            self.timers.set(*deadline, Timer::Conn(conn));
        }
    }

    /// [`Router::end_session`] without a timer for the HELLO; where `quiet` without the session's testaments and its meta
    /// event.
    pub(super) fn leave(&mut self, conn: ConnKey, quiet: bool, fx: &mut Effects) {
        let deadline = self.now.after(self.config.limits.hello_timeout);
        let Some(session) = self.conns.take_session(conn, deadline) else {
            return;
        };
        let me = self.session_ref(conn, &session);
        let (realm, role, identity) = (session.realm, session.role(), session.identity);
        self.realm(realm).sessions[role] -= 1;
        if let Some(testaments) = session.testaments.filter(|_| !quiet) {
            self.publish_testaments((conn, me.id), *testaments, fx);
        }
        // Registrations before calls: who hears that its callee is gone finds the procedure free.
        self.end_registrations(me, session.serving, fx);
        self.end_subscriptions((conn, me.id), realm, &session.subscriptions, fx);
        self.end_calls(session.calls, fx);
        self.end_work(session.work, fx);
        if !quiet {
            let left = |_: &Self| {
                vec![
                    me.id.0.into(),
                    identity.authid.clone().into(),
                    identity.authrole.clone().into(),
                ]
            };
            self.tell(realm, MetaEvent::SessionLeave, left, fx);
        }
    }
}
