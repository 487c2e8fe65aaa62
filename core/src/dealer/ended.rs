//! Calls that ended before their caller has sent the last part of their arguments: what still comes of it is for nobody.

use std::collections::VecDeque;

use ahash::RandomState;

use crate::ids::{CallKey, ConnKey, RequestId, ShardId};
use crate::router::Router;
use crate::session::Session;

/// Those of one session; nothing of most.
#[derive(Debug, Default)]
pub(crate) struct EndedCalls(Option<Box<Ended>>);

/// Invariant: a call is remembered if the session's `calls` have its request with its key.
#[derive(Debug, Default)]
struct Ended {
    /// In the order in which they ended, with some that are not remembered any more.
    order: VecDeque<(RequestId, CallKey)>,
    remembered: usize,
    /// How many of them were refused.
    refused: u32,
}

impl EndedCalls {
    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |ended| ended.remembered)
    }
}

impl Ended {
    /// The key of a call that was refused before it had one: names none.
    fn key_of_refused(&mut self) -> CallKey {
        self.refused = self.refused.wrapping_add(1);
        CallKey {
            shard: ShardId(u16::MAX),
            slot: u32::MAX,
            generation: self.refused,
        }
    }
}

impl Session {
    /// A call has ended, or was refused without a key. No more than `limit` are remembered, the latest.
    fn remember_ended(
        &mut self,
        request: RequestId,
        key: Option<CallKey>,
        limit: usize,
        hasher: &RandomState,
    ) {
        let (calls, ended) = (&mut self.calls, self.ended_calls.0.get_or_insert_default());
        let key = key.unwrap_or_else(|| {
            let key = ended.key_of_refused();
            calls.insert(request, key, hasher);
            key
        });
        ended.order.push_back((request, key));
        ended.remembered += 1;
        while ended.remembered > limit
            && let Some((request, key)) = ended.order.pop_front()
        {
            if calls.get(&request) == Some(&key) {
                calls.remove(&request);
                ended.remembered -= 1;
            }
        }
        // Only when half of them are to go, so that none pays for more than a few.
        if ended.order.len() > 2 * ended.remembered {
            ended
                .order
                .retain(|(request, key)| calls.get(request) == Some(key));
        }
    }

    /// The last part of a call that has ended came.
    pub(super) fn forget_ended(&mut self, request: RequestId) {
        self.calls.remove(&request);
        if let Some(ended) = &mut self.ended_calls.0 {
            ended.remembered -= 1;
            if ended.remembered == 0 {
                self.ended_calls.0 = None;
            }
        }
    }
}

impl Router {
    /// A call of a session has ended before its last part came, or its first was refused and it has no key. Many clients
    /// will not send the last any more, so only as many are remembered as may be under way.
    pub(super) fn ended_early(&mut self, conn: ConnKey, request: RequestId, key: Option<CallKey>) {
        let limit = self.config.limits.pending_calls;
        if let Some(session) = self.conns.session_mut(conn) {
            session.remember_ended(request, key, limit, &self.hasher);
        }
    }
}
