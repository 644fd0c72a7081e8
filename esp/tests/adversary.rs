//! What has broken other engines, tried on this one; each test is named after its class.

#![allow(clippy::unwrap_used)]

mod common;

use common::{cbc, forge, gcm, ipv4, ipv6, null, opened, outbound, pair, params, sealed, suites};
use std::net::IpAddr;
use tidegate_esp::encap::{self, Datagram};
use tidegate_esp::{
    DropReason, Freshness, Inbound, Params, Rejected, SelectorPair, SequenceNumbers, TfcPadding,
    TrafficSelector,
};

#[test]
fn before_authentication_a_forged_packet_touches_nothing() {
    let (outbound, inbound) = pair(&params(gcm()));
    let first = sealed(&outbound, &ipv4(100));
    let mut forged = first.clone();
    // Far ahead: committed, it would push every honest packet out of the window.
    forged[4..8].copy_from_slice(&1_000_000_u32.to_be_bytes());

    for _ in 0..3 {
        assert_eq!(opened(&inbound, &forged), Err(DropReason::Integrity.into()));
    }

    assert_eq!((inbound.packets(), inbound.bytes()), (0, 0));
    assert_eq!(opened(&inbound, &first), Ok(ipv4(100)));
}

#[test]
fn before_authentication_a_forged_copy_does_not_use_up_the_number() {
    let (outbound, inbound) = pair(&params(gcm()));
    let packet = sealed(&outbound, &ipv4(100));
    let mut damaged = packet.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(opened(&inbound, &damaged), Err(DropReason::Integrity.into()));
    assert_eq!(opened(&inbound, &packet), Ok(ipv4(100)));
    assert_eq!(opened(&inbound, &packet), Err(DropReason::Replayed.into()));
}

#[test]
fn before_authentication_a_rejected_packet_leaves_no_plaintext() {
    for suite in suites() {
        let visible = matches!(
            suite.cipher(),
            tidegate_esp::crypto::Cipher::Null | tidegate_esp::crypto::Cipher::AesGmac(_)
        );
        let (outbound, inbound) = pair(&params(suite));
        let mut packet = sealed(&outbound, &ipv4(100));
        *packet.last_mut().unwrap() ^= 1;
        assert!(inbound.opener().open(&mut packet).is_err());
        let plaintext = ipv4(100);
        assert_eq!(packet.windows(16).any(|window| window == &plaintext[20..36]), visible, "{suite:?}");
    }
}

#[test]
fn padding_past_the_start_is_dropped() {
    let params = params(null());
    let (_, inbound) = pair(&params);
    for (number, len) in (1..).zip([4, 8, 40, 100, 256]) {
        let mut plaintext = ipv4(256)[..len].to_vec();
        plaintext[len - 1] = 4;
        for (more, padding) in (1_u64..).zip([len - 1, len, 254, 255].map(|p| p.min(255) as u8)) {
            plaintext[len - 2] = padding;
            let rejected = opened(&inbound, &forge(&params, number * 10 + more, &plaintext)).unwrap_err();
            assert_eq!(rejected.reason, DropReason::Padding);
            assert!(rejected.authentic.is_some());
        }
    }
}

#[test]
fn padding_that_does_not_count_is_dropped() {
    let params = params(null());
    let (_, inbound) = pair(&params);
    let honest = [ipv4(40), vec![1, 2, 3, 4, 5, 6, 6, 4]].concat();
    assert_eq!(opened(&inbound, &forge(&params, 1, &honest)), Ok(ipv4(40)));
    for (number, at) in (2..).zip(40..46) {
        let mut plaintext = honest.clone();
        plaintext[at] ^= 0x80;
        let rejected = opened(&inbound, &forge(&params, number, &plaintext)).unwrap_err();
        assert_eq!(rejected.reason, DropReason::Padding);
    }
}

#[test]
fn padding_of_cbc_is_judged_only_after_integrity() {
    // Every last block there is: were the padding looked at first, some would be told from others.
    let (outbound, inbound) = pair(&params(cbc()));
    let packet = sealed(&outbound, &ipv4(100));
    for byte in 0..=255 {
        let mut altered = packet.clone();
        let at = altered.len() - 16 - 17;
        if altered[at] == byte {
            continue;
        }
        altered[at] = byte;
        assert_eq!(opened(&inbound, &altered), Err(DropReason::Integrity.into()));
    }
}

#[test]
fn ivs_of_an_aead_never_come_twice() {
    for sequence_numbers in common::SEQUENCE_NUMBERS {
        let outbound = outbound(&Params { sequence_numbers, ..params(gcm()) });
        let mut ivs: Vec<Vec<u8>> = (0..5000).map(|_| sealed(&outbound, &ipv4(20))[8..16].to_vec()).collect();
        ivs.sort_unstable();
        ivs.dedup();
        assert_eq!(ivs.len(), 5000);
    }
}

