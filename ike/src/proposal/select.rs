//! What two sides agree on.
//!
//! A responder follows its own order: the first of its proposals that any of the peer's fits, and in it the
//! first algorithm of each type. Groups make two exceptions, because a wrong guess costs a round trip: in an
//! IKE SA the group of the peer's KE payload wins where the agreed proposals allow it, and in a child the
//! peer's order of groups counts, whose first is the one it has a KE payload for (RFC 7296 §3.4).
//!
//! Both roles are one comparison. A responder compares what it would offer itself with what it was offered;
//! an initiator compares its offer with the answer, which must hold one transform of each type.

use super::keywords::{Algorithm, NONE, TransformKind};
use super::verdict::{Difference, MismatchKind, NearestMiss, ProposalMismatch};
use super::{EspProposal, IkeProposal, esp_offer, ike_offer};
use crate::crypto::{GroupId, PrfId};
use crate::wire::{Proposal, ProtocolId, Transform};
use tidegate_esp::crypto::{Cipher, Integrity, Suite};
use tidegate_esp::{SequenceNumbers, Spi};

/// What an IKE SA shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IkeChoice {
    /// Number of the initiator's proposal.
    pub number: u8,
    /// Cipher and integrity algorithm.
    pub suite: Suite,
    /// Pseudo-random function.
    pub prf: PrfId,
    /// Key exchange group.
    pub group: GroupId,
    /// The peer's SPI; empty in IKE_SA_INIT.
    pub peer_spi: Vec<u8>,
    transforms: Vec<Transform>,
}

/// What an ESP SA shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EspChoice {
    /// Number of the initiator's proposal.
    pub number: u8,
    /// Cipher and integrity algorithm.
    pub suite: Suite,
    /// Key exchange group, with PFS.
    pub group: Option<GroupId>,
    /// Width of the sequence number.
    pub sequence_numbers: SequenceNumbers,
    /// The SPI that the peer receives on.
    pub peer_spi: Spi,
    transforms: Vec<Transform>,
}

/// The responder's choice for an IKE SA; `preferred` is the group of the peer's KE payload.
pub fn select_ike(
    configured: &[IkeProposal],
    offered: &[Proposal],
    preferred: Option<GroupId>,
) -> Result<IkeChoice, ProposalMismatch> {
    let rules = Rules { protocol: ProtocolId::Ike, groups: Groups::Preferred(preferred), one_each: false };
    best(&rules, ike_offer(configured, &[]), offered, MismatchKind::NothingInCommon, ike_choice)
}

/// The responder's choice for an ESP SA. Without `with_groups` the exchange has no KE payload, and groups
/// that a peer names all the same are passed over (RFC 7296 §1.2).
pub fn select_esp(
    configured: &[EspProposal],
    offered: &[Proposal],
    with_groups: bool,
) -> Result<EspChoice, ProposalMismatch> {
    let groups = if with_groups { Groups::TheirOrder } else { Groups::PassedOver };
    let rules = Rules { protocol: ProtocolId::Esp, groups, one_each: false };
    // Our own SPI plays no part in the comparison.
    let ours = Spi::new(Spi::MIN).map(|spi| esp_offer(configured, spi, with_groups)).unwrap_or_default();
    best(&rules, ours, offered, MismatchKind::NothingInCommon, esp_choice)
}

/// The initiator's look at the answer to its offer of an IKE SA.
pub fn confirm_ike(offered: &[Proposal], answer: &Proposal) -> Result<IkeChoice, ProposalMismatch> {
    let rules = Rules { protocol: ProtocolId::Ike, groups: Groups::Preferred(None), one_each: true };
    let ours = same_number(offered, answer);
    let theirs = std::slice::from_ref(answer);
    best(&rules, ours, theirs, MismatchKind::AnswerNotOffered, ike_choice)
        .map_err(|mismatch| with_whole_offer(mismatch, offered))
}

/// The initiator's look at the answer to its offer of an ESP SA.
pub fn confirm_esp(offered: &[Proposal], answer: &Proposal) -> Result<EspChoice, ProposalMismatch> {
    let rules = Rules { protocol: ProtocolId::Esp, groups: Groups::TheirOrder, one_each: true };
    let ours = same_number(offered, answer);
    let theirs = std::slice::from_ref(answer);
    best(&rules, ours, theirs, MismatchKind::AnswerNotOffered, esp_choice)
        .map_err(|mismatch| with_whole_offer(mismatch, offered))
}

impl IkeChoice {
    /// The responder's answer: the chosen transforms as the peer wrote them, and our SPI, empty in
    /// IKE_SA_INIT.
    pub fn to_wire(&self, spi: &[u8]) -> Proposal {
        Proposal {
            number: self.number,
            protocol: ProtocolId::Ike,
            spi: spi.to_vec(),
            transforms: self.transforms.clone(),
        }
    }
}

