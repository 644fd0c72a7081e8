use crate::support::{KINDS, NOW, authority, node};
use tidegate::pki::{Authority, KeyChoice, PkiError, RsaBits, Validity};
use tidegate_ike::WallTime;
use tidegate_ike::auth::{CertificateVerdict, EndEntity, Revocation, TrustStore};
use tidegate_ike::crypto::{RING, SignatureEncoding, SystemRandom, VerifyInput, pem};
use tidegate_ike::identity::Identity;

fn verify(authority: &Authority, leaf: &[u8], now: WallTime) -> Result<EndEntity, CertificateVerdict> {
    let mut trust = TrustStore::new(WallTime(0), Revocation::default());
    trust.add_anchor(authority.certificate()).unwrap();
    trust.verify(&RING, &[leaf], &[], now)
}

fn identity(text: &str) -> Identity {
    text.parse().unwrap()
}

#[test]
fn peers_accept_every_kind_of_node_from_every_kind_of_authority() {
    let subject = "C=CN, O=fabedge.io, CN=cloud.connector";
    for authority_kind in KINDS {
        let authority = authority(authority_kind);
        for kind in KINDS {
            let issued = authority.issue(&node(subject, &[]), kind).unwrap();
            let peer = verify(&authority, &issued.certificate, NOW).unwrap();
            assert!(peer.identities().contains(&identity(subject)), "{authority_kind} {kind}");
        }
    }
}

#[test]
fn rsa_of_2048_below_rsa_of_4096_works() {
    let authority = authority(KeyChoice::Rsa(RsaBits::Bits4096));
    let issued = authority.issue(&node("CN=edge", &[]), KeyChoice::Rsa(RsaBits::Bits2048)).unwrap();
    verify(&authority, &issued.certificate, NOW).unwrap();
}

#[test]
fn a_node_may_give_each_of_its_names() {
    let authority = authority(KeyChoice::default());
    let names = ["edge-1.example", "192.0.2.1", "2001:db8::1", "edge@example.org"];
    let issued = authority.issue(&node("CN=edge-1", &names), KeyChoice::default()).unwrap();
    let peer = verify(&authority, &issued.certificate, NOW).unwrap();
    for name in names {
        assert!(peer.identities().contains(&identity(name)), "{name}");
    }
    assert!(!peer.identities().contains(&identity("edge-2.example")));
}

#[test]
fn a_key_signs_what_its_certificate_verifies() {
    let authority = authority(KeyChoice::default());
    for kind in KINDS {
        let issued = authority.issue(&node("CN=edge", &[]), kind).unwrap();
        let key = (RING.load_key)(&pem::private_key(&issued.key.pem()).unwrap()).unwrap();
        let peer = verify(&authority, &issued.certificate, NOW).unwrap();
        assert_eq!(peer.public_key(), key.public_key());
        let (scheme, encoding, message) = (key.schemes()[0], SignatureEncoding::Der, &b"octets"[..]);
        let signature = key.sign(scheme, encoding, message, &mut SystemRandom::new()).unwrap();
        let input =
            VerifyInput { public_key: peer.public_key(), scheme, encoding, message, signature: &signature };
        (RING.verify)(input).unwrap();
    }
}

#[test]
fn another_authority_of_the_same_name_is_not_the_same() {
    let (ours, theirs) = (authority(KeyChoice::default()), authority(KeyChoice::default()));
    let issued = theirs.issue(&node("CN=edge", &[]), KeyChoice::default()).unwrap();
    assert!(verify(&ours, &issued.certificate, NOW).is_err());
}

#[test]
fn a_certificate_is_good_from_now_to_the_end_of_its_days() {
    let authority = authority(KeyChoice::default());
    let issued = authority.issue(&node("CN=edge", &[]), KeyChoice::default()).unwrap();
    let later = |seconds| WallTime(NOW.0 + seconds);
    let year = 365 * 24 * 60 * 60;
    assert!(verify(&authority, &issued.certificate, later(year)).is_ok());
    assert!(verify(&authority, &issued.certificate, later(year + 1)).is_err());
}

#[test]
fn dates_after_2049_are_written_so_that_they_are_read() {
    let (authority, _) =
        Authority::create("CN=CA".parse().unwrap(), KeyChoice::Ed25519, Validity::days(NOW, 36_500)).unwrap();
    let mut node = node("CN=edge", &[]);
    node.validity = Validity::days(NOW, 36_499);
    let issued = authority.issue(&node, KeyChoice::Ed25519).unwrap();
    let late = WallTime(NOW.0 + 36_000 * 24 * 60 * 60);
    assert!(verify(&authority, &issued.certificate, late).is_ok());
}

#[test]
fn nothing_outlives_its_authority() {
    let mut node = node("CN=edge", &[]);
    node.validity = Validity::days(NOW, 3651);
    let refused = authority(KeyChoice::default()).issue(&node, KeyChoice::default());
    assert!(matches!(refused.err(), Some(PkiError::Validity)));
}

#[test]
fn an_authority_is_taken_up_from_its_files() {
    for kind in KINDS {
        let subject = "O=example, CN=CA".parse().unwrap();
        let (made, key) = Authority::create(subject, kind, Validity::days(NOW, 3650)).unwrap();
        let loaded = Authority::load(&made.pem(), &key.pem()).unwrap();
        let issued = loaded.issue(&node("CN=edge", &[]), KeyChoice::Ed25519).unwrap();
        verify(&made, &issued.certificate, NOW).unwrap();
    }
}

#[test]
fn files_that_do_not_make_an_authority_are_told_apart() {
    let subject = "CN=CA".parse().unwrap();
    let (made, key) = Authority::create(subject, KeyChoice::Ed25519, Validity::days(NOW, 10)).unwrap();
    let mut node = node("CN=edge", &[]);
    node.validity = Validity::days(NOW, 5);
    let issued = made.issue(&node, KeyChoice::Ed25519).unwrap();
    let load = |certificate: &str, key: &str| Authority::load(certificate, key).err().unwrap();
    assert!(matches!(load("", &key.pem()), PkiError::Certificate(_)));
    assert!(matches!(load(&made.pem(), ""), PkiError::Key(_)));
    assert!(matches!(load(&made.pem(), &issued.key.pem()), PkiError::Mismatch));
    assert!(matches!(load(&issued.pem(), &issued.key.pem()), PkiError::NotAuthority));
}

#[test]
fn names_that_are_none_are_refused() {
    for text in ["", "dns:", "ip:edge", "a b", "edge@", "@example", "*.example", "dns:a..b"] {
        assert!(text.parse::<tidegate::pki::AlternativeName>().is_err(), "{text:?}");
    }
}
