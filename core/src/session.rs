//! A connection's states, and a session's share of the router (specification, "Session Lifecycle").
//!
//! Invariants: a [`Session`] exists only behind an accepted HELLO; it is taken out of its connection before its
//! resources are given up, so nothing is delivered to a session that has ended.

use std::sync::Arc;

use ahash::RandomState;
use bytestring::ByteString;

use crate::config::Access;
use crate::dealer::Incarnation;
use crate::features::ClientFeatures;
use crate::ids::{
    CallKey, ConnKey, RealmId, RegistrationId, RequestId, SessionId, SessionRef, SubscriptionId,
};
use crate::lazy_map::LazyMap;
use crate::lazy_queue::LazyQueue;
use crate::peer::{Invoke, Key};
use crate::small_set::SmallSet;
use crate::table::Table;
use crate::time::Time;

/// Who a session is, as WELCOME told it; shared with every shard that is to disclose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The authentication id.
    pub authid: ByteString,
    /// The authentication role.
    pub authrole: ByteString,
}

/// What a connection is waiting for.
#[derive(Debug)]
pub(crate) enum State {
    /// HELLO, until the deadline.
    AwaitingHello { deadline: Time },
    /// Anything that a client may send.
    Established(Box<Session>),
    /// The client's GOODBYE after ours, until the deadline; everything else is ignored.
    ShuttingDown { deadline: Time },
    /// The end of the transport.
    Closed,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) access: Arc<Access>,
    pub(crate) state: State,
}

/// An open session. Most are idle, so that what few of them need is a pointer until they do.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) realm: RealmId,
    pub(crate) identity: Arc<Identity>,
    /// Index of the session's role in its realm's configuration.
    pub(crate) role: usize,
    pub(crate) features: ClientFeatures,
    /// The last request id that the client used, where the realm wants them in order.
    pub(crate) last_request: u64,
    pub(crate) subscriptions: SmallSet<SubscriptionId>,
    /// How many SUBSCRIBEs wait for their grant.
    pub(crate) subscribing: u32,
    pub(crate) registrations: LazyMap<RegistrationId, Registration>,
    /// How many REGISTERs wait for their grant.
    pub(crate) registering: u32,
    /// The calls of this session that wait for an answer; and those that ended before the client could know, and
    /// sent the last part of their arguments. The keys of these name no call any more.
    pub(crate) calls: LazyMap<RequestId, CallKey>,
    /// How many of `calls` have ended.
    pub(crate) ended_calls: u32,
    pub(crate) work: Work,
}

/// What a session serves as a callee.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) key: Key,
    pub(crate) incarnation: Incarnation,
}

/// What a session works on as a callee.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// The last INVOCATION.Request; all ids up to it were issued.
    pub(crate) last_invocation: u64,
    invocations: LazyMap<u64, Invocation>,
    by_call: LazyMap<CallKey, u64>,
    /// Calls that arrived before REGISTERED could be sent, and all that came behind them, so that one
    /// caller's calls keep their order.
    pub(crate) held: LazyQueue<Box<Invoke>>,
}

/// An invocation that is not yet answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invocation {
    pub(crate) call: CallKey,
    pub(crate) receive_progress: bool,
    pub(crate) interrupted: bool,
}

impl Session {
    pub(crate) fn new(
        id: SessionId,
        realm: RealmId,
        (role, identity): (usize, Arc<Identity>),
        features: ClientFeatures,
    ) -> Self {
        Self {
            id,
            realm,
            identity,
            role,
            features,
            last_request: 0,
            subscriptions: SmallSet::default(),
            subscribing: 0,
            registrations: LazyMap::default(),
            registering: 0,
            calls: LazyMap::default(),
            ended_calls: 0,
            work: Work::default(),
        }
    }
}

impl Work {
    /// Invocations that are not yet answered, and calls that will be.
    pub(crate) fn len(&self) -> usize {
        self.invocations.len() + self.held.len()
    }

    /// Takes note of the next invocation and returns its id.
    pub(crate) fn open(&mut self, invocation: Invocation, hasher: &RandomState) -> u64 {
        self.last_invocation += 1;
        self.invocations.insert(self.last_invocation, invocation, hasher);
        self.by_call.insert(invocation.call, self.last_invocation, hasher);
        self.last_invocation
    }

    /// An invocation that is not yet answered.
    pub(crate) fn invocation(&self, request: u64) -> Option<&Invocation> {
        self.invocations.get(&request)
    }

    /// The id of the open invocation of `call`.
    pub(crate) fn request_of(&self, call: CallKey) -> Option<u64> {
        self.by_call.get(&call).copied()
    }

    /// The invocation of `call`, with its id.
    pub(crate) fn invocation_of(&mut self, call: CallKey) -> Option<(u64, &mut Invocation)> {
        let request = *self.by_call.get(&call)?;
        Some((request, self.invocations.get_mut(&request)?))
    }

    /// All that is not yet answered or not yet begun, in its order.
    pub(crate) fn into_open(self) -> (LazyQueue<Box<Invoke>>, Vec<(u64, Invocation)>) {
        (self.held, self.invocations.into_sorted())
    }

    /// Takes an invocation as answered.
    pub(crate) fn finish(&mut self, request: u64) -> Option<Invocation> {
        let invocation = self.invocations.remove(&request)?;
        self.by_call.remove(&invocation.call);
        Some(invocation)
    }
}

/// The connections of one shard.
#[derive(Debug, Default)]
pub(crate) struct Conns(Table<Conn>);

impl Conns {
    pub(crate) fn insert(&mut self, conn: Conn) -> ConnKey {
        let (slot, generation) = self.0.insert(conn);
        ConnKey { slot, generation }
    }

    pub(crate) fn get(&self, key: ConnKey) -> Option<&Conn> {
        self.0.get(key.slot, key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: ConnKey) -> Option<&mut Conn> {
        self.0.get_mut(key.slot, key.generation)
    }

    pub(crate) fn remove(&mut self, key: ConnKey) -> Option<Conn> {
        self.0.remove(key.slot, key.generation)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn keys(&self) -> Vec<ConnKey> {
        let keys = self.0.keys().into_iter();
        keys.map(|(slot, generation)| ConnKey { slot, generation })
            .collect()
    }

    /// All open sessions.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.0.entries().filter_map(|conn| match &conn.state {
            State::Established(session) => Some(&**session),
            _ => None,
        })
    }

    /// The session of a connection, if one is open.
    pub(crate) fn session(&self, key: ConnKey) -> Option<&Session> {
        match &self.get(key)?.state {
            State::Established(session) => Some(session),
            _ => None,
        }
    }

    /// The session of a connection, if one is open.
    pub(crate) fn session_mut(&mut self, key: ConnKey) -> Option<&mut Session> {
        match &mut self.get_mut(key)?.state {
            State::Established(session) => Some(session),
            _ => None,
        }
    }

    /// The very session that `wanted` names, not a later one on the same connection.
    pub(crate) fn same_session_mut(&mut self, wanted: SessionRef) -> Option<&mut Session> {
        self.session_mut(wanted.conn)
            .filter(|session| session.id == wanted.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every session costs for as long as it lives, beside its identity. It grows with millions of sessions.
    #[test]
    fn an_idle_session_stays_small() {
        let sizes = (size_of::<Session>(), size_of::<Conn>(), size_of::<Identity>());
        assert!(
            sizes.0 <= 160 && sizes.1 <= 24 && sizes.2 <= 64,
            "{sizes:?} bytes"
        );
    }
}
