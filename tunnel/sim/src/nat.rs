//! NATs, by the four kinds of old.

use crate::SimRandom;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// How a NAT maps and filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    /// One outer port for an inner one, open to everyone.
    FullCone,
    /// One outer port for an inner one, open to addresses that were sent to.
    AddressRestricted,
    /// One outer port for an inner one, open to addresses and ports that were sent to.
    PortRestricted,
    /// An outer port for each inner port and destination, open to that destination alone.
    Symmetric,
}

/// A NAT to be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatConfig {
    /// Its outer address.
    pub outer: IpAddr,
    /// How it behaves.
    pub kind: NatKind,
    /// A mapping, and the permission for one remote end, is gone this long after the last datagram from
    /// inside, in nanoseconds. Datagrams from outside refresh nothing, which is the harder case.
    pub timeout: u64,
}

pub(crate) struct Nat {
    pub(crate) config: NatConfig,
    /// By inner end, and for symmetric NATs by destination too.
    mappings: BTreeMap<(SocketAddr, Option<SocketAddr>), Mapping>,
    by_port: BTreeMap<u16, (SocketAddr, Option<SocketAddr>)>,
    next_port: u16,
    /// Nothing expires before this.
    next_expiry: u64,
}

struct Mapping {
    port: u16,
    /// When each remote end was last sent to; never empty.
    permissions: BTreeMap<SocketAddr, u64>,
}

/// A NAT with more mappings than this refuses new ones, one with more permissions forgets the oldest.
const MOST_MAPPINGS: usize = 16_384;
const MOST_PERMISSIONS: usize = 1_024;
const FIRST_PORT: u16 = 1_024;

impl Nat {
    pub(crate) fn new(config: NatConfig, random: &mut SimRandom) -> Self {
        let next_port = FIRST_PORT + random.below(u64::from(u16::MAX - FIRST_PORT)) as u16;
        Self { config, mappings: BTreeMap::new(), by_port: BTreeMap::new(), next_port, next_expiry: u64::MAX }
    }

    /// The source that a datagram from inside shows outside; `None` when there is no room for it.
    pub(crate) fn outbound(
        &mut self,
        now: u64,
        inner: SocketAddr,
        remote: SocketAddr,
        random: &mut SimRandom,
    ) -> Option<SocketAddr> {
        self.expire(now);
        let key = (inner, (self.config.kind == NatKind::Symmetric).then_some(remote));
        if !self.mappings.contains_key(&key) {
            let port = self.free_port(random)?;
            self.by_port.insert(port, key);
            self.mappings.insert(key, Mapping { port, permissions: BTreeMap::new() });
        }
        let mapping = self.mappings.get_mut(&key)?;
        mapping.permissions.insert(remote, now);
        self.next_expiry = self.next_expiry.min(now.saturating_add(self.config.timeout));
        if mapping.permissions.len() > MOST_PERMISSIONS {
            let oldest = mapping.permissions.iter().min_by_key(|(_, at)| **at).map(|(end, _)| *end);
            oldest.and_then(|end| mapping.permissions.remove(&end));
        }
        Some(SocketAddr::new(self.config.outer, mapping.port))
    }

    /// The inner end that a datagram from outside goes to; `None` when it is not let in.
    pub(crate) fn inbound(&mut self, now: u64, port: u16, remote: SocketAddr) -> Option<SocketAddr> {
        self.expire(now);
        let key = self.by_port.get(&port)?;
        let mapping = self.mappings.get(key)?;
        let permitted = match self.config.kind {
            NatKind::FullCone => true,
            NatKind::AddressRestricted => mapping.permissions.keys().any(|end| end.ip() == remote.ip()),
            NatKind::PortRestricted | NatKind::Symmetric => mapping.permissions.contains_key(&remote),
        };
        permitted.then_some(key.0)
    }

    /// Forgets every mapping, as a reboot does; new ones get other ports.
    pub(crate) fn rebind(&mut self) {
        self.mappings.clear();
        self.by_port.clear();
    }

    fn expire(&mut self, now: u64) {
        if now < self.next_expiry {
            return;
        }
        let end = |last: u64| last.saturating_add(self.config.timeout);
        let mut next_expiry = u64::MAX;
        let by_port = &mut self.by_port;
        self.mappings.retain(|_, mapping| {
            mapping.permissions.retain(|_, last| end(*last) > now);
            match mapping.permissions.values().min() {
                Some(oldest) => next_expiry = next_expiry.min(end(*oldest)),
                None => drop(by_port.remove(&mapping.port)),
            }
            !mapping.permissions.is_empty()
        });
        self.next_expiry = next_expiry;
    }

