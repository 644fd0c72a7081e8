//! Messages and packets as bytes.

use proptest::prelude::*;
use tidegate::vici::codec::{DecodeError, EncodeError, MAX_DEPTH, MAX_ELEMENTS, decode, encode};
use tidegate::vici::packet::{self, MAX_PACKET, Packet, PacketError};
use tidegate::vici::{Element, Message};

fn bytes_of(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes).expect("short enough");
    bytes
}

#[test]
fn a_message_is_written_as_the_protocol_says() {
    let inner = Message::new().with("k", "v");
    let message = Message::new().with_section("s", inner).with_list("l", ["a", "bc"]);
    let expected =
        [&[1, 1, b's', 3, 1, b'k', 0, 1, b'v', 2][..], &[4, 1, b'l', 5, 0, 1, b'a', 5, 0, 2, b'b', b'c', 6]];
    assert_eq!(bytes_of(&message), expected.concat());
}

#[test]
fn what_is_malformed_is_told_by_kind() {
    let cases: &[(&[u8], DecodeError)] = &[
        (&[3], DecodeError::Truncated),
        (&[3, 2, b'a'], DecodeError::Truncated),
        (&[3, 1, b'a'], DecodeError::Truncated),
        (&[3, 1, b'a', 0], DecodeError::Truncated),
        (&[3, 1, b'a', 0, 2, 1], DecodeError::Truncated),
        (&[0], DecodeError::UnknownElement(0)),
        (&[7], DecodeError::UnknownElement(7)),
        (&[3, 1, 0xff, 0, 0], DecodeError::NameNotText),
        (&[3, 1, b'a', 0, 0, 4, 1, b'a', 6], DecodeError::Duplicate("a".to_owned())),
        (&[2], DecodeError::NothingToEnd),
        (&[6], DecodeError::NothingToEnd),
        (&[1, 1, b'a'], DecodeError::Unclosed),
        (&[4, 1, b'a'], DecodeError::Unclosed),
        (&[4, 1, b'a', 5, 0], DecodeError::Truncated),
        (&[5, 0, 0], DecodeError::ItemOutsideList),
        (&[4, 1, b'a', 1, 1, b'b', 2, 6], DecodeError::NotAnItem { list: "a".to_owned(), element: 1 }),
        (&[4, 1, b'a', 4, 1, b'b', 6, 6], DecodeError::NotAnItem { list: "a".to_owned(), element: 4 }),
        (&[4, 1, b'a', 2], DecodeError::NotAnItem { list: "a".to_owned(), element: 2 }),
    ];
    for (bytes, expected) in cases {
        assert_eq!(decode(bytes), Err(expected.clone()), "{bytes:?}");
    }
}

#[test]
fn the_same_name_may_stand_in_two_sections() {
    let message =
        Message::new().with_section("a", Message::new().with("a", 1)).with_section("b", Message::new());
    assert_eq!(decode(&bytes_of(&message)), Ok(message));
}

#[test]
fn sections_may_be_nested_so_deep_and_no_deeper() {
    let nested = |depth: usize| [[1, 1, b's'].repeat(depth), [2].repeat(depth)].concat();
    let deepest = decode(&nested(MAX_DEPTH)).expect("as deep as allowed");
    assert_eq!(decode(&nested(MAX_DEPTH + 1)), Err(DecodeError::TooDeep));

    assert_eq!(bytes_of(&deepest), nested(MAX_DEPTH));
    let deeper = Message::new().with_section("s", deepest);
    assert_eq!(encode(&deeper, &mut Vec::new()), Err(EncodeError::TooDeep));
}

#[test]
fn elements_are_counted() {
    let sections = |count: usize| {
        let mut bytes = Vec::new();
        for number in 0..count {
            bytes.extend([1, 4, 0, 0, 0, 0, 2]);
            let name = bytes.len() - 5;
            bytes[name..name + 4].copy_from_slice(format!("{number:04x}").as_bytes());
        }
        bytes
    };
    assert!(decode(&sections(MAX_ELEMENTS / 2)).is_ok());
    assert_eq!(decode(&sections(MAX_ELEMENTS / 2 + 1)), Err(DecodeError::TooManyElements));

    let list = |count: usize| [&[4, 1, b'l'][..], &[5, 0, 0].repeat(count), &[6]].concat();
    assert!(decode(&list(MAX_ELEMENTS)).is_ok());
    assert_eq!(decode(&list(MAX_ELEMENTS + 1)), Err(DecodeError::TooManyElements));
}

