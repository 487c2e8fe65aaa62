//! A thread that wakes every shard now and then, to see that it turns.
//!
//! glommio 0.9 can park an executor that has tasks to run; only an event from outside gets it going again. The
//! rules in [`rt`](crate::rt) keep the conditions for that away, and a beat every few milliseconds makes it
//! harmless should it happen all the same: it costs one beat. Answers to beats measure how long a shard needs to
//! come round, and find one that is stuck.
//!
//! Invariants: a shard that is idle is left in peace but for a slow beat. A beat that is not answered is
//! repeated, since the parked executor may hold the first one in its queue; but the number of wake-ups without
//! an answer is bounded far below what glommio's 16-bit reference count of a task can take.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crosspoint_core::ids::ShardId;
use crosspoint_core::time::Time;

use crate::clock::{Clock, MonotonicClock};
use crate::counters::Counters;

/// Between beats of a shard that did something since the last one.
const BUSY_BEAT: Duration = Duration::from_millis(5);

/// Between beats of a shard that did nothing.
const IDLE_BEAT: Duration = Duration::from_millis(100);

/// A shard that does not answer for this long is reported.
const STUCK: Duration = Duration::from_secs(1);

/// From then on, between repeated beats.
const STUCK_BEAT: Duration = Duration::from_secs(1);

/// Most wake-ups without an answer.
const UNANSWERED_MAX: u16 = 10_000;

/// What a shard is to do, as far as its control thread is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Serve.
    Run = 0,
    /// Say GOODBYE and report when nobody is left.
    Drain = 1,
    /// Write what can be written and end.
    End = 2,
}

/// Where one shard and the control thread meet.
#[derive(Debug)]
pub(crate) struct Pulse {
    stage: AtomicU8,
    /// A beat waits for its answer.
    asked: AtomicBool,
    /// When it was sent, in nanoseconds.
    asked_at: AtomicU64,
    latency_max: AtomicU64,
    /// Of the shard's task. Held while waking, so that nobody wakes a task whose executor is gone.
    waker: Mutex<Option<Waker>>,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self {
            stage: AtomicU8::new(Stage::Run as u8),
            asked: AtomicBool::new(false),
            asked_at: AtomicU64::new(0),
            latency_max: AtomicU64::new(0),
            waker: Mutex::new(None),
        }
    }

    /// Moves the shard on; it hears of it with its next beat.
    pub(crate) fn advance(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::Release);
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Run,
            1 => Stage::Drain,
            _ => Stage::End,
        }
    }

    /// The longest time that the shard took to answer since this was last called.
    pub(crate) fn take_latency_max(&self) -> Duration {
        Duration::from_nanos(self.latency_max.swap(0, Ordering::Relaxed))
    }

    /// Wakes the shard's task, if there is one.
    pub(crate) fn beat(&self, now: Time) {
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            if !self.asked.load(Ordering::Relaxed) {
                self.asked_at.store(now.0, Ordering::Relaxed);
                self.asked.store(true, Ordering::Release);
            }
            waker.wake_by_ref();
        }
    }

    /// How long the current beat has waited for its answer.
    fn unanswered(&self, now: Time) -> Option<Duration> {
        let asked = self.asked.load(Ordering::Acquire);
        asked.then(|| Time(self.asked_at.load(Ordering::Relaxed)).until(now))
    }

    /// The shard's side: ready at each beat, which it answers.
    pub(crate) fn poll_beat(&self, cx: &mut Context<'_>, clock: &impl Clock) -> Poll<()> {
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        // Read before the flag is cleared, after which the next beat may overwrite it.
        let asked_at = Time(self.asked_at.load(Ordering::Relaxed));
        if !self.asked.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        drop(waker);
        let latency = asked_at.until(clock.now()).as_nanos();
        self.latency_max
            .fetch_max(u64::try_from(latency).unwrap_or(u64::MAX), Ordering::Relaxed);
        Poll::Ready(())
    }

    /// The shard's side: there is no task to wake any more.
    pub(crate) fn end(&self) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The control thread; ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    pub(crate) fn start(
        clock: MonotonicClock,
        shards: impl IntoIterator<Item = (ShardId, Arc<Pulse>, Arc<Counters>)>,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let now = clock.now();
        let shards = shards.into_iter();
        let patients = shards
            .map(|(id, pulse, counters)| Patient::new(id, pulse, counters, now))
            .collect();
        let thread = Builder::new()
            .name("heartbeat".to_owned())
            .spawn(move || watch(clock, patients, &stopped))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to say but that it panicked, which was printed.
            let _ = thread.join();
        }
    }
}

