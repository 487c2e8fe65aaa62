//! A connection's states, and a session's share of the router (specification, "Session Lifecycle").
//!
//! Invariants: a `Session` exists only behind an accepted HELLO; it is taken out of its connection before its
//! resources are given up, so nothing is delivered to a session that has ended.

use std::mem;
use std::sync::Arc;

use ahash::{HashMap, RandomState};
use bytestring::ByteString;

use crate::config::Access;
use crate::dealer::{EndedCalls, Held, Serving};
use crate::effect::Close;
use crate::features::ClientFeatures;
use crate::ids::{
    CallKey, ConnKey, RealmId, RegistrationId, RequestId, SessionId, SessionRef, SubscriptionId,
};
use crate::lazy_map::LazyMap;
use crate::meta::{Asking, Testaments};
use crate::peer::Invoke;
use crate::session_index::SessionIndex;
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
    ShuttingDown { deadline: Time, close: Close },
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
    /// See [`Session::role`].
    role: u32,
    pub(crate) features: ClientFeatures,
    /// Whether a timer of the connection is set, be it for a HELLO that has come.
    pub(crate) has_timer: bool,
    /// The last request id that the client used, where the realm wants them in order.
    pub(crate) last_request: u64,
    pub(crate) subscriptions: SmallSet<SubscriptionId>,
    /// How many SUBSCRIBEs wait for their grant.
    pub(crate) subscribing: u32,
    /// How many of both are for wildcards.
    pub(crate) wildcards: u32,
    /// Its registrations, and the REGISTERs that wait for their grant.
    pub(crate) serving: Serving,
    /// The calls of meta procedures that wait for shards.
    pub(crate) asking: Asking,
    /// The calls of this session that wait for an answer; and those that ended before the client could know, and
    /// sent the last part of their arguments. The keys of these name no call any more.
    pub(crate) calls: LazyMap<RequestId, CallKey>,
    /// Which of `calls` have ended.
    pub(crate) ended_calls: EndedCalls,
    /// Bytes of calls that wait for a callee, of their further parts, and of calls of meta procedures that wait for others.
    pub(crate) waiting_bytes: usize,
    /// Whom it called by a sticky registration.
    pub(crate) sticky: LazyMap<RegistrationId, SessionRef>,
    pub(crate) work: Work,
    /// What the session leaves behind.
    pub(crate) testaments: Option<Box<Testaments>>,
}

/// What a session works on as a callee.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// The last INVOCATION.Request; all ids up to it were issued.
    pub(crate) last_invocation: u64,
    open: Option<Box<Open>>,
}

/// Calls that their callee has not answered.
#[derive(Debug)]
struct Open {
    invocations: HashMap<u64, Invocation>,
    by_call: HashMap<CallKey, u64>,
    /// Bytes of the copies that invocations have for another callee.
    retry_bytes: usize,
    /// What cannot be sent yet.
    held: Held,
}

/// An invocation that is not yet answered.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) call: CallKey,
    pub(crate) receive_progress: bool,
    pub(crate) interrupted: bool,
    /// INVOCATIONs so far, one for each part of the call's arguments.
    pub(crate) parts: u32,
    /// The call for another callee, where this one may leave it to another and has not begun to answer.
    pub(crate) retry: Option<Box<Invoke>>,
}

impl Conn {
    fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Established(session) => Some(session),
            _ => None,
        }
    }
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
            role: role as u32,
            features,
            // That of its HELLO.
            has_timer: true,
            last_request: 0,
            subscriptions: SmallSet::default(),
            subscribing: 0,
            wildcards: 0,
            serving: Serving::default(),
            asking: Asking::default(),
            calls: LazyMap::default(),
            ended_calls: EndedCalls::default(),
            waiting_bytes: 0,
            sticky: LazyMap::default(),
            work: Work::default(),
            testaments: None,
        }
    }

    /// Index of the session's role in its realm's configuration.
    pub(crate) fn role(&self) -> usize {
        self.role as usize
    }
}

impl Work {
    /// Invocations that are not yet answered, and calls that will be.
    pub(crate) fn len(&self) -> usize {
        let count = |open: &Open| open.invocations.len() + open.held.len();
        self.open.as_deref().map_or(0, count)
    }

