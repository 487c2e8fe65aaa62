//! Patterns with empty components that stand for any one component: a trie over components.
//!
//! There is one trie for each number of components, since a pattern only matches URIs with as many: a URI of
//! five components meets no pattern of four or six. All edges to literal components are in one keyed hash map;
//! most nodes have one child, for which a map of its own would be waste.
//!
//! A walk takes the literal child before the wildcard child, depth first. That visits patterns in the dealer's
//! order: at the first component where two patterns differ, the literal comes before the wildcard.
//!
//! Cost: each node has one path from its root, so a walk visits it at most once. Visiting 2^k nodes at depth k
//! takes 2^k registered patterns that differ in their first k components and each agree with the URI there. A
//! hostile set of n patterns of c components thus costs at most n * c steps a URI, where n matching
//! subscriptions cost n deliveries anyway; limits of URI length and of subscriptions a session bound both.

use core::ops::ControlFlow;

use ahash::RandomState;
use indexmap::{Equivalent, IndexMap};
use smallvec::SmallVec;

use super::arena::{Arena, Entry, NodeId};

/// Components that a walk keeps on the stack before it allocates; more are rare.
const COMPONENTS_INLINE: usize = 16;

/// Below this capacity the map of edges is not worth shrinking.
const EDGES_KEPT: usize = 64;

#[derive(Debug)]
struct Node<V> {
    /// The child of the empty component.
    any: Option<NodeId>,
    /// Number of edges from here to literal components.
    literals: u32,
    /// Only on the last component's node.
    entry: Option<Box<Entry<V>>>,
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self {
            any: None,
            literals: 0,
            entry: None,
        }
    }
}

impl<V> Node<V> {
    fn is_unused(&self) -> bool {
        self.any.is_none() && self.literals == 0 && self.entry.is_none()
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Edge {
    from: NodeId,
    component: Box<str>,
}

/// [`Edge`] without ownership; hashes alike.
#[derive(Hash)]
struct EdgeRef<'a> {
    from: NodeId,
    component: &'a str,
}

impl Equivalent<Edge> for EdgeRef<'_> {
    fn equivalent(&self, edge: &Edge) -> bool {
        self.from == edge.from && *self.component == *edge.component
    }
}

#[derive(Debug)]
pub(super) struct WildcardTrie<V> {
    nodes: Arena<Node<V>>,
    edges: IndexMap<Edge, NodeId, RandomState>,
    /// By the number of components less one; the last is always taken.
    roots: Vec<Option<NodeId>>,
    len: usize,
}

impl<V> WildcardTrie<V> {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self {
            nodes: Arena::new(),
            edges: IndexMap::with_hasher(hasher),
            roots: Vec::new(),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, uri: &str) -> Option<&V> {
        let id = self.find(uri)?;
        self.nodes[id].entry.as_ref().map(|entry| &entry.value)
    }

    pub(super) fn get_mut(&mut self, uri: &str) -> Option<&mut V> {
        let id = self.find(uri)?;
        self.nodes[id].entry.as_mut().map(|entry| &mut entry.value)
    }

    pub(super) fn get_or_insert_with(&mut self, uri: &str, value: impl FnOnce() -> V) -> &mut V {
        let mut id = self.root_or_add(separators(uri));
        for component in uri.split('.') {
            id = self.child_or_add(id, component);
        }
        let len = &mut self.len;
        let entry = self.nodes[id].entry.get_or_insert_with(|| {
            *len += 1;
            Entry::new(uri, value())
        });
        &mut entry.value
    }