#[test]
fn ivs_of_an_aead_are_not_reused_by_a_reservation_cut_short() {
    let outbound = outbound(&params(gcm()));
    drop(outbound.reserve(10).unwrap());
    assert_eq!(sealed(&outbound, &ipv4(20))[8..16], 11_u64.to_be_bytes());
}

#[test]
fn lengths_of_every_short_packet_are_checked() {
    for suite in suites() {
        for sequence_numbers in common::SEQUENCE_NUMBERS {
            let (outbound, inbound) = pair(&Params { sequence_numbers, ..params(suite) });
            let packet = sealed(&outbound, &ipv4(40));
            for len in 0..packet.len() {
                let rejected = opened(&inbound, &packet[..len]).unwrap_err();
                assert!(matches!(rejected.reason, DropReason::Malformed | DropReason::Integrity));
            }
            assert_eq!(opened(&inbound, &[&packet[..], &[0]].concat()), Err(DropReason::Integrity.into()));
            assert_eq!(opened(&inbound, &packet), Ok(ipv4(40)));
        }
    }
}

#[test]
fn lengths_of_the_inner_datagram_may_not_pass_the_payload() {
    let params = params(null());
    let (_, inbound) = pair(&params);
    let mut number = 0;
    let mut reason = |datagram: &[u8], next_header: u8| {
        number += 1;
        let mut plaintext = datagram.to_vec();
        let padding = (2_usize.wrapping_sub(datagram.len()) % 4) as u8;
        plaintext.extend(1..=padding);
        plaintext.extend([padding, next_header]);
        opened(&inbound, &forge(&params, number, &plaintext)).map_err(|rejected| rejected.reason)
    };
    let with = |mut datagram: Vec<u8>, at: usize, value: u16| {
        datagram[at..at + 2].copy_from_slice(&value.to_be_bytes());
        datagram
    };
    let header_length = |value: u8| {
        let mut datagram = ipv4(60);
        datagram[0] = 0x40 | value;
        datagram
    };

    assert_eq!(reason(&ipv4(60), 4), Ok(ipv4(60)));
    assert_eq!(reason(&with(ipv4(60), 2, 61), 4), Err(DropReason::InnerLength));
    assert_eq!(reason(&with(ipv4(60), 2, 65535), 4), Err(DropReason::InnerLength));
    assert_eq!(reason(&with(ipv4(60), 2, 19), 4), Err(DropReason::InnerLength));
    assert_eq!(reason(&with(ipv4(60), 2, 0), 4), Err(DropReason::InnerLength));
    assert_eq!(reason(&header_length(4), 4), Err(DropReason::InnerLength));
    assert_eq!(reason(&with(header_length(15), 2, 59), 4), Err(DropReason::InnerLength));
    assert!(reason(&header_length(15), 4).is_ok());
    assert_eq!(reason(&ipv4(60)[..19], 4), Err(DropReason::InnerLength));
    assert_eq!(reason(&ipv6(60), 41), Ok(ipv6(60)));
    assert_eq!(reason(&with(ipv6(60), 4, 21), 41), Err(DropReason::InnerLength));
    assert_eq!(reason(&with(ipv6(60), 4, 65535), 41), Err(DropReason::InnerLength));
    assert_eq!(reason(&ipv6(60)[..39], 41), Err(DropReason::InnerLength));
    assert_eq!(reason(&[], 4), Err(DropReason::InnerLength));
    // What is no datagram at all is told by its next header: transport mode was not agreed on.
    assert_eq!(reason(&[0x9c; 20], 6), Err(DropReason::NextHeader));
    assert_eq!(reason(&[0x9c; 20], 4), Err(DropReason::NextHeader));
}

#[test]
fn the_next_header_must_be_the_version_of_the_datagram() {
    let params = params(null());
    let (_, inbound) = pair(&params);
    let mut number = 0;
    for (datagram, right) in [(ipv4(62), 4), (ipv6(62), 41)] {
        for next_header in 0..=255 {
            number += 1;
            let plaintext = [datagram.clone(), vec![0, next_header]].concat();
            let result = opened(&inbound, &forge(&params, number, &plaintext));
            match next_header {
                n if n == right => assert_eq!(result, Ok(datagram.clone())),
                59 => assert_eq!(result.unwrap_err().reason, DropReason::Dummy),
                _ => assert_eq!(result.unwrap_err().reason, DropReason::NextHeader),
            }
        }
    }
}

