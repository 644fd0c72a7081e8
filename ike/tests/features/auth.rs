//! IKE_AUTH: who the two ends are, how they prove it, and what is said when they cannot.

use crate::bench::{closings, pair_with, secs, verdict};
use crate::pki::{bare_key, certificates, local, local_by, remote};
use crate::support::{End, Pair, connection, identity};
use std::sync::Arc;
use tidegate_ike::auth::{
    AuthFailure, CertificateCheck, ExpectedMethod, LocalAuth, RemoteAuth, RsaPadding, WhichCertificate,
    method,
};
use tidegate_ike::connection::Connection;
use tidegate_ike::crypto::{Provider, RING, SEEDED, Secret, SeededRandom};
use tidegate_ike::identity::IdentityPattern;
use tidegate_ike::proposal::IkeProposal;
use tidegate_ike::wire::NotifyType;
use tidegate_ike::{Cause, Config, Culprit, Endpoint, Event, Verdict};

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn exactly(text: &str) -> IdentityPattern {
    IdentityPattern::Exact(identity(text))
}

/// One end proves itself this way, under this name; the other expects it.
struct Proof {
    name: &'static str,
    local: LocalAuth,
    remote: RemoteAuth,
}

impl Proof {
    fn certificate(name: &'static str, chain: &[&str], key: &str) -> Self {
        Self { name, local: local(chain, key), remote: remote(certificates(&["root"])) }
    }

    fn psk(name: &'static str) -> Self {
        Self { name, local: LocalAuth::Psk(secret(name)), remote: RemoteAuth::Psk(secret(name)) }
    }
}

/// The two connections of ends that prove themselves so.
fn connections(a: Proof, b: Proof) -> [Connection; 2] {
    let [mut one, mut other] = [connection(End::A), connection(End::B)];
    one.local.identity = identity(a.name);
    other.remote.identity = exactly(a.name);
    other.local.identity = identity(b.name);
    one.remote.identity = exactly(b.name);
    one.local.auth = Arc::new(a.local);
    other.remote.auth = Arc::new(a.remote);
    other.local.auth = Arc::new(b.local);
    one.remote.auth = Arc::new(b.remote);
    [one, other]
}

fn pair(a: Proof, b: Proof) -> Pair {
    let [one, other] = connections(a, b);
    Pair::new(1, one, other)
}

/// An attempt of A's that comes to nothing: its verdict at A, and at B.
fn failure(mut pair: Pair) -> [Verdict; 2] {
    pair.initiate(End::A);
    pair.settle();
    let told = [&pair.a, &pair.b].map(|host| {
        let closed = closings(host);
        if closed.is_empty() { verdict(host) } else { closed[0].clone() }
    });
    pair.run(secs(40));
    for host in [&pair.a, &pair.b] {
        assert!(host.endpoint.is_empty());
        assert_eq!(host.endpoint.resources(), [0, 0, 0]);
        assert!(host.installed.is_empty());
    }
    told
}

fn authentication(verdict: &Verdict) -> AuthFailure {
    match &verdict.cause {
        Cause::Authentication(failure) => (**failure).clone(),
        other => panic!("{other}"),
    }
}

/// What an end knows whose peer has refused it.
#[track_caller]
fn assert_refused(verdict: &Verdict) {
    assert_eq!(verdict.cause, Cause::Refused(NotifyType::AUTHENTICATION_FAILED));
    assert_eq!(verdict.culprit, Culprit::Us);
}

/// Sets up with endpoints that use this provider.
fn set_up_by(provider: &'static Provider, a: Proof, b: Proof) -> Pair {
    let [one, other] = connections(a, b);
    let mut pair = Pair::new(2, connection(End::A), connection(End::B));
    for (end, connection) in [(End::A, one), (End::B, other)] {
        let now = pair.now();
        let host = pair.host(end);
        let random = Box::new(SeededRandom::new(end as u64 + 40));
        host.endpoint = Endpoint::new(Config::default(), provider, random);
        host.endpoint.set_local_addresses(now, vec![host.address]);
        host.endpoint.load(connection);
    }
    pair.set_up();
    pair.assert_agree();
    pair
}

