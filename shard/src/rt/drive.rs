//! A shard's executor from its start to its end.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};
use std::time::Duration;

use crosspoint_core::ids::ShardId;
use crosspoint_core::router::Router;
use glommio::spawn_local;
use glommio::timer::{Timer, sleep};

use super::Report;
use super::ring::{Ring, Watcher};
use super::start::Seat;
use super::turns::Turns;
use crate::clock::{Clock, MonotonicClock};
use crate::config::SLICE;
use crate::counters::Counters;
use crate::heartbeat::{Pulse, Stage};
use crate::shard::{Flushed, Shard, ShardRc};
use crate::signal::Event;

/// Between looks at whether the transports of an ending shard have closed.
const DRAIN_POLL: Duration = Duration::from_millis(1);

/// How long an ending shard goes on writing what is queued, and waits for its transports to close.
pub(super) const LAST_WRITES: Duration = Duration::from_millis(100);

/// A shard's main task: sets the others going, answers the heartbeat, and ends the shard.
pub(super) async fn drive<Task, Done>(
    seat: Seat<Task>,
    ring: Ring,
    pulse: &Pulse,
    ready: &SyncSender<io::Result<Arc<Counters>>>,
) where
    Task: FnOnce(ShardRc, Watcher) -> Done,
    Done: Future + 'static,
{
    let Seat {
        mailbox,
        serve,
        options,
        clock,
        reporter,
    } = seat;
    let (id, mesh) = (mailbox.shard(), Arc::clone(mailbox.mesh()));
    let _end = ReportEnd {
        id,
        pulse,
        reporter: reporter.clone(),
    };
    let seed = options.seed
        ^ u64::from(id.0)
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let router = Router::new(id, mesh.shards(), options.router, seed);
    let mut shard = Shard::new(id, mesh, router, Box::new(clock), options.shard);
    if let Some(storage) = options.storage {
        shard.restore(storage);
    }
    let counters = Arc::clone(shard.counters());
    let shard = Rc::new(RefCell::new(shard));
    let ended = Rc::new(Event::default());
    let watcher = ring.watcher().clone();
    let turns = Turns::new(Rc::clone(&shard), ring, mailbox, clock, options.spin);
    let turns = match turns {
        Ok(turns) => spawn_local(turns.run(Rc::clone(&ended))).detach(),
        Err(error) => {
            // Nobody listens if the one who starts shards went away.
            let _ = ready.send(Err(error));
            return;
        }
    };
    // What the transports need to live on is its result.
    let _served = spawn_local(serve(Rc::clone(&shard), watcher)).detach();
    if ready.send(Ok(counters)).is_err() {
        return;
    }
    answer_beats(&shard, pulse, &clock, &reporter).await;
    finish(&shard, &clock).await;
    ended.set();
    turns.await;
}

/// Answers the heartbeat and does what it says, until it says to end.
async fn answer_beats(shard: &ShardRc, pulse: &Pulse, clock: &MonotonicClock, reporter: &Sender<Report>) {
    let mut drained = false;
    loop {
        poll_fn(|cx| pulse.poll_beat(cx, clock)).await;
        match pulse.stage() {
            Stage::Run => {}
            Stage::Drain => {
                let mut shard = shard.borrow_mut();
                shard.ask_for_shutdown();
                if !drained && shard.is_drained() {
                    drained = true;
                    // Nobody listens if the one who shuts down went away, and then nobody needs to know.
                    let _ = reporter.send(Report::Drained(shard.id()));
                }
            }
            Stage::End => return,
        }
    }
}

/// Writes what the kernel takes at once, closes what is left, and lets the transports hear of it.
async fn finish(shard: &ShardRc, clock: &MonotonicClock) {
    shard.borrow_mut().begin_shutdown();
    let end = clock.now().after(LAST_WRITES);
    while shard.borrow_mut().flush(SLICE) != Flushed::All && clock.now() < end {
        reactor_turn().await;
    }
    shard.borrow_mut().abandon();
    let end = clock.now().after(LAST_WRITES);
    while !shard.borrow().is_drained() && clock.now() < end {
        sleep(DRAIN_POLL).await;
    }
}

/// Lets the reactor and all other tasks have their turn.
///
/// A glommio timer of no duration is ready when it is first polled, without a turn of the reactor, and yielding
/// does not turn it either. So this arms a timer for later and then makes it due, which the reactor finds.
pub async fn reactor_turn() {
    const LATER: Duration = Duration::from_secs(1);
    let mut timer = Timer::new(LATER);
    let mut armed = false;
    poll_fn(|cx| {
        if armed {
            return Pin::new(&mut timer).poll(cx).map(drop);
        }
        armed = true;
        let polled = Pin::new(&mut timer).poll(cx).map(drop);
        timer.reset(Duration::ZERO);
        polled
    })
    .await;
}

/// Reports the end of a shard's executor, however it comes about.
struct ReportEnd<'p> {
    id: ShardId,
    pulse: &'p Pulse,
    reporter: Sender<Report>,
}

impl Drop for ReportEnd<'_> {
    fn drop(&mut self) {
        self.pulse.end();
        // See `answer_beats`.
        let _ = self.reporter.send(Report::Ended(self.id));
    }
}
