//! Cipher suites shared by ESP and the IKE SK payload: what they are, their sizes, their keys, and the two
//! operations on a packet.
//!
//! [`SealingKey`] and [`OpeningKey`] work in place and never allocate after they are made. They are enums
//! underneath: no virtual call stands on the way of a packet.

mod aead;
mod cbc;
mod key;
mod mac;
mod suite;

pub use key::{KeyLengthError, KeyRole, OpenError, OpeningKey, SealError, SealingKey};
pub use suite::Suite;
pub(crate) use suite::{AEAD_ICV_LEN, AEAD_IV_LEN};

use zeroize::Zeroizing;

/// Key length of AES.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AesKey {
    /// 128 bits.
    Bits128,
    /// 192 bits.
    Bits192,
    /// 256 bits.
    Bits256,
}

/// Encryption algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cipher {
    /// AES-GCM with a 16-byte ICV (RFC 4106, RFC 5282); 128 or 256 bits.
    AesGcm16(AesKey),
    /// ChaCha20-Poly1305 (RFC 7634).
    ChaCha20Poly1305,
    /// AES-CBC (RFC 3602).
    AesCbc(AesKey),
    /// No encryption (RFC 2410): ESP only.
    Null,
    /// Integrity alone by AES-GMAC (RFC 4543): ESP only; 128 or 256 bits.
    AesGmac(AesKey),
}

/// Integrity algorithms that go with a cipher which has none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Integrity {
    /// HMAC-SHA-1-96 (RFC 2404): only where an operator asks for it.
    HmacSha1_96,
    /// HMAC-SHA-256-128 (RFC 4868).
    HmacSha256_128,
    /// HMAC-SHA-384-192 (RFC 4868).
    HmacSha384_192,
    /// HMAC-SHA-512-256 (RFC 4868).
    HmacSha512_256,
}

/// The keys of one direction: the cipher's key with its salt, and the integrity key.
#[derive(Clone)]
pub struct KeyMaterial {
    /// Key of the cipher, the salt (where it has one) behind it.
    pub encryption: Zeroizing<Vec<u8>>,
    /// Key of the integrity algorithm; empty for AEAD.
    pub integrity: Zeroizing<Vec<u8>>,
}

/// Which library seals and opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// ring, with RustCrypto's AES-CBC.
    Ring,
    /// aws-lc-rs, with RustCrypto's AES-CBC: aws-lc-rs has CBC only with a padding of its own.
    #[cfg(feature = "aws-lc-rs")]
    AwsLc,
}

impl AesKey {
    /// Length in bytes.
    pub const fn byte_len(self) -> usize {
        match self {
            Self::Bits128 => 16,
            Self::Bits192 => 24,
            Self::Bits256 => 32,
        }
    }
}

impl Integrity {
    /// Length of the key, which is that of the hash (RFC 4868 §2.1.1, RFC 2404 §3).
    pub const fn key_len(self) -> usize {
        match self {
            Self::HmacSha1_96 => 20,
            Self::HmacSha256_128 => 32,
            Self::HmacSha384_192 => 48,
            Self::HmacSha512_256 => 64,
        }
    }

    /// Length of the truncated code on the wire.
    pub const fn icv_len(self) -> usize {
        match self {
            Self::HmacSha1_96 => 12,
            Self::HmacSha256_128 => 16,
            Self::HmacSha384_192 => 24,
            Self::HmacSha512_256 => 32,
        }
    }
}

impl KeyMaterial {
    /// Copies both keys; the copies are wiped when dropped.
    pub fn new(encryption: &[u8], integrity: &[u8]) -> Self {
        Self {
            encryption: Zeroizing::new(encryption.to_vec()),
            integrity: Zeroizing::new(integrity.to_vec()),
        }
    }
}
