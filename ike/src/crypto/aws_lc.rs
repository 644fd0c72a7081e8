//! The provider by aws-lc-rs, with crypto-bigint for MODP.
//!
//! Like ring it takes its own randomness for keys and signatures.

#[path = "ring_like/agreement.rs"]
#[allow(clippy::duplicate_mod, reason = "aws-lc-rs keeps ring's interface: one source serves both")]
mod agreement;
#[path = "ring_like/hmac.rs"]
#[allow(clippy::duplicate_mod, reason = "as above")]
mod hmac;
#[path = "ring_like/signature.rs"]
#[allow(clippy::duplicate_mod, reason = "as above")]
mod signature;

use super::id::Curve;
use super::private_key::EcPrivate;
use super::{GroupId, LoadedKey, Provider, Secret, SignatureError, SignatureScheme, VerifyInput, modp};
use aws_lc_rs as library;
use library::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_ASN1,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, VerificationAlgorithm,
};

/// aws-lc-rs.
pub static AWS_LC: Provider = Provider {
    name: "aws-lc-rs",
    ciphers: tidegate_esp::crypto::Backend::AwsLc,
    prfs: hmac::PRFS,
    groups: &[
        &agreement::Agreement(GroupId::X25519),
        &agreement::Agreement(GroupId::Ecp256),
        &agreement::Agreement(GroupId::Ecp384),
        &agreement::Agreement(GroupId::Ecp521),
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
        GroupId::Ecp521 => Some(&library::agreement::ECDH_P521),
        _ => None,
    }
}

/// The library validates the peer's value: on the curve, and for X25519 no shared secret of zeros.
fn agree(
    ours: library::agreement::EphemeralPrivateKey,
    peer: library::agreement::UnparsedPublicKey<&[u8]>,
) -> Option<Secret> {
    library::agreement::agree_ephemeral(ours, peer, (), |shared| Ok(Secret::new(shared.to_vec()))).ok()
}

/// The library's verification of DER signatures on a curve.
fn ecdsa_algorithm(scheme: SignatureScheme) -> Option<&'static dyn VerificationAlgorithm> {
    match scheme {
        SignatureScheme::EcdsaP256Sha256 => Some(&ECDSA_P256_SHA256_ASN1),
        SignatureScheme::EcdsaP256Sha384 => Some(&ECDSA_P256_SHA384_ASN1),
        SignatureScheme::EcdsaP384Sha256 => Some(&ECDSA_P384_SHA256_ASN1),
        SignatureScheme::EcdsaP384Sha384 => Some(&ECDSA_P384_SHA384_ASN1),
        SignatureScheme::EcdsaP521Sha512 => Some(&ECDSA_P521_SHA512_ASN1),
        _ => None,
    }
}

/// There is no curve that the library lacks.
fn verify_other_curve(_input: &VerifyInput<'_>, _point: &[u8]) -> Result<(), SignatureError> {
    Err(SignatureError::UnsupportedScheme)
}

/// Reads a key on any curve.
fn load_ec(key: &EcPrivate<'_>) -> LoadedKey {
    let algorithm = match key.curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED_SIGNING,
    };
    signature::load_ecdsa(key, algorithm)
}

/// The library's key pair; it checks that both halves belong together.
fn ecdsa_key_pair(
    algorithm: &'static EcdsaSigningAlgorithm,
    scalar: &[u8],
    public: &[u8],
) -> Option<EcdsaKeyPair> {
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, public).ok()
}
