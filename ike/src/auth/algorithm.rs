//! Signature algorithms and public keys by their ASN.1 names: one reading for AUTH payloads (RFC 7427),
//! certificates and revocation lists.

use crate::crypto::{SignatureError, SignatureScheme};
use der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use der::{Decode, Reader, Tag, TagNumber};
use std::fmt;
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

/// Hash algorithms of the IKEv2 registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// 1; never announced.
    Sha1,
    /// 2
    Sha256,
    /// 3
    Sha384,
    /// 4
    Sha512,
    /// 5: the algorithm takes the message whole (RFC 8420).
    Identity,
}

/// A signature algorithm as an AlgorithmIdentifier names it; the curve is the key's matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5
    RsaPkcs1(HashAlgorithm),
    /// RSASSA-PSS with one hash throughout and a salt as long as the hash.
    RsaPss(HashAlgorithm),
    /// ECDSA
    Ecdsa(HashAlgorithm),
    /// Ed25519
    Ed25519,
}

/// What is wrong with an AlgorithmIdentifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlgorithmError {
    /// It is cut short, or no DER.
    Malformed,
    /// An algorithm that we do not take, by its object identifier.
    Unsupported(String),
    /// Parameters that the algorithm does not have, or that we do not take.
    Parameters,
}

/// Kinds of public keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA.
    Rsa {
        /// Bits of the modulus.
        bits: usize,
    },
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519.
    Ed25519,
}

/// The hashes for our SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4, RFC 8420 §2).
pub fn accepted_hashes() -> [u16; 4] {
    [HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512, HashAlgorithm::Identity]
        .map(HashAlgorithm::number)
}

impl HashAlgorithm {
    /// Its number in the registry.
    pub fn number(self) -> u16 {
        match self {
            Self::Sha1 => 1,
            Self::Sha256 => 2,
            Self::Sha384 => 3,
            Self::Sha512 => 4,
            Self::Identity => 5,
        }
    }

