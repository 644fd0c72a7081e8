//! Paths and the checks of each certificate: good ones pass, each bad one with its own verdict.

use crate::support::{BUILD, NOW, certificate, identity, refused, store, verify, verify_in};
use der::{Decode, Encode};
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    AlgorithmError, CertificateCheck, MAX_CHAIN, MAX_CHAIN_LEN, Revocation, TrustStore, WhichCertificate,
};
use tidegate_ike::crypto::{Provider, RING, SignatureError, VerifyInput};
use tidegate_ike::identity::DistinguishedName;
use tidegate_ike::wire::CertificatePayload;

const EXPIRED: WallTime = WallTime(1_609_459_200);

fn tidegate(name: &str) -> String {
    format!("C=CH, O=Tidegate, CN={name}")
}

#[test]
fn every_kind_of_key_and_signature_leads_to_its_anchor() {
    let anchors = ["root", "fabedge-ca", "root-p384", "root-p521", "root-ed25519"];
    let store = store(&anchors);
    for name in [
        "moon",
        "moon-p384",
        "moon-p521",
        "moon-ed25519",
        "moon-rsa",
        "moon-rsa3072",
        "bare",
        "fabedge-connector",
        "fabedge-edge",
        "by-rsa-sha256",
        "by-rsa-sha384",
        "by-rsa-sha512",
        "by-pss-sha256",
        "by-pss-sha384",
        "by-pss-sha512",
        "by-p384",
        "by-p521",
        "by-ed25519",
    ] {
        assert!(verify_in(&store, &[name]).is_ok(), "{name}: {:?}", verify_in(&store, &[name]));
    }
}

#[test]
fn intermediates_come_from_the_peer_or_from_the_configuration_in_any_order() {
    assert!(verify(&["deep", "int2", "int1"]).is_ok());
    assert!(verify(&["deep", "int1", "int2"]).is_ok());
    assert!(verify(&["deep", "int1", "moon", "root", "int2", "fabedge-ca"]).is_ok());

    let mut configured = store(&["root"]);
    configured.add_intermediate(&certificate("int1")).expect("a CA");
    assert!(verify_in(&configured, &["deep", "int2"]).is_ok());
}

#[test]
fn an_intermediate_may_be_an_anchor() {
    let store = store(&["int1"]);
    assert!(verify_in(&store, &["deep", "int2"]).is_ok());
    assert_eq!(
        refused(verify_in(&store, &["moon"])),
        (CertificateCheck::NoTrustedIssuer, tidegate("moon.example.net"))
    );
}

#[test]
fn without_an_anchor_the_certificate_that_lacks_an_issuer_is_named() {
    assert_eq!(refused(verify(&["stranger"])), (CertificateCheck::NoTrustedIssuer, tidegate("stranger")));
    assert_eq!(refused(verify(&["stranger", "other"])).0, CertificateCheck::NoTrustedIssuer);
    assert_eq!(
        refused(verify(&["deep", "int2"])),
        (CertificateCheck::NoTrustedIssuer, tidegate("Intermediate 2"))
    );
    assert_eq!(refused(verify(&["self-signed"])).0, CertificateCheck::NoTrustedIssuer);
    assert_eq!(refused(verify_in(&store(&[]), &["moon", "root"])).0, CertificateCheck::NoTrustedIssuer);
}

#[test]
fn an_issuer_of_the_right_name_and_the_wrong_key_is_refused() {
    assert_eq!(
        refused(verify(&["by-impostor"])),
        (CertificateCheck::Signature(SignatureError::Invalid), tidegate("by-impostor"))
    );
    // The key identifiers tell two anchors of one name apart.
    let both = store(&["impostor", "root"]);
    assert!(verify_in(&both, &["moon"]).is_ok());
    assert!(verify_in(&both, &["by-impostor"]).is_ok());
}

