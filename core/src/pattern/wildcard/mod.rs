//! Patterns with empty components that stand for any one component: a radix trie over components.
//!
//! There is one trie for each number of components, since a pattern only matches URIs with as many: a URI of
//! five components meets no pattern of four or six, and all entries are at leaves.
//!
//! A walk takes the literal child before the wildcard child, depth first. That visits patterns in the dealer's
//! order: at the first component where two patterns differ, the literal comes before the wildcard.
//!
//! Invariant: a node other than a root is a leaf with an entry, or has at least two children. So there are
//! fewer than two nodes a pattern, and roots.
//!
//! Cost: each node has one path from its root, so a walk visits it at most once. Visiting 2^k nodes takes about
//! 2^k registered patterns that each agree with the URI in their first components. A hostile set of n patterns
//! of length l thus costs a URI at most 2n visits and n * l octets compared, where n matching subscriptions
//! cost n deliveries anyway. (One node for each component, which is simpler, took three times as long for 2^14
//! patterns of 115 components, and half as much memory again for ordinary ones.)

mod node;

use core::ops::ControlFlow;
use std::sync::Arc;

use ahash::RandomState;
use smallvec::SmallVec;

use self::node::Node;
use super::arena::{Arena, Entry, NodeId};

/// Alternatives that a walk keeps on the stack before it allocates; more components than this are rare.
const ALTERNATIVES_INLINE: usize = 16;

