//! Queueing to connections: what is taken, what is dropped, and who is closed for it.

use std::collections::VecDeque;

use bytes::Bytes;
use crosspoint_codec::frame::{Framing, websocket};
use crosspoint_core::dealer::Undelivered;
use crosspoint_core::effect::Close;
use crosspoint_core::error_uri;
use crosspoint_core::ids::{ConnKey, RequestId};
use crosspoint_core::message::{Abort, Error, Event, Invocation, Message, RequestKind};
use crosspoint_core::payload::Payload;
use crosspoint_core::value::Dict;

use super::Shard;
use super::brief::shorter;
use super::dirty::Haste;
use super::frames::{Encoded, EventFrames};
use crate::config::SlowConsumer;
use crate::table::{Connection, Phase};

impl Shard {
    /// Queues one message to one connection.
    pub(super) fn send(&mut self, to: ConnKey, message: &Message) {
        let Some(connection) = self.table.get(to).filter(|it| it.phase == Phase::Open) else {
            return;
        };
        if let Message::Invocation(Invocation { request, .. }) = message {
            if is_part_of_refused(&mut self.undelivered, to, *request) {
                return;
            }
            if self.backlog.is_too_much(connection, 1) {
                // That a caller asks for more than a callee takes is no reason to close the callee's connection.
                return self.refuse_invocation(to, *request, error_uri::UNAVAILABLE);
            }
        }
        let max_bytes = connection.peer_max_bytes;
        let kind = connection.kind;
        let mut encoded = Encoded::new(kind.format, kind.framing, message);
        if let Some(window) = kind.deflate {
            encoded = self.deflaters.deflated(window, encoded);
        }
        match encoded.for_peer(max_bytes) {
            Some(frame) => {
                self.counters.sent.one();
                self.push_reply(to, frame.clone());
            }
            None => self.too_large(to, message),
        }
    }

    /// Queues one event to its receivers.
    pub(super) fn deliver(&mut self, event: &Event, receivers: &[ConnKey]) {
        let haste = Haste::of_fan_out(receivers.len());
        let mut frames = EventFrames::new(event, &mut self.translations, &mut self.deflaters);
        let (mut queued, mut unblocked) = (0, 0);
        let mut slow = Vec::new();
        // What is done for each receiver, of perhaps very many, is done with one look at its connection.
        for &to in receivers {
            let Some(connection) = self.table.get_mut(to) else {
                continue;
            };
            if connection.phase != Phase::Open {
                continue;
            }
            let is_much = self.backlog.is_much(connection.outbox.cost());
            // Asked first: a frame that is not queued need not be made.
            if is_much && self.backlog.is_too_much(connection, 1) {
                slow.push(to);
                continue;
            }
            let Some(frame) = frames.get(connection.kind, connection.peer_max_bytes) else {
                self.counters.events_dropped_large.one();
                continue;
            };
            if is_much {
                self.backlog.load(connection);
            }
            connection.outbox.push(frame.clone());
            if !connection.blocked {
                self.dirty.add(to, &mut connection.dirty, haste);
                unblocked += 1;
            }
            queued += 1;
        }
        let made = frames.made();
        self.work.raise();
        self.backlog.queued(queued, unblocked);
        self.counters.events.add(queued as u64);
        self.counters.event_encodings.add(made);
        for to in slow {
            self.too_slow_for_event(to);
        }
    }

    /// A message that its receiver does not take: whoever waits for an answer gets one.
    fn too_large(&mut self, to: ConnKey, message: &Message) {
        match message {
            Message::Result(result) if result.details.progress => {
                self.counters.replies_too_large.one();
                let request = result.request;
                self.undelivered
                    .push_back((to, Undelivered::Progress { request }));
            }
            Message::Result(result) => self.refuse_call(to, result.request),
            Message::Error(Error {
                kind: RequestKind::Call,
                request,
                error,
                ..
            }) if &**error != error_uri::PAYLOAD_SIZE_EXCEEDED => {
                self.refuse_call(to, *request);
            }
            Message::Invocation(Invocation { request, .. }) => {
                self.counters.replies_too_large.one();
                self.refuse_invocation(to, *request, error_uri::PAYLOAD_SIZE_EXCEEDED);
            }
            _ => match shorter(message) {
                Some(shorter) => self.send(to, &shorter),
                None => {
                    self.counters.dropped_large.one();
                    if let Message::Welcome(_) = message {
                        self.turn_away(to);
                    }
                }
            },
        }
    }

    /// A peer that takes not even the shortest WELCOME would wait for ever.
    fn turn_away(&mut self, to: ConnKey) {
        let reason = error_uri::PAYLOAD_SIZE_EXCEEDED.into();
        self.send(
            to,
            &Message::Abort(Abort {
                details: Dict::new(),
                reason,
                payload: Payload::EMPTY,
            }),
        );
        self.close_for(to, Close::Normal);
    }

