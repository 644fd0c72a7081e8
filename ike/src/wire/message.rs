//! Messages as the handlers see them: one type for each exchange and direction, every payload in its place.

use super::payload::{
    AdditionalAddresses, AuthPayload, CertificatePayload, Configuration, Delete, IdPayload, KeyExchange,
    NatDetection, Notify, Proposal, Selectors,
};
use tidegate_esp::Spi;

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
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChildOutcome {
    /// None was asked for.
    Absent,
    /// It is up.
    Accepted(ChildAccepted),
    /// It is not, for this reason.
    Refused(Notify),
}

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

/// INFORMATIONAL, either way: all of it optional, all of it none is a liveness check.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Informational {
    /// Delete payloads.
    pub deletes: Vec<Delete>,
    /// UPDATE_SA_ADDRESSES.
    pub update_addresses: bool,
    /// COOKIE2.
    pub cookie2: Option<Vec<u8>>,
    /// NAT detection hashes.
    pub nat: NatDetection,
    /// ADDITIONAL_*_ADDRESS.
    pub additional_addresses: Option<AdditionalAddresses>,
    /// NO_NATS_ALLOWED, its data.
    pub no_nats_allowed: Option<Vec<u8>>,
    /// UNEXPECTED_NAT_DETECTED.
    pub unexpected_nat: bool,
    /// UNACCEPTABLE_ADDRESSES.
    pub unacceptable_addresses: bool,
    /// AUTH_LIFETIME in seconds.
    pub lifetime: Option<u32>,
    /// CP.
    pub configuration: Option<Configuration>,
    /// Notifications that have no field of their own, errors among them.
    pub notifies: Vec<Notify>,
}
