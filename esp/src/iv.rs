//! Where the IVs of an outbound SA come from.

use crate::crypto::{Cipher, Suite};
use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret from which an SA draws IVs that nobody can foretell. It must come fresh from a random source
/// for every SA, and is used by AES-CBC alone.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct IvSecret([u8; 16]);

impl IvSecret {
    /// Takes bytes of a random source.
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }
}

/// Makes the IV of each packet from its sequence number.
pub(crate) enum IvSource {
    /// The number itself. An AEAD only needs it not to come twice under its key, and a sequence number does
    /// not (RFC 4106 §3.1, RFC 7634 §2).
    Number,
    /// The number encrypted under a secret key of its own. CBC needs an IV that cannot be foretold
    /// (RFC 3602 §2.1, §3): a block cipher under an unknown key is as good as a random source, a random
    /// source need not be asked on the path of a packet, and no IV repeats.
    Encrypted(Box<Aes128Enc>),
    /// There is none.
    None,
}

impl IvSource {
    pub(crate) fn new(suite: Suite, secret: &IvSecret) -> Self {
        match suite.cipher() {
            Cipher::AesGcm16(_) | Cipher::ChaCha20Poly1305 | Cipher::AesGmac(_) => {
                if suite.implicit_iv() {
                    Self::None
                } else {
                    Self::Number
                }
            }
            Cipher::AesCbc(_) => Self::Encrypted(Box::new(Aes128Enc::new(&secret.0.into()))),
            Cipher::Null => Self::None,
        }
    }

    /// Writes the IV of one packet; `None` when `iv` has not the length of one.
    #[inline]
    pub(crate) fn write(&self, number: u64, iv: &mut [u8]) -> Option<()> {
        match self {
            Self::Number => *<&mut [u8; 8]>::try_from(iv).ok()? = number.to_be_bytes(),
            Self::Encrypted(cipher) => {
                let mut block = u128::from(number).to_be_bytes().into();
                cipher.encrypt_block(&mut block);
                *<&mut [u8; 16]>::try_from(iv).ok()? = block.into();
            }
            Self::None => {}
        }
        Some(())
    }
}