/// A leaf and the way to it.
struct Found<'u> {
    leaf: NodeId,
    /// The leaf's parent, and the component that leads from there to the leaf.
    parent: (NodeId, &'u str),
    /// The same of the parent, unless it is a root.
    grandparent: Option<(NodeId, &'u str)>,
}

#[derive(Debug)]
pub(super) struct WildcardTrie<V> {
    nodes: Arena<Node<V>>,
    /// By the number of components less one; the last is always taken.
    roots: Vec<Option<NodeId>>,
    len: usize,
    hasher: RandomState,
}

impl<V> WildcardTrie<V> {
    pub(super) const fn new(hasher: RandomState) -> Self {
        Self {
            nodes: Arena::new(),
            roots: Vec::new(),
            len: 0,
            hasher,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, uri: &str) -> Option<&V> {
        let id = self.find(uri)?.leaf;
        self.nodes[id].entry.as_ref().map(|entry| &entry.value)
    }

    pub(super) fn get_mut(&mut self, uri: &str) -> Option<&mut V> {
        let id = self.find(uri)?.leaf;
        self.nodes[id].entry.as_mut().map(|entry| &mut entry.value)
    }

    pub(super) fn get_or_insert_with(&mut self, uri: Arc<str>, value: impl FnOnce() -> V) -> &mut V {
        let id = self.find_or_add(&uri);
        let len = &mut self.len;
        let entry = self.nodes[id].entry.get_or_insert_with(|| {
            *len += 1;
            Entry::new(uri, value())
        });
        &mut entry.value
    }

    pub(super) fn remove(&mut self, uri: &str) -> Option<V> {
        let found = self.find(uri)?;
        let entry = self.nodes.remove(found.leaf).entry?;
        self.len -= 1;
        let (parent, component) = found.parent;
        self.nodes[parent].remove_child(component);
        match found.grandparent {
            Some((grandparent, component)) => self.join(grandparent, component, parent),
            None => self.remove_unused_root(parent, separators(uri)),
        }
        Some(entry.value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.nodes
            .iter()
            .filter_map(|node| node.entry.as_ref())
            .map(|entry| (&*entry.uri, &entry.value))
    }

    /// Visits every pattern that matches `uri`, in the dealer's order. A URI with an empty component, which is
    /// not a concrete one, matches nothing.
    pub(super) fn visit<'a, B>(
        &'a self,
        uri: &str,
        mut visitor: impl FnMut(&'a str, &'a V) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if self.len == 0 {
            return ControlFlow::Continue(());
        }
        let Some(root) = self.root(separators(uri)) else {
            return ControlFlow::Continue(());
        };
        // Nodes to visit yet, each with where the next component begins in `uri`; past the end: nowhere.
        let mut pending = SmallVec::<[(NodeId, usize); ALTERNATIVES_INLINE]>::new();
        let mut next = Some((root, 0));
        while let Some((id, start)) = next.take().or_else(|| pending.pop()) {
            let node = &self.nodes[id];
            let Some(start) = follow(&node.tail, uri, start) else {
                continue;
            };
            let Some(rest) = uri.get(start..) else {
                if let Some(entry) = &node.entry {
                    visitor(&entry.uri, &entry.value)?;
                }
                continue;
            };
            let component = first_component(rest);
            if component.is_empty() {
                return ControlFlow::Continue(());
            }
            let after = start + component.len() + 1;
            pending.extend(node.any.map(|child| (child, after)));
            next = node.literal(component).map(|child| (child, after));
        }
        ControlFlow::Continue(())
    }

    fn root(&self, separators: usize) -> Option<NodeId> {
        self.roots.get(separators).copied().flatten()
    }

    fn root_or_add(&mut self, separators: usize) -> NodeId {
        if self.roots.len() <= separators {
            self.roots.resize(separators + 1, None);
        }
        *self.roots[separators].get_or_insert_with(|| self.nodes.add(Node::default()))
    }

    fn remove_unused_root(&mut self, root: NodeId, separators: usize) {
        if self.nodes[root].has_children() {
            return;
        }
        self.nodes.remove(root);
        self.roots[separators] = None;
        while self.roots.last().is_some_and(Option::is_none) {
            self.roots.pop();
        }
        if self.roots.is_empty() {
            self.roots = Vec::new();
        }
    }

    fn find<'u>(&self, uri: &'u str) -> Option<Found<'u>> {
        let mut grandparent = None;
        let mut parent = self.root(separators(uri))?;
        let mut rest = uri;
        loop {
            let component = first_component(rest);
            let child = self.nodes[parent].child(component)?;
            let left = rest[component.len()..].strip_prefix(&*self.nodes[child].tail)?;
            if left.is_empty() {
                let parent = (parent, component);
                return Some(Found {
                    leaf: child,
                    parent,
                    grandparent,
                });
            }
            rest = left.strip_prefix('.')?;
            grandparent = Some((parent, component));
            parent = child;
        }
    }

    fn find_or_add(&mut self, uri: &str) -> NodeId {
        let mut parent = self.root_or_add(separators(uri));
        let mut rest = uri;
        loop {
            let component = first_component(rest);
            let after = &rest[component.len()..];
            let Some(mut child) = self.nodes[parent].child(component) else {
                let leaf = Node {
                    tail: after.into(),
                    ..Node::default()
                };
                let leaf = self.nodes.add(leaf);
                self.nodes[parent].set_child(component, leaf, &self.hasher);
                return leaf;
            };
            let tail = &self.nodes[child].tail;
            let common = common_components(tail, after);
            if common < tail.len() {
                child = self.split(parent, component, child, common);
            }
            let Some(left) = after[common..].strip_prefix('.') else {
                return child;
            };
            (parent, rest) = (child, left);
        }
    }

    /// Puts a node between `child` and `parent`, after the first `at` octets of the tail, which end a
    /// component.
    fn split(&mut self, parent: NodeId, component: &str, child: NodeId, at: usize) -> NodeId {
        let tail = core::mem::take(&mut self.nodes[child].tail);
        let (upper, lower) = tail.split_at(at);
        let lower = lower.strip_prefix('.').unwrap_or(lower);
        let branch = first_component(lower);
        self.nodes[child].tail = lower[branch.len()..].into();
        let mut middle = Node {
            tail: upper.into(),
            ..Node::default()
        };
        middle.set_child(branch, child, &self.hasher);
        let middle = self.nodes.add(middle);
        self.nodes[parent].set_child(component, middle, &self.hasher);
        middle
    }

    /// Takes out `middle`, to which `component` leads from `parent`, if it has but one child left, by giving
    /// its tail to that child.
    fn join(&mut self, parent: NodeId, component: &str, middle: NodeId) {
        let node = &self.nodes[middle];
        let Some((branch, child)) = node.only_child() else {
            return;
        };
        let tail = [&node.tail, ".", branch, &self.nodes[child].tail].concat();
        self.nodes[child].tail = tail.into();
        self.nodes.remove(middle);
        self.nodes[parent].set_child(component, child, &self.hasher);
    }
}

/// Number of components less one.
fn separators(uri: &str) -> usize {
    uri.bytes().filter(|&octet| octet == b'.').count()
}