impl EspChoice {
    /// The responder's answer: the chosen transforms as the peer wrote them, and the SPI we receive on.
    pub fn to_wire(&self, spi: Spi) -> Proposal {
        Proposal {
            number: self.number,
            protocol: ProtocolId::Esp,
            spi: spi.to_be_bytes().to_vec(),
            transforms: self.transforms.clone(),
        }
    }
}

/// How two proposals are compared.
struct Rules {
    protocol: ProtocolId,
    groups: Groups,
    /// The peer's is an answer: one transform of each type (RFC 7296 §2.7).
    one_each: bool,
}

/// Which group is taken of those that both sides have.
enum Groups {
    /// This one if it is among them, else the first of ours.
    Preferred(Option<GroupId>),
    /// The first of the peer's.
    TheirOrder,
    /// None: the exchange carries no KE payload.
    PassedOver,
}

/// The algorithms of an agreement, by type.
#[derive(Default)]
struct Agreed {
    cipher: Option<Cipher>,
    integrity: Option<Integrity>,
    prf: Option<PrfId>,
    group: Option<GroupId>,
    sequence_numbers: Option<SequenceNumbers>,
    /// What of it stands in the peer's proposal, and so goes into the answer.
    transforms: Vec<Transform>,
}

/// The first pair that agrees, ours in the outer loop; or else the pair that differs least.
fn best<C>(
    rules: &Rules,
    ours: Vec<Proposal>,
    theirs: &[Proposal],
    kind: MismatchKind,
    choice: fn(&Agreed, &Proposal) -> Result<C, Difference>,
) -> Result<C, ProposalMismatch> {
    let mut nearest: Option<NearestMiss> = None;
    for own in &ours {
        for peer in theirs {
            let differences = match rules.compare(own, peer) {
                Ok(agreed) => match choice(&agreed, peer) {
                    Ok(choice) => return Ok(choice),
                    Err(difference) => vec![difference],
                },
                Err(differences) => differences,
            };
            let miss = NearestMiss { ours: own.number, theirs: peer.number, differences };
            if nearest.as_ref().is_none_or(|nearest| miss.distance() < nearest.distance()) {
                nearest = Some(miss);
            }
        }
    }
    Err(ProposalMismatch { kind, protocol: rules.protocol, ours, theirs: theirs.to_vec(), nearest })
}

impl Rules {
    /// All types are looked at even after one has failed, for the verdict.
    fn compare(&self, ours: &Proposal, theirs: &Proposal) -> Result<Agreed, Vec<Difference>> {
        if theirs.protocol != self.protocol {
            return Err(vec![Difference::Protocol(theirs.protocol)]);
        }
        let mut differences: Vec<Difference> = Vec::new();
        // RFC 7296 §3.3.6: a type without a meaning here spoils its proposal.
        let foreign = theirs.transforms.iter().find(|transform| !self.means(transform.kind));
        differences.extend(foreign.map(|transform| Difference::UnknownKind(transform.kind)));
        let mut agreed = Agreed::default();
        for kind in TransformKind::ALL.into_iter().filter(|kind| self.means(kind.number())) {
            if let Err(difference) = self.agree(kind, ours, theirs, &mut agreed) {
                differences.push(difference);
            }
        }
        if differences.is_empty() { Ok(agreed) } else { Err(differences) }
    }

    /// RFC 7296 §3.3.3: the types that belong into a proposal of the protocol.
    fn means(&self, kind: u8) -> bool {
        match TransformKind::from_number(kind) {
            None => false,
            Some(TransformKind::Prf) => self.protocol == ProtocolId::Ike,
            Some(TransformKind::SequenceNumbers) => self.protocol == ProtocolId::Esp,
            Some(TransformKind::Encryption | TransformKind::Integrity | TransformKind::Group) => true,
        }
    }

    fn agree(
        &self,
        kind: TransformKind,
        ours: &Proposal,
        theirs: &Proposal,
        agreed: &mut Agreed,
    ) -> Result<(), Difference> {
        if self.one_each && of_kind(theirs, kind).count() > 1 {
            return Err(Difference::Several(kind));
        }
        let found = if kind == TransformKind::Group && matches!(self.groups, Groups::PassedOver) {
            of_kind(theirs, kind).find(|transform| **transform == none(kind)).copied().map(Found::Written)
        } else {
            Some(self.find(kind, ours, theirs).ok_or(Difference::Algorithm(kind))?)
        };
        match found {
            Some(Found::Written(transform)) => {
                agreed.transforms.push(transform);
                agreed.take(&transform);
            }
            Some(Found::Unwritten(transform)) => agreed.take(&transform),
            None => {}
        }
        Ok(())
    }

