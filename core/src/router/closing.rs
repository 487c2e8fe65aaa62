//! How sessions end (specification, "Session Closing" and "Protocol Violations").

use std::mem;

use super::Router;
use crate::effect::{Close, Effects};
use crate::error_uri as uri;
use crate::ids::ConnKey;
use crate::message::{Goodbye, Message};
use crate::session::State;
use crate::timers::Timer;
use crate::value::Dict;

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
        if let Message::Goodbye(_) | Message::Abort(_) = message {
            self.close(conn, Close::Shutdown, fx);
        }
    }

    pub(super) fn shut_down_conn(&mut self, conn: ConnKey, fx: &mut Effects) {
        match self.conns.get(conn).map(|conn| &conn.state) {
            Some(State::AwaitingHello { .. }) => self.close(conn, Close::Shutdown, fx),
            Some(State::Established(_)) => {
                self.end_session(conn, fx);
                let deadline = self.now.after(self.config.limits.goodbye_timeout);
                if let Some(conn) = self.conns.get_mut(conn) {
                    conn.state = State::ShuttingDown { deadline };
                }
                self.timers.set(deadline, Timer::Conn(conn));
                let details = Dict::new().with("message", "the router shuts down");
                fx.send(
                    conn,
                    Message::Goodbye(Goodbye {
                        details,
                        reason: uri::SYSTEM_SHUTDOWN.into(),
                    }),
                );
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
            Some(State::ShuttingDown { deadline }) if *deadline <= now => {
                self.close(conn, Close::Shutdown, fx)
            }
            _ => {}
        }
    }

    /// Gives up everything that the session on `conn` holds. The connection then waits for another HELLO.
    pub(super) fn end_session(&mut self, conn: ConnKey, fx: &mut Effects) {
        let deadline = self.now.after(self.config.limits.hello_timeout);
        let Some(place) = self.conns.get_mut(conn) else {
            return;
        };
        if !matches!(place.state, State::Established(_)) {
            return;
        }
        let State::Established(session) = mem::replace(&mut place.state, State::AwaitingHello { deadline })
        else {
            unreachable!("checked above");
        };
        self.timers.set(deadline, Timer::Conn(conn));
        let me = self.session_ref(conn, &session);
        // Registrations first: who hears that its callee is gone finds the procedure free.
        self.end_registrations(me, session.registrations, fx);
        self.end_subscriptions(conn, session.realm, &session.subscriptions, fx);
        self.end_calls(session.calls, fx);
        self.end_work(session.work, fx);
    }
}
