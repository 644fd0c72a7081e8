//! IANA numbers, names and sizes of the algorithms.

use super::{GroupId, PrfId, SignatureScheme};
use std::fmt;

impl PrfId {
    /// All of them, by transform id.
    pub const ALL: &'static [Self] = &[Self::HmacSha1, Self::HmacSha256, Self::HmacSha384, Self::HmacSha512];

    /// The PRF with this IANA transform id, if we know it.
    pub fn from_transform(id: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.transform_id() == id)
    }

    /// Its IANA transform id.
    pub const fn transform_id(self) -> u16 {
        match self {
            Self::HmacSha1 => 2,
            Self::HmacSha256 => 5,
            Self::HmacSha384 => 6,
            Self::HmacSha512 => 7,
        }
    }

    /// Octets of output, which is also the preferred key length (RFC 7296 §2.13).
    pub const fn output_len(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }

    /// Its keyword in a proposal.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::HmacSha1 => "prfsha1",
            Self::HmacSha256 => "prfsha256",
            Self::HmacSha384 => "prfsha384",
            Self::HmacSha512 => "prfsha512",
        }
    }
}

impl fmt::Display for PrfId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.keyword())
    }
}

impl GroupId {
    /// All of them, by transform id.
    pub const ALL: &'static [Self] = &[
        Self::Modp2048,
        Self::Modp3072,
        Self::Modp4096,
        Self::Ecp256,
        Self::Ecp384,
        Self::Ecp521,
        Self::X25519,
    ];

    /// The group with this IANA transform id, if we know it.
    pub fn from_transform(id: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.transform_id() == id)
    }

    /// Its IANA transform id.
    pub const fn transform_id(self) -> u16 {
        match self {
            Self::Modp2048 => 14,
            Self::Modp3072 => 15,
            Self::Modp4096 => 16,
            Self::Ecp256 => 19,
            Self::Ecp384 => 20,
            Self::Ecp521 => 21,
            Self::X25519 => 31,
        }
    }

    /// Octets of a public value on the wire: RFC 3526, 5903 §7 (both coordinates, no format octet) and
    /// 8031 §2.
    pub const fn public_len(self) -> usize {
        match self {
            Self::Modp2048 => 256,
            Self::Modp3072 => 384,
            Self::Modp4096 => 512,
            Self::Ecp256 => 64,
            Self::Ecp384 => 96,
            Self::Ecp521 => 132,
            Self::X25519 => 32,
        }
    }

    /// Its keyword in a proposal.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Modp2048 => "modp2048",
            Self::Modp3072 => "modp3072",
            Self::Modp4096 => "modp4096",
            Self::Ecp256 => "ecp256",
            Self::Ecp384 => "ecp384",
            Self::Ecp521 => "ecp521",
            Self::X25519 => "x25519",
        }
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.keyword())
    }
}

impl SignatureScheme {
    /// All of them, what we would rather use first within each kind of key.
    pub const ALL: &'static [Self] = &[
        Self::Ed25519,
        Self::EcdsaP256Sha256,
        Self::EcdsaP256Sha384,
        Self::EcdsaP384Sha384,
        Self::EcdsaP384Sha256,
        Self::EcdsaP521Sha512,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
        Self::RsaPkcs1Sha1,
    ];

    /// The kind of key it goes with.
    pub(super) const fn kind(self) -> KeyKind {
        match self {
            Self::RsaPkcs1Sha1
            | Self::RsaPkcs1Sha256
            | Self::RsaPkcs1Sha384
            | Self::RsaPkcs1Sha512
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => KeyKind::Rsa,
            Self::EcdsaP256Sha256 | Self::EcdsaP256Sha384 => KeyKind::Ecdsa(Curve::P256),
            Self::EcdsaP384Sha256 | Self::EcdsaP384Sha384 => KeyKind::Ecdsa(Curve::P384),
            Self::EcdsaP521Sha512 => KeyKind::Ecdsa(Curve::P521),
            Self::Ed25519 => KeyKind::Ed25519,
        }
    }
}

/// What a signature key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    Ecdsa(Curve),
    Ed25519,
}

/// The NIST curves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// Octets of a coordinate, and of the order too.
    pub(super) const fn width(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The one scheme we sign with: the hash as strong as the curve (RFC 4754 §3).
    pub(super) const fn scheme(self) -> SignatureScheme {
        match self {
            Self::P256 => SignatureScheme::EcdsaP256Sha256,
            Self::P384 => SignatureScheme::EcdsaP384Sha384,
            Self::P521 => SignatureScheme::EcdsaP521Sha512,
        }
    }
}
