//! A small router for RawSocket and MessagePack that does wrong on purpose, and the harness run against it.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use crosspoint_codec::core::ids::{PublicationId, RegistrationId, RequestId, SessionId, SubscriptionId};
use crosspoint_codec::core::message::{
    CallResult, Event, Invocation, Message, Published, Registered, Subscribe, Subscribed, Welcome,
};
use crosspoint_codec::core::options::{EventDetails, InvocationDetails, MatchPolicy, ResultDetails};
use crosspoint_codec::core::payload::{Format, Payload};
use crosspoint_codec::core::value::Dict;
use crosspoint_codec::frame::rawsocket::{self, Decoder, Incoming, MaxLength};
use crosspoint_codec::frame::{Framing, build};
use crosspoint_codec::{Limits, decode, encode};
use serde_json::Value;

/// What happens to every 50th event or result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Lose,
    Repeat,
    /// It comes after the one behind it.
    Delay,
    /// One octet of its payload changes.
    Change,
    /// The connection ends.
    Hang,
    /// Once, nothing happens for a while.
    Stall,
    /// Sessions and subscriptions are granted one by one, with a pause before each.
    Hesitate,
    /// The same, shortly before a phase of 1 s at 500 per second ends.
    StallAtEnd,
    /// From that time on, nothing comes any more.
    Silence,
    /// Nothing happens for a while after 0.6 s at 100 per second, for long enough to fill all buffers with large messages.
    Choke,
    /// The 20th session is refused.
    Refuse,
    /// The 20th session gets no answer.
    Ignore,
    /// The subscriber that came last gets everything later.
    Behind,
    /// Subscriptions to patterns get all events, whether they match or not.
    Misdirect,
}

pub(crate) const STALL: Duration = Duration::from_millis(400);

/// The pause before each session and subscription of a router that hesitates.
const PAUSE: Duration = Duration::from_millis(20);
/// What a subscriber gets later.
struct Later(Instant, TcpStream, Message);

/// A router for RawSocket and MessagePack.
pub(crate) struct Router {
    fault: Fault,
    later: mpsc::Sender<Later>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    subscribers: Vec<(Subscribe, TcpStream)>,
    callees: Vec<(String, TcpStream)>,
    /// Callers and their requests, by the number of the invocation.
    calls: Vec<(TcpStream, RequestId)>,
    /// Events or results so far.
    count: u64,
    delayed: Option<(TcpStream, Message)>,
    sessions: u64,
}

