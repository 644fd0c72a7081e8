//! Seeds of the targets that speak IKE by keys: what a peer says that has them, and what happens on the way between
//! two honest ones.

use crate::{failure, save};
use tidegate_esp::{AddressRange, Spi, TrafficSelector};
use tidegate_ike::wire::{
    AdditionalAddresses, ChildAccepted, ChildOffer, ChildRequest, ChildResponse, CreateChildRequest,
    CreateChildResponse, Delete, Informational, KeyExchange, NatDetection, PayloadChain, Proposal,
    ProtocolId, RekeyIkeMessage, Transform,
};

/// Writes all of them.
pub(crate) fn save_all() -> std::io::Result<()> {
    established()?;
    moves_of_a_peer()?;
    handshake()?;
    moves_on_the_way()
}

/// Conversations with a peer that has the keys; `fuzz_targets/established.rs` says what a record is.
fn established() -> std::io::Result<()> {
    const ASK: [u8; 3] = [0, 0, 0];
    const INFORM: [u8; 3] = [0, 3, 0];
    const ANSWER: [u8; 3] = [1, 0, 1];
    let none = PayloadChain::default();
    let begin = |how| record([2, how, 0], &PayloadChain::default());
    let create = record(ASK, &fitting_request(0x6666_0002, None).emit());
    let rekey = record(ASK, &fitting_request(0x6666_0003, Spi::new(EVIL_SPI)).emit());
    let rekey_ike = record(ASK, &fitting_rekey(5).emit());
    let delete =
        |delete| record(INFORM, &Informational { deletes: vec![delete], ..Informational::default() }.emit());
    let delete_child = delete(Delete::Esp(Spi::new(EVIL_SPI).into_iter().collect()));
    let made = record(ANSWER, &fitting_response().emit());
    let successor = record(ANSWER, &fitting_successor().emit());
    let empty = record(ANSWER, &none);
    let later = record([3, 200, 100], &none);
    let refused = record(ANSWER, &CreateChildResponse::Failed(failure()).emit());
    let other_group = record(ANSWER, &CreateChildResponse::InvalidKe(31).emit());
    let limit = Informational { lifetime: Some(60), ..Informational::default() };
    let conversations: [(&str, &[&[u8]]); 14] = [
        ("limited", &[&record(INFORM, &limit.emit()), &later, &empty]),
        ("create", &[&create, &record(INFORM, &none)]),
        ("rekey", &[&rekey, &delete_child]),
        ("rekey_ike", &[&rekey_ike, &delete(Delete::Ike)]),
        ("delete_child", &[&delete_child]),
        ("delete_ike", &[&delete(Delete::Ike)]),
        ("victim_rekeys", &[&begin(0), &made, &empty]),
        ("victim_rekeys_and_is_refused", &[&begin(0), &refused, &later]),
        ("victim_rekeys_in_another_group", &[&begin(0), &other_group, &made]),
        ("victim_rekeys_the_ike_sa", &[&begin(2), &successor, &empty]),
        ("victim_creates", &[&begin(3), &made, &begin(1), &empty]),
        ("rekeys_cross", &[&begin(0), &rekey, &made, &delete_child, &empty]),
        ("rekeys_of_the_ike_sa_cross", &[&begin(2), &rekey_ike, &successor, &empty]),
        ("reauthentication", &[&begin(5), &later, &delete_child]),
    ];
    for (name, records) in conversations {
        save("established", name, &[&[0], &records.concat()[..]].concat())?;
    }
    let chain = fitting_request(0x6666_0004, None).emit();
    let half = chain.bytes.len() / 2;
    let part =
        |more, first, bytes: &[u8]| record([5, 0, more], &PayloadChain { first, bytes: bytes.to_vec() });
    let parts = [part(0x12, chain.first, &chain.bytes[..half]), part(0x22, 0, &chain.bytes[half..])];
    save("established", "fragments", &[&[0], &parts.concat()[..]].concat())
}

