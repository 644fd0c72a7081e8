//! A map from prefixes to values that is cheap to copy.
//!
//! A node stands for the first `depth` bits of an address, `depth` a multiple of four. It holds the values of
//! prefixes that end within the next four bits and the nodes below, both packed behind bitmaps. Levels on
//! which nothing branches are left out, so a walk takes as many steps as prefixes really differ by: four or
//! five among ten thousand peers.
//!
//! Nodes are shared between copies of the map. An edit copies the nodes on its way down unless nobody else
//! has them; what a copy of the map sees never changes.

use std::sync::Arc;

/// Bits a level looks at.
const STRIDE: u8 = 4;

/// A prefix: its bits from the top of the number, zeroes behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    bits: u128,
    length: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct PrefixMap<V> {
    root: Option<Arc<Node<V>>>,
}

#[derive(Clone, Debug)]
struct Node<V> {
    bits: u128,
    depth: u8,
    /// Which prefixes that end here have a value: one of no more bits, then two of one, four of two, eight
    /// of three.
    ending: u16,
    /// Which of the next four bits lead to a node.
    branching: u16,
    values: Vec<V>,
    nodes: Vec<Arc<Self>>,
}

impl Prefix {
    /// A prefix of an address whose bits are at the top of the number.
    pub(crate) fn new(bits: u128, length: u8) -> Self {
        Self { bits: bits & mask(length), length }
    }

    /// How deep the node is that holds it.
    fn depth(self) -> u8 {
        self.length - self.length % STRIDE
    }

    /// Which of the node's values is its own.
    fn ending(self) -> u32 {
        ending(nibble(self.bits, self.depth()), self.length % STRIDE)
    }
}

impl<V> Default for PrefixMap<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V> PrefixMap<V> {
    /// Offers the values of all prefixes of `address`, the longest first, until one is accepted.
    pub(crate) fn find<R>(&self, address: u128, accept: &mut impl FnMut(&V) -> Option<R>) -> Option<R> {
        self.root.as_ref()?.find(address, accept)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }
}

impl<V: Clone> PrefixMap<V> {
    /// Puts in the place of the prefix's value, `None` when it has none, what `change` makes of it.
    pub(crate) fn edit(&mut self, prefix: Prefix, change: impl FnOnce(Option<V>) -> Option<V>) {
        self.root = edit(self.root.take(), prefix, change);
    }
}

impl<V> Node<V> {
    fn find<R>(&self, address: u128, accept: &mut impl FnMut(&V) -> Option<R>) -> Option<R> {
        if (self.bits ^ address) & mask(self.depth) != 0 {
            return None;
        }
        let nibble = nibble(address, self.depth);
        let below = packed(self.branching, nibble).and_then(|index| self.nodes.get(index));
        if let Some(found) = below.and_then(|node| node.find(address, accept)) {
            return Some(found);
        }
        if self.ending == 0 {
            return None;
        }
        (0..STRIDE).rev().find_map(|bits| {
            let index = packed(self.ending, ending(nibble, bits))?;
            self.values.get(index).and_then(&mut *accept)
        })
    }

    fn empty(bits: u128, depth: u8) -> Self {
        let bits = bits & mask(depth);
        Self { bits, depth, ending: 0, branching: 0, values: Vec::new(), nodes: Vec::new() }
    }

    fn change(&mut self, place: u32, change: impl FnOnce(Option<V>) -> Option<V>) {
        let old = packed(self.ending, place).map(|index| self.values.remove(index));
        self.ending &= !(1 << place);
        if let Some(value) = change(old) {
            self.values.insert(rank(self.ending, place), value);
            self.ending |= 1 << place;
        }
    }

    fn take_node(&mut self, nibble: u32) -> Option<Arc<Self>> {
        let index = packed(self.branching, nibble)?;
        self.branching &= !(1 << nibble);
        Some(self.nodes.remove(index))
    }

    fn put_node(&mut self, node: Arc<Self>) {
        let nibble = nibble(node.bits, self.depth);
        self.nodes.insert(rank(self.branching, nibble), node);
        self.branching |= 1 << nibble;
    }

    /// A node without values is needed only where ways part.
    fn collapse(mut self: Arc<Self>) -> Option<Arc<Self>> {
        match (self.values.len(), self.nodes.len()) {
            (0, 0) => None,
            (0, 1) => match Arc::get_mut(&mut self) {
                Some(node) => node.nodes.pop(),
                None => self.nodes.first().cloned(),
            },
            _ => Some(self),
        }
    }
}