#[test]
fn integer_limits_of_the_window_hold_at_both_ends() {
    let params = Params { sequence_numbers: SequenceNumbers::Short, ..params(null()) };
    let (_, inbound) = pair(&params);
    let plaintext = [ipv4(62), vec![0, 4]].concat();
    let open = |number| opened(&inbound, &forge(&params, number, &plaintext)).map_err(|r| r.reason);
    assert_eq!(open(0), Err(DropReason::TooOld));
    assert!(open(u32::MAX.into()).is_ok());
    assert_eq!(open(u32::MAX.into()), Err(DropReason::Replayed));
    assert_eq!(open(1), Err(DropReason::TooOld));
}

#[test]
fn integer_limits_of_extended_numbers_do_not_let_an_old_half_in() {
    let params = Params { sequence_numbers: SequenceNumbers::Extended, ..params(null()) };
    let (_, inbound) = pair(&params);
    let plaintext = [ipv4(62), vec![0, 4]].concat();
    let open = |number| opened(&inbound, &forge(&params, number, &plaintext)).map_err(|r| r.reason);
    for number in [1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) + 5000] {
        assert!(open(number).is_ok(), "{number:x}");
    }
    // Its low half is taken for one of the next subspace, under which it is not authentic.
    assert_eq!(open(1 << 31), Err(DropReason::Integrity));
    assert_eq!(open(1 << 32), Err(DropReason::Integrity));
    assert_eq!(open((1 << 32) + 5000), Err(DropReason::Replayed));
}

#[test]
fn a_spoofed_inner_source_does_not_get_past_the_selectors() {
    let host = |last| TrafficSelector::for_prefix(IpAddr::from([10, 0, last, last]), 32).unwrap();
    let selectors = SelectorPair { local: vec![host(2)], remote: vec![host(1)] };
    let (outbound, inbound) = pair(&Params { selectors: selectors.into(), ..params(gcm()) });
    assert_eq!(opened(&inbound, &sealed(&outbound, &ipv4(100))), Ok(ipv4(100)));
    for (at, byte) in [(14, 9), (15, 9), (18, 9), (19, 9)] {
        let mut spoofed = ipv4(100);
        spoofed[at] = byte;
        let rejected = opened(&inbound, &sealed(&outbound, &spoofed)).unwrap_err();
        assert_eq!(rejected, Rejected { reason: DropReason::Selector, authentic: Some(Freshness::Newest) });
    }
}

#[test]
fn a_spoofed_inner_source_does_not_hide_behind_headers_that_cannot_be_read() {
    let (outbound, inbound) = pair(&params(gcm()));
    for (protocol, len) in [(6, 23), (17, 20), (1, 21)] {
        let mut datagram = ipv4(len);
        datagram[9] = protocol;
        let rejected = opened(&inbound, &sealed(&outbound, &datagram)).unwrap_err();
        assert_eq!((rejected.reason, rejected.authentic.is_some()), (DropReason::InnerHeader, true));
    }
}

#[test]
fn a_packet_of_another_sa_is_not_opened() {
    let theirs = Params { spi: tidegate_esp::Spi::new(0x9999).unwrap(), ..params(gcm()) };
    let (outbound, _) = pair(&theirs);
    let (_, inbound) = pair(&params(gcm()));
    let mut packet = sealed(&outbound, &ipv4(100));
    assert_eq!(opened(&inbound, &packet), Err(DropReason::NoSa.into()));
    packet[..4].copy_from_slice(&params(gcm()).spi.to_be_bytes());
    assert_eq!(opened(&inbound, &packet), Err(DropReason::Integrity.into()));
}

#[test]
fn panics_are_not_to_be_had_from_any_datagram() {
    let inbounds: Vec<Inbound> = suites().into_iter().map(|suite| pair(&params(suite)).1).collect();
    let spi = params(gcm()).spi.to_be_bytes();
    let mut state = 1_u32;
    for round in 0..20_000_usize {
        let mut datagram: Vec<u8> = (0..round % 90)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        if round % 3 == 0 && datagram.len() >= 4 {
            datagram[..4].copy_from_slice(&spi);
        }
        if let Datagram::Esp(packet) = encap::sort(&mut datagram) {
            assert!(inbounds[round % inbounds.len()].opener().open(packet).is_err());
        }
    }
}

#[test]
fn panics_are_not_to_be_had_from_tfc_and_buffers_of_any_size() {
    for tfc in [TfcPadding::None, TfcPadding::To(0), TfcPadding::To(u16::MAX)] {
        for suite in suites() {
            let outbound = outbound(&Params { tfc, ..params(suite) });
            let mut reservation = outbound.reserve(1000).unwrap();
            for len in 0..200 {
                let mut buffer = vec![0x45; len];
                for datagram_len in [0, 1, len / 2, len, usize::MAX] {
                    let _ = reservation.seal(&mut buffer, datagram_len);
                    let _ = reservation.seal_dummy(&mut buffer, datagram_len);
                }
            }
        }
    }
}
