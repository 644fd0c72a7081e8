//! What the provider can do by itself: no handshake is faster than the arithmetic in it.

use crate::ike::Credentials;
use std::hint::black_box;
use std::sync::Arc;
use tidegate_ike::crypto::{
    GroupId, RING, SignatureEncoding, SignatureScheme, SigningKey, SystemRandom, VerifyInput,
};

/// As long as what an AUTH payload covers.
const MESSAGE: [u8; 400] = [0x5a; 400];

/// A key that signs, with a signature of its own to verify.
pub struct Signer {
    key: Arc<dyn SigningKey>,
    scheme: SignatureScheme,
    signature: Vec<u8>,
}

impl Signer {
    /// The key behind these credentials, where there is one.
    pub fn of(credentials: Credentials) -> Option<Self> {
        let key = credentials.key()?;
        let scheme = match credentials {
            Credentials::Rsa2048 => SignatureScheme::RsaPkcs1Sha256,
            Credentials::Psk | Credentials::EcdsaP256 => SignatureScheme::EcdsaP256Sha256,
        };
        let mut signer = Self { key, scheme, signature: Vec::new() };
        signer.signature = signer.sign();
        Some(signer)
    }

    /// Signs once.
    pub fn sign(&self) -> Vec<u8> {
        let random = &mut SystemRandom::new();
        self.key
            .sign(self.scheme, SignatureEncoding::Der, black_box(&MESSAGE), random)
            .expect("the key can do the scheme")
    }

    /// Verifies once.
    pub fn verify(&self) {
        let input = VerifyInput {
            public_key: self.key.public_key(),
            scheme: self.scheme,
            encoding: SignatureEncoding::Der,
            message: black_box(&MESSAGE),
            signature: &self.signature,
        };
        (RING.verify)(input).expect("the signature holds");
    }
}

/// One end's part of a key exchange: a value made, and the secret worked out.
pub fn agree() {
    let group = RING.group(GroupId::X25519).expect("ring has it");
    let random = &mut SystemRandom::new();
    let private = group.generate(random).expect("ring makes values");
    // The base point serves for the peer's value.
    let mut peer = [0; 32];
    peer[0] = 9;
    black_box(private.agree(&peer).expect("a good value"));
}
