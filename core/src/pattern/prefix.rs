//! Patterns that begin a URI: a radix trie over octets.
//!
//! Every prefix of a URI lies on one path from the root, so a match walks at most as many nodes as the URI
//! has octets, however many patterns there are and whoever chose them. A hash map probed with each length in
//! use is simpler and gives the order "longest first" for free, but it hashes every prefix anew: a thousand
//! patterns of different lengths, cheap for an attacker, would make each publication hash half a megabyte.
//!
//! Invariant: a node other than the root has an entry or at least two children. So there are at most twice as
//! many nodes as patterns.

use core::ops::ControlFlow;
use std::sync::Arc;

use smallvec::SmallVec;

use super::arena::{Arena, Entry, NodeId};

const ROOT: NodeId = NodeId::FIRST;

#[derive(Debug)]
struct Node<V> {
    /// What leads from the parent to here; it may begin or end inside a character.
    label: SmallVec<[u8; 16]>,
    /// By the first octet of the child's label, in ascending order.
    children: SmallVec<[(u8, NodeId); 2]>,
    parent: Option<NodeId>,
    entry: Option<Box<Entry<V>>>,
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self {
            label: SmallVec::new(),
            children: SmallVec::new(),
            parent: None,
            entry: None,
        }
    }
}

impl<V> Node<V> {
    fn child(&self, first: u8) -> Option<NodeId> {
        let place = self.children.binary_search_by_key(&first, |child| child.0).ok()?;
        Some(self.children[place].1)
    }

    /// Puts `child` in the place of the one whose label begins with `first`, if there is one.
    fn set_child(&mut self, first: u8, child: NodeId) {
        match self.children.binary_search_by_key(&first, |child| child.0) {
            Ok(place) => self.children[place].1 = child,
            Err(place) => self.children.insert(place, (first, child)),
        }
    }

    fn remove_child(&mut self, first: u8) {
        self.children.retain(|child| child.0 != first);
    }
}

#[derive(Debug)]
pub(super) struct PrefixTrie<V> {
    nodes: Arena<Node<V>>,
    len: usize,
}

impl<V> PrefixTrie<V> {
    pub(super) fn new() -> Self {
        let mut nodes = Arena::new();
        nodes.add(Node::default());
        Self { nodes, len: 0 }
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

    pub(super) fn get_or_insert_with(&mut self, uri: Arc<str>, value: impl FnOnce() -> V) -> &mut V {
        let id = self.find_or_add(uri.as_bytes());
        let len = &mut self.len;
        let entry = self.nodes[id].entry.get_or_insert_with(|| {
            *len += 1;
            Entry::new(uri, value())
        });
        &mut entry.value
    }

    pub(super) fn remove(&mut self, uri: &str) -> Option<V> {
        let id = self.find(uri)?;
        let entry = self.nodes[id].entry.take()?;
        self.len -= 1;
        if self.len == 0 {
            *self = Self::new();
        } else {
            self.tidy(id);
        }
        Some(entry.value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.nodes
            .iter()
            .filter_map(|node| node.entry.as_ref())
            .map(|entry| (&*entry.uri, &entry.value))
    }

    /// Visits every pattern that begins `uri`, the longest first.
    pub(super) fn visit<'a, B>(
        &'a self,
        uri: &str,
        mut visitor: impl FnMut(&'a str, &'a V) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if self.len == 0 {
            return ControlFlow::Continue(());
        }
        let mut next = Some(self.descend(uri.as_bytes()).0);
        while let Some(id) = next {
            let node = &self.nodes[id];
            if let Some(entry) = &node.entry {
                visitor(&entry.uri, &entry.value)?;
            }
            next = node.parent;
        }
        ControlFlow::Continue(())
    }

    /// Walks along `key` as far as whole labels fit; returns the last node and what is left of `key`.
    fn descend<'k>(&self, key: &'k [u8]) -> (NodeId, &'k [u8]) {
        let (mut id, mut rest) = (ROOT, key);
        while let Some(&first) = rest.first()
            && let Some(child) = self.nodes[id].child(first)
            && let Some(left) = rest.strip_prefix(&*self.nodes[child].label)
        {
            (id, rest) = (child, left);
        }
        (id, rest)
    }

    fn find(&self, uri: &str) -> Option<NodeId> {
        let (id, rest) = self.descend(uri.as_bytes());
        rest.is_empty().then_some(id)
    }

