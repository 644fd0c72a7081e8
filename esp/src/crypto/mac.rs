//! Truncated HMAC of either provider, over a packet given in pieces.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Backend, Integrity};
use subtle::ConstantTimeEq;

/// A keyed HMAC with the length to which its codes are cut.
pub(super) struct Mac {
    integrity: Integrity,
    key: Key,
}

enum Key {
    Ring(ring::hmac::Key),
    #[cfg(feature = "aws-lc-rs")]
    AwsLc(Box<aws_lc_rs::hmac::Key>),
}

impl Mac {
    /// `None` when the length is not the one the algorithm is defined for.
    pub(super) fn new(backend: Backend, integrity: Integrity, key: &[u8]) -> Option<Self> {
        if key.len() != integrity.key_len() {
            return None;
        }
        let key = match backend {
            Backend::Ring => Key::Ring(ring::hmac::Key::new(ring_algorithm(integrity), key)),
            #[cfg(feature = "aws-lc-rs")]
            Backend::AwsLc => {
                Key::AwsLc(Box::new(aws_lc_rs::hmac::Key::new(aws_lc_algorithm(integrity), key)))
            }
        };
        Some(Self { integrity, key })
    }

    pub(super) fn icv_len(&self) -> usize {
        self.integrity.icv_len()
    }

    /// Writes the code of all pieces, one behind the other, into `icv`; `None` when that has another length.
    #[inline]
    pub(super) fn sign(&self, pieces: [&[u8]; 4], icv: &mut [u8]) -> Option<()> {
        if icv.len() != self.integrity.icv_len() {
            return None;
        }
        self.with_code(pieces, |code| {
            icv.copy_from_slice(code.get(..icv.len())?);
            Some(())
        })
    }

    /// Whether `icv` is the code of all pieces; compared in constant time.
    #[inline]
    pub(super) fn verify(&self, pieces: [&[u8]; 4], icv: &[u8]) -> bool {
        if icv.len() != self.integrity.icv_len() {
            return false;
        }
        self.with_code(pieces, |code| code.get(..icv.len()).is_some_and(|code| code.ct_eq(icv).into()))
    }

    #[inline]
    fn with_code<R>(&self, pieces: [&[u8]; 4], then: impl FnOnce(&[u8]) -> R) -> R {
        match &self.key {
            Key::Ring(key) => {
                let mut context = ring::hmac::Context::with_key(key);
                for piece in pieces {
                    context.update(piece);
                }
                then(context.sign().as_ref())
            }
            #[cfg(feature = "aws-lc-rs")]
            Key::AwsLc(key) => {
                let mut context = aws_lc_rs::hmac::Context::with_key(key);
                for piece in pieces {
                    context.update(piece);
                }
                then(context.sign().as_ref())
            }
        }
    }
}

fn ring_algorithm(integrity: Integrity) -> ring::hmac::Algorithm {
    match integrity {
        Integrity::HmacSha1_96 => ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Integrity::HmacSha256_128 => ring::hmac::HMAC_SHA256,
        Integrity::HmacSha384_192 => ring::hmac::HMAC_SHA384,
        Integrity::HmacSha512_256 => ring::hmac::HMAC_SHA512,
    }
}

#[cfg(feature = "aws-lc-rs")]
fn aws_lc_algorithm(integrity: Integrity) -> aws_lc_rs::hmac::Algorithm {
    match integrity {
        Integrity::HmacSha1_96 => aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Integrity::HmacSha256_128 => aws_lc_rs::hmac::HMAC_SHA256,
        Integrity::HmacSha384_192 => aws_lc_rs::hmac::HMAC_SHA384,
        Integrity::HmacSha512_256 => aws_lc_rs::hmac::HMAC_SHA512,
    }
}