    fn len(self) -> u32 {
        match self {
            Self::Identity => 0,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl Algorithm {
    /// Reads an AlgorithmIdentifier in DER, all of it.
    pub fn from_der(der: &[u8]) -> Result<Self, AlgorithmError> {
        let identifier = AlgorithmIdentifierRef::from_der(der).map_err(|_| AlgorithmError::Malformed)?;
        Self::read(identifier)
    }

    fn read(identifier: AlgorithmIdentifierRef<'_>) -> Result<Self, AlgorithmError> {
        let parameters = identifier.parameters;
        // RFC 4055 §5: NULL is written, and its absence taken too.
        let rsa = |hash| match parameters {
            Some(other) if !other.is_null() => Err(AlgorithmError::Parameters),
            _ => Ok(Self::RsaPkcs1(hash)),
        };
        // RFC 5758 §3.2 and RFC 8410 §3: there are none.
        let bare = |algorithm| match parameters {
            None => Ok(algorithm),
            Some(_) => Err(AlgorithmError::Parameters),
        };
        match identifier.oid {
            oid::SHA1_RSA => rsa(HashAlgorithm::Sha1),
            oid::SHA256_RSA => rsa(HashAlgorithm::Sha256),
            oid::SHA384_RSA => rsa(HashAlgorithm::Sha384),
            oid::SHA512_RSA => rsa(HashAlgorithm::Sha512),
            oid::ECDSA_SHA1 => bare(Self::Ecdsa(HashAlgorithm::Sha1)),
            oid::ECDSA_SHA256 => bare(Self::Ecdsa(HashAlgorithm::Sha256)),
            oid::ECDSA_SHA384 => bare(Self::Ecdsa(HashAlgorithm::Sha384)),
            oid::ECDSA_SHA512 => bare(Self::Ecdsa(HashAlgorithm::Sha512)),
            oid::ED25519 => bare(Self::Ed25519),
            oid::RSA_PSS => pss(parameters.ok_or(AlgorithmError::Parameters)?),
            other => Err(AlgorithmError::Unsupported(other.to_string())),
        }
    }

    /// The hash it works with.
    pub fn hash(self) -> HashAlgorithm {
        match self {
            Self::RsaPkcs1(hash) | Self::RsaPss(hash) | Self::Ecdsa(hash) => hash,
            Self::Ed25519 => HashAlgorithm::Identity,
        }
    }

    /// What it comes to with a key of that kind; none if the two do not go together or the provider's
    /// vocabulary lacks the pair.
    pub fn scheme(self, key: KeyKind) -> Option<SignatureScheme> {
        use HashAlgorithm::{Sha256, Sha384, Sha512};
        Some(match (self, key) {
            (Self::RsaPkcs1(Sha256), KeyKind::Rsa { .. }) => SignatureScheme::RsaPkcs1Sha256,
            (Self::RsaPkcs1(Sha384), KeyKind::Rsa { .. }) => SignatureScheme::RsaPkcs1Sha384,
            (Self::RsaPkcs1(Sha512), KeyKind::Rsa { .. }) => SignatureScheme::RsaPkcs1Sha512,
            (Self::RsaPss(Sha256), KeyKind::Rsa { .. }) => SignatureScheme::RsaPssSha256,
            (Self::RsaPss(Sha384), KeyKind::Rsa { .. }) => SignatureScheme::RsaPssSha384,
            (Self::RsaPss(Sha512), KeyKind::Rsa { .. }) => SignatureScheme::RsaPssSha512,
            (Self::Ecdsa(Sha256), KeyKind::P256) => SignatureScheme::EcdsaP256Sha256,
            (Self::Ecdsa(Sha384), KeyKind::P256) => SignatureScheme::EcdsaP256Sha384,
            (Self::Ecdsa(Sha256), KeyKind::P384) => SignatureScheme::EcdsaP384Sha256,
            (Self::Ecdsa(Sha384), KeyKind::P384) => SignatureScheme::EcdsaP384Sha384,
            (Self::Ecdsa(Sha512), KeyKind::P521) => SignatureScheme::EcdsaP521Sha512,
            (Self::Ed25519, KeyKind::Ed25519) => SignatureScheme::Ed25519,
            _ => return None,
        })
    }

    /// The algorithm of a scheme.
    pub fn of(scheme: SignatureScheme) -> Self {
        match scheme {
            SignatureScheme::RsaPkcs1Sha1 => Self::RsaPkcs1(HashAlgorithm::Sha1),
            SignatureScheme::RsaPkcs1Sha256 => Self::RsaPkcs1(HashAlgorithm::Sha256),
            SignatureScheme::RsaPkcs1Sha384 => Self::RsaPkcs1(HashAlgorithm::Sha384),
            SignatureScheme::RsaPkcs1Sha512 => Self::RsaPkcs1(HashAlgorithm::Sha512),
            SignatureScheme::RsaPssSha256 => Self::RsaPss(HashAlgorithm::Sha256),
            SignatureScheme::RsaPssSha384 => Self::RsaPss(HashAlgorithm::Sha384),
            SignatureScheme::RsaPssSha512 => Self::RsaPss(HashAlgorithm::Sha512),
            SignatureScheme::EcdsaP256Sha256 | SignatureScheme::EcdsaP384Sha256 => {
                Self::Ecdsa(HashAlgorithm::Sha256)
            }
            SignatureScheme::EcdsaP256Sha384 | SignatureScheme::EcdsaP384Sha384 => {
                Self::Ecdsa(HashAlgorithm::Sha384)
            }
            SignatureScheme::EcdsaP521Sha512 => Self::Ecdsa(HashAlgorithm::Sha512),
            SignatureScheme::Ed25519 => Self::Ed25519,
        }
    }

    /// Its AlgorithmIdentifier in DER; none for what we never sign with.
    pub fn to_der(self) -> Option<&'static [u8]> {
        Some(match self {
            Self::RsaPkcs1(HashAlgorithm::Sha256) => &RSA_PKCS1_SHA256,
            Self::RsaPkcs1(HashAlgorithm::Sha384) => &RSA_PKCS1_SHA384,
            Self::RsaPkcs1(HashAlgorithm::Sha512) => &RSA_PKCS1_SHA512,
            Self::RsaPss(HashAlgorithm::Sha256) => &RSA_PSS_SHA256,
            Self::RsaPss(HashAlgorithm::Sha384) => &RSA_PSS_SHA384,
            Self::RsaPss(HashAlgorithm::Sha512) => &RSA_PSS_SHA512,
            Self::Ecdsa(HashAlgorithm::Sha256) => &ECDSA_SHA256,
            Self::Ecdsa(HashAlgorithm::Sha384) => &ECDSA_SHA384,
            Self::Ecdsa(HashAlgorithm::Sha512) => &ECDSA_SHA512,
            Self::Ed25519 => &ED25519,
            _ => return None,
        })
    }
}

/// RSASSA-PSS-params (RFC 4055 §3.1). Lax parameters have let forgeries through elsewhere: one hash has to
/// serve both ends, and the salt has to be as long as it.
fn pss(parameters: AnyRef<'_>) -> Result<Algorithm, AlgorithmError> {
    let read = parameters.sequence(|reader| {
        let hash = explicit::<AlgorithmIdentifierRef<'_>, _>(reader, 0)?;
        let mask = explicit::<AlgorithmIdentifierRef<'_>, _>(reader, 1)?;
        let salt = explicit::<u32, _>(reader, 2)?;
        let trailer = explicit::<u32, _>(reader, 3)?;
        Ok::<_, der::Error>((hash, mask, salt, trailer))
    });
    let (hash, mask, salt, trailer) = read.map_err(|_| AlgorithmError::Parameters)?;
    let hash = hash.map_or(Ok(HashAlgorithm::Sha1), digest)?;
    let mask = mask.map_or(Ok(HashAlgorithm::Sha1), mask_digest)?;
    // DER leaves defaults out; RFC 7427 appendix A.4 writes them, and so do peers.
    if mask != hash || salt.unwrap_or(20) != hash.len() || trailer.unwrap_or(1) != 1 {
        return Err(AlgorithmError::Parameters);
    }
    Ok(Algorithm::RsaPss(hash))
}

fn explicit<'a, T, R>(reader: &mut R, number: u32) -> der::Result<Option<T>>
where
    T: Decode<'a, Error = der::Error>,
    R: Reader<'a>,
{
    let tag = Tag::ContextSpecific { constructed: true, number: TagNumber(number) };
    if reader.is_finished() || Tag::peek(reader)? != tag {
        return Ok(None);
    }
    let any: AnyRef<'a> = reader.decode()?;
    T::from_der(any.value()).map(Some)
}

fn digest(identifier: AlgorithmIdentifierRef<'_>) -> Result<HashAlgorithm, AlgorithmError> {
    // RFC 4055 §2.1: NULL or absent, both of them taken.
    if identifier.parameters.is_some_and(|parameters| !parameters.is_null()) {
        return Err(AlgorithmError::Parameters);
    }
    match identifier.oid {
        oid::SHA1 => Ok(HashAlgorithm::Sha1),
        oid::SHA256 => Ok(HashAlgorithm::Sha256),
        oid::SHA384 => Ok(HashAlgorithm::Sha384),
        oid::SHA512 => Ok(HashAlgorithm::Sha512),
        other => Err(AlgorithmError::Unsupported(other.to_string())),
    }
}

fn mask_digest(identifier: AlgorithmIdentifierRef<'_>) -> Result<HashAlgorithm, AlgorithmError> {
    if identifier.oid != oid::MGF1 {
        return Err(AlgorithmError::Unsupported(identifier.oid.to_string()));
    }
    let hash = identifier.parameters.ok_or(AlgorithmError::Parameters)?;
    digest(hash.decode_as().map_err(|_| AlgorithmError::Parameters)?)
}

impl KeyKind {
    /// The kind of a SubjectPublicKeyInfo in DER. RSA keys below 2048 bits are none.
    pub fn of(public_key: &[u8]) -> Result<Self, SignatureError> {
        let info = SubjectPublicKeyInfoRef::from_der(public_key).map_err(|_| SignatureError::BadKey)?;
        match info.algorithm.oid {
            oid::RSA => {
                let key = info.subject_public_key.as_bytes().ok_or(SignatureError::BadKey)?;
                let bits = modulus_bits(key).map_err(|_| SignatureError::BadKey)?;
                match bits {
                    0..2048 => Err(SignatureError::WeakKey { bits }),
                    _ => Ok(Self::Rsa { bits }),
                }
            }
            oid::EC => match info.algorithm.parameters_oid().map_err(|_| SignatureError::BadKey)? {
                oid::P256 => Ok(Self::P256),
                oid::P384 => Ok(Self::P384),
                oid::P521 => Ok(Self::P521),
                _ => Err(SignatureError::UnsupportedScheme),
            },
            oid::ED25519 if info.algorithm.parameters.is_none() => Ok(Self::Ed25519),
            oid::ED25519 => Err(SignatureError::BadKey),
            _ => Err(SignatureError::UnsupportedScheme),
        }
    }
}

fn modulus_bits(key: &[u8]) -> der::Result<usize> {
    let (modulus, _) = AnyRef::from_der(key)?.sequence(|reader| {
        let modulus: UintRef<'_> = reader.decode()?;
        let exponent: UintRef<'_> = reader.decode()?;
        Ok::<_, der::Error>((modulus, exponent))
    })?;
    let bytes = modulus.as_bytes();
    let unused = bytes.first().map_or(0, |first| first.leading_zeros() as usize);
    Ok(bytes.len().saturating_mul(8).saturating_sub(unused))
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
            Self::P256 => f.write_str("ECDSA P-256"),
            Self::P384 => f.write_str("ECDSA P-384"),
            Self::P521 => f.write_str("ECDSA P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

impl fmt::Display for AlgorithmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "a malformed algorithm identifier"),
            Self::Unsupported(oid) => write!(f, "the algorithm {oid} is not supported"),
            Self::Parameters => write!(f, "algorithm parameters that are not taken"),
        }
    }
}

