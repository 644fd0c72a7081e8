//! The key schedule: from a key exchange to the keys of an IKE SA, and on to those of its children
//! (RFC 7296 §2.13, §2.14, §2.17 and §2.18).
//!
//! # What can join it later
//!
//! Each derivation of an IKE SA takes what its exchange agreed on as one value, [`Inputs`]. Further key
//! exchanges (RFC 9370 §2.2.2) repeat both steps with SK_d for a key, as [`IkeKeys::derive_rekeyed`] does
//! now. A postquantum preshared key (RFC 8784 §3) replaces SK_d and both [`AuthKeys`] by prf+ of themselves,
//! all of which live here.

use crate::crypto::{Prf, PrfKey, Secret};
use crate::sa::SpiPair;
use crate::wire::IkeSpi;
use std::fmt;
use tidegate_esp::Params;
use tidegate_esp::crypto::{KeyMaterial, Suite};
use zeroize::Zeroizing;

/// What both sides know once they have exchanged keys and nonces for an IKE SA. The initiator is whoever
/// began that exchange, even if the other side had begun the IKE SA which it replaces.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The shared secret g^ir.
    pub shared: &'a [u8],
    /// Ni, without its payload header.
    pub nonce_i: &'a [u8],
    /// Nr, without its payload header.
    pub nonce_r: &'a [u8],
    /// SPI of the new IKE SA that the initiator chose.
    pub spi_i: IkeSpi,
    /// SPI of the new IKE SA that the responder chose.
    pub spi_r: IkeSpi,
}

/// The keys that an IKE SA needs as long as it lives.
///
/// They are one block, in the order in which prf+ gives them: SK_d, SK_ai, SK_ar, SK_ei, SK_er.
pub struct IkeKeys {
    octets: Zeroizing<Box<[u8]>>,
    lengths: Lengths,
}

/// The keys that only IKE_AUTH needs, dropped after it.
pub struct AuthKeys {
    /// SK_pi, which goes into the initiator's AUTH payload.
    pub sk_pi: Secret,
    /// SK_pr, which goes into the responder's AUTH payload.
    pub sk_pr: Secret,
}

/// What it takes to read the messages of an IKE SA.
#[derive(Clone, Copy)]
pub struct Disclosed<'a> {
    /// Its SPIs.
    pub spis: SpiPair,
    /// Cipher and integrity algorithm of its messages.
    pub suite: Suite,
    /// Its keys.
    pub keys: &'a IkeKeys,
}

/// Is given all keys as they are made, for whoever has to look into what is sent. Where there is none, no key
/// leaves the SAs that it belongs to.
pub trait KeySink: Send {
    /// An IKE SA has keys. Neither end need have proved who it is yet: strangers can make us say this often.
    fn ike(&mut self, keys: Disclosed<'_>);

    /// One direction of a child has keys.
    fn child(&mut self, params: &Params);
}

impl IkeKeys {
    /// The keys of a first IKE SA (RFC 7296 §2.14).
    pub fn derive(
        prf: &dyn Prf,
        suite: Suite,
        inputs: &Inputs<'_>,
    ) -> Result<(Self, AuthKeys), PrfPlusError> {
        // The whole nonces are the key: only a PRF whose keys have a fixed length uses less of them.
        let nonces = Secret::new([inputs.nonce_i, inputs.nonce_r].concat());
        let skeyseed = prf.key(&nonces).compute(&[inputs.shared]);
        let lengths = Lengths::new(prf, suite);
        let stream = inputs.expand(prf, &skeyseed, lengths.lasting() + 2 * lengths.prf)?;
        let (lasting, auth) = stream.split_at(lengths.lasting());
        let (sk_pi, sk_pr) = auth.split_at(lengths.prf);
        let auth = AuthKeys { sk_pi: Secret::new(sk_pi.into()), sk_pr: Secret::new(sk_pr.into()) };
        Ok((Self { octets: Zeroizing::new(lasting.into()), lengths }, auth))
    }

    /// The keys of an IKE SA that replaces another (RFC 7296 §2.18): SKEYSEED by the PRF and the SK_d of the
    /// old one, the rest by the PRF of the new one. Nobody authenticates again, so SK_pi and SK_pr, which
    /// come last, are never made.
    pub fn derive_rekeyed(
        old_prf: &dyn Prf,
        old_sk_d: &[u8],
        prf: &dyn Prf,
        suite: Suite,
        inputs: &Inputs<'_>,
    ) -> Result<Self, PrfPlusError> {
        let skeyseed = old_prf.key(old_sk_d).compute(&[inputs.shared, inputs.nonce_i, inputs.nonce_r]);
        let lengths = Lengths::new(prf, suite);
        let stream = inputs.expand(prf, &skeyseed, lengths.lasting())?;
        Ok(Self { octets: Zeroizing::new(stream.as_slice().into()), lengths })
    }

