//! CREATE_CHILD_SA (RFC 7296 §1.3): a child, new or in place of another, or a successor of the IKE SA.

use super::child::{ChildParts, parse_child_choice, parse_child_offer};
use super::{ChildAccepted, ChildOffer};
use crate::wire::payload::{Purpose, parse_nonce, wanted_group, write_nonce};
use crate::wire::table::{CREATE_CHILD, KE, NONCE, REFUSED, REKEY_IKE, SA, Sorted, Unsorted};
use crate::wire::writer::ChainWriter;
use crate::wire::{Fault, KeyExchange, MessageError, Notify, NotifyType, PayloadChain, Proposal, ProtocolId};
use tidegate_esp::Spi;

/// CREATE_CHILD_SA request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CreateChildRequest {
    /// A child, new or in place of another.
    Child(ChildRequest),
    /// A successor of the IKE SA.
    RekeyIke(RekeyIkeMessage<Vec<Proposal>>),
}

/// A request for a child.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChildRequest {
    /// What it shall be.
    pub offer: ChildOffer,
    /// Ni.
    pub nonce: Vec<u8>,
    /// KEi, with PFS.
    pub key_exchange: Option<KeyExchange>,
    /// REKEY_SA: the SPI that its sender receives on.
    pub rekeys: Option<Spi>,
    /// Notifications that have no field of their own.
    pub notifies: Vec<Notify>,
}

/// SA, nonce and KE of an IKE rekey, with all proposals in the request and one in the response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RekeyIkeMessage<P> {
    /// SA; its SPI is the sender's new one.
    pub proposals: P,
    /// Nonce.
    pub nonce: Vec<u8>,
    /// KE.
    pub key_exchange: KeyExchange,
    /// Notifications that have no field of their own.
    pub notifies: Vec<Notify>,
}

/// CREATE_CHILD_SA response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CreateChildResponse {
    /// The child is up.
    Child(ChildResponse),
    /// The successor is up.
    RekeyIke(RekeyIkeMessage<Proposal>),
    /// INVALID_KE_PAYLOAD: try again with this group.
    InvalidKe(u16),
    /// Another error.
    Failed(Notify),
}

/// A response that makes a child.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChildResponse {
    /// What it is.
    pub child: ChildAccepted,
    /// Nr.
    pub nonce: Vec<u8>,
    /// KEr, with PFS.
    pub key_exchange: Option<KeyExchange>,
    /// Notifications that have no field of their own.
    pub notifies: Vec<Notify>,
}

impl CreateChildRequest {
    /// Reads the payloads of a message, the first of which has the type `first`. The protocol of the first
    /// proposal says which of the two requests it is.
    pub fn parse(first: u8, body: &[u8]) -> Result<Self, MessageError> {
        let payloads = Unsorted::read(first, body)?;
        if payloads.peek(SA, Proposal::first_protocol)? == ProtocolId::Ike {
            let payloads = payloads.sort(REKEY_IKE)?;
            return RekeyIkeMessage::read(&payloads, parse_ike_offer).map(Self::RekeyIke);
        }
        ChildRequest::read(&payloads.sort(CREATE_CHILD)?).map(Self::Child)
    }

    /// Its payloads as bytes.
    pub fn emit(&self) -> PayloadChain {
        let mut chain = ChainWriter::default();
        match self {
            Self::Child(request) => request.write(&mut chain),
            Self::RekeyIke(rekey) => rekey.write(&mut chain, &rekey.proposals),
        }
        chain.finish()
    }
}

impl CreateChildResponse {
    /// Reads the payloads of a message, the first of which has the type `first`.
    ///
    /// INVALID_KE_PAYLOAD asks for another try only in the place of an SA payload (RFC 7296 §1.3). Beside
    /// one it is a contradiction, and every other error fails the exchange.
    pub fn parse(first: u8, body: &[u8]) -> Result<Self, MessageError> {
        let payloads = Unsorted::read(first, body)?;
        if !payloads.has(SA) {
            return Self::refused(&payloads.sort(REFUSED)?);
        }
        let rekey = payloads.peek(SA, Proposal::first_protocol)? == ProtocolId::Ike;
        let payloads = payloads.sort(if rekey { REKEY_IKE } else { CREATE_CHILD })?;
        match payloads.notifies()?.take_error(|_| true) {
            Some(error) if error.kind == NotifyType::INVALID_KE_PAYLOAD => Err(MessageError::Misplaced(SA)),
            Some(error) => Ok(Self::Failed(error)),
            None if rekey => RekeyIkeMessage::read(&payloads, parse_ike_choice).map(Self::RekeyIke),
            None => ChildResponse::read(&payloads).map(Self::Child),
        }
    }

