//! How many connections a listener has, over all shards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The connections of one listener.
#[derive(Clone, Debug)]
pub(crate) struct Permits {
    held: Arc<AtomicUsize>,
    max: usize,
}

/// One connection's place, free again when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permits {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            held: Arc::default(),
            max,
        }
    }

    /// A place, if there is one left.
    pub(crate) fn take(&self) -> Option<Permit> {
        let taken = Permit(Arc::clone(&self.held));
        // The number publishes nothing else, so it needs no order.
        (self.held.fetch_add(1, Ordering::Relaxed) < self.max).then_some(taken)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_come_back() {
        let permits = Permits::new(2);
        let first = permits.take();
        let second = permits.take();
        assert!(first.is_some() && second.is_some());
        assert!(permits.take().is_none());
        assert!(permits.take().is_none(), "a refusal takes no place");
        drop(first);
        assert!(permits.take().is_some());
    }
}
