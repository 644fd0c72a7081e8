//! Peers that are known by their very certificates.

use crate::support::{
    certificate, exchange, identity, local, refused, remote, sign, store_with, task, verify_in, x509,
};
use tidegate_ike::auth::{
    AuthFailure, CertificateCheck, EndEntities, RemoteAuth, RemoteCertificates, Revocation, RsaSha1,
    TrustStore, accepted_hashes,
};

fn knowing(names: &[&str], anchors: &[&str]) -> TrustStore {
    let mut store = store_with(anchors, Revocation::Relaxed);
    for name in names {
        store.add_known(&certificate(name)).expect(name);
    }
    store
}

#[test]
fn a_known_certificate_needs_no_authority() {
    let store = knowing(&["self-signed", "moon"], &[]);
    assert!(verify_in(&store, &["self-signed"]).is_ok());
    assert!(verify_in(&store, &["moon"]).is_ok());
    assert_eq!(refused(verify_in(&store, &["stranger"])).0, CertificateCheck::NoTrustedIssuer);
}

#[test]
fn a_known_certificate_still_has_to_be_good_for_what_it_is_used_for() {
    let store = knowing(&["expired", "usage-encipherment", "eku-code-signing"], &[]);
    assert!(matches!(refused(verify_in(&store, &["expired"])).0, CertificateCheck::Expired { .. }));
    assert_eq!(refused(verify_in(&store, &["usage-encipherment"])).0, CertificateCheck::KeyUsage);
    assert_eq!(refused(verify_in(&store, &["eku-code-signing"])).0, CertificateCheck::ExtendedKeyUsage);
}

#[test]
fn what_is_revoked_is_refused_though_it_is_known() {
    let mut store = knowing(&["revoked"], &["root"]);
    assert!(verify_in(&store, &["revoked"]).is_ok());
    store.add_revocation_list(&crate::support::revocation_list("crl-root")).expect("a list");
    assert_eq!(refused(verify_in(&store, &["revoked"])).0, CertificateCheck::Revoked);
}

#[test]
fn where_only_known_ones_do_an_authority_helps_nobody_else() {
    let mut store = knowing(&["moon"], &["root"]);
    store.accept(EndEntities::Known);
    assert!(verify_in(&store, &["moon"]).is_ok());
    let (check, subject) = refused(verify_in(&store, &["moon-p384"]));
    assert_eq!((check, subject.as_str()), (CertificateCheck::NotKnown, "C=CH, O=Tidegate, CN=moon-p384"));
}

#[test]
fn where_issuers_are_asked_for_being_known_is_not_enough() {
    let issuers = vec![match identity("C=CH, O=Tidegate, CN=Root") {
        tidegate_ike::identity::Identity::Dn(name) => name,
        other => panic!("{other:?}"),
    }];
    let chain = certificate("self-signed");
    let verdict = knowing(&["self-signed"], &["root"]).verify(
        &tidegate_ike::crypto::RING,
        &[chain.as_slice()],
        &issuers,
        crate::support::NOW,
    );
    assert_eq!(refused(verdict).0, CertificateCheck::NoTrustedIssuer);
}

#[test]
fn a_known_certificate_need_not_be_sent() {
    let subject = "C=CH, O=Tidegate, CN=moon.example.net";
    let auth = || sign(local(&["moon"], "moon"), &accepted_hashes()).expect("signed");
    let done = task(remote(knowing(&["stranger", "moon"], &[])), subject, Vec::new(), auth()).run();
    assert_eq!(done.expect("it is known").identity(), &identity(subject));

    // Without it, and with that of somebody else.
    let unknown = task(remote(knowing(&[], &["root"])), subject, Vec::new(), auth()).run();
    assert!(
        matches!(unknown, Err(AuthFailure::Certificate(verdict)) if verdict.check == CertificateCheck::Missing)
    );
    let other = task(remote(knowing(&["moon"], &[])), "C=CH, O=Tidegate, CN=moon-p384", Vec::new(), auth());
    assert!(matches!(other.run(), Err(AuthFailure::Certificate(_))));
    let forged = sign(local(&["moon-p384"], "moon-p384"), &accepted_hashes()).expect("signed");
    assert!(task(remote(knowing(&["moon"], &[])), subject, Vec::new(), forged).run().is_err());
}

#[test]
fn a_certificate_that_is_sent_counts_before_known_ones() {
    let store = knowing(&["moon"], &["root"]);
    let auth = sign(local(&["moon"], "moon"), &accepted_hashes()).expect("signed");
    let sent = vec![x509("stranger")];
    let outcome = task(remote(store), "C=CH, O=Tidegate, CN=moon.example.net", sent, auth).run();
    assert!(outcome.is_err(), "{outcome:?}");
    assert!(
        exchange(local(&["moon"], "moon"), "C=CH, O=Tidegate, CN=moon.example.net", known_only("moon"))
            .is_ok()
    );
}

fn known_only(name: &str) -> RemoteAuth {
    let mut store = knowing(&[name], &[]);
    store.accept(EndEntities::Known);
    let store = std::sync::Arc::new(store);
    RemoteAuth::Certificates(RemoteCertificates { store, issuers: Vec::new(), rsa_sha1: RsaSha1::Refuse })
}