#[test]
fn an_issuer_of_the_right_name_and_another_key_identifier_is_no_candidate() {
    assert_eq!(refused(verify(&["by-impostor-keyed"])).0, CertificateCheck::NoTrustedIssuer);
}

/// RFC 5280 §4.1.1.2, §4.1.2.1
#[test]
fn a_certificate_at_odds_with_itself_is_refused() {
    let store = store(&["root"]);
    let ecdsa_sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let mut two_algorithms = certificate("moon");
    let last = two_algorithms.windows(8).rposition(|window| window == ecdsa_sha256).expect("outside");
    two_algorithms[last + 7] = 3;
    assert_eq!(
        refused(store.verify(&RING, &[&two_algorithms], &[], NOW)).0,
        CertificateCheck::AlgorithmsDiffer
    );

    let mut version_2 = certificate("moon");
    let version = version_2.windows(5).position(|window| window == [0xa0, 3, 2, 1, 2]).expect("a version");
    version_2[version + 4] = 1;
    assert_eq!(refused(store.verify(&RING, &[&version_2], &[], NOW)).0, CertificateCheck::Malformed);
}

#[test]
fn validity_is_judged_at_every_place_of_the_path() {
    let expired = || CertificateCheck::Expired { not_after: EXPIRED, now: NOW };
    assert_eq!(refused(verify(&["expired"])), (expired(), tidegate("expired")));
    assert_eq!(
        refused(verify(&["under-expired", "int-expired"])),
        (expired(), tidegate("Expired Intermediate"))
    );
    assert_eq!(
        refused(verify_in(&store(&["root-expired"]), &["under-root-expired"])),
        (expired(), tidegate("Expired Root"))
    );
    let not_before = WallTime(3_786_912_000);
    assert_eq!(
        refused(verify(&["future"])),
        (CertificateCheck::NotYetValid { not_before, now: NOW }, tidegate("future"))
    );
}

#[test]
fn both_ends_of_the_validity_are_part_of_it() {
    let mut store = TrustStore::new(WallTime(0), Revocation::Off);
    store.add_anchor(&certificate("root")).expect("a CA");
    let der = certificate("moon");
    let (first, last) = (1_704_067_200, 4_102_444_799);
    for (now, good) in [(first - 1, false), (first, true), (last, true), (last + 1, false)] {
        assert_eq!(store.verify(&RING, &[&der], &[], WallTime(now)).is_ok(), good, "{now}");
    }
}

#[test]
fn a_clock_behind_the_build_is_its_own_verdict() {
    let now = WallTime(BUILD.0 - 1);
    let der = certificate("moon");
    let verdict = store(&["root"]).verify(&RING, &[&der], &[], now).expect_err("no time to judge by");
    assert_eq!(verdict.check, CertificateCheck::ClockBehindBuild { now, build: BUILD });
    assert_eq!(verdict.certificate, WhichCertificate::None);
    assert!(store(&["root"]).verify(&RING, &[&der], &[], BUILD).is_ok());
}

/// RFC 5280 §4.2.1.9
#[test]
fn only_a_ca_issues() {
    assert_eq!(
        refused(verify(&["under-not-ca", "int-not-ca"])),
        (CertificateCheck::NotCa, tidegate("Not a CA"))
    );
    assert_eq!(
        refused(verify(&["under-no-constraints", "int-no-constraints"])),
        (CertificateCheck::NotCa, tidegate("No Constraints"))
    );
    let refusal = store(&[]).add_anchor(&certificate("moon")).expect_err("no CA");
    assert_eq!(refusal.check, CertificateCheck::NotCa);
}

/// RFC 5280 §4.2.1.9
#[test]
fn the_path_length_is_kept() {
    assert!(verify(&["under-length0", "int-length0"]).is_ok());
    assert_eq!(
        refused(verify(&["under-below", "int-below", "int-length0"])),
        (CertificateCheck::PathLength { allowed: 0, actual: 1 }, tidegate("Length 0"))
    );
}