fn watch(clock: MonotonicClock, mut patients: Vec<Patient>, stopped: &Receiver<()>) {
    loop {
        let now = clock.now();
        let next = patients.iter_mut().map(|patient| patient.look_after(now)).min();
        let wait = now.until(next.unwrap_or_else(|| now.after(IDLE_BEAT)));
        if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// One shard, as the control thread sees it.
struct Patient {
    id: ShardId,
    pulse: Arc<Pulse>,
    counters: Arc<Counters>,
    activity: u64,
    /// When the next beat is due if the shard stays as it is.
    next: Time,
    unanswered: u16,
    reported: bool,
}

impl Patient {
    fn new(id: ShardId, pulse: Arc<Pulse>, counters: Arc<Counters>, now: Time) -> Self {
        Self {
            id,
            pulse,
            activity: counters.activity(),
            counters,
            next: now,
            unanswered: 0,
            reported: false,
        }
    }

    /// Sends a beat if one is due, and says when to look again.
    fn look_after(&mut self, now: Time) -> Time {
        let activity = self.counters.activity();
        let busy = activity != self.activity || self.pulse.stage() != Stage::Run;
        self.activity = activity;
        let waiting = self.pulse.unanswered(now);
        let stuck = waiting.is_some_and(|waiting| waiting >= STUCK);
        self.report(stuck, waiting.unwrap_or_default());
        if busy || waiting.is_some() && !stuck {
            self.next = self.next.min(now);
        }
        if self.next <= now {
            self.unanswered = if waiting.is_none() { 0 } else { self.unanswered + 1 };
            if self.unanswered < UNANSWERED_MAX {
                self.pulse.beat(now);
            } else {
                self.unanswered = UNANSWERED_MAX - 1;
            }
            let pace = if stuck {
                STUCK_BEAT
            } else if busy || waiting.is_some() {
                BUSY_BEAT
            } else {
                IDLE_BEAT
            };
            self.next = now.after(pace);
        }
        self.next
    }

    fn report(&mut self, stuck: bool, waiting: Duration) {
        if stuck && !self.reported {
            tracing::error!(
                shard = self.id.0,
                ?waiting,
                "shard does not turn: one task keeps it, or its core is taken"
            );
        } else if self.reported && !stuck {
            tracing::warn!(shard = self.id.0, "shard turns again");
        }
        self.reported = stuck;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct At(Time);

    impl Clock for At {
        fn now(&self) -> Time {
            self.0
        }
    }

    fn ms(ms: u64) -> Time {
        Time::default().after(Duration::from_millis(ms))
    }

    /// A shard whose task answers when the test lets it.
    struct Scene {
        patient: Patient,
        wakes: Arc<Wakes>,
    }

    impl Scene {
        fn new() -> Self {
            let patient = Patient::new(
                ShardId(0),
                Arc::new(Pulse::new()),
                Arc::new(Counters::new(1)),
                Time::default(),
            );
            let scene = Self {
                patient,
                wakes: Arc::default(),
            };
            assert!(scene.answer(ms(0)).is_pending());
            scene
        }

        fn answer(&self, now: Time) -> Poll<()> {
            let waker = Waker::from(Arc::clone(&self.wakes));
            self.patient
                .pulse
                .poll_beat(&mut Context::from_waker(&waker), &At(now))
        }

        /// Looks after the shard at each millisecond; the number of wake-ups.
        fn pass(&mut self, from_ms: u64, until_ms: u64, answers: bool, busy: bool) -> usize {
            let before = self.wakes.0.load(Ordering::Relaxed);
            for now in from_ms..until_ms {
                if busy {
                    self.patient.counters.received.one();
                }
                if now == from_ms || ms(now) >= self.patient.next {
                    self.patient.look_after(ms(now));
                    if answers {
                        assert!(self.answer(ms(now)).is_ready());
                    }
                }
            }
            self.wakes.0.load(Ordering::Relaxed) - before
        }
    }

    #[test]
    fn an_idle_shard_is_left_in_peace_and_a_busy_one_is_not() {
        let mut scene = Scene::new();
        assert_eq!(scene.pass(0, 1000, true, false), 10);
        assert_eq!(scene.pass(1000, 2000, true, true), 200);
    }

    #[test]
    fn a_beat_without_answer_is_repeated_soon_and_then_seldom() {
        let mut scene = Scene::new();
        assert_eq!(scene.pass(0, 50, false, false), 1);
        assert_eq!(scene.pass(50, 1000, false, false), 190);
        assert!(scene.pass(1000, 101_000, false, false) <= 101);
        assert!(scene.patient.reported);
        assert!(scene.answer(ms(101_000)).is_ready());
        assert_eq!(scene.patient.pulse.take_latency_max(), Duration::from_secs(101));
        scene.patient.look_after(ms(102_000));
        assert!(!scene.patient.reported);
    }

    #[test]
    fn a_shard_that_ended_is_not_woken() {
        let mut scene = Scene::new();
        scene.patient.pulse.end();
        assert_eq!(scene.pass(0, 1000, false, true), 0);
    }

    #[test]
    fn stages_only_go_forward() {
        let pulse = Pulse::new();
        pulse.advance(Stage::End);
        pulse.advance(Stage::Drain);
        assert_eq!(pulse.stage(), Stage::End);
    }
}
