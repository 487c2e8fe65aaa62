//! Nodes of a trie in one vector, named by small numbers: no pointers, so that a node can know its parent.

use core::num::NonZeroU32;
use core::ops::{Index, IndexMut};
use std::sync::Arc;

/// Names a node of an [`Arena`]. Never zero, so that an optional one is four octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NodeId(NonZeroU32);

impl NodeId {
    /// The node that is added first.
    pub(super) const FIRST: Self = Self(NonZeroU32::MIN);

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What a trie stores under a pattern.
#[derive(Debug)]
pub(super) struct Entry<V> {
    pub(super) uri: Arc<str>,
    pub(super) value: V,
}

impl<V> Entry<V> {
    pub(super) fn new(uri: Arc<str>, value: V) -> Box<Self> {
        Box::new(Self { uri, value })
    }
}

/// The nodes. Places of removed ones are reused, and all memory is returned when the last node goes.
#[derive(Debug)]
pub(super) struct Arena<T> {
    nodes: Vec<T>,
    free: Vec<NodeId>,
}

impl<T: Default> Arena<T> {
    pub(super) const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Number of nodes in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    pub(super) fn add(&mut self, node: T) -> NodeId {
        if let Some(id) = self.free.pop() {
            self[id] = node;
            return id;
        }
        debug_assert!(
            self.nodes.len() < u32::MAX as usize,
            "memory ends long before the numbers do"
        );
        let id = NodeId(NonZeroU32::MIN.saturating_add(self.nodes.len() as u32));
        self.nodes.push(node);
        id
    }

    /// Takes a node out; nothing may name it any more.
    pub(super) fn remove(&mut self, id: NodeId) -> T {
        let node = core::mem::take(&mut self[id]);
        self.free.push(id);
        if self.free.len() == self.nodes.len() {
            *self = Self::new();
        }
        node
    }

    /// Every node in use, and defaults in place of removed ones.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter()
    }
}

impl<T> Index<NodeId> for Arena<T> {
    type Output = T;

    fn index(&self, id: NodeId) -> &T {
        &self.nodes[id.index()]
    }
}

impl<T> IndexMut<NodeId> for Arena<T> {
    fn index_mut(&mut self, id: NodeId) -> &mut T {
        &mut self.nodes[id.index()]
    }
}
