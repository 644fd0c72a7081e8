//! Why two sides found no proposal in common.

use super::keywords::{TransformKind, write_transform};
use crate::wire::{Proposal, ProtocolId, Transform};
use std::fmt;

/// No proposal in common: both lists, and what came closest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalMismatch {
    /// What went wrong.
    pub kind: MismatchKind,
    /// What the SA is for.
    pub protocol: ProtocolId,
    /// What we are configured for, as we would offer it.
    pub ours: Vec<Proposal>,
    /// What the peer offered or answered.
    pub theirs: Vec<Proposal>,
    /// The pair with the fewest differences; `None` where one side has nothing at all.
    pub nearest: Option<NearestMiss>,
}

/// Which step of the negotiation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MismatchKind {
    /// Nothing that the peer offers is acceptable to us.
    NothingInCommon,
    /// The peer's answer is not among what we offered, so the peer misbehaves (RFC 7296 §3.3.6).
    AnswerNotOffered,
}

/// A pair of proposals that almost fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestMiss {
    /// Number of ours.
    pub ours: u8,
    /// Number of the peer's.
    pub theirs: u8,
    /// All in which they differ; never empty.
    pub differences: Vec<Difference>,
}

/// One thing in which two proposals differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is for another protocol.
    Protocol(ProtocolId),
    /// Its SPI has a length, or a value, that cannot name an SA of this protocol.
    Spi,
    /// The answer carries another number than any that we offered.
    Number,
    /// It holds a transform of a type that has no meaning to us, or none in this protocol (RFC 7296 §3.3.6).
    UnknownKind(u8),
    /// No algorithm of this type is acceptable to both.
    Algorithm(TransformKind),
    /// The answer holds more than one transform of this type (RFC 7296 §2.7).
    Several(TransformKind),
    /// Cipher and integrity algorithm are each acceptable, but not together.
    Combination,
}

impl NearestMiss {
    /// Another protocol is further away than any number of algorithms.
    pub(super) fn distance(&self) -> (bool, usize) {
        let elsewhere =
            self.differences.iter().any(|difference| matches!(difference, Difference::Protocol(_)));
        (elsewhere, self.differences.len())
    }
}

impl ProposalMismatch {
    /// Only the key exchange group differs: a wrong PFS setting on one of the two sides, where the SA is for
    /// ESP.
    pub fn only_group_differs(&self) -> bool {
        self.nearest
            .as_ref()
            .is_some_and(|miss| miss.differences == [Difference::Algorithm(TransformKind::Group)])
    }

    /// The algorithms of one type in one proposal of a list.
    fn algorithms(list: &[Proposal], number: u8, kind: TransformKind) -> Listed {
        let transforms = list
            .iter()
            .find(|proposal| proposal.number == number)
            .into_iter()
            .flat_map(|proposal| proposal.transforms.iter().copied())
            .filter(|transform| transform.kind == kind.number())
            .collect();
        Listed(transforms)
    }
}

impl fmt::Display for ProposalMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ours, theirs) = (Offers(&self.ours), Offers(&self.theirs));
        let protocol = Protocol(self.protocol);
        match self.kind {
            MismatchKind::NothingInCommon => {
                write!(f, "no {protocol} proposal in common: ours {ours}, the peer's {theirs}")?;
            }
            MismatchKind::AnswerNotOffered => {
                write!(
                    f,
                    "the peer chose an {protocol} proposal that we did not offer: {theirs}, ours {ours}"
                )?;
            }
        }
        let Some(miss) = &self.nearest else { return Ok(()) };
        write!(f, "; closest are our {} and the peer's {}: ", miss.ours, miss.theirs)?;
        for (at, difference) in miss.differences.iter().enumerate() {
            f.write_str(if at > 0 { ", " } else { "" })?;
            match *difference {
                Difference::Protocol(other) => write!(f, "theirs is for {}", Protocol(other))?,
                Difference::Spi => f.write_str("its SPI can name no SA")?,
                Difference::Number => f.write_str("no offer has its number")?,
                Difference::UnknownKind(kind) => write!(f, "transform type {kind} is unknown")?,
                Difference::Several(kind) => write!(f, "more than one {kind}")?,
                Difference::Combination => f.write_str("cipher and integrity do not go together")?,
                Difference::Algorithm(kind) => {
                    let ours = Self::algorithms(&self.ours, miss.ours, kind);
                    let theirs = Self::algorithms(&self.theirs, miss.theirs, kind);
                    write!(f, "{kind} differs, ours {ours}, theirs {theirs}")?;
                }
            }
        }
        Ok(())
    }
}

impl std::error::Error for ProposalMismatch {}

/// A peer's list may fill a whole datagram, a log line should not.
const SHOWN_PROPOSALS: usize = 8;
const SHOWN_TRANSFORMS: usize = 32;

struct Protocol(ProtocolId);
struct Offers<'a>(&'a [Proposal]);
struct Listed(Vec<Transform>);

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ProtocolId::None => f.write_str("no protocol"),
            ProtocolId::Ike => f.write_str("IKE"),
            ProtocolId::Ah => f.write_str("AH"),
            ProtocolId::Esp => f.write_str("ESP"),
            ProtocolId::Other(number) => write!(f, "protocol {number}"),
        }
    }
}

impl fmt::Display for Offers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (at, proposal) in self.0.iter().take(SHOWN_PROPOSALS).enumerate() {
            f.write_str(if at > 0 { ", " } else { "" })?;
            write!(f, "{}: ", proposal.number)?;
            write_transforms(f, &proposal.transforms, "-")?;
        }
        write_rest(f, self.0.len(), SHOWN_PROPOSALS, ", ")?;
        f.write_str("]")
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        write_transforms(f, &self.0, " or ")
    }
}

fn write_transforms(f: &mut fmt::Formatter<'_>, transforms: &[Transform], between: &str) -> fmt::Result {
    for (at, transform) in transforms.iter().take(SHOWN_TRANSFORMS).enumerate() {
        f.write_str(if at > 0 { between } else { "" })?;
        write_transform(f, transform)?;
    }
    write_rest(f, transforms.len(), SHOWN_TRANSFORMS, between)
}

fn write_rest(f: &mut fmt::Formatter<'_>, count: usize, shown: usize, between: &str) -> fmt::Result {
    match count.checked_sub(shown) {
        None | Some(0) => Ok(()),
        Some(more) => write!(f, "{between}{more} more"),
    }
}
