//! Revocation lists from memory, in their three modes.

use crate::support::{BUILD, NOW, certificate, refused, revocation_list, store_with, verify_in};
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    Blame, CertificateCheck, CertificateOutline, CertificateVerdict, EndEntity, Revocation,
    RevocationListError, TrustStore,
};
use tidegate_ike::crypto::{Provider, RING, SignatureError, VerifyInput};

fn with(mode: Revocation, lists: &[&str]) -> TrustStore {
    let mut store = store_with(&["root"], mode);
    for list in lists {
        store.add_revocation_list(&revocation_list(list)).expect(list);
    }
    store
}

fn strict(lists: &[&str], chain: &[&str]) -> Result<EndEntity, CertificateVerdict> {
    verify_in(&with(Revocation::Strict, lists), chain)
}

fn relaxed(lists: &[&str], chain: &[&str]) -> Result<EndEntity, CertificateVerdict> {
    verify_in(&with(Revocation::Relaxed, lists), chain)
}

#[test]
fn a_revoked_certificate_is_refused_unless_lists_are_off() {
    for mode in [Revocation::Strict, Revocation::Relaxed] {
        let (check, subject) = refused(verify_in(&with(mode, &["crl-root"]), &["revoked"]));
        assert_eq!((check, subject.as_str()), (CertificateCheck::Revoked, "C=CH, O=Tidegate, CN=revoked"));
    }
    assert!(verify_in(&with(Revocation::Off, &["crl-root"]), &["revoked"]).is_ok());
}

#[test]
fn a_revoked_intermediate_is_refused() {
    let (check, subject) = refused(relaxed(&["crl-root"], &["under-revoked", "int-revoked"]));
    assert_eq!(
        (check, subject.as_str()),
        (CertificateCheck::Revoked, "C=CH, O=Tidegate, CN=Revoked Intermediate")
    );
}

#[test]
fn strict_wants_a_fresh_list_for_each_certificate_below_the_anchor() {
    assert!(strict(&["crl-root"], &["moon"]).is_ok());
    assert!(strict(&["crl-root", "crl-int1"], &["under-int1", "int1"]).is_ok());

    assert_eq!(refused(strict(&[], &["moon"])).0, CertificateCheck::NoRevocationList);
    let (check, subject) = refused(strict(&["crl-root"], &["under-int1", "int1"]));
    assert_eq!(
        (check, subject.as_str()),
        (CertificateCheck::NoRevocationList, "C=CH, O=Tidegate, CN=under-int1")
    );
}

#[test]
fn relaxed_does_without_lists() {
    assert!(relaxed(&[], &["moon"]).is_ok());
    assert!(relaxed(&["crl-stale-empty"], &["moon"]).is_ok());
}

#[test]
fn a_stale_list_is_not_enough_for_strict_but_what_it_revoked_stays_revoked() {
    let next_update = Some(WallTime(1_675_209_600));
    let verdict = strict(&["crl-stale"], &["moon"]).expect_err("stale");
    assert_eq!(verdict.check, CertificateCheck::RevocationListStale { next_update, now: NOW });
    assert_eq!(verdict.blame(), Blame::Us);

    assert_eq!(refused(relaxed(&["crl-stale"], &["revoked"])).0, CertificateCheck::Revoked);
    assert_eq!(refused(strict(&["crl-stale"], &["revoked"])).0, CertificateCheck::Revoked);
}

#[test]
fn the_newest_list_decides() {
    assert!(strict(&["crl-stale-empty", "crl-root"], &["moon"]).is_ok());
    assert_eq!(refused(strict(&["crl-root", "crl-stale-empty"], &["revoked"])).0, CertificateCheck::Revoked);
}

#[test]
fn a_list_from_the_future_is_not_enough_for_strict() {
    let this_update = WallTime(3_786_912_000);
    assert_eq!(
        refused(strict(&["crl-future"], &["moon"])).0,
        CertificateCheck::RevocationListNotYetValid { this_update, now: NOW }
    );
}

/// Adversary, revocation: a list that somebody else signed revokes nothing and vouches for nothing.
#[test]
fn a_forged_list_counts_for_nothing() {
    assert!(relaxed(&["crl-impostor"], &["moon"]).is_ok());
    assert_eq!(refused(strict(&["crl-impostor"], &["moon"])).0, CertificateCheck::RevocationListSignature);
    assert!(strict(&["crl-impostor", "crl-root"], &["moon"]).is_ok());
}

/// Adversary, revocation: that a list was found good with one key says nothing of another of the same name.
#[test]
fn a_list_that_one_key_signed_does_not_speak_for_its_namesake() {
    let mut store = store_with(&["impostor", "root"], Revocation::Relaxed);
    store.add_revocation_list(&revocation_list("crl-impostor")).expect("a list");
    assert!(verify_in(&store, &["by-impostor"]).is_ok());
    assert!(verify_in(&store, &["moon"]).is_ok());
}

#[test]
fn a_list_with_another_key_identifier_is_not_looked_at() {
    assert_eq!(refused(strict(&["crl-impostor-keyed"], &["moon"])).0, CertificateCheck::NoRevocationList);
}

