//! Values by (match policy, URI): the index that broker, dealer and authorisation look URIs up in.
//!
//! # Invariants
//!
//! - What a lookup costs depends on the length of the URI and on the number of matches, not on the number of
//!   entries (`wildcard/mod.rs` says what a hostile set of wildcards can do).
//! - Hashing is keyed with seeds given at construction, since strangers choose URIs. Equal seeds and equal
//!   operations iterate in equal order, so that a simulation can be replayed.
//! - The map has copies of its URIs, or shares those of others, who all may keep them as long as the map does: an entry
//!   never keeps a received buffer alive.
//! - Matching does not allocate, but for wildcards deeper than a fixed number of components.
//!
//! The map does not validate: see [`crate::uri`].

mod arena;
mod exact;
mod prefix;
pub(crate) mod relation;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
mod wildcard;

use core::ops::ControlFlow;
use std::sync::Arc;

use ahash::RandomState;

use self::exact::ExactMap;
use self::prefix::PrefixTrie;
use self::wildcard::WildcardTrie;
use crate::options::MatchPolicy;

/// One match of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match<'a, V> {
    /// The policy of the entry.
    pub policy: MatchPolicy,
    /// The URI or pattern of the entry.
    pub uri: &'a str,
    /// The entry's value.
    pub value: &'a V,
}

/// A map from (match policy, URI) to `V`. The same text under two policies is two entries.
#[derive(Debug)]
pub struct PatternMap<V> {
    exact: ExactMap<V>,
    prefix: PrefixTrie<V>,
    wildcard: WildcardTrie<V>,
}

impl<V> PatternMap<V> {
    /// An empty map that hashes with `hasher`, whose seeds strangers must not know.
    #[must_use]
    pub fn new(hasher: RandomState) -> Self {
        Self {
            exact: ExactMap::new(hasher.clone()),
            prefix: PrefixTrie::new(),
            wildcard: WildcardTrie::new(hasher),
        }
    }

    /// Number of entries of all policies.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exact.len() + self.prefix.len() + self.wildcard.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of exactly this entry; no matching.
    #[must_use]
    pub fn get(&self, policy: MatchPolicy, uri: &str) -> Option<&V> {
        match policy {
            MatchPolicy::Exact => self.exact.get(uri),
            MatchPolicy::Prefix => self.prefix.get(uri),
            MatchPolicy::Wildcard => self.wildcard.get(uri),
        }
    }

    /// [`PatternMap::get`] to change the value.
    pub fn get_mut(&mut self, policy: MatchPolicy, uri: &str) -> Option<&mut V> {
        match policy {
            MatchPolicy::Exact => self.exact.get_mut(uri),
            MatchPolicy::Prefix => self.prefix.get_mut(uri),
            MatchPolicy::Wildcard => self.wildcard.get_mut(uri),
        }
    }

    /// Sets the value of exactly this entry, and returns the one it had. A new entry shares `uri` with whoever else has it.
    pub fn insert(
        &mut self,
        policy: MatchPolicy,
        uri: impl AsRef<str> + Into<Arc<str>>,
        value: V,
    ) -> Option<V> {
        if let Some(old) = self.get_mut(policy, uri.as_ref()) {
            return Some(core::mem::replace(old, value));
        }
        let (uri, value) = (uri.into(), || value);
        match policy {
            MatchPolicy::Exact => self.exact.get_or_insert_with(uri, value),
            MatchPolicy::Prefix => self.prefix.get_or_insert_with(uri, value),
            MatchPolicy::Wildcard => self.wildcard.get_or_insert_with(uri, value),
        };
        None
    }

    /// Takes exactly this entry out.
    pub fn remove(&mut self, policy: MatchPolicy, uri: &str) -> Option<V> {
        match policy {
            MatchPolicy::Exact => self.exact.remove(uri),
            MatchPolicy::Prefix => self.prefix.remove(uri),
            MatchPolicy::Wildcard => self.wildcard.remove(uri),
        }
    }

    /// All entries: exact ones, prefixes, wildcards; within a policy in no order to rely on.
    pub fn iter(&self) -> impl Iterator<Item = Match<'_, V>> {
        let exact = self.exact.iter().map(|entry| (MatchPolicy::Exact, entry));
        let prefix = self.prefix.iter().map(|entry| (MatchPolicy::Prefix, entry));
        let wildcard = self.wildcard.iter().map(|entry| (MatchPolicy::Wildcard, entry));
        exact
            .chain(prefix)
            .chain(wildcard)
            .map(|(policy, (uri, value))| Match { policy, uri, value })
    }

    /// Visits the entries that match the concrete URI, the dealer's choice first (specification,
    /// "Pattern-based Registrations"): the exact one, prefixes from the longest to the shortest, wildcards
    /// from the most specific. Of two wildcards that one is more specific which has a literal at the first
    /// component where they differ. `visitor` ends the visit by breaking.
    pub fn visit<'a, B>(
        &'a self,
        uri: &str,
        mut visitor: impl FnMut(Match<'a, V>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for policy in [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard] {
            self.visit_policy(policy, uri, &mut visitor)?;
        }
        ControlFlow::Continue(())
    }

    /// [`PatternMap::visit`] to the end.
    pub fn matches<'a>(&'a self, uri: &str, mut visitor: impl FnMut(MatchPolicy, &'a str, &'a V)) {
        let _: ControlFlow<()> = self.visit(uri, |found| {
            visitor(found.policy, found.uri, found.value);
            ControlFlow::Continue(())
        });
    }

    /// The first match that [`PatternMap::visit`] would visit.
    #[must_use]
    pub fn best(&self, uri: &str) -> Option<Match<'_, V>> {
        self.visit(uri, ControlFlow::Break).break_value()
    }

    /// The first match that [`PatternMap::visit`] would visit of those with `policy`.
    #[must_use]
    pub fn best_of(&self, policy: MatchPolicy, uri: &str) -> Option<Match<'_, V>> {
        self.visit_policy(policy, uri, ControlFlow::Break).break_value()
    }

    fn visit_policy<'a, B>(
        &'a self,
        policy: MatchPolicy,
        uri: &str,
        mut visitor: impl FnMut(Match<'a, V>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let visitor = |uri, value| visitor(Match { policy, uri, value });
        match policy {
            MatchPolicy::Exact => self
                .exact
                .find(uri)
                .map_or(ControlFlow::Continue(()), |(uri, value)| {
                    let mut visitor = visitor;
                    visitor(uri, value)
                }),
            MatchPolicy::Prefix => self.prefix.visit(uri, visitor),
            MatchPolicy::Wildcard => self.wildcard.visit(uri, visitor),
        }
    }
}
