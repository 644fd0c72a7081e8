//! Splitting and reassembly (RFC 7383 §2.5, §2.6).

use proptest::prelude::*;
use tidegate_ike::wire::{
    Fragment, FragmentError, Novelty, Part, PayloadChain, Progress, Reassembly, SealingSizes, WireError,
    split,
};

const AEAD: SealingSizes = SealingSizes { iv: 8, block: 1, icv: 16 };
const CBC: SealingSizes = SealingSizes { iv: 16, block: 16, icv: 16 };

fn message(length: usize) -> PayloadChain {
    PayloadChain { first: 35, bytes: (0..length).map(|index| index.to_le_bytes()[0]).collect() }
}

fn number_and_total(fragment: &Fragment<'_>) -> (u16, u16) {
    match fragment.part {
        Part::Fragment { number, total } => (number, total),
        Part::Whole => panic!(),
    }
}

fn add(buffer: &mut Reassembly, fragment: &Fragment<'_>) -> Progress {
    let (number, total) = number_and_total(fragment);
    buffer.add(number, total, fragment.first, fragment.plain).unwrap()
}

fn complete(first: u8, bytes: &[u8]) -> Progress {
    Progress::Complete(PayloadChain { first, bytes: bytes.to_vec() })
}

/// RFC 7383 §2.5.
#[test]
fn only_the_first_fragment_names_the_first_payload() {
    let message = message(1000);
    let fragments = split(&message, 576, AEAD).unwrap();
    let firsts: Vec<_> = fragments.iter().map(|f| (number_and_total(f), f.first)).collect();
    assert_eq!(firsts, [((1, 2), 35), ((2, 2), 0)]);
}

#[test]
fn fragments_fill_their_datagrams() {
    let message = message(2000);
    for sizes in [AEAD, CBC] {
        let fragments = split(&message, 576, sizes).unwrap();
        let lengths: Vec<_> = fragments.iter().map(|f| sizes.datagram_len(f.part, f.plain.len())).collect();
        assert!(lengths.iter().all(|length| *length <= 576));
        let room = 576 - sizes.block;
        assert!(lengths.iter().rev().skip(1).all(|length| *length > room), "{lengths:?}");
    }
}

#[test]
fn a_message_of_nothing_is_one_fragment_of_nothing() {
    let empty = PayloadChain::default();
    let fragments = split(&empty, 576, AEAD).unwrap();
    assert_eq!(fragments, [Fragment { part: Part::Fragment { number: 1, total: 1 }, first: 0, plain: &[] }]);
}

#[test]
fn a_datagram_too_small_for_any_plaintext_is_refused() {
    assert_eq!(split(&message(10), 60, AEAD), Err(WireError::NoRoom(60)));
    assert_eq!(split(&message(10), 0, CBC), Err(WireError::NoRoom(0)));
}

#[test]
fn a_message_that_needs_more_fragments_than_peers_hold_is_refused() {
    let limit = usize::from(Reassembly::MAX_FRAGMENTS);
    assert_eq!(split(&message(limit * 39), 100, AEAD).unwrap().len(), limit);
    assert_eq!(split(&message(limit * 39 + 1), 100, AEAD), Err(WireError::NoRoom(100)));
    let long = Reassembly::MAX_BYTES + 1;
    assert_eq!(split(&message(long), 1400, AEAD), Err(WireError::TooLong(long)));
}

#[test]
fn fragments_in_any_order_make_the_message() {
    let mut buffer = Reassembly::default();
    assert_eq!(buffer.add(3, 3, 0, b"ef"), Ok(Progress::Incomplete));
    assert_eq!(buffer.add(1, 3, 35, b"ab"), Ok(Progress::Incomplete));
    assert_eq!(buffer.add(2, 3, 0, b"cd"), Ok(complete(35, b"abcdef")));
    assert!(buffer.is_empty());
}

/// RFC 7383 §2.5: the field means nothing in the others.
#[test]
fn the_first_payload_is_taken_from_the_first_fragment_alone() {
    let mut buffer = Reassembly::default();
    assert_eq!(buffer.add(1, 2, 35, b"ab"), Ok(Progress::Incomplete));
    assert_eq!(buffer.add(2, 2, 99, b"cd"), Ok(complete(35, b"abcd")));
}

