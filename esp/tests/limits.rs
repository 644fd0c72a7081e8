//! Where an SA asks for a successor, and where it ends.

#![allow(clippy::unwrap_used)]

mod common;

use common::{SEQUENCE_NUMBERS, gcm, ipv4, opened, outbound, pair, params, sealed};
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_esp::{DropReason, Freshness, Inbound, Limits, Outbound, Params, SequenceNumbers, Spent};

// RFC 4303 §3.3.3
#[test]
fn short_numbers_end_at_their_last_and_never_wrap() {
    let outbound = outbound(&params(gcm()));
    let all_but_two = outbound.reserve(u32::MAX - 2).unwrap();
    assert_eq!(all_but_two.left(), u64::from(u32::MAX) - 2);

    let mut last = outbound.reserve(64).unwrap();

    assert_eq!(last.left(), 2);
    let front = outbound.front_len();
    let mut buffer = vec![0; outbound.sealed_len(40)];
    for expected in [u32::MAX - 1, u32::MAX] {
        buffer[front..front + 40].copy_from_slice(&ipv4(40));
        last.seal(&mut buffer, 40).unwrap();
        assert_eq!(buffer[4..8], expected.to_be_bytes());
    }
    assert!(last.seal(&mut buffer, 40).is_err());
    assert_eq!(outbound.reserve(1).err(), Some(Spent::Numbers));
}

#[test]
fn extended_numbers_go_on_where_short_ones_end() {
    let params = Params { sequence_numbers: SequenceNumbers::Extended, ..params(gcm()) };
    let (outbound, inbound) = pair(&params);
    follow(&outbound, &inbound, u32::MAX - 1);
    for number in u64::from(u32::MAX)..u64::from(u32::MAX) + 3 {
        let packet = sealed(&outbound, &ipv4(100));
        assert_eq!(packet[4..8], (number as u32).to_be_bytes());
        assert_eq!(packet[8..16], number.to_be_bytes());
        assert_eq!(opened(&inbound, &packet), Ok(ipv4(100)));
        assert_eq!(opened(&inbound, &packet).unwrap_err().reason, DropReason::Replayed);
    }
}

#[test]
fn a_late_packet_opens_across_the_wrap_of_the_low_half() {
    let params = Params { sequence_numbers: SequenceNumbers::Extended, ..params(gcm()) };
    let (outbound, inbound) = pair(&params);
    follow(&outbound, &inbound, u32::MAX - 5);
    let packets: Vec<Vec<u8>> = (0..10).map(|_| sealed(&outbound, &ipv4(100))).collect();
    for i in [3, 9, 0, 8, 1, 7, 2, 6, 4, 5] {
        assert_eq!(opened(&inbound, &packets[i]), Ok(ipv4(100)), "{i}");
    }
}

#[test]
fn a_batch_gets_what_is_left_below_the_hard_limit() {
    let limits = Limits { hard_packets: 100, ..Limits::NONE };
    let outbound = outbound(&Params { limits, ..params(gcm()) });
    assert_eq!(outbound.reserve(64).unwrap().left(), 64);
    assert_eq!(outbound.reserve(64).unwrap().left(), 36);
    assert_eq!(outbound.reserve(64).err(), Some(Spent::HardLimit));
    assert_eq!(outbound.packets(), 100);
}

#[test]
fn no_batch_begins_above_the_hard_limit_on_bytes() {
    let limits = Limits { hard_bytes: 250, ..Limits::NONE };
    let outbound = outbound(&Params { limits, ..params(gcm()) });
    for _ in 0..3 {
        sealed(&outbound, &ipv4(100));
    }
    assert_eq!(outbound.bytes(), 300);
    assert_eq!(outbound.reserve(1).err(), Some(Spent::HardLimit));
}

#[test]
fn one_reservation_says_that_a_soft_limit_is_passed() {
    for limits in [
        Limits { soft_packets: 10, ..Limits::NONE },
        Limits { soft_bytes: 901, ..Limits::NONE },
        Limits { soft_packets: 10, soft_bytes: 1500, ..Limits::NONE },
    ] {
        let outbound = outbound(&Params { limits, ..params(gcm()) });
        let told: Vec<bool> = (0..30)
            .map(|_| {
                let mut reservation = outbound.reserve(1).unwrap();
                let mut buffer = vec![0; outbound.sealed_len(100)];
                buffer[outbound.front_len()..][..100].copy_from_slice(&ipv4(100));
                reservation.seal(&mut buffer, 100).unwrap();
                reservation.passed_soft_limit()
            })
            .collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 1, "{limits:?}");
    }
}

