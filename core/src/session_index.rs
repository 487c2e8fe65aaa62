//! Open sessions by what several of them have in common, for meta procedures that ask for some of many.
//!
//! Most routers are never asked: so each index begins when somebody asks, with one look at all sessions.

use std::hash::Hash;

use ahash::{HashMap, RandomState};

use crate::ids::{ConnKey, RealmId};
use crate::session::Session;
use crate::small_set::SmallSet;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SessionIndex {
    by_role: Option<Index<(RealmId, usize)>>,
    /// By the hash of realm and authid: texts would cost more than the rest.
    by_authid: Option<Index<u64>>,
}

#[derive(Debug)]
struct Index<K> {
    conns: HashMap<K, SmallSet<ConnKey>>,
    hasher: RandomState,
}

impl<K: Copy + Eq + Hash> Index<K> {
    fn of<'a>(entries: impl Iterator<Item = (ConnKey, K)> + 'a, hasher: &RandomState) -> Self {
        let mut index = Self {
            conns: HashMap::with_hasher(hasher.clone()),
            hasher: hasher.clone(),
        };
        entries.for_each(|(conn, key)| index.add(key, conn));
        index
    }

    fn add(&mut self, key: K, conn: ConnKey) {
        self.conns.entry(key).or_default().insert(conn, &self.hasher);
    }

    fn remove(&mut self, key: K, conn: ConnKey) {
        if let Some(conns) = self.conns.get_mut(&key) {
            conns.remove(conn);
            if conns.is_empty() {
                self.conns.remove(&key);
            }
        }
    }

    fn get(&self, key: K) -> &[ConnKey] {
        self.conns.get(&key).map_or(&[], SmallSet::as_slice)
    }
}

impl SessionIndex {
    /// The sessions of a realm that have this role; `all` are all sessions that there are.
    pub(crate) fn of_role<'a>(
        &mut self,
        key: (RealmId, usize),
        all: impl Iterator<Item = (ConnKey, &'a Session)> + 'a,
        hasher: &RandomState,
    ) -> &[ConnKey] {
        let entries = all.map(|(conn, session)| (conn, role(session)));
        self.by_role
            .get_or_insert_with(|| Index::of(entries, hasher))
            .get(key)
    }

    /// Likewise, those of this authid, and few others perhaps.
    pub(crate) fn of_authid<'a>(
        &mut self,
        key: (RealmId, &str),
        all: impl Iterator<Item = (ConnKey, &'a Session)> + 'a,
        hasher: &RandomState,
    ) -> &[ConnKey] {
        let entries = all.map(|(conn, session)| (conn, hasher.hash_one(authid(session))));
        self.by_authid
            .get_or_insert_with(|| Index::of(entries, hasher))
            .get(hasher.hash_one(key))
    }

    pub(crate) fn begins(&mut self, conn: ConnKey, session: &Session) {
        if let Some(index) = &mut self.by_role {
            index.add(role(session), conn);
        }
        if let Some(index) = &mut self.by_authid {
            index.add(index.hasher.hash_one(authid(session)), conn);
        }
    }

    pub(crate) fn ends(&mut self, conn: ConnKey, session: &Session) {
        if let Some(index) = &mut self.by_role {
            index.remove(role(session), conn);
        }
        if let Some(index) = &mut self.by_authid {
            index.remove(index.hasher.hash_one(authid(session)), conn);
        }
    }
}

fn role(session: &Session) -> (RealmId, usize) {
    (session.realm, session.role())
}

fn authid(session: &Session) -> (RealmId, &str) {
    (session.realm, &session.identity.authid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::session_of;

    /// Whoever asks for few of many has few looked at.
    #[test]
    fn all_sessions_are_looked_at_once() {
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let nobody = || std::iter::empty();
        let never = || std::iter::from_fn(|| -> Option<(ConnKey, &Session)> { panic!("looked at again") });
        let (realm, conn) = (
            RealmId(0),
            ConnKey {
                slot: 3,
                generation: 0,
            },
        );
        let mut index = SessionIndex::default();
        assert_eq!(index.of_role((realm, 1), nobody(), &hasher), []);
        assert_eq!(index.of_authid((realm, "one"), nobody(), &hasher), []);
        let session = session_of(1);
        index.begins(conn, &session);
        assert_eq!(index.of_role((realm, 1), never(), &hasher), [conn]);
        assert_eq!(index.of_role((realm, 0), never(), &hasher), []);
        assert_eq!(index.of_authid((realm, "one"), never(), &hasher), [conn]);
        assert_eq!(index.of_authid((RealmId(1), "one"), never(), &hasher), []);
        index.ends(conn, &session);
        assert_eq!(index.of_role((realm, 1), never(), &hasher), []);
        assert_eq!(index.of_authid((realm, "one"), never(), &hasher), []);
    }
}