/// RFC 7383 §2.5.3: even an empty fragment counts.
#[test]
fn an_empty_fragment_is_a_fragment() {
    let mut buffer = Reassembly::default();
    assert_eq!(buffer.add(1, 2, 35, b""), Ok(Progress::Incomplete));
    assert_eq!(buffer.check(1, 2), Ok(Novelty::Duplicate));
    assert_eq!(buffer.add(2, 2, 0, b"ab"), Ok(complete(35, b"ab")));
}

#[test]
fn the_first_copy_of_a_fragment_stays() {
    let mut buffer = Reassembly::default();
    assert_eq!(buffer.add(1, 2, 35, b"ab"), Ok(Progress::Incomplete));
    assert_eq!(buffer.check(1, 2), Ok(Novelty::Duplicate));
    assert_eq!(buffer.check(2, 2), Ok(Novelty::New));
    assert_eq!(buffer.add(1, 2, 36, b"xx"), Ok(Progress::Duplicate));
    assert_eq!(buffer.add(2, 2, 0, b"cd"), Ok(complete(35, b"abcd")));
}

/// RFC 7383 §2.6.
#[test]
fn numbers_of_zero_and_above_the_total_are_refused() {
    let mut buffer = Reassembly::default();
    for (number, total) in [(0, 0), (0, 2), (3, 2), (65535, 65534)] {
        let refused = FragmentError::Number { number, total };
        assert_eq!(buffer.check(number, total), Err(refused));
        assert_eq!(buffer.add(number, total, 35, b"ab"), Err(refused));
    }
    assert!(buffer.is_empty());
}

/// RFC 7383 §2.6.
#[test]
fn a_larger_total_starts_over() {
    let mut buffer = Reassembly::default();
    assert_eq!(buffer.add(1, 2, 35, b"old"), Ok(Progress::Incomplete));
    assert_eq!(buffer.add(2, 3, 0, b"cd"), Ok(Progress::Incomplete));
    assert_eq!(buffer.add(3, 3, 0, b"ef"), Ok(Progress::Incomplete));
    assert_eq!(buffer.add(1, 3, 36, b"ab"), Ok(complete(36, b"abcdef")));
}

/// RFC 7383 §2.6.
#[test]
fn a_smaller_total_is_discarded() {
    let mut buffer = Reassembly::default();
    assert_eq!(buffer.add(1, 3, 35, b"ab"), Ok(Progress::Incomplete));
    let late = FragmentError::Superseded { total: 2, current: 3 };
    assert_eq!(buffer.check(2, 2), Err(late));
    assert_eq!(buffer.add(2, 2, 0, b"xx"), Err(late));
    assert_eq!(buffer.add(2, 3, 0, b"cd"), Ok(Progress::Incomplete));
    assert_eq!(buffer.add(3, 3, 0, b"ef"), Ok(complete(35, b"abcdef")));
}

#[test]
fn what_was_gathered_can_be_forgotten() {
    let mut buffer = Reassembly::default();
    assert_eq!(buffer.add(1, 3, 35, b"ab"), Ok(Progress::Incomplete));
    buffer.clear();
    assert!(buffer.is_empty());
    assert_eq!(buffer.add(2, 2, 0, b"cd"), Ok(Progress::Incomplete));
    assert_eq!(buffer.add(1, 2, 36, b"ab"), Ok(complete(36, b"abcd")));
}

proptest! {
    #[test]
    fn a_split_message_comes_together_however_its_fragments_arrive(
        (length, max) in (1_usize..4000, 576_usize..1500),
        aead in any::<bool>(),
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let message = message(length);
        let fragments = split(&message, max, if aead { AEAD } else { CBC }).unwrap();
        let mut buffer = Reassembly::default();
        let shuffled = order.iter().map(|index| index.get(&fragments));
        let mut seen = std::collections::BTreeSet::new();
        let mut whole = None;
        for fragment in shuffled.chain(&fragments) {
            if whole.is_some() {
                break;
            }
            let fresh = seen.insert(number_and_total(fragment));
            match add(&mut buffer, fragment) {
                Progress::Complete(chain) => whole = Some(chain),
                Progress::Duplicate => prop_assert!(!fresh),
                Progress::Incomplete => prop_assert!(fresh && seen.len() < fragments.len()),
            }
        }
        prop_assert_eq!(whole.as_ref(), Some(&message));
        prop_assert_eq!(seen.len(), fragments.len());
    }
}
