//! A simulated client: one connection at a time, what is under way on it in both directions, and what the
//! client knows. It knows only what it has read, so it acts late: it answers calls that are cancelled already
//! and unsubscribes from what is gone.

use std::collections::VecDeque;

use crosspoint_core::ids::{ConnKey, RegistrationId, RequestId, SessionId, ShardId, SubscriptionId};
use crosspoint_core::message::{Message, RequestKind};

/// On its way from a client to the router.
#[derive(Debug)]
pub(crate) enum Upward {
    Message(Box<Message>),
    /// Octets that are no message.
    Garbage,
}

/// On its way from the router to a client.
#[derive(Debug)]
pub(crate) enum Downward {
    Message(Box<Message>),
    Closed,
}

/// A connection as its client sees it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) shard: ShardId,
    pub(crate) key: ConnKey,
    /// Counts all connections of the run.
    pub(crate) number: usize,
    pub(crate) up: VecDeque<Upward>,
    pub(crate) down: VecDeque<Downward>,
    pub(crate) persona: Persona,
    pub(crate) knows: Knows,
}

/// What a client is like, for as long as its connection lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Persona {
    pub(crate) call_canceling: bool,
    pub(crate) call_timeout: bool,
    pub(crate) progressive_call_results: bool,
    /// Whether it takes calls in parts, and whether it makes them.
    pub(crate) progressive_call_invocations: bool,
    pub(crate) calls_progressively: bool,
    pub(crate) call_reroute: bool,
    /// Of each registration, how many calls it takes at a time.
    pub(crate) concurrency: Option<u64>,
    /// Whether it asks for timeouts, and for its callers, in each registration.
    pub(crate) forward_timeout: bool,
    pub(crate) disclose_caller: bool,
    /// Of 100 invocations that it could answer it leaves so many for later.
    pub(crate) laziness: u32,
}

/// How far a session is, in its client's eyes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    #[default]
    Fresh,
    /// HELLO is sent.
    Asked,
    Joined,
    /// GOODBYE is sent, by the client or by both.
    Leaving,
    /// The router closed the transport.
    Closed,
}

/// An invocation that the client may work on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) request: RequestId,
    pub(crate) progress: bool,
    pub(crate) interrupted: bool,
}

/// What a client has read of its session.
#[derive(Debug, Default)]
pub(crate) struct Knows {
    pub(crate) stage: Stage,
    pub(crate) session: Option<SessionId>,
    pub(crate) last_request: u64,
    pub(crate) subscriptions: Vec<SubscriptionId>,
    pub(crate) registrations: Vec<RegistrationId>,
    /// Calls that wait for their final answer.
    pub(crate) calls: Vec<RequestId>,
    /// Calls whose last part is still to be sent, with their procedures.
    pub(crate) streams: Vec<(RequestId, &'static str)>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) last_invocation: u64,
    /// Whether the router says GOODBYE and waits for ours.
    pub(crate) goodbye_due: bool,
}

impl Knows {
    /// A new session may begin.
    pub(crate) fn start_over(&mut self) {
        *self = Self::default();
    }

    /// Takes in what the router sent.
    pub(crate) fn read(&mut self, message: &Message) {
        match message {
            Message::Welcome(welcome) => {
                self.stage = Stage::Joined;
                self.session = Some(welcome.session);
            }
            Message::Abort(_) => self.start_over(),
            Message::Goodbye(_) if self.stage == Stage::Leaving => self.start_over(),
            Message::Goodbye(_) => {
                self.stage = Stage::Leaving;
                self.goodbye_due = true;
            }
            _ if self.session.is_some() => self.read_in_session(message),
            _ => {}
        }
    }

    fn read_in_session(&mut self, message: &Message) {
        match message {
            Message::Subscribed(subscribed) => self.subscriptions.push(subscribed.subscription),
            Message::Registered(registered) => self.registrations.push(registered.registration),
            Message::Error(error) if error.kind == RequestKind::Call => self.call_ended(error.request),
            Message::Result(result) if !result.details.progress => self.call_ended(result.request),
            // A further part of what it works on, or has answered.
            Message::Invocation(invocation) if invocation.request.0 <= self.last_invocation => {}
            Message::Invocation(invocation) => {
                self.last_invocation = self.last_invocation.max(invocation.request.0);
                self.jobs.push(Job {
                    request: invocation.request,
                    progress: invocation.details.receive_progress,
                    interrupted: false,
                });
            }
            Message::Interrupt(interrupt) => {
                for job in self
                    .jobs
                    .iter_mut()
                    .filter(|job| job.request == interrupt.request)
                {
                    job.interrupted = true;
                }
            }
            _ => {}
        }
    }

    fn call_ended(&mut self, request: RequestId) {
        self.calls.retain(|call| *call != request);
    }
}