    fn find_or_add(&mut self, key: &[u8]) -> NodeId {
        let (id, rest) = self.descend(key);
        let Some(&first) = rest.first() else {
            return id;
        };
        let Some(child) = self.nodes[id].child(first) else {
            return self.add_leaf(id, rest);
        };
        let label = &self.nodes[child].label;
        let common = label.iter().zip(rest).take_while(|(a, b)| a == b).count();
        let middle = self.split(child, common);
        if common == rest.len() {
            middle
        } else {
            self.add_leaf(middle, &rest[common..])
        }
    }

    fn add_leaf(&mut self, parent: NodeId, label: &[u8]) -> NodeId {
        let leaf = Node {
            label: label.into(),
            parent: Some(parent),
            ..Node::default()
        };
        let id = self.nodes.add(leaf);
        self.nodes[parent].set_child(label[0], id);
        id
    }

    /// Puts a node between `child` and its parent, after the first `at` octets of the label: neither none nor
    /// all of them.
    fn split(&mut self, child: NodeId, at: usize) -> NodeId {
        let node = &mut self.nodes[child];
        let lower: SmallVec<[u8; 16]> = node.label[at..].into();
        let mut upper = core::mem::replace(&mut node.label, lower);
        upper.truncate(at);
        let (first, branch, parent) = (upper[0], node.label[0], node.parent);
        let mut middle = Node {
            label: upper,
            parent,
            ..Node::default()
        };
        middle.set_child(branch, child);
        let middle = self.nodes.add(middle);
        self.nodes[child].parent = Some(middle);
        if let Some(parent) = parent {
            self.nodes[parent].set_child(first, middle);
        }
        middle
    }

    /// Restores the invariant at `id`, whose entry is gone, and at its parent.
    fn tidy(&mut self, id: NodeId) {
        let node = &self.nodes[id];
        let Some(parent) = node.parent else {
            return;
        };
        match node.children.len() {
            0 => {
                let leaf = self.nodes.remove(id);
                self.nodes[parent].remove_child(leaf.label[0]);
                let above = &self.nodes[parent];
                if above.entry.is_none() && above.children.len() == 1 {
                    self.join(parent);
                }
            }
            1 => self.join(id),
            _ => {}
        }
    }

    /// Takes out a node without an entry by giving its label to its only child. The root stays.
    fn join(&mut self, id: NodeId) {
        let Some(parent) = self.nodes[id].parent else {
            return;
        };
        let mut middle = self.nodes.remove(id);
        let first = middle.label[0];
        let child = middle.children[0].1;
        let node = &mut self.nodes[child];
        middle.label.extend_from_slice(&node.label);
        middle.label.shrink_to_fit();
        node.label = middle.label;
        node.parent = Some(parent);
        self.nodes[parent].set_child(first, child);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl<V> PrefixTrie<V> {
        /// Nodes besides the root, after a check of everything that the nodes say of each other.
        fn checked_nodes(&self) -> usize {
            let mut pending = vec![ROOT];
            let mut seen = 0;
            while let Some(id) = pending.pop() {
                seen += 1;
                let node = &self.nodes[id];
                if id != ROOT {
                    assert!(!node.label.is_empty());
                    assert!(node.entry.is_some() || node.children.len() > 1);
                }
                assert!(node.children.is_sorted_by(|a, b| a.0 < b.0));
                for &(first, child) in &node.children {
                    assert_eq!(self.nodes[child].label[0], first);
                    assert_eq!(self.nodes[child].parent, Some(id));
                    pending.push(child);
                }
            }
            assert_eq!(seen, self.nodes.len(), "every node is reachable");
            seen - 1
        }
    }

    #[test]
    fn characters_that_share_octets_are_told_apart() {
        let mut trie = PrefixTrie::new();
        for uri in ["ä", "ö", "äö"] {
            trie.get_or_insert_with(uri.into(), || uri);
        }
        let mut seen = Vec::new();
        let _ = trie.visit("äöü", |uri, _| {
            seen.push(uri);
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(seen, ["äö", "ä"]);
    }

    proptest! {
        #[test]
        fn nodes_keep_the_invariant(ops in prop::collection::vec((any::<bool>(), "[ab]{0,6}"), 1..80)) {
            let mut trie = PrefixTrie::new();
            for (insert, uri) in &ops {
                if *insert {
                    trie.get_or_insert_with(uri.as_str().into(), || ());
                } else {
                    trie.remove(uri);
                }
                prop_assert!(trie.checked_nodes() <= 2 * trie.len());
            }
            for (_, uri) in &ops {
                trie.remove(uri);
            }
            prop_assert_eq!(trie.len(), 0);
            prop_assert_eq!(trie.checked_nodes(), 0);
        }
    }
}
