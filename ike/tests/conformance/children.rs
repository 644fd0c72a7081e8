//! Children: their deletion, their rekey, and what a peer may not make of them.

use crate::evil::Said;
use crate::puppet::{FIRST_CHILD, Puppet, child_request, deleted};
use crate::support::End;
use std::time::Duration;
use tidegate_esp::{Direction, Spi};
use tidegate_ike::wire::{
    ChildRequest, CreateChildRequest, CreateChildResponse, Delete, ExchangeType, Informational, PayloadChain,
};

fn spi(value: u32) -> Spi {
    Spi::new(value).unwrap()
}

// RFC 7296 §1.4.1, §2.4
#[test]
fn a_child_that_ends_here_is_deleted_at_the_peer() {
    let (mut pair, mut puppet) = Puppet::with_engine(1);
    let child = pair.child(End::B);
    pair.with(End::B, |endpoint, now| endpoint.terminate_child(now, child)).unwrap();
    let Said { header, first, bytes } = puppet.hear(&mut pair);
    assert_eq!(header.exchange, ExchangeType::Informational);
    // Each end names what it receives on.
    assert_eq!(deleted(first, &bytes), [child]);
    puppet.answer(&mut pair, &header, &PayloadChain::default());
    pair.run(Duration::from_secs(6));
    assert!(pair.b.installed.is_empty());
}

// RFC 7296 §1.4.1
#[test]
fn a_delete_takes_the_child_and_is_answered_with_the_other_half() {
    let (mut pair, mut puppet) = Puppet::with_engine(2);
    let child = pair.child(End::B);
    let request =
        Informational { deletes: vec![Delete::Esp(vec![spi(FIRST_CHILD)])], ..Informational::default() };
    let answer = puppet.inform(&mut pair, &request);
    assert_eq!(answer.deletes, [Delete::Esp(vec![child])]);
    // Our outgoing half is gone at once; what is under way still arrives for a while.
    assert!(!pair.b.installed.contains_key(&(child, Direction::Outbound)));
    pair.run(Duration::from_secs(6));
    assert!(pair.b.installed.is_empty());
}

// RFC 7296 §1.4.1: two Deletes that cross name the child once each.
#[test]
fn a_child_that_both_ends_delete_is_not_named_in_the_answers() {
    let (mut pair, mut puppet) = Puppet::with_engine(3);
    let child = pair.child(End::B);
    pair.with(End::B, |endpoint, now| endpoint.terminate_child(now, child)).unwrap();
    let ours = puppet.hear(&mut pair).header;
    let request =
        Informational { deletes: vec![Delete::Esp(vec![spi(FIRST_CHILD)])], ..Informational::default() };
    assert_eq!(puppet.inform(&mut pair, &request).deletes, []);
    puppet.answer(&mut pair, &ours, &PayloadChain::default());
    pair.run(Duration::from_secs(6));
    assert!(pair.b.installed.is_empty());
    assert_eq!(pair.b.endpoint.resources()[0], 0);
}

// RFC 7296 §1.4.1: while it is deleted here its SPI is not given to another.
#[test]
fn a_deleted_childs_spi_rests() {
    let (mut pair, mut puppet) = Puppet::with_engine(4);
    let child = pair.child(End::B);
    pair.with(End::B, |endpoint, now| endpoint.terminate_child(now, child)).unwrap();
    assert!(pair.b.installed.contains_key(&(child, Direction::Inbound)));
    for n in 1..20 {
        let request = CreateChildRequest::Child(child_request(0x2000 + n));
        // The Delete of the engine's stays unanswered meanwhile.
        pair.b.sent.clear();
        let CreateChildResponse::Child(answer) = puppet.create(&mut pair, &request) else {
            panic!("refused")
        };
        assert_ne!(answer.child.proposal.spi, child.to_be_bytes());
    }
}

// RFC 7296 §1.3.3
#[test]
fn a_request_for_new_keys_names_the_child() {
    let (mut pair, puppet) = Puppet::with_engine(5);
    let child = pair.child(End::B);
    pair.with(End::B, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    let Said { first, bytes, .. } = puppet.hear(&mut pair);
    let Ok(CreateChildRequest::Child(request)) = CreateChildRequest::parse(first, &bytes) else {
        panic!("no child")
    };
    assert_eq!(request.rekeys, Some(child));
    // RFC 7296 §1.3, §3.4: the group of KE is among those proposed.
    let group = request.key_exchange.unwrap().group;
    let proposed = request.offer.proposals.iter().flat_map(|proposal| &proposal.transforms);
    assert!(proposed.clone().any(|transform| (transform.kind, transform.id) == (4, group)));
}

// RFC 7296 §2.8.1: both are there, until the peer deletes one.
#[test]
fn while_a_child_is_replaced_both_are_received() {
    let (mut pair, mut puppet) = Puppet::with_engine(7);
    let old = pair.child(End::B);
    let request = ChildRequest { rekeys: Some(spi(FIRST_CHILD)), ..child_request(0x2000) };
    puppet.create(&mut pair, &CreateChildRequest::Child(request));
    let new = pair.child(End::B);
    assert_ne!(old, new);
    for child in [old, new] {
        assert!(pair.b.installed.contains_key(&(child, Direction::Inbound)));
    }
    // RFC 7296 §2.8: our traffic stays where the peer certainly hears it.
    assert_eq!(pair.b.carries["net"], old);
}

// RFC 7296 §2.8: a peer that forgets the old child does not stop traffic when we take it away.
#[test]
fn a_replaced_child_that_the_peer_leaves_behind_is_deleted_without_a_gap() {
    let (mut pair, mut puppet) = Puppet::with_engine(8);
    let old = pair.child(End::B);
    let request = ChildRequest { rekeys: Some(spi(FIRST_CHILD)), ..child_request(0x2000) };
    puppet.create(&mut pair, &CreateChildRequest::Child(request));
    let new = pair.child(End::B);
    for _ in 0..200 {
        pair.sleep(Duration::from_secs(1));
        while let Some(transmit) = pair.b.sent.pop_front() {
            let header = puppet.open(&transmit).header;
            puppet.answer(&mut pair, &header, &PayloadChain::default());
        }
        let carrier = pair.b.carries["net"];
        assert!(pair.b.installed.contains_key(&(carrier, Direction::Outbound)));
    }
    assert!(!pair.b.installed.contains_key(&(old, Direction::Inbound)));
    assert_eq!(pair.b.carries["net"], new);
}
