//! Addresses and ports (RFC 7296 §2.11 and §2.23).

use crate::puppet::{Puppet, Stranger};
use crate::support::{End, Pair};
use tidegate_esp::Encapsulation;
use tidegate_ike::wire::{ExchangeType, NatDetection, PayloadChain};

// RFC 7296 §2.23: not even if the operator, or a NAT, wants ESP in UDP. The peer decides by staying there.
#[test]
fn udp_encapsulation_is_never_used_on_port_500() {
    let mut pair = Pair::psk(1);
    let stranger = Stranger::saying(&mut pair, |request| request.nat = NatDetection::default());
    stranger.introduce(&mut pair);
    assert_eq!(pair.b.installed.len(), 2);
    for params in pair.b.installed.values() {
        assert_eq!(params.path.local.port(), 500);
        assert_eq!(params.path.encapsulation, Encapsulation::None);
    }
}

// RFC 7296 §2.11: the answer leaves from the address that was asked.
#[test]
fn an_answer_leaves_from_where_the_request_arrived() {
    let (mut pair, mut puppet) = Puppet::with_engine(3);
    let mut request = puppet.request(ExchangeType::Informational, &PayloadChain::default());
    request.path.local.set_port(5000);
    request.path.remote.set_ip([192, 0, 2, 77].into());
    pair.deliver(End::B, &request);
    let answer = pair.take(End::B);
    assert_eq!(answer.path.local, request.path.remote);
    assert_eq!(answer.path.remote, request.path.local);
}
