//! IKE_SA_INIT (RFC 7296 §1.2).

use crate::wire::payload::{Notifies, Purpose, parse_nonce, wanted_group, write_nonce};
use crate::wire::table::{
    CERTREQ, KE, NONCE, REFUSED, SA, SA_INIT_ACCEPTED, SA_INIT_REQUEST, Sorted, Unsorted,
};
use crate::wire::writer::ChainWriter;
use crate::wire::{
    CertificatePayload, Fault, KeyExchange, MessageError, NatDetection, Notify, NotifyType, PayloadChain,
    Proposal,
};

/// IKE_SA_INIT request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SaInitRequest {
    /// COOKIE, given back.
    pub cookie: Option<Vec<u8>>,
    /// SAi1.
    pub proposals: Vec<Proposal>,
    /// KEi.
    pub key_exchange: KeyExchange,
    /// Ni, 16 to 256 bytes.
    pub nonce: Vec<u8>,
    /// NAT detection hashes.
    pub nat: NatDetection,
    /// IKEV2_FRAGMENTATION_SUPPORTED.
    pub fragmentation: bool,
    /// SIGNATURE_HASH_ALGORITHMS.
    pub signature_hashes: Vec<u16>,
    /// Notifications that have no field of their own.
    pub notifies: Vec<Notify>,
}

/// IKE_SA_INIT response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SaInitResponse {
    /// The responder goes on.
    Accepted(SaInitAccepted),
    /// COOKIE: try again with this.
    Cookie(Vec<u8>),
    /// INVALID_KE_PAYLOAD: try again with this group.
    InvalidKe(u16),
    /// Another error.
    Failed(Notify),
}

/// An IKE_SA_INIT response that goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SaInitAccepted {
    /// SAr1.
    pub proposal: Proposal,
    /// KEr.
    pub key_exchange: KeyExchange,
    /// Nr.
    pub nonce: Vec<u8>,
    /// NAT detection hashes.
    pub nat: NatDetection,
    /// CERTREQ.
    pub certificate_requests: Vec<CertificatePayload>,
    /// IKEV2_FRAGMENTATION_SUPPORTED.
    pub fragmentation: bool,
    /// CHILDLESS_IKEV2_SUPPORTED.
    pub childless: bool,
    /// SIGNATURE_HASH_ALGORITHMS.
    pub signature_hashes: Vec<u16>,
    /// Notifications that have no field of their own.
    pub notifies: Vec<Notify>,
}

impl SaInitRequest {
    /// Reads the payloads of a message, the first of which has the type `first`.
    pub fn parse(first: u8, body: &[u8]) -> Result<Self, MessageError> {
        let payloads = Unsorted::read(first, body)?.sort(SA_INIT_REQUEST)?;
        let mut notifies = payloads.notifies()?;
        Ok(Self {
            cookie: notifies.cookie()?,
            proposals: payloads.once(SA, |body| {
                let proposals = Proposal::parse_offer(body)?;
                proposals.iter().try_for_each(|proposal| proposal.check_spi(Purpose::FirstIke))?;
                Ok(proposals)
            })?,
            key_exchange: payloads.once(KE, KeyExchange::parse)?,
            nonce: payloads.once(NONCE, parse_nonce)?,
            nat: notifies.nat_detection()?,
            fragmentation: notifies.take_flag(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED),
            signature_hashes: notifies.signature_hashes()?,
            notifies: notifies.rest(),
        })
    }

    /// Its payloads as bytes.
    pub fn emit(&self) -> PayloadChain {
        let mut chain = ChainWriter::default();
        // RFC 7296 §2.6: the cookie comes first, and what follows stays as it was.
        chain.notify(NotifyType::COOKIE, self.cookie.as_deref());
        chain.payload(SA, |body| Proposal::write_all(&self.proposals, body));
        chain.payload(KE, |body| self.key_exchange.write(body));
        chain.payload(NONCE, |body| write_nonce(&self.nonce, body));
        chain.nat_detection(&self.nat);
        chain.flag(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, self.fragmentation);
        chain.signature_hashes(&self.signature_hashes);
        chain.notifies(&self.notifies);
        chain.finish()
    }
}

