//! Traffic selectors: from what is configured to what is asked, and from what is asked to what is agreed
//! (RFC 7296 §2.9).
//!
//! All of it is about one side at a time, the initiator's or the responder's.

use std::net::IpAddr;
use tidegate_esp::{AddressRange, Ports, SelectorPair, TrafficSelector};

/// A selector as an operator writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfiguredSelector {
    /// These addresses.
    Fixed(TrafficSelector),
    /// Whatever addresses the end has: the outer one, or those that the configuration payload gave it.
    Dynamic {
        /// IP protocol number, 0 for any.
        protocol: u8,
        /// Ports.
        ports: Ports,
    },
}

/// The selectors with the end's addresses put in, in the order configured.
pub fn resolve(configured: &[ConfiguredSelector], addresses: &[IpAddr]) -> Vec<TrafficSelector> {
    let mut resolved = Joined::default();
    for selector in configured {
        match *selector {
            ConfiguredSelector::Fixed(selector) => resolved.add(selector),
            ConfiguredSelector::Dynamic { protocol, ports } => {
                for address in addresses {
                    let addresses = AddressRange::host(*address);
                    resolved.add(TrafficSelector { addresses, protocol, ports });
                }
            }
        }
    }
    resolved.0
}

/// What a responder takes of an offer: all that both its configuration and the offer hold, in the order of
/// the offer. So the initiator's first selector, which may be the packet that started it all, is within the
/// result wherever the configuration allows it, as §2.9 wants. Empty means TS_UNACCEPTABLE.
pub fn narrow(configured: &[TrafficSelector], offered: &[TrafficSelector]) -> Vec<TrafficSelector> {
    let mut agreed = Joined::default();
    for (at, selector) in offered.iter().enumerate() {
        // Repetitions would otherwise cost a pass over the configuration each.
        if offered.iter().take(at).any(|earlier| earlier.contains_selector(selector)) {
            continue;
        }
        configured.iter().filter_map(|ours| selector.intersect(ours)).for_each(|both| agreed.add(both));
    }
    agreed.0
}

/// Whether everything that `inner` matches is matched by `outer`, be it by several selectors together. An
/// initiator checks the answer to its offer with it, and both ends check that a successor is not narrower
/// than what it replaces (RFC 7296 §2.9.2).
pub fn within(inner: &[TrafficSelector], outer: &[TrafficSelector]) -> bool {
    // A pair is judged by both of its sides, so the side that is not asked about matches everything.
    let pair = |side: &[TrafficSelector]| SelectorPair {
        local: side.to_vec(),
        remote: vec![TrafficSelector::any_v4(), TrafficSelector::any_v6()],
    };
    pair(outer).contains(&pair(inner))
}

/// A TS payload counts its selectors in one octet (RFC 7296 §3.13).
const MOST: usize = 255;

/// Selectors none of which contains another, never more than a payload can carry.
#[derive(Default)]
struct Joined(Vec<TrafficSelector>);

impl Joined {
    /// A wider selector takes the place of the first that it makes redundant.
    fn add(&mut self, selector: TrafficSelector) {
        if self.0.iter().any(|kept| kept.contains_selector(&selector)) {
            return;
        }
        match self.0.iter().position(|kept| selector.contains_selector(kept)) {
            Some(first) => {
                let mut at = 0;
                self.0.retain(|kept| {
                    let redundant = at > first && selector.contains_selector(kept);
                    at += 1;
                    !redundant
                });
                if let Some(place) = self.0.get_mut(first) {
                    *place = selector;
                }
            }
            None if self.0.len() < MOST => self.0.push(selector),
            None => {}
        }
    }
}