/// Certificates, one for each kind of key, with the names they are for.
const KINDS: [(&str, &str); 5] = [
    ("moon", MOON),
    ("moon-p384", "C=CH, O=Tidegate, CN=moon-p384"),
    ("moon-p521", "C=CH, O=Tidegate, CN=moon-p521"),
    ("moon-ed25519", "C=CH, O=Tidegate, CN=moon-ed25519"),
    ("moon-rsa", RSA),
];
const MOON: &str = "C=CH, O=Tidegate, CN=moon.example.net";
const RSA: &str = "C=CH, O=Tidegate, CN=moon-rsa";

#[test]
fn every_kind_of_certificate_serves_both_roles_under_both_providers() {
    for provider in [&SEEDED, &RING] {
        let proof = |(file, name): (&str, &'static str)| Proof {
            name,
            local: local_by(provider, &[file], file, RsaPadding::Pkcs1),
            remote: remote(certificates(&["root"])),
        };
        for (one, other) in KINDS.into_iter().zip(KINDS.into_iter().cycle().skip(1)) {
            let pair = set_up_by(provider, proof(one), proof(other));
            let told = pair.b.events.iter().find_map(|event| match event {
                Event::IkeEstablished { peer, .. } => Some(peer.clone()),
                _ => None,
            });
            assert_eq!(told, Some(identity(one.1)));
        }
    }
}

#[test]
fn rsa_keys_sign_with_pss_where_the_operator_wants_it() {
    let proof = |name, file| Proof {
        name,
        local: local_by(&RING, &[file], file, RsaPadding::Pss),
        remote: remote(certificates(&["root"])),
    };
    set_up_by(&RING, proof(RSA, "moon-rsa"), proof("C=CH, O=Tidegate, CN=moon-rsa3072", "moon-rsa3072"));
}

#[test]
fn certificates_as_fabedge_makes_them_do() {
    // RSA-2048 under RSA-4096, SHA-384; the connector has no alternative names.
    let proof = |name, file| Proof {
        name,
        local: local(&[file], "moon-rsa"),
        remote: remote(certificates(&["fabedge-ca"])),
    };
    set_up_by(
        &SEEDED,
        proof("C=CN, O=fabedge.io, CN=fabedge.edge1", "fabedge-edge"),
        proof("C=CN, O=fabedge.io, CN=fabedge.connector", "fabedge-connector"),
    );
}

#[test]
fn a_certificate_serves_every_identity_that_it_names() {
    for name in ["moon.example.org", "carol@example.org", "192.0.2.1", "2001:db8::1", "O=Tidegate, CN=alias"]
    {
        let mut pair = pair(Proof::certificate(name, &["moon"], "moon"), Proof::psk("b.example"));
        pair.set_up();
        pair.assert_agree();
    }
}

#[test]
fn the_two_sides_may_prove_themselves_in_different_ways() {
    let (bare, pinned) = bare_key("moon-ed25519");
    let ways: [fn() -> Proof; 2] =
        [|| Proof::psk("a.example"), || Proof::certificate(RSA, &["moon-rsa"], "moon-rsa")];
    for way in ways {
        let mut pair = pair(way(), Proof::certificate(MOON, &["moon"], "moon"));
        pair.set_up();
        pair.assert_agree();
    }
    let raw = Proof { name: "key.example", local: bare, remote: pinned };
    let mut pair = pair(Proof::psk("a.example"), raw);
    pair.set_up();
    pair.assert_agree();
}

#[test]
fn pinned_keys_of_every_kind_need_no_certificate() {
    for (file, _) in KINDS {
        let (local, remote) = bare_key(file);
        let mut pair = pair(Proof { name: "key.example", local, remote }, Proof::psk("b.example"));
        pair.set_up();
        pair.assert_agree();
    }
}

#[test]
fn each_direction_may_have_a_secret_of_its_own() {
    let mut pair = pair(Proof::psk("a.example"), Proof::psk("b.example"));
    pair.set_up();
    pair.assert_agree();
}

#[test]
fn a_secret_serves_under_every_prf() {
    for list in ["aes128gcm16-prfsha256-x25519", "aes128gcm16-prfsha384-x25519", "aes256-sha512-x25519"] {
        let mut pair = pair_with(3, |_, connection| {
            connection.proposals = IkeProposal::parse_list(list).unwrap();
        });
        pair.set_up();
        pair.assert_agree();
    }
}

