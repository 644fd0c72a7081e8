//! Lists that are lacking: who makes us want them, and which are taken.

use crate::support::{NOW, local, refused, remote, revocation_list, sign, store_with, task, verify_in, x509};
use std::sync::Arc;
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    AuthFailure, CertificateCheck, Revocation, RevocationList, RevocationListError, TrustStore, VerifyTask,
    WantedList, accepted_hashes,
};
use tidegate_ike::identity::{DistinguishedName, Identity};

const POINT: &str = "http://crl.example.org/a.crl";
const POINTED: &str = "C=CH, O=Tidegate, CN=pointed";
const MOON: &str = "C=CH, O=Tidegate, CN=moon.example.net";

/// A peer that proves itself with one of the certificates of the moon's key.
fn peer(name: &str, id: &str, store: TrustStore) -> VerifyTask {
    let auth = sign(local(&[name], "moon"), &accepted_hashes()).expect("a signature");
    task(remote(store), id, vec![x509(name)], auth)
}

fn store(mode: Revocation) -> TrustStore {
    store_with(&["root"], mode)
}

fn name(text: &str) -> DistinguishedName {
    match text.parse() {
        Ok(Identity::Dn(name)) => name,
        other => panic!("{text}: {other:?}"),
    }
}

fn uris(wanted: &[WantedList]) -> Vec<&[String]> {
    wanted.iter().map(WantedList::uris).collect()
}

fn list(name: &str) -> Arc<RevocationList> {
    Arc::new(RevocationList::from_der(&revocation_list(name)).expect(name))
}

#[test]
fn a_list_is_wanted_from_where_the_certificate_says_unless_lists_are_off() {
    for mode in [Revocation::Relaxed, Revocation::IfUri, Revocation::Strict] {
        let wanted = peer("pointed", POINTED, store(mode)).wanted_lists();
        assert_eq!(uris(&wanted), [[POINT.to_owned()]], "{mode:?}");
        assert_eq!(wanted[0].signer().to_string(), "C=CH, O=Tidegate, CN=Root");
    }
    assert!(peer("pointed", POINTED, store(Revocation::Off)).wanted_lists().is_empty());
}

#[test]
fn an_authority_may_have_further_places() {
    let mut store = store(Revocation::Relaxed);
    store.add_list_uri(name("C=CH, O=Tidegate, CN=Root"), "http://here/".into());
    store.add_list_uri(name("C=CH, O=Tidegate, CN=Int1"), "http://elsewhere/".into());
    let wanted = peer("moon", MOON, store).wanted_lists();
    assert_eq!(uris(&wanted), [["http://here/".to_owned()]]);
}

#[test]
fn what_is_known_is_not_wanted() {
    let mut known = store(Revocation::Relaxed);
    known.add_revocation_list(&revocation_list("crl-root")).expect("a list");
    assert!(peer("pointed", POINTED, known).wanted_lists().is_empty());
    let mut stale = store(Revocation::Relaxed);
    stale.add_revocation_list(&revocation_list("crl-stale")).expect("a list");
    assert_eq!(peer("pointed", POINTED, stale).wanted_lists().len(), 1);
}

/// Adversary, revocation fetches: nobody has us fetch anything who has not proven itself.
#[test]
fn only_who_has_proven_itself_has_us_want_anything() {
    let forged = |mut task: VerifyTask| {
        task.octets.push(0);
        task
    };
    assert!(forged(peer("pointed", POINTED, store(Revocation::Strict))).wanted_lists().is_empty());
    assert!(peer("pointed", MOON, store(Revocation::Strict)).wanted_lists().is_empty(), "another's identity");
    let untrusted = store_with(&["fabedge-ca"], Revocation::Strict);
    assert!(peer("pointed", POINTED, untrusted).wanted_lists().is_empty());
    let mut late = peer("pointed", POINTED, store(Revocation::Strict));
    late.wall = WallTime(4_200_000_000);
    assert!(late.wanted_lists().is_empty(), "an expired certificate");
}

#[test]
fn lists_that_came_later_decide_as_those_of_the_store_do() {
    let revoked = |task: VerifyTask| match task.run_with(&[list("crl-root")]) {
        Err(AuthFailure::Certificate(verdict)) => verdict.check,
        other => panic!("{other:?}"),
    };
    for mode in [Revocation::Relaxed, Revocation::IfUri, Revocation::Strict] {
        assert_eq!(revoked(peer("pointed", POINTED, store(mode))), CertificateCheck::Revoked);
        assert!(peer("moon", MOON, store(mode)).run_with(&[list("crl-root")]).is_ok());
        assert!(
            peer("moon", MOON, store(mode)).run_with(&[list("crl-impostor")]).is_ok()
                != (mode == Revocation::Strict)
        );
    }
}

#[test]
fn lists_matter_to_if_uri_where_there_is_a_place_for_them() {
    assert!(verify_in(&store(Revocation::IfUri), &["moon"]).is_ok());
    assert_eq!(
        refused(verify_in(&store(Revocation::IfUri), &["pointed"])).0,
        CertificateCheck::NoRevocationList
    );
    let mut placed = store(Revocation::IfUri);
    placed.add_list_uri(name("C=CH, O=Tidegate, CN=Root"), "http://here/".into());
    assert_eq!(refused(verify_in(&placed, &["moon"])).0, CertificateCheck::NoRevocationList);
}

#[test]
fn a_list_that_is_taken_is_signed_by_the_issuer_and_speaks_for_the_certificate() {
    let wanted = peer("pointed", POINTED, store(Revocation::Relaxed)).wanted_lists();
    let foreign = || Err(RevocationListError::Issuer(Box::new(CertificateCheck::NoRevocationList)));
    for (name, outcome) in [
        ("crl-root", Ok(())),
        ("crl-stale", Ok(())),
        ("crl-point", Ok(())),
        ("crl-int1", foreign()),
        ("crl-authorities", foreign()),
        ("crl-impostor-keyed", foreign()),
        (
            "crl-impostor",
            Err(RevocationListError::Issuer(Box::new(CertificateCheck::RevocationListSignature))),
        ),
    ] {
        assert_eq!(wanted[0].check(&list(name)), outcome, "{name}");
    }
    assert!(list("crl-root").is_fresh(NOW) && !list("crl-stale").is_fresh(NOW));
}
