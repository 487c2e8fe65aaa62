//! Pings to WebSocket peers, and what becomes of those that do not answer.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crosspoint_codec::frame::websocket;

use crate::spec::AutoPing;

/// The pings of one connection. Whoever owns it has one timer, which it sets as it is told.
#[derive(Debug)]
pub(crate) struct Keepalive {
    ping: Arc<AutoPing>,
    state: Cell<State>,
    sent: Cell<u64>,
}

/// What the timer is running for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next ping.
    Quiet,
    /// The answer to a ping.
    Asked,
    /// That answer, which came: the rest of the time until the next ping follows.
    Answered,
}

/// What to do when the timer is over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Set the timer to this.
    Wait(Duration),
    /// Send this, and set the timer.
    Ping(Bytes, Duration),
    /// The peer is dead, unless something of it was not read yet: then set the timer to this.
    Dead(Duration),
}

impl Keepalive {
    pub(crate) fn new(ping: Arc<AutoPing>) -> Self {
        Self {
            ping,
            state: Cell::new(State::Quiet),
            sent: Cell::new(0),
        }
    }

    /// What to set the timer to at first.
    pub(crate) fn first(&self) -> Duration {
        self.ping.interval
    }

    /// The peer sent something, which is a sign of life whatever it is. Perhaps the timer is to be set.
    pub(crate) fn heard(&self) -> Option<Duration> {
        if self.ping.restart_on_any_traffic {
            self.state.set(State::Quiet);
            return Some(self.ping.interval);
        }
        if self.state.get() == State::Asked {
            self.state.set(State::Answered);
        }
        None
    }

    /// The timer is over.
    pub(crate) fn timer(&self) -> Verdict {
        let timeout = self.ping.timeout.unwrap_or(self.ping.interval);
        let rest = self.ping.interval.saturating_sub(timeout);
        match self.state.get() {
            State::Asked => Verdict::Dead(timeout),
            State::Answered if !rest.is_zero() => {
                self.state.set(State::Quiet);
                Verdict::Wait(rest)
            }
            State::Answered | State::Quiet => {
                // Without a timeout nobody looks for the answer.
                self.state.set(if self.ping.timeout.is_some() {
                    State::Asked
                } else {
                    State::Quiet
                });
                Verdict::Ping(websocket::ping(&self.payload()), timeout)
            }
        }
    }

    /// Of the configured size, and different each time.
    fn payload(&self) -> Vec<u8> {
        self.sent.set(self.sent.get() + 1);
        self.sent
            .get()
            .to_be_bytes()
            .into_iter()
            .cycle()
            .take(self.ping.size)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn keepalive(timeout: Option<Duration>, restart_on_any_traffic: bool) -> Keepalive {
        Keepalive::new(Arc::new(AutoPing {
            interval: 10 * SECOND,
            timeout,
            size: 12,
            restart_on_any_traffic,
        }))
    }

    fn ping(keepalive: &Keepalive) -> Duration {
        match keepalive.timer() {
            Verdict::Ping(frame, next) => {
                assert_eq!(frame.len(), 2 + 12);
                next
            }
            other => panic!("no ping: {other:?}"),
        }
    }

    #[test]
    fn a_silent_peer_is_dead_after_the_timeout() {
        let keepalive = keepalive(Some(4 * SECOND), true);
        assert_eq!(keepalive.first(), 10 * SECOND);
        assert_eq!(ping(&keepalive), 4 * SECOND);
        assert_eq!(keepalive.timer(), Verdict::Dead(4 * SECOND));
    }

    #[test]
    fn an_answer_leaves_an_interval_between_pings() {
        let keepalive = keepalive(Some(4 * SECOND), false);
        ping(&keepalive);
        assert_eq!(keepalive.heard(), None);
        assert_eq!(keepalive.timer(), Verdict::Wait(6 * SECOND));
        assert_eq!(keepalive.heard(), None);
        assert_eq!(ping(&keepalive), 4 * SECOND);
        assert_eq!(keepalive.timer(), Verdict::Dead(4 * SECOND));
    }

    #[test]
    fn traffic_puts_pings_off_where_configured() {
        let keepalive = keepalive(Some(20 * SECOND), true);
        ping(&keepalive);
        assert_eq!(keepalive.heard(), Some(10 * SECOND));
        ping(&keepalive);
    }

    #[test]
    fn without_a_timeout_nobody_dies() {
        let keepalive = keepalive(None, false);
        assert_eq!(ping(&keepalive), 10 * SECOND);
        assert_eq!(ping(&keepalive), 10 * SECOND);
    }
}
