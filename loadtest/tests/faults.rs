//! The harness against a router that does wrong on purpose: whatever it does must be noticed.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test may end by a panic, and nobody uses it from outside"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use crosspoint_codec::core::ids::{PublicationId, RegistrationId, RequestId, SessionId, SubscriptionId};
use crosspoint_codec::core::message::{
    CallResult, Event, Invocation, Message, Registered, Subscribed, Welcome,
};
use crosspoint_codec::core::options::{EventDetails, InvocationDetails, ResultDetails};
use crosspoint_codec::core::payload::{Format, Payload};
use crosspoint_codec::core::value::Dict;
use crosspoint_codec::frame::rawsocket::{self, Decoder, Incoming, MaxLength};
use crosspoint_codec::frame::{Framing, build};
use crosspoint_codec::{Limits, decode, encode};
use serde_json::Value;

/// What happens to every 50th event or result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
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
}

const STALL: Duration = Duration::from_millis(400);

/// A router for RawSocket and MessagePack with one topic and one procedure.
struct Router {
    fault: Fault,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    subscribers: Vec<TcpStream>,
    callee: Option<TcpStream>,
    /// Callers and their requests, by the number of the invocation.
    calls: Vec<(TcpStream, RequestId)>,
    /// Events or results so far.
    count: u64,
    delayed: Option<(TcpStream, Message)>,
}

