//! An array that is cheap to copy: a tree of fixed depth, its nodes shared between copies until one of them
//! changes. An index is found in four steps whatever the number of elements.

use std::sync::Arc;

const BITS: u32 = 5;
const WIDTH: usize = 1 << BITS;
const LEVELS: u32 = 4;

/// How many elements there can be.
pub(crate) const CAPACITY: u32 = 1 << (BITS * LEVELS);

#[derive(Clone, Debug)]
pub(crate) struct Slots<T> {
    root: Node<T>,
}

#[derive(Clone, Debug)]
enum Node<T> {
    Empty,
    Branch(Arc<[Self; WIDTH]>),
    Leaf(Arc<[Option<T>; WIDTH]>),
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { root: Node::Empty }
    }
}

impl<T> Slots<T> {
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let mut node = &self.root;
        for level in (0..LEVELS).rev() {
            match node {
                Node::Branch(nodes) => node = nodes.get(digit(index, level))?,
                Node::Leaf(values) => return values.get(digit(index, level))?.as_ref(),
                Node::Empty => return None,
            }
        }
        None
    }
}

impl<T: Clone> Slots<T> {
    /// Puts a value or nothing into a place and returns what was there.
    pub(crate) fn set(&mut self, index: u32, value: Option<T>) -> Option<T> {
        let mut node = &mut self.root;
        for level in (1..LEVELS).rev() {
            if !matches!(node, Node::Branch(_)) {
                *node = Node::Branch(Arc::new([const { Node::Empty }; WIDTH]));
            }
            let Node::Branch(nodes) = node else { return None };
            node = Arc::make_mut(nodes).get_mut(digit(index, level))?;
        }
        if !matches!(node, Node::Leaf(_)) {
            *node = Node::Leaf(Arc::new([const { None }; WIDTH]));
        }
        let Node::Leaf(values) = node else { return None };
        let place = Arc::make_mut(values).get_mut(digit(index, 0))?;
        std::mem::replace(place, value)
    }
}

fn digit(index: u32, level: u32) -> usize {
    // Five bits are left.
    usize::try_from(index >> (level * BITS)).unwrap_or(0) % WIDTH
}