/// RFC 5280 §4.2.1.9: a CA that gives itself a new key is not another one below it.
#[test]
fn a_self_issued_ca_does_not_count_in_the_path_length() {
    assert!(verify(&["under-length0-next", "int-length0-next", "int-length0"]).is_ok());
}

/// Adversary, amplification and exhaustion
#[test]
fn a_path_has_at_most_eight_certificates() {
    assert!(verify(&["under-long6", "long6", "long5", "long4", "long3", "long2", "long1"]).is_ok());
    assert_eq!(
        refused(verify(&["under-long7", "long7", "long6", "long5", "long4", "long3", "long2", "long1"])),
        (CertificateCheck::PathTooLong { limit: 8 }, tidegate("Long 1"))
    );
}

/// RFC 5280 §4.2.1.3, RFC 4945 §5.1.3.2
#[test]
fn key_usage_is_kept() {
    assert_eq!(refused(verify(&["usage-encipherment"])), (CertificateCheck::KeyUsage, tidegate("usage")));
    assert!(verify(&["usage-non-repudiation"]).is_ok());
    assert_eq!(
        refused(verify(&["under-no-sign", "int-no-sign"])),
        (CertificateCheck::KeyUsage, tidegate("No Sign"))
    );
}

/// RFC 4945 §5.1.3.12
#[test]
fn extended_key_usage_serves_ike_or_is_refused() {
    for name in ["eku-any", "eku-ike", "eku-ike-intermediate", "eku-server", "eku-client", "moon-p384"] {
        assert!(verify(&[name]).is_ok(), "{name}");
    }
    assert_eq!(refused(verify(&["eku-code-signing"])), (CertificateCheck::ExtendedKeyUsage, tidegate("eku")));
}

/// RFC 5280 §4.2
#[test]
fn unknown_critical_extensions_are_refused_and_others_passed_over() {
    let unknown = || CertificateCheck::UnknownCriticalExtension { oid: "1.3.6.1.4.1.55555.2".into() };
    assert_eq!(refused(verify(&["unknown-critical"])), (unknown(), tidegate("unknown")));
    assert_eq!(refused(verify(&["under-unknown", "int-unknown"])), (unknown(), tidegate("Unknown")));
    assert!(verify(&["unknown-harmless"]).is_ok());
    assert!(verify(&["policies"]).is_ok());
    assert_eq!(store(&[]).add_anchor(&certificate("int-unknown")).map_err(|it| it.check), Err(unknown()));
}

/// RFC 5280 §4.2
#[test]
fn an_extension_that_is_there_twice_is_refused() {
    let mut der = certificate("twins");
    let arcs = [0x2b, 6, 1, 4, 1, 0x83, 0xb2, 3, 4];
    let at = der.windows(arcs.len()).position(|window| window == arcs).expect("the second extension");
    der[at + arcs.len() - 1] = 1;

    let (check, which) = refused(store(&["root"]).verify(&RING, &[&der], &[], NOW));

    assert_eq!(check, CertificateCheck::DuplicateExtension { oid: "1.3.6.1.4.1.55555.1".into() });
    assert_eq!(which, "unread 0");
    assert!(verify(&["twins"]).is_ok());
}

/// Adversary, signatures: tiny moduli.
#[test]
fn rsa_below_2048_bits_is_refused() {
    assert_eq!(
        refused(verify(&["moon-rsa1024"])),
        (CertificateCheck::WeakKey { bits: 1024 }, tidegate("moon-rsa1024"))
    );
    assert_eq!(
        refused(verify(&["under-weak", "weak-ca"])),
        (CertificateCheck::WeakKey { bits: 1024 }, tidegate("Weak"))
    );
    let refusal = store(&[]).add_anchor(&certificate("weak-ca")).expect_err("weak");
    assert_eq!(refusal.check, CertificateCheck::WeakKey { bits: 1024 });
}

