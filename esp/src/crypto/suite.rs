//! A cipher and the integrity algorithm it needs, and the lengths that follow from both.

use super::{AesKey, Cipher, Integrity};

/// Salt behind the key of every AEAD here (RFC 4106 §8.1, RFC 7634 §2, RFC 4543 §3.2).
pub(crate) const SALT_LEN: usize = 4;
/// IV of every AEAD here: what is left of a 12-byte nonce after the salt.
pub(crate) const AEAD_IV_LEN: usize = 8;
/// ICV of every AEAD here.
pub(crate) const AEAD_ICV_LEN: usize = 16;
/// Block of AES, and so the IV of CBC.
pub(crate) const AES_BLOCK_LEN: usize = 16;

/// A cipher with the integrity algorithm it needs; combinations that make no sense cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suite {
    cipher: Cipher,
    integrity: Option<Integrity>,
    implicit_iv: bool,
}

impl Suite {
    /// A cipher that brings its own integrity. `None` for one that does not, and for 192-bit GCM and GMAC,
    /// which neither provider has.
    pub const fn aead(cipher: Cipher) -> Option<Self> {
        match cipher {
            Cipher::AesGcm16(AesKey::Bits128 | AesKey::Bits256)
            | Cipher::AesGmac(AesKey::Bits128 | AesKey::Bits256)
            | Cipher::ChaCha20Poly1305 => Some(Self { cipher, integrity: None, implicit_iv: false }),
            Cipher::AesGcm16(AesKey::Bits192)
            | Cipher::AesGmac(AesKey::Bits192)
            | Cipher::AesCbc(_)
            | Cipher::Null => None,
        }
    }

    /// A cipher that needs an integrity algorithm beside it; `None` for one that brings its own.
    pub const fn with_integrity(cipher: Cipher, integrity: Integrity) -> Option<Self> {
        match cipher {
            Cipher::AesCbc(_) | Cipher::Null => {
                Some(Self { cipher, integrity: Some(integrity), implicit_iv: false })
            }
            Cipher::AesGcm16(_) | Cipher::AesGmac(_) | Cipher::ChaCha20Poly1305 => None,
        }
    }

    /// The same suite with the IV taken from the sequence number instead of sent. Only the AEADs for which
    /// RFC 8750 §4 registers a transform have this form: `None` for the others.
    pub const fn with_implicit_iv(self) -> Option<Self> {
        match self.cipher {
            Cipher::AesGcm16(_) | Cipher::ChaCha20Poly1305 => Some(Self { implicit_iv: true, ..self }),
            Cipher::AesCbc(_) | Cipher::Null | Cipher::AesGmac(_) => None,
        }
    }

    /// The encryption algorithm.
    pub const fn cipher(self) -> Cipher {
        self.cipher
    }

    /// The integrity algorithm; `None` when the cipher brings its own.
    pub const fn integrity(self) -> Option<Integrity> {
        self.integrity
    }

    /// Whether the IV is derived from the sequence number (RFC 8750).
    pub const fn implicit_iv(self) -> bool {
        self.implicit_iv
    }

    /// Whether the cipher brings its own integrity.
    pub const fn is_aead(self) -> bool {
        self.integrity.is_none()
    }

    /// Length of the cipher's key and the salt behind it.
    pub const fn encryption_key_len(self) -> usize {
        match self.cipher {
            Cipher::AesGcm16(key) | Cipher::AesGmac(key) => key.byte_len() + SALT_LEN,
            Cipher::ChaCha20Poly1305 => 32 + SALT_LEN,
            Cipher::AesCbc(key) => key.byte_len(),
            Cipher::Null => 0,
        }
    }

    /// Length of the integrity key; 0 for AEAD.
    pub const fn integrity_key_len(self) -> usize {
        match self.integrity {
            Some(integrity) => integrity.key_len(),
            None => 0,
        }
    }

    /// Length of the IV on the wire.
    pub const fn iv_len(self) -> usize {
        if self.implicit_iv { 0 } else { self.cipher_iv_len() }
    }

    /// Length of the IV that the cipher takes, sent or not.
    pub const fn cipher_iv_len(self) -> usize {
        match self.cipher {
            Cipher::AesGcm16(_) | Cipher::AesGmac(_) | Cipher::ChaCha20Poly1305 => AEAD_IV_LEN,
            Cipher::AesCbc(_) => AES_BLOCK_LEN,
            Cipher::Null => 0,
        }
    }

    /// Length of the integrity check value.
    pub const fn icv_len(self) -> usize {
        match self.integrity {
            Some(integrity) => integrity.icv_len(),
            None => AEAD_ICV_LEN,
        }
    }

    /// What the ciphertext must be a multiple of: the cipher's block, and never less than the 4 bytes to
    /// which ESP aligns its trailer (RFC 4303 §2.4).
    pub const fn block_len(self) -> usize {
        match self.cipher {
            Cipher::AesCbc(_) => AES_BLOCK_LEN,
            Cipher::AesGcm16(_) | Cipher::AesGmac(_) | Cipher::ChaCha20Poly1305 | Cipher::Null => 4,
        }
    }
}
