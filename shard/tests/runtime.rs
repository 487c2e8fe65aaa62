//! Shards on real executors.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "glommio")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crosspoint_core::ids::ShardId;
use crosspoint_shard::rt::{self, Runtime, Watcher};
use crosspoint_shard::{Mesh, MeshLimits, ShardRc};
use serde_json::{Value, json};
use support::live::{Client, options};

const PATIENCE: Duration = Duration::from_secs(20);

fn start<Serve, Task, Done>(shards: u16, serve: Serve) -> Runtime
where
    Serve: FnMut(ShardId) -> Task,
    Task: FnOnce(ShardRc, Watcher) -> Done + Send + 'static,
    Done: Future<Output = ()> + 'static,
{
    let (_, mailboxes) = Mesh::new(shards, MeshLimits::default());
    rt::start(&options(), mailboxes, serve).unwrap()
}

fn collect<T>(from: &Receiver<T>, count: usize) -> Vec<T> {
    (0..count)
        .map(|_| from.recv_timeout(PATIENCE).expect("a report in time"))
        .collect()
}

/// Answers GOODBYE and waits for the end.
async fn leave(mut client: Client) {
    while let Some(message) = client.next().await {
        if message[0] == 6 {
            client.send(&json!([6, {}, "wamp.close.goodbye_and_out"]));
        }
    }
}

/// Subscribes, reports that, and reports the numbers in the events.
async fn subscriber(shard: ShardRc, events: u64, report: Sender<Vec<u64>>) {
    let mut client = Client::join(&shard).await;
    assert_eq!(client.ask(&json!([32, 1, {}, "com.topic"])).await[0], 33);
    report.send(Vec::new()).unwrap();
    let mut numbers = Vec::new();
    for _ in 0..events {
        numbers.push(client.next().await.unwrap()[4][0].as_u64().unwrap());
    }
    report.send(numbers).unwrap();
    leave(client).await;
}

async fn publisher(shard: ShardRc, events: u64, go: Go) {
    let mut client = Client::join(&shard).await;
    go.wait().await;
    for number in 1..=events {
        client.send(&json!([16, number, {}, "com.topic", [number]]));
        if number % 7 == 0 {
            rt::reactor_turn().await;
        }
    }
    leave(client).await;
}

/// A flag that the test's thread sets and tasks wait for.
#[derive(Clone, Default)]
struct Go(Arc<AtomicBool>);

impl Go {
    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    async fn wait(&self) {
        while !self.0.load(Ordering::Acquire) {
            rt::reactor_turn().await;
        }
    }
}

#[test]
fn four_shards_on_any_number_of_cores_deliver_in_order_and_drain() {
    const EVENTS: u64 = 1000;
    let (report, reports) = channel();
    let go = Go::default();
    let started = go.clone();
    let runtime = start(4, move |_| {
        let (report, go) = (report.clone(), started.clone());
        move |shard: ShardRc, _: Watcher| async move {
            if shard.borrow().id() == ShardId(0) {
                glommio::spawn_local(publisher(ShardRc::clone(&shard), EVENTS, go)).detach();
            }
            for _ in 0..3 {
                glommio::spawn_local(subscriber(ShardRc::clone(&shard), EVENTS, report.clone())).detach();
            }
        }
    });
    collect(&reports, 12);
    go.set();
    for numbers in collect(&reports, 12) {
        assert_eq!(numbers, (1..=EVENTS).collect::<Vec<_>>());
    }
    let counters: Vec<_> = runtime.counters().cloned().collect();
    let publications: Vec<_> = (1..4).map(|to| counters[0].posts[to].messages.get()).collect();
    // The publications, and a few acknowledgements of subscriptions, which differ with the owner of the key.
    assert!(
        publications
            .iter()
            .all(|&count| (EVENTS..EVENTS + 20).contains(&count)),
        "{publications:?}"
    );
    let begin = Instant::now();
    runtime.shutdown(PATIENCE).unwrap();
    assert!(
        begin.elapsed() < PATIENCE / 2,
        "sessions that leave are not waited for"
    );
}

#[test]
fn a_client_that_ignores_goodbye_does_not_hold_up_the_end() {
    let (report, reports) = channel();
    let runtime = start(2, move |_| {
        let report = report.clone();
        move |shard: ShardRc, _: Watcher| async move {
            let mut client = Client::join(&shard).await;
            report.send(()).unwrap();
            while client.next().await.is_some() {}
        }
    });
    collect(&reports, 2);
    let begin = Instant::now();
    runtime.shutdown(Duration::from_millis(100)).unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(100));
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

/// The timer task sleeps until a deadline seconds away when a nearer one comes up.
#[test]
fn a_deadline_nearer_than_planned_is_met() {
    let (report, reports) = channel::<(Duration, Value)>();
    let runtime = start(2, move |id| {
        let report = report.clone();
        move |shard: ShardRc, _: Watcher| async move {
            let mut client = Client::join(&shard).await;
            if id == ShardId(0) {
                assert_eq!(client.ask(&json!([64, 1, {}, "com.silent"])).await[0], 65);
            } else {
                let answer = loop {
                    let begin = Instant::now();
                    let answer = client.ask(&json!([48, 1, {"timeout": 30}, "com.silent"])).await;
                    // Until the callee has registered.
                    if answer[4] != "wamp.error.no_such_procedure" {
                        break (begin.elapsed(), answer);
                    }
                    rt::reactor_turn().await;
                };
                report.send(answer).unwrap();
            }
            leave(client).await;
        }
    });
    let (elapsed, answer) = collect(&reports, 1).remove(0);
    assert_eq!(answer[4], "wamp.error.timeout", "{answer}");
    assert!(elapsed >= Duration::from_millis(30), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
    runtime.shutdown(PATIENCE).unwrap();
}

#[test]
fn a_task_that_keeps_its_shard_shows_as_latency() {
    const KEPT: Duration = Duration::from_millis(300);
    let go = Go::default();
    let started = go.clone();
    let runtime = start(1, move |_| {
        let go = started.clone();
        move |_, _| async move {
            go.wait().await;
            std::thread::sleep(KEPT);
        }
    });
    go.set();
    let end = Instant::now() + PATIENCE;
    let mut longest = Duration::ZERO;
    while longest < KEPT / 2 {
        assert!(Instant::now() < end, "the longest is {longest:?}");
        longest = longest.max(runtime.take_latency_max().max().unwrap());
    }
    runtime.shutdown(PATIENCE).unwrap();
}

#[test]
fn a_reactor_turn_lets_other_tasks_and_events_through() {
    let (report, reports) = channel();
    let runtime = start(1, move |_| {
        let report = report.clone();
        move |_, _| async move {
            // Foreign wake-ups and timers come in with the reactor only.
            let timer = glommio::spawn_local(glommio::timer::sleep(Duration::from_millis(1))).detach();
            let begin = Instant::now();
            let mut turns = 0;
            while begin.elapsed() < Duration::from_millis(20) {
                rt::reactor_turn().await;
                turns += 1;
            }
            timer.await;
            report.send((begin.elapsed(), turns)).unwrap();
        }
    });
    let (elapsed, turns) = collect(&reports, 1)[0];
    assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
    assert!(turns > 10, "{turns} turns in 20 ms");
    runtime.shutdown(PATIENCE).unwrap();
}
