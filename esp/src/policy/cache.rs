//! Decisions remembered by flow.
//!
//! A cache belongs to one worker and is made once. Each flow has one place in it; a flow that collides takes
//! the place over. Entries are valid for the tables they were made from and no others, so that nothing ever
//! has to be cleared.

use crate::flow::{Flow, Transport};
use crate::snapshot::Decision;
use std::net::IpAddr;

/// Remembers what was decided for recent flows.
#[derive(Clone, Debug)]
pub struct FlowCache {
    entries: Box<[Entry]>,
    /// Nobody outside can tell which flows collide.
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    flow: Flow,
    /// The tables' number; 0 is none's.
    routes: u64,
    decision: Decision,
}

impl FlowCache {
    /// A cache for as many flows, rounded up to a power of two; the seed is to be random.
    pub fn new(flows: usize, seed: u64) -> Self {
        let empty = Entry { flow: Flow::UNSPECIFIED, routes: 0, decision: Decision::NoRule };
        Self { entries: vec![empty; flows.next_power_of_two()].into(), seed }
    }

    /// What was decided for the flow by the tables of that number; what was not, `decide` decides.
    pub(crate) fn get_or_decide(
        &mut self,
        routes: u64,
        flow: &Flow,
        decide: impl FnOnce() -> Decision,
    ) -> Decision {
        // A power of two, so the mask is one less.
        let mask = self.entries.len().wrapping_sub(1);
        let index = usize::try_from(hash(self.seed, flow) & u64::MAX >> 1).unwrap_or(0) & mask;
        let Some(entry) = self.entries.get_mut(index) else { return decide() };
        if entry.routes != routes || entry.flow != *flow {
            *entry = Entry { flow: *flow, routes, decision: decide() };
        }
        entry.decision
    }
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