    /// SK_d, from which the keys of children and successors come.
    pub fn sk_d(&self) -> &[u8] {
        self.part(0, self.lengths.prf)
    }

    /// SK_ei and SK_ai: for what the initiator of the IKE SA sends.
    pub fn initiator(&self) -> KeyMaterial {
        self.direction(0)
    }

    /// SK_er and SK_ar: for what the responder of the IKE SA sends.
    pub fn responder(&self) -> KeyMaterial {
        self.direction(1)
    }

    fn direction(&self, index: usize) -> KeyMaterial {
        let Lengths { prf, integrity, encryption } = self.lengths;
        KeyMaterial::new(
            self.part(prf + 2 * integrity + index * encryption, encryption),
            self.part(prf + index * integrity, integrity),
        )
    }

    fn part(&self, start: usize, length: usize) -> &[u8] {
        self.octets.get(start..start + length).unwrap_or_default()
    }
}

/// The keys of a child SA from the IKE SA's SK_d (RFC 7296 §2.17), with the shared secret of the exchange's
/// own key exchange if it had one: what the initiator of that exchange sends with, then what its responder
/// sends with. Within a direction the encryption key comes before the integrity key.
pub fn child_keys(
    prf: &dyn Prf,
    sk_d: &[u8],
    suite: Suite,
    shared: Option<&[u8]>,
    nonce_i: &[u8],
    nonce_r: &[u8],
) -> Result<(KeyMaterial, KeyMaterial), PrfPlusError> {
    let Lengths { encryption, integrity, .. } = Lengths::new(prf, suite);
    let seed = [shared.unwrap_or_default(), nonce_i, nonce_r];
    let stream = expand(&*prf.key(sk_d), &seed, 2 * (encryption + integrity))?;
    let (initiator, responder) = stream.split_at(encryption + integrity);
    let material = |keys: &[u8]| {
        let (encryption, integrity) = keys.split_at(encryption);
        KeyMaterial::new(encryption, integrity)
    };
    Ok((material(initiator), material(responder)))
}

/// Fills `out` with prf+(key, seed) (RFC 7296 §2.13). More than 255 blocks do not exist: nothing is written
/// then.
pub fn prf_plus(key: &dyn PrfKey, seed: &[&[u8]], out: &mut [u8]) -> Result<(), PrfPlusError> {
    let block_len = key.output_len().max(1);
    let blocks = out.len().div_ceil(block_len);
    if blocks > usize::from(u8::MAX) {
        return Err(PrfPlusError { blocks });
    }
    let seed = Secret::new(seed.concat());
    let mut previous: &[u8] = &[];
    for (block, counter) in out.chunks_mut(block_len).zip(1..=u8::MAX) {
        key.compute_into(&[previous, &seed, &[counter]], block);
        previous = block;
    }
    Ok(())
}

/// More was asked of prf+ than its one octet of counter can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrfPlusError {
    /// How many blocks it would have taken; 255 are the most.
    pub blocks: usize,
}

impl fmt::Display for PrfPlusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prf+ ends after 255 blocks, {} were asked of it", self.blocks)
    }
}

impl std::error::Error for PrfPlusError {}

/// Octets of each key.
#[derive(Clone, Copy)]
struct Lengths {
    prf: usize,
    encryption: usize,
    integrity: usize,
}

impl Lengths {
    fn new(prf: &dyn Prf, suite: Suite) -> Self {
        Self {
            prf: prf.output_len(),
            encryption: suite.encryption_key_len(),
            integrity: suite.integrity_key_len(),
        }
    }

    /// All that [`IkeKeys`] holds.
    const fn lasting(self) -> usize {
        self.prf + 2 * (self.integrity + self.encryption)
    }
}

impl Inputs<'_> {
    /// prf+(SKEYSEED, Ni | Nr | SPIi | SPIr).
    fn expand(&self, prf: &dyn Prf, skeyseed: &[u8], length: usize) -> Result<Secret, PrfPlusError> {
        let (spi_i, spi_r) = (self.spi_i.0.to_be_bytes(), self.spi_r.0.to_be_bytes());
        expand(&*prf.key(skeyseed), &[self.nonce_i, self.nonce_r, &spi_i, &spi_r], length)
    }
}

fn expand(key: &dyn PrfKey, seed: &[&[u8]], length: usize) -> Result<Secret, PrfPlusError> {
    let mut out = Secret::new(vec![0; length]);
    prf_plus(key, seed, &mut out)?;
    Ok(out)
}
