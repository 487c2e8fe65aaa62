//! That executors never sleep on work: glommio 0.9 can park one that has tasks to run (see `crosspoint_shard::rt`,
//! whose rules and heartbeat are under test here).
//!
//! Calls go from one shard to a callee on the other and back, in closed loops, so that both executors fall asleep
//! and wake all the time. A round trip of more than 100 ms that the machine does not account for fails the test.
//! What the machine accounts for: time that the executors' threads were runnable but did not run (the kernel's
//! `run_delay`), and time that a third thread, which only sleeps for a millisecond at a time, overslept (then the
//! whole machine was taken away). An executor that sleeps by mistake is in neither.
//!
//! `CROSSPOINT_PARK_SECONDS` sets how long it runs; 20 by default.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "glommio")]

mod support;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crosspoint_core::ids::ShardId;
use crosspoint_shard::rt::Watcher;
use crosspoint_shard::{Mesh, MeshLimits, ShardRc, rt};
use serde_json::json;
use support::live::{Client, options};

/// Closed loops at a time: alone, the executors sleep most; together, they meet awake and asleep.
const LOOPS: [usize; 3] = [1, 4, 16];
const STALL: Duration = Duration::from_millis(100);
const NAP: Duration = Duration::from_millis(1);

/// One round trip.
#[derive(Clone, Copy)]
struct Trip {
    begin: Instant,
    took: Duration,
}

/// What the machine had taken away at a moment.
struct Sample {
    at: Instant,
    /// Of both executors' threads, since they began.
    run_delay: Duration,
    /// Of the sampling thread since the sample before.
    overslept: Duration,
}

/// Time that the threads spent runnable without running.
fn run_delay(threads: &[i32]) -> Duration {
    let of = |thread: &i32| -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
        stat.split_whitespace().nth(1)?.parse().ok()
    };
    Duration::from_nanos(threads.iter().filter_map(of).sum())
}

fn sample(threads: &Mutex<Vec<i32>>, stop: &AtomicBool) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(NAP);
        let at = Instant::now();
        let since = samples.last().map_or(NAP, |last| at - last.at);
        let run_delay = run_delay(&threads.lock().unwrap());
        samples.push(Sample {
            at,
            run_delay,
            overslept: since.saturating_sub(2 * NAP),
        });
    }
    samples
}

/// How much of a round trip the machine accounts for.
fn accounted(trip: Trip, samples: &[Sample]) -> Duration {
    let end = trip.begin + trip.took;
    let first = samples
        .partition_point(|sample| sample.at < trip.begin)
        .saturating_sub(1);
    let after = samples
        .partition_point(|sample| sample.at < end)
        .min(samples.len() - 1);
    let window = &samples[first..=after];
    let waited = window[window.len() - 1]
        .run_delay
        .saturating_sub(window[0].run_delay);
    waited
        + window[1..]
            .iter()
            .map(|sample| sample.overslept)
            .sum::<Duration>()
}

async fn callee(shard: ShardRc, name: usize, ready: Sender<()>) {
    let mut client = Client::join(&shard).await;
    let registered = client.ask(&json!([64, 1, {}, format!("com.echo{name}")])).await;
    assert_eq!(registered[0], 65);
    ready.send(()).unwrap();
    while let Some(message) = client.next().await {
        match message[0].as_u64() {
            Some(68) => client.send(&json!([70, message[1], {}, message[4]])),
            _ => client.send(&json!([6, {}, "wamp.close.goodbye_and_out"])),
        }
    }
}

async fn caller(shard: ShardRc, name: usize, until: Instant, report: Sender<Vec<Trip>>) {
    let mut client = Client::join(&shard).await;
    let procedure = format!("com.echo{name}");
    let mut trips = Vec::new();
    let mut request = 0;
    while Instant::now() < until {
        request += 1;
        let begin = Instant::now();
        let answer = client.ask(&json!([48, request, {}, procedure, [request]])).await;
        trips.push(Trip {
            begin,
            took: begin.elapsed(),
        });
        assert_eq!((&answer[0], &answer[3][0]), (&json!(50), &json!(request)));
    }
    report.send(trips).unwrap();
}

/// The round trips of so many closed loops, with what the machine did meanwhile.
fn run(loops: usize, time: Duration) -> (Vec<Trip>, Vec<Sample>) {
    let (ready, is_ready) = channel();
    let (report, reports) = channel();
    let threads = Arc::new(Mutex::new(Vec::new()));
    let (_, mailboxes) = Mesh::new(2, MeshLimits::default());
    let begin = Arc::new(AtomicBool::new(false));
    let runtime = rt::start(&options(), mailboxes, |id| {
        let (ready, report) = (ready.clone(), report.clone());
        let (threads, begin) = (Arc::clone(&threads), Arc::clone(&begin));
        move |shard: ShardRc, _: Watcher| async move {
            threads
                .lock()
                .unwrap()
                .push(rustix::thread::gettid().as_raw_nonzero().get());
            if id == ShardId(1) {
                for name in 0..loops {
                    glommio::spawn_local(callee(ShardRc::clone(&shard), name, ready.clone())).detach();
                }
                return;
            }
            while !begin.load(Ordering::Acquire) {
                rt::reactor_turn().await;
            }
            let until = Instant::now() + time;
            for name in 0..loops {
                let caller = caller(ShardRc::clone(&shard), name, until, report.clone());
                glommio::spawn_local(caller).detach();
            }
        }
    })
    .unwrap();
    (0..loops).for_each(|_| is_ready.recv_timeout(Duration::from_secs(20)).unwrap());
    let stop = AtomicBool::new(false);
    let (trips, samples) = thread::scope(|scope| {
        let sampler = scope.spawn(|| sample(&threads, &stop));
        begin.store(true, Ordering::Release);
        // An executor that never wakes again would keep its reports.
        let patience = time + Duration::from_secs(20);
        let trips: Vec<_> = (0..loops).map(|_| reports.recv_timeout(patience)).collect();
        stop.store(true, Ordering::Relaxed);
        (trips, sampler.join().unwrap())
    });
    let trips = trips
        .into_iter()
        .flat_map(|trips| trips.expect("a loop ends"))
        .collect();
    runtime.shutdown(Duration::from_secs(5)).unwrap();
    (trips, samples)
}

#[test]
fn no_executor_sleeps_on_work() {
    let seconds = std::env::var("CROSSPOINT_PARK_SECONDS")
        .ok()
        .and_then(|value| value.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(20)) / LOOPS.len() as u32;
    for loops in LOOPS {
        let (mut trips, samples) = run(loops, time);
        let stalls: Vec<Duration> = trips
            .iter()
            .filter(|trip| trip.took > STALL / 10)
            .map(|&trip| trip.took.saturating_sub(accounted(trip, &samples)))
            .collect();
        trips.sort_unstable_by_key(|trip| trip.took);
        let quantile = |per_mille: usize| trips[(trips.len() - 1) * per_mille / 1000].took;
        println!(
            "{loops:2} loops: {} round trips, p50 {:?}, p99 {:?}, max {:?}; over 10 ms {}, of which the machine does not account for {:?}",
            trips.len(),
            quantile(500),
            quantile(990),
            quantile(1000),
            stalls.len(),
            stalls
                .iter()
                .filter(|stall| **stall > STALL / 10)
                .collect::<Vec<_>>(),
        );
        assert!(trips.len() > 1000, "too few round trips to show anything");
        let worst = stalls.into_iter().max().unwrap_or_default();
        assert!(
            worst <= STALL,
            "stalled for {worst:?} without the machine's doing"
        );
    }
}
