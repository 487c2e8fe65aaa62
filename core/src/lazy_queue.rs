//! A queue that most sessions never use: one pointer while it is empty.

use std::collections::VecDeque;

/// A queue whose memory goes with its last value.
#[allow(
    clippy::box_collection,
    reason = "a pointer is a quarter of what an empty queue takes"
)]
#[derive(Debug)]
pub(crate) struct LazyQueue<T>(Option<Box<VecDeque<T>>>);

impl<T> Default for LazyQueue<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> LazyQueue<T> {
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |queue| queue.len())
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.0.as_ref()?.front()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|queue| queue.iter())
    }

    pub(crate) fn push_back(&mut self, value: T) {
        self.0.get_or_insert_default().push_back(value);
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let queue = self.0.as_mut()?;
        let value = queue.pop_front();
        if queue.is_empty() {
            self.0 = None;
        }
        value
    }

    /// Takes out a value, which is most likely near the front.
    pub(crate) fn remove(&mut self, value: &T)
    where
        T: PartialEq,
    {
        let Some(queue) = &mut self.0 else {
            return;
        };
        if let Some(place) = queue.iter().position(|other| other == value) {
            queue.remove(place);
        }
        if queue.is_empty() {
            self.0 = None;
        }
    }

    /// Takes out what `wanted` wants, in its order.
    pub(crate) fn take_out(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for _ in 0..self.len() {
            if let Some(value) = self.pop_front() {
                if wanted(&value) {
                    taken.push(value);
                } else {
                    self.push_back(value);
                }
            }
        }
        taken
    }
}

impl<T> IntoIterator for LazyQueue<T> {
    type Item = T;
    type IntoIter = std::collections::vec_deque::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map(|queue| *queue).unwrap_or_default().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_queue_is_a_pointer() {
        let mut queue = LazyQueue::default();
        assert_eq!((queue.len(), queue.front()), (0, None));
        assert_eq!(queue.pop_front(), None);
        assert_eq!(size_of_val(&queue), size_of::<usize>());
        for value in 1..=6 {
            queue.push_back(value);
        }
        assert_eq!(queue.take_out(|value| value % 2 == 0), [2, 4, 6]);
        assert_eq!(queue.iter().copied().collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(queue.front(), Some(&1));
        assert_eq!((queue.pop_front(), queue.len()), (Some(1), 2));
        queue.push_back(9);
        queue.remove(&9);
        queue.remove(&10);
        assert_eq!(queue.take_out(|_| true), [3, 5]);
        assert!(queue.0.is_none());
        queue.push_back(1);
        queue.remove(&1);
        assert!(queue.0.is_none());
        assert_eq!(queue.into_iter().next(), None);
    }
}