impl Router {
    pub(crate) fn start(fault: Fault) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Mutex::default();
        let (later, queue) = mpsc::channel::<Later>();
        thread::spawn(move || {
            for Later(at, to, message) in queue {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                // It fails when the client is gone.
                let _ = send(&to, &message);
            }
        });
        let router = Arc::new(Self { fault, later, state });
        thread::spawn(move || {
            for stream in listener.incoming() {
                let router = Arc::clone(&router);
                // It ends by an error when the client goes.
                thread::spawn(move || router.serve(stream.unwrap()));
            }
        });
        address
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buf = BytesMut::new();
        let mut chunk = [0; 4096];
        let mut accepted = false;
        let decoder = Decoder::new(MaxLength::LARGEST);
        loop {
            let count = stream.read(&mut chunk)?;
            if count == 0 {
                return Ok(());
            }
            buf.extend_from_slice(&chunk[..count]);
            if !accepted
                && let Some(accept) = rawsocket::accept(&mut buf, &Format::ALL, MaxLength::LARGEST).unwrap()
            {
                stream.write_all(&accept.reply)?;
                accepted = true;
            }
            while accepted && let Some(Incoming::Message(message)) = decoder.next(&mut buf).unwrap() {
                let message = decode(Format::MsgPack, &message, &Limits::default()).unwrap();
                self.message(&stream, message)?;
            }
        }
    }

    fn message(&self, stream: &TcpStream, message: Message) -> std::io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if self.fault == Fault::Hesitate && matches!(message, Message::Hello(_) | Message::Subscribe(_)) {
            thread::sleep(PAUSE);
        }
        match message {
            Message::Hello(_) => {
                state.sessions += 1;
                if self.fault == Fault::Ignore && state.sessions == 20 {
                    return Ok(());
                }
                if self.fault == Fault::Refuse && state.sessions == 20 {
                    return stream.shutdown(std::net::Shutdown::Both);
                }
                let (session, details) = (SessionId(1), Dict::new());
                send(stream, &Message::Welcome(Welcome { session, details }))
            }
            Message::Subscribe(subscribe) => {
                let (request, subscription) = (subscribe.request, SubscriptionId(1));
                state.subscribers.push((subscribe, stream.try_clone()?));
                send(
                    stream,
                    &Message::Subscribed(Subscribed {
                        request,
                        subscription,
                    }),
                )
            }
            Message::Publish(publish) => {
                let matching = state
                    .subscribers
                    .iter()
                    .filter(|one| self.matches(&one.0, &publish.topic));
                let subscribers: Vec<_> = matching.map(|one| one.1.try_clone()).collect();
                let last = subscribers.len().saturating_sub(1);
                for (place, subscriber) in subscribers.into_iter().enumerate() {
                    let (subscriber, payload) = (subscriber?, publish.payload.clone());
                    if self.fault == Fault::Behind && place == last {
                        let later = Later(Instant::now() + STALL, subscriber, event(payload));
                        self.later.send(later).unwrap();
                        continue;
                    }
                    self.deliver(&mut state, subscriber, event, payload)?;
                }
                match publish.options.acknowledge {
                    true => send(stream, &published(publish.request)),
                    false => Ok(()),
                }
            }
            Message::Register(register) => {
                let (request, registration) = (register.request, RegistrationId(1));
                let procedure = register.procedure.to_string();
                state.callees.push((procedure, stream.try_clone()?));
                send(
                    stream,
                    &Message::Registered(Registered {
                        request,
                        registration,
                    }),
                )
            }
            Message::Call(call) => {
                state.calls.push((stream.try_clone()?, call.request));
                let invocation = Invocation {
                    request: RequestId(state.calls.len() as u64),
                    registration: RegistrationId(1),
                    details: InvocationDetails::default(),
                    payload: call.payload,
                };
                let mut callees = state.callees.iter().rev();
                let (_, callee) = callees
                    .find(|(procedure, _)| **procedure == *call.procedure)
                    .unwrap();
                send(callee, &Message::Invocation(invocation))
            }
            Message::Yield(answer) => {
                let (caller, request) = &state.calls[answer.request.0 as usize - 1];
                let (caller, request) = (caller.try_clone()?, *request);
                let result = |payload| {
                    Message::Result(CallResult {
                        request,
                        details: ResultDetails::default(),
                        payload,
                    })
                };
                self.deliver(&mut state, caller, result, answer.payload)
            }
            // GOODBYE: the end of the connection is answer enough.
            _ => stream.shutdown(std::net::Shutdown::Both),
        }
    }

    fn matches(&self, subscribe: &Subscribe, topic: &str) -> bool {
        let pattern = &*subscribe.topic;
        let misdirects = self.fault == Fault::Misdirect;
        match subscribe.options.match_policy {
            None | Some(MatchPolicy::Exact) => pattern == topic,
            Some(MatchPolicy::Prefix) => misdirects || topic.starts_with(pattern),
            Some(MatchPolicy::Wildcard) => {
                let mut parts = pattern.split('.').zip(topic.split('.'));
                misdirects || parts.all(|(part, of_topic)| part.is_empty() || part == of_topic)
            }
        }
    }

    fn deliver(
        &self,
        state: &mut State,
        to: TcpStream,
        message: impl Fn(Payload) -> Message,
        payload: Payload,
    ) -> std::io::Result<()> {
        const EVERY: u64 = 50;
        /// With 200 ms before the phase, that is after 0.9 s.
        const LATE: u64 = 550;
        state.count += 1;
        match self.fault {
            Fault::Stall if state.count == 300 => thread::sleep(STALL),
            Fault::StallAtEnd if state.count == LATE => thread::sleep(STALL),
            Fault::Choke if state.count == 60 => thread::sleep(2 * STALL),
            Fault::Silence if state.count >= LATE => return Ok(()),
            _ => {}
        }
        if !state.count.is_multiple_of(EVERY) {
            send(&to, &message(payload))?;
            return match state.delayed.take() {
                Some((to, delayed)) => send(&to, &delayed),
                None => Ok(()),
            };
        }
        match self.fault {
            Fault::Lose => Ok(()),
            Fault::Repeat => send(&to, &message(payload.clone())).and_then(|()| send(&to, &message(payload))),
            Fault::Delay => {
                state.delayed = Some((to, message(payload)));
                Ok(())
            }
            Fault::Change => send(&to, &message(changed(payload))),
            Fault::Hang => to.shutdown(std::net::Shutdown::Both),
            _ => send(&to, &message(payload)),
        }
    }
}

fn event(payload: Payload) -> Message {
    Message::Event(Event {
        subscription: SubscriptionId(1),
        publication: PublicationId(1),
        details: EventDetails::default(),
        payload,
    })
}

fn published(request: RequestId) -> Message {
    Message::Published(Published {
        request,
        publication: PublicationId(1),
    })
}

/// The last octet of the payload is another one.
fn changed(payload: Payload) -> Payload {
    let mut args = payload.args.to_vec();
    if let Some(last) = args.last_mut() {
        *last ^= 1;
    }
    let args = Bytes::from(args);
    Payload { args, ..payload }
}

fn send(mut to: &TcpStream, message: &Message) -> std::io::Result<()> {
    let frame = build(Framing::RawSocket, Format::MsgPack, |out| {
        encode(Format::MsgPack, message, out)
    });
    to.write_all(&frame.unwrap())
}

/// The exit status of a short run against a router with `fault`, and the report.
pub(crate) fn run(fault: Fault, scenario: &[&str]) -> (i32, Value) {
    let router = Router::start(fault);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    let status = Command::new(env!("CARGO_BIN_EXE_crosspoint-loadtest"))
        .args(scenario)
        .args([
            "--url",
            &format!("rs://{router}"),
            "--quick",
            "--patience",
            "800ms",
        ])
        .arg("--json")
        .arg(&file)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let report: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(report["ok"], status.success());
    (status.code().unwrap(), report)
}