#[test]
fn a_batch_that_passes_the_soft_limit_in_its_midst_says_so() {
    let limits = Limits { soft_packets: 100, ..Limits::NONE };
    let outbound = outbound(&Params { limits, ..params(gcm()) });
    assert!(!outbound.reserve(99).unwrap().passed_soft_limit());
    assert!(outbound.reserve(64).unwrap().passed_soft_limit());
    assert!(!outbound.reserve(64).unwrap().passed_soft_limit());
}

#[test]
fn an_inbound_sa_tells_its_soft_limit_once_and_stops_at_its_hard_one() {
    for limits in [
        Limits { soft_packets: 5, hard_packets: 8, ..Limits::NONE },
        // A hundred bytes each, whatever surrounds them.
        Limits { soft_bytes: 5 * 100, hard_bytes: 8 * 100, ..Limits::NONE },
    ] {
        let (outbound, _) = pair(&params(gcm()));
        let (_, inbound) = pair(&Params { limits, ..params(gcm()) });
        let mut told = Vec::new();
        for number in 1..=12 {
            let mut packet = sealed(&outbound, &ipv4(100));
            match inbound.opener().open(&mut packet) {
                Ok(opened) if opened.passed_soft_limit() => told.push(number),
                Ok(_) => {}
                Err(rejected) => {
                    assert!(number > 8);
                    assert_eq!((rejected.reason, rejected.authentic), (DropReason::Expired, None));
                }
            }
        }
        assert_eq!(told, [5]);
        assert_eq!(inbound.packets(), 8);
    }
}

#[test]
fn a_dummy_does_not_swallow_the_word_of_a_soft_limit() {
    let limits = Limits { soft_packets: 2, ..Limits::NONE };
    let (outbound, inbound) = pair(&Params { limits, ..params(gcm()) });
    opened(&inbound, &sealed(&outbound, &ipv4(100))).unwrap();
    let mut dummy = vec![0; 200];
    let length = outbound.reserve(1).unwrap().seal_dummy(&mut dummy, 100).unwrap();
    assert_eq!(opened(&inbound, &dummy[..length]).unwrap_err().authentic, Some(Freshness::Newest));

    let mut packet = sealed(&outbound, &ipv4(100));
    assert!(inbound.opener().open(&mut packet).unwrap().passed_soft_limit());
}

#[test]
fn limits_hold_within_one_batch() {
    let limits = Limits { hard_packets: 3, ..Limits::NONE };
    let (outbound, _) = pair(&params(gcm()));
    let (_, inbound) = pair(&Params { limits, ..params(gcm()) });
    let mut opener = inbound.opener();
    let opened: Vec<bool> = (0..6).map(|_| opener.open(&mut sealed(&outbound, &ipv4(100))).is_ok()).collect();
    assert_eq!(opened, [true, true, true, false, false, false]);
}

#[test]
fn threads_never_share_a_number_and_one_hears_of_the_soft_limit() {
    const LIMIT: u64 = 100_000;
    for sequence_numbers in SEQUENCE_NUMBERS {
        let limits = Limits { soft_packets: LIMIT / 2, hard_packets: LIMIT, ..Limits::NONE };
        let outbound = outbound(&Params { limits, sequence_numbers, ..params(gcm()) });
        let (granted, told) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for batch in [1, 7, 64, 100] {
                let (outbound, granted, told) = (&outbound, &granted, &told);
                scope.spawn(move || {
                    while let Ok(reservation) = outbound.reserve(batch) {
                        granted.fetch_add(reservation.left(), Ordering::Relaxed);
                        told.fetch_add(reservation.passed_soft_limit().into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!((granted.into_inner(), told.into_inner()), (LIMIT, 1));
    }
}

/// Takes numbers up to this one, a packet half-way: a receiver that has seen nothing would take the upper
/// half of the first subspace for the end of one before it.
fn follow(outbound: &Outbound, inbound: &Inbound, last: u32) {
    drop(outbound.reserve(last / 2).unwrap());
    opened(inbound, &sealed(outbound, &ipv4(100))).unwrap();
    drop(outbound.reserve(last - last / 2 - 1).unwrap());
    assert_eq!(outbound.packets(), last.into());
}
