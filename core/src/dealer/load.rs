//! How busy callees are, and the calls that wait for one that is not.
//!
//! Loads and queues are shared by all shards, so that a limit is one limit and a queue one queue. They exist only
//! for registrations that ask for them. A place with a callee is taken by the caller's shard when it chooses the
//! callee, and given back by it when the call ends, however that happens; with calls waiting, the place goes to the
//! first of them.
//!
//! Invariant: while calls wait in a queue, all callees of its registration are busy, but for those whose REGISTERED is
//! still to come. So a call that finds others waiting may wait behind them: whoever gives a place back, and every new
//! callee at its REGISTERED, hands on what is free. For this all callees of a registration with a queue have a load, also
//! those without a limit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ids::CallKey;

/// How busy one callee is with one registration.
#[derive(Debug)]
pub struct Load {
    open: AtomicU32,
    /// 0 once the callee does not serve the registration any more.
    most: AtomicU32,
    queue: Option<Arc<Queue>>,
}

impl Load {
    pub(super) fn new(most: Option<u32>, queue: Option<Arc<Queue>>) -> Self {
        Self {
            open: AtomicU32::new(0),
            most: AtomicU32::new(most.unwrap_or(u32::MAX)),
            queue,
        }
    }

    /// Calls that the callee works on.
    pub(super) fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn is_full(&self) -> bool {
        self.open() >= self.most.load(Ordering::Relaxed)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.most.load(Ordering::Relaxed) == 0
    }

    /// Takes a place, if there is one.
    pub(super) fn enter(&self) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        let next = |open| (open < most).then_some(open + 1);
        self.open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok()
    }

    /// Gives a place back, or to the call that waits first, which is returned.
    pub(super) fn leave(&self) -> Option<CallKey> {
        let mut waiting = self.queue.as_ref().map(|queue| queue.lock());
        let next = waiting
            .as_mut()
            .filter(|_| !self.is_gone())
            .and_then(|waiting| waiting.pop());
        if next.is_none() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        next
    }

    /// The callee does not serve the registration any more.
    pub(super) fn close(&self) {
        self.most.store(0, Ordering::Relaxed);
    }
}

/// The calls that wait for any callee of a registration, in the order in which they get one.
#[derive(Debug)]
pub struct Queue {
    limit: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    calls: BTreeMap<QueuePlace, CallKey>,
    last_number: u64,
    is_closed: bool,
}

/// Where a call is in a queue: lower ones have their turn before. None is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueuePlace {
    /// Not of those that came back from a callee that was gone: they had their turn before all others.
    is_new: bool,
    number: u64,
}

impl Waiting {
    fn pop(&mut self) -> Option<CallKey> {
        self.calls.pop_first().map(|(_, call)| call)
    }
}

/// What came of joining a queue.
pub(super) enum Joined<T> {
    /// It is in.
    Waits(QueuePlace),
    /// There was a place after all.
    Found(T),
    /// As many wait as may.
    Full,
    /// The registration has no callees any more.
    Closed,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            waiting: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock, and the queue would be whole if it did.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether calls wait. Another shard may change that at once.
    pub(super) fn is_used(&self) -> bool {
        !self.lock().calls.is_empty()
    }

    /// Puts a call behind all that were there before it; `has_returned` if it had its turn already, and its callee was
    /// gone. Where there is no such call, `find` may find a place, which others can only give back before or after.
    pub(super) fn join<T>(
        &self,
        call: CallKey,
        has_returned: bool,
        find: impl FnOnce() -> Option<T>,
    ) -> Joined<T> {
        let mut waiting = self.lock();
        if waiting.is_closed {
            return Joined::Closed;
        }
        let first = waiting.calls.first_key_value();
        let is_next = first.is_none_or(|(first, _)| has_returned && first.is_new);
        if let Some(found) = is_next.then(find).flatten() {
            return Joined::Found(found);
        }
        if waiting.calls.len() >= self.limit {
            return Joined::Full;
        }
        waiting.last_number += 1;
        let place = QueuePlace {
            is_new: !has_returned,
            number: waiting.last_number,
        };
        waiting.calls.insert(place, call);
        Joined::Waits(place)
    }

