//! Configured proposals as an SA payload carries them.

use super::keywords::Algorithm;
use super::{EspProposal, IkeProposal, encrypts};
use crate::wire::{Proposal, ProtocolId, Transform};
use tidegate_esp::Spi;
use tidegate_esp::crypto::{Cipher, Integrity, Suite};

/// The proposals of an IKE SA. `spi` is empty in IKE_SA_INIT and the new SPI in a rekey (RFC 7296 §3.3.1).
pub fn ike_offer(configured: &[IkeProposal], spi: &[u8]) -> Vec<Proposal> {
    let bodies = configured.iter().flat_map(|proposal| {
        let ciphers: Vec<Cipher> =
            proposal.encryption.iter().copied().filter(|cipher| encrypts(*cipher)).collect();
        let rest: Vec<Transform> = proposal
            .prfs
            .iter()
            .map(|prf| Algorithm::Prf(*prf).transform())
            .chain(proposal.groups.iter().map(|group| Algorithm::Group(*group).transform()))
            .collect();
        bodies(&ciphers, &proposal.integrity, &rest)
    });
    numbered(ProtocolId::Ike, spi, bodies)
}

/// The proposals of an ESP SA. Groups are left out where the exchange has no KE payload, which is IKE_AUTH
/// (RFC 7296 §1.2).
pub fn esp_offer(configured: &[EspProposal], spi: Spi, with_groups: bool) -> Vec<Proposal> {
    let bodies = configured.iter().flat_map(|proposal| {
        let groups = if with_groups { proposal.groups.as_slice() } else { &[] };
        let rest: Vec<Transform> = groups
            .iter()
            .map(|group| Algorithm::Group(*group).transform())
            .chain(
                proposal.extended_sequence.iter().map(|width| Algorithm::SequenceNumbers(*width).transform()),
            )
            .collect();
        bodies(&proposal.encryption, &proposal.integrity, &rest)
    });
    numbered(ProtocolId::Esp, &spi.to_be_bytes(), bodies)
}

/// One configured proposal as one or two lists of transforms: AEAD ciphers go without an integrity
/// algorithm and so apart from the others (RFC 7296 §3.3, RFC 5282 §8). What can make no suite is left out.
/// The kind that stands first in the configuration is offered first.
fn bodies(ciphers: &[Cipher], integrity: &[Integrity], rest: &[Transform]) -> Vec<Vec<Transform>> {
    let (aead, other): (Vec<Cipher>, Vec<Cipher>) = ciphers
        .iter()
        .copied()
        .filter(|cipher| usable(*cipher, integrity))
        .partition(|cipher| Suite::aead(*cipher).is_some());
    let aead_first = ciphers.first().is_some_and(|cipher| aead.contains(cipher));
    let aead = (aead, [].as_slice());
    let other = (other, integrity);
    let order = if aead_first { [aead, other] } else { [other, aead] };
    order
        .into_iter()
        .filter(|(ciphers, _)| !ciphers.is_empty())
        .map(|(ciphers, integrity)| {
            let ciphers = ciphers.into_iter().map(|cipher| Algorithm::Encryption(cipher).transform());
            let integrity = integrity.iter().map(|integrity| Algorithm::Integrity(*integrity).transform());
            ciphers.chain(integrity).chain(rest.iter().copied()).collect()
        })
        .collect()
}

fn usable(cipher: Cipher, integrity: &[Integrity]) -> bool {
    Suite::aead(cipher).is_some()
        || integrity.iter().any(|integrity| Suite::with_integrity(cipher, *integrity).is_some())
}

/// Numbers count from 1 without gaps (RFC 7296 §3.3.1); what a byte cannot count is not offered.
fn numbered(protocol: ProtocolId, spi: &[u8], bodies: impl Iterator<Item = Vec<Transform>>) -> Vec<Proposal> {
    (1..=u8::MAX)
        .zip(bodies)
        .map(|(number, transforms)| Proposal { number, protocol, spi: spi.to_vec(), transforms })
        .collect()
}
