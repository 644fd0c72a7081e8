//! Proposals, and what is said where they differ.

use crate::bench::{established_with, pair_with, secs, verdict};
use crate::support::{End, Pair};
use std::sync::Arc;
use tidegate_ike::connection::{Childless, Connection};
use tidegate_ike::crypto::GroupId;
use tidegate_ike::proposal::{Difference, EspProposal, IkeProposal, TransformKind};
use tidegate_ike::wire::NotifyType;
use tidegate_ike::{Cause, Culprit};

fn ike(connection: &mut Connection, list: &str) {
    connection.proposals = IkeProposal::parse_list(list).unwrap();
}

fn esp(connection: &mut Connection, list: &str) {
    Arc::make_mut(&mut connection.children[0]).proposals = EspProposal::parse_list(list).unwrap();
}

/// The ends want this of their children.
fn wanting(seed: u64, a: &str, b: &str, change: impl Fn(End, &mut Connection)) -> Pair {
    established_with(seed, |end, connection| {
        esp(connection, if end == End::A { a } else { b });
        change(end, connection);
    })
}

fn rekey(pair: &mut Pair, end: End) {
    let child = pair.child(end);
    pair.with(end, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
    pair.settle();
}

#[test]
fn the_first_proposal_that_both_have_is_taken() {
    let lists = [
        "aes256gcm16-prfsha384-ecp384,chacha20poly1305-prfsha256-x25519,aes128-sha256-modp2048",
        "aes128-sha256-modp2048,chacha20poly1305-prfsha256-x25519",
    ];
    let pair = established_with(1, |end, connection| {
        ike(connection, lists[usize::from(end == End::B)]);
    });
    pair.assert_agree();
    assert_eq!(pair.a.children().len(), 1);
}

#[test]
fn an_algorithm_of_each_kind_carries_an_ike_sa_and_its_child() {
    for (ike_list, esp_list) in [
        ("aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384"),
        ("chacha20poly1305-prfsha512-ecp521", "chacha20poly1305-ecp521"),
        ("aes128-sha256-modp2048", "aes128-sha256-modp2048"),
        ("aes192-sha384-modp3072", "aes192-sha384"),
        ("aes256-sha512-ecp256", "aes256-sha512-ecp256"),
        ("aes256-sha1-prfsha1-modp4096", "aes128-sha1"),
        ("default", "default"),
    ] {
        let mut pair = established_with(2, |_, connection| {
            ike(connection, ike_list);
            esp(connection, esp_list);
        });
        rekey(&mut pair, End::A);
        let sa = pair.sa(End::B);
        pair.with(End::B, |endpoint, now| endpoint.rekey(now, sa)).unwrap();
        pair.run(secs(6));
        pair.assert_agree();
        assert_eq!(pair.a.failures(), Vec::<&tidegate_ike::Verdict>::new(), "{ike_list}");
    }
}

#[test]
fn the_responder_sees_both_lists_and_the_nearest_miss() {
    let mut pair = pair_with(3, |end, connection| {
        let list = match end {
            End::A => "aes256gcm16-prfsha384-ecp384,aes128gcm16-prfsha256-ecp256",
            End::B => "aes128gcm16-prfsha256-x25519",
        };
        ike(connection, list);
    });
    pair.initiate(End::A);
    pair.run(secs(6));
    let Cause::Proposals(mismatch) = &pair.b.failures()[0].cause else { panic!("{:?}", pair.b.events) };
    assert_eq!((mismatch.ours.len(), mismatch.theirs.len()), (1, 2));
    let nearest = mismatch.nearest.as_ref().unwrap();
    assert_eq!((nearest.ours, nearest.theirs), (1, 2));
    assert_eq!(nearest.differences, [Difference::Algorithm(TransformKind::Group)]);
    assert_eq!(pair.b.failures()[0].culprit, Culprit::Mismatch);
}

#[test]
fn a_difference_over_pfs_is_told_at_the_first_rekey_by_both_ends() {
    // IKE_AUTH carries no key exchange, so set-up cannot show it.
    for (a, b, ours) in [
        ("aes128gcm16-x25519", "aes128gcm16", vec![GroupId::X25519]),
        ("aes128gcm16-ecp256", "aes128gcm16-x25519", vec![GroupId::Ecp256]),
        ("aes128gcm16", "aes128gcm16-x25519", vec![]),
    ] {
        let mut pair = wanting(4, a, b, |_, _| {});
        assert!(pair.a.failures().is_empty());
        rekey(&mut pair, End::A);
        let theirs = verdict(&pair.b);
        let Cause::Pfs(mismatch) = &theirs.cause else { panic!("{theirs}") };
        assert!(!mismatch.ours.is_empty() && !mismatch.theirs.is_empty());
        assert_eq!(theirs.culprit, Culprit::Mismatch);
        let told = verdict(&pair.a);
        assert_eq!(told.cause, Cause::PfsRefused { ours, wanted: None });
        assert_eq!(told.culprit, Culprit::Mismatch);
        pair.assert_agree();
        assert_eq!(pair.a.children().len(), 1, "the old child goes on");
    }
}

#[test]
fn a_wrong_guess_of_the_pfs_group_costs_only_a_round_trip() {
    let mut pair = wanting(5, "aes128gcm16-ecp256-x25519", "aes128gcm16-x25519", |_, _| {});
    let old = pair.child(End::A);
    rekey(&mut pair, End::A);
    assert_ne!(pair.child(End::A), old);
    assert!(pair.a.failures().is_empty() && pair.b.failures().is_empty());
    pair.run(secs(6));
    pair.assert_agree();
}

#[test]
fn pfs_is_verified_at_set_up_by_create_child_sa_where_the_peer_does_childless() {
    let mut pair = wanting(6, "aes128gcm16-x25519", "aes128gcm16", |_, connection| {
        connection.verify_pfs = true;
    });
    pair.run(secs(1));
    // Here the cipher may be to blame as well, as far as the initiator can tell.
    assert_eq!(verdict(&pair.a).cause, Cause::Refused(NotifyType::NO_PROPOSAL_CHOSEN));
    assert_eq!(verdict(&pair.a).culprit, Culprit::Mismatch);
    assert!(matches!(verdict(&pair.b).cause, Cause::Pfs(_)));
    assert!(pair.a.children().is_empty());
}

#[test]
fn pfs_is_verified_at_set_up_by_a_rekey_where_childless_is_not_to_be() {
    let with = |a, b| {
        wanting(7, a, b, |_, connection| {
            connection.verify_pfs = true;
            connection.childless = Childless::Never;
        })
    };
    let pair = with("aes128gcm16-x25519", "aes128gcm16");
    assert_eq!(verdict(&pair.a).cause, Cause::PfsRefused { ours: vec![GroupId::X25519], wanted: None });
    assert!(matches!(verdict(&pair.b).cause, Cause::Pfs(_)));
    assert_eq!(pair.a.children().len(), 1);

    let mut pair = with("aes128gcm16-x25519", "aes128gcm16-x25519");
    assert!(pair.a.failures().is_empty());
    pair.run(secs(6));
    pair.assert_agree();
    let rekeys = |events: &[tidegate_ike::Event]| {
        events.iter().filter(|event| matches!(event, tidegate_ike::Event::ChildRekeyed { .. })).count()
    };
    assert_eq!(rekeys(&pair.a.events), 1);
}

#[test]
fn agreement_over_pfs_is_verified_without_a_word() {
    let mut pair = wanting(8, "aes128gcm16-x25519", "aes128gcm16-x25519", |_, connection| {
        connection.verify_pfs = true;
    });
    pair.run(secs(6));
    pair.assert_agree();
    assert!(pair.a.failures().is_empty() && pair.b.failures().is_empty());
    assert_eq!(pair.a.children().len(), 1);
}
