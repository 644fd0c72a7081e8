//! Fragments on an IKE SA (RFC 7383).

use crate::puppet::{Puppet, Stranger};
use crate::support::{End, Pair, connection};
use tidegate_ike::connection::Fragmentation;
use tidegate_ike::wire::{
    AuthResponse, ExchangeType, Header, Informational, MessageId, Notify, NotifyType, Part, PayloadType,
    Sealed,
};

/// The engine sends at most so much in one datagram.
fn small_datagrams() -> Pair {
    let mut b = connection(End::B);
    b.fragmentation = Fragmentation::Offer(120);
    b.liveness = None;
    Pair::new(1, connection(End::A), b)
}

fn parts(pair: &Pair) -> Vec<(Part, Header)> {
    pair.b
        .sent
        .iter()
        .map(|sent| {
            let (header, _) = Header::parse(&sent.bytes).unwrap();
            (Sealed::parse(&header, &sent.bytes).unwrap().part, header)
        })
        .collect()
}

// RFC 7383 §2.3, §2.4: whoever does not offer it is not offered it, and neither is anybody where it is off.
#[test]
fn fragmentation_is_announced_only_where_it_is_on() {
    let on = |on| if on { Fragmentation::default() } else { Fragmentation::Never };
    for (theirs, ours, expected) in [(true, true, true), (false, true, false)] {
        let mut a = connection(End::A);
        a.fragmentation = on(theirs);
        let mut b = connection(End::B);
        b.fragmentation = on(ours);
        let mut pair = Pair::new(2, a, b);
        pair.initiate(End::A);
        let request = pair.take(End::A);
        assert_eq!(announces(&request.bytes), theirs);
        pair.deliver(End::B, &request);
        assert_eq!(announces(&pair.take(End::B).bytes), expected);
    }
}

/// Whether a message in clear holds the notification, of no protocol, without SPI and without data.
fn announces(message: &[u8]) -> bool {
    let (header, body) = Header::parse(message).unwrap();
    tidegate_ike::wire::Payloads::new(header.next_payload, body)
        .map(Result::unwrap)
        .filter(|payload| payload.kind == PayloadType::NOTIFY)
        .any(|payload| payload.body == [0, 0, 0x40, 0x2e])
}

// RFC 7383 §2.5: of the header only length and next payload are the fragment's own.
#[test]
fn fragments_have_the_header_of_their_message() {
    let mut pair = small_datagrams();
    let mut stranger = Stranger::saying(&mut pair, |request| request.fragmentation = true);
    let proof = stranger.proof().emit();
    let request = stranger.puppet.request(ExchangeType::IkeAuth, &proof);
    pair.deliver(End::B, &request);
    let parts = parts(&pair);
    let total = u16::try_from(parts.len()).unwrap();
    for (expected, (part, header)) in (1..).zip(&parts) {
        assert_eq!(*part, Part::Fragment { number: expected, total });
        let own = Header { length: header.length, ..parts[0].1 };
        assert_eq!(*header, own);
        assert_eq!(header.message_id, MessageId(1));
        assert_eq!(header.next_payload, PayloadType::ENCRYPTED_FRAGMENT.0);
    }
    // And together they are the answer.
    let pieces: Vec<_> = pair.b.sent.iter().map(|sent| stranger.puppet.open(sent)).collect();
    let bytes = pieces.iter().flat_map(|piece| piece.bytes.clone()).collect::<Vec<_>>();
    assert!(matches!(AuthResponse::parse(pieces[0].first, &bytes), Ok(AuthResponse::Accepted(_))));
    // RFC 7383 §2.5: after the first, none names a payload.
    assert!(pieces[1..].iter().all(|piece| piece.first == 0));
}

// RFC 7296 §2
#[test]
fn a_message_of_3000_bytes_is_taken_whole() {
    let (mut pair, mut puppet) = Puppet::with_engine(8);
    let notifies = vec![Notify::with_data(NotifyType(40_000), vec![5; 2_900])];
    let answer = puppet.inform(&mut pair, &Informational { notifies, ..Informational::default() });
    assert_eq!(answer, Informational::default());
}