    /// The transform of a type that both sides take.
    fn find(&self, kind: TransformKind, ours: &Proposal, theirs: &Proposal) -> Option<Found> {
        let own = || written_or_none(ours, kind);
        let peer = || written_or_none(theirs, kind);
        let preferred = match (kind, &self.groups) {
            (TransformKind::Group, Groups::Preferred(Some(group))) => {
                Some(Algorithm::Group(*group).transform())
            }
            (TransformKind::Group, Groups::TheirOrder) => peer().find(|each| own().any(|it| it == *each)),
            _ => None,
        };
        let both =
            |transform: &Transform| own().any(|it| it == *transform) && peer().any(|it| it == *transform);
        let found = preferred.filter(both).or_else(|| own().find(both))?;
        Some(if of_kind(theirs, kind).next().is_some() {
            Found::Written(found)
        } else {
            Found::Unwritten(found)
        })
    }
}

/// A transform that both sides take.
enum Found {
    /// It stands in the peer's proposal.
    Written(Transform),
    /// It is what the peer's silence about the type means.
    Unwritten(Transform),
}

impl Agreed {
    fn take(&mut self, transform: &Transform) {
        match Algorithm::from_transform(transform) {
            Some(Algorithm::Encryption(cipher)) => self.cipher = Some(cipher),
            Some(Algorithm::Integrity(integrity)) => self.integrity = Some(integrity),
            Some(Algorithm::Prf(prf)) => self.prf = Some(prf),
            Some(Algorithm::Group(group)) => self.group = Some(group),
            Some(Algorithm::SequenceNumbers(width)) => self.sequence_numbers = Some(width),
            None => {}
        }
    }

    fn suite(&self) -> Result<Suite, Difference> {
        let cipher = self.cipher.ok_or(Difference::Algorithm(TransformKind::Encryption))?;
        match self.integrity {
            None => Suite::aead(cipher),
            Some(integrity) => Suite::with_integrity(cipher, integrity),
        }
        .ok_or(Difference::Combination)
    }
}

fn ike_choice(agreed: &Agreed, peer: &Proposal) -> Result<IkeChoice, Difference> {
    if !matches!(peer.spi.len(), 0 | 8) {
        return Err(Difference::Spi);
    }
    Ok(IkeChoice {
        number: peer.number,
        suite: agreed.suite()?,
        prf: agreed.prf.ok_or(Difference::Algorithm(TransformKind::Prf))?,
        group: agreed.group.ok_or(Difference::Algorithm(TransformKind::Group))?,
        peer_spi: peer.spi.clone(),
        transforms: agreed.transforms.clone(),
    })
}

fn esp_choice(agreed: &Agreed, peer: &Proposal) -> Result<EspChoice, Difference> {
    let spi = <[u8; 4]>::try_from(peer.spi.as_slice()).map_err(|_| Difference::Spi)?;
    Ok(EspChoice {
        number: peer.number,
        suite: agreed.suite()?,
        group: agreed.group,
        sequence_numbers: agreed.sequence_numbers.unwrap_or(SequenceNumbers::Short),
        peer_spi: Spi::new(u32::from_be_bytes(spi)).ok_or(Difference::Spi)?,
        transforms: agreed.transforms.clone(),
    })
}

fn of_kind(proposal: &Proposal, kind: TransformKind) -> impl Iterator<Item = &Transform> {
    proposal.transforms.iter().filter(move |transform| transform.kind == kind.number())
}

/// The transforms of a type; where there are none, the one that silence stands for (RFC 7296 §3.3.3): no
/// integrity algorithm, no group, and from peers that leave the type out, 32-bit sequence numbers.
fn written_or_none(proposal: &Proposal, kind: TransformKind) -> impl Iterator<Item = Transform> {
    let optional =
        matches!(kind, TransformKind::Integrity | TransformKind::Group | TransformKind::SequenceNumbers);
    let silent = of_kind(proposal, kind).next().is_none();
    of_kind(proposal, kind).copied().chain((silent && optional).then_some(none(kind)))
}

const fn none(kind: TransformKind) -> Transform {
    Transform { kind: kind.number(), id: NONE, key_length: None, unknown_attribute: false }
}

fn same_number(offered: &[Proposal], answer: &Proposal) -> Vec<Proposal> {
    offered.iter().filter(|proposal| proposal.number == answer.number).cloned().collect()
}

/// An answer is compared with one proposal; its verdict shows all that we offered.
fn with_whole_offer(mut mismatch: ProposalMismatch, offered: &[Proposal]) -> ProposalMismatch {
    if mismatch.nearest.is_none()
        && let (Some(ours), Some(theirs)) = (offered.first(), mismatch.theirs.first())
    {
        let differences = vec![Difference::Number];
        mismatch.nearest = Some(NearestMiss { ours: ours.number, theirs: theirs.number, differences });
    }
    mismatch.ours = offered.to_vec();
    mismatch
}
