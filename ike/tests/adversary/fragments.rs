//! Class "fragments" (RFC 7383): foreign payloads beside them, count, order, gaps, repetition, totals that
//! change, memory and time.

use crate::evil::{Knock, Scene, hear, hear_from};
use crate::support::WALL;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tidegate_ike::counters::Drop;
use tidegate_ike::wire::{ExchangeType, Header, Informational, Notify, NotifyType, Part, Reassembly};
use tidegate_ike::{Config, Now, Time};

const INFORM: ExchangeType = ExchangeType::Informational;

/// A liveness check that is long enough to be cut.
fn long_message() -> tidegate_ike::wire::PayloadChain {
    let notify = Notify::with_data(NotifyType(40_000), vec![1; 500]);
    Informational { notifies: vec![notify], ..Informational::default() }.emit()
}

impl Scene {
    fn fragment(&mut self, id: u32, number: u16, total: u16, first: u8, plain: &[u8]) -> Vec<u8> {
        self.evil.seal_part(INFORM, false, id, Part::Fragment { number, total }, first, plain)
    }

    /// The long message in `total` fragments.
    fn fragments(&mut self, id: u32, total: u16) -> Vec<Vec<u8>> {
        let chain = long_message();
        let size = chain.bytes.len().div_ceil(usize::from(total));
        let chunks: Vec<_> = chain.bytes.chunks(size).map(<[u8]>::to_vec).collect();
        (1..=total)
            .zip(chunks)
            .map(|(number, plain)| {
                let first = if number == 1 { chain.first } else { 0 };
                self.fragment(id, number, total, first, &plain)
            })
            .collect()
    }

    fn answered(&mut self, id: u32) -> bool {
        let sent: Vec<_> = self.victim.sent.drain(..).collect();
        sent.iter()
            .filter_map(|transmit| self.evil.open(&transmit.bytes))
            .any(|said| said.header.response && said.header.message_id.0 == id)
    }
}

#[test]
fn fragments_in_any_order_and_repeated_make_one_message() {
    let mut scene = Scene::established();
    let fragments = scene.fragments(2, 4);
    for index in [2, 0, 2, 3, 0, 0] {
        scene.say(&fragments[index]);
        assert!(!scene.answered(2));
    }
    scene.say(&fragments[1]);
    assert!(scene.answered(2));
    assert_eq!(scene.victim.endpoint.fragments_held(), 0);
}

/// RFC 7383 §2.6.1: one fragment of a repeated request stands for all of them.
#[test]
fn only_the_first_fragment_of_a_repeated_message_is_answered_again() {
    let mut scene = Scene::established();
    let fragments = scene.fragments(2, 4);
    fragments.iter().for_each(|fragment| scene.say(fragment));
    assert!(scene.answered(2));
    for (index, fragment) in fragments.iter().enumerate() {
        scene.say(fragment);
        assert_eq!(scene.answered(2), index == 0);
    }
}

#[test]
fn a_message_with_a_gap_is_forgotten_in_time() {
    let mut scene = Scene::established();
    let fragments = scene.fragments(2, 4);
    fragments.iter().skip(1).for_each(|fragment| scene.say(fragment));
    assert!(scene.victim.endpoint.fragments_held() > 0);
    scene.sleep(Duration::from_secs(20));
    assert_eq!(scene.victim.endpoint.fragments_held(), 0);
    // And when all of it comes again, it is a message like any other.
    fragments.iter().for_each(|fragment| scene.say(fragment));
    assert!(scene.answered(2));
}

/// RFC 7383 §2.6: a larger total starts over, a smaller one is of the past.
#[test]
fn a_total_that_changes_never_mixes_two_cuts() {
    let mut scene = Scene::established();
    let (few, many) = (scene.fragments(2, 2), scene.fragments(2, 5));
    scene.say(&few[0]);
    scene.say(&many[4]);
    scene.say(&few[1]);
    assert!(!scene.answered(2));
    many.iter().for_each(|fragment| scene.say(fragment));
    assert!(scene.answered(2));
}