#[test]
fn what_fits_no_length_field_is_not_written() {
    let fails = |message: &Message| encode(message, &mut Vec::new()).expect_err("it does not fit");
    assert!(matches!(fails(&Message::new().with(&"n".repeat(256), "")), EncodeError::LongName(_)));
    let long = "v".repeat(65_536);
    assert_eq!(
        fails(&Message::new().with("n", &long)),
        EncodeError::LongValue { name: "n".to_owned(), length: 65_536 }
    );
    assert_eq!(
        fails(&Message::new().with_list("l", [&long])),
        EncodeError::LongValue { name: "l".to_owned(), length: 65_536 }
    );
    assert!(bytes_of(&Message::new().with(&"n".repeat(255), "v".repeat(65_535))).len() > 65_535);
}

#[test]
fn a_packet_has_its_length_in_front() {
    let frame = packet::request("version", &Message::new().with("a", "b")).expect("short");
    let (length, body) = frame.split_first_chunk::<4>().expect("a length");
    assert_eq!(u32::from_be_bytes(*length) as usize, body.len());
    assert_eq!(
        Packet::parse(body),
        Ok(Packet::Request { name: "version", message: &[3, 1, b'a', 0, 1, b'b'] })
    );
}

#[test]
fn a_packet_may_be_so_long_and_no_longer() {
    let with = |count: usize| {
        let items = std::iter::repeat_n("x".repeat(65_000), count);
        packet::response(&Message::new().with_list("l", items))
    };
    assert!(with(8).expect("short enough").len() <= MAX_PACKET + 4);
    assert!(matches!(with(9), Err(EncodeError::LongPacket { length }) if length > MAX_PACKET));
}

#[test]
fn packets_that_make_no_sense_are_told_by_kind() {
    let cases: &[(&[u8], PacketError)] = &[
        (&[], PacketError::Empty),
        (&[8], PacketError::UnknownKind(8)),
        (&[0], PacketError::Truncated),
        (&[0, 3, b'a'], PacketError::Truncated),
        (&[3], PacketError::Truncated),
        (&[3, 1, 0xff], PacketError::NameNotText),
        (&[3, 1, b'a', 0], PacketError::Trailing),
        (&[4, 1, b'a', 0], PacketError::Trailing),
        (&[2, 0], PacketError::Trailing),
        (&[5, 0], PacketError::Trailing),
        (&[6, 0], PacketError::Trailing),
        (&[7, 9, b'a'], PacketError::Truncated),
    ];
    for (bytes, expected) in cases {
        assert_eq!(Packet::parse(bytes), Err(*expected), "{bytes:?}");
    }
}

fn elements(depth: u32) -> BoxedStrategy<Message> {
    let value = || proptest::collection::vec(any::<u8>(), 0..40);
    let leaf = prop_oneof![
        value().prop_map(Element::Value),
        proptest::collection::vec(value(), 0..5).prop_map(Element::List),
    ];
    let element = if depth == 0 {
        leaf.boxed()
    } else {
        prop_oneof![leaf, elements(depth - 1).prop_map(Element::Section)].boxed()
    };
    proptest::collection::btree_map("[a-z0-9-]{0,12}", element, 0..6)
        .prop_map(|elements| {
            elements.into_iter().fold(Message::new(), |mut message, (name, element)| {
                message.push(name, element);
                message
            })
        })
        .boxed()
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(message in elements(4)) {
        prop_assert_eq!(decode(&bytes_of(&message)), Ok(message));
    }

    #[test]
    fn whatever_is_read_is_written_as_the_same(bytes in proptest::collection::vec(0_u8..8, 0..60)) {
        if let Ok(message) = decode(&bytes) {
            prop_assert_eq!(bytes_of(&message), bytes);
        }
    }

    #[test]
    fn a_message_cut_short_is_never_read_as_another_error_than_cut(
        message in elements(3),
        cut in any::<proptest::sample::Index>(),
    ) {
        let bytes = bytes_of(&message);
        let cut = cut.index(bytes.len() + 1);
        match decode(&bytes[..cut]) {
            Ok(_) | Err(DecodeError::Truncated | DecodeError::Unclosed) => {}
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
