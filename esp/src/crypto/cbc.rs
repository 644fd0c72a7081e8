//! AES-CBC on whole blocks, in place.
//!
//! A schedule of RustCrypto has room for its bit-sliced form, up to 960 bytes, so it is boxed: an SA of an
//! AEAD does not pay for it.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::AesKey;
use super::suite::AES_BLOCK_LEN;
use aes::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, BlockSizeUser,
    InnerIvInit, KeyInit, consts::U16,
};
use aes::{Aes128Dec, Aes128Enc, Aes192Dec, Aes192Enc, Aes256Dec, Aes256Enc};

/// The body does not consist of whole blocks.
pub(super) struct PartialBlock;

/// A schedule that encrypts.
pub(super) enum Encrypt {
    Aes128(Box<Aes128Enc>),
    Aes192(Box<Aes192Enc>),
    Aes256(Box<Aes256Enc>),
}

/// A schedule that decrypts.
pub(super) enum Decrypt {
    Aes128(Box<Aes128Dec>),
    Aes192(Box<Aes192Dec>),
    Aes256(Box<Aes256Dec>),
}

impl Encrypt {
    /// `None` when `key` has another length than `size` says.
    pub(super) fn new(size: AesKey, key: &[u8]) -> Option<Self> {
        Some(match size {
            AesKey::Bits128 => Self::Aes128(Box::new(Aes128Enc::new_from_slice(key).ok()?)),
            AesKey::Bits192 => Self::Aes192(Box::new(Aes192Enc::new_from_slice(key).ok()?)),
            AesKey::Bits256 => Self::Aes256(Box::new(Aes256Enc::new_from_slice(key).ok()?)),
        })
    }

    pub(super) fn apply(&self, iv: &[u8; AES_BLOCK_LEN], body: &mut [u8]) -> Result<(), PartialBlock> {
        match self {
            Self::Aes128(key) => encrypt(&**key, iv, body),
            Self::Aes192(key) => encrypt(&**key, iv, body),
            Self::Aes256(key) => encrypt(&**key, iv, body),
        }
    }
}

impl Decrypt {
    /// `None` when `key` has another length than `size` says.
    pub(super) fn new(size: AesKey, key: &[u8]) -> Option<Self> {
        Some(match size {
            AesKey::Bits128 => Self::Aes128(Box::new(Aes128Dec::new_from_slice(key).ok()?)),
            AesKey::Bits192 => Self::Aes192(Box::new(Aes192Dec::new_from_slice(key).ok()?)),
            AesKey::Bits256 => Self::Aes256(Box::new(Aes256Dec::new_from_slice(key).ok()?)),
        })
    }

    pub(super) fn apply(&self, iv: &[u8; AES_BLOCK_LEN], body: &mut [u8]) -> Result<(), PartialBlock> {
        match self {
            Self::Aes128(key) => decrypt(&**key, iv, body),
            Self::Aes192(key) => decrypt(&**key, iv, body),
            Self::Aes256(key) => decrypt(&**key, iv, body),
        }
    }
}

fn encrypt<C>(key: &C, iv: &[u8; AES_BLOCK_LEN], body: &mut [u8]) -> Result<(), PartialBlock>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let (blocks, []) = Array::slice_as_chunks_mut(body) else {
        return Err(PartialBlock);
    };
    cbc::Encryptor::inner_iv_init(key, &(*iv).into()).encrypt_blocks(blocks);
    Ok(())
}

fn decrypt<C>(key: &C, iv: &[u8; AES_BLOCK_LEN], body: &mut [u8]) -> Result<(), PartialBlock>
where
    C: BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
{
    let (blocks, []) = Array::slice_as_chunks_mut(body) else {
        return Err(PartialBlock);
    };
    cbc::Decryptor::inner_iv_init(key, &(*iv).into()).decrypt_blocks(blocks);
    Ok(())
}
