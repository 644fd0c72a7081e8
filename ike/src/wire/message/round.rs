//! IKE_AUTH after the first, where an end has more than one thing to prove (RFC 4739).

use super::auth::{write_certificates, write_configuration};
use super::{AuthAccepted, ChildOutcome};
use crate::wire::payload::Notifies;
use crate::wire::table::{
    AUTH, AUTH_FURTHER_REQUEST, AUTH_FURTHER_RESPONSE, CERT, CP, IDI, IDR, Sorted, Unsorted,
};
use crate::wire::writer::ChainWriter;
use crate::wire::{
    AdditionalAddresses, AuthPayload, CertificatePayload, Configuration, IdPayload, MessageError, Notify,
    NotifyType, PayloadChain, PayloadType,
};

/// Somebody that an end says it is, and its proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// IDi or IDr.
    pub id: IdPayload,
    /// CERT, the end entity's first.
    pub certificates: Vec<CertificatePayload>,
    /// AUTH.
    pub authentication: AuthPayload,
}

/// A further IKE_AUTH request: another proof, or nothing while the responder goes on with its own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FurtherRequest {
    /// Another proof.
    pub claim: Option<Claimed>,
    /// Notifications, ANOTHER_AUTH_FOLLOWS among them.
    pub notifies: Vec<Notify>,
}

/// The response to an IKE_AUTH request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FurtherResponse {
    /// The responder goes on, or the IKE SA stands.
    Accepted(Box<FurtherAccepted>),
    /// No IKE SA.
    Failed(Notify),
}

/// A response that goes on. What is said of child, addresses and lifetime is said in the last one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FurtherAccepted {
    /// A proof, if the responder has another one.
    pub claim: Option<Claimed>,
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
    /// Notifications that have no field of their own, ANOTHER_AUTH_FOLLOWS among them.
    pub notifies: Vec<Notify>,
}

impl Claimed {
    /// Identity and proof come together or not at all: EAP, which is one without the other, we do not speak.
    fn read(payloads: &Sorted<'_>, identity: PayloadType) -> Result<Option<Self>, MessageError> {
        let id = payloads.at_most_once(identity, IdPayload::parse)?;
        let authentication = payloads.at_most_once(AUTH, AuthPayload::parse)?;
        match (id, authentication) {
            (Some(id), Some(authentication)) => {
                let certificates = payloads.all(CERT, CertificatePayload::parse)?;
                Ok(Some(Self { id, certificates, authentication }))
            }
            (None, None) => Ok(None),
            (Some(_), None) => Err(MessageError::Missing(AUTH)),
            (None, Some(_)) => Err(MessageError::Missing(identity)),
        }
    }

    fn write(&self, chain: &mut ChainWriter, identity: PayloadType) {
        chain.payload(identity, |body| self.id.write(body));
        write_certificates(chain, &self.certificates);
        chain.payload(AUTH, |body| self.authentication.write(body));
    }
}

impl FurtherRequest {
    /// Reads the payloads of a message, the first of which has the type `first`.
    pub fn parse(first: u8, body: &[u8]) -> Result<Self, MessageError> {
        let payloads = Unsorted::read(first, body)?.sort(AUTH_FURTHER_REQUEST)?;
        Ok(Self { claim: Claimed::read(&payloads, IDI)?, notifies: payloads.notifies()?.rest() })
    }

    /// Its payloads as bytes.
    pub fn emit(&self) -> PayloadChain {
        let mut chain = ChainWriter::default();
        if let Some(claim) = &self.claim {
            claim.write(&mut chain, IDI);
        }
        chain.notifies(&self.notifies);
        chain.finish()
    }
}

impl FurtherResponse {
    /// Reads the payloads of a message, the first of which has the type `first`. What refuses a child leaves the
    /// IKE SA standing, as in the first response.
    pub fn parse(first: u8, body: &[u8]) -> Result<Self, MessageError> {
        let payloads = Unsorted::read(first, body)?.sort(AUTH_FURTHER_RESPONSE)?;
        let mut notifies = payloads.notifies()?;
        if let Some(error) = notifies.take_error(|kind| !kind.refuses_child()) {
            return Ok(Self::Failed(error));
        }
        FurtherAccepted::read(&payloads, notifies).map(Box::new).map(Self::Accepted)
    }

    /// Its payloads as bytes.
    pub fn emit(&self) -> PayloadChain {
        match self {
            Self::Accepted(accepted) => accepted.emit(),
            Self::Failed(notify) => {
                let mut chain = ChainWriter::default();
                chain.notifies(std::slice::from_ref(notify));
                chain.finish()
            }
        }
    }
}

impl From<AuthAccepted> for FurtherAccepted {
    /// The first response is one that has a proof.
    fn from(first: AuthAccepted) -> Self {
        Self {
            claim: Some(Claimed {
                id: first.responder_id,
                certificates: first.certificates,
                authentication: first.authentication,
            }),
            configuration: first.configuration,
            child: first.child,
            mobike: first.mobike,
            additional_addresses: first.additional_addresses,
            lifetime: first.lifetime,
            notifies: first.notifies,
        }
    }
}

impl FurtherAccepted {
    fn read(payloads: &Sorted<'_>, mut notifies: Notifies) -> Result<Self, MessageError> {
        Ok(Self {
            claim: Claimed::read(payloads, IDR)?,
            configuration: payloads.at_most_once(CP, Configuration::parse)?,
            child: ChildOutcome::read(payloads, &mut notifies)?,
            mobike: notifies.take_flag(NotifyType::MOBIKE_SUPPORTED),
            additional_addresses: notifies.additional_addresses()?,
            lifetime: notifies.lifetime()?,
            notifies: notifies.rest(),
        })
    }

    /// Its payloads as bytes.
    pub fn emit(&self) -> PayloadChain {
        let mut chain = ChainWriter::default();
        if let Some(claim) = &self.claim {
            claim.write(&mut chain, IDR);
        }
        write_configuration(&mut chain, self.configuration.as_ref());
        self.child.write(&mut chain);
        chain.flag(NotifyType::MOBIKE_SUPPORTED, self.mobike);
        chain.additional_addresses(self.additional_addresses.as_ref());
        chain.lifetime(self.lifetime);
        chain.notifies(&self.notifies);
        chain.finish()
    }
}