mod oid {
    use super::ObjectIdentifier;

    pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    pub(super) const SHA1_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5");
    pub(super) const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
    pub(super) const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
    pub(super) const SHA256_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
    pub(super) const SHA384_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
    pub(super) const SHA512_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
    pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
    pub(super) const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
    pub(super) const ECDSA_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
    pub(super) const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
    pub(super) const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
    pub(super) const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
    pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
    pub(super) const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
    pub(super) const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
    pub(super) const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
    pub(super) const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
}

const RSA_PKCS1_SHA256: [u8; 15] = rsa_pkcs1(11);
const RSA_PKCS1_SHA384: [u8; 15] = rsa_pkcs1(12);
const RSA_PKCS1_SHA512: [u8; 15] = rsa_pkcs1(13);
const RSA_PSS_SHA256: [u8; 67] = rsa_pss(1, 32);
const RSA_PSS_SHA384: [u8; 67] = rsa_pss(2, 48);
const RSA_PSS_SHA512: [u8; 67] = rsa_pss(3, 64);
const ECDSA_SHA256: [u8; 12] = ecdsa(2);
const ECDSA_SHA384: [u8; 12] = ecdsa(3);
const ECDSA_SHA512: [u8; 12] = ecdsa(4);
const ED25519: [u8; 7] = [0x30, 5, 6, 3, 0x2b, 0x65, 0x70];

const fn rsa_pkcs1(arc: u8) -> [u8; 15] {
    [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, arc, 5, 0]
}

const fn ecdsa(arc: u8) -> [u8; 12] {
    [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, arc]
}

/// The trailer is the default one, so DER leaves it out.
#[rustfmt::skip]
const fn rsa_pss(hash: u8, salt: u8) -> [u8; 67] {
    [
        0x30, 65, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10, 0x30, 52,
        0xa0, 15, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash, 5, 0,
        0xa1, 28, 0x30, 26, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8,
        0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash, 5, 0,
        0xa2, 3, 2, 1, salt,
    ]
}
