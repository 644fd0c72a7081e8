//! The NIST curves by RustCrypto: P-521 for ring, all three for the seeded provider.

use super::id::{Curve, KeyKind};
use super::private_key::{EcPrivate, spki};
use super::public_key::UNCOMPRESSED;
use super::{
    Group, GroupId, KexError, KeyError, LoadedKey, PrivateValue, Random, Secret, SignatureEncoding,
    SignatureError, SignatureScheme, SigningKey, VerifyInput, ecdsa,
};
use p521::ecdsa::signature::{Signer, Verifier};
use p521::elliptic_curve::ecdh::diffie_hellman;
use p521::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p521::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, PublicKey, SecretKey};
use p521::{NistP521, ecdsa as ecdsa_p521};
use std::marker::PhantomData;
use zeroize::Zeroizing;

/// Group 21.
pub(super) static ECP521: Ecp<NistP521> = Ecp { id: GroupId::Ecp521, top_octet: 0x01, curve: PhantomData };

/// A NIST curve for key exchange (RFC 5903).
pub(super) struct Ecp<C> {
    id: GroupId,
    /// The bits of a scalar's first octet that can be set.
    top_octet: u8,
    curve: PhantomData<fn() -> C>,
}

#[cfg(feature = "seeded")]
mod seeded_groups {
    use super::{Ecp, GroupId, PhantomData};

    /// Group 19.
    pub(in crate::crypto) static ECP256: Ecp<p256::NistP256> =
        Ecp { id: GroupId::Ecp256, top_octet: 0xff, curve: PhantomData };

    /// Group 20.
    pub(in crate::crypto) static ECP384: Ecp<p384::NistP384> =
        Ecp { id: GroupId::Ecp384, top_octet: 0xff, curve: PhantomData };
}
#[cfg(feature = "seeded")]
pub(super) use seeded_groups::{ECP256, ECP384};

impl<C> Ecp<C>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    /// The private value with this scalar, which must be as wide as the order, below it and not zero.
    pub(super) fn with_scalar(&self, scalar: &[u8]) -> Result<Box<dyn PrivateValue>, KexError> {
        if scalar.len() * 2 != self.id.public_len() {
            return Err(KexError::Provider);
        }
        let secret = SecretKey::<C>::from_slice(scalar).map_err(|_| KexError::Provider)?;
        let point = secret.public_key().to_sec1_point(false);
        let public = point.as_bytes().get(1..).ok_or(KexError::Provider)?.to_vec();
        Ok(Box::new(Private { id: self.id, secret, public }))
    }
}

impl<C> Group for Ecp<C>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    fn id(&self) -> GroupId {
        self.id
    }

    fn public_len(&self) -> usize {
        self.id.public_len()
    }

    fn generate(&self, random: &mut dyn Random) -> Result<Box<dyn PrivateValue>, KexError> {
        let mut scalar = Zeroizing::new(vec![0; self.id.public_len() / 2]);
        // A scalar is evenly spread only if those past the order are drawn again, not reduced. An order
        // is so close to a power of two that a second draw means a broken source.
        for _ in 0..8 {
            random.fill(&mut scalar);
            if let Some(first) = scalar.first_mut() {
                *first &= self.top_octet;
            }
            if let Ok(private) = self.with_scalar(&scalar) {
                return Ok(private);
            }
        }
        Err(KexError::Provider)
    }
}

struct Private<C: CurveArithmetic> {
    id: GroupId,
    secret: SecretKey<C>,
    public: Vec<u8>,
}