/// Adversary, signatures: SHA-1.
#[test]
fn signatures_over_sha1_are_refused() {
    assert_eq!(refused(verify(&["by-sha1"])), (CertificateCheck::Sha1, tidegate("by-sha1")));
    assert_eq!(refused(verify(&["by-rsa-sha1"])), (CertificateCheck::Sha1, tidegate("by-rsa-sha1")));
}

/// Adversary, signatures: lax PSS parameters.
#[test]
fn a_pss_salt_of_another_length_is_refused() {
    assert_eq!(
        refused(verify(&["by-pss-salt20"])),
        (CertificateCheck::Algorithm(AlgorithmError::Parameters), tidegate("by-pss-salt20"))
    );
}

/// Adversary, signatures: not one bit of a certificate may change.
#[test]
fn any_changed_bit_is_noticed() {
    let store = store(&["root"]);
    let good = certificate("moon");
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            assert!(store.verify(&RING, &[&bad], &[], NOW).is_err(), "byte {at}");
        }
    }
}

/// Adversary, lengths in TLVs: cut short anywhere or followed by more, it is no certificate.
#[test]
fn a_truncated_or_padded_certificate_is_malformed() {
    let store = store(&["root"]);
    let good = certificate("moon");
    for end in 0..good.len() {
        let verdict = store.verify(&RING, &[&good[..end]], &[], NOW).expect_err("cut");
        assert_eq!(verdict.check, CertificateCheck::Malformed, "{end}");
    }
    let padded = [good.as_slice(), &[0]].concat();
    assert_eq!(
        refused(store.verify(&RING, &[&padded], &[], NOW)),
        (CertificateCheck::Malformed, "unread 0".into())
    );
}

/// Adversary, amplification and exhaustion: counts and bytes are bounded before anything is parsed.
#[test]
fn too_many_or_too_long_chains_are_refused() {
    let store = store(&["root"]);
    assert_eq!(refused(store.verify(&RING, &[], &[], NOW)).0, CertificateCheck::Missing);
    let moon = certificate("moon");
    assert!(store.verify(&RING, &[&moon[..]; MAX_CHAIN], &[], NOW).is_ok());
    assert_eq!(
        refused(store.verify(&RING, &[&moon[..]; MAX_CHAIN + 1], &[], NOW)).0,
        CertificateCheck::TooMany { limit: MAX_CHAIN }
    );
    let long = vec![0; MAX_CHAIN_LEN];
    assert_eq!(
        refused(store.verify(&RING, &[&moon, &long], &[], NOW)).0,
        CertificateCheck::TooLong { limit: MAX_CHAIN_LEN }
    );
}

#[test]
fn an_unreadable_intermediate_harms_only_those_who_need_it() {
    let store = store(&["root"]);
    let (moon, deep, junk) = (certificate("moon"), certificate("deep"), vec![0x30, 0]);
    assert!(store.verify(&RING, &[&moon, &junk], &[], NOW).is_ok());
    assert_eq!(
        refused(store.verify(&RING, &[&deep, &junk], &[], NOW)),
        (CertificateCheck::Malformed, "unread 1".into())
    );
}

#[test]
fn an_allowed_issuer_has_to_be_on_the_path() {
    let store = store(&["root"]);
    let (deep, int1, int2) = (certificate("deep"), certificate("int1"), certificate("int2"));
    let chain: [&[u8]; 3] = [&deep, &int1, &int2];
    let name = |name: &str| -> DistinguishedName { tidegate(name).parse().expect("a name") };
    for allowed in ["Root", "Intermediate 1", "intermediate  2"] {
        assert!(store.verify(&RING, &chain, &[name(allowed)], NOW).is_ok(), "{allowed}");
    }
    // The end entity is nobody's issuer.
    for other in ["deep", "Other Root"] {
        assert_eq!(
            refused(store.verify(&RING, &chain, &[name(other)], NOW)),
            (CertificateCheck::IssuerNotAllowed, tidegate("deep"))
        );
    }
}