    fn refuse_call(&mut self, to: ConnKey, request: RequestId) {
        self.counters.replies_too_large.one();
        self.send(
            to,
            &Message::Error(Error {
                kind: RequestKind::Call,
                request,
                details: Dict::default(),
                error: error_uri::PAYLOAD_SIZE_EXCEEDED.into(),
                payload: Payload::EMPTY,
            }),
        );
    }

    /// The callee does not hear of a call: its caller is told, or another callee has it.
    fn refuse_invocation(&mut self, to: ConnKey, request: RequestId, error: &'static str) {
        let parts = 1;
        self.undelivered.push_back((
            to,
            Undelivered::Invocation {
                request,
                parts,
                error,
            },
        ));
    }

    fn too_slow_for_event(&mut self, conn: ConnKey) {
        match self.config.slow_consumer {
            SlowConsumer::Drop => self.counters.events_dropped_slow.one(),
            SlowConsumer::Disconnect => self.close_slow(conn),
        }
    }

    /// Queues what is never dropped.
    pub(super) fn push_reply(&mut self, to: ConnKey, frame: Bytes) {
        let Some(connection) = self.table.get_mut(to).filter(|each| each.phase == Phase::Open) else {
            return;
        };
        if self.backlog.is_much(connection.outbox.cost()) {
            if self.backlog.is_too_much(connection, 2) {
                return self.close_slow(to);
            }
            self.backlog.load(connection);
        }
        self.push(to, frame);
    }

    fn push(&mut self, to: ConnKey, frame: Bytes) {
        if let Some(connection) = self.table.get_mut(to) {
            connection.outbox.push(frame);
            self.backlog.queued(0, usize::from(!connection.blocked));
            self.mark_dirty(to, Haste::Prompt);
        }
    }

    fn close_slow(&mut self, conn: ConnKey) {
        self.counters.closed_slow.one();
        tracing::info!(
            shard = self.me.0,
            conn = conn.slot,
            "connection closed: its peer reads too slowly"
        );
        self.close_now(conn);
    }

    /// The router is done with the connection.
    pub(super) fn close_for(&mut self, conn: ConnKey, reason: Close) {
        let Some(connection) = self.open(conn) else { return };
        let last = match connection.kind.framing {
            Framing::WebSocket | Framing::Batched(_) => Some(websocket_close(reason)),
            Framing::RawSocket => None,
        };
        self.close_after(conn, last);
    }

    /// Closes the connection once everything queued is written, `last` included.
    pub(super) fn close_after(&mut self, conn: ConnKey, last: Option<Bytes>) {
        let Some(connection) = self.open(conn) else { return };
        connection.phase = Phase::Closing;
        match last {
            Some(last) => self.push(conn, last),
            None => self.mark_dirty(conn, Haste::Prompt),
        }
    }

    /// Closes the connection at once, whatever is queued.
    pub(super) fn close_now(&mut self, conn: ConnKey) {
        if let Some(connection) = self.table.get_mut(conn)
            && connection.phase != Phase::Closed
        {
            connection.phase = Phase::Closed;
            self.backlog.ended(connection);
            connection.outbox.clear();
            connection.wire.close();
        }
    }

    /// The connection is to be flushed, unless the kernel takes nothing from it now.
    pub(super) fn mark_dirty(&mut self, conn: ConnKey, haste: Haste) {
        if let Some(connection) = self.table.get_mut(conn)
            && !connection.blocked
        {
            self.dirty.add(conn, &mut connection.dirty, haste);
            self.work.raise();
        }
    }

    fn open(&mut self, conn: ConnKey) -> Option<&mut Connection> {
        self.table
            .get_mut(conn)
            .filter(|connection| connection.phase == Phase::Open)
    }
}

fn websocket_close(reason: Close) -> Bytes {
    use websocket::CloseCode;
    let (code, text) = match reason {
        Close::Normal => (CloseCode::Normal, "session closed"),
        Close::Violation => (CloseCode::Protocol, "protocol violation"),
        Close::Shutdown => (CloseCode::Away, "router shuts down"),
    };
    websocket::close(code, text)
}

/// Whether an earlier part of the call was refused in this step: then this one is, too.
fn is_part_of_refused(
    undelivered: &mut VecDeque<(ConnKey, Undelivered)>,
    to: ConnKey,
    part_of: RequestId,
) -> bool {
    for (conn, refused) in undelivered {
        if let Undelivered::Invocation { request, parts, .. } = refused
            && (*conn, *request) == (to, part_of)
        {
            *parts += 1;
            return true;
        }
    }
    false
}