    fn open_mut(&mut self, hasher: &RandomState) -> &mut Open {
        self.open.get_or_insert_with(|| {
            Box::new(Open {
                invocations: HashMap::with_hasher(hasher.clone()),
                by_call: HashMap::with_hasher(hasher.clone()),
                retry_bytes: 0,
                held: Held::default(),
            })
        })
    }

    /// Takes note of the next invocation and returns its id.
    pub(crate) fn open(&mut self, invocation: Invocation, hasher: &RandomState) -> u64 {
        self.last_invocation += 1;
        let request = self.last_invocation;
        let open = self.open_mut(hasher);
        open.by_call.insert(invocation.call, request);
        open.invocations.insert(request, invocation);
        request
    }

    /// Keeps a copy of an invocation's call for another callee, unless there are more than `limit` bytes of such copies.
    pub(crate) fn keep_copy(&mut self, request: u64, invoke: &Invoke, limit: usize) {
        let Some(open) = &mut self.open else {
            return;
        };
        let bytes = invoke.cost();
        if open.retry_bytes + bytes <= limit
            && let Some(invocation) = open.invocations.get_mut(&request)
        {
            open.retry_bytes += bytes;
            invocation.retry = Some(Box::new(invoke.detached()));
        }
    }

    /// An invocation that is not yet answered.
    pub(crate) fn invocation(&self, request: u64) -> Option<&Invocation> {
        self.open.as_ref()?.invocations.get(&request)
    }

    /// Nobody else can take an invocation any more: the callee has begun to answer, or was asked to end it.
    pub(crate) fn stays(&mut self, request: u64) {
        if let Some(open) = &mut self.open
            && let Some(invocation) = open.invocations.get_mut(&request)
            && let Some(retry) = invocation.retry.take()
        {
            open.retry_bytes -= retry.cost();
        }
    }

    /// The id of the open invocation of `call`.
    pub(crate) fn request_of(&self, call: CallKey) -> Option<u64> {
        self.open.as_ref()?.by_call.get(&call).copied()
    }

    /// The invocation of `call`, with its id.
    pub(crate) fn invocation_of(&mut self, call: CallKey) -> Option<(u64, &mut Invocation)> {
        let open = self.open.as_mut()?;
        let request = *open.by_call.get(&call)?;
        Some((request, open.invocations.get_mut(&request)?))
    }

    /// Takes an invocation as answered.
    pub(crate) fn finish(&mut self, request: u64) -> Option<Invocation> {
        let open = self.open.as_mut()?;
        let invocation = open.invocations.remove(&request)?;
        open.by_call.remove(&invocation.call);
        if let Some(retry) = &invocation.retry {
            open.retry_bytes -= retry.cost();
        }
        Some(invocation)
    }

    /// The invocation was not sent, and has ended: if it is the last one its id is the next one's.
    pub(crate) fn take_back(&mut self, request: u64) {
        if self.last_invocation == request && self.invocation(request).is_none() {
            self.last_invocation -= 1;
        }
    }

    /// Calls that are held back.
    pub(crate) fn held(&self) -> Option<&Held> {
        self.open.as_deref().map(|open| &open.held)
    }

    pub(crate) fn held_mut(&mut self, hasher: &RandomState) -> &mut Held {
        &mut self.open_mut(hasher).held
    }

    /// All calls that are held, and the invocations that are not yet answered, both in their order.
    pub(crate) fn into_open(self) -> (Held, Vec<(u64, Invocation)>) {
        let Some(open) = self.open else {
            return Default::default();
        };
        let mut invocations: Vec<_> = open.invocations.into_iter().collect();
        invocations.sort_unstable_by_key(|(request, _)| *request);
        (open.held, invocations)
    }
}

/// The connections of one shard.
#[derive(Debug, Default)]
pub(crate) struct Conns {
    table: Table<Conn>,
    /// Open sessions by id, from the first time that somebody looks for one.
    by_id: Option<HashMap<SessionId, ConnKey>>,
    index: SessionIndex,
}

impl Conns {
    pub(crate) fn insert(&mut self, conn: Conn) -> ConnKey {
        let (slot, generation) = self.table.insert(conn);
        ConnKey { slot, generation }
    }

