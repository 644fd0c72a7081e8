//! What an operator may choose that changes a message or two.

use crate::bench::{closings, established_with, kind, pair_with, secs, verdict};
use crate::pki::{certificates, local, remote};
use crate::support::{End, Pair, identity};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidegate_esp::{Direction, Limits};
use tidegate_ike::Cause;
use tidegate_ike::connection::{
    Childless, Connection, Fragmentation, RequestCertificates, SendCertificates, Volume,
};
use tidegate_ike::identity::IdentityPattern;
use tidegate_ike::wire::{ExchangeType, NotifyType};

const MOON: &str = "C=CH, O=Tidegate, CN=moon.example.net";

/// Both ends prove themselves by the same certificate.
fn by_certificate(connection: &mut Connection) {
    connection.local.identity = identity(MOON);
    connection.remote.identity = IdentityPattern::Exact(identity(MOON));
    connection.local.auth = Arc::new(local(&["moon"], "moon"));
    connection.remote.auth = Arc::new(remote(certificates(&["root"])));
}

/// Bytes of A's IKE_AUTH request, fragments and all.
fn length_of_proof(mut pair: Pair) -> usize {
    pair.initiate(End::A);
    pair.pass(End::A);
    pair.pass(End::B);
    pair.a.sent.iter().map(|sent| sent.bytes.len()).sum()
}

#[test]
fn certificates_are_sent_always_or_if_asked_for_or_never() {
    let length = |send, request| {
        length_of_proof(pair_with(1, move |end, connection| {
            by_certificate(connection);
            match end {
                End::A => connection.send_certificates = send,
                End::B => connection.request_certificates = request,
            }
        }))
    };
    let always = length(SendCertificates::Always, RequestCertificates::Yes);
    let never = length(SendCertificates::Never, RequestCertificates::Yes);
    assert!(never + 300 < always, "{never} and {always}");
    // Signatures differ in length by a byte or two.
    let alike = |one: usize, other: usize| one.abs_diff(other) < 16;
    assert!(alike(length(SendCertificates::Always, RequestCertificates::No), always));
    assert!(alike(length(SendCertificates::IfAsked, RequestCertificates::Yes), always));
    assert!(alike(length(SendCertificates::IfAsked, RequestCertificates::No), never));
    // The responder heeds what is asked in IKE_AUTH.
    let mut pair = established_with(2, |_, connection| {
        by_certificate(connection);
        connection.send_certificates = SendCertificates::IfAsked;
    });
    pair.run(secs(1));
    pair.assert_agree();
}

#[test]
fn where_a_child_may_not_come_along_a_peer_that_sends_one_or_wants_one_is_refused() {
    let with = |a: Childless, b: Childless| {
        pair_with(3, move |end, connection| {
            connection.childless = if end == End::A { a } else { b };
        })
    };
    for b in [Childless::Force, Childless::Allow, Childless::Prefer] {
        let mut pair = with(Childless::Force, b);
        pair.set_up();
        pair.assert_agree();
        assert_eq!(pair.a.children().len(), 1);
    }
    let mut cannot = with(Childless::Force, Childless::Never);
    cannot.initiate(End::A);
    cannot.settle();
    assert_eq!(verdict(&cannot.a).cause, Cause::Unexpected("no IKE_AUTH without a child"));
    let mut does_not = with(Childless::Allow, Childless::Force);
    does_not.initiate(End::A);
    does_not.settle();
    assert_eq!(verdict(&does_not.a).cause, Cause::Refused(NotifyType::INVALID_SYNTAX));
    assert_eq!(verdict(&does_not.b).cause, Cause::Unexpected("an IKE_AUTH with a child"));
    does_not.run(secs(40));
    assert!(does_not.a.endpoint.is_empty() && does_not.b.endpoint.is_empty());
    assert!(closings(&does_not.a).is_empty());
}

#[test]
fn whoever_only_accepts_fragments_sends_none() {
    let [accepting, offering] = [Fragmentation::AcceptOnly, Fragmentation::Offer(300)];
    let mut pair = pair_with(4, move |end, connection| {
        by_certificate(connection);
        connection.fragmentation = if end == End::A { offering } else { accepting };
    });
    pair.initiate(End::A);
    pair.pass(End::A);
    pair.pass(End::B);
    assert!(pair.a.sent.len() > 1);
    while pair.pass(End::A) {}
    assert_eq!(pair.b.sent.len(), 1);
    assert_eq!(kind(&pair.b.sent[0]), (ExchangeType::IkeAuth, true));
    pair.settle();
    pair.assert_agree();
    // Whoever does not even accept them is sent none.
    let mut never = pair_with(5, |end, connection| {
        by_certificate(connection);
        connection.fragmentation =
            if end == End::A { Fragmentation::Offer(300) } else { Fragmentation::Never };
    });
    never.initiate(End::A);
    never.pass(End::A);
    never.pass(End::B);
    assert_eq!(never.a.sent.len(), 1);
}

#[test]
fn soft_limits_differ_from_child_to_child_and_hard_ones_do_not() {
    let volume = Limits { soft_packets: 1_000, hard_packets: 2_000, soft_bytes: 10_000, hard_bytes: 20_000 };
    let mut seen = BTreeSet::new();
    for seed in 0..20 {
        let pair = established_with(seed, |_, connection| {
            let lifetimes = &mut Arc::make_mut(&mut connection.children[0]).lifetimes;
            lifetimes.volume = volume;
            lifetimes.volume_jitter = Volume { packets: 500, bytes: 5_000 };
        });
        let outbound = pair.a.installed.iter().find(|((_, direction), _)| *direction == Direction::Outbound);
        let limits = outbound.expect("there is one").1.limits;
        assert_eq!((limits.hard_packets, limits.hard_bytes), (2_000, 20_000));
        assert!((500..=1_000).contains(&limits.soft_packets), "{limits:?}");
        assert!((5_000..=10_000).contains(&limits.soft_bytes), "{limits:?}");
        seen.insert((limits.soft_packets, limits.soft_bytes));
    }
    assert!(seen.len() > 15, "{seen:?}");
}
