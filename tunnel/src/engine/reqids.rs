//! Numbers by which children are known from outside.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Who has which number: connection and child. A number that is given in a configuration may have several
/// children, one that is found here has one.
#[derive(Default)]
pub(super) struct Reqids {
    taken: BTreeSet<(u32, Arc<str>, Arc<str>)>,
    last: u32,
}

impl Reqids {
    /// A number for a child: the one that it wants, or one that nobody has.
    pub(super) fn take(&mut self, wanted: Option<NonZeroU32>, link: &Arc<str>, child: &Arc<str>) -> u32 {
        let number = wanted.map_or_else(|| self.fresh(), NonZeroU32::get);
        self.taken.insert((number, Arc::clone(link), Arc::clone(child)));
        number
    }

    /// A child is not loaded any more.
    pub(super) fn give_back(&mut self, number: u32, link: &Arc<str>, child: &Arc<str>) {
        self.taken.remove(&(number, Arc::clone(link), Arc::clone(child)));
    }

    /// Connections and children of a number.
    pub(super) fn of(&self, number: u32) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        let nothing: Arc<str> = "".into();
        let from_here = self.taken.range((number, Arc::clone(&nothing), nothing)..);
        from_here.take_while(move |(other, ..)| *other == number).map(|(_, link, child)| (link, child))
    }

    fn fresh(&mut self) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1);
            if self.last != 0 && self.of(self.last).next().is_none() {
                return self.last;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_found_is_nobody_elses_and_one_that_is_wanted_may_be() {
        let mut reqids = Reqids::default();
        let name = |text: &str| Arc::<str>::from(text);
        let wanted = NonZeroU32::new(2);
        assert_eq!(reqids.take(wanted, &name("a"), &name("net")), 2);
        assert_eq!(reqids.take(wanted, &name("b"), &name("net")), 2);
        let fresh = ["x", "y"].map(|child| reqids.take(None, &name("a"), &name(child)));
        assert_eq!(fresh, [1, 3]);
        assert_eq!(reqids.of(2).count(), 2);
        reqids.give_back(2, &name("a"), &name("net"));
        let left: Vec<_> = reqids.of(2).map(|(link, _)| link.to_string()).collect();
        assert_eq!(left, ["b"]);
    }
}