    /// Takes a call out that does not wait any more.
    pub(super) fn quit(&self, place: QueuePlace) {
        self.lock().calls.remove(&place);
    }

    /// The first call, if there is one and a new callee has a place for it.
    pub(super) fn next_for(&self, load: &Load) -> Option<CallKey> {
        let mut waiting = self.lock();
        if waiting.calls.is_empty() || !load.enter() {
            return None;
        }
        waiting.pop()
    }

    /// The registration has no callees any more: nothing joins, and all that waited have to look elsewhere.
    pub(super) fn close(&self) -> Vec<CallKey> {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        std::mem::take(&mut waiting.calls).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ShardId;

    fn call(slot: u32) -> CallKey {
        CallKey {
            shard: ShardId(0),
            slot,
            generation: 0,
        }
    }

    #[test]
    fn places_are_taken_and_given_back() {
        let load = Load::new(Some(2), None);
        assert!(load.enter() && load.enter() && !load.enter());
        assert_eq!((load.leave(), load.open()), (None, 1));
        load.close();
        assert!(load.is_gone() && load.is_full() && !load.enter());
    }

    #[test]
    fn a_place_goes_to_the_first_that_waits() {
        let queue = Arc::new(Queue::new(2));
        let load = Load::new(Some(1), Some(Arc::clone(&queue)));
        let find = || load.enter().then_some(());
        assert!(matches!(queue.join(call(1), false, find), Joined::Found(())));
        let Joined::Waits(second) = queue.join(call(2), false, find) else {
            panic!("there is a place in the queue");
        };
        assert!(matches!(queue.join(call(3), false, find), Joined::Waits(_)));
        assert!(matches!(queue.join(call(4), false, find), Joined::Full));
        queue.quit(second);
        queue.quit(second);
        assert_eq!((load.leave(), load.open()), (Some(call(3)), 1));
        assert_eq!((load.leave(), load.open()), (None, 0));
        assert_eq!(queue.next_for(&load), None);
        assert_eq!(load.open(), 0);
    }

    #[test]
    fn a_callee_that_is_gone_gives_no_place_on() {
        let queue = Arc::new(Queue::new(9));
        let load = Load::new(Some(1), Some(Arc::clone(&queue)));
        assert!(load.enter());
        assert!(matches!(
            queue.join(call(1), false, || None::<()>),
            Joined::Waits(_)
        ));
        load.close();
        assert_eq!((load.leave(), load.open()), (None, 0));
        let other = Load::new(Some(1), Some(Arc::clone(&queue)));
        assert_eq!(queue.next_for(&other), Some(call(1)));
        assert!(matches!(
            queue.join(call(2), false, || None::<()>),
            Joined::Waits(_)
        ));
        assert_eq!(queue.close(), [call(2)]);
        assert!(matches!(
            queue.join(call(3), false, || None::<()>),
            Joined::Closed
        ));
    }

    #[test]
    fn nobody_takes_a_place_past_those_that_wait() {
        let queue = Arc::new(Queue::new(9));
        let load = Load::new(Some(1), Some(Arc::clone(&queue)));
        let join = |number, has_returned| {
            let find = || load.enter().then_some(());
            matches!(queue.join(call(number), has_returned, find), Joined::Waits(_))
        };
        assert!(load.enter() && join(1, false) && join(2, true) && !queue.lock().is_closed);
        assert_eq!(load.leave(), Some(call(2)));
        // A place that nobody has handed on yet.
        load.open.store(0, Ordering::Relaxed);
        assert!(join(3, false) && load.open() == 0);
        // Who came back was before all of them, but not before others who did.
        assert!(!join(4, true) && join(5, true) && load.open() == 1);
        load.open.store(0, Ordering::Relaxed);
        assert!(join(6, true) && load.open() == 0);
        assert_eq!(queue.close(), [call(5), call(6), call(1), call(3)]);
    }
}
