//! IKE_AUTH (RFC 7296 §1.2).

use super::child::{ChildParts, parse_child_choice, parse_child_offer};
use super::{ChildAccepted, ChildOffer};
use crate::wire::payload::Notifies;
use crate::wire::table::{
    AUTH, AUTH_ACCEPTED, AUTH_REQUEST, CERT, CERTREQ, CP, IDI, IDR, REFUSED, Sorted, Unsorted,
};
use crate::wire::writer::ChainWriter;
use crate::wire::{
    AdditionalAddresses, AuthPayload, CertificatePayload, Configuration, IdPayload, MessageError, Notify,
    NotifyType, PayloadChain,
};

/// IKE_AUTH request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthRequest {
    /// IDi.
    pub initiator_id: IdPayload,
    /// IDr.
    pub responder_id: Option<IdPayload>,
    /// CERT, the end entity's first.
    pub certificates: Vec<CertificatePayload>,
    /// CERTREQ.
    pub certificate_requests: Vec<CertificatePayload>,
    /// AUTH; absent when EAP is wanted.
    pub authentication: Option<AuthPayload>,
    /// CP(CFG_REQUEST).
    pub configuration: Option<Configuration>,
    /// SAi2, TSi, TSr; absent in a childless IKE_AUTH.
    pub child: Option<ChildOffer>,
    /// INITIAL_CONTACT.
    pub initial_contact: bool,
    /// MOBIKE_SUPPORTED.
    pub mobike: bool,
    /// ADDITIONAL_*_ADDRESS.
    pub additional_addresses: Option<AdditionalAddresses>,
    /// NO_NATS_ALLOWED, its data.
    pub no_nats_allowed: Option<Vec<u8>>,
    /// Notifications that have no field of their own.
    pub notifies: Vec<Notify>,
}

/// IKE_AUTH response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuthResponse {
    /// The responder authenticates itself; the child may have failed all the same.
    Accepted(Box<AuthAccepted>),
    /// No IKE SA.
    Failed(Notify),
}

/// An IKE_AUTH response that carries AUTH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthAccepted {
    /// IDr.
    pub responder_id: IdPayload,
    /// CERT, the end entity's first.
    pub certificates: Vec<CertificatePayload>,
    /// AUTH.
    pub authentication: AuthPayload,
    /// CP(CFG_REPLY).
    pub configuration: Option<Configuration>,
    /// The child.
    pub child: ChildOutcome,
    /// MOBIKE_SUPPORTED.
    pub mobike: bool,
    /// ADDITIONAL_*_ADDRESS.
    pub additional_addresses: Option<AdditionalAddresses>,
    /// AUTH_LIFETIME in seconds (RFC 4478).
    pub lifetime: Option<u32>,
    /// Notifications that have no field of their own.
    pub notifies: Vec<Notify>,
}

/// What became of the child in IKE_AUTH.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ChildOutcome {
    /// None was asked for.
    #[default]
    Absent,
    /// It is up.
    Accepted(ChildAccepted),
    /// It is not, for this reason.
    Refused(Notify),
}

impl AuthRequest {
    /// Reads the payloads of a message, the first of which has the type `first`.
    pub fn parse(first: u8, body: &[u8]) -> Result<Self, MessageError> {
        let payloads = Unsorted::read(first, body)?.sort(AUTH_REQUEST)?;
        let mut notifies = payloads.notifies()?;
        Ok(Self {
            initiator_id: payloads.once(IDI, IdPayload::parse)?,
            responder_id: payloads.at_most_once(IDR, IdPayload::parse)?,
            certificates: payloads.all(CERT, CertificatePayload::parse)?,
            certificate_requests: payloads.all(CERTREQ, CertificatePayload::parse)?,
            authentication: payloads.at_most_once(AUTH, AuthPayload::parse)?,
            configuration: payloads.at_most_once(CP, Configuration::parse)?,
            child: ChildParts::read(&payloads, &mut notifies, parse_child_offer)?.map(ChildOffer::from),
            initial_contact: notifies.take_flag(NotifyType::INITIAL_CONTACT),
            mobike: notifies.take_flag(NotifyType::MOBIKE_SUPPORTED),
            additional_addresses: notifies.additional_addresses()?,
            no_nats_allowed: notifies.no_nats_allowed()?,
            notifies: notifies.rest(),
        })
    }

