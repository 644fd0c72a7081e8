//! The algorithms that IKE needs, as plain tables keyed by IANA transform id.
//!
//! A [`Provider`] is a struct of algorithms. The engine takes what it offers and never asks which library
//! stands behind it.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
mod ecdsa;
mod error;
mod id;
mod modp;
pub mod pem;
mod private_key;
mod public_key;
mod random;
mod ring;
mod rustcrypto;
#[cfg(feature = "seeded")]
pub mod seeded;

#[cfg(feature = "aws-lc-rs")]
pub use aws_lc::AWS_LC;
pub use ecdsa::reencode;
pub use random::{Random, SystemRandom};
pub use ring::RING;
#[cfg(feature = "seeded")]
pub use seeded::{SEEDED, SeededRandom};

use std::fmt;
use zeroize::Zeroizing;

/// A secret that leaves no trace when dropped.
pub type Secret = Zeroizing<Vec<u8>>;

/// Pseudo-random functions, transform type 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrfId {
    /// PRF_HMAC_SHA1 (2): only where an operator asks for it.
    HmacSha1,
    /// PRF_HMAC_SHA2_256 (5).
    HmacSha256,
    /// PRF_HMAC_SHA2_384 (6).
    HmacSha384,
    /// PRF_HMAC_SHA2_512 (7).
    HmacSha512,
}

/// Key exchange methods, transform type 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupId {
    /// 14
    Modp2048,
    /// 15
    Modp3072,
    /// 16
    Modp4096,
    /// 19
    Ecp256,
    /// 20
    Ecp384,
    /// 21
    Ecp521,
    /// 31
    X25519,
}

/// How a signature is made: key type, hash and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignatureScheme {
    /// RSASSA-PKCS1-v1_5 with SHA-1, for method 1 of old peers: verification only.
    RsaPkcs1Sha1,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaPkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaPkcs1Sha512,
    /// RSASSA-PSS with SHA-256 throughout and a salt of the same length.
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384 throughout and a salt of the same length.
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512 throughout and a salt of the same length.
    RsaPssSha512,
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA on P-256 with SHA-384: verification only.
    EcdsaP256Sha384,
    /// ECDSA on P-384 with SHA-256: verification only.
    EcdsaP384Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521Sha512,
    /// Ed25519.
    Ed25519,
}

/// How an ECDSA signature is written: fixed-width r and s (methods 9 to 11) or DER (method 14 and
/// certificates). Other schemes have one encoding and ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureEncoding {
    /// r ‖ s, each as wide as the group's order.
    Fixed,
    /// ECDSA-Sig-Value.
    Der,
}

/// A struct of algorithms.
pub struct Provider {
    /// Its name, for logs and benchmarks.
    pub name: &'static str,
    /// Which library seals and opens.
    pub ciphers: tidegate_esp::crypto::Backend,
    /// Pseudo-random functions.
    pub prfs: &'static [&'static dyn Prf],
    /// Key exchange methods.
    pub groups: &'static [&'static dyn Group],
    /// Verifies a signature by a public key in SubjectPublicKeyInfo form.
    pub verify: fn(VerifyInput<'_>) -> Result<(), SignatureError>,
    /// Reads a private key: PKCS#8, PKCS#1 or SEC1, in DER.
    pub load_key: fn(der: &[u8]) -> LoadedKey,
}

impl Provider {
    /// The pseudo-random function, if this provider has it.
    pub fn prf(&self, id: PrfId) -> Option<&'static dyn Prf> {
        self.prfs.iter().copied().find(|prf| prf.id() == id)
    }

    /// The key exchange method, if this provider has it.
    pub fn group(&self, id: GroupId) -> Option<&'static dyn Group> {
        self.groups.iter().copied().find(|group| group.id() == id)
    }
}

/// A pseudo-random function.
pub trait Prf: Sync + Send {
    /// Which one it is.
    fn id(&self) -> PrfId;
    /// Octets of output, which is also the preferred key length.
    fn output_len(&self) -> usize;
    /// A key ready for use many times.
    fn key(&self, key: &[u8]) -> Box<dyn PrfKey>;
}

/// A PRF with its key.
pub trait PrfKey: Sync + Send {
    /// Octets of output.
    fn output_len(&self) -> usize;

    /// Puts the first octets of `prf(key, parts[0] | parts[1] | …)` into `out`, as many as there are and
    /// fit.
    fn compute_into(&self, parts: &[&[u8]], out: &mut [u8]);

    /// `prf(key, parts[0] | parts[1] | …)`
    fn compute(&self, parts: &[&[u8]]) -> Secret {
        let mut out = Zeroizing::new(vec![0; self.output_len()]);
        self.compute_into(parts, &mut out);
        out
    }
}

/// A key exchange method.
pub trait Group: Sync + Send {
    /// Which one it is.
    fn id(&self) -> GroupId;
    /// Octets of a public value on the wire.
    fn public_len(&self) -> usize;
    /// A fresh private value. Providers with randomness of their own ignore `random`.
    fn generate(&self, random: &mut dyn Random) -> Result<Box<dyn PrivateValue>, KexError>;
}

/// One side's private value.
pub trait PrivateValue: Send {
    /// The public value, as it goes into a KE payload.
    fn public(&self) -> &[u8];
    /// The shared secret with the peer's public value, which is validated first.
    fn agree(self: Box<Self>, peer: &[u8]) -> Result<Secret, KexError>;
}

/// Why a key exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KexError {
    /// The peer's public value has the wrong length.
    Length {
        /// What the group wants.
        expected: usize,
        /// What came.
        actual: usize,
    },
    /// The peer's public value is no valid element: off the curve, of small order, 0, 1 or p-1.
    InvalidPublic,
    /// The provider's own random source or arithmetic failed.
    Provider,
}

/// A private key that signs; it may live in another process or a token.
pub trait SigningKey: Send + Sync {
    /// The public key as SubjectPublicKeyInfo in DER.
    fn public_key(&self) -> &[u8];
    /// What it can sign with, the best first.
    fn schemes(&self) -> &[SignatureScheme];
    /// Signs the message (not its hash).
    fn sign(
        &self,
        scheme: SignatureScheme,
        encoding: SignatureEncoding,
        message: &[u8],
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, SignatureError>;
}

/// A private key, or why it could not be read.
pub type LoadedKey = Result<Box<dyn SigningKey>, KeyError>;

/// What a verification looks at.
#[derive(Clone, Copy)]
pub struct VerifyInput<'a> {
    /// SubjectPublicKeyInfo in DER.
    pub public_key: &'a [u8],
    /// Scheme the signature claims.
    pub scheme: SignatureScheme,
    /// How an ECDSA signature is written.
    pub encoding: SignatureEncoding,
    /// The signed message.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// Why a signature could not be made or does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// The key cannot do the scheme.
    UnsupportedScheme,
    /// The public key does not parse or is of another kind than the scheme wants.
    BadKey,
    /// An RSA key below 2048 bits.
    WeakKey {
        /// Bits of the modulus.
        bits: usize,
    },
    /// It does not verify.
    Invalid,
    /// The signer failed.
    Provider,
}

/// Why a private key could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not PKCS#8, PKCS#1 or SEC1, or damaged.
    Malformed,
    /// A kind of key that the provider does not know.
    UnknownAlgorithm,
    /// An EC key without its public half, which the provider cannot work out.
    MissingPublic,
    /// An RSA key below 2048 bits.
    WeakKey {
        /// Bits of the modulus.
        bits: usize,
    },
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("name", &self.name).finish_non_exhaustive()
    }
}
