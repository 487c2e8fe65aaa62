//! The tasks that drive a shard.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};
use std::task::Poll;
use std::time::Duration;

use crosspoint_core::ids::ShardId;
use crosspoint_core::router::Router;
use glommio::spawn_local;
use glommio::timer::{Timer, sleep};

use super::Report;
use super::start::Seat;
use crate::clock::{Clock, MonotonicClock};
use crate::config::SLICE;
use crate::counters::Counters;
use crate::heartbeat::{Pulse, Stage};
use crate::mesh::Mailbox;
use crate::shard::{Flushed, Shard, ShardRc, Signals};
use crate::signal::{Event, Signal};

/// Until a post that a full mailbox did not take is tried again.
const HELD_POSTS_RETRY: Duration = Duration::from_millis(1);

/// How long an ending shard goes on writing what is queued, and waits for its transports to close.
pub(super) const LAST_WRITES: Duration = Duration::from_millis(100);

/// A shard's main task: sets the others going, answers the heartbeat, and ends the shard.
pub(super) async fn drive<Task, Done>(seat: Seat<Task>, pulse: &Pulse, ready: &SyncSender<Arc<Counters>>)
where
    Task: FnOnce(ShardRc) -> Done,
    Done: Future<Output = ()> + 'static,
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
    let shard = Shard::new(id, mesh, router, Box::new(clock), options.shard);
    let (signals, counters) = (shard.signals(), Arc::clone(shard.counters()));
    let shard = Rc::new(RefCell::new(shard));
    let ended = Rc::new(Event::default());
    let tasks = [
        spawn_local(pump(Rc::clone(&shard), mailbox, Rc::clone(&ended))).detach(),
        spawn_local(flush(Rc::clone(&shard), Rc::clone(&signals), Rc::clone(&ended))).detach(),
        spawn_local(timers(Rc::clone(&shard), signals, Rc::clone(&ended))).detach(),
    ];
    spawn_local(serve(Rc::clone(&shard))).detach();
    if ready.send(counters).is_err() {
        return;
    }
    answer_beats(&shard, pulse, &clock, &reporter).await;
    finish(&shard, &clock).await;
    ended.set();
    for task in tasks {
        task.await;
    }
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
                shard.begin_shutdown();
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
        sleep(HELD_POSTS_RETRY).await;
    }
}

/// The mailbox pump.
async fn pump(shard: ShardRc, mut mailbox: Mailbox, ended: Rc<Event>) {
    while unless(&ended, poll_fn(|cx| mailbox.poll_mail(cx)))
        .await
        .is_some()
    {
        let more = shard.borrow_mut().take_mail(&mut mailbox, SLICE);
        if more {
            reactor_turn().await;
        }
    }
}

/// The flusher. Woken at the first thing that is queued, it runs behind all readers that were woken in the same
/// turn: under load, much is queued by then for each connection and each shard.
async fn flush(shard: ShardRc, signals: Rc<Signals>, ended: Rc<Event>) {
    while unless(&ended, signals.flush.taken()).await.is_some() {
        loop {
            let flushed = shard.borrow_mut().flush(SLICE);
            match flushed {
                Flushed::All => break,
                Flushed::More => reactor_turn().await,
                Flushed::Held => wait(Some(HELD_POSTS_RETRY), &signals.flush).await,
            }
            if ended.is_set() {
                return;
            }
        }
    }
}

async fn timers(shard: ShardRc, signals: Rc<Signals>, ended: Rc<Event>) {
    loop {
        let after = shard.borrow_mut().plan();
        if unless(&ended, wait(after, &signals.timer)).await.is_none() {
            return;
        }
        let expired = shard.borrow_mut().run_timers();
        for wire in expired {
            wire.timer();
        }
    }
}

/// What `future` brings, unless the end comes first.
async fn unless<T>(ended: &Event, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match ended.poll_set(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => future.as_mut().poll(cx).map(Some),
    })
    .await
}

/// Waits for the signal, or for the time if there is one.
async fn wait(after: Option<Duration>, signal: &Signal) {
    let mut timer = after.map(Timer::new);
    poll_fn(|cx| match (signal.poll_taken(cx), &mut timer) {
        (Poll::Pending, Some(timer)) => Pin::new(timer).poll(cx).map(drop),
        (taken, _) => taken,
    })
    .await;
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
