//! A provider by RustCrypto for simulations and vectors: every random byte that shows in a message comes
//! from the `random` argument, so a run replays exactly.
//!
//! RSA signatures are PKCS#1 v1.5 only, which are deterministic; PSS would draw its salt from ring.

use super::private_key::PrivateKey;
use super::{
    Group, GroupId, KexError, LoadedKey, PrivateValue, Provider, RING, Random, Secret, SignatureScheme, modp,
    ring, rustcrypto,
};
use ::ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// RustCrypto with randomness from outside.
pub static SEEDED: Provider = Provider {
    name: "seeded",
    ciphers: tidegate_esp::crypto::Backend::Ring,
    prfs: ring::PRFS,
    groups: &[
        &X25519,
        &rustcrypto::ECP256,
        &rustcrypto::ECP384,
        &rustcrypto::ECP521,
        &modp::MODP2048,
        &modp::MODP3072,
        &modp::MODP4096,
    ],
    verify: RING.verify,
    load_key,
};

/// The private value with these octets: a scalar as wide as the curve wants, or a MODP exponent of at
/// most 320, 448 or 512 bits.
pub fn import(group: GroupId, private: &[u8]) -> Result<Box<dyn PrivateValue>, KexError> {
    match group {
        GroupId::X25519 => {
            let secret: [u8; 32] = private.try_into().map_err(|_| KexError::Provider)?;
            Ok(X25519Private::boxed(StaticSecret::from(secret)))
        }
        GroupId::Ecp256 => rustcrypto::ECP256.with_scalar(private),
        GroupId::Ecp384 => rustcrypto::ECP384.with_scalar(private),
        GroupId::Ecp521 => rustcrypto::ECP521.with_scalar(private),
        GroupId::Modp2048 => modp::MODP2048.with_exponent(private),
        GroupId::Modp3072 => modp::MODP3072.with_exponent(private),
        GroupId::Modp4096 => modp::MODP4096.with_exponent(private),
    }
}

fn load_key(der: &[u8]) -> LoadedKey {
    match PrivateKey::parse(der)? {
        PrivateKey::Rsa(key) => ring::load_rsa(key, RSA_SCHEMES),
        PrivateKey::Ecdsa(key) => rustcrypto::load_ecdsa(&key),
        PrivateKey::Ed25519(key) => ring::load_ed25519(&key),
    }
}

const RSA_SCHEMES: &[SignatureScheme] =
    &[SignatureScheme::RsaPkcs1Sha256, SignatureScheme::RsaPkcs1Sha384, SignatureScheme::RsaPkcs1Sha512];

struct X25519;

impl Group for X25519 {
    fn id(&self) -> GroupId {
        GroupId::X25519
    }

    fn public_len(&self) -> usize {
        self.id().public_len()
    }

    fn generate(&self, random: &mut dyn Random) -> Result<Box<dyn PrivateValue>, KexError> {
        let mut secret = Zeroizing::new([0; 32]);
        random.fill(&mut *secret);
        Ok(X25519Private::boxed(StaticSecret::from(*secret)))
    }
}

struct X25519Private {
    secret: StaticSecret,
    public: PublicKey,
}

impl X25519Private {
    fn boxed(secret: StaticSecret) -> Box<dyn PrivateValue> {
        Box::new(Self { public: PublicKey::from(&secret), secret })
    }
}

impl PrivateValue for X25519Private {
    fn public(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn agree(self: Box<Self>, peer: &[u8]) -> Result<Secret, KexError> {
        let peer: [u8; 32] =
            peer.try_into().map_err(|_| KexError::Length { expected: 32, actual: peer.len() })?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(peer));
        // RFC 8031 §2: a shared secret of zeros tells of a value of small order.
        if !shared.was_contributory() {
            return Err(KexError::InvalidPublic);
        }
        Ok(Secret::new(shared.as_bytes().to_vec()))
    }
}

/// Random bytes that a number decides: SHA-256 of the seed and a counter, block after block.
#[derive(Clone)]
pub struct SeededRandom {
    seed: u64,
    counter: u64,
    block: [u8; SHA256_OUTPUT_LEN],
    used: usize,
}

impl SeededRandom {
    /// The sequence of this seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed, counter: 0, block: [0; SHA256_OUTPUT_LEN], used: SHA256_OUTPUT_LEN }
    }

    fn octet(&mut self) -> u8 {
        if let Some(octet) = self.block.get(self.used) {
            self.used += 1;
            return *octet;
        }
        let mut input = [0; 16];
        let (seed, counter) = input.split_at_mut(8);
        seed.copy_from_slice(&self.seed.to_be_bytes());
        counter.copy_from_slice(&self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        digest(&SHA256, &input).as_ref().iter().zip(&mut self.block).for_each(|(from, to)| *to = *from);
        self.used = 1;
        self.block.first().copied().unwrap_or_default()
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill_with(|| self.octet());
    }
}
