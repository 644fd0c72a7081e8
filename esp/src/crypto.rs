//! Cipher suites shared by ESP and the IKE SK payload: what they are, their sizes and their keys.

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

/// A cipher with the integrity algorithm it needs; combinations that make no sense cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suite {
    cipher: Cipher,
    integrity: Option<Integrity>,
    implicit_iv: bool,
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
    /// aws-lc-rs.
    #[cfg(feature = "aws-lc-rs")]
    AwsLc,
}
