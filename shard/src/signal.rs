//! How the parts of one shard wake each other's tasks; never across threads.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// "There is something to do", for one task that does it. Raised any number of times, it is taken once.
#[derive(Debug, Default)]
pub struct Signal {
    raised: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Signal {
    /// Wakes the task, now or before it waits the next time.
    pub fn raise(&self) {
        if !self.raised.replace(true)
            && let Some(waiter) = self.waiter.take()
        {
            waiter.wake();
        }
    }

    /// Takes it; whether it was raised since it was last taken.
    pub fn take(&self) -> bool {
        self.raised.take()
    }

    /// Ready if it was raised since it was last taken.
    pub fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.take() {
            return Poll::Ready(());
        }
        self.waiter.replace(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Waits until it is raised, and takes it.
    pub async fn taken(&self) {
        poll_fn(|cx| self.poll_taken(cx)).await;
    }
}

/// Something that happens once and that any number of tasks wait for.
#[derive(Debug, Default)]
pub struct Event {
    happened: Cell<bool>,
    waiters: RefCell<Vec<Waker>>,
}

impl Event {
    /// It happens. Calling this again does nothing.
    pub fn set(&self) {
        self.happened.set(true);
        for waiter in self.waiters.take() {
            waiter.wake();
        }
    }

    /// Whether it happened.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.happened.get()
    }

    /// Ready once it happened.
    pub fn poll_set(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.happened.get() {
            return Poll::Ready(());
        }
        let mut waiters = self.waiters.borrow_mut();
        if !waiters.iter().any(|waiter| waiter.will_wake(cx.waker())) {
            waiters.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits until it happened.
    pub async fn wait(&self) {
        poll_fn(|cx| self.poll_set(cx)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_signal_raised_often_is_taken_once() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let signal = Signal::default();
        assert!(signal.poll_taken(&mut cx).is_pending());
        signal.raise();
        signal.raise();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(signal.poll_taken(&mut cx).is_ready());
        assert!(signal.poll_taken(&mut cx).is_pending());
    }

    #[test]
    fn an_event_wakes_each_waiter_and_stays_set() {
        let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
        let event = Event::default();
        for count in &counts {
            let waker = Waker::from(Arc::clone(count));
            assert!(event.poll_set(&mut Context::from_waker(&waker)).is_pending());
            assert!(event.poll_set(&mut Context::from_waker(&waker)).is_pending());
        }
        event.set();
        event.set();
        assert!(counts.iter().all(|count| count.0.load(Ordering::Relaxed) == 1));
        assert!(event.poll_set(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