    /// Its payloads as bytes.
    pub fn emit(&self) -> PayloadChain {
        let mut chain = ChainWriter::default();
        match self {
            Self::Child(response) => response.write(&mut chain),
            Self::RekeyIke(rekey) => rekey.write(&mut chain, std::slice::from_ref(&rekey.proposals)),
            Self::InvalidKe(group) => chain.notifies(&[Notify::invalid_ke(*group)]),
            Self::Failed(notify) => chain.notifies(std::slice::from_ref(notify)),
        }
        chain.finish()
    }

    fn refused(payloads: &Sorted<'_>) -> Result<Self, MessageError> {
        let mut notifies = payloads.notifies()?;
        if let Some(group) = notifies.take(NotifyType::INVALID_KE_PAYLOAD, wanted_group)? {
            return Ok(Self::InvalidKe(group));
        }
        notifies.take_error(|_| true).map(Self::Failed).ok_or(MessageError::Missing(SA))
    }
}

impl ChildRequest {
    fn read(payloads: &Sorted<'_>) -> Result<Self, MessageError> {
        let mut notifies = payloads.notifies()?;
        Ok(Self {
            offer: ChildParts::read_all(payloads, &mut notifies, parse_child_offer)?.into(),
            nonce: payloads.once(NONCE, parse_nonce)?,
            key_exchange: payloads.at_most_once(KE, KeyExchange::parse)?,
            rekeys: notifies.rekeyed_child()?,
            notifies: notifies.rest(),
        })
    }

    fn write(&self, chain: &mut ChainWriter) {
        chain.rekeyed_child(self.rekeys);
        self.offer.write_flags(chain);
        self.offer.write_sa(chain);
        write_keys(chain, &self.nonce, self.key_exchange.as_ref());
        self.offer.write_selectors(chain);
        chain.notifies(&self.notifies);
    }
}

impl ChildResponse {
    fn read(payloads: &Sorted<'_>) -> Result<Self, MessageError> {
        let mut notifies = payloads.notifies()?;
        Ok(Self {
            child: ChildParts::read_all(payloads, &mut notifies, parse_child_choice)?.into(),
            nonce: payloads.once(NONCE, parse_nonce)?,
            key_exchange: payloads.at_most_once(KE, KeyExchange::parse)?,
            notifies: notifies.rest(),
        })
    }

    fn write(&self, chain: &mut ChainWriter) {
        self.child.write_flags(chain);
        self.child.write_sa(chain);
        write_keys(chain, &self.nonce, self.key_exchange.as_ref());
        self.child.write_selectors(chain);
        chain.notifies(&self.notifies);
    }
}

impl<P> RekeyIkeMessage<P> {
    fn read(
        payloads: &Sorted<'_>,
        parse_proposals: impl Fn(&[u8]) -> Result<P, Fault>,
    ) -> Result<Self, MessageError> {
        Ok(Self {
            proposals: payloads.once(SA, parse_proposals)?,
            nonce: payloads.once(NONCE, parse_nonce)?,
            key_exchange: payloads.once(KE, KeyExchange::parse)?,
            notifies: payloads.notifies()?.rest(),
        })
    }

    fn write(&self, chain: &mut ChainWriter, proposals: &[Proposal]) {
        chain.payload(SA, |body| Proposal::write_all(proposals, body));
        write_keys(chain, &self.nonce, Some(&self.key_exchange));
        chain.notifies(&self.notifies);
    }
}

fn write_keys(chain: &mut ChainWriter, nonce: &[u8], key_exchange: Option<&KeyExchange>) {
    chain.payload(NONCE, |body| write_nonce(nonce, body));
    if let Some(key_exchange) = key_exchange {
        chain.payload(KE, |body| key_exchange.write(body));
    }
}

fn parse_ike_offer(body: &[u8]) -> Result<Vec<Proposal>, Fault> {
    let proposals = Proposal::parse_offer(body)?;
    proposals.iter().try_for_each(check_ike)?;
    Ok(proposals)
}

fn parse_ike_choice(body: &[u8]) -> Result<Proposal, Fault> {
    let proposal = Proposal::parse_choice(body)?;
    check_ike(&proposal)?;
    Ok(proposal)
}

/// RFC 7296 §1.3.2: the SPI of the successor stands in its proposals.
fn check_ike(proposal: &Proposal) -> Result<(), Fault> {
    match proposal.protocol {
        ProtocolId::Ike => proposal.check_spi(Purpose::NextIke),
        _ => Err(Fault::MixedProtocols),
    }
}
