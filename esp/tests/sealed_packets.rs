//! Packets through both halves of an SA.

#![allow(clippy::unwrap_used)]

mod common;

use common::{
    SEQUENCE_NUMBERS, backends, cbc, forge, gcm, ipv4, ipv6, null, opened, pair, params, sealed, suites,
};
use proptest::prelude::*;
use tidegate_esp::crypto::Suite;
use tidegate_esp::{
    DropReason, Encapsulation, Freshness, Inbound, IvSecret, Outbound, Params, Path, SequenceNumbers,
    TfcPadding,
};

#[test]
fn what_was_sealed_opens_under_every_suite_and_provider() {
    for (suite, sequence_numbers) in configurations() {
        let params = Params { sequence_numbers, ..params(suite) };
        for seals in backends() {
            let outbound = Outbound::new(seals, &params, &IvSecret::new([1; 16])).unwrap();
            let packets: Vec<Vec<u8>> =
                datagrams().iter().map(|datagram| sealed(&outbound, datagram)).collect();
            for opens in backends() {
                let inbound = Inbound::new(opens, &params).unwrap();
                for (packet, datagram) in packets.iter().zip(datagrams()) {
                    assert_eq!(opened(&inbound, packet), Ok(datagram), "{suite:?}");
                }
            }
        }
    }
}

#[test]
fn the_providers_seal_to_the_same_bytes() {
    for (suite, sequence_numbers) in configurations() {
        let params = Params { sequence_numbers, ..params(suite) };
        let packets: Vec<Vec<u8>> = backends()
            .into_iter()
            .map(|backend| {
                let outbound = Outbound::new(backend, &params, &IvSecret::new([1; 16])).unwrap();
                sealed(&outbound, &ipv4(100))
            })
            .collect();
        assert!(packets.iter().all(|packet| *packet == packets[0]), "{suite:?}");
    }
}

#[test]
fn ciphertext_of_gcm_is_whole_blocks() {
    let (outbound, _) = pair(&params(gcm()));
    for len in 20..200 {
        let body = outbound.sealed_len(len) - outbound.front_len() - 16;
        assert_eq!(body % 16, 0);
        assert!((len + 2..len + 18).contains(&body));
    }
}

#[test]
fn a_path_takes_the_longest_datagram_that_it_is_said_to_take() {
    for (suite, _) in configurations() {
        let (outbound, _) = pair(&params(suite));
        for room in 0..300 {
            let len = outbound.datagram_len_within(room);
            assert!(outbound.sealed_len(len + 1) > room);
            assert!(len == 0 || outbound.sealed_len(len) <= room);
        }
    }
}

// RFC 4301 §8.2.1
#[test]
fn what_fits_the_path_is_what_its_headers_leave() {
    let (outbound, _) = pair(&params(gcm()));
    let path = |remote: &str, encapsulation| Path {
        local: remote.parse().unwrap(),
        remote: remote.parse().unwrap(),
        encapsulation,
    };
    // 1500 - 20 - 8 - (8 + 8 + 16), down to whole blocks, without a trailer of 2.
    assert_eq!(outbound.inner_mtu(&path("192.0.2.1:4500", Encapsulation::Udp), 1500), 1438);
    assert_eq!(outbound.inner_mtu(&path("192.0.2.1:0", Encapsulation::None), 1500), 1438);
    assert_eq!(outbound.inner_mtu(&path("[2001:db8::1]:4500", Encapsulation::Udp), 1500), 1406);
    assert_eq!(outbound.inner_mtu(&path("[2001:db8::1]:0", Encapsulation::None), 1500), 1422);
    assert_eq!(outbound.inner_mtu(&path("192.0.2.1:4500", Encapsulation::Udp), 60), 0);
}

