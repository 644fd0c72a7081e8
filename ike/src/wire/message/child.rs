//! What IKE_AUTH and CREATE_CHILD_SA say of a child: SA, TSi, TSr and their notifications.

use crate::wire::payload::{Notifies, Purpose, parse_selectors, write_selectors};
use crate::wire::table::{SA, Sorted, TSI, TSR};
use crate::wire::writer::ChainWriter;
use crate::wire::{Fault, MessageError, NotifyType, Proposal, ProtocolId, Selectors};

/// What a child is asked to be: SA, TSi, TSr and the notifications that go with them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChildOffer {
    /// SAi2.
    pub proposals: Vec<Proposal>,
    /// TSi.
    pub initiator_selectors: Selectors,
    /// TSr.
    pub responder_selectors: Selectors,
    /// USE_TRANSPORT_MODE.
    pub transport_mode: bool,
    /// ESP_TFC_PADDING_NOT_SUPPORTED.
    pub no_tfc_padding: bool,
}

/// What a child has become.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChildAccepted {
    /// SAr2.
    pub proposal: Proposal,
    /// TSi.
    pub initiator_selectors: Selectors,
    /// TSr.
    pub responder_selectors: Selectors,
    /// USE_TRANSPORT_MODE.
    pub transport_mode: bool,
    /// ESP_TFC_PADDING_NOT_SUPPORTED.
    pub no_tfc_padding: bool,
}

/// SA, TSi, TSr and flags, with all proposals or one; both public types are made of it.
pub(super) struct ChildParts<P> {
    proposals: P,
    initiator_selectors: Selectors,
    responder_selectors: Selectors,
    transport_mode: bool,
    no_tfc_padding: bool,
}

impl<P> ChildParts<P> {
    /// All three payloads or none (RFC 7296 §1.2, RFC 6023 §3). The flags are taken out either way: without
    /// a child they mean nothing.
    pub(super) fn read(
        payloads: &Sorted<'_>,
        notifies: &mut Notifies,
        parse_proposals: impl Fn(&[u8]) -> Result<P, Fault>,
    ) -> Result<Option<Self>, MessageError> {
        let transport_mode = notifies.take_flag(NotifyType::USE_TRANSPORT_MODE);
        let no_tfc_padding = notifies.take_flag(NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED);
        let proposals = payloads.at_most_once(SA, parse_proposals)?;
        let initiator = payloads.at_most_once(TSI, parse_selectors)?;
        let responder = payloads.at_most_once(TSR, parse_selectors)?;
        match (proposals, initiator, responder) {
            (Some(proposals), Some(initiator_selectors), Some(responder_selectors)) => Ok(Some(Self {
                proposals,
                initiator_selectors,
                responder_selectors,
                transport_mode,
                no_tfc_padding,
            })),
            (None, None, None) => Ok(None),
            (None, ..) => Err(MessageError::IncompleteChild(SA)),
            (_, None, _) => Err(MessageError::IncompleteChild(TSI)),
            (.., None) => Err(MessageError::IncompleteChild(TSR)),
        }
    }

    /// The same where the table has already demanded all three.
    pub(super) fn read_all(
        payloads: &Sorted<'_>,
        notifies: &mut Notifies,
        parse_proposals: impl Fn(&[u8]) -> Result<P, Fault>,
    ) -> Result<Self, MessageError> {
        Self::read(payloads, notifies, parse_proposals)?.ok_or(MessageError::Missing(SA))
    }
}

impl From<ChildParts<Vec<Proposal>>> for ChildOffer {
    fn from(parts: ChildParts<Vec<Proposal>>) -> Self {
        Self {
            proposals: parts.proposals,
            initiator_selectors: parts.initiator_selectors,
            responder_selectors: parts.responder_selectors,
            transport_mode: parts.transport_mode,
            no_tfc_padding: parts.no_tfc_padding,
        }
    }
}

impl From<ChildParts<Proposal>> for ChildAccepted {
    fn from(parts: ChildParts<Proposal>) -> Self {
        Self {
            proposal: parts.proposals,
            initiator_selectors: parts.initiator_selectors,
            responder_selectors: parts.responder_selectors,
            transport_mode: parts.transport_mode,
            no_tfc_padding: parts.no_tfc_padding,
        }
    }
}

impl ChildOffer {
    pub(super) fn write_flags(&self, chain: &mut ChainWriter) {
        write_flags(chain, self.transport_mode, self.no_tfc_padding);
    }

    pub(super) fn write_sa(&self, chain: &mut ChainWriter) {
        chain.payload(SA, |body| Proposal::write_all(&self.proposals, body));
    }

    pub(super) fn write_selectors(&self, chain: &mut ChainWriter) {
        chain.payload(TSI, |body| write_selectors(&self.initiator_selectors, body));
        chain.payload(TSR, |body| write_selectors(&self.responder_selectors, body));
    }
}

impl ChildAccepted {
    pub(super) fn write_flags(&self, chain: &mut ChainWriter) {
        write_flags(chain, self.transport_mode, self.no_tfc_padding);
    }

    pub(super) fn write_sa(&self, chain: &mut ChainWriter) {
        chain.payload(SA, |body| Proposal::write_all(std::slice::from_ref(&self.proposal), body));
    }

    pub(super) fn write_selectors(&self, chain: &mut ChainWriter) {
        chain.payload(TSI, |body| write_selectors(&self.initiator_selectors, body));
        chain.payload(TSR, |body| write_selectors(&self.responder_selectors, body));
    }
}

/// Proposals for a child: SPIs of their protocol, and none for an IKE SA.
pub(super) fn parse_child_offer(body: &[u8]) -> Result<Vec<Proposal>, Fault> {
    let proposals = Proposal::parse_offer(body)?;
    proposals.iter().try_for_each(check_child)?;
    Ok(proposals)
}

pub(super) fn parse_child_choice(body: &[u8]) -> Result<Proposal, Fault> {
    let proposal = Proposal::parse_choice(body)?;
    check_child(&proposal)?;
    Ok(proposal)
}

fn check_child(proposal: &Proposal) -> Result<(), Fault> {
    match proposal.protocol {
        ProtocolId::Ike => Err(Fault::MixedProtocols),
        _ => proposal.check_spi(Purpose::Child),
    }
}

fn write_flags(chain: &mut ChainWriter, transport_mode: bool, no_tfc_padding: bool) {
    chain.flag(NotifyType::USE_TRANSPORT_MODE, transport_mode);
    chain.flag(NotifyType::ESP_TFC_PADDING_NOT_SUPPORTED, no_tfc_padding);
}