impl<C> PrivateValue for Private<C>
where
    C: CurveArithmetic,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn agree(self: Box<Self>, peer: &[u8]) -> Result<Secret, KexError> {
        let expected = self.id.public_len();
        if peer.len() != expected {
            return Err(KexError::Length { expected, actual: peer.len() });
        }
        // RFC 6989 §2.3: below the field's prime and on the curve. The cofactor is 1, so nothing is of
        // small order but the identity, which has no such encoding.
        let point = [&[UNCOMPRESSED], peer].concat();
        let public = PublicKey::<C>::from_sec1_bytes(&point).map_err(|_| KexError::InvalidPublic)?;
        let shared = diffie_hellman::<C>(self.secret.to_nonzero_scalar(), public.as_affine());
        // RFC 5903 §7: the x coordinate alone.
        Ok(Secret::new(shared.raw_secret_bytes().to_vec()))
    }
}

/// Verifies on P-521.
pub(super) fn verify_p521(input: &VerifyInput<'_>, point: &[u8]) -> Result<(), SignatureError> {
    let key = ecdsa_p521::VerifyingKey::from_sec1_bytes(point).map_err(|_| SignatureError::BadKey)?;
    let signature = match input.encoding {
        SignatureEncoding::Fixed => ecdsa_p521::Signature::from_slice(input.signature),
        SignatureEncoding::Der => ecdsa_p521::Signature::from_der(input.signature),
    }
    .map_err(|_| SignatureError::Invalid)?;
    key.verify(input.message, &signature).map_err(|_| SignatureError::Invalid)
}

/// Reads a key on a curve that this build has. The public half is worked out, and compared if the file
/// has it.
pub(super) fn load_ecdsa(key: &EcPrivate<'_>) -> LoadedKey {
    let pair = Pair::new(key.curve, key.scalar)?;
    let public = pair.public();
    if key.public.is_some_and(|stated| stated != public.as_slice()) {
        return Err(KeyError::Malformed);
    }
    let spki = spki(KeyKind::Ecdsa(key.curve), &public)?;
    Ok(Box::new(EcdsaKey { pair, spki, curve: key.curve, scheme: key.curve.scheme() }))
}

struct EcdsaKey {
    pair: Pair,
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

    /// The nonce comes from the key and the message (RFC 6979), so a weak random source cannot give the
    /// key away.
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
        let fixed = self.pair.sign(message).ok_or(SignatureError::Provider)?;
        ecdsa::encode(self.curve, encoding, &fixed).ok_or(SignatureError::Provider)
    }
}

enum Pair {
    #[cfg(feature = "seeded")]
    P256(p256::ecdsa::SigningKey),
    #[cfg(feature = "seeded")]
    P384(p384::ecdsa::SigningKey),
    P521(ecdsa_p521::SigningKey),
}

impl Pair {
    fn new(curve: Curve, scalar: &[u8]) -> Result<Self, KeyError> {
        match curve {
            #[cfg(feature = "seeded")]
            Curve::P256 => p256::ecdsa::SigningKey::from_slice(scalar).map(Self::P256),
            #[cfg(feature = "seeded")]
            Curve::P384 => p384::ecdsa::SigningKey::from_slice(scalar).map(Self::P384),
            Curve::P521 => ecdsa_p521::SigningKey::from_slice(scalar).map(Self::P521),
            #[cfg(not(feature = "seeded"))]
            Curve::P256 | Curve::P384 => return Err(KeyError::UnknownAlgorithm),
        }
        .map_err(|_| KeyError::Malformed)
    }

    /// The uncompressed point.
    fn public(&self) -> Vec<u8> {
        match self {
            #[cfg(feature = "seeded")]
            Self::P256(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            #[cfg(feature = "seeded")]
            Self::P384(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
            Self::P521(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    /// r ‖ s with the hash of the curve's scheme.
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        Some(match self {
            #[cfg(feature = "seeded")]
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(message).ok()?;
                signature.to_bytes().to_vec()
            }
            #[cfg(feature = "seeded")]
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.try_sign(message).ok()?;
                signature.to_bytes().to_vec()
            }
            Self::P521(key) => {
                let signature: ecdsa_p521::Signature = key.try_sign(message).ok()?;
                signature.to_bytes().to_vec()
            }
        })
    }
}
