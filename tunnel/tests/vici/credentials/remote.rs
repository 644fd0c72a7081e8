//! How a peer has to prove who it is.

use super::material::{
    CA, CLOUD, EDGE, authority, bring_authority, bring_certificate, bring_key, bring_secret, certificate_of,
    identity, issue, local_round, pattern, prove, remote_round,
};
use std::sync::Arc;
use tidegate::vici::Credentials;
use tidegate::vici::credentials::{Authority, Lacking, Shelf, StoredCertificate};
use tidegate::vici::sections::{Method, Revocation};
use tidegate_ike::auth::{AuthFailure, CertificateCheck, CertificateOutline, LocalAuth, RemoteAuth};
use tidegate_ike::identity::IdentityPattern;

/// How the holder of a certificate proves who it is.
fn edge_with(holder: &super::material::Holder) -> Arc<LocalAuth> {
    let mut credentials = Credentials::new();
    bring_key(&mut credentials, &holder.key);
    let mut round = local_round(Method::SIGNATURE, None);
    round.certificates.push(holder.certificate.clone());
    credentials.local(&round, &IdentityPattern::Any).expect("it has all").1.auth
}

fn refused(outcome: Result<tidegate_ike::auth::Authenticated, AuthFailure>) -> CertificateCheck {
    match outcome {
        Err(AuthFailure::Certificate(verdict)) => verdict.check,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn an_authority_vouches_for_peers() {
    let ca = authority(CA);
    let edge = edge_with(&issue(&ca, EDGE, &[]));
    let mut credentials = Credentials::new();
    let round = remote_round(Method::SIGNATURE, EDGE);
    let lacking = credentials.remote(&round, &identity(CLOUD)).expect_err("nothing to check it by");
    assert_eq!(lacking, Lacking::Trust(pattern(EDGE)));

    bring_authority(&mut credentials, &ca);
    let proof = credentials.remote(&round, &identity(CLOUD)).expect("there is an authority");
    assert!(prove(&edge, &identity(EDGE), &proof.auth).is_ok());
    let stranger = edge_with(&issue(&authority(CA), EDGE, &[]));
    assert!(prove(&stranger, &identity(EDGE), &proof.auth).is_err());
}

#[test]
fn one_of_the_sections_authorities_has_to_be_among_the_issuers() {
    let (ca, other) = (authority(CA), authority("CN=Other CA"));
    let (edge, foreign) = (edge_with(&issue(&ca, EDGE, &[])), edge_with(&issue(&other, EDGE, &[])));
    let mut credentials = Credentials::new();
    bring_authority(&mut credentials, &other);
    let mut round = remote_round(Method::SIGNATURE, EDGE);
    round.authorities.push(certificate_of(&ca).der().to_vec());
    let proof = credentials.remote(&round, &identity(CLOUD)).expect("it brings its own");
    assert!(prove(&edge, &identity(EDGE), &proof.auth).is_ok());
    assert_eq!(refused(prove(&foreign, &identity(EDGE), &proof.auth)), CertificateCheck::IssuerNotAllowed);

    round.authorities = vec![issue(&ca, EDGE, &[]).certificate];
    let lacking = credentials.remote(&round, &identity(CLOUD)).expect_err("it is none");
    assert!(matches!(lacking, Lacking::NotAuthority(_)), "{lacking}");
}

#[test]
fn where_the_section_has_certificates_the_peers_is_one_of_them() {
    let ca = authority(CA);
    let (pinned, other) = (issue(&ca, EDGE, &[]), issue(&ca, EDGE, &[]));
    let mut round = remote_round(Method::SIGNATURE, EDGE);
    round.certificates.push(pinned.certificate.clone());
    let mut credentials = Credentials::new();
    let alone = credentials.remote(&round, &identity(CLOUD)).expect("it needs no authority");
    assert!(prove(&edge_with(&pinned), &identity(EDGE), &alone.auth).is_ok());
    bring_authority(&mut credentials, &ca);
    let with_authority = credentials.remote(&round, &identity(CLOUD)).expect("it needs none");
    for proof in [alone, with_authority] {
        let outcome = prove(&edge_with(&other), &identity(EDGE), &proof.auth);
        assert_eq!(refused(outcome), CertificateCheck::NotKnown);
    }
}

#[test]
fn a_peer_whose_certificate_clients_have_brought_is_known() {
    let edge = issue(&authority(CA), EDGE, &[]);
    let mut credentials = Credentials::new();
    bring_certificate(&mut credentials, &edge.certificate);
    let round = remote_round(Method::Any, EDGE);
    let proof = credentials.remote(&round, &identity(CLOUD)).expect("it is known");
    assert!(prove(&edge_with(&edge), &identity(EDGE), &proof.auth).is_ok());
}

#[test]
fn what_files_have_of_certificates_vouches_for_nobody() {
    let edge = issue(&authority(CA), EDGE, &[]);
    let mut credentials = Credentials::new();
    let mut shelf = Shelf::default();
    shelf.add_certificate(StoredCertificate::from_der(&edge.certificate).expect("one")).expect("room");
    credentials.replace_files(shelf);
    let lacking = credentials.remote(&remote_round(Method::SIGNATURE, EDGE), &identity(CLOUD));
    assert_eq!(lacking.expect_err("it is ours to send"), Lacking::Trust(pattern(EDGE)));
}

#[test]
fn bare_keys_are_pinned() {
    let ca = authority(CA);
    let (edge, other) = (issue(&ca, EDGE, &[]), issue(&ca, EDGE, &[]));
    let mut round = remote_round(Method::SIGNATURE, EDGE);
    round.public_keys.push(CertificateOutline::from_der(&edge.certificate).expect("one").public_key);
    let proof = Credentials::new().remote(&round, &identity(CLOUD)).expect("it has a key");
    assert!(matches!(&*proof.auth, RemoteAuth::RawKeys(_)));
    assert!(prove(&edge_with(&edge), &identity(EDGE), &proof.auth).is_ok());
    assert!(prove(&edge_with(&other), &identity(EDGE), &proof.auth).is_err());
}

#[test]
fn a_peer_that_may_choose_is_checked_by_what_there_is() {
    let mut credentials = Credentials::new();
    let round = remote_round(Method::Any, EDGE);
    let kind = |credentials: &Credentials| match credentials.remote(&round, &identity(CLOUD)) {
        Ok(proof) => match &*proof.auth {
            RemoteAuth::Psk(_) => "secret",
            RemoteAuth::Certificates(_) => "certificates",
            _ => "other",
        },
        Err(Lacking::Anything(_)) => "nothing",
        Err(other) => panic!("{other}"),
    };
    assert_eq!(kind(&credentials), "nothing");
    bring_secret(&mut credentials, &[], "anybody's");
    assert_eq!(kind(&credentials), "secret");
    bring_authority(&mut credentials, &authority(CA));
    assert_eq!(kind(&credentials), "certificates", "they say more than a secret of anybody");
    bring_secret(&mut credentials, &[CLOUD, EDGE], "theirs");
    assert_eq!(kind(&credentials), "secret", "it names this very peer");
}

#[test]
fn a_peer_known_by_pattern_shares_the_only_secret() {
    let mut credentials = Credentials::new();
    bring_secret(&mut credentials, &[], "anybody's");
    let round = remote_round(Method::Psk, "%any");
    let proof = credentials.remote(&round, &identity(CLOUD)).expect("there is no choice");
    assert!(matches!(&*proof.auth, RemoteAuth::Psk(secret) if ***secret == *b"anybody's"));
}

#[test]
fn a_peer_known_by_pattern_gets_the_secret_of_whoever_it_turns_out_to_be() {
    let mut credentials = Credentials::new();
    bring_secret(&mut credentials, &["cloud", "edge-1.example"], "first");
    bring_secret(&mut credentials, &["cloud", "edge-2.example"], "second");
    let (ours, peers) = (identity("cloud"), pattern("*.example"));
    let here = credentials.remote(&remote_round(Method::Psk, "*.example"), &ours).expect("all of them");
    let there = |name: &str| {
        let round = local_round(Method::Psk, Some(name));
        credentials.local(&round, &IdentityPattern::Exact(ours.clone())).map(|(_, proof)| proof.auth)
    };
    for name in ["edge-1.example", "edge-2.example"] {
        let done = prove(&there(name).expect("its own"), &identity(name), &here.auth);
        assert_eq!(done.expect("it has the right one").identity(), &identity(name));
    }
    let swapped = prove(&there("edge-1.example").expect("its own"), &identity("edge-2.example"), &here.auth);
    assert_eq!(swapped.expect_err("it is another's"), AuthFailure::WrongPsk);
    let (_, local) =
        credentials.local(&local_round(Method::Psk, Some("cloud")), &peers).expect("all of them");
    assert!(matches!(&*local.auth, LocalAuth::Psks(_)));

    let before = here.print;
    bring_secret(&mut credentials, &["cloud", "edge-3.example"], "third");
    let after = credentials.remote(&remote_round(Method::Psk, "*.example"), &ours).expect("all of them");
    assert_ne!(after.print, before);
}

#[test]
fn what_has_not_changed_has_the_same_print_and_is_made_once() {
    let ca = authority(CA);
    let mut credentials = Credentials::new();
    bring_authority(&mut credentials, &ca);
    let get = |credentials: &Credentials, id: &str| {
        credentials.remote(&remote_round(Method::SIGNATURE, id), &identity(CLOUD)).expect(id)
    };
    let (one, other) = (get(&credentials, EDGE), get(&credentials, "edge-2.example"));
    assert_eq!(one.print, other.print);
    assert!(Arc::ptr_eq(&one.auth, &other.auth), "many peers trust the same");

    let mut strict = remote_round(Method::SIGNATURE, EDGE);
    strict.revocation = Revocation::Strict;
    let strict = credentials.remote(&strict, &identity(CLOUD)).expect("the same authority");
    assert_ne!(strict.print, one.print);
    let described = Authority::new(certificate_of(&ca), vec!["http://crl.example/ca.crl".to_owned()]);
    credentials.add_authority("ca", described).expect("there is room");
    assert_ne!(get(&credentials, EDGE).print, one.print);
    assert!(credentials.remove_authority("ca"));
    assert_eq!(get(&credentials, EDGE).print, one.print, "back to what it was");
}

#[test]
fn changes_are_told_and_only_changes() {
    let ca = authority(CA);
    let mut credentials = Credentials::new();
    let mut changes = credentials.changes();
    let mut changed = || {
        std::mem::take(&mut changes.has_changed().expect("it is there")) && {
            changes.mark_unchanged();
            true
        }
    };
    assert!(!changed());
    bring_authority(&mut credentials, &ca);
    assert!(changed());
    bring_authority(&mut credentials, &ca);
    assert!(!changed(), "it was there");
    bring_secret(&mut credentials, &["a"], "secret");
    assert!(changed());
    bring_secret(&mut credentials, &["a"], "secret");
    assert!(!changed(), "it was there");
    let mut shelf = Shelf::default();
    shelf.add_certificate(certificate_of(&ca)).expect("room");
    credentials.replace_files(shelf.clone());
    assert!(changed());
    credentials.replace_files(shelf);
    assert!(!changed(), "files say what they said");
    credentials.clear();
    assert!(changed());
    assert_eq!(credentials.certificates().count(), 1, "what files have brought stays");
}
