//! How long a publication takes to a subscriber on a shard that waits for work: posting it, waking the shard's
//! executor, and everything up to the write.
//!
//! Publisher and subscriber are on cores of their own where there are two. What is reported are medians: a machine that is
//! shared pauses threads for milliseconds now and then, and a mean would tell of nothing else.

use std::hint;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use crosspoint_bench::messages::{URI, encoded, hello, payload, publish, subscribe};
use crosspoint_bench::routers::{access, config};
use crosspoint_bench::shards::{FORMAT, Sink};
use crosspoint_codec::frame::Framing;
use crosspoint_core::ids::ShardId;
use crosspoint_core::router::Router;
use crosspoint_shard::rt::{self, Options, Watcher};
use crosspoint_shard::{
    Attach, Mailbox, Mesh, MeshLimits, MonotonicClock, SLICE, Shard, ShardConfig, ShardRc, Wire,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What a shard does that had nothing to do for this long.
const STATES: [(&str, Duration); 3] = [
    ("spins", Duration::from_micros(20)),
    ("waits_in_its_ring", Duration::from_micros(500)),
    ("sleeps", Duration::from_millis(5)),
];

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mesh_wake");
    group.sample_size(10).measurement_time(Duration::from_secs(1));
    for (name, gap) in STATES {
        let spin = if name == "spins" { rt::SPIN } else { Duration::ZERO };
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let mut hop = Hop::new(spin);
            bencher.iter_custom(|times| {
                let mut spans: Vec<Duration> = (0..times).map(|_| hop.take(gap)).collect();
                spans.sort_unstable();
                spans[spans.len() / 2] * u32::try_from(times).expect("few")
            });
        });
    }
    group.finish();
}

/// A transport that reports when it is written to.
struct Arrival(Sender<Instant>);

impl Wire for Arrival {
    fn write(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        // Nobody listens at the end of a run.
        let _ = self.0.send(Instant::now());
        Ok(bufs.iter().map(|buf| buf.len()).sum())
    }

    fn wait_writable(&self) {}

    fn close(&self) {}

    fn timer(&self) {}
}

/// A subscriber on a running shard, and a publisher on a member of the mesh that this thread drives.
struct Hop {
    near: (Shard, Mailbox),
    publisher: crosspoint_core::ids::ConnKey,
    arrivals: std::sync::mpsc::Receiver<Instant>,
    far: Option<rt::Runtime>,
    /// What this thread could run on.
    cpus: CpuSet,
}

impl Hop {
    fn new(spin: Duration) -> Self {
        let (mesh, mut mailboxes) = Mesh::new(2, MeshLimits::default());
        let (arrived, arrivals) = channel();
        let mailbox = mailboxes.pop().expect("two");
        let options = Options {
            router: config(),
            shard: ShardConfig::default(),
            seed: 1,
            spin,
            pin: true,
            storage: None,
        };
        let far = rt::start(&options, mailboxes, |_| {
            let arrived = arrived.clone();
            move |shard: ShardRc, _: Watcher| async move {
                let mut shard = shard.borrow_mut();
                let conn = shard.attach(attach(Rc::new(Arrival(arrived))));
                for message in [hello(), subscribe()] {
                    shard.receive(conn, encoded(FORMAT, &message));
                }
            }
        });
        let cpus = leave_first_cpu();
        let router = Router::new(ShardId(1), 2, config(), 2);
        let clock = Box::new(MonotonicClock::start());
        let mut shard = Shard::new(
            ShardId(1),
            Arc::clone(&mesh),
            router,
            clock,
            ShardConfig::default(),
        );
        let publisher = shard.attach(attach(Rc::<Sink>::default()));
        shard.receive(publisher, encoded(FORMAT, &hello()));
        let mut hop = Self {
            near: (shard, mailbox),
            publisher,
            arrivals,
            far: Some(far.expect("an executor")),
            cpus,
        };
        // WELCOME, and SUBSCRIBED once this member has acknowledged.
        for _ in 0..2 {
            while hop.arrivals.try_recv().is_err() {
                hop.turn();
                thread::yield_now();
            }
        }
        hop
    }

    fn turn(&mut self) {
        let (shard, mailbox) = &mut self.near;
        shard.take_mail(mailbox, SLICE);
        shard.flush(SLICE);
    }

    /// How long one publication takes after the shard had nothing to do for `gap`.
    fn take(&mut self, gap: Duration) -> Duration {
        let message = encoded(FORMAT, &publish(URI, payload(FORMAT, 128)));
        // Without a sleep, which would send this core to sleep as well.
        let rested = Instant::now() + gap;
        while Instant::now() < rested {
            hint::spin_loop();
        }
        let begin = Instant::now();
        self.near.0.receive(self.publisher, message);
        self.near.0.flush(SLICE);
        self.arrivals.recv().expect("an arrival").duration_since(begin)
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        if let Some(far) = self.far.take() {
            far.shutdown(Duration::from_secs(1)).expect("an end");
        }
        sched_setaffinity(None, &self.cpus).expect("processors");
    }
}

/// Keeps this thread off the processor that the first shard is pinned to. What it could run on before.
fn leave_first_cpu() -> CpuSet {
    let all = sched_getaffinity(None).expect("processors");
    let mut others = all;
    let mut usable = (0..CpuSet::MAX_CPU).filter(|&cpu| all.is_set(cpu));
    if let (Some(first), Some(_)) = (usable.next(), usable.next()) {
        others.unset(first);
        sched_setaffinity(None, &others).expect("a processor");
    }
    all
}

fn attach(wire: Rc<dyn Wire>) -> Attach {
    Attach {
        format: FORMAT,
        framing: Framing::WebSocket,
        deflate: None,
        access: access(),
        wire,
        peer_max_bytes: 1 << 24,
    }
}