#[test]
fn a_secret_that_the_responder_does_not_share_is_named_by_it() {
    let wrong = Proof { local: LocalAuth::Psk(secret("mistyped")), ..Proof::psk("a.example") };
    let [a, b] = failure(pair(wrong, Proof::psk("b.example")));
    assert_eq!(authentication(&b), AuthFailure::WrongPsk);
    assert_eq!(b.culprit, Culprit::Mismatch);
    assert_refused(&a);
}

#[test]
fn a_secret_that_the_initiator_does_not_share_ends_the_ike_sa_of_the_responder() {
    // RFC 7296 §2.21.2: IKE_AUTH has made it, so an INFORMATIONAL ends it.
    let wrong = Proof { local: LocalAuth::Psk(secret("mistyped")), ..Proof::psk("b.example") };
    let [a, b] = failure(pair(Proof::psk("a.example"), wrong));
    assert_eq!(authentication(&a), AuthFailure::WrongPsk);
    assert_eq!(a.culprit, Culprit::Mismatch);
    assert_refused(&b);
}

#[test]
fn another_method_than_expected_is_named() {
    let signed = Proof::certificate(MOON, &["moon"], "moon");
    let expects_psk = Proof { remote: RemoteAuth::Psk(secret("x")), ..signed };
    let [a, b] = failure(pair(expects_psk, Proof::psk("b.example")));
    let (expected, actual) = (ExpectedMethod::Psk, method::DIGITAL_SIGNATURE);
    assert_eq!(authentication(&b), AuthFailure::MethodNotAllowed { expected, actual });
    assert_eq!(b.culprit, Culprit::Mismatch);
    assert_refused(&a);

    let expects_signature = Proof { remote: remote(certificates(&["root"])), ..Proof::psk("a.example") };
    let [_, b] = failure(pair(expects_signature, Proof::psk("b.example")));
    let (expected, actual) = (ExpectedMethod::Signature, method::SHARED_KEY);
    assert_eq!(authentication(&b), AuthFailure::MethodNotAllowed { expected, actual });
}

#[test]
fn intermediates_come_in_cert_payloads() {
    let deep = Proof::certificate("C=CH, O=Tidegate, CN=deep", &["deep", "int2", "int1"], "moon");
    let mut pair = pair(deep, Proof::psk("b.example"));
    pair.set_up();
    pair.assert_agree();
}

#[test]
fn an_intermediate_that_is_missing_is_a_verdict_about_the_certificate() {
    let deep = Proof::certificate("C=CH, O=Tidegate, CN=deep", &["deep", "int2"], "moon");
    let [a, b] = failure(pair(deep, Proof::psk("b.example")));
    let AuthFailure::Certificate(refused) = authentication(&b) else { panic!("{b}") };
    let WhichCertificate::Named { subject, .. } = &refused.certificate else { panic!("{b}") };
    assert!(["CN=Intermediate 2", "CN=deep"].iter().any(|name| subject.to_string().ends_with(name)), "{b}");
    assert_refused(&a);
}

#[test]
fn an_intermediate_that_the_peer_leaves_out_may_be_our_own() {
    let mut store = certificates(&["root"]);
    for name in ["int1", "int2"] {
        store.add_intermediate(&crate::pki::certificate(name)).unwrap();
    }
    let deep = Proof::certificate("C=CH, O=Tidegate, CN=deep", &["deep"], "moon");
    let mut pair = pair(Proof { remote: remote(store), ..deep }, Proof::psk("b.example"));
    pair.set_up();
}

#[test]
fn an_expired_certificate_is_the_peers_fault_in_both_roles() {
    let expired = || Proof::certificate("C=CH, O=Tidegate, CN=expired", &["expired"], "moon");
    let is_expired = |verdict: &Verdict| {
        let AuthFailure::Certificate(refused) = authentication(verdict) else { panic!("{verdict}") };
        assert!(matches!(refused.check, CertificateCheck::Expired { .. }), "{verdict}");
        assert_eq!(verdict.culprit, Culprit::Peer);
    };
    let [a, b] = failure(pair(expired(), Proof::psk("b.example")));
    is_expired(&b);
    assert_refused(&a);
    let [a, b] = failure(pair(Proof::psk("a.example"), expired()));
    is_expired(&a);
    assert_refused(&b);
}