    pub(crate) fn get(&self, key: ConnKey) -> Option<&Conn> {
        self.table.get(key.slot, key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: ConnKey) -> Option<&mut Conn> {
        self.table.get_mut(key.slot, key.generation)
    }

    pub(crate) fn remove(&mut self, key: ConnKey) -> Option<Conn> {
        self.table.remove(key.slot, key.generation)
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn keys(&self) -> Vec<ConnKey> {
        let keys = self.table.keys().into_iter();
        keys.map(|(slot, generation)| ConnKey { slot, generation })
            .collect()
    }

    /// All open sessions.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.table.entries().filter_map(Conn::session)
    }

    /// All open sessions with their connections.
    fn open(&self) -> impl Iterator<Item = (ConnKey, &Session)> {
        open(&self.table)
    }

    /// The open sessions of a realm that have this role.
    pub(crate) fn of_role(&mut self, key: (RealmId, usize), hasher: &RandomState) -> &[ConnKey] {
        self.index.of_role(key, open(&self.table), hasher)
    }

    /// The open sessions of a realm that have this authid, and few others perhaps.
    pub(crate) fn of_authid(&mut self, key: (RealmId, &str), hasher: &RandomState) -> &[ConnKey] {
        self.index.of_authid(key, open(&self.table), hasher)
    }

    /// The connection of the open session of this id. The first time takes one look at all sessions.
    pub(crate) fn find(&mut self, id: SessionId, hasher: &RandomState) -> Option<ConnKey> {
        if self.by_id.is_none() {
            let mut by_id = HashMap::with_hasher(hasher.clone());
            by_id.extend(self.open().map(|(conn, session)| (session.id, conn)));
            self.by_id = Some(by_id);
        }
        self.by_id.as_ref()?.get(&id).copied()
    }

    /// Opens a session on a connection.
    pub(crate) fn establish(&mut self, key: ConnKey, session: Session) {
        if let Some(by_id) = &mut self.by_id {
            by_id.insert(session.id, key);
        }
        self.index.begins(key, &session);
        if let Some(conn) = self.get_mut(key) {
            conn.state = State::Established(Box::new(session));
        }
    }

    /// Takes the session of a connection out, if one is open; the connection then waits for a HELLO.
    pub(crate) fn take_session(&mut self, key: ConnKey, deadline: Time) -> Option<Box<Session>> {
        let conn = self.get_mut(key)?;
        conn.session()?;
        let State::Established(session) = mem::replace(&mut conn.state, State::AwaitingHello { deadline })
        else {
            unreachable!("checked above");
        };
        if let Some(by_id) = &mut self.by_id {
            by_id.remove(&session.id);
        }
        self.index.ends(key, &session);
        Some(session)
    }

    /// The session of a connection, if one is open.
    pub(crate) fn session(&self, key: ConnKey) -> Option<&Session> {
        self.get(key)?.session()
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

/// All open sessions with their connections.
fn open(table: &Table<Conn>) -> impl Iterator<Item = (ConnKey, &Session)> {
    table.all().filter_map(|((slot, generation), conn)| {
        let session = conn.session()?;
        Some((ConnKey { slot, generation }, session))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A session in the first realm whose authid is "one", of the role of this number.
    pub(crate) fn session_of(role: usize) -> Session {
        let identity = Identity {
            authid: "one".into(),
            authrole: "user".into(),
        };
        let identity = (role, Arc::new(identity));
        Session::new(SessionId(1), RealmId(0), identity, ClientFeatures::default())
    }

    /// What every session costs for as long as it lives, beside its identity. It grows with millions of sessions.
    #[test]
    fn an_idle_session_stays_small() {
        let sizes = (size_of::<Session>(), size_of::<Conn>(), size_of::<Identity>());
        assert!(
            sizes.0 <= 160 && sizes.1 <= 24 && sizes.2 <= 64,
            "{sizes:?} bytes"
        );
    }

    #[test]
    fn a_session_that_ended_is_found_by_nothing() {
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let (realm, mut conns) = (RealmId(0), Conns::default());
        let session = session_of(0);
        let conn = conns.insert(Conn {
            access: Arc::new(Access::default()),
            state: State::Closed,
        });
        conns.establish(conn, session);
        assert_eq!(conns.find(SessionId(1), &hasher), Some(conn));
        assert_eq!(conns.of_role((realm, 0), &hasher), [conn]);
        assert_eq!(conns.of_authid((realm, "one"), &hasher), [conn]);
        conns.take_session(conn, Time::default());
        assert_eq!(conns.find(SessionId(1), &hasher), None);
        assert_eq!(conns.of_role((realm, 0), &hasher), []);
        assert_eq!(conns.of_authid((realm, "one"), &hasher), []);
    }
}
