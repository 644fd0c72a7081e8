//! SA payload: proposals, their transforms, and the transforms' attributes (RFC 7296 §3.3).

use super::ProtocolId;
use crate::wire::reader::{Fault, Reader};
use crate::wire::writer::{saturating_u8, with_length};

/// One proposal of an SA payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// Its number; the answer repeats it.
    pub number: u8,
    /// What it is for.
    pub protocol: ProtocolId,
    /// SPI of the sender: empty, 4 or 8 bytes as the protocol and the exchange want it.
    pub spi: Vec<u8>,
    /// Transforms in the order sent.
    pub transforms: Vec<Transform>,
}

/// One transform of a proposal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Transform {
    /// Type: 1 encryption, 2 PRF, 3 integrity, 4 key exchange, 5 ESN, 6 to 12 further key exchanges.
    pub kind: u8,
    /// IANA transform id within that type.
    pub id: u16,
    /// The key length attribute in bits, where there is one.
    pub key_length: Option<u16>,
    /// It carries an attribute that we do not know, so it must not be chosen (RFC 7296 §3.3.6). Such an
    /// attribute is not kept, and not sent.
    pub unknown_attribute: bool,
}

/// What an SA payload negotiates; each wants other SPIs in it (RFC 7296 §3.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::wire) enum Purpose {
    /// The IKE SA that the header names.
    FirstIke,
    /// An IKE SA that follows another.
    NextIke,
    /// A child.
    Child,
}

impl Proposal {
    /// How many proposals an SA payload may hold.
    pub const MAX: usize = 64;

    /// All proposals of an offer: numbered from one without gaps.
    pub(in crate::wire) fn parse_offer(body: &[u8]) -> Result<Vec<Self>, Fault> {
        let proposals = Self::parse_all(body)?;
        for (proposal, expected) in proposals.iter().zip(1..) {
            // RFC 7296 §3.3.1.
            if proposal.number != expected {
                return Err(Fault::ProposalNumber { expected, found: proposal.number });
            }
        }
        Ok(proposals)
    }

    /// The proposal that an answer holds: one, under the number it had in the offer (RFC 7296 §2.7).
    pub(in crate::wire) fn parse_choice(body: &[u8]) -> Result<Self, Fault> {
        let mut proposals = Self::parse_all(body)?;
        match (proposals.pop(), proposals.len()) {
            (Some(proposal), 0) => Ok(proposal),
            (_, others) => Err(Fault::Count { said: 1, found: others.saturating_add(1) }),
        }
    }

    /// What the first proposal is for; that decides how an SA payload of CREATE_CHILD_SA is read.
    pub(in crate::wire) fn first_protocol(body: &[u8]) -> Result<ProtocolId, Fault> {
        let mut reader = Reader::new(body);
        let _flag_reserved_length_and_number = reader.array::<5>()?;
        reader.u8().map(ProtocolId::from)
    }

    pub(in crate::wire) fn write_all(proposals: &[Self], body: &mut Vec<u8>) {
        let shown = proposals.get(..Self::MAX).unwrap_or(proposals);
        for (index, proposal) in shown.iter().rev().enumerate().rev() {
            body.extend([if index == 0 { LAST } else { MORE_PROPOSALS }, 0]);
            with_length(body, 2, |body| proposal.write(body));
        }
    }

    /// Whether the SPI has the length that this protocol has in such a negotiation.
    pub(in crate::wire) fn check_spi(&self, purpose: Purpose) -> Result<(), Fault> {
        let wanted = match (purpose, self.protocol) {
            (Purpose::FirstIke, _) => 0,
            (_, ProtocolId::Ike) => 8,
            (_, ProtocolId::Ah | ProtocolId::Esp) => 4,
            (_, ProtocolId::None | ProtocolId::Other(_)) => return Ok(()),
        };
        if self.spi.len() == wanted {
            Ok(())
        } else {
            Err(Fault::SpiSize { protocol: self.protocol, size: self.spi.len() })
        }
    }