// RFC 4303 §2.7
#[test]
fn tfc_padding_hides_the_length_and_is_taken_off() {
    let params = Params { tfc: TfcPadding::To(1000), ..params(gcm()) };
    let (outbound, inbound) = pair(&params);
    let length = sealed(&outbound, &ipv4(1000)).len();
    for datagram in [ipv4(20), ipv4(999), ipv6(40), ipv6(700)] {
        let packet = sealed(&outbound, &datagram);
        assert_eq!(packet.len(), length);
        assert_eq!(opened(&inbound, &packet), Ok(datagram));
    }
    assert!(sealed(&outbound, &ipv4(1100)).len() > length);
}

#[test]
fn tfc_padding_gives_way_to_the_buffer() {
    let params = Params { tfc: TfcPadding::To(1400), ..params(gcm()) };
    let (outbound, inbound) = pair(&params);
    let front = outbound.front_len();
    for room in 144..600 {
        let mut buffer = vec![0; room];
        buffer[front..front + 100].copy_from_slice(&ipv4(100));

        let length = outbound.reserve(1).unwrap().seal(&mut buffer, 100).unwrap();

        assert!(length <= room && length + 16 > room);
        assert_eq!(opened(&inbound, &buffer[..length]), Ok(ipv4(100)));
    }
}

// RFC 4303 §2.6
#[test]
fn a_dummy_is_dropped_yet_shows_that_the_sa_is_in_use() {
    for (suite, sequence_numbers) in configurations() {
        let (outbound, inbound) = pair(&Params { sequence_numbers, ..params(suite) });
        let mut packet = vec![0xee; 400];
        let length = outbound.reserve(1).unwrap().seal_dummy(&mut packet, 300).unwrap();
        assert_eq!(length, outbound.sealed_len(300));

        let rejected = opened(&inbound, &packet[..length]).unwrap_err();

        assert_eq!(rejected.reason, DropReason::Dummy);
        assert_eq!(rejected.authentic, Some(Freshness::First));
    }
}

#[test]
fn the_first_packet_of_an_sa_is_told_once_whatever_the_order() {
    let (outbound, inbound) = pair(&params(gcm()));
    let packets: Vec<Vec<u8>> = (0..4).map(|_| sealed(&outbound, &ipv4(64))).collect();
    let freshness: Vec<Freshness> = [2, 0, 3, 1]
        .into_iter()
        .map(|i: usize| inbound.opener().open(&mut packets[i].clone()).ok().unwrap().freshness())
        .collect();
    assert_eq!(freshness, [Freshness::First, Freshness::Late, Freshness::Newest, Freshness::Late]);
}

#[test]
fn ivs_of_cbc_do_not_repeat_and_do_not_show_the_number() {
    let (outbound, _) = pair(&params(cbc()));
    let mut ivs: Vec<[u8; 16]> =
        (0..1000).map(|_| sealed(&outbound, &ipv4(64))[8..24].try_into().unwrap()).collect();
    let ones: u32 = ivs.iter().flatten().map(|byte| byte.count_ones()).sum();
    ivs.sort_unstable();
    ivs.dedup();
    assert_eq!(ivs.len(), 1000);
    // Half of 128,000 bits, within six standard deviations.
    assert!((62_900..65_100).contains(&ones));
}

#[test]
fn an_iv_secret_makes_ivs_of_its_own() {
    let ivs: Vec<Vec<u8>> = [[1; 16], [2; 16]]
        .into_iter()
        .map(|secret| {
            let outbound = Outbound::new(backends()[0], &params(cbc()), &IvSecret::new(secret)).unwrap();
            sealed(&outbound, &ipv4(64))[8..24].to_vec()
        })
        .collect();
    assert_ne!(ivs[0], ivs[1]);
}