#[test]
fn a_certificate_of_a_stranger_is_refused_with_its_name() {
    let stranger = Proof::certificate("C=CH, O=Tidegate, CN=stranger", &["stranger"], "moon");
    let [_, b] = failure(pair(stranger, Proof::psk("b.example")));
    assert!(matches!(authentication(&b), AuthFailure::Certificate(_)));
    assert!(b.to_string().contains("stranger") || b.to_string().contains("Other Root"), "{b}");
}

#[test]
fn an_identity_that_the_certificate_does_not_name_is_the_peers_fault() {
    let [a, b] =
        failure(pair(Proof::certificate("somebody.example.org", &["moon"], "moon"), Proof::psk("b.example")));
    let AuthFailure::IdentityNotCertified { identity: claimed, certified } = authentication(&b) else {
        panic!("{b}")
    };
    assert_eq!(claimed, identity("somebody.example.org"));
    assert!(certified.contains(&identity("moon.example.org")));
    assert_eq!(b.culprit, Culprit::Peer);
    assert_refused(&a);
}

#[test]
fn a_key_that_is_not_pinned_is_refused() {
    let (_, pinned) = bare_key("moon-ed25519");
    let (other, _) = bare_key("moon");
    let [a, b] =
        failure(pair(Proof { name: "key.example", local: other, remote: pinned }, Proof::psk("b.example")));
    assert_eq!(authentication(&b), AuthFailure::KeyNotPinned);
    assert_eq!(b.culprit, Culprit::Mismatch);
    assert_refused(&a);
}

#[test]
fn an_unknown_identity_is_named_with_the_one_it_asked_for() {
    let mut pair = Pair::psk(4);
    let mut stranger = connection(End::A);
    stranger.local.identity = identity("stranger.example");
    pair.a.endpoint.load(stranger);
    let [a, b] = failure(pair);
    let (peer, wanted) = (identity("stranger.example"), Some(identity("b.example")));
    assert_eq!(b.cause, Cause::NoConnection { peer, wanted });
    assert_eq!(b.culprit, Culprit::Mismatch);
    assert_refused(&a);
}

#[test]
fn a_responder_of_another_name_than_wanted_does_not_answer_for_it() {
    // IDr is sent where one identity is expected.
    let mut pair = Pair::psk(5);
    let mut wanting = connection(End::A);
    wanting.remote.identity = exactly("c.example");
    pair.a.endpoint.load(wanting);
    let [a, b] = failure(pair);
    let (peer, wanted) = (identity("a.example"), Some(identity("c.example")));
    assert_eq!(b.cause, Cause::NoConnection { peer, wanted });
    assert_refused(&a);
}

#[test]
fn a_responder_that_fits_no_pattern_of_ours_is_refused_with_both_names() {
    // With a pattern there is no IDr, so only the initiator can see the difference.
    let mut pair = Pair::psk(6);
    let pattern: IdentityPattern = "*.elsewhere.example".parse().unwrap();
    let mut wanting = connection(End::A);
    wanting.remote.identity = pattern.clone();
    pair.a.endpoint.load(wanting);
    let [a, b] = failure(pair);
    let (expected, actual) = (pattern, identity("b.example"));
    assert_eq!(authentication(&a), AuthFailure::IdentityMismatch { expected, actual });
    assert!(a.to_string().contains("b.example") && a.to_string().contains("elsewhere.example"), "{a}");
    assert_refused(&b);
}

#[test]
fn a_refused_peer_hears_the_refusal_again_when_it_was_lost() {
    let wrong = Proof { local: LocalAuth::Psk(secret("mistyped")), ..Proof::psk("a.example") };
    let mut pair = pair(wrong, Proof::psk("b.example"));
    pair.initiate(End::A);
    pair.pass(End::A);
    pair.pass(End::B);
    pair.pass(End::A);
    let lost = pair.take(End::B);
    pair.sleep(secs(1));
    pair.pass(End::A);
    assert_eq!(pair.take(End::B).bytes, lost.bytes);
    pair.deliver(End::A, &lost);
    assert_refused(&verdict(&pair.a));
}
