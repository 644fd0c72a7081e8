//! The default provider: ring, with RustCrypto for P-521 and crypto-bigint for MODP, which ring lacks.
//!
//! ring takes its own randomness for keys and signatures, so the `random` argument is only read by the
//! groups that ring lacks. It does not wipe its key objects when they are dropped; ours are wiped.

#[path = "ring_like/agreement.rs"]
mod agreement;
#[path = "ring_like/hmac.rs"]
mod hmac;
#[path = "ring_like/signature.rs"]
mod signature;

pub(super) use hmac::PRFS;
#[cfg(feature = "seeded")]
pub(super) use signature::{load_ed25519, load_rsa};

use super::id::Curve;
use super::private_key::EcPrivate;
use super::{
    GroupId, LoadedKey, Provider, Secret, SignatureError, SignatureScheme, VerifyInput, modp, rustcrypto,
};
use ::ring as library;
use library::rand::SystemRandom;
use library::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    VerificationAlgorithm,
};

/// ring and RustCrypto.
pub static RING: Provider = Provider {
    name: "ring",
    ciphers: tidegate_esp::crypto::Backend::Ring,
    prfs: PRFS,
    groups: &[
        &agreement::Agreement(GroupId::X25519),
        &agreement::Agreement(GroupId::Ecp256),
        &agreement::Agreement(GroupId::Ecp384),
        &rustcrypto::ECP521,
        &modp::MODP2048,
        &modp::MODP3072,
        &modp::MODP4096,
    ],
    verify: signature::verify,
    load_key: signature::load_key,
};

/// The library's algorithm for an agreement group.
fn agreement_algorithm(group: GroupId) -> Option<&'static library::agreement::Algorithm> {
    match group {
        GroupId::X25519 => Some(&library::agreement::X25519),
        GroupId::Ecp256 => Some(&library::agreement::ECDH_P256),
        GroupId::Ecp384 => Some(&library::agreement::ECDH_P384),
        _ => None,
    }
}

/// The library validates the peer's value: on the curve, and for X25519 no shared secret of zeros.
fn agree(
    ours: library::agreement::EphemeralPrivateKey,
    peer: library::agreement::UnparsedPublicKey<&[u8]>,
) -> Option<Secret> {
    library::agreement::agree_ephemeral(ours, &peer, |shared| Secret::new(shared.to_vec())).ok()
}

/// The library's verification of DER signatures on a curve.
fn ecdsa_algorithm(scheme: SignatureScheme) -> Option<&'static dyn VerificationAlgorithm> {
    match scheme {
        SignatureScheme::EcdsaP256Sha256 => Some(&ECDSA_P256_SHA256_ASN1),
        SignatureScheme::EcdsaP256Sha384 => Some(&ECDSA_P256_SHA384_ASN1),
        SignatureScheme::EcdsaP384Sha256 => Some(&ECDSA_P384_SHA256_ASN1),
        SignatureScheme::EcdsaP384Sha384 => Some(&ECDSA_P384_SHA384_ASN1),
        _ => None,
    }
}

/// Verifies on a curve that the library lacks.
fn verify_other_curve(input: &VerifyInput<'_>, point: &[u8]) -> Result<(), SignatureError> {
    rustcrypto::verify_p521(input, point)
}

/// Reads a key on any curve.
fn load_ec(key: &EcPrivate<'_>) -> LoadedKey {
    match key.curve {
        Curve::P256 => signature::load_ecdsa(key, &ECDSA_P256_SHA256_FIXED_SIGNING),
        Curve::P384 => signature::load_ecdsa(key, &ECDSA_P384_SHA384_FIXED_SIGNING),
        Curve::P521 => rustcrypto::load_ecdsa(key),
    }
}

/// The library's key pair; it checks that both halves belong together.
fn ecdsa_key_pair(
    algorithm: &'static EcdsaSigningAlgorithm,
    scalar: &[u8],
    public: &[u8],
) -> Option<EcdsaKeyPair> {
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, public, &SystemRandom::new()).ok()
}
