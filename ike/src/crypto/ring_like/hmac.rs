//! The HMAC PRFs (RFC 2104, RFC 4868), compiled against ring and against aws-lc-rs.

use super::library::hmac::{
    Algorithm, Context, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, Key,
};
use crate::crypto::{Prf, PrfId, PrfKey};

pub(in crate::crypto) static PRFS: &[&dyn Prf] =
    &[&Hmac(PrfId::HmacSha256), &Hmac(PrfId::HmacSha384), &Hmac(PrfId::HmacSha512), &Hmac(PrfId::HmacSha1)];

struct Hmac(PrfId);

impl Prf for Hmac {
    fn id(&self) -> PrfId {
        self.0
    }

    fn output_len(&self) -> usize {
        self.0.output_len()
    }

    fn key(&self, key: &[u8]) -> Box<dyn PrfKey> {
        Box::new(HmacKey { output_len: self.output_len(), key: Key::new(algorithm(self.0), key) })
    }
}

struct HmacKey {
    output_len: usize,
    key: Key,
}

impl PrfKey for HmacKey {
    fn output_len(&self) -> usize {
        self.output_len
    }

    fn compute_into(&self, parts: &[&[u8]], out: &mut [u8]) {
        let mut context = Context::with_key(&self.key);
        for part in parts {
            context.update(part);
        }
        let tag = context.sign();
        out.iter_mut().zip(tag.as_ref()).for_each(|(out, octet)| *out = *octet);
    }
}

fn algorithm(id: PrfId) -> Algorithm {
    match id {
        PrfId::HmacSha1 => HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        PrfId::HmacSha256 => HMAC_SHA256,
        PrfId::HmacSha384 => HMAC_SHA384,
        PrfId::HmacSha512 => HMAC_SHA512,
    }
}
