//! NAT detection (RFC 7296 §2.23): each end says, as hashes, which addresses it sent from and to, and the
//! other compares them with what arrived.

use crate::wire::{IkeSpi, NatDetection};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Which ends are behind a NAT, or pretend to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NatView {
    /// We are: our keepalives hold the mapping open, and the peer may see our address change.
    pub local_behind_nat: bool,
    /// The peer is: its address may change at any time.
    pub remote_behind_nat: bool,
}

/// What a message says of the address it leaves from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceClaim {
    /// The truth.
    Honest,
    /// An address that no packet comes from, so that the peer finds a NAT and both ends encapsulate.
    Forced,
}

impl NatView {
    /// Reads the hashes of a message with these SPIs in its header, which came from `remote` to `local`.
    /// Absent hashes say nothing: the peer does no NAT traversal.
    pub fn new(
        detection: &NatDetection,
        initiator: IkeSpi,
        responder: IkeSpi,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Self {
        let differs = |claimed: &[u8; 20], actual| *claimed != nat_hash(initiator, responder, actual);
        Self {
            local_behind_nat: detection.destination.is_some_and(|claimed| differs(&claimed, local)),
            // A sender that does not know which of its addresses will be used names several, and one that
            // matches is enough.
            remote_behind_nat: !detection.sources.is_empty()
                && detection.sources.iter().all(|claimed| differs(claimed, remote)),
        }
    }

    /// A NAT is on the path: ESP must go inside UDP.
    pub const fn any(self) -> bool {
        self.local_behind_nat || self.remote_behind_nat
    }
}

/// The hashes of a message that leaves `local` for `remote` with these SPIs in its header.
pub fn nat_detection(
    initiator: IkeSpi,
    responder: IkeSpi,
    local: SocketAddr,
    remote: SocketAddr,
    claim: SourceClaim,
) -> NatDetection {
    let source = match claim {
        SourceClaim::Honest => local,
        SourceClaim::Forced => NOWHERE,
    };
    NatDetection {
        sources: vec![nat_hash(initiator, responder, source)],
        destination: Some(nat_hash(initiator, responder, remote)),
    }
}

/// SHA-1 over both SPIs in the order of the header, address and port. IPv4 addresses count four octets even
/// where a socket of both families shows them as IPv6 ones.
pub fn nat_hash(initiator: IkeSpi, responder: IkeSpi, end: SocketAddr) -> [u8; 20] {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(&initiator.0.to_be_bytes());
    context.update(&responder.0.to_be_bytes());
    match end.ip().to_canonical() {
        IpAddr::V4(address) => context.update(&address.octets()),
        IpAddr::V6(address) => context.update(&address.octets()),
    }
    context.update(&end.port().to_be_bytes());
    let mut hash = [0; 20];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Neither this address nor this port is ever the source of a packet.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

#[cfg(test)]
mod tests {
    use super::*;

    const INITIATOR: IkeSpi = IkeSpi(0x0102_0304_0506_0708);
    const RESPONDER: IkeSpi = IkeSpi(0x1112_1314_1516_1718);

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn seen(sent: &NatDetection, local: &str, remote: &str) -> NatView {
        NatView::new(sent, INITIATOR, RESPONDER, at(local), at(remote))
    }

    fn sent(claim: SourceClaim) -> NatDetection {
        nat_detection(INITIATOR, RESPONDER, at("192.0.2.1:500"), at("198.51.100.9:500"), claim)
    }

    #[test]
    fn the_hash_is_over_spis_address_and_port() {
        let v4 = nat_hash(INITIATOR, RESPONDER, at("192.0.2.1:500"));
        assert_eq!(hex(v4), "d798d986143f878f70765e0e869c80bbc375f701");
        let v6 = nat_hash(INITIATOR, IkeSpi(0), at("[2001:db8::1]:4500"));
        assert_eq!(hex(v6), "98c75483db80168697635aa7844504963e87de33");
    }

    #[test]
    fn a_mapped_address_hashes_as_ipv4() {
        let mapped = nat_hash(INITIATOR, RESPONDER, at("[::ffff:192.0.2.1]:500"));
        assert_eq!(mapped, nat_hash(INITIATOR, RESPONDER, at("192.0.2.1:500")));
    }

    #[test]
    fn no_nat_shows_none() {
        let view = seen(&sent(SourceClaim::Honest), "198.51.100.9:500", "192.0.2.1:500");
        assert_eq!(view, NatView::default());
        assert!(!view.any());
    }

    #[test]
    fn a_changed_source_shows_the_peer_behind_nat() {
        for remote in ["203.0.113.5:500", "192.0.2.1:1024"] {
            let view = seen(&sent(SourceClaim::Honest), "198.51.100.9:500", remote);
            assert_eq!(view, NatView { local_behind_nat: false, remote_behind_nat: true });
        }
    }

    #[test]
    fn a_changed_destination_shows_us_behind_nat() {
        let view = seen(&sent(SourceClaim::Honest), "10.0.0.2:500", "192.0.2.1:500");
        assert_eq!(view, NatView { local_behind_nat: true, remote_behind_nat: false });
        assert!(view.any());
    }

    #[test]
    fn one_of_several_sources_is_enough() {
        let mut detection = sent(SourceClaim::Honest);
        detection.sources.insert(0, [7; 20]);
        assert!(!seen(&detection, "198.51.100.9:500", "192.0.2.1:500").any());
        detection.sources = vec![[7; 20], [8; 20]];
        assert!(seen(&detection, "198.51.100.9:500", "192.0.2.1:500").remote_behind_nat);
    }

    #[test]
    fn a_forced_claim_looks_like_a_nat_before_the_sender() {
        let view = seen(&sent(SourceClaim::Forced), "198.51.100.9:500", "192.0.2.1:500");
        assert_eq!(view, NatView { local_behind_nat: false, remote_behind_nat: true });
    }

    #[test]
    fn no_hashes_say_nothing() {
        assert!(!seen(&NatDetection::default(), "198.51.100.9:500", "192.0.2.1:500").any());
    }

    fn hex(bytes: [u8; 20]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