    /// Ports go up in uneven steps, so that a new mapping never gets the port of the one before it.
    fn free_port(&mut self, random: &mut SimRandom) -> Option<u16> {
        if self.by_port.len() >= MOST_MAPPINGS {
            return None;
        }
        let step = 1 + random.below(16) as u16;
        self.next_port = self.next_port.checked_add(step).unwrap_or(FIRST_PORT);
        while self.by_port.contains_key(&self.next_port) {
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        }
        Some(self.next_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SECOND;

    const INNER: &str = "10.0.0.2:500";
    const PEER: &str = "192.0.2.1:500";
    const PEER_OTHER_PORT: &str = "192.0.2.1:4500";
    const STRANGER: &str = "192.0.2.9:500";

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    struct Bench {
        nat: Nat,
        random: SimRandom,
    }

    impl Bench {
        fn new(kind: NatKind) -> Self {
            let mut random = SimRandom::new(1);
            let config = NatConfig { outer: at("203.0.113.1:0").ip(), kind, timeout: 60 * SECOND };
            Self { nat: Nat::new(config, &mut random), random }
        }

        fn out(&mut self, now: u64, remote: &str) -> SocketAddr {
            self.nat.outbound(now, at(INNER), at(remote), &mut self.random).expect("room")
        }

        fn lets_in(&mut self, now: u64, outer: SocketAddr, remote: &str) -> bool {
            self.nat.inbound(now, outer.port(), at(remote)).is_some_and(|inner| inner == at(INNER))
        }
    }

    #[test]
    fn cones_keep_one_port_and_symmetric_nats_one_for_each_destination() {
        for kind in [NatKind::FullCone, NatKind::AddressRestricted, NatKind::PortRestricted] {
            let mut bench = Bench::new(kind);
            assert_eq!(bench.out(0, PEER), bench.out(1, STRANGER), "{kind:?}");
        }
        let mut bench = Bench::new(NatKind::Symmetric);
        let first = bench.out(0, PEER);
        assert_eq!(first, bench.out(1, PEER));
        assert_ne!(first, bench.out(1, STRANGER));
        assert_ne!(first, bench.out(1, PEER_OTHER_PORT));
    }

    #[test]
    fn each_kind_lets_in_whom_its_definition_names() {
        // The peer itself, another port of the peer, a stranger.
        let cases = [
            (NatKind::FullCone, [true, true, true]),
            (NatKind::AddressRestricted, [true, true, false]),
            (NatKind::PortRestricted, [true, false, false]),
            (NatKind::Symmetric, [true, false, false]),
        ];
        for (kind, expected) in cases {
            let mut bench = Bench::new(kind);
            let outer = bench.out(0, PEER);
            let let_in = [PEER, PEER_OTHER_PORT, STRANGER].map(|remote| bench.lets_in(1, outer, remote));
            assert_eq!(let_in, expected, "{kind:?}");
        }
    }

    #[test]
    fn nobody_gets_in_unasked() {
        let mut bench = Bench::new(NatKind::FullCone);
        assert!((0..=u16::MAX).all(|port| bench.nat.inbound(0, port, at(PEER)).is_none()));
    }

    #[test]
    fn a_mapping_ends_without_traffic_from_inside() {
        let mut bench = Bench::new(NatKind::PortRestricted);
        let outer = bench.out(0, PEER);
        assert!(bench.lets_in(59 * SECOND, outer, PEER));
        // What came in has refreshed nothing.
        assert!(!bench.lets_in(60 * SECOND, outer, PEER));
        assert_ne!(bench.out(61 * SECOND, PEER), outer);
    }

    #[test]
    fn traffic_from_inside_keeps_a_mapping_but_not_every_permission() {
        let mut bench = Bench::new(NatKind::PortRestricted);
        let outer = bench.out(0, STRANGER);
        for minute in 0..10 {
            assert_eq!(bench.out(minute * 50 * SECOND, PEER), outer);
        }
        assert!(bench.lets_in(451 * SECOND, outer, PEER));
        assert!(!bench.lets_in(451 * SECOND, outer, STRANGER));
    }

    #[test]
    fn a_rebound_nat_gives_other_ports() {
        let mut bench = Bench::new(NatKind::FullCone);
        let before = bench.out(0, PEER);
        bench.nat.rebind();
        assert!(!bench.lets_in(1, before, PEER));
        assert_ne!(bench.out(1, PEER), before);
    }

    #[test]
    fn a_full_nat_refuses() {
        let mut bench = Bench::new(NatKind::Symmetric);
        let remote = |at: usize| SocketAddr::new(IpAddr::from([192, 0, (at >> 8) as u8, at as u8]), 500);
        let mut send = |at| bench.nat.outbound(0, self::at(INNER), remote(at), &mut bench.random).is_some();
        assert!((0..MOST_MAPPINGS).all(&mut send));
        assert!(!send(MOST_MAPPINGS));
    }
}
