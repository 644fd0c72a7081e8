//! Decisions remembered by flow.
//!
//! A cache belongs to one worker and is made once. Each flow has a few places in it, so that two busy ones
//! hardly ever drive each other out. Entries are valid for the tables they were made from and no others, so
//! nothing ever has to be cleared.

use crate::flow::{Flow, Transport};
use crate::snapshot::Decision;
use std::net::IpAddr;

/// Remembers what was decided for recent flows.
#[derive(Clone, Debug)]
pub struct FlowCache {
    sets: Box<[Set]>,
    /// Nobody outside can tell which flows collide.
    seed: u64,
}

/// How many places a flow has.
const WAYS: usize = 4;

/// Hashes stand together, so that as a rule only one entry is looked at.
#[derive(Clone, Copy, Debug)]
struct Set {
    hashes: [u64; WAYS],
    entries: [Entry; WAYS],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    flow: Flow,
    /// The tables' number; 0 is none's.
    routes: u64,
    decision: Decision,
}

impl FlowCache {
    /// A cache for about as many flows; the seed is to be random.
    pub fn new(flows: usize, seed: u64) -> Self {
        let empty = Entry { flow: Flow::UNSPECIFIED, routes: 0, decision: Decision::NoRule };
        let empty = Set { hashes: [0; WAYS], entries: [empty; WAYS] };
        Self { sets: vec![empty; flows.div_ceil(WAYS).next_power_of_two()].into(), seed }
    }

    /// What was decided for the flow by the tables of that number; what was not, `decide` decides.
    pub(crate) fn get_or_decide(
        &mut self,
        routes: u64,
        flow: &Flow,
        decide: impl FnOnce() -> Decision,
    ) -> Decision {
        let hash = hash(self.seed, flow);
        // A power of two, so the mask is one less.
        let index = low_bits(hash) & self.sets.len().wrapping_sub(1);
        let Some(set) = self.sets.get_mut(index) else { return decide() };
        let mut places = set.hashes.iter().zip(&set.entries);
        let same = |(known, entry): &(&u64, &Entry)| {
            **known == hash && entry.routes == routes && entry.flow == *flow
        };
        if let Some((_, known)) = places.find(same) {
            return known.decision;
        }
        let decision = decide();
        set.put(hash, Entry { flow: *flow, routes, decision });
        decision
    }
}

impl Set {
    /// Takes a place of former tables if there is one, otherwise any.
    fn put(&mut self, hash: u64, entry: Entry) {
        let stale = self.entries.iter().position(|old| old.routes != entry.routes);
        let place = stale.unwrap_or(low_bits(hash >> 48) % WAYS);
        if let (Some(known), Some(old)) = (self.hashes.get_mut(place), self.entries.get_mut(place)) {
            (*known, *old) = (hash, entry);
        }
    }
}

fn low_bits(hash: u64) -> usize {
    usize::try_from(hash & u64::from(u32::MAX)).unwrap_or(0)
}

fn hash(seed: u64, flow: &Flow) -> u64 {
    let rest = match flow.transport {
        Transport::Ports { source, destination } => u64::from(source) << 16 | u64::from(destination),
        Transport::Icmp { kind, code } => 1 << 32 | u64::from(kind) << 8 | u64::from(code),
        Transport::Mobility(kind) => 2 << 32 | u64::from(kind),
        Transport::Opaque => 3 << 32,
    };
    let rest = rest | u64::from(flow.protocol) << 40;
    match (flow.source, flow.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let addresses = u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits());
            mix(seed ^ addresses, rest)
        }
        (source, destination) => mix(address(seed, source), address(rest, destination)),
    }
}

fn address(seed: u64, address: IpAddr) -> u64 {
    let bits = match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    };
    mix(seed ^ low(bits), low(bits >> 64))
}

/// Every bit of both depends on every bit of either, near enough.
fn mix(a: u64, b: u64) -> u64 {
    // Odd numbers with bits all over, so that a zero does not wipe the other out.
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
    low(product) ^ low(product >> 64)
}

fn low(bits: u128) -> u64 {
    u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0)
}