#[test]
fn what_is_not_ip_or_has_no_room_is_not_sealed_and_costs_no_number() {
    use tidegate_esp::NotSealed;
    let (outbound, _) = pair(&params(gcm()));
    let mut reservation = outbound.reserve(2).unwrap();
    let front = outbound.front_len();
    let mut buffer = vec![0; outbound.sealed_len(40)];
    buffer[front..front + 40].copy_from_slice(&ipv4(40));

    assert_eq!(reservation.seal(&mut buffer[..front + 41], 40), Err(NotSealed::NoRoom));
    assert_eq!(reservation.seal(&mut buffer, 4000), Err(NotSealed::NoRoom));
    assert_eq!(reservation.seal(&mut buffer, 0), Err(NotSealed::NotIp));
    assert_eq!(reservation.seal(&mut [0x50; 200], 40), Err(NotSealed::NotIp));

    assert_eq!(reservation.left(), 2);
    assert!(reservation.seal(&mut buffer, 40).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sealing_then_opening_is_the_identity(
        suite in proptest::sample::select(suites()),
        extended: bool,
        v6: bool,
        len in 40_usize..9000,
        tfc in proptest::option::of(0_u16..2000),
        window in proptest::sample::select(vec![0_u16, 32, 64, 1000, 1024, 8192]),
        count in 1_usize..5,
    ) {
        let sequence_numbers = SEQUENCE_NUMBERS[usize::from(extended)];
        let tfc = tfc.map_or(TfcPadding::None, TfcPadding::To);
        let (outbound, inbound) =
            pair(&Params { sequence_numbers, tfc, replay_window: window, ..params(suite) });
        let datagram = if v6 { ipv6(len) } else { ipv4(len) };
        for _ in 0..count {
            prop_assert_eq!(opened(&inbound, &sealed(&outbound, &datagram)), Ok(datagram.clone()));
        }
        prop_assert_eq!(outbound.bytes(), (count * len) as u64);
        prop_assert_eq!((outbound.packets(), inbound.packets()), (count as u64, count as u64));
    }

    #[test]
    fn any_bytes_are_a_typed_drop(
        suite in proptest::sample::select(suites()),
        extended: bool,
        ours: bool,
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let sequence_numbers = SEQUENCE_NUMBERS[usize::from(extended)];
        let params = Params { sequence_numbers, ..params(suite) };
        let (_, inbound) = pair(&params);
        if ours && let Some(spi) = bytes.first_chunk_mut() {
            *spi = params.spi.to_be_bytes();
        }

        let rejected = opened(&inbound, &bytes).unwrap_err();

        prop_assert_eq!(rejected.authentic, None);
        prop_assert_eq!(inbound.packets(), 0);
    }

    #[test]
    fn any_authentic_plaintext_is_a_datagram_or_a_typed_drop(
        mut plaintext in proptest::collection::vec(any::<u8>(), 2..200),
        padding in proptest::option::of(0_u8..20),
        next_header in proptest::sample::select(vec![4_u8, 41, 59, 17]),
        first in proptest::sample::select(vec![0x45_u8, 0x46, 0x60, 0x40, 0x00]),
    ) {
        let params = params(null());
        plaintext.resize(plaintext.len().next_multiple_of(4), 7);
        let len = plaintext.len();
        plaintext[0] = first;
        plaintext[len - 1] = next_header;
        if let Some(padding) = padding {
            plaintext[len - 2] = padding;
        }
        let (_, inbound) = pair(&params);

        match opened(&inbound, &forge(&params, 1, &plaintext)) {
            Ok(datagram) => prop_assert!(plaintext.starts_with(&datagram) && datagram.len() >= 20),
            Err(rejected) => prop_assert!(rejected.authentic.is_some()),
        }
    }
}

fn configurations() -> Vec<(Suite, SequenceNumbers)> {
    suites().into_iter().flat_map(|suite| SEQUENCE_NUMBERS.map(|numbers| (suite, numbers))).collect()
}

fn datagrams() -> Vec<Vec<u8>> {
    (20..70).map(ipv4).chain((40..90).map(ipv6)).chain([ipv4(1408), ipv6(8960), ipv4(65000)]).collect()
}