impl SaInitResponse {
    /// Reads the payloads of a message, the first of which has the type `first`.
    ///
    /// COOKIE and INVALID_KE_PAYLOAD ask for another try only in the place of an SA payload, COOKIE before
    /// INVALID_KE_PAYLOAD and that before all other errors. Beside an SA payload INVALID_KE_PAYLOAD is a
    /// contradiction, and every other error fails the exchange (RFC 7296 §2.21.1).
    pub fn parse(first: u8, body: &[u8]) -> Result<Self, MessageError> {
        let payloads = Unsorted::read(first, body)?;
        if !payloads.has(SA) {
            return Self::refused(payloads.sort(REFUSED)?.notifies()?);
        }
        let payloads = payloads.sort(SA_INIT_ACCEPTED)?;
        let mut notifies = payloads.notifies()?;
        match notifies.take_error(|_| true) {
            Some(error) if error.kind == NotifyType::INVALID_KE_PAYLOAD => Err(MessageError::Misplaced(SA)),
            Some(error) => Ok(Self::Failed(error)),
            None => SaInitAccepted::read(&payloads, notifies).map(Self::Accepted),
        }
    }

    /// Its payloads as bytes.
    pub fn emit(&self) -> PayloadChain {
        let mut chain = ChainWriter::default();
        match self {
            Self::Accepted(accepted) => accepted.write(&mut chain),
            Self::Cookie(cookie) => chain.notify(NotifyType::COOKIE, Some(cookie.as_slice())),
            Self::InvalidKe(group) => chain.notifies(&[Notify::invalid_ke(*group)]),
            Self::Failed(notify) => chain.notifies(std::slice::from_ref(notify)),
        }
        chain.finish()
    }

    fn refused(mut notifies: Notifies) -> Result<Self, MessageError> {
        if let Some(cookie) = notifies.cookie()? {
            return Ok(Self::Cookie(cookie));
        }
        if let Some(group) = notifies.take(NotifyType::INVALID_KE_PAYLOAD, wanted_group)? {
            return Ok(Self::InvalidKe(group));
        }
        notifies.take_error(|_| true).map(Self::Failed).ok_or(MessageError::Missing(SA))
    }
}

impl SaInitAccepted {
    fn read(payloads: &Sorted<'_>, mut notifies: Notifies) -> Result<Self, MessageError> {
        Ok(Self {
            proposal: payloads.once(SA, |body| {
                let proposal = Proposal::parse_choice(body)?;
                proposal.check_spi(Purpose::FirstIke)?;
                Ok::<_, Fault>(proposal)
            })?,
            key_exchange: payloads.once(KE, KeyExchange::parse)?,
            nonce: payloads.once(NONCE, parse_nonce)?,
            nat: notifies.nat_detection()?,
            certificate_requests: payloads.all(CERTREQ, CertificatePayload::parse)?,
            fragmentation: notifies.take_flag(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED),
            childless: notifies.take_flag(NotifyType::CHILDLESS_IKEV2_SUPPORTED),
            signature_hashes: notifies.signature_hashes()?,
            notifies: notifies.rest(),
        })
    }

    fn write(&self, chain: &mut ChainWriter) {
        chain.payload(SA, |body| Proposal::write_all(std::slice::from_ref(&self.proposal), body));
        chain.payload(KE, |body| self.key_exchange.write(body));
        chain.payload(NONCE, |body| write_nonce(&self.nonce, body));
        chain.nat_detection(&self.nat);
        for request in &self.certificate_requests {
            chain.payload(CERTREQ, |body| request.write(body));
        }
        chain.flag(NotifyType::IKEV2_FRAGMENTATION_SUPPORTED, self.fragmentation);
        chain.flag(NotifyType::CHILDLESS_IKEV2_SUPPORTED, self.childless);
        chain.signature_hashes(&self.signature_hashes);
        chain.notifies(&self.notifies);
    }
}