/// The same of a peer that moves, where it may, and of a victim that does.
fn moves_of_a_peer() -> std::io::Result<()> {
    let none = PayloadChain::default();
    let inform = |message: Informational| record([0, 3, 0], &message.emit());
    let speaks_from = |place| record([6, place, 0], &none);
    let victim_has = |places| record([7, places, 0], &none);
    // An answer as it was asked for, which is what a cookie wants.
    let echo = record([1, 0, 2], &none);
    let empty = record([1, 0, 1], &none);
    let later = record([3, 200, 100], &none);
    let nat = || NatDetection { sources: vec![[1; 20]], destination: Some([3; 20]) };
    let update = |no_nats_allowed| {
        let additional_addresses = Some(AdditionalAddresses::Some(vec![[198, 51, 100, 1].into()]));
        let update = Informational {
            update_addresses: true,
            nat: nat(),
            additional_addresses,
            ..Informational::default()
        };
        inform(Informational { no_nats_allowed, ..update })
    };
    let from_to = [192, 0, 2, 1, 192, 0, 2, 2, 1, 0xf4, 1, 0xf4];
    let (moved, allowed, not_allowed) =
        (update(None), update(Some(from_to.to_vec())), update(Some(vec![1; 12])));
    let alone = inform(Informational {
        additional_addresses: Some(AdditionalAddresses::None),
        ..Informational::default()
    });
    let cookie = inform(Informational { cookie2: Some(vec![2; 16]), ..Informational::default() });
    let sign_of_life = inform(Informational { nat: nat(), ..Informational::default() });
    let conversations: [(&str, &[&[u8]]); 9] = [
        ("moved", &[&speaks_from(1), &moved, &echo, &speaks_from(2), &moved, &echo]),
        ("moved_and_lied", &[&speaks_from(1), &moved, &empty]),
        ("moved_and_silent", &[&speaks_from(1), &moved, &later, &later]),
        ("moved_twice", &[&speaks_from(1), &moved, &speaks_from(2), &moved, &echo, &echo]),
        ("no_nats", &[&allowed, &echo, &not_allowed, &speaks_from(1), &allowed, &echo]),
        ("addresses", &[&alone, &cookie, &sign_of_life, &moved, &echo]),
        ("victim_moved", &[&victim_has(0b10), &empty, &victim_has(0b111), &empty]),
        ("victim_nowhere", &[&victim_has(0), &later, &victim_has(0b100), &moved, &echo]),
        ("followed", &[&speaks_from(1), &sign_of_life, &speaks_from(2), &cookie, &later]),
    ];
    for (name, records) in conversations {
        for kind in 0..4 {
            save("established", &format!("{name}_{kind}"), &[&[kind], &records.concat()[..]].concat())?;
        }
    }
    Ok(())
}

