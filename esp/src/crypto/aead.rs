//! AEAD of either provider under a nonce made of a salt and the packet's IV.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::suite::{AEAD_ICV_LEN, AEAD_IV_LEN, SALT_LEN};
use super::{AesKey, Backend, Cipher};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Not authentic, or longer than the cipher can take.
pub(super) struct Refused;

/// An expanded AEAD key with its salt; it serves both directions.
pub(super) struct Aead {
    salt: Salt,
    key: Key,
}

#[derive(Zeroize, ZeroizeOnDrop)]
struct Salt([u8; SALT_LEN]);

#[cfg_attr(
    feature = "aws-lc-rs",
    expect(clippy::large_enum_variant, reason = "ring's schedule stays inline: it is what most SAs have")
)]
enum Key {
    Ring(ring::aead::LessSafeKey),
    #[cfg(feature = "aws-lc-rs")]
    AwsLc(aws_lc_rs::aead::LessSafeKey),
}

impl Aead {
    /// `None` when the length does not fit the cipher, or the cipher is no AEAD.
    pub(super) fn new(backend: Backend, cipher: Cipher, key_and_salt: &[u8]) -> Option<Self> {
        let (key, salt) = key_and_salt.split_last_chunk::<SALT_LEN>()?;
        let key = match backend {
            Backend::Ring => {
                use ring::aead::{LessSafeKey, UnboundKey};
                Key::Ring(LessSafeKey::new(UnboundKey::new(ring_algorithm(cipher)?, key).ok()?))
            }
            #[cfg(feature = "aws-lc-rs")]
            Backend::AwsLc => {
                use aws_lc_rs::aead::{LessSafeKey, UnboundKey};
                Key::AwsLc(LessSafeKey::new(UnboundKey::new(aws_lc_algorithm(cipher)?, key).ok()?))
            }
        };
        Some(Self { salt: Salt(*salt), key })
    }

    #[inline]
    pub(super) fn seal(
        &self,
        iv: &[u8; AEAD_IV_LEN],
        aad: &[u8],
        body: &mut [u8],
        icv: &mut [u8; AEAD_ICV_LEN],
    ) -> Result<(), Refused> {
        let nonce = self.nonce(iv);
        match &self.key {
            Key::Ring(key) => {
                use ring::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), body).map_err(|_| Refused)?;
                *icv = tag.as_ref().try_into().map_err(|_| Refused)?;
            }
            #[cfg(feature = "aws-lc-rs")]
            Key::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), body).map_err(|_| Refused)?;
                *icv = tag.as_ref().try_into().map_err(|_| Refused)?;
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn open<'a>(
        &self,
        iv: &[u8; AEAD_IV_LEN],
        aad: &[u8],
        body_and_icv: &'a mut [u8],
    ) -> Result<&'a mut [u8], Refused> {
        let nonce = self.nonce(iv);
        match &self.key {
            Key::Ring(key) => {
                use ring::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_in_place(nonce, Aad::from(aad), body_and_icv).map_err(|_| Refused)
            }
            #[cfg(feature = "aws-lc-rs")]
            Key::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_in_place(nonce, Aad::from(aad), body_and_icv).map_err(|_| Refused)
            }
        }
    }

    /// Salt first, then the IV (RFC 4106 §4, RFC 7634 §2).
    #[inline]
    fn nonce(&self, iv: &[u8; AEAD_IV_LEN]) -> [u8; SALT_LEN + AEAD_IV_LEN] {
        // Eight bytes and four, as the cipher reads them: a load that spans two stores waits for both.
        let (salt, iv) = (u32::from_be_bytes(self.salt.0), u64::from_be_bytes(*iv));
        let mut nonce = [0; SALT_LEN + AEAD_IV_LEN];
        let (front, back) = nonce.split_at_mut(8);
        front.copy_from_slice(&(u64::from(salt) << 32 | iv >> 32).to_be_bytes());
        back.copy_from_slice(&(iv as u32).to_be_bytes());
        nonce
    }
}

fn ring_algorithm(cipher: Cipher) -> Option<&'static ring::aead::Algorithm> {
    use ring::aead::{AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305};
    match cipher {
        Cipher::AesGcm16(AesKey::Bits128) | Cipher::AesGmac(AesKey::Bits128) => Some(&AES_128_GCM),
        Cipher::AesGcm16(AesKey::Bits256) | Cipher::AesGmac(AesKey::Bits256) => Some(&AES_256_GCM),
        Cipher::ChaCha20Poly1305 => Some(&CHACHA20_POLY1305),
        Cipher::AesGcm16(AesKey::Bits192)
        | Cipher::AesGmac(AesKey::Bits192)
        | Cipher::AesCbc(_)
        | Cipher::Null => None,
    }
}

#[cfg(feature = "aws-lc-rs")]
fn aws_lc_algorithm(cipher: Cipher) -> Option<&'static aws_lc_rs::aead::Algorithm> {
    use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305};
    match cipher {
        Cipher::AesGcm16(AesKey::Bits128) | Cipher::AesGmac(AesKey::Bits128) => Some(&AES_128_GCM),
        Cipher::AesGcm16(AesKey::Bits256) | Cipher::AesGmac(AesKey::Bits256) => Some(&AES_256_GCM),
        Cipher::ChaCha20Poly1305 => Some(&CHACHA20_POLY1305),
        Cipher::AesGcm16(AesKey::Bits192)
        | Cipher::AesGmac(AesKey::Bits192)
        | Cipher::AesCbc(_)
        | Cipher::Null => None,
    }
}