    pub(super) fn remove(&mut self, uri: &str) -> Option<V> {
        let mut id = self.root(separators(uri))?;
        let mut path = SmallVec::<[NodeId; COMPONENTS_INLINE]>::new();
        for component in uri.split('.') {
            path.push(id);
            id = self.child(id, component)?;
        }
        let entry = self.nodes[id].entry.take()?;
        self.len -= 1;
        for (component, &parent) in uri.rsplit('.').zip(path.iter().rev()) {
            if !self.nodes[id].is_unused() {
                break;
            }
            self.nodes.remove(id);
            self.cut(parent, component);
            id = parent;
        }
        self.remove_unused_root(separators(uri));
        let (edges, capacity) = (self.edges.len(), self.edges.capacity());
        if capacity > EDGES_KEPT && edges < capacity / 8 {
            self.edges.shrink_to(edges * 2);
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
        // Nodes to visit yet, each with where its next component begins in `uri`; past the end: nowhere.
        let mut pending = SmallVec::<[(NodeId, usize); COMPONENTS_INLINE]>::new();
        let mut next = Some((root, 0));
        while let Some((id, start)) = next.take().or_else(|| pending.pop()) {
            let node = &self.nodes[id];
            let Some(rest) = uri.get(start..) else {
                if let Some(entry) = &node.entry {
                    visitor(&entry.uri, &entry.value)?;
                }
                continue;
            };
            let component = rest.split_once('.').map_or(rest, |(component, _)| component);
            if component.is_empty() {
                return ControlFlow::Continue(());
            }
            let after = start + component.len() + 1;
            pending.extend(node.any.map(|child| (child, after)));
            next = self.literal(id, component).map(|child| (child, after));
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

    fn remove_unused_root(&mut self, separators: usize) {
        if let Some(root) = self.root(separators)
            && self.nodes[root].is_unused()
        {
            self.nodes.remove(root);
            self.roots[separators] = None;
            while self.roots.last().is_some_and(Option::is_none) {
                self.roots.pop();
            }
        }
    }

    fn find(&self, uri: &str) -> Option<NodeId> {
        let root = self.root(separators(uri))?;
        uri.split('.')
            .try_fold(root, |id, component| self.child(id, component))
    }

    fn child(&self, from: NodeId, component: &str) -> Option<NodeId> {
        if component.is_empty() {
            self.nodes[from].any
        } else {
            self.literal(from, component)
        }
    }

    fn literal(&self, from: NodeId, component: &str) -> Option<NodeId> {
        if self.nodes[from].literals == 0 {
            return None;
        }
        self.edges.get(&EdgeRef { from, component }).copied()
    }

    fn child_or_add(&mut self, from: NodeId, component: &str) -> NodeId {
        if let Some(child) = self.child(from, component) {
            return child;
        }
        let child = self.nodes.add(Node::default());
        if component.is_empty() {
            self.nodes[from].any = Some(child);
        } else {
            self.nodes[from].literals += 1;
            self.edges.insert(
                Edge {
                    from,
                    component: component.into(),
                },
                child,
            );
        }
        child
    }

    /// Takes out what led from `from` along `component`.
    fn cut(&mut self, from: NodeId, component: &str) {
        if component.is_empty() {
            self.nodes[from].any = None;
        } else {
            self.nodes[from].literals -= 1;
            self.edges.swap_remove(&EdgeRef { from, component });
        }
    }
}

/// Number of components less one.
fn separators(uri: &str) -> usize {
    uri.bytes().filter(|&octet| octet == b'.').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_stays_behind(ops in prop::collection::vec((any::<bool>(), "[ab]?(\\.[ab]?){0,4}"), 1..80)) {
            let mut trie = WildcardTrie::new(RandomState::with_seeds(1, 2, 3, 4));
            for (insert, uri) in &ops {
                if *insert {
                    trie.get_or_insert_with(uri, || ());
                } else {
                    trie.remove(uri);
                }
                let nodes_max: usize = trie.iter().map(|(uri, ())| separators(uri) + 2).sum();
                prop_assert!(trie.nodes.len() <= nodes_max);
            }
            for (_, uri) in &ops {
                trie.remove(uri);
            }
            prop_assert_eq!(trie.len(), 0);
            prop_assert_eq!(trie.nodes.len(), 0);
            prop_assert!(trie.edges.is_empty());
            prop_assert!(trie.roots.is_empty());
        }
    }

    #[test]
    fn a_walk_deeper_than_the_inline_stack_works() {
        let mut trie = WildcardTrie::new(RandomState::with_seeds(1, 2, 3, 4));
        let any = ".".repeat(COMPONENTS_INLINE * 4);
        trie.get_or_insert_with(&any, || 1);
        let uri = vec!["x"; COMPONENTS_INLINE * 4 + 1].join(".");
        trie.get_or_insert_with(&uri, || 2);
        let mut seen = Vec::new();
        let _ = trie.visit(&uri, |_, value| {
            seen.push(*value);
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(seen, [2, 1]);
    }
}