/// What happens on the way between two ends; `fuzz_targets/handshake.rs` says what a record is.
fn handshake() -> std::io::Result<()> {
    // The next datagram of A, and of B, as it is.
    const ALONG: [u8; 5] = [0, 0, 0, 0, 0];
    const BACK: [u8; 5] = [1, 0, 0, 0, 0];
    // One octet of the next one becomes another.
    let change = |back: u8, at: u8| [4 | back, 0, at, 1, 1, 0xff];
    let lost = |back: u8| [8 | back, 0, 0, 0, 0];
    let begins = |what: u8| [14, 0, 0, what, 0];
    let back_begins = |what: u8| [15, 0, 0, what, 0];
    let later = [12, 0x20, 0, 0, 0];
    let exchange = [ALONG, BACK].concat();
    let stands = [&exchange[..], &exchange].concat();
    for flavour in 0..13 {
        save("handshake", &format!("flavour_{flavour}"), &[&[flavour], &stands[..], &exchange].concat())?;
    }
    let rows: [(&str, Vec<u8>); 16] = [
        ("changed_request", [&change(0, 40)[..], &BACK, &ALONG].concat()),
        ("changed_answer", [&ALONG[..], &change(1, 40), &ALONG].concat()),
        ("changed_identity", [&exchange[..], &change(0, 9), &BACK].concat()),
        ("changed_acceptance", [&exchange[..], &ALONG, &change(1, 60)].concat()),
        ("changed_number", [&ALONG[..], &change(1, 8), &later, &exchange].concat()),
        ("changed_transform", [&ALONG[..], &change(1, 19), &later, &exchange].concat()),
        ("changed_group", [&ALONG[..], &change(1, 45), &later, &exchange].concat()),
        ("lost", [&lost(0)[..], &later, &exchange, &lost(0), &later, &exchange].concat()),
        ("rekeyed", [&stands[..], &begins(0), &exchange, &exchange].concat()),
        ("child_rekeyed", [&stands[..], &begins(1), &change(0, 20), &BACK, &exchange].concat()),
        ("reauthenticated", [&stands[..], &begins(3), &exchange, &exchange, &exchange].concat()),
        ("ended", [&stands[..], &begins(2), &exchange, &begins(4), &exchange].concat()),
        ("twice", [&stands[..], &begins(8), &exchange, &exchange, &exchange, &exchange].concat()),
        ("from_both_ends", [&back_begins(8)[..], &exchange, &exchange, &exchange, &exchange].concat()),
        ("abandoned", [&stands[..], &begins(10), &exchange, &begins(9), &exchange].concat()),
        ("soft_limit", [&stands[..], &begins(11), &exchange, &exchange].concat()),
    ];
    for (name, row) in rows {
        for flavour in [0, 9] {
            save("handshake", &format!("{name}_{flavour}"), &[&[flavour], &row[..]].concat())?;
        }
    }
    Ok(())
}

/// The same of ends that move, with a NAT on the way now and then.
fn moves_on_the_way() -> std::io::Result<()> {
    const TURN: [u8; 10] = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    let acts = |back: u8, what: u8, which: u8| [14 | back, 0, which, what, 0];
    let has = |back: u8, places: u8| acts(back, 5, places);
    // The next datagram arrives from a place of the sender's, and from a port.
    let by_nat = |back: u8, place: u8, port: u8| [2 | back, 0, place, port, 0];
    let lost = |back: u8| [8 | back, 0, 0, 0, 0];
    let later = [12, 0x40, 0, 0, 0];
    let turns = |count: usize| TURN.repeat(count);
    let through_nat = [by_nat(0, 1, 7), TURN[5..].try_into().expect("five")].concat();
    let rows: [(&str, Vec<u8>); 11] = [
        ("moved", [&turns(2)[..], &has(0, 0b10), &turns(4)].concat()),
        ("moved_on", [&turns(2)[..], &has(0, 0b10), &TURN, &has(0, 0b100), &turns(4)].concat()),
        (
            "more_places",
            [&turns(2)[..], &has(0, 0b111), &has(1, 0b111), &turns(3), &has(1, 0b110), &turns(4)].concat(),
        ),
        ("other_end_moved", [&turns(2)[..], &has(1, 0b10), &turns(5)].concat()),
        ("nowhere", [&turns(2)[..], &has(0, 0), &later, &has(0, 0b1010), &turns(5)].concat()),
        (
            "unanswered",
            [&turns(2)[..], &acts(0, 1, 0), &lost(0), &later, &lost(0), &lost(0), &later, &turns(6)].concat(),
        ),
        (
            "behind_nat",
            [
                &through_nat.repeat(2)[..],
                &later,
                &through_nat.repeat(3),
                &has(0, 0b10),
                &through_nat.repeat(3),
            ]
            .concat(),
        ),
        (
            "new_mapping",
            [
                &turns(2)[..],
                &acts(0, 1, 0),
                &by_nat(0, 2, 9),
                &TURN[5..],
                &turns(2),
                &acts(1, 6, 1),
                &turns(2),
            ]
            .concat(),
        ),
        ("nat_on_the_way_back", [&TURN[..5], &by_nat(1, 1, 0), &later, &turns(3)].concat()),
        ("astray", [&turns(2)[..], &acts(0, 12, 1), &acts(1, 12, 1), &turns(3), &later, &turns(3)].concat()),
        (
            "unknown",
            [&turns(2)[..], &acts(0, 7, 0), &turns(2), &acts(1, 7, 0), &turns(2), &acts(1, 6, 2), &turns(2)]
                .concat(),
        ),
    ];
    for (name, row) in rows {
        for flavour in [0, 6, 7, 8] {
            save("handshake", &format!("{name}_{flavour}"), &[&[flavour], &row[..]].concat())?;
        }
    }
    Ok(())
}