#[test]
fn impossible_numbers_and_too_many_are_dropped_and_counted() {
    let mut scene = Scene::established();
    let most = Reassembly::MAX_FRAGMENTS;
    for (number, total) in [(0, 1), (1, 0), (0, 0), (3, 2), (1, most + 1), (u16::MAX, u16::MAX)] {
        let fragment = scene.fragment(2, number, total, 0, &[0; 100]);
        let before = scene.victim.endpoint.counters().clone();
        scene.say(&fragment);
        let after = scene.victim.endpoint.counters();
        let dropped = |reason| after.dropped(reason) - before.dropped(reason);
        assert_eq!(dropped(Drop::Fragment) + dropped(Drop::Malformed), 1, "{number} of {total}");
        assert_eq!(scene.victim.endpoint.fragments_held(), 0);
    }
    assert_eq!(scene.victim.children().len(), 1);
}

/// What stands in clear in front of a fragment has been sealed by nobody that counts.
#[test]
fn foreign_payloads_beside_a_fragment_are_never_read() {
    let mut scene = Scene::established();
    let fragments = scene.fragments(2, 2);
    // A Delete for the IKE SA in clear, in front of the fragment: its bytes are under the ICV, so a forger
    // cannot add them, and a peer that does gets nothing by it.
    let delete = [53, 0, 0, 8, 1, 0, 0, 0];
    let mut forged = fragments[0].clone();
    forged.splice(Header::LEN..Header::LEN, delete);
    forged[16] = 42;
    let length = u32::try_from(forged.len()).unwrap();
    forged[24..28].copy_from_slice(&length.to_be_bytes());
    let before = scene.victim.endpoint.counters().dropped(Drop::Integrity);
    scene.say(&forged);
    assert_eq!(scene.victim.endpoint.counters().dropped(Drop::Integrity), before + 1);
    assert_eq!(scene.victim.endpoint.fragments_held(), 0);
    fragments.iter().for_each(|fragment| scene.say(fragment));
    assert!(scene.answered(2));
    assert_eq!(scene.victim.standing().len(), 1);
}

#[test]
fn fragments_of_one_message_are_bounded_in_bytes() {
    let mut scene = Scene::established();
    for number in 1..Reassembly::MAX_FRAGMENTS {
        let fragment = scene.fragment(2, number, Reassembly::MAX_FRAGMENTS, 0, &[0; 60_000]);
        scene.say(&fragment);
    }
    assert!(scene.victim.endpoint.fragments_held() < 2 * Reassembly::MAX_BYTES);
    // A message of another id takes its place, and never comes beside it.
    for id in 3..20 {
        let fragment = scene.fragment(id, 1, 2, 0, &[0; 60_000]);
        scene.say(&fragment);
    }
    assert!(scene.victim.endpoint.fragments_held() < 2 * Reassembly::MAX_BYTES);
}

/// Peers that have proved nothing begin IKE_AUTH messages and never end them. Together they hold no more than
/// half of what there is, so that an established peer still finds room.
#[test]
fn incomplete_messages_of_many_peers_are_bounded_together() {
    let limit = 1 << 20;
    let config = Config { fragment_memory: limit, cookie_threshold: 1000, ..Config::default() };
    let mut victim = Scene::victim(config);
    let now = Time::from_nanos(1_000_000_000);
    for salt in 0..100 {
        let knock = Knock::new(salt);
        let from = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        hear_from(&mut victim, now, from, &knock.request);
        let answer = victim.sent.pop_front().unwrap().bytes;
        let (mut evil, _) = knock.accepted(&answer);
        for number in 1..=3 {
            let part = Part::Fragment { number, total: 4 };
            let plain = [0; 15_000];
            let fragment = evil.seal_part(ExchangeType::IkeAuth, false, 1, part, 0, &plain);
            hear(&mut victim, now, &fragment);
            assert!(victim.endpoint.fragments_held() <= limit / 2 + 4096);
        }
    }
    assert!(victim.endpoint.counters().dropped(Drop::Flood) > 0);
    let later = now + Duration::from_secs(60);
    while victim.endpoint.next_deadline().is_some_and(|(at, ..)| at <= later) {
        victim.endpoint.handle_timeout(Now { time: later, wall: WALL });
        victim.drain(later);
    }
    assert_eq!(victim.endpoint.fragments_held(), 0);
    assert_eq!(victim.endpoint.resources(), [0, 0, 0]);
}
