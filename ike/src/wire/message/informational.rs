//! INFORMATIONAL (RFC 7296 §1.4, RFC 4555 §3.5 to §3.9).

use super::auth::write_configuration;
use crate::wire::table::{CP, D, INFORMATIONAL, Unsorted};
use crate::wire::writer::ChainWriter;
use crate::wire::{
    AdditionalAddresses, Configuration, Delete, MessageError, NatDetection, Notify, NotifyType, PayloadChain,
};

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

impl Informational {
    /// Whether it deletes children.
    pub fn names_children(&self) -> bool {
        self.deletes.iter().any(|delete| matches!(delete, Delete::Esp(_)))
    }

    /// Reads the payloads of a message, the first of which has the type `first`.
    pub fn parse(first: u8, body: &[u8]) -> Result<Self, MessageError> {
        let payloads = Unsorted::read(first, body)?.sort(INFORMATIONAL)?;
        let mut notifies = payloads.notifies()?;
        Ok(Self {
            deletes: payloads.all(D, Delete::parse)?,
            update_addresses: notifies.take_flag(NotifyType::UPDATE_SA_ADDRESSES),
            cookie2: notifies.cookie2()?,
            nat: notifies.nat_detection()?,
            additional_addresses: notifies.additional_addresses()?,
            no_nats_allowed: notifies.no_nats_allowed()?,
            unexpected_nat: notifies.take_flag(NotifyType::UNEXPECTED_NAT_DETECTED),
            unacceptable_addresses: notifies.take_flag(NotifyType::UNACCEPTABLE_ADDRESSES),
            lifetime: notifies.lifetime()?,
            configuration: payloads.at_most_once(CP, Configuration::parse)?,
            notifies: notifies.rest(),
        })
    }

    /// Its payloads as bytes.
    pub fn emit(&self) -> PayloadChain {
        let mut chain = ChainWriter::default();
        chain.flag(NotifyType::UPDATE_SA_ADDRESSES, self.update_addresses);
        chain.nat_detection(&self.nat);
        chain.notify(NotifyType::COOKIE2, self.cookie2.as_deref());
        chain.additional_addresses(self.additional_addresses.as_ref());
        chain.notify(NotifyType::NO_NATS_ALLOWED, self.no_nats_allowed.as_deref());
        chain.flag(NotifyType::UNEXPECTED_NAT_DETECTED, self.unexpected_nat);
        chain.flag(NotifyType::UNACCEPTABLE_ADDRESSES, self.unacceptable_addresses);
        chain.lifetime(self.lifetime);
        chain.notifies(&self.notifies);
        for delete in &self.deletes {
            chain.payload(D, |body| delete.write(body));
        }
        write_configuration(&mut chain, self.configuration.as_ref());
        chain.finish()
    }
}