fn first_component(uri: &str) -> &str {
    uri.split_once('.').map_or(uri, |(component, _)| component)
}

/// Octets that two tails have in common, up to the end of a component of both.
fn common_components(a: &str, b: &str) -> usize {
    let pairs = a.split('.').zip(b.split('.')).skip(1);
    pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len() + 1).sum()
}

/// Compares `tail` with the components of `uri` that begin at `start`; returns where the next one begins.
///
/// Octet by octet, since a hostile set of patterns makes this the greater part of a walk.
fn follow(tail: &str, uri: &str, start: usize) -> Option<usize> {
    if tail.is_empty() {
        return Some(start);
    }
    let uri = uri.as_bytes();
    // Every component of a tail has its separator before it: so has that at `start`, since no root has a tail.
    let mut at = start.checked_sub(1)?;
    let mut octets = tail.bytes().peekable();
    while let Some(octet) = octets.next() {
        if uri.get(at) != Some(&octet) {
            return None;
        }
        at += 1;
        let is_any = octet == b'.' && matches!(octets.peek(), None | Some(b'.'));
        if is_any {
            let component = uri[at..].iter().take_while(|&&octet| octet != b'.').count();
            if component == 0 {
                return None;
            }
            at += component;
        }
    }
    let is_whole = uri.get(at).is_none_or(|&octet| octet == b'.');
    is_whole.then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl<V> WildcardTrie<V> {
        /// Number of nodes, after a check of the invariant.
        fn checked_nodes(&self) -> usize {
            let mut seen = 0;
            for root in self.roots.iter().flatten() {
                assert!(self.nodes[*root].has_children());
                let mut pending: Vec<NodeId> = vec![*root];
                while let Some(id) = pending.pop() {
                    seen += 1;
                    let node = &self.nodes[id];
                    assert_eq!(node.entry.is_some(), !node.has_children());
                    assert!(id == *root || node.only_child().is_none());
                    assert!(node.literals.as_ref().is_none_or(|literals| !literals.is_empty()));
                    pending.extend(node.any);
                    pending.extend(node.literals.iter().flat_map(|literals| literals.values()));
                }
            }
            assert_eq!(seen, self.nodes.len(), "every node is reachable");
            seen
        }
    }

    proptest! {
        #[test]
        fn nodes_keep_the_invariant(ops in prop::collection::vec((any::<bool>(), "[ab]?(\\.[ab]?){0,4}"), 1..80)) {
            let mut trie = WildcardTrie::new(RandomState::with_seeds(1, 2, 3, 4));
            for (insert, uri) in &ops {
                if *insert {
                    trie.get_or_insert_with(uri.as_str().into(), || ());
                } else {
                    trie.remove(uri);
                }
                prop_assert!(trie.checked_nodes() <= 2 * trie.len() + trie.roots.len());
            }
            for (_, uri) in &ops {
                trie.remove(uri);
            }
            prop_assert_eq!(trie.len(), 0);
            prop_assert_eq!(trie.checked_nodes(), 0);
            prop_assert!(trie.roots.is_empty());
        }
    }

    #[test]
    fn tails_are_compared_by_whole_components() {
        assert_eq!(follow("", "com.a.e", 4), Some(4));
        assert_eq!(follow("..e", "com.a.e", 4), Some(8));
        assert_eq!(follow("..e", "com.a.e.f", 4), Some(8));
        assert_eq!(follow(".a.", "com.a.e", 4), Some(8));
        for uri in ["com.a.ee", "com.a.f", "com.a", "com..e", "com.a."] {
            assert_eq!(follow("..e", uri, 4), None, "{uri}");
        }
        assert_eq!(follow(".a.", "com.a.", 4), None);
    }

    #[test]
    fn a_walk_deeper_than_the_inline_stack_works() {
        let depth = ALTERNATIVES_INLINE * 4;
        let mut trie = WildcardTrie::new(RandomState::with_seeds(1, 2, 3, 4));
        // Literals up to one place each, so that a walk has an alternative at every component.
        for place in 0..depth {
            let mut components = vec![""; depth];
            components[..=place].fill("x");
            trie.get_or_insert_with(components.join(".").into(), || place);
        }
        let mut seen = Vec::new();
        let _ = trie.visit(&vec!["x"; depth].join("."), |_, place| {
            seen.push(*place);
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(seen, (0..depth).rev().collect::<Vec<_>>());
    }
}