/// RFC 5280 §5.1.1.2
#[test]
fn a_list_with_two_algorithms_is_malformed() {
    let mut list = revocation_list("crl-root");
    let ecdsa_sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let last = list.windows(8).rposition(|window| window == ecdsa_sha256).expect("outside");
    list[last + 7] = 3;
    assert_eq!(
        TrustStore::new(BUILD, Revocation::Strict).add_revocation_list(&list),
        Err(RevocationListError::Malformed)
    );
}

fn credulous(_: VerifyInput<'_>) -> Result<(), SignatureError> {
    Ok(())
}

#[test]
fn the_entries_of_a_list_come_in_any_order() {
    let provider = Provider { verify: credulous, name: "credulous", ..RING };
    let serial = |name: &str| {
        let end_entity = verify_in(&with(Revocation::Off, &[]), &[name]).expect(name);
        [&[2, end_entity.serial().len() as u8], end_entity.serial()].concat()
    };
    let mut list = revocation_list("crl-root");
    let place = |list: &[u8], entry: &[u8]| {
        list.windows(entry.len()).position(|window| window == entry).expect("an entry")
    };
    let (low, high) = (serial("revoked"), serial("pointed"));
    let (first, third) = (place(&list, &low), place(&list, &high));
    list[first..][..high.len()].copy_from_slice(&high);
    list[third..][..low.len()].copy_from_slice(&low);
    let mut store = with(Revocation::Relaxed, &[]);
    store.add_revocation_list(&list).expect("a list");

    for name in ["revoked", "pointed"] {
        let verdict = store.verify(&provider, &[&certificate(name)], &[], NOW).expect_err(name);
        assert_eq!(verdict.check, CertificateCheck::Revoked);
    }
}

/// Adversary, revocation: not one bit of a list may change.
#[test]
fn any_changed_bit_of_a_list_is_noticed() {
    let good = revocation_list("crl-root");
    let length = good.len();
    for at in (0..length).step_by(3) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        let mut store = with(Revocation::Strict, &[]);
        if store.add_revocation_list(&bad).is_ok() {
            assert!(verify_in(&store, &["moon"]).is_err(), "byte {at}");
        }
    }
}

/// RFC 5280 §4.2.1.3
#[test]
fn only_a_key_that_may_sign_lists_does() {
    let lists = ["crl-root", "crl-no-sign"];
    assert_eq!(
        refused(strict(&lists, &["under-no-crl", "int-no-crl"])).0,
        CertificateCheck::RevocationListKeyUsage
    );
}

/// RFC 5280 §6.3.3 (b)
#[test]
fn a_list_speaks_only_of_the_certificates_in_its_scope() {
    assert_eq!(refused(relaxed(&["crl-users"], &["revoked"])).0, CertificateCheck::Revoked);
    assert!(relaxed(&["crl-users"], &["under-revoked", "int-revoked"]).is_ok());
    assert!(relaxed(&["crl-authorities"], &["revoked"]).is_ok());
    assert_eq!(
        refused(relaxed(&["crl-authorities"], &["under-revoked", "int-revoked"])).0,
        CertificateCheck::Revoked
    );
    assert_eq!(refused(relaxed(&["crl-point"], &["pointed"])).0, CertificateCheck::Revoked);
    assert!(relaxed(&["crl-point"], &["moon"]).is_ok());
    assert_eq!(refused(strict(&["crl-point"], &["moon"])).0, CertificateCheck::NoRevocationList);
}

/// RFC 5280 §5.2
#[test]
fn a_list_that_is_not_understood_is_refused_when_it_is_added() {
    let add = |name| TrustStore::new(BUILD, Revocation::Strict).add_revocation_list(&revocation_list(name));
    let unknown = |oid: &str| Err(RevocationListError::UnknownCriticalExtension { oid: oid.into() });
    assert_eq!(add("crl-unknown"), unknown("1.3.6.1.4.1.55555.2"));
    assert_eq!(add("crl-delta"), unknown("2.5.29.27"));
    assert_eq!(add("crl-indirect"), Err(RevocationListError::Scope));
    let mut store = TrustStore::new(BUILD, Revocation::Strict);
    assert_eq!(store.add_revocation_list(&certificate("moon")), Err(RevocationListError::Malformed));
}

#[test]
fn ifuri_wants_a_list_where_there_is_somewhere_to_ask_for_one() {
    let ifuri = |lists: &[&str]| with(Revocation::IfUri, lists);
    assert!(verify_in(&ifuri(&[]), &["moon"]).is_ok(), "nobody says where");
    assert_eq!(refused(verify_in(&ifuri(&[]), &["pointed"])).0, CertificateCheck::NoRevocationList);
    assert_eq!(refused(verify_in(&ifuri(&["crl-root"]), &["pointed"])).0, CertificateCheck::Revoked);

    // Its authority is known to have one.
    let mut store = ifuri(&[]);
    let root = CertificateOutline::from_der(&certificate("root")).expect("a certificate");
    store.add_list_uri(root.subject, "http://crl.example.org/root.crl".to_owned());
    assert_eq!(refused(verify_in(&store, &["moon"])).0, CertificateCheck::NoRevocationList);
    store.add_revocation_list(&revocation_list("crl-root")).expect("a list");
    assert!(verify_in(&store, &["moon"]).is_ok());
}
