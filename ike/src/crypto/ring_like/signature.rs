//! RSA, ECDSA and Ed25519 signatures, compiled against ring and against aws-lc-rs.

use super::library::rand::SystemRandom;
use super::library::signature::{
    self as algorithms, KeyPair, RsaEncoding, RsaKeyPair, VerificationAlgorithm,
};
use super::{ecdsa_algorithm, ecdsa_key_pair, load_ec, verify_other_curve};
use crate::crypto::id::{Curve, KeyKind};
use crate::crypto::private_key::{EcPrivate, Ed25519Private, PrivateKey, RsaPrivate, spki};
use crate::crypto::public_key::PublicKey;
use crate::crypto::{
    KeyError, LoadedKey, Random, SignatureEncoding, SignatureError, SignatureScheme, SigningKey, VerifyInput,
    ecdsa,
};
use std::borrow::Cow;

/// Verifies by a key that must be of the kind, and on the curve, that the scheme names.
pub(super) fn verify(input: VerifyInput<'_>) -> Result<(), SignatureError> {
    let key = PublicKey::parse(input.public_key)?;
    if key.kind != input.scheme.kind() {
        return Err(SignatureError::BadKey);
    }
    let (algorithm, signature): (&dyn VerificationAlgorithm, _) = match key.kind {
        KeyKind::Rsa => (
            rsa_algorithm(input.scheme).ok_or(SignatureError::UnsupportedScheme)?,
            Cow::from(input.signature),
        ),
        KeyKind::Ecdsa(curve) => {
            let Some(algorithm) = ecdsa_algorithm(input.scheme) else {
                return verify_other_curve(&input, key.bytes);
            };
            (algorithm, to_der(curve, &input).ok_or(SignatureError::Invalid)?)
        }
        KeyKind::Ed25519 => (&algorithms::ED25519, Cow::from(input.signature)),
    };
    algorithms::UnparsedPublicKey::new(algorithm, key.bytes)
        .verify(input.message, &signature)
        .map_err(|_| SignatureError::Invalid)
}

fn to_der<'a>(curve: Curve, input: &VerifyInput<'a>) -> Option<Cow<'a, [u8]>> {
    match input.encoding {
        SignatureEncoding::Fixed => ecdsa::fixed_to_der(curve, input.signature).map(Cow::from),
        SignatureEncoding::Der => Some(Cow::from(input.signature)),
    }
}

