//! Keys and shared secrets as such.

use crate::support::{End, Pair, connection};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidegate_esp::crypto::KeyMaterial;
use tidegate_ike::auth::{LocalAuth, RemoteAuth};
use tidegate_ike::crypto::Secret;
use tidegate_ike::proposal::IkeProposal;
use zeroize::ZeroizeOnDrop;

// RFC 7296 §2.12: what is no longer needed is forgotten. This compiles only if it is.
#[test]
fn secrets_are_wiped_when_they_go() {
    fn wiped<T: ZeroizeOnDrop>(_: &T) {}
    wiped(&Secret::default());
    let KeyMaterial { encryption, integrity } = &KeyMaterial::new(&[1; 20], &[2; 32]);
    wiped(encryption);
    wiped(integrity);
}

// RFC 7296 §3.14: unpredictable with CBC, and with an AEAD never the same twice under one key.
#[test]
fn no_two_messages_have_one_iv() {
    for (suite, length) in [("aes128gcm16-prfsha256-x25519", 8), ("aes128-sha256-x25519", 16)] {
        let [mut a, mut b] = [connection(End::A), connection(End::B)];
        for connection in [&mut a, &mut b] {
            connection.proposals = IkeProposal::parse_list(suite).unwrap();
        }
        let mut pair = Pair::new(2, a, b);
        pair.set_up();
        let mut seen = BTreeSet::new();
        for _ in 0..40 {
            let child = pair.child(End::A);
            pair.with(End::A, |endpoint, now| endpoint.rekey_child(now, child)).unwrap();
            let request = pair.take(End::A);
            // Behind marker, IKE header and the header of SK.
            assert!(seen.insert(request.bytes[4 + 28 + 4..][..length].to_vec()), "{suite}");
            pair.deliver(End::B, &request);
            pair.settle();
        }
        let counts = |iv: &Vec<u8>| iv[..length - 2].iter().all(|byte| *byte == 0);
        assert!(length == 8 || !seen.iter().any(counts), "predictable");
    }
}

// RFC 7296 §2.15: HMAC fills a short key with zeros, so that only a secret as long as its block can tell.
#[test]
fn a_shared_secret_of_64_characters_is_used_as_it_is() {
    let secret = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let ends = |theirs: &[u8]| {
        let [mut a, mut b] = [connection(End::A), connection(End::B)];
        for (connection, value) in [(&mut a, secret.as_slice()), (&mut b, theirs)] {
            connection.local.auth = Arc::new(LocalAuth::Psk(Secret::new(value.to_vec())));
            connection.remote.auth = Arc::new(RemoteAuth::Psk(Secret::new(value.to_vec())));
        }
        let mut pair = Pair::new(1, a, b);
        pair.initiate(End::A);
        pair.settle();
        pair.a.standing().len()
    };
    assert_eq!(ends(secret), 1);
    assert_eq!(ends(&[secret.as_slice(), &[0]].concat()), 0);
}
