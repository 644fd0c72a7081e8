//! Private keys as files carry them: PKCS#8 (RFC 5208, RFC 5958), PKCS#1 (RFC 8017) and SEC1 (RFC 5915).

use super::KeyError;
use super::id::{Curve, KeyKind};
use super::public_key::{self, MIN_RSA_BITS, PublicKey, RsaPublicKey};
use der::asn1::{BitStringRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Encode, Header, Sequence, SliceReader, Tag};
use p521::pkcs8::PrivateKeyInfoRef;
use x509_cert::spki::AlgorithmIdentifierRef;

/// A private key taken out of its wrapping; it borrows the secret from the caller's buffer.
pub(super) enum PrivateKey<'a> {
    Rsa(RsaPrivate<'a>),
    Ecdsa(EcPrivate<'a>),
    Ed25519(Ed25519Private<'a>),
}

/// An RSA key: RSAPrivateKey in DER, and its public half.
pub(super) struct RsaPrivate<'a> {
    pub(super) der: &'a [u8],
    pub(super) modulus_len: usize,
    pub(super) spki: Vec<u8>,
}

/// A key on a NIST curve.
pub(super) struct EcPrivate<'a> {
    pub(super) curve: Curve,
    pub(super) scalar: &'a [u8],
    /// The uncompressed point, if the file has it.
    pub(super) public: Option<&'a [u8]>,
}

/// An Ed25519 key.
pub(super) struct Ed25519Private<'a> {
    pub(super) seed: &'a [u8],
    /// The public key, if the file has it (RFC 5958's second version).
    pub(super) public: Option<&'a [u8]>,
}

impl<'a> PrivateKey<'a> {
    /// Reads a key in any of the three forms. What follows the version tells them apart: PKCS#8 has an
    /// AlgorithmIdentifier there, PKCS#1 the modulus and SEC1 the scalar.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, KeyError> {
        match second_tag(der).map_err(|_| KeyError::Malformed)? {
            Tag::Sequence => pkcs8(der),
            Tag::Integer => rsa(der).map(Self::Rsa),
            Tag::OctetString => ec(der, None).map(Self::Ecdsa),
            _ => Err(KeyError::Malformed),
        }
    }
}

fn second_tag(der: &[u8]) -> der::Result<Tag> {
    let mut reader = SliceReader::new(der)?;
    Header::decode(&mut reader)?.tag().assert_eq(Tag::Sequence)?;
    UintRef::decode(&mut reader)?;
    Tag::peek(&reader)
}

fn pkcs8(der: &[u8]) -> Result<PrivateKey<'_>, KeyError> {
    let info = PrivateKeyInfoRef::try_from(der).map_err(|_| KeyError::Malformed)?;
    let kind = public_key::kind(&info.algorithm).ok_or_else(|| unknown_or_malformed(&info.algorithm))?;
    let key = info.private_key.as_bytes();
    match kind {
        KeyKind::Rsa => rsa(key).map(PrivateKey::Rsa),
        KeyKind::Ecdsa(curve) => ec(key, Some(curve)).map(PrivateKey::Ecdsa),
        KeyKind::Ed25519 => {
            // RFC 8410 §7: an octet string within the octet string.
            let seed = <&OctetStringRef>::from_der(key).map_err(|_| KeyError::Malformed)?.as_bytes();
            let public =
                info.public_key.map(|bits| bits.as_bytes().ok_or(KeyError::Malformed)).transpose()?;
            if seed.len() != 32 || public.is_some_and(|public| public.len() != 32) {
                return Err(KeyError::Malformed);
            }
            Ok(PrivateKey::Ed25519(Ed25519Private { seed, public }))
        }
    }
}

fn unknown_or_malformed(algorithm: &AlgorithmIdentifierRef<'_>) -> KeyError {
    match algorithm.oid {
        public_key::RSA_ENCRYPTION | public_key::ED25519 => KeyError::Malformed,
        _ => KeyError::UnknownAlgorithm,
    }
}

/// RFC 8017 §A.1.2, the two-prime form.
#[derive(Sequence)]
struct RsaPrivateKey<'a> {
    version: u8,
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
    private_exponent: UintRef<'a>,
    prime_p: UintRef<'a>,
    prime_q: UintRef<'a>,
    exponent_p: UintRef<'a>,
    exponent_q: UintRef<'a>,
    coefficient: UintRef<'a>,
}

fn rsa(der: &[u8]) -> Result<RsaPrivate<'_>, KeyError> {
    let key = RsaPrivateKey::from_der(der).map_err(|_| KeyError::Malformed)?;
    if key.version != 0 {
        return Err(KeyError::UnknownAlgorithm);
    }
    let bits = public_key::bits(&key.modulus);
    if bits < MIN_RSA_BITS {
        return Err(KeyError::WeakKey { bits });
    }
    let public = RsaPublicKey { modulus: key.modulus, exponent: key.public_exponent }
        .to_der()
        .map_err(|_| KeyError::Malformed)?;
    let modulus_len = key.modulus.as_bytes().len();
    Ok(RsaPrivate { der, modulus_len, spki: spki(KeyKind::Rsa, &public)? })
}

/// RFC 5915 §3.
#[derive(Sequence)]
struct EcPrivateKey<'a> {
    version: u8,
    private_key: &'a OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    named_curve: Option<ObjectIdentifier>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    public_key: Option<BitStringRef<'a>>,
}

/// A SEC1 key, which names its curve itself unless PKCS#8 did.
fn ec(der: &[u8], outer: Option<Curve>) -> Result<EcPrivate<'_>, KeyError> {
    let key = EcPrivateKey::from_der(der).map_err(|_| KeyError::Malformed)?;
    let inner = match key.named_curve {
        Some(name) => Some(public_key::curve(name).ok_or(KeyError::UnknownAlgorithm)?),
        None => None,
    };
    let curve = match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => return Err(KeyError::Malformed),
        (outer, inner) => outer.or(inner).ok_or(KeyError::Malformed)?,
    };
    let scalar = key.private_key.as_bytes();
    let public = key.public_key.map(|bits| bits.as_bytes().ok_or(KeyError::Malformed)).transpose()?;
    // RFC 5915 §3: version 1, and the scalar as wide as the order, leading zeros kept.
    if key.version != 1 || scalar.len() != curve.width() {
        return Err(KeyError::Malformed);
    }
    Ok(EcPrivate { curve, scalar, public })
}

/// The SubjectPublicKeyInfo of a public key of ours.
pub(super) fn spki(kind: KeyKind, bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
    PublicKey { kind, bytes }.to_spki().map_err(|_| KeyError::Malformed)
}
