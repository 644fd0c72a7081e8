//! Keys that seal and open one packet at a time.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::aead::Aead;
use super::cbc::{Decrypt, Encrypt};
use super::mac::Mac;
use super::suite::AEAD_ICV_LEN;
use super::{Backend, Cipher, KeyMaterial, Suite};
use std::error::Error;
use std::fmt;

/// Seals packets of one direction.
///
/// It does not know which IVs it has been given: that no IV comes twice under one key (AEAD), or can be
/// foretold (CBC), is the caller's part.
pub struct SealingKey {
    suite: Suite,
    algorithm: Algorithm<Encrypt>,
}

/// Opens packets of one direction.
pub struct OpeningKey {
    suite: Suite,
    algorithm: Algorithm<Decrypt>,
}

/// A key has not the length its suite asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLengthError {
    /// Which of the two keys.
    pub role: KeyRole,
    /// What the suite asks for, in bytes.
    pub expected: usize,
    /// What was given, in bytes.
    pub actual: usize,
}

/// The two keys of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyRole {
    /// The cipher's key with its salt.
    Encryption,
    /// The integrity algorithm's key.
    Integrity,
}

/// Why a packet was not sealed: each is a fault of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SealError {
    /// The IV has not the length that the cipher takes.
    IvLength,
    /// The room for the ICV has not the length of an ICV.
    IcvLength,
    /// The body is no whole number of blocks, or more than the cipher can take at once.
    BodyLength,
    /// A tail was given to an AEAD, which authenticates nothing behind its body.
    Tail,
}

/// Why a packet was not opened. What was given for it may have been overwritten and holds no plaintext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenError {
    /// There is not even room for an ICV.
    TooShort,
    /// The ICV does not match: forged, damaged, or sealed under another key.
    Integrity,
    /// Authentic, yet no whole number of blocks.
    PartialBlock,
    /// The IV has not the length that the cipher takes.
    IvLength,
    /// A tail was given to an AEAD, which authenticates nothing behind its body.
    Tail,
}

#[expect(clippy::large_enum_variant, reason = "an AEAD's schedule stays inline: it is what most SAs have")]
enum Algorithm<C> {
    Aead(Aead),
    Mac { cipher: Option<C>, mac: Mac },
}

impl SealingKey {
    /// Expands the keys of one direction.
    pub fn new(backend: Backend, suite: Suite, keys: &KeyMaterial) -> Result<Self, KeyLengthError> {
        Ok(Self { suite, algorithm: Algorithm::new(backend, suite, keys, Encrypt::new)? })
    }

    /// The suite it was made for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Encrypts `body` in place and writes the check value of everything into `icv`.
    ///
    /// For an AEAD `iv` follows the salt in the nonce, `aad` is the associated data and `tail` is empty.
    /// Else the check value covers `aad`, `iv`, the ciphertext and `tail`, in this order. With an implicit
    /// IV (RFC 8750) `iv` is still given: it is what was not sent. For AES-GMAC (RFC 4543) everything
    /// is associated data and `body` is empty.
    #[inline]
    pub fn seal(
        &self,
        iv: &[u8],
        aad: &[u8],
        body: &mut [u8],
        tail: &[u8],
        icv: &mut [u8],
    ) -> Result<(), SealError> {
        match &self.algorithm {
            Algorithm::Aead(aead) => {
                let iv = iv.try_into().map_err(|_| SealError::IvLength)?;
                let icv = icv.try_into().map_err(|_| SealError::IcvLength)?;
                if !tail.is_empty() {
                    return Err(SealError::Tail);
                }
                aead.seal(iv, aad, body, icv).map_err(|_| SealError::BodyLength)
            }
            Algorithm::Mac { cipher, mac } => {
                if let Some(cipher) = cipher {
                    let iv = iv.try_into().map_err(|_| SealError::IvLength)?;
                    cipher.apply(iv, body).map_err(|_| SealError::BodyLength)?;
                }
                mac.sign([aad, iv, body, tail], icv).ok_or(SealError::IcvLength)
            }
        }
    }
}