    fn parse_all(body: &[u8]) -> Result<Vec<Self>, Fault> {
        let mut reader = Reader::new(body);
        let mut proposals = Vec::new();
        while !reader.is_empty() {
            if proposals.len() == Self::MAX {
                return Err(Fault::TooMany { limit: Self::MAX });
            }
            let inside = substructure(&mut reader, MORE_PROPOSALS)?;
            proposals.push(Self::parse(inside)?);
        }
        if proposals.is_empty() {
            return Err(Fault::Empty);
        }
        Ok(proposals)
    }

    fn parse(mut reader: Reader<'_>) -> Result<Self, Fault> {
        let number = reader.u8()?;
        let protocol = ProtocolId::from(reader.u8()?);
        let spi_size = usize::from(reader.u8()?);
        let count = usize::from(reader.u8()?);
        let spi = reader.take(spi_size)?.to_vec();
        let transforms = Transform::parse_all(reader, count)?;
        Ok(Self { number, protocol, spi, transforms })
    }

    fn write(&self, body: &mut Vec<u8>) {
        let transforms = self.transforms.get(..Transform::MAX).unwrap_or(&self.transforms);
        let spi = self.spi.get(..usize::from(u8::MAX)).unwrap_or(&self.spi);
        let (spi_size, count) = (saturating_u8(spi.len()), saturating_u8(transforms.len()));
        body.extend([self.number, self.protocol.number(), spi_size, count]);
        body.extend(spi);
        for (index, transform) in transforms.iter().rev().enumerate().rev() {
            body.extend([if index == 0 { LAST } else { MORE_TRANSFORMS }, 0]);
            with_length(body, 2, |body| transform.write(body));
        }
    }
}

impl Transform {
    /// How many transforms a proposal may hold.
    pub const MAX: usize = 128;

    fn parse_all(mut reader: Reader<'_>, count: usize) -> Result<Vec<Self>, Fault> {
        if count > Self::MAX {
            return Err(Fault::TooMany { limit: Self::MAX });
        }
        let mut transforms = Vec::with_capacity(count);
        while !reader.is_empty() {
            if transforms.len() == count {
                return Err(Fault::Count { said: count, found: count.saturating_add(1) });
            }
            let inside = substructure(&mut reader, MORE_TRANSFORMS)?;
            transforms.push(Self::parse(inside)?);
        }
        if transforms.len() != count {
            return Err(Fault::Count { said: count, found: transforms.len() });
        }
        Ok(transforms)
    }

    fn parse(mut reader: Reader<'_>) -> Result<Self, Fault> {
        let kind = reader.u8()?;
        let _reserved = reader.u8()?;
        let id = reader.u16()?;
        let mut transform = Self { kind, id, key_length: None, unknown_attribute: false };
        while !reader.is_empty() {
            transform.read_attribute(&mut reader)?;
        }
        Ok(transform)
    }

    /// RFC 7296 §3.3.5. A key length in the long form is none: fixed-length attributes must not have it.
    fn read_attribute(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let kind = reader.u16()?;
        let value = reader.u16()?;
        match kind {
            KEY_LENGTH if self.key_length.is_some() => return Err(Fault::RepeatedAttribute(14)),
            KEY_LENGTH => self.key_length = Some(value),
            other => {
                if other & SHORT_FORM == 0 {
                    reader.take(usize::from(value))?;
                }
                self.unknown_attribute = true;
            }
        }
        Ok(())
    }

    fn write(&self, body: &mut Vec<u8>) {
        body.extend([self.kind, 0]);
        body.extend(self.id.to_be_bytes());
        if let Some(bits) = self.key_length {
            body.extend(KEY_LENGTH.to_be_bytes());
            body.extend(bits.to_be_bytes());
        }
    }
}

/// The inside of a proposal or a transform. Whether it is the last can be seen from the length too, so the
/// flag and the length must agree.
fn substructure<'a>(reader: &mut Reader<'a>, more: u8) -> Result<Reader<'a>, Fault> {
    let flag = reader.u8()?;
    let _reserved = reader.u8()?;
    let inside = reader.sub_after_length(2)?;
    let right = if reader.is_empty() { LAST } else { more };
    if flag == right { Ok(inside) } else { Err(Fault::LastFlag(flag)) }
}

const LAST: u8 = 0;
const MORE_PROPOSALS: u8 = 2;
const MORE_TRANSFORMS: u8 = 3;

const SHORT_FORM: u16 = 0x8000;
const KEY_LENGTH: u16 = SHORT_FORM | 14;
