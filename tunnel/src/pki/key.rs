//! Making private keys.

use super::{PkiError, rsa};
use der::pem::{LineEnding, encode_string};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use std::fmt;
use std::str::FromStr;
use tidegate_ike::crypto::Secret;
use zeroize::Zeroizing;

/// What kind of key to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyChoice {
    /// ECDSA on P-256: small, quick, and known to all peers.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
    /// RSA, for peers that know nothing else.
    Rsa(RsaBits),
}

/// How long an RSA modulus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RsaBits {
    /// 2048
    Bits2048,
    /// 3072
    Bits3072,
    /// 4096
    Bits4096,
}

/// No kind of key that we make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseKeyChoiceError(String);

/// A private key that has just been made.
pub struct NewKey {
    pkcs8: Secret,
}

impl NewKey {
    /// Makes one.
    pub(super) fn generate(choice: KeyChoice) -> Result<Self, PkiError> {
        let random = SystemRandom::new();
        let made = |document: Result<ring::pkcs8::Document, _>| match document {
            Ok(document) => Ok(Zeroizing::new(document.as_ref().to_vec())),
            Err(ring::error::Unspecified) => Err(PkiError::Generate),
        };
        let pkcs8 = match choice {
            KeyChoice::EcdsaP256 => {
                made(EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random))?
            }
            KeyChoice::EcdsaP384 => {
                made(EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &random))?
            }
            // The older form, which names the private half alone: not all peers read the newer one.
            KeyChoice::Ed25519 => {
                made(Ed25519KeyPair::generate_pkcs8(&random)).map(|key| first_version(&key))??
            }
            KeyChoice::Rsa(bits) => rsa::generate(bits)?,
        };
        Ok(Self { pkcs8 })
    }

    /// PKCS#8 in DER.
    pub fn der(&self) -> &Secret {
        &self.pkcs8
    }

    /// PKCS#8 in PEM.
    pub fn pem(&self) -> Zeroizing<String> {
        let text = encode_string("PRIVATE KEY", LineEnding::LF, &self.pkcs8);
        Zeroizing::new(text.expect("the label is one that PEM allows, and the length fits"))
    }
}

/// RFC 8410 §7: the seed stands behind the same 16 bytes in all keys of the first version.
fn first_version(second: &[u8]) -> Result<Secret, PkiError> {
    const FRONT: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let seed = second.get(FRONT.len()..FRONT.len() + 32).ok_or(PkiError::Generate)?;
    Ok(Zeroizing::new([&FRONT[..], seed].concat()))
}

impl FromStr for KeyChoice {
    type Err = ParseKeyChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "ecdsa" | "p256" | "p-256" | "ecdsa-p256" => Ok(Self::EcdsaP256),
            "p384" | "p-384" | "ecdsa-p384" => Ok(Self::EcdsaP384),
            "ed25519" => Ok(Self::Ed25519),
            "rsa" | "rsa2048" | "rsa-2048" => Ok(Self::Rsa(RsaBits::Bits2048)),
            "rsa3072" | "rsa-3072" => Ok(Self::Rsa(RsaBits::Bits3072)),
            "rsa4096" | "rsa-4096" => Ok(Self::Rsa(RsaBits::Bits4096)),
            _ => Err(ParseKeyChoiceError(text.to_owned())),
        }
    }
}

impl fmt::Display for KeyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EcdsaP256 => f.write_str("p256"),
            Self::EcdsaP384 => f.write_str("p384"),
            Self::Ed25519 => f.write_str("ed25519"),
            Self::Rsa(bits) => write!(f, "rsa{}", bits.count()),
        }
    }
}

impl RsaBits {
    /// The number.
    pub const fn count(self) -> u32 {
        match self {
            Self::Bits2048 => 2048,
            Self::Bits3072 => 3072,
            Self::Bits4096 => 4096,
        }
    }
}

impl fmt::Display for ParseKeyChoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no kind of key: p256, p384, ed25519, rsa2048, rsa3072 or rsa4096", self.0)
    }
}

impl std::error::Error for ParseKeyChoiceError {}