    /// Its payloads as bytes.
    pub fn emit(&self) -> PayloadChain {
        let mut chain = ChainWriter::default();
        chain.payload(IDI, |body| self.initiator_id.write(body));
        write_certificates(&mut chain, &self.certificates);
        chain.flag(NotifyType::INITIAL_CONTACT, self.initial_contact);
        for request in &self.certificate_requests {
            chain.payload(CERTREQ, |body| request.write(body));
        }
        if let Some(id) = &self.responder_id {
            chain.payload(IDR, |body| id.write(body));
        }
        if let Some(authentication) = &self.authentication {
            chain.payload(AUTH, |body| authentication.write(body));
        }
        write_configuration(&mut chain, self.configuration.as_ref());
        if let Some(child) = &self.child {
            child.write_flags(&mut chain);
            child.write_sa(&mut chain);
            child.write_selectors(&mut chain);
        }
        chain.flag(NotifyType::MOBIKE_SUPPORTED, self.mobike);
        chain.additional_addresses(self.additional_addresses.as_ref());
        chain.notify(NotifyType::NO_NATS_ALLOWED, self.no_nats_allowed.as_deref());
        chain.notifies(&self.notifies);
        chain.finish()
    }
}

impl AuthResponse {
    /// Reads the payloads of a message, the first of which has the type `first`.
    ///
    /// With AUTH, only errors about the child leave the IKE SA standing (RFC 7296 §2.21.2); any other, and
    /// any that we do not know, fails it (§3.10.1).
    pub fn parse(first: u8, body: &[u8]) -> Result<Self, MessageError> {
        let payloads = Unsorted::read(first, body)?;
        if !payloads.has(AUTH) {
            let error = payloads.sort(REFUSED)?.notifies()?.take_error(|_| true);
            return error.map(Self::Failed).ok_or(MessageError::Missing(AUTH));
        }
        let payloads = payloads.sort(AUTH_ACCEPTED)?;
        let mut notifies = payloads.notifies()?;
        match notifies.take_error(|kind| !kind.refuses_child()) {
            Some(error) => Ok(Self::Failed(error)),
            None => AuthAccepted::read(&payloads, notifies).map(Box::new).map(Self::Accepted),
        }
    }

    /// Its payloads as bytes.
    pub fn emit(&self) -> PayloadChain {
        let mut chain = ChainWriter::default();
        match self {
            Self::Accepted(accepted) => accepted.write(&mut chain),
            Self::Failed(notify) => chain.notifies(std::slice::from_ref(notify)),
        }
        chain.finish()
    }
}

impl AuthAccepted {
    fn read(payloads: &Sorted<'_>, mut notifies: Notifies) -> Result<Self, MessageError> {
        Ok(Self {
            responder_id: payloads.once(IDR, IdPayload::parse)?,
            certificates: payloads.all(CERT, CertificatePayload::parse)?,
            authentication: payloads.once(AUTH, AuthPayload::parse)?,
            configuration: payloads.at_most_once(CP, Configuration::parse)?,
            child: ChildOutcome::read(payloads, &mut notifies)?,
            mobike: notifies.take_flag(NotifyType::MOBIKE_SUPPORTED),
            additional_addresses: notifies.additional_addresses()?,
            lifetime: notifies.lifetime()?,
            notifies: notifies.rest(),
        })
    }

    fn write(&self, chain: &mut ChainWriter) {
        chain.payload(IDR, |body| self.responder_id.write(body));
        write_certificates(chain, &self.certificates);
        chain.payload(AUTH, |body| self.authentication.write(body));
        write_configuration(chain, self.configuration.as_ref());
        self.child.write(chain);
        chain.flag(NotifyType::MOBIKE_SUPPORTED, self.mobike);
        chain.additional_addresses(self.additional_addresses.as_ref());
        chain.lifetime(self.lifetime);
        chain.notifies(&self.notifies);
    }
}

impl ChildOutcome {
    /// An error outweighs an SA payload beside it.
    pub(super) fn read(payloads: &Sorted<'_>, notifies: &mut Notifies) -> Result<Self, MessageError> {
        let child = ChildParts::read(payloads, notifies, parse_child_choice)?;
        Ok(match (notifies.take_error(NotifyType::refuses_child), child) {
            (Some(error), _) => Self::Refused(error),
            (None, Some(child)) => Self::Accepted(child.into()),
            (None, None) => Self::Absent,
        })
    }

    pub(super) fn write(&self, chain: &mut ChainWriter) {
        match self {
            Self::Absent => {}
            Self::Accepted(child) => {
                child.write_flags(chain);
                child.write_sa(chain);
                child.write_selectors(chain);
            }
            Self::Refused(notify) => chain.notifies(std::slice::from_ref(notify)),
        }
    }
}

pub(super) fn write_certificates(chain: &mut ChainWriter, certificates: &[CertificatePayload]) {
    for certificate in certificates {
        chain.payload(CERT, |body| certificate.write(body));
    }
}

pub(super) fn write_configuration(chain: &mut ChainWriter, configuration: Option<&Configuration>) {
    if let Some(configuration) = configuration {
        chain.payload(CP, |body| configuration.write(body));
    }
}