static SIGNATURES: AtomicUsize = AtomicUsize::new(0);

fn credulous(_: VerifyInput<'_>) -> Result<(), SignatureError> {
    SIGNATURES.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Adversary, amplification and exhaustion: CAs that have all issued one another make ways beyond number.
/// Even if every signature held, only a few are looked at.
#[test]
fn a_tangle_of_cas_costs_a_bounded_number_of_signatures() {
    let provider = Provider { verify: credulous, name: "credulous", ..RING };
    let names = ["under-loop", "loop1", "loop2", "loop3", "loop4", "loop5", "loop6"];
    let chain: Vec<Vec<u8>> = names.iter().map(|name| certificate(name)).collect();
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();

    let result = store(&["root"]).verify(&provider, &chain, &[], NOW);

    assert!(result.is_err());
    assert_eq!(SIGNATURES.load(Ordering::Relaxed), 24);
}

#[test]
fn a_request_names_the_anchors_by_the_hash_of_their_keys() {
    let hash = |name: &str| {
        let root = x509_cert::Certificate::from_der(&certificate(name)).expect(name);
        let key = root.tbs_certificate().subject_public_key_info().to_der().expect("DER");
        ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &key).as_ref().to_vec()
    };
    let data = [hash("root"), hash("fabedge-ca")].concat();

    let requests = store(&["root", "fabedge-ca"]).certificate_requests();

    assert_eq!(requests, [CertificatePayload { encoding: 4, data }]);
    assert!(store(&[]).certificate_requests().is_empty());
}

#[test]
fn the_earliest_end_of_the_path_bounds_the_authentication() {
    let end_entity = verify(&["moon"]).expect("good");
    assert_eq!(end_entity.valid_until(), WallTime(4_102_444_799));
    let brief = verify(&["under-brief", "int-brief"]).expect("good");
    assert_eq!(brief.valid_until(), WallTime(1_893_456_000));
    assert_eq!(end_entity.subject().to_string(), tidegate("moon.example.net"));
    assert!(!end_entity.serial().is_empty());
}

/// RFC 4945 §3.1
#[test]
fn a_certificate_is_one_of_its_subject_and_alternative_names_alone() {
    let moon = verify(&["moon"]).expect("good");
    for good in [
        "C=CH, O=Tidegate, CN=moon.example.net",
        "c=ch, o=TIDEGATE, cn=MOON.example.net",
        "O=Tidegate, CN=alias",
        "MOON.example.org",
        "Carol@example.org",
        "192.0.2.1",
        "2001:db8::1",
    ] {
        assert!(moon.certifies(&identity(good)), "{good}");
    }
    for bad in [
        "moon.example.net",
        "C=CH, O=Tidegate",
        "CN=moon.example.net, O=Tidegate, C=CH",
        "a.wild.example.org",
        "fqdn:#2a2e77696c642e6578616d706c652e6f7267",
        "@192.0.2.1",
        "192.0.2.2",
        "keyid:moon.example.org",
    ] {
        assert!(!moon.certifies(&identity(bad)), "{bad}");
    }
    let connector = verify(&["fabedge-connector"]).expect("good");
    assert!(connector.certifies(&identity("C=CN, O=fabedge.io, CN=fabedge.connector")));
    assert!(!connector.certifies(&identity("fabedge.connector")));
}

proptest! {
    #[test]
    fn any_bytes_are_a_certificate_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        at in 0usize..600,
        value: u8,
    ) {
        let mut store = store(&["root"]);
        let mut changed = certificate("moon");
        if let Some(byte) = changed.get_mut(at) {
            *byte = value;
        }
        let _ = store.verify(&RING, &[&bytes, &changed], &[], NOW);
        let _ = store.verify(&RING, &[&changed, &bytes], &[], NOW);
        let _ = store.add_anchor(&bytes);
        let _ = store.add_revocation_list(&bytes);
    }
}
