//! What a packet allocates, which is nothing, and what an SA weighs.

#![allow(clippy::unwrap_used)]

mod common;

use common::{SEQUENCE_NUMBERS, backends, ipv4, params, suites};
use tidegate_alloc::{Counting, Usage};
use tidegate_esp::crypto::{Backend, Suite};
use tidegate_esp::{Inbound, IvSecret, Outbound, Params};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_packet_allocates_nothing_sealed_opened_or_refused() {
    for (backend, suite) in
        backends().into_iter().flat_map(|backend| suites().into_iter().map(move |s| (backend, s)))
    {
        for sequence_numbers in SEQUENCE_NUMBERS {
            let params = Params { sequence_numbers, ..params(suite) };
            let outbound = Outbound::new(backend, &params, &IvSecret::new([1; 16])).unwrap();
            let inbound = Inbound::new(backend, &params).unwrap();
            let datagram = ipv4(1400);
            let mut buffer = vec![0; outbound.sealed_len(datagram.len())];
            let mut copy = buffer.clone();
            // The first packet may detect what the processor can do.
            carry(&outbound, &inbound, &datagram, &mut buffer, &mut copy);

            let before = Usage::now();
            for _ in 0..100 {
                carry(&outbound, &inbound, &datagram, &mut buffer, &mut copy);
            }

            assert_eq!(Usage::since(before), Usage::default(), "{suite:?}");
        }
    }
}

#[test]
fn one_direction_of_an_sa_takes_at_most_1536_bytes() {
    for suite in suites() {
        let (outbound, inbound) = weights(suite);
        assert!(outbound <= 1536 && inbound <= 1536, "{suite:?}: {outbound}, {inbound}");
    }
}

fn weights(suite: Suite) -> (i64, i64) {
    let params = params(suite);
    let before = Usage::now();
    let outbound = Box::new(Outbound::new(Backend::Ring, &params, &IvSecret::new([1; 16])).unwrap());
    let first = Usage::since(before).live_bytes;
    let inbound = Box::new(Inbound::new(Backend::Ring, &params).unwrap());
    let both = Usage::since(before).live_bytes;
    drop((outbound, inbound));
    (first, both - first)
}

/// One packet sealed and opened, and the same again refused as a replay and as a forgery.
fn carry(outbound: &Outbound, inbound: &Inbound, datagram: &[u8], buffer: &mut [u8], copy: &mut [u8]) {
    let front = outbound.front_len();
    buffer[front..front + datagram.len()].copy_from_slice(datagram);
    outbound.reserve(1).unwrap().seal(buffer, datagram.len()).unwrap();
    copy.copy_from_slice(buffer);
    let mut opener = inbound.opener();
    assert_eq!(opener.open(buffer).unwrap().admit().unwrap().datagram, datagram);
    buffer.copy_from_slice(copy);
    assert!(opener.open(buffer).is_err());
    buffer[4] ^= 0x10;
    assert!(opener.open(buffer).is_err());
}
