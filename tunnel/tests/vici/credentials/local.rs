//! How we prove who we are.

use super::material::{
    CA, CLOUD, EDGE, authority, bring_authority, bring_certificate, bring_key, bring_secret, identity, issue,
    issue_as, issue_for, local_round, pattern,
};
use tidegate::pki::{KeyChoice, RsaBits};
use tidegate::vici::Credentials;
use tidegate::vici::credentials::Lacking;
use tidegate::vici::sections::{Method, Signing};
use tidegate_ike::auth::{LocalAuth, RsaPadding};
use tidegate_ike::identity::{Identity, IdentityPattern};

fn subject(text: &str) -> tidegate_ike::identity::DistinguishedName {
    text.parse().expect(text)
}

#[test]
fn a_certificate_of_the_section_finds_its_key_and_says_who_we_are() {
    let cloud = issue(&authority(CA), CLOUD, &[]);
    let mut credentials = Credentials::new();
    let mut round = local_round(Method::SIGNATURE, None);
    round.certificates.push(cloud.certificate.clone());
    let lacking = credentials.local(&round, &IdentityPattern::Any).expect_err("no key yet");
    assert_eq!(lacking, Lacking::KeyOfCertificate(subject(CLOUD)));
    assert_eq!(lacking.to_string(), "no private key for certificate C=CN, O=fabedge.io, CN=cloud");

    bring_key(&mut credentials, &cloud.key);
    let (ours, proof) = credentials.local(&round, &IdentityPattern::Any).expect("all is there");
    assert_eq!(ours, identity(CLOUD));
    assert_eq!(proof.auth.certificates().len(), 1);

    round.identity = Some(identity("cloud.example"));
    let (ours, same) = credentials.local(&round, &IdentityPattern::Any).expect("all is there");
    assert_eq!(ours, identity("cloud.example"));
    assert_eq!(same.print, proof.print, "nothing of what proves it has changed");
}

#[test]
fn the_first_certificate_with_a_key_is_taken() {
    let ca = authority(CA);
    let (cloud, edge) = (issue(&ca, CLOUD, &[]), issue(&ca, EDGE, &[]));
    let mut credentials = Credentials::new();
    bring_key(&mut credentials, &edge.key);
    let mut round = local_round(Method::SIGNATURE, None);
    round.certificates = vec![cloud.certificate, edge.certificate];
    let (ours, _) = credentials.local(&round, &IdentityPattern::Any).expect("the second has a key");
    assert_eq!(ours, identity(EDGE));
}

#[test]
fn a_certificate_is_found_by_who_we_are() {
    let ca = authority(CA);
    let (cloud, edge) = (issue(&ca, CLOUD, &["cloud.example"]), issue(&ca, EDGE, &[]));
    let mut credentials = Credentials::new();
    for holder in [&cloud, &edge] {
        bring_certificate(&mut credentials, &holder.certificate);
    }
    bring_key(&mut credentials, &cloud.key);
    for id in [CLOUD, "cloud.example"] {
        let round = local_round(Method::Any, Some(id));
        let (ours, proof) = credentials.local(&round, &IdentityPattern::Any).expect(id);
        assert_eq!(ours, identity(id));
        assert_eq!(proof.auth.certificates()[0].data, cloud.certificate);
    }
    let of_edge = credentials.local(&local_round(Method::Any, Some(EDGE)), &IdentityPattern::Any);
    assert_eq!(of_edge.expect_err("no key"), Lacking::CertificateOf(identity(EDGE)));
    let of_nobody = credentials.local(&local_round(Method::Any, None), &IdentityPattern::Any);
    assert_eq!(of_nobody.expect_err("nobody"), Lacking::OurCertificate);
}

#[test]
fn of_two_certificates_of_ours_the_one_that_lasts_longer_is_taken() {
    let ca = authority(CA);
    let (old, new) = (issue_for(&ca, CLOUD, &[], KeyChoice::EcdsaP256, 20), issue(&ca, CLOUD, &[]));
    let mut credentials = Credentials::new();
    for holder in [&new, &old] {
        bring_certificate(&mut credentials, &holder.certificate);
        bring_key(&mut credentials, &holder.key);
    }
    let round = local_round(Method::SIGNATURE, Some(CLOUD));
    let (_, proof) = credentials.local(&round, &IdentityPattern::Any).expect("both are there");
    assert_eq!(proof.auth.certificates()[0].data, new.certificate);
}

#[test]
fn rsa_keys_sign_as_the_section_says() {
    let cloud = issue_as(&authority(CA), CLOUD, &[], KeyChoice::Rsa(RsaBits::Bits2048));
    let mut credentials = Credentials::new();
    bring_key(&mut credentials, &cloud.key);
    let print = |padding| {
        let mut round = local_round(Method::Signature(Signing { padding }), None);
        round.certificates.push(cloud.certificate.clone());
        let (_, proof) = credentials.local(&round, &IdentityPattern::Any).expect("all is there");
        assert!(matches!(&*proof.auth, LocalAuth::Certificate(_)));
        proof.print
    };
    assert_eq!(print(None), print(Some(RsaPadding::Pkcs1)));
    assert_ne!(print(None), print(Some(RsaPadding::Pss)));
}