fn edit<V: Clone>(
    node: Option<Arc<Node<V>>>,
    prefix: Prefix,
    change: impl FnOnce(Option<V>) -> Option<V>,
) -> Option<Arc<Node<V>>> {
    let Some(mut node) = node else { return leaf(prefix, change(None)) };
    let common = shared_depth(&node, prefix);
    if common < node.depth {
        let Some(value) = change(None) else { return Some(node) };
        let mut parent = Node::empty(prefix.bits, common);
        parent.put_node(node);
        if prefix.depth() == common {
            parent.change(prefix.ending(), |_| Some(value));
        } else {
            leaf(prefix, Some(value)).into_iter().for_each(|leaf| parent.put_node(leaf));
        }
        return Some(Arc::new(parent));
    }
    let own = Arc::make_mut(&mut node);
    if prefix.depth() == own.depth {
        own.change(prefix.ending(), change);
    } else {
        let below = own.take_node(nibble(prefix.bits, own.depth));
        edit(below, prefix, change).into_iter().for_each(|below| own.put_node(below));
    }
    node.collapse()
}

fn leaf<V>(prefix: Prefix, value: Option<V>) -> Option<Arc<Node<V>>> {
    let value = value?;
    let mut node = Node::empty(prefix.bits, prefix.depth());
    node.change(prefix.ending(), |_| Some(value));
    Some(Arc::new(node))
}

/// How deep the node and the one that should hold the prefix are the same.
fn shared_depth<V>(node: &Node<V>, prefix: Prefix) -> u8 {
    // At most 128.
    let equal = u8::try_from((node.bits ^ prefix.bits).leading_zeros()).unwrap_or(u8::MAX);
    let common = equal.min(node.depth).min(prefix.depth());
    common - common % STRIDE
}

fn mask(length: u8) -> u128 {
    !u128::MAX.checked_shr(length.into()).unwrap_or(0)
}

/// The four bits behind the first `depth`; zero at the end of an address.
fn nibble(bits: u128, depth: u8) -> u32 {
    let top = bits.checked_shl(depth.into()).unwrap_or(0) >> (u128::BITS - u32::from(STRIDE));
    // Four bits are left.
    u32::try_from(top).unwrap_or(0)
}

/// The place of the prefix that consists of the first `bits` of the nibble.
fn ending(nibble: u32, bits: u8) -> u32 {
    (1 << bits) - 1 + (nibble >> (STRIDE - bits))
}

/// Where among the packed ones the one at `place` stands, if it is there.
fn packed(bitmap: u16, place: u32) -> Option<usize> {
    (bitmap >> place & 1 != 0).then(|| rank(bitmap, place))
}

/// How many are there before `place`.
fn rank(bitmap: u16, place: u32) -> usize {
    // At most 16.
    usize::try_from((bitmap & ((1 << place) - 1)).count_ones()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    /// Prefixes that share much: their bits are all in a few places.
    fn prefix() -> impl Strategy<Value = Prefix> {
        (0..=128_u8, any::<u8>(), any::<u8>())
            .prop_map(|(length, top, middle)| Prefix::new(crowded(top, middle), length))
    }

    fn crowded(top: u8, middle: u8) -> u128 {
        u128::from(top & 7) << 121 | u128::from(middle & 0x13) << 60 | u128::from(middle >> 7)
    }

    proptest! {
        #[test]
        fn the_map_agrees_with_a_list(
            edits in vec((prefix(), any::<bool>()), 0..60),
            asked in vec((any::<u8>(), any::<u8>()), 20),
        ) {
            let mut map = PrefixMap::default();
            let mut list: Vec<(Prefix, usize)> = Vec::new();
            for (number, (prefix, insert)) in edits.into_iter().enumerate() {
                let before = map.clone();
                map.edit(prefix, |_| insert.then_some(number));
                list.retain(|(known, _)| *known != prefix);
                let unchanged = before.find(prefix.bits, &mut |value| Some(*value).filter(|v| *v == number));
                prop_assert!(unchanged.is_none(), "a copy of the map has changed");
                if insert {
                    list.push((prefix, number));
                }
            }
            prop_assert_eq!(map.is_empty(), list.is_empty());
            for (top, middle) in asked {
                let address = crowded(top, middle);
                let mut found = Vec::new();
                let none: Option<()> = map.find(address, &mut |value| { found.push(*value); None });
                prop_assert!(none.is_none());
                let mut expected: Vec<_> =
                    list.iter().filter(|(p, _)| (address ^ p.bits) & mask(p.length) == 0).collect();
                expected.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.length));
                prop_assert_eq!(found, expected.iter().map(|(_, number)| *number).collect::<Vec<_>>());
            }
            for (prefix, _) in list {
                map.edit(prefix, |_| None);
            }
            prop_assert!(map.is_empty());
        }
    }
}
