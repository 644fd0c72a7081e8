//! DSCP and ECN across the tunnel.

#![allow(clippy::unwrap_used)]

mod common;

use common::{ipv4, ipv6};
use tidegate_esp::outer::{
    CongestionLoss, Ecn, Marking, OuterDontFragment, OuterDscp, OuterEcn, merge, traffic_class,
};

const ALL: [Ecn; 4] = [Ecn::NotCapable, Ecn::Capable0, Ecn::Capable1, Ecn::Congested];

// RFC 6040 §4.1
#[test]
fn the_outer_header_takes_dscp_and_ecn_from_the_inner_one() {
    for class in 0..=255 {
        for datagram in marked(class) {
            let outer = |dscp, ecn| {
                Marking { dscp, ecn, ..Marking::default() }.outer_traffic_class(&datagram).unwrap()
            };
            assert_eq!(outer(OuterDscp::Copy, OuterEcn::Propagate), class);
            assert_eq!(outer(OuterDscp::Copy, OuterEcn::Clear), class & 0xfc);
            assert_eq!(outer(OuterDscp::Fixed(46), OuterEcn::Propagate), 46 << 2 | class & 3);
            assert_eq!(outer(OuterDscp::Fixed(0), OuterEcn::Clear), 0);
        }
    }
}

// RFC 6040 §4.2: rows are inner, columns outer, each in the order of `ALL`.
#[test]
fn the_inner_header_takes_the_more_severe_mark() {
    use Ecn::{Capable0 as C0, Capable1 as C1, Congested as Ce, NotCapable as No};
    let table = [
        [Ok(No), Ok(No), Ok(No), Err(CongestionLoss)],
        [Ok(C0), Ok(C0), Ok(C1), Ok(Ce)],
        [Ok(C1), Ok(C1), Ok(C1), Ok(Ce)],
        [Ok(Ce), Ok(Ce), Ok(Ce), Ok(Ce)],
    ];
    for (inner, row) in ALL.into_iter().zip(table) {
        for (outer, expected) in ALL.into_iter().zip(row) {
            assert_eq!(inner.merged(outer), expected, "{inner:?} in {outer:?}");
            for mut datagram in marked(0xb8 | inner.bits()) {
                let merged = merge(outer.bits(), &mut datagram);
                assert_eq!(merged, expected.map(|_| ()));
                let after = traffic_class(&datagram).unwrap();
                assert_eq!(after, 0xb8 | expected.unwrap_or(inner).bits());
                assert!(checksum_holds(&datagram));
            }
        }
    }
}

// RFC 4301 §8.1
#[test]
fn the_outer_header_may_be_fragmented_as_the_sa_says() {
    let mut may_not = ipv4(40);
    may_not[6] = 0x40;
    for (inner, copied) in [(ipv4(40), false), (may_not, true), (ipv6(60), true)] {
        let outer =
            |dont_fragment| Marking { dont_fragment, ..Marking::default() }.outer_dont_fragment(&inner);
        assert!(outer(OuterDontFragment::Set));
        assert!(!outer(OuterDontFragment::Clear));
        assert_eq!(outer(OuterDontFragment::Copy), copied);
    }
}

// RFC 4301 §5.1.2.1
#[test]
fn the_outer_dscp_never_gets_in() {
    for datagram in marked(0xb8) {
        let mut opened = datagram.clone();
        assert_eq!(merge(0x04, &mut opened), Ok(()));
        assert_eq!(opened, datagram);
    }
}

#[test]
fn what_is_not_ip_is_left_alone() {
    for bytes in [vec![], vec![0x45], vec![0x00; 40], vec![0x55; 40], vec![0x45, 2, 0, 0]] {
        let mut after = bytes.clone();
        assert_eq!(merge(Ecn::Congested.bits(), &mut after), Ok(()));
        assert_eq!(after, bytes);
    }
    assert_eq!(Marking::default().outer_traffic_class(&[0x50; 40]), None);
}

#[test]
fn the_flow_label_survives() {
    let mut datagram = ipv6(40);
    datagram[..4].copy_from_slice(&[0x6a, 0x2f, 0xff, 0xff]);
    merge(Ecn::Congested.bits(), &mut datagram).unwrap();
    assert_eq!(datagram[..4], [0x6a, 0x3f, 0xff, 0xff]);
}

fn marked(class: u8) -> [Vec<u8>; 2] {
    let mut v4 = ipv4(40);
    v4[1] = class;
    let checksum = !ones_sum(&v4[..20]);
    v4[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut v6 = ipv6(60);
    v6[0] = 0x60 | class >> 4;
    v6[1] = class << 4;
    [v4, v6]
}

fn checksum_holds(datagram: &[u8]) -> bool {
    datagram[0] >> 4 == 6 || ones_sum(&datagram[..20]) == 0xffff
}

fn ones_sum(header: &[u8]) -> u16 {
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    ((sum & 0xffff) + (sum >> 16)) as u16
}
