//! Whose prefix is whose: what a proven peer has an SA for, no other identity gets one for.
//!
//! SAs are found by the prefixes of their remote selectors: those that lie within a prefix stand next to each
//! other, and those around it are at most as many as an address has bits.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::{SelectorPair, Spi};
use tidegate_ike::identity::Identity;

/// Family, first address, length.
type Prefix = (Family, u128, u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

/// Who holds what.
#[derive(Default)]
pub(super) struct Claims {
    by_prefix: BTreeSet<(Prefix, Spi)>,
    claims: BTreeMap<Spi, Claim>,
}

struct Claim {
    peer: Arc<Identity>,
    selectors: Arc<SelectorPair>,
}

impl Claims {
    /// A child of another identity with which these selectors overlap.
    pub(super) fn conflict(&self, peer: &Identity, selectors: &SelectorPair) -> Option<Spi> {
        let taken = |spi: &Spi| {
            let claim = self.claims.get(spi);
            claim.is_some_and(|claim| *claim.peer != *peer && claim.selectors.overlaps(selectors))
        };
        prefixes(selectors).find_map(|prefix| self.around(prefix).chain(self.within(prefix)).find(taken))
    }

    /// The child, named by its inbound SPI, has these selectors.
    pub(super) fn hold(&mut self, child: Spi, peer: Arc<Identity>, selectors: Arc<SelectorPair>) {
        self.by_prefix.extend(prefixes(&selectors).map(|prefix| (prefix, child)));
        self.claims.insert(child, Claim { peer, selectors });
    }

    pub(super) fn release(&mut self, child: Spi) {
        if let Some(claim) = self.claims.remove(&child) {
            for prefix in prefixes(&claim.selectors) {
                self.by_prefix.remove(&(prefix, child));
            }
        }
    }

    /// Children with a shorter prefix around this one.
    fn around(&self, (family, first, length): Prefix) -> impl Iterator<Item = Spi> {
        (0..length).flat_map(move |shorter| {
            let prefix = (family, first & mask(family, shorter), shorter);
            self.by_prefix
                .range((prefix, LOWEST)..)
                .take_while(move |(p, _)| *p == prefix)
                .map(|(_, spi)| *spi)
        })
    }

    /// Children with this prefix, or a longer one within it.
    fn within(&self, (family, first, length): Prefix) -> impl Iterator<Item = Spi> {
        let last = first | !mask(family, length) & width(family);
        let from_here = self.by_prefix.range(((family, first, length), LOWEST)..);
        from_here.take_while(move |((f, start, _), _)| *f == family && *start <= last).map(|(_, spi)| *spi)
    }
}

const LOWEST: Spi = match Spi::new(Spi::MIN) {
    Some(spi) => spi,
    None => unreachable!(),
};

const fn width(family: Family) -> u128 {
    match family {
        Family::V4 => u32::MAX as u128,
        Family::V6 => u128::MAX,
    }
}

const fn mask(family: Family, length: u8) -> u128 {
    let bits = match family {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    match width(family).checked_shl(bits - length as u32) {
        Some(mask) => mask & width(family),
        None => 0,
    }
}

fn prefixes(selectors: &SelectorPair) -> impl Iterator<Item = Prefix> {
    selectors.remote.iter().flat_map(|selector| selector.addresses.to_prefixes()).map(|(address, length)| {
        match address {
            IpAddr::V4(address) => (Family::V4, u128::from(address.to_bits()), length),
            IpAddr::V6(address) => (Family::V6, address.to_bits(), length),
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn pair(local: &str, remote: &str) -> Arc<SelectorPair> {
        let list = |text: &str| text.split_whitespace().map(|word| word.parse().unwrap()).collect();
        Arc::new(SelectorPair { local: list(local), remote: list(remote) })
    }

    fn peer(name: &str) -> Arc<Identity> {
        Arc::new(name.parse().unwrap())
    }

    #[test]
    fn prefixes_around_and_within_are_found_and_others_are_not() {
        let mut claims = Claims::default();
        let (a, b) = (peer("a.example"), peer("b.example"));
        let spi = |n| Spi::new(n).unwrap();
        claims.hold(spi(1000), Arc::clone(&a), pair("10.0.0.0/8", "10.2.0.0/16 fd00:2::/32"));
        claims.hold(spi(1001), Arc::clone(&a), pair("10.0.0.0/8", "192.0.2.0/24"));
        let asks =
            |claims: &Claims, who: &Arc<Identity>, remote| claims.conflict(who, &pair("10.0.0.0/8", remote));
        assert_eq!(asks(&claims, &b, "10.2.3.0/24"), Some(spi(1000)));
        assert_eq!(asks(&claims, &b, "10.0.0.0/8"), Some(spi(1000)));
        assert_eq!(asks(&claims, &b, "0.0.0.0/0"), Some(spi(1000)));
        assert_eq!(asks(&claims, &b, "10.2.0.0/16"), Some(spi(1000)));
        assert_eq!(asks(&claims, &b, "10.3.0.0-10.255.255.255"), None);
        assert_eq!(asks(&claims, &a, "10.2.3.0/24"), None);
        assert_eq!(claims.conflict(&b, &pair("fd00::/16", "fd00:2::7")), None);
        assert_eq!(claims.conflict(&b, &pair("172.16.0.0/12", "10.2.0.0/16")), None);
        claims.release(spi(1000));
        assert_eq!(asks(&claims, &b, "0.0.0.0/0"), Some(spi(1001)));
        claims.release(spi(1001));
        assert_eq!(asks(&claims, &b, "0.0.0.0/0"), None);
        assert!(claims.by_prefix.is_empty());
    }
}