impl Router {
    fn start(fault: Fault) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Mutex::default();
        let router = Arc::new(Self { fault, state });
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
        match message {
            Message::Hello(_) => {
                let (session, details) = (SessionId(1), Dict::new());
                send(stream, &Message::Welcome(Welcome { session, details }))
            }
            Message::Subscribe(subscribe) => {
                state.subscribers.push(stream.try_clone()?);
                let (request, subscription) = (subscribe.request, SubscriptionId(1));
                send(
                    stream,
                    &Message::Subscribed(Subscribed {
                        request,
                        subscription,
                    }),
                )
            }
            Message::Publish(publish) => {
                let subscribers: Vec<_> = state.subscribers.iter().map(TcpStream::try_clone).collect();
                for subscriber in subscribers {
                    self.deliver(&mut state, subscriber?, event, publish.payload.clone())?;
                }
                Ok(())
            }
            Message::Register(register) => {
                state.callee = Some(stream.try_clone()?);
                let (request, registration) = (register.request, RegistrationId(1));
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
                send(state.callee.as_ref().unwrap(), &Message::Invocation(invocation))
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

    fn deliver(
        &self,
        state: &mut State,
        to: TcpStream,
        message: impl Fn(Payload) -> Message,
        payload: Payload,
    ) -> std::io::Result<()> {
        const EVERY: u64 = 50;
        const STALL_AT: u64 = 300;
        state.count += 1;
        if self.fault == Fault::Stall && state.count == STALL_AT {
            thread::sleep(STALL);
        }
        if !state.count.is_multiple_of(EVERY) {
            send(&to, &message(payload))?;
            return match state.delayed.take() {
                Some((to, delayed)) => send(&to, &delayed),
                None => Ok(()),
            };
        }
        match self.fault {
            Fault::None | Fault::Stall => send(&to, &message(payload)),
            Fault::Lose => Ok(()),
            Fault::Repeat => send(&to, &message(payload.clone())).and_then(|()| send(&to, &message(payload))),
            Fault::Delay => {
                state.delayed = Some((to, message(payload)));
                Ok(())
            }
            Fault::Change => send(&to, &message(changed(payload))),
            Fault::Hang => to.shutdown(std::net::Shutdown::Both),
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

/// The mark that every payload begins with is no longer there.
fn changed(payload: Payload) -> Payload {
    let mut args = payload.args.to_vec();
    if let Some(mark) = args.iter_mut().find(|octet| **octet == b'~') {
        *mark = b'-';
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

/// The exit status of a short run against a router with `fault`, and what the report says is verified.
fn run(fault: Fault, scenario: &[&str]) -> (i32, Value) {
    let router = Router::start(fault);
    let name = format!("loadtest-{}-{}.json", std::process::id(), router.port());
    let file = std::env::temp_dir().join(name);
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
    std::fs::remove_file(&file).unwrap();
    assert_eq!(report["ok"], status.success());
    (status.code().unwrap(), report)
}

/// One subscriber, so that what is delayed is delayed behind an event of its own.
const FANOUT: [&str; 5] = ["fanout", "--subscribers", "1", "--rate", "500"];
const RPC: [&str; 7] = ["rpc", "--callers", "2", "--callees", "1", "--rate", "500"];

fn check(fault: Fault, scenario: &[&str], wrong: &str) {
    let (status, report) = run(fault, scenario);
    assert_eq!(status, 1, "{report}");
    assert!(report["verified"][wrong].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn a_router_that_does_right_is_told_so() {
    for scenario in [&FANOUT[..], &RPC] {
        let (status, report) = run(Fault::None, scenario);
        assert_eq!(status, 0, "{report}");
        assert!(report["verified"]["received"].as_u64().unwrap() > 400, "{report}");
        let latency = &report["phases"][0]["latency"];
        assert!(latency["p50_us"].as_f64().unwrap() > 0.0, "{report}");
        assert!(
            latency["max_us"].as_f64() >= latency["p99_us"].as_f64(),
            "{report}"
        );
    }
}

#[test]
fn a_closed_loop_keeps_going() {
    let (status, report) = run(Fault::None, &["fanout", "--subscribers", "3", "--in-flight", "4"]);
    assert_eq!(status, 0, "{report}");
    let received = report["verified"]["received"].as_u64().unwrap();
    assert!(received > 100 && received % 3 == 0, "{report}");
}

#[test]
fn lost_events_and_results() {
    check(Fault::Lose, &FANOUT, "lost");
    check(Fault::Lose, &RPC, "lost");
}

#[test]
fn a_closed_loop_that_stalls_ends() {
    let scenario = ["fanout", "--subscribers", "1", "--in-flight", "4"];
    let (status, report) = run(Fault::Lose, &scenario);
    assert_eq!(status, 1, "{report}");
    assert_eq!(report["verified"]["lost"], 4, "all in flight");
    assert!(report["warnings"].to_string().contains("--patience"), "{report}");
}

#[test]
fn repeated_events_and_results() {
    check(Fault::Repeat, &FANOUT, "duplicate");
    check(Fault::Repeat, &RPC, "duplicate");
}

#[test]
fn events_out_of_order() {
    check(Fault::Delay, &FANOUT, "out_of_order");
}

#[test]
fn changed_events_and_results() {
    check(Fault::Change, &FANOUT, "corrupt");
    check(Fault::Change, &RPC, "corrupt");
}

#[test]
fn a_connection_that_ends() {
    for scenario in [&FANOUT[..], &RPC] {
        let (status, report) = run(Fault::Hang, scenario);
        assert_eq!(status, 1, "{report}");
        assert!(
            report["warnings"][0].as_str().unwrap().contains("connection"),
            "{report}"
        );
    }
}

/// At a fixed rate, a stall of 0.4 s in one second is felt by far more than a tenth of all messages. Were latency
/// counted from when a message was really sent, only those under way would show it.
#[test]
fn a_stall_shows_in_the_latency_of_all_that_it_held_up() {
    for scenario in [&FANOUT[..], &RPC] {
        let (status, report) = run(Fault::Stall, scenario);
        assert_eq!(status, 0, "{report}");
        let p90 = report["phases"][0]["latency"]["p90_us"].as_f64().unwrap();
        assert!(p90 > STALL.as_micros() as f64 / 4.0, "{report}");
    }
}

#[test]
fn sessions_are_counted() {
    let (status, report) = run(
        Fault::None,
        &["connect", "-n", "50", "--idle", "10ms", "--subscribe", "shared"],
    );
    assert_eq!(status, 0, "{report}");
    assert_eq!(report["phases"][0]["count"], 50, "{report}");
}