#[test]
fn a_bare_key_takes_an_identity() {
    let cloud = issue(&authority(CA), CLOUD, &[]);
    let public =
        tidegate_ike::auth::CertificateOutline::from_der(&cloud.certificate).expect("ours").public_key;
    let mut credentials = Credentials::new();
    let mut round = local_round(Method::SIGNATURE, Some("cloud"));
    round.public_keys.push(public);
    let lacking = credentials.local(&round, &IdentityPattern::Any).expect_err("no key");
    assert_eq!(lacking, Lacking::KeyOfPublicKey);
    bring_key(&mut credentials, &cloud.key);
    let (_, proof) = credentials.local(&round, &IdentityPattern::Any).expect("all is there");
    assert!(matches!(&*proof.auth, LocalAuth::RawKey { .. }));
    round.identity = None;
    let lacking = credentials.local(&round, &IdentityPattern::Any).expect_err("nobody");
    assert_eq!(lacking, Lacking::OurIdentity);
}

#[test]
fn issuers_that_are_known_go_along() {
    let root = authority(CA);
    let cloud = issue(&root, CLOUD, &[]);
    let mut credentials = Credentials::new();
    bring_authority(&mut credentials, &root);
    bring_key(&mut credentials, &cloud.key);
    let mut round = local_round(Method::SIGNATURE, None);
    round.certificates.push(cloud.certificate);
    let (_, proof) = credentials.local(&round, &IdentityPattern::Any).expect("all is there");
    assert_eq!(proof.auth.certificates().len(), 1, "a root is of no use to the peer");
}

#[test]
fn a_certificate_that_is_none_is_said_to_be_none() {
    let mut round = local_round(Method::SIGNATURE, None);
    round.certificates.push(b"garbage".to_vec());
    let lacking = Credentials::new().local(&round, &IdentityPattern::Any).expect_err("garbage");
    assert!(matches!(lacking, Lacking::Unreadable(_)), "{lacking}");
}

#[test]
fn the_secret_that_names_both_ends_is_taken_before_one_that_names_one() {
    let mut credentials = Credentials::new();
    let secret_for = |credentials: &Credentials, ours: &str, peer: &str| {
        let round = local_round(Method::Psk, Some(ours));
        let (_, proof) = credentials.local(&round, &pattern(peer)).ok()?;
        match &*proof.auth {
            LocalAuth::Psk(secret) => Some(String::from_utf8(secret.to_vec()).expect("text")),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(secret_for(&credentials, "cloud", "edge"), None);
    let steps: [(&[&str], &str); 4] =
        [(&[], "anybody's"), (&["cloud"], "cloud's"), (&["edge"], "edge's"), (&["cloud", "edge"], "theirs")];
    for (owners, secret) in steps {
        bring_secret(&mut credentials, owners, secret);
        assert_eq!(secret_for(&credentials, "cloud", "edge").as_deref(), Some(secret), "{owners:?}");
    }
    // Whatever comes later and says less does not matter.
    for (owners, secret) in steps.into_iter().take(3) {
        bring_secret(&mut credentials, owners, &format!("another of {secret}"));
        assert_eq!(secret_for(&credentials, "cloud", "edge").as_deref(), Some("theirs"), "{owners:?}");
    }
    assert_eq!(secret_for(&credentials, "cloud", "other").as_deref(), Some("another of anybody's"));
    assert_eq!(secret_for(&credentials, "other", "another").as_deref(), Some("another of anybody's"));
}

#[test]
fn secrets_are_owned_by_pattern_too() {
    let mut credentials = Credentials::new();
    bring_secret(&mut credentials, &["*.example", "cloud"], "the domain's");
    bring_secret(&mut credentials, &["192.0.2.1", "cloud"], "the address's");
    let proof = |peer: &str| {
        let (_, proof) =
            credentials.local(&local_round(Method::Psk, Some("cloud")), &pattern(peer)).expect(peer);
        proof
    };
    let text = |peer: &str| match &*proof(peer).auth {
        LocalAuth::Psk(secret) => secret.to_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text("edge.example"), b"the domain's");
    assert_eq!(text("192.0.2.1"), b"the address's");
}

#[test]
fn a_secret_takes_two_identities() {
    let mut credentials = Credentials::new();
    let lacking = credentials.local(&local_round(Method::Psk, None), &pattern("edge")).expect_err("nobody");
    assert_eq!(lacking, Lacking::OurIdentity);
    let round = local_round(Method::Psk, Some("cloud"));
    let lacking = credentials.local(&round, &pattern("edge")).expect_err("no secret");
    assert_eq!(lacking.to_string(), "no shared secret for cloud and edge");
    bring_secret(&mut credentials, &["somebody", "else"], "theirs");
    assert!(credentials.local(&round, &pattern("edge")).is_err(), "a secret of others is not ours");
}

#[test]
fn prints_and_accounts_say_nothing_of_secrets() {
    let mut credentials = Credentials::new();
    bring_secret(&mut credentials, &["cloud", "edge"], "xyzzy-plugh");
    let round = local_round(Method::Psk, Some("cloud"));
    let (_, proof) = credentials.local(&round, &pattern("edge")).expect("there is one");
    let (_, again) = credentials.local(&round, &pattern("edge")).expect("there is one");
    assert_eq!(proof.print, again.print);
    let mut other = Credentials::new();
    bring_secret(&mut other, &["cloud", "edge"], "xyzzy-plugh");
    let (_, elsewhere) = other.local(&round, &pattern("edge")).expect("there is one");
    assert_ne!(proof.print, elsewhere.print, "a print cannot be looked up");
    let account = format!("{credentials:?} {proof:?} {round:?}");
    assert!(!account.contains("xyzzy"), "{account}");
    assert!(matches!(identity("cloud"), Identity::Fqdn(_)));
}
