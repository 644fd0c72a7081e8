//! Any bytes as a peer's certificates, as a revocation list, as an identity and as an AUTH payload.
//!
//! Signatures are taken on trust, so that what lies behind them (names, constraints, revocation, search)
//! is reached as well. What a path comes to may be anything but a panic, or an end entity without an
//! anchor.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use tidegate_ike::WallTime;
use tidegate_ike::auth::{
    Algorithm, KeyKind, RemoteAuth, RemoteCertificates, Revocation, RsaSha1, TrustStore, VerifyTask,
};
use tidegate_ike::crypto::{PrfId, Provider, RING, SignatureError, VerifyInput, pem};
use tidegate_ike::identity::{DistinguishedName, Identity, IdentityPattern};
use tidegate_ike::wire::{AuthPayload, CertificatePayload, IdPayload};

const NOW: WallTime = WallTime(1_780_272_000);

static CREDULOUS: Provider = Provider { name: "credulous", verify: credulous, ..RING };

fn credulous(_: VerifyInput<'_>) -> Result<(), SignatureError> {
    Ok(())
}

/// A tidy chain for the mutations to start from, and its anchors.
static ANCHORS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let texts = [
        include_str!("../../ike/tests/data/certs/root.pem"),
        include_str!("../../ike/tests/data/certs/fabedge-ca.pem"),
        include_str!("../../ike/tests/data/certs/int-permitted.pem"),
        include_str!("../../ike/tests/data/certs/int-excluded.pem"),
    ];
    texts.iter().flat_map(|text| pem::certificates(text).expect("a certificate")).collect()
});

/// Pieces of the input, each behind two octets of length.
fn pieces(mut data: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        pieces.push(piece);
        data = rest;
    }
    pieces
}

fuzz_target!(|data: &[u8]| {
    let pieces = pieces(data);
    for piece in &pieces {
        let _ = Algorithm::from_der(piece);
        let _ = KeyKind::of(piece);
        if let Ok(name) = DistinguishedName::from_der(piece)
            && !name.is_empty()
        {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        if let Ok(text) = std::str::from_utf8(piece)
            && let Ok(pattern) = text.parse::<IdentityPattern>()
        {
            assert_eq!(pattern.to_string().parse(), Ok(pattern));
        }
    }
    let Some(([kind, id @ ..], [auth, chain @ ..])) =
        pieces.split_first().and_then(|(id, rest)| Some((*id, rest))).filter(|(_, rest)| !rest.is_empty())
    else {
        return;
    };
    let id = IdPayload { kind: *kind, data: id.to_vec() };
    if let Ok(identity) = Identity::from_payload(&id) {
        assert_eq!(identity.to_string().parse(), Ok(identity));
    }
    for revocation in [Revocation::Strict, Revocation::IfUri, Revocation::Relaxed] {
        let mut store = TrustStore::new(WallTime(0), revocation);
        for anchor in ANCHORS.iter() {
            store.add_anchor(anchor).expect("a CA");
        }
        for piece in chain {
            let _ = store.add_intermediate(piece);
            let _ = store.add_revocation_list(piece);
        }
        let (store, issuers) = (Arc::new(store), Vec::new());
        let remote = RemoteCertificates { store, issuers, rsa_sha1: RsaSha1::Accept };
        let certificates = chain.iter().map(|piece| CertificatePayload { encoding: 4, data: piece.to_vec() });
        let task = VerifyTask {
            provider: &CREDULOUS,
            prf: PrfId::HmacSha256,
            remote: Arc::new(RemoteAuth::Certificates(remote)),
            expected: IdentityPattern::Any,
            id: id.clone(),
            certificates: certificates.collect(),
            auth: AuthPayload { method: auth.first().copied().unwrap_or(14), data: auth.to_vec() },
            octets: Vec::new(),
            wall: NOW,
        };
        match task.run() {
            Ok(proof) => assert!(proof.valid_until().is_some_and(|end| end >= NOW)),
            Err(failure) => assert!(!failure.to_string().is_empty()),
        }
    }
});