impl OpeningKey {
    /// Expands the keys of one direction.
    pub fn new(backend: Backend, suite: Suite, keys: &KeyMaterial) -> Result<Self, KeyLengthError> {
        Ok(Self { suite, algorithm: Algorithm::new(backend, suite, keys, Decrypt::new)? })
    }

    /// The suite it was made for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Checks the ICV at the end of `body_and_icv`, and only then decrypts what is before it, in place.
    /// The arguments mean what they mean to [`SealingKey::seal`].
    #[inline]
    pub fn open<'a>(
        &self,
        iv: &[u8],
        aad: &[u8],
        body_and_icv: &'a mut [u8],
        tail: &[u8],
    ) -> Result<&'a mut [u8], OpenError> {
        match &self.algorithm {
            Algorithm::Aead(aead) => {
                if body_and_icv.len() < AEAD_ICV_LEN {
                    return Err(OpenError::TooShort);
                }
                let iv = iv.try_into().map_err(|_| OpenError::IvLength)?;
                if !tail.is_empty() {
                    return Err(OpenError::Tail);
                }
                aead.open(iv, aad, body_and_icv).map_err(|_| OpenError::Integrity)
            }
            Algorithm::Mac { cipher, mac } => {
                let body_len = body_and_icv.len().checked_sub(mac.icv_len()).ok_or(OpenError::TooShort)?;
                let (body, icv) = body_and_icv.split_at_mut_checked(body_len).ok_or(OpenError::TooShort)?;
                if !mac.verify([aad, iv, body, tail], icv) {
                    return Err(OpenError::Integrity);
                }
                if let Some(cipher) = cipher {
                    let iv = iv.try_into().map_err(|_| OpenError::IvLength)?;
                    cipher.apply(iv, body).map_err(|_| OpenError::PartialBlock)?;
                }
                Ok(body)
            }
        }
    }
}

impl<C> Algorithm<C> {
    fn new(
        backend: Backend,
        suite: Suite,
        keys: &KeyMaterial,
        schedule: fn(super::AesKey, &[u8]) -> Option<C>,
    ) -> Result<Self, KeyLengthError> {
        let encryption_error = KeyLengthError {
            role: KeyRole::Encryption,
            expected: suite.encryption_key_len(),
            actual: keys.encryption.len(),
        };
        let integrity_error = KeyLengthError {
            role: KeyRole::Integrity,
            expected: suite.integrity_key_len(),
            actual: keys.integrity.len(),
        };
        if encryption_error.expected != encryption_error.actual {
            return Err(encryption_error);
        }
        if integrity_error.expected != integrity_error.actual {
            return Err(integrity_error);
        }
        let Some(integrity) = suite.integrity() else {
            let aead = Aead::new(backend, suite.cipher(), &keys.encryption);
            return Ok(Self::Aead(aead.ok_or(encryption_error)?));
        };
        let cipher = match suite.cipher() {
            Cipher::AesCbc(size) => Some(schedule(size, &keys.encryption).ok_or(encryption_error)?),
            Cipher::Null | Cipher::AesGcm16(_) | Cipher::AesGmac(_) | Cipher::ChaCha20Poly1305 => None,
        };
        let mac = Mac::new(backend, integrity, &keys.integrity).ok_or(integrity_error)?;
        Ok(Self::Mac { cipher, mac })
    }
}

impl fmt::Display for KeyLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            KeyRole::Encryption => "encryption",
            KeyRole::Integrity => "integrity",
        };
        write!(f, "the {role} key has {} bytes where the suite takes {}", self.actual, self.expected)
    }
}

impl Error for KeyLengthError {}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IvLength => "the IV has a wrong length",
            Self::IcvLength => "the room for the check value has a wrong length",
            Self::BodyLength => "the body has a length that the cipher cannot take",
            Self::Tail => "an AEAD takes no tail",
        })
    }
}

impl Error for SealError {}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "too short for a check value",
            Self::Integrity => "the check value does not match",
            Self::PartialBlock => "no whole number of blocks",
            Self::IvLength => "the IV has a wrong length",
            Self::Tail => "an AEAD takes no tail",
        })
    }
}

impl Error for OpenError {}
