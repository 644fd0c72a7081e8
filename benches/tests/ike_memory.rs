//! What an established IKE SA weighs, ESP state included: the slope between few and many of them, so that
//! what an endpoint has once does not count.

#![allow(clippy::print_stdout, reason = "the figures are worth seeing with --nocapture")]

use tidegate_alloc::Counting;
use tidegate_benches::ike::{Credentials, Pair};
use tidegate_benches::meter::{Meter, Scales, Unwatched};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Both just below where tables double, so that there is as much room to spare.
const FEW: u32 = 100;
const MANY: u32 = 500;
const BATCH: u32 = 50;

/// What an SA with a shared secret may weigh.
const MOST: i64 = 4096;

#[test]
fn an_established_psk_sa_with_a_child_fits_in_four_kilobytes() {
    let (initiator, responder) = (initiator(Credentials::Psk), responder(Credentials::Psk));
    println!("psk: initiator {initiator} bytes, responder {responder} bytes");
    assert!(initiator <= MOST, "{initiator} bytes on the initiator");
    assert!(responder <= MOST, "{responder} bytes on the responder");
}

#[test]
fn certificates_leave_little_more_behind_than_a_name() {
    let (initiator, responder) = (initiator(Credentials::EcdsaP256), responder(Credentials::EcdsaP256));
    println!("ecdsa-p256: initiator {initiator} bytes, responder {responder} bytes");
    assert!(initiator <= MOST + 1024, "{initiator} bytes on the initiator");
    assert!(responder <= MOST + 1024, "{responder} bytes on the responder");
}

fn initiator(credentials: Credentials) -> i64 {
    slope(|count| held(Pair::new(credentials, count, Scales::default(), Unwatched), count).initiator.meter)
}

fn responder(credentials: Credentials) -> i64 {
    slope(|count| held(Pair::new(credentials, count, Unwatched, Scales::default()), count).responder.meter)
}

fn slope(weigh: impl Fn(u32) -> Scales) -> i64 {
    (weigh(MANY).kept() - weigh(FEW).kept()) / i64::from(MANY - FEW)
}

/// So many SAs, each seen alive at least once since it was set up.
fn held<I: Meter, R: Meter>(mut pair: Pair<I, R>, count: u32) -> Pair<I, R> {
    pair.keep_packet_side(count as usize);
    for _ in 0..count / BATCH {
        // Not all at once, or queues grow for it.
        pair.establish(BATCH);
        pair.sleep(1);
    }
    pair.sleep(11);
    pair
}
