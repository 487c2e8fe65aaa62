//! Who may receive a publication (specification, "Subscriber Black- and Whitelisting").

use std::collections::HashSet;

use bytestring::ByteString;

use crate::ids::SessionId;
use crate::options::Receivers;
use crate::session::Identity;

/// Lists longer than this are looked up by hash instead of from front to back.
const SCAN_MAX: usize = 16;

/// A publication's lists, ready to be asked once for each subscriber.
pub(super) struct Filter<'a> {
    lists: &'a Receivers,
    eligible: Option<Ids<'a>>,
    exclude: Option<Ids<'a>>,
}

enum Ids<'a> {
    Few(&'a [SessionId]),
    Many(HashSet<SessionId, ahash::RandomState>),
}

impl<'a> Filter<'a> {
    pub(super) fn new(lists: &'a Receivers, hasher: &ahash::RandomState) -> Self {
        let ids = |list: &'a Option<Vec<SessionId>>| {
            let list = list.as_deref()?;
            if list.len() <= SCAN_MAX {
                return Some(Ids::Few(list));
            }
            let mut set = HashSet::with_capacity_and_hasher(list.len(), hasher.clone());
            set.extend(list.iter().copied());
            Some(Ids::Many(set))
        };
        Self {
            lists,
            eligible: ids(&lists.eligible),
            exclude: ids(&lists.exclude),
        }
    }

    /// Whether a session is eligible by every list that is there, and excluded by none.
    pub(super) fn admits(&self, id: SessionId, identity: &Identity) -> bool {
        let (authid, authrole) = (&*identity.authid, &*identity.authrole);
        let allowed =
            |list: &Option<Vec<ByteString>>, name: &str| list.as_ref().is_none_or(|list| has(list, name));
        let denied =
            |list: &Option<Vec<ByteString>>, name: &str| list.as_ref().is_some_and(|list| has(list, name));
        self.eligible.as_ref().is_none_or(|ids| ids.contain(id))
            && allowed(&self.lists.eligible_authid, authid)
            && allowed(&self.lists.eligible_authrole, authrole)
            && !self.exclude.as_ref().is_some_and(|ids| ids.contain(id))
            && !denied(&self.lists.exclude_authid, authid)
            && !denied(&self.lists.exclude_authrole, authrole)
    }
}

impl Ids<'_> {
    fn contain(&self, id: SessionId) -> bool {
        match self {
            Self::Few(list) => list.contains(&id),
            Self::Many(set) => set.contains(&id),
        }
    }
}

fn has(list: &[ByteString], name: &str) -> bool {
    list.iter().any(|entry| *entry == name)
}