/// The SPI of the child that the target begins with.
const EVIL_SPI: u32 = 0x6666_0001;

fn record(how: [u8; 3], chain: &PayloadChain) -> Vec<u8> {
    let length = u16::try_from(chain.bytes.len()).expect("short");
    [&how, [chain.first].as_slice(), &length.to_be_bytes(), &chain.bytes].concat()
}

/// A request that the target's connection accepts.
fn fitting_request(spi: u32, rekeys: Option<Spi>) -> CreateChildRequest {
    let proposals = vec![fitting_proposal(1, ProtocolId::Esp, &spi.to_be_bytes())];
    CreateChildRequest::Child(ChildRequest {
        offer: ChildOffer {
            proposals,
            initiator_selectors: vec![subnet(1)],
            responder_selectors: vec![subnet(2)],
            transport_mode: false,
            no_tfc_padding: false,
        },
        nonce: vec![8; 32],
        key_exchange: None,
        rekeys,
        notifies: vec![],
    })
}

/// An answer to what the target's victim asks for: its second proposal, without a key exchange.
fn fitting_response() -> CreateChildResponse {
    CreateChildResponse::Child(ChildResponse {
        child: ChildAccepted {
            proposal: fitting_proposal(2, ProtocolId::Esp, &[0x66, 0x66, 0, 9]),
            initiator_selectors: vec![subnet(2)],
            responder_selectors: vec![subnet(1)],
            transport_mode: false,
            no_tfc_padding: false,
        },
        nonce: vec![9; 32],
        key_exchange: None,
        notifies: vec![],
    })
}

fn fitting_rekey(spi: u8) -> CreateChildRequest {
    CreateChildRequest::RekeyIke(RekeyIkeMessage {
        proposals: vec![fitting_proposal(1, ProtocolId::Ike, &[spi; 8])],
        nonce: vec![8; 32],
        key_exchange: KeyExchange { group: 31, public: vec![9; 32] },
        notifies: vec![],
    })
}

fn fitting_successor() -> CreateChildResponse {
    CreateChildResponse::RekeyIke(RekeyIkeMessage {
        proposals: fitting_proposal(1, ProtocolId::Ike, &[6; 8]),
        nonce: vec![8; 32],
        key_exchange: KeyExchange { group: 31, public: vec![9; 32] },
        notifies: vec![],
    })
}

fn fitting_proposal(number: u8, protocol: ProtocolId, spi: &[u8]) -> Proposal {
    let transform = |kind, id, key_length| Transform { kind, id, key_length, unknown_attribute: false };
    let mut transforms = vec![transform(1, 20, Some(128))];
    match protocol {
        ProtocolId::Ike => transforms.extend([transform(2, 5, None), transform(4, 31, None)]),
        _ => transforms.push(transform(5, 0, None)),
    }
    Proposal { number, protocol, spi: spi.to_vec(), transforms }
}

fn subnet(number: u8) -> TrafficSelector {
    let addresses = AddressRange::V4 { start: [10, number, 0, 0].into(), end: [10, number, 255, 255].into() };
    TrafficSelector { addresses, ..TrafficSelector::any_v4() }
}
