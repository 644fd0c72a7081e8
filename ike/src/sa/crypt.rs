//! Seals and opens the messages of one IKE SA.
//!
//! The keys are kept as they were derived and expanded at each use: IKE messages are rare, and an idle SA
//! should be small.

use super::{Role, SpiPair};
use crate::counters::Drop;
use crate::crypto::{Prf, PrfId, Provider, Random};
use crate::keys::{Disclosed, IkeKeys};
use crate::verdict::{Cause, Culprit, Verdict};
use crate::wire::{
    Envelope, ExchangeType, Header, MessageId, Part, PayloadChain, Sealed, SealingSizes, WireError, split,
    unpad,
};
use tidegate_esp::crypto::{OpeningKey, SealingKey, Suite};

/// The keys of an IKE SA, and which half of them is ours.
pub(crate) struct Crypt {
    provider: &'static Provider,
    suite: Suite,
    prf: PrfId,
    keys: IkeKeys,
    role: Role,
    next_iv: u64,
}

/// What integrity has held for.
pub(crate) enum Opened {
    Whole { first: u8, payloads: Vec<u8>, unsupported_critical: Option<u8> },
    Fragment { number: u16, total: u16, first: u8, payloads: Vec<u8> },
}

/// A message could not be sealed: it is too long, or the keys do not fit the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CannotSeal;

/// What a message of ours is about.
#[derive(Clone, Copy)]
pub(crate) struct Envoy {
    pub(crate) exchange: ExchangeType,
    pub(crate) response: bool,
    pub(crate) id: MessageId,
    /// Longest datagram, where the peer takes fragments.
    pub(crate) limit: Option<usize>,
}

impl Opened {
    /// Whether it stands for the whole message, as the first fragment does.
    pub(crate) fn is_first(&self) -> bool {
        matches!(self, Self::Whole { .. } | Self::Fragment { number: 1, .. })
    }
}

impl Crypt {
    pub(crate) fn new(
        provider: &'static Provider,
        suite: Suite,
        prf: PrfId,
        keys: IkeKeys,
        role: Role,
    ) -> Self {
        Self { provider, suite, prf, keys, role, next_iv: 0 }
    }

    /// The PRF of the SA.
    pub(crate) fn prf(&self, provider: &'static Provider) -> Result<&'static dyn Prf, Verdict> {
        provider
            .prf(self.prf)
            .ok_or(Verdict::new(Culprit::Us, Cause::Unexpected("PRF that the provider lacks")))
    }

    /// All that it takes to read the messages of the SA.
    pub(crate) fn disclosed(&self, spis: SpiPair) -> Disclosed<'_> {
        Disclosed { spis, suite: self.suite, keys: &self.keys }
    }

    /// What the keys of children and of successors are made from.
    pub(crate) fn sk_d(&self) -> &[u8] {
        self.keys.sk_d()
    }

    /// Seals a message, in fragments if it is too long for one datagram.
    pub(crate) fn seal(
        &mut self,
        spis: SpiPair,
        envoy: Envoy,
        chain: &PayloadChain,
        random: &mut dyn Random,
    ) -> Result<Vec<Vec<u8>>, CannotSeal> {
        let header = Header {
            initiator_spi: spis.initiator,
            responder_spi: spis.responder,
            next_payload: 0,
            major_version: Header::MAJOR_VERSION,
            minor_version: 0,
            exchange: envoy.exchange,
            from_initiator: self.role.sends_as_initiator(),
            higher_version: false,
            response: envoy.response,
            message_id: envoy.id,
            length: 0,
        };
        let sizes = SealingSizes {
            iv: self.suite.iv_len(),
            block: if self.suite.is_aead() { 1 } else { self.suite.block_len() },
            icv: self.suite.icv_len(),
        };
        let keys = match self.role {
            Role::Initiator => self.keys.initiator(),
            Role::Responder => self.keys.responder(),
        };
        let key = SealingKey::new(self.provider.ciphers, self.suite, &keys).map_err(|_| CannotSeal)?;
        let whole = sizes.datagram_len(Part::Whole, chain.bytes.len());
        match envoy.limit {
            Some(limit) if whole > limit => {
                let fragments = split(chain, limit, sizes).map_err(|_| CannotSeal)?;
                fragments
                    .into_iter()
                    .map(|piece| {
                        let envelope =
                            Envelope::lay_out(&header, piece.part, piece.first, piece.plain, sizes);
                        self.close(&key, envelope, random)
                    })
                    .collect()
            }
            _ => Ok(vec![self.close(&key, Envelope::whole(&header, chain, sizes), random)?]),
        }
    }

    fn close(
        &mut self,
        key: &SealingKey,
        envelope: Result<Envelope, WireError>,
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, CannotSeal> {
        let Envelope { mut datagram, aad_len, iv, body, .. } = envelope.map_err(|_| CannotSeal)?;
        let (aad, rest) = datagram.split_at_mut_checked(aad_len).ok_or(CannotSeal)?;
        let (iv, rest) = rest.split_at_mut_checked(iv.len()).ok_or(CannotSeal)?;
        let (body, icv) = rest.split_at_mut_checked(body.len()).ok_or(CannotSeal)?;
        if self.suite.is_aead() {
            // A counter never repeats under one key (RFC 5282 §3.1).
            let count = self.next_iv;
            self.next_iv = count.checked_add(1).ok_or(CannotSeal)?;
            iv.copy_from_slice(count.to_be_bytes().get(..iv.len()).ok_or(CannotSeal)?);
        } else {
            // A predictable IV lets a chosen plaintext be tested (RFC 3602 §3).
            random.fill(iv);
        }
        key.seal(iv, aad, body, &[], icv).map_err(|_| CannotSeal)?;
        Ok(datagram)
    }

    /// Opens what the peer has sealed.
    pub(crate) fn open(&self, sealed: &Sealed<'_>) -> Result<Opened, Drop> {
        let keys = match self.role {
            Role::Initiator => self.keys.responder(),
            Role::Responder => self.keys.initiator(),
        };
        let key = OpeningKey::new(self.provider.ciphers, self.suite, &keys).map_err(|_| Drop::Integrity)?;
        let mut bytes = sealed.sealed.to_vec();
        let (iv, body) = bytes.split_at_mut_checked(self.suite.iv_len()).ok_or(Drop::Malformed)?;
        let plain = key.open(iv, sealed.aad, body, &[]).map_err(|_| Drop::Integrity)?;
        let payloads = unpad(plain).map_err(|_| Drop::Malformed)?.to_vec();
        let first = sealed.first;
        Ok(match sealed.part {
            Part::Whole => {
                Opened::Whole { first, payloads, unsupported_critical: sealed.unsupported_critical }
            }
            Part::Fragment { number, total } => Opened::Fragment { number, total, first, payloads },
        })
    }
}
