//! The calls of meta procedures that a session waits for.
//!
//! A question to all shards may bring the ids of all sessions or subscriptions there are. So a session has few of them under
//! way at a time, and further ones wait in their order: whoever sends many calls at once gets all answers, and what is
//! gathered for it is bounded.

use std::collections::VecDeque;

use super::question::{Conclude, Query};
use crate::error_uri as uri;
use crate::ids::RequestId;
use crate::payload::Payload;
use crate::router::Refusal;

/// Most questions of one session to all shards that are under way.
const AT_ONCE: usize = 4;

/// Most that wait behind them.
const WAITING: usize = 500;

/// Those of one session; nothing of most.
#[derive(Debug, Default)]
pub(crate) struct Asking(Option<Box<Open>>);

#[derive(Debug, Default)]
struct Open {
    /// Questions that shards were asked.
    under_way: usize,
    /// Those of them that all shards were asked.
    to_all: usize,
    /// Questions to all shards that have not begun.
    waiting: VecDeque<Waiting>,
}

/// A question to all shards that waits for others of its session.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: RequestId,
    pub(super) query: Query,
    pub(super) conclude: Conclude,
    /// Bytes of the call that it is from.
    pub(super) bytes: usize,
}

impl Waiting {
    /// A question in memory of its own, with the arguments of its call.
    pub(super) fn new(request: RequestId, query: Query, conclude: Conclude, arguments: &Payload) -> Self {
        Self {
            request,
            query: query.detached(),
            conclude,
            bytes: size_of::<Self>() + arguments.len(),
        }
    }
}

impl Asking {
    /// How many calls wait for an answer.
    pub(crate) fn len(&self) -> usize {
        let open = self.0.as_ref();
        open.map_or(0, |open| open.under_way + open.waiting.len())
    }

    /// Whether one more question to all shards has to wait.
    pub(super) fn is_busy(&self) -> bool {
        self.0.as_ref().is_some_and(|open| open.to_all >= AT_ONCE)
    }

    /// A question begins.
    pub(super) fn begins(&mut self, is_to_all: bool) {
        let open = self.0.get_or_insert_default();
        open.under_way += 1;
        open.to_all += usize::from(is_to_all);
    }

    /// Puts a question behind the others, if it may wait.
    pub(super) fn wait(&mut self, waiting: Waiting) -> Result<(), Refusal> {
        let open = self.0.get_or_insert_default();
        if open.waiting.len() >= WAITING {
            let most = AT_ONCE + WAITING;
            let message = format!("a session may wait for {most} calls that ask all of the router");
            return Err(Refusal::new(uri::LIMIT_EXCEEDED, message));
        }
        open.waiting.push_back(waiting);
        Ok(())
    }

    /// A question is answered. Returns the one that is to begin in its place.
    pub(super) fn ends(&mut self, was_to_all: bool) -> Option<Waiting> {
        let open = self.0.as_mut()?;
        open.under_way -= 1;
        open.to_all -= usize::from(was_to_all);
        let next = if open.to_all < AT_ONCE {
            open.waiting.pop_front()
        } else {
            None
        };
        if open.under_way == 0 && open.waiting.is_empty() {
            self.0 = None;
        }
        next
    }
}
