//! Connections: HELLO, GOODBYE, ABORT, violations and closing, all of which the router does at once.

use std::collections::VecDeque;

use crosspoint_core::error_uri as uri;
use crosspoint_core::ids::ShardId;
use crosspoint_core::message::{Hello, Message};
use crosspoint_core::time::Time;
use crosspoint_core::value::Value;

use super::Oracle;
use super::session::Session;
use crate::broken::{Check, ensure, found};
use crate::client::Persona;
use crate::plan::REALMS;

/// One connection.
pub(super) struct Connection {
    shard: ShardId,
    persona: Persona,
    state: State,
    /// When the router closes it unless something happens first.
    deadline: Time,
    /// What the router has to send before the step ends, in this order and nothing else of the kind.
    due: VecDeque<Due>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// HELLO is awaited.
    Fresh,
    /// A place in `Oracle::sessions`.
    InSession(usize),
    /// The client's GOODBYE is awaited.
    ShuttingDown,
    Closed,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Welcome { realm: usize },
    Abort(&'static str),
    Goodbye(&'static str),
    Close,
}

impl Connection {
    pub(super) fn session(&self) -> Option<usize> {
        match self.state {
            State::InSession(session) => Some(session),
            _ => None,
        }
    }

    /// Whether the router ends all sessions of the shard in this step, and this one's turn is still to come: until
    /// then it hears of those before it.
    pub(super) fn awaits_farewell(&self) -> bool {
        self.state == State::ShuttingDown && self.due.front() == Some(&Due::Goodbye(uri::SYSTEM_SHUTDOWN))
    }
}

impl Oracle {
    pub(crate) fn opened(&mut self, shard: ShardId, persona: Persona) {
        let connection = Connection {
            shard,
            persona,
            state: State::Fresh,
            deadline: self.now.after(self.config.limits.hello_timeout),
            due: VecDeque::new(),
        };
        self.connections.push(connection);
    }

    /// The router takes a message of a client.
    pub(crate) fn message(&mut self, connection: usize, message: &Message) {
        self.this_step.connection = Some(connection);
        match self.connections[connection].state {
            State::Fresh => self.before_session(connection, message),
            State::InSession(session) => self.in_session(connection, session, message),
            State::ShuttingDown => {
                if let Message::Goodbye(_) | Message::Abort(_) = message {
                    self.owe(connection, Due::Close);
                }
            }
            State::Closed | State::Lost => {}
        }
    }

    /// The router takes octets that are no message.
    pub(crate) fn garbage(&mut self, connection: usize) {
        self.this_step.connection = Some(connection);
        if let State::Fresh | State::InSession(_) = self.connections[connection].state {
            self.violated(connection);
        }
    }

    /// The transport breaks.
    pub(crate) fn lost(&mut self, connection: usize) {
        self.this_step.connection = Some(connection);
        self.end_session(connection);
        self.connections[connection].state = State::Lost;
    }

    /// A shard looks at its clock.
    pub(crate) fn timer(&mut self, shard: ShardId) {
        self.this_step.timer = Some(shard);
        for connection in 0..self.connections.len() {
            let state = &self.connections[connection];
            if let State::Fresh | State::ShuttingDown = state.state
                && state.shard == shard
                && state.deadline <= self.now
            {
                self.owe(connection, Due::Close);
            }
        }
    }

    /// The router has to send or do one thing more on a connection before the step ends.
    fn owe(&mut self, connection: usize, due: Due) {
        self.connections[connection].due.push_back(due);
        self.this_step.owed.push(connection);
    }

    /// A shard shuts down.
    pub(crate) fn shutdown(&mut self, shard: ShardId) {
        self.shutting_down[usize::from(shard.0)] = true;
        let deadline = self.now.after(self.config.limits.goodbye_timeout);
        for connection in 0..self.connections.len() {
            if self.connections[connection].shard != shard {
                continue;
            }
            match self.connections[connection].state {
                State::Fresh => self.owe(connection, Due::Close),
                State::InSession(_) => {
                    self.end_session(connection);
                    let state = &mut self.connections[connection];
                    state.state = State::ShuttingDown;
                    state.deadline = deadline;
                    self.owe(connection, Due::Goodbye(uri::SYSTEM_SHUTDOWN));
                }
                State::ShuttingDown | State::Closed | State::Lost => {}
            }
        }
    }

    fn before_session(&mut self, connection: usize, message: &Message) {
        match message {
            Message::Hello(hello) => self.hello(connection, hello),
            Message::Abort(_) => self.owe(connection, Due::Close),
            _ => self.violated(connection),
        }
    }

    fn hello(&mut self, connection: usize, hello: &Hello) {
        let shard = self.connections[connection].shard;
        if self.shutting_down[usize::from(shard.0)] {
            self.owe(connection, Due::Abort(uri::SYSTEM_SHUTDOWN));
            return self.owe(connection, Due::Close);
        }
        if hello.details.is_empty() {
            return self.violated(connection);
        }
        let due = match REALMS.iter().position(|realm| hello.realm == *realm) {
            Some(realm) => Due::Welcome { realm },
            None if hello.realm.contains(' ') => Due::Abort(uri::INVALID_URI),
            None => Due::Abort(uri::NO_SUCH_REALM),
        };
        self.owe(connection, due);
    }

    /// The session ends, and the transport with it.
    pub(super) fn violated(&mut self, connection: usize) {
        self.tally.add("violations");
        self.end_session(connection);
        self.owe(connection, Due::Abort(uri::PROTOCOL_VIOLATION));
        self.owe(connection, Due::Close);
    }

    /// The client leaves.
    pub(super) fn said_goodbye(&mut self, connection: usize) {
        self.end_session(connection);
        self.owe(connection, Due::Goodbye(uri::GOODBYE_AND_OUT));
    }

    /// The session on a connection ends, if there is one; another may begin.
    pub(super) fn end_session(&mut self, connection: usize) {
        let Some(session) = self.connections[connection].session() else {
            return;
        };
        self.connections[connection].state = State::Fresh;
        self.connections[connection].deadline = self.now.after(self.config.limits.hello_timeout);
        self.session_ended(session);
    }

    /// WELCOME, ABORT or GOODBYE.
    pub(super) fn sent_outside(&mut self, connection: usize, message: &Message) -> Check {
        let due = self.connections[connection].due.pop_front();
        if due.is_none() && self.is_killed(connection, message) {
            return Ok(());
        }
        let fits = match (due, message) {
            (Some(Due::Welcome { realm }), Message::Welcome(welcome)) => {
                self.welcomed(connection, realm, welcome)?;
                true
            }
            (Some(Due::Abort(reason)), Message::Abort(abort)) => abort.reason == reason,
            (Some(Due::Goodbye(reason)), Message::Goodbye(goodbye)) => goodbye.reason == reason,
            _ => false,
        };
        ensure!(
            fits,
            "WELCOME, ABORT and GOODBYE are sent where they are due",
            "connection {connection} gets {message:?}, due was {due:?}"
        );
        Ok(())
    }

    /// Whether a message is the GOODBYE of a session that somebody wanted to end.
    fn is_killed(&mut self, connection: usize, message: &Message) -> bool {
        let session = self.connections[connection]
            .session()
            .map(|place| self.sessions[place].id);
        let is_killed = matches!(message, Message::Goodbye(goodbye) if goodbye.reason == uri::KILLED)
            && session.is_some_and(|id| self.condemned.contains(&id));
        if is_killed {
            self.end_session(connection);
            let deadline = self.now.after(self.config.limits.goodbye_timeout);
            let connection = &mut self.connections[connection];
            connection.state = State::ShuttingDown;
            connection.deadline = deadline;
        }
        is_killed
    }

    fn welcomed(
        &mut self,
        connection: usize,
        realm: usize,
        welcome: &crosspoint_core::message::Welcome,
    ) -> Check {
        let text = |key: &str| match welcome.details.get(key) {
            Some(Value::Str(text)) => Some(text.clone()),
            _ => None,
        };
        let authid = found!(text("authid"), "WELCOME names the authid", "{welcome:?}");
        let authrole = found!(text("authrole"), "WELCOME names the authrole", "{welcome:?}");
        let place = self.sessions.len();
        let before = self.by_id.insert(welcome.session, place);
        ensure!(
            before.is_none(),
            "no two sessions have the same id",
            "session {} is given out again",
            welcome.session
        );
        let Connection { shard, persona, .. } = self.connections[connection];
        self.sessions.push(Session::new(
            (shard, realm),
            (welcome.session, authid, authrole),
            persona,
        ));
        self.connections[connection].state = State::InSession(place);
        self.tally.add("sessions");
        Ok(())
    }

    /// The router closes a transport.
    pub(crate) fn closed(&mut self, connection: usize) -> Check {
        let due = self.connections[connection].due.pop_front();
        ensure!(
            due == Some(Due::Close),
            "a transport is closed where that is due, and once",
            "connection {connection} is closed, due was {due:?}"
        );
        self.connections[connection].state = State::Closed;
        Ok(())
    }

    /// Nothing that is due is left out, on this step's connection or on any that a clock or the end of the
    /// router touched.
    pub(super) fn check_connection(&self) -> Check {
        for place in &self.this_step.owed {
            let due = &self.connections[*place].due;
            ensure!(
                due.is_empty(),
                "GOODBYE, ABORT, WELCOME and closing do not wait",
                "connection {place} did not get {due:?}"
            );
        }
        self.this_step.connection.map_or(Ok(()), |connection| {
            self.connections[connection]
                .session()
                .map_or(Ok(()), |session| self.sessions[session].check_answered_at_once())
        })
    }

    /// How many connections of `shard` the router still has to know.
    pub(super) fn connections_of(&self, shard: ShardId) -> usize {
        self.connections
            .iter()
            .filter(|connection| connection.shard == shard && connection.state != State::Lost)
            .count()
    }
}
