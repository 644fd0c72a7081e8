//! Who a peer claims to be, and what we expect it to be.

use crate::wire::IdPayload;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An identity of RFC 7296 §3.5.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// ID_IPV4_ADDR
    Ipv4(Ipv4Addr),
    /// ID_IPV6_ADDR
    Ipv6(Ipv6Addr),
    /// ID_FQDN
    Fqdn(String),
    /// ID_RFC822_ADDR
    Email(String),
    /// ID_DER_ASN1_DN: the DER encoding of a Name
    Dn(Vec<u8>),
    /// ID_KEY_ID
    KeyId(Vec<u8>),
    /// A type without a meaning to us, as number and bytes.
    Other(u8, Vec<u8>),
}

impl Identity {
    /// Reads an ID payload.
    pub fn from_payload(_payload: &IdPayload) -> Result<Self, ()> {
        Err(())
    }
}
