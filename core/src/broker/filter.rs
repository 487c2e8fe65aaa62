//! Who may receive a publication (specification, "Subscriber Black- and Whitelisting").

use std::cell::Cell;
use std::collections::HashSet;
use std::hash::Hash;

use ahash::RandomState;
use bytestring::ByteString;

use crate::ids::SessionId;
use crate::options::Receivers;
use crate::session::Identity;

/// Lists longer than this are looked up by hash instead of from front to back.
const SCAN_MAX: usize = 16;

/// A publication's lists, ready to be asked once for each subscriber.
pub(super) struct Filter<'a> {
    eligible: Option<List<'a, SessionId>>,
    eligible_authid: Option<List<'a, ByteString>>,
    eligible_authrole: Option<List<'a, ByteString>>,
    exclude: Option<List<'a, SessionId>>,
    exclude_authid: Option<List<'a, ByteString>>,
    exclude_authrole: Option<List<'a, ByteString>>,
    /// Who was judged last, and how: often the next subscription is the same session's.
    last: Cell<Option<(SessionId, bool)>>,
}

/// One list, however long, in which a look-up takes about the same time.
enum List<'a, T> {
    Few(&'a [T]),
    Sorted(&'a [T]),
    Many(HashSet<&'a T, RandomState>),
}

impl<'a> Filter<'a> {
    /// For many sessions: long lists are read once, and hashed.
    pub(super) fn new(lists: &'a Receivers, hasher: &RandomState) -> Self {
        Self::of(lists, Some(hasher))
    }

    /// For few sessions, of lists that [`sort`] has put in order: nothing is read in advance.
    pub(super) fn of_sorted(lists: &'a Receivers) -> Self {
        Self::of(lists, None)
    }

    fn of(lists: &'a Receivers, hasher: Option<&RandomState>) -> Self {
        Self {
            eligible: List::new(lists.eligible.as_deref(), hasher),
            eligible_authid: List::new(lists.eligible_authid.as_deref(), hasher),
            eligible_authrole: List::new(lists.eligible_authrole.as_deref(), hasher),
            exclude: List::new(lists.exclude.as_deref(), hasher),
            exclude_authid: List::new(lists.exclude_authid.as_deref(), hasher),
            exclude_authrole: List::new(lists.exclude_authrole.as_deref(), hasher),
            last: Cell::new(None),
        }
    }

    /// Whether a session is eligible by every list that is there, and excluded by none.
    pub(super) fn admits(&self, id: SessionId, identity: &Identity) -> bool {
        if let Some((last, is_admitted)) = self.last.get()
            && last == id
        {
            return is_admitted;
        }
        let is_admitted = allows(self.eligible.as_ref(), &id)
            && allows(self.eligible_authid.as_ref(), &identity.authid)
            && allows(self.eligible_authrole.as_ref(), &identity.authrole)
            && !denies(self.exclude.as_ref(), &id)
            && !denies(self.exclude_authid.as_ref(), &identity.authid)
            && !denies(self.exclude_authrole.as_ref(), &identity.authrole);
        self.last.set(Some((id, is_admitted)));
        is_admitted
    }
}

impl<'a, T: Eq + Hash + Ord> List<'a, T> {
    /// A list, if there is one; without `hasher` it is sorted.
    fn new(list: Option<&'a [T]>, hasher: Option<&RandomState>) -> Option<Self> {
        let list = list?;
        let Some(hasher) = hasher else {
            return Some(Self::Sorted(list));
        };
        if list.len() <= SCAN_MAX {
            return Some(Self::Few(list));
        }
        let mut set = HashSet::with_capacity_and_hasher(list.len(), hasher.clone());
        set.extend(list);
        Some(Self::Many(set))
    }

    fn contains(&self, item: &T) -> bool {
        match self {
            Self::Few(list) => list.contains(item),
            Self::Sorted(list) => list.binary_search(item).is_ok(),
            Self::Many(set) => set.contains(item),
        }
    }
}

fn allows<T: Eq + Hash + Ord>(list: Option<&List<'_, T>>, item: &T) -> bool {
    list.is_none_or(|list| list.contains(item))
}

fn denies<T: Eq + Hash + Ord>(list: Option<&List<'_, T>>, item: &T) -> bool {
    list.is_some_and(|list| list.contains(item))
}

/// Puts all lists in the order that [`Filter::of_sorted`] needs, each entry once.
pub(super) fn sort(lists: &mut Receivers) {
    fn one<T: Ord>(list: Option<&mut Vec<T>>) {
        if let Some(list) = list {
            list.sort_unstable();
            list.dedup();
        }
    }
    one(lists.eligible.as_mut());
    one(lists.eligible_authid.as_mut());
    one(lists.eligible_authrole.as_mut());
    one(lists.exclude.as_mut());
    one(lists.exclude_authid.as_mut());
    one(lists.exclude_authrole.as_mut());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> impl Strategy<Value = Option<Vec<ByteString>>> {
        let name = (0..40_u8).prop_map(|name| ByteString::from(format!("name{name}")));
        prop::option::of(prop::collection::vec(name, 0..40))
    }

    fn ids() -> impl Strategy<Value = Option<Vec<SessionId>>> {
        let id = (0..40_u64).prop_map(SessionId);
        prop::option::of(prop::collection::vec(id, 0..40))
    }

    /// Each session of a large fan-out would otherwise cost as much as the list is long.
    #[test]
    fn no_list_is_scanned_that_is_long() {
        let names = || Some(vec![ByteString::from_static("somebody"); SCAN_MAX + 1]);
        let ids = || Some(vec![SessionId(1); SCAN_MAX + 1]);
        let lists = Receivers {
            eligible: ids(),
            eligible_authid: names(),
            eligible_authrole: names(),
            exclude: ids(),
            exclude_authid: names(),
            exclude_authrole: names(),
        };
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        for filter in [Filter::new(&lists, &hasher), Filter::of_sorted(&lists)] {
            for list in [&filter.eligible, &filter.exclude] {
                assert!(!matches!(list, Some(List::Few(_))));
            }
            for list in [
                &filter.eligible_authid,
                &filter.eligible_authrole,
                &filter.exclude_authid,
                &filter.exclude_authrole,
            ] {
                assert!(!matches!(list, Some(List::Few(_))));
            }
        }
    }

    proptest! {
        /// Short lists and long ones, hashed and sorted, say what the lists say.
        #[test]
        fn it_says_what_the_lists_say(
            (eligible, exclude) in (ids(), ids()),
            (eligible_authid, exclude_authid) in (names(), names()),
            (eligible_authrole, exclude_authrole) in (names(), names()),
            asked in prop::collection::vec((0..40_u64, 0..40_u8, 0..40_u8), 1..40),
        ) {
            let lists = Receivers {
                eligible, eligible_authid, eligible_authrole, exclude, exclude_authid, exclude_authrole,
            };
            let mut sorted = lists.clone();
            sort(&mut sorted);
            let hasher = RandomState::with_seeds(1, 2, 3, 4);
            for (id, authid, authrole) in asked {
                let (hashed, sorted) = (Filter::new(&lists, &hasher), Filter::of_sorted(&sorted));
                let (id, authid, authrole) = (
                    SessionId(id),
                    ByteString::from(format!("name{authid}")),
                    ByteString::from(format!("name{authrole}")),
                );
                fn has<T: PartialEq>(list: Option<&Vec<T>>, item: &T) -> Option<bool> {
                    list.map(|list| list.contains(item))
                }
                let expected = [
                    has(lists.eligible.as_ref(), &id),
                    has(lists.eligible_authid.as_ref(), &authid),
                    has(lists.eligible_authrole.as_ref(), &authrole),
                ].iter().all(|is_in| *is_in != Some(false))
                    && [
                        has(lists.exclude.as_ref(), &id),
                        has(lists.exclude_authid.as_ref(), &authid),
                        has(lists.exclude_authrole.as_ref(), &authrole),
                    ].iter().all(|is_in| *is_in != Some(true));
                let identity = Identity { authid, authrole };
                for filter in [hashed, sorted] {
                    prop_assert_eq!(filter.admits(id, &identity), expected);
                    prop_assert_eq!(filter.admits(id, &identity), expected);
                }
            }
        }
    }
}
