//! Public keys as certificates carry them: SubjectPublicKeyInfo, read strictly.

use super::SignatureError;
use super::id::{Curve, KeyKind};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Sequence};
use x509_cert::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

pub(super) const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(super) const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// RSA keys below this are refused, as RFC 8247 §3.1.1 and the threat of tiny moduli want it.
pub(super) const MIN_RSA_BITS: usize = 2048;

/// Keys above this cost more to verify with than anybody needs.
const MAX_RSA_BITS: usize = 8192;

/// First octet of an uncompressed point, the only form that RFC 5480 §2.2 makes everybody support.
pub(super) const UNCOMPRESSED: u8 = 4;

/// A public key taken out of its SubjectPublicKeyInfo.
#[derive(Clone, Copy)]
pub(super) struct PublicKey<'a> {
    pub(super) kind: KeyKind,
    /// RSAPublicKey in DER, an uncompressed point, or an Ed25519 public key.
    pub(super) bytes: &'a [u8],
}

/// RFC 8017 §A.1.1.
#[derive(Sequence)]
pub(super) struct RsaPublicKey<'a> {
    pub(super) modulus: UintRef<'a>,
    pub(super) exponent: UintRef<'a>,
}

impl<'a> PublicKey<'a> {
    /// Reads a key. Parameters must be exactly what the algorithm's RFC prescribes, with nothing left over.
    pub(super) fn parse(spki: &'a [u8]) -> Result<Self, SignatureError> {
        let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| SignatureError::BadKey)?;
        let bytes = info.subject_public_key.as_bytes().ok_or(SignatureError::BadKey)?;
        let kind = kind(&info.algorithm).ok_or(SignatureError::BadKey)?;
        match kind {
            KeyKind::Rsa => {
                let key = RsaPublicKey::from_der(bytes).map_err(|_| SignatureError::BadKey)?;
                let bits = bits(&key.modulus);
                if bits < MIN_RSA_BITS {
                    return Err(SignatureError::WeakKey { bits });
                }
                if bits > MAX_RSA_BITS {
                    return Err(SignatureError::BadKey);
                }
            }
            KeyKind::Ecdsa(curve) => {
                if bytes.first() != Some(&UNCOMPRESSED) || bytes.len() != 1 + 2 * curve.width() {
                    return Err(SignatureError::BadKey);
                }
            }
            KeyKind::Ed25519 => {
                if bytes.len() != 32 {
                    return Err(SignatureError::BadKey);
                }
            }
        }
        Ok(Self { kind, bytes })
    }

    /// Writes a key.
    pub(super) fn to_spki(self) -> der::Result<Vec<u8>> {
        let curve;
        let (oid, parameters) = match self.kind {
            KeyKind::Rsa => (RSA_ENCRYPTION, Some(AnyRef::NULL)),
            KeyKind::Ecdsa(named) => {
                curve = named_curve(named);
                (EC_PUBLIC_KEY, Some(AnyRef::from(&curve)))
            }
            KeyKind::Ed25519 => (ED25519, None),
        };
        SubjectPublicKeyInfoRef {
            algorithm: AlgorithmIdentifierRef { oid, parameters },
            subject_public_key: BitStringRef::from_bytes(self.bytes)?,
        }
        .to_der()
    }
}

/// What kind of key an AlgorithmIdentifier announces: RFC 3279 §2.3.1 (NULL parameters), RFC 5480 §2.1.1
/// (a named curve) and RFC 8410 §3 (no parameters).
pub(super) fn kind(algorithm: &AlgorithmIdentifierRef<'_>) -> Option<KeyKind> {
    match (algorithm.oid, algorithm.parameters) {
        (RSA_ENCRYPTION, Some(parameters)) if parameters.is_null() => Some(KeyKind::Rsa),
        (EC_PUBLIC_KEY, Some(parameters)) => curve(parameters.try_into().ok()?).map(KeyKind::Ecdsa),
        (ED25519, None) => Some(KeyKind::Ed25519),
        _ => None,
    }
}

/// The curve of a name, if we know it.
pub(super) fn curve(name: ObjectIdentifier) -> Option<Curve> {
    [Curve::P256, Curve::P384, Curve::P521].into_iter().find(|curve| named_curve(*curve) == name)
}

/// Bits of a number that DER has stripped of leading zeros.
pub(super) fn bits(number: &UintRef<'_>) -> usize {
    let bytes = number.as_bytes();
    let zeros = bytes.first().map_or(0, |first| first.leading_zeros() as usize);
    (bytes.len() * 8).saturating_sub(zeros)
}

const fn named_curve(curve: Curve) -> ObjectIdentifier {
    match curve {
        Curve::P256 => P256,
        Curve::P384 => P384,
        Curve::P521 => P521,
    }
}