fn rsa_algorithm(scheme: SignatureScheme) -> Option<&'static dyn VerificationAlgorithm> {
    match scheme {
        SignatureScheme::RsaPkcs1Sha1 => Some(&algorithms::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        SignatureScheme::RsaPkcs1Sha256 => Some(&algorithms::RSA_PKCS1_2048_8192_SHA256),
        SignatureScheme::RsaPkcs1Sha384 => Some(&algorithms::RSA_PKCS1_2048_8192_SHA384),
        SignatureScheme::RsaPkcs1Sha512 => Some(&algorithms::RSA_PKCS1_2048_8192_SHA512),
        SignatureScheme::RsaPssSha256 => Some(&algorithms::RSA_PSS_2048_8192_SHA256),
        SignatureScheme::RsaPssSha384 => Some(&algorithms::RSA_PSS_2048_8192_SHA384),
        SignatureScheme::RsaPssSha512 => Some(&algorithms::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

/// Reads a private key of any kind and form.
pub(super) fn load_key(der: &[u8]) -> LoadedKey {
    match PrivateKey::parse(der)? {
        PrivateKey::Rsa(key) => load_rsa(key, RSA_SCHEMES),
        PrivateKey::Ecdsa(key) => load_ec(&key),
        PrivateKey::Ed25519(key) => load_ed25519(&key),
    }
}

/// PSS first: RFC 8247 §3.2 wants it from everybody, PKCS#1 v1.5 only may be there.
const RSA_SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::RsaPssSha256,
    SignatureScheme::RsaPssSha384,
    SignatureScheme::RsaPssSha512,
    SignatureScheme::RsaPkcs1Sha256,
    SignatureScheme::RsaPkcs1Sha384,
    SignatureScheme::RsaPkcs1Sha512,
];

/// An RSA key that offers these schemes.
pub(in crate::crypto) fn load_rsa(key: RsaPrivate<'_>, schemes: &'static [SignatureScheme]) -> LoadedKey {
    let pair = RsaKeyPair::from_der(key.der).map_err(|_| match key.modulus_len {
        // ring signs with no more.
        513.. => KeyError::UnknownAlgorithm,
        _ => KeyError::Malformed,
    })?;
    Ok(Box::new(RsaKey { pair, modulus_len: key.modulus_len, spki: key.spki, schemes }))
}

struct RsaKey {
    pair: RsaKeyPair,
    modulus_len: usize,
    spki: Vec<u8>,
    schemes: &'static [SignatureScheme],
}

impl SigningKey for RsaKey {
    fn public_key(&self) -> &[u8] {
        &self.spki
    }

    fn schemes(&self) -> &[SignatureScheme] {
        self.schemes
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        _encoding: SignatureEncoding,
        message: &[u8],
        _random: &mut dyn Random,
    ) -> Result<Vec<u8>, SignatureError> {
        if !self.schemes.contains(&scheme) {
            return Err(SignatureError::UnsupportedScheme);
        }
        let encoding = rsa_encoding(scheme).ok_or(SignatureError::UnsupportedScheme)?;
        let mut signature = vec![0; self.modulus_len];
        self.pair
            .sign(encoding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| SignatureError::Provider)?;
        Ok(signature)
    }
}

fn rsa_encoding(scheme: SignatureScheme) -> Option<&'static dyn RsaEncoding> {
    match scheme {
        SignatureScheme::RsaPssSha256 => Some(&algorithms::RSA_PSS_SHA256),
        SignatureScheme::RsaPssSha384 => Some(&algorithms::RSA_PSS_SHA384),
        SignatureScheme::RsaPssSha512 => Some(&algorithms::RSA_PSS_SHA512),
        SignatureScheme::RsaPkcs1Sha256 => Some(&algorithms::RSA_PKCS1_SHA256),
        SignatureScheme::RsaPkcs1Sha384 => Some(&algorithms::RSA_PKCS1_SHA384),
        SignatureScheme::RsaPkcs1Sha512 => Some(&algorithms::RSA_PKCS1_SHA512),
        _ => None,
    }
}

/// A key on a curve of the library, which cannot work the public half out by itself.
pub(super) fn load_ecdsa(
    key: &EcPrivate<'_>,
    algorithm: &'static algorithms::EcdsaSigningAlgorithm,
) -> LoadedKey {
    let public = key.public.ok_or(KeyError::MissingPublic)?;
    let pair = ecdsa_key_pair(algorithm, key.scalar, public).ok_or(KeyError::Malformed)?;
    Ok(Box::new(EcdsaKey {
        pair,
        spki: spki(KeyKind::Ecdsa(key.curve), public)?,
        curve: key.curve,
        scheme: key.curve.scheme(),
    }))
}

struct EcdsaKey {
    pair: algorithms::EcdsaKeyPair,
    spki: Vec<u8>,
    curve: Curve,
    scheme: SignatureScheme,
}

impl SigningKey for EcdsaKey {
    fn public_key(&self) -> &[u8] {
        &self.spki
    }

    fn schemes(&self) -> &[SignatureScheme] {
        std::slice::from_ref(&self.scheme)
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        encoding: SignatureEncoding,
        message: &[u8],
        _random: &mut dyn Random,
    ) -> Result<Vec<u8>, SignatureError> {
        if scheme != self.scheme {
            return Err(SignatureError::UnsupportedScheme);
        }
        let fixed = self.pair.sign(&SystemRandom::new(), message).map_err(|_| SignatureError::Provider)?;
        ecdsa::encode(self.curve, encoding, fixed.as_ref()).ok_or(SignatureError::Provider)
    }
}

/// An Ed25519 key; where the file has the public half too, both must belong together.
pub(in crate::crypto) fn load_ed25519(key: &Ed25519Private<'_>) -> LoadedKey {
    let pair = match key.public {
        Some(public) => algorithms::Ed25519KeyPair::from_seed_and_public_key(key.seed, public),
        None => algorithms::Ed25519KeyPair::from_seed_unchecked(key.seed),
    }
    .map_err(|_| KeyError::Malformed)?;
    let spki = spki(KeyKind::Ed25519, pair.public_key().as_ref())?;
    Ok(Box::new(Ed25519Key { pair, spki }))
}

struct Ed25519Key {
    pair: algorithms::Ed25519KeyPair,
    spki: Vec<u8>,
}

impl SigningKey for Ed25519Key {
    fn public_key(&self) -> &[u8] {
        &self.spki
    }

    fn schemes(&self) -> &[SignatureScheme] {
        &[SignatureScheme::Ed25519]
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        _encoding: SignatureEncoding,
        message: &[u8],
        _random: &mut dyn Random,
    ) -> Result<Vec<u8>, SignatureError> {
        if scheme != SignatureScheme::Ed25519 {
            return Err(SignatureError::UnsupportedScheme);
        }
        Ok(self.pair.sign(message).as_ref().to_vec())
    }
}
