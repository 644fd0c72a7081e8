//! Our AUTH payload.

use super::algorithm::{Algorithm, KeyKind};
use super::failure::{AuthFailure, CannotSign};
use super::octets::psk_auth_by;
use super::{LocalAuth, LocalCertificate, RsaPadding, method};
use crate::crypto::{PrfId, Provider, Random, SignatureEncoding, SignatureScheme, SigningKey};
use crate::wire::AuthPayload;
use std::fmt;
use std::sync::Arc;

/// All that it takes to make our AUTH payload, on any thread.
pub struct SignTask {
    /// Algorithms.
    pub provider: &'static Provider,
    /// The PRF that was negotiated.
    pub prf: PrfId,
    /// How we prove who we are.
    pub local: Arc<LocalAuth>,
    /// What is signed: [`signed_octets`](super::signed_octets) of our side.
    pub octets: Vec<u8>,
    /// The peer's SIGNATURE_HASH_ALGORITHMS; empty when it sent none.
    pub peer_hashes: Vec<u16>,
}

impl SignTask {
    /// Makes the payload.
    pub fn run(&self, random: &mut dyn Random) -> Result<AuthPayload, AuthFailure> {
        match &*self.local {
            LocalAuth::Psk(secret) => {
                let value = psk_auth_by(self.provider, self.prf, secret, &self.octets)?;
                Ok(AuthPayload { method: method::SHARED_KEY, data: value.to_vec() })
            }
            LocalAuth::Psks(book) => {
                let secret = book.secret(None).ok_or(AuthFailure::NoPsk { peer: None })?;
                let value = psk_auth_by(self.provider, self.prf, secret, &self.octets)?;
                Ok(AuthPayload { method: method::SHARED_KEY, data: value.to_vec() })
            }
            LocalAuth::Certificate(LocalCertificate { key, padding, .. })
            | LocalAuth::RawKey { key, padding } => self.sign(&**key, *padding, random),
        }
    }

    fn sign(
        &self,
        key: &dyn SigningKey,
        padding: RsaPadding,
        random: &mut dyn Random,
    ) -> Result<AuthPayload, AuthFailure> {
        let kind = KeyKind::of(key.public_key()).map_err(AuthFailure::Signer)?;
        let choice = choose(kind, key.schemes(), padding, &self.peer_hashes)?;
        let mut sign =
            |encoding, scheme| key.sign(scheme, encoding, &self.octets, random).map_err(AuthFailure::Signer);
        match choice {
            Choice::Plain { method, scheme } => {
                Ok(AuthPayload { method, data: sign(SignatureEncoding::Fixed, scheme)? })
            }
            Choice::Digital { scheme, algorithm } => {
                let signature = sign(SignatureEncoding::Der, scheme)?;
                // RFC 7427 §3: one octet of length, the algorithm, the signature.
                let length = u8::try_from(algorithm.len()).unwrap_or(u8::MAX);
                let data = [&[length], algorithm, signature.as_slice()].concat();
                Ok(AuthPayload { method: method::DIGITAL_SIGNATURE, data })
            }
        }
    }
}

impl fmt::Debug for SignTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignTask")
            .field("provider", &self.provider)
            .field("prf", &self.prf)
            .field("local", &self.local)
            .field("peer_hashes", &self.peer_hashes)
            .finish_non_exhaustive()
    }
}

/// What our signature will be.
enum Choice {
    /// A method of its own for key and hash.
    Plain { method: u8, scheme: SignatureScheme },
    /// Method 14.
    Digital { scheme: SignatureScheme, algorithm: &'static [u8] },
}

/// RFC 7427 §3: method 14 whenever both sides announced their hashes, and we always do. Without the peer's,
/// only ECDSA has a method that does not stand on SHA-1 (RFC 4754 §2).
fn choose(
    key: KeyKind,
    able: &[SignatureScheme],
    padding: RsaPadding,
    peer_hashes: &[u16],
) -> Result<Choice, AuthFailure> {
    if peer_hashes.is_empty() {
        let (method, scheme) = match key {
            KeyKind::P256 => (method::ECDSA_P256, SignatureScheme::EcdsaP256Sha256),
            KeyKind::P384 => (method::ECDSA_P384, SignatureScheme::EcdsaP384Sha384),
            KeyKind::P521 => (method::ECDSA_P521, SignatureScheme::EcdsaP521Sha512),
            KeyKind::Rsa { .. } | KeyKind::Ed25519 => {
                return Err(AuthFailure::CannotSign(CannotSign::NoHashesAnnounced { key }));
            }
        };
        return Ok(Choice::Plain { method, scheme });
    }
    let preferred = preferred(key, padding).iter().filter(|scheme| able.contains(scheme));
    for scheme in preferred {
        let algorithm = Algorithm::of(*scheme);
        // RFC 7427 §4 and RFC 8420 §2: only a hash that the peer named.
        if peer_hashes.contains(&algorithm.hash().number())
            && let Some(der) = algorithm.to_der()
        {
            return Ok(Choice::Digital { scheme: *scheme, algorithm: der });
        }
    }
    Err(AuthFailure::CannotSign(CannotSign::NoCommonHash { key, peer: peer_hashes.to_vec() }))
}

/// The hash that matches the strength of the key comes first, then stronger ones, then weaker ones.
fn preferred(key: KeyKind, padding: RsaPadding) -> &'static [SignatureScheme] {
    use SignatureScheme::{
        EcdsaP256Sha256, EcdsaP384Sha384, EcdsaP521Sha512, Ed25519, RsaPkcs1Sha256, RsaPkcs1Sha384,
        RsaPkcs1Sha512, RsaPssSha256, RsaPssSha384, RsaPssSha512,
    };
    match (key, padding) {
        (KeyKind::Rsa { bits: ..=3072 }, RsaPadding::Pkcs1) => {
            &[RsaPkcs1Sha256, RsaPkcs1Sha384, RsaPkcs1Sha512]
        }
        (KeyKind::Rsa { bits: ..=7680 }, RsaPadding::Pkcs1) => {
            &[RsaPkcs1Sha384, RsaPkcs1Sha512, RsaPkcs1Sha256]
        }
        (KeyKind::Rsa { .. }, RsaPadding::Pkcs1) => &[RsaPkcs1Sha512, RsaPkcs1Sha384, RsaPkcs1Sha256],
        (KeyKind::Rsa { bits: ..=3072 }, RsaPadding::Pss) => &[RsaPssSha256, RsaPssSha384, RsaPssSha512],
        (KeyKind::Rsa { bits: ..=7680 }, RsaPadding::Pss) => &[RsaPssSha384, RsaPssSha512, RsaPssSha256],
        (KeyKind::Rsa { .. }, RsaPadding::Pss) => &[RsaPssSha512, RsaPssSha384, RsaPssSha256],
        (KeyKind::P256, _) => &[EcdsaP256Sha256],
        (KeyKind::P384, _) => &[EcdsaP384Sha384],
        (KeyKind::P521, _) => &[EcdsaP521Sha512],
        (KeyKind::Ed25519, _) => &[Ed25519],
    }
}
