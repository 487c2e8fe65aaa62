//! A node of the trie and the edges to its children.

use ahash::RandomState;
use indexmap::IndexMap;

use crate::pattern::arena::{Entry, NodeId};

/// Below this capacity the children of a node are not worth shrinking.
const CHILDREN_KEPT: usize = 16;

type Children = IndexMap<Box<str>, NodeId, RandomState>;

#[derive(Debug)]
pub(super) struct Node<V> {
    /// The components between that which leads here from the parent and those of the children, each with a
    /// `.` before it.
    pub(super) tail: Box<str>,
    /// The child of the empty component.
    pub(super) any: Option<NodeId>,
    /// The children of literal components; leaves, the most nodes, have no map.
    pub(super) literals: Option<Box<Children>>,
    /// On leaves.
    pub(super) entry: Option<Box<Entry<V>>>,
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self {
            tail: Box::default(),
            any: None,
            literals: None,
            entry: None,
        }
    }
}

impl<V> Node<V> {
    pub(super) fn child(&self, component: &str) -> Option<NodeId> {
        if component.is_empty() {
            self.any
        } else {
            self.literal(component)
        }
    }

    pub(super) fn literal(&self, component: &str) -> Option<NodeId> {
        self.literals.as_ref()?.get(component).copied()
    }

    pub(super) fn set_child(&mut self, component: &str, child: NodeId, hasher: &RandomState) {
        if component.is_empty() {
            self.any = Some(child);
            return;
        }
        let new_map = || Box::new(Children::with_hasher(hasher.clone()));
        let literals = self.literals.get_or_insert_with(new_map);
        match literals.get_mut(component) {
            Some(place) => *place = child,
            None => {
                literals.insert(component.into(), child);
            }
        }
    }

    pub(super) fn remove_child(&mut self, component: &str) {
        if component.is_empty() {
            self.any = None;
            return;
        }
        let Some(literals) = &mut self.literals else {
            return;
        };
        literals.swap_remove(component);
        let (len, capacity) = (literals.len(), literals.capacity());
        if len == 0 {
            self.literals = None;
        } else if capacity > CHILDREN_KEPT && len < capacity / 8 {
            literals.shrink_to(len * 2);
        }
    }

    /// The child and the component that leads to it, if there is exactly one.
    pub(super) fn only_child(&self) -> Option<(&str, NodeId)> {
        let literals = self.literals.as_ref();
        match (self.any, literals.map_or(0, |literals| literals.len())) {
            (Some(any), 0) => Some(("", any)),
            (None, 1) => literals?.first().map(|(component, &child)| (&**component, child)),
            _ => None,
        }
    }

    pub(super) fn has_children(&self) -> bool {
        self.any.is_some() || self.literals.is_some()
    }
}
