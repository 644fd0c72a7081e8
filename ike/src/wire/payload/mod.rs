//! Payloads: their chain (RFC 7296 §3.2), and each of them as a value with parser and writer.

mod basic;
mod configuration;
mod delete;
mod notified;
mod notify;
mod notify_type;
mod proposal;
mod selectors;

pub use basic::{AuthPayload, CertificatePayload, IdPayload, KeyExchange};
pub use configuration::{Configuration, ConfigurationAttribute, ConfigurationKind};
pub use delete::Delete;
pub use notified::{AdditionalAddresses, NatDetection};
pub use notify::Notify;
pub use notify_type::NotifyType;
pub use proposal::{Proposal, Transform};
pub use selectors::Selectors;

pub(super) use basic::{parse_nonce, write_nonce};
pub(super) use notified::wanted_group;
pub(super) use notify::Notifies;
pub(super) use proposal::Purpose;
pub(super) use selectors::{parse_selectors, write_selectors};

use super::reader::{Fault, Reader};
use std::fmt;

/// A payload type number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(pub u8);

/// A security protocol id (RFC 7296 §3.3.1); unknown ones survive as numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum ProtocolId {
    /// 0, in notifications that concern no SA.
    None,
    /// 1
    Ike,
    /// 2
    Ah,
    /// 3
    Esp,
    /// Anything else.
    Other(u8),
}

/// A payload before anyone has looked inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawPayload<'a> {
    /// Its type.
    pub kind: PayloadType,
    /// The sender wants the message refused if we do not know the type.
    pub critical: bool,
    /// Type of the payload behind it; for SK and SKF, of the first one inside.
    pub next: PayloadType,
    /// What follows its generic header.
    pub body: &'a [u8],
}

/// Walks a chain of payloads; after the first fault it ends.
#[derive(Clone, Debug)]
pub struct Payloads<'a> {
    next: PayloadType,
    reader: Reader<'a>,
}

impl<'a> Payloads<'a> {
    /// How many payloads a message may hold; more are refused before any is looked at.
    pub const MAX: usize = 128;
    /// Bytes of the generic payload header.
    pub const HEADER: usize = 4;

    /// The chain that starts with a payload of type `first`.
    pub const fn new(first: u8, bytes: &'a [u8]) -> Self {
        Self { next: PayloadType(first), reader: Reader::new(bytes) }
    }

    fn read(&mut self, kind: PayloadType) -> Result<RawPayload<'a>, Fault> {
        let next = PayloadType(self.reader.u8()?);
        let critical = self.reader.u8()? & 0x80 != 0;
        let body = self.reader.sub_after_length(2)?.rest();
        // RFC 7296 §3.2: the envelope names its first inner payload and is itself the last.
        self.next = if kind.is_envelope() { PayloadType::NONE } else { next };
        Ok(RawPayload { kind, critical, next, body })
    }
}

impl<'a> Iterator for Payloads<'a> {
    type Item = Result<RawPayload<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let kind = std::mem::replace(&mut self.next, PayloadType::NONE);
        if kind == PayloadType::NONE {
            let trailing = Reader::new(self.reader.rest()).finish();
            return trailing.err().map(Err);
        }
        let payload = self.read(kind);
        if payload.is_err() {
            self.reader.rest();
        }
        Some(payload)
    }
}

impl ProtocolId {
    /// The number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Ike => 1,
            Self::Ah => 2,
            Self::Esp => 3,
            Self::Other(number) => number,
        }
    }
}

impl From<u8> for ProtocolId {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Ike,
            2 => Self::Ah,
            3 => Self::Esp,
            other => Self::Other(other),
        }
    }
}

macro_rules! payload_types {
    ($($name:ident = $value:literal, $label:literal, $section:literal;)*) => {
        impl PayloadType {
            $(
                #[doc = concat!($label, " (", $section, ").")]
                pub const $name: Self = Self($value);
            )*

            /// The abbreviation that the RFCs use, for the types that we know.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($label),)*
                    _ => None,
                }
            }
        }
    };
}

payload_types! {
    NONE = 0, "no payload", "RFC 7296 §3.2";
    SECURITY_ASSOCIATION = 33, "SA", "RFC 7296 §3.3";
    KEY_EXCHANGE = 34, "KE", "RFC 7296 §3.4";
    INITIATOR_ID = 35, "IDi", "RFC 7296 §3.5";
    RESPONDER_ID = 36, "IDr", "RFC 7296 §3.5";
    CERTIFICATE = 37, "CERT", "RFC 7296 §3.6";
    CERTIFICATE_REQUEST = 38, "CERTREQ", "RFC 7296 §3.7";
    AUTHENTICATION = 39, "AUTH", "RFC 7296 §3.8";
    NONCE = 40, "Nonce", "RFC 7296 §3.9";
    NOTIFY = 41, "N", "RFC 7296 §3.10";
    DELETE = 42, "D", "RFC 7296 §3.11";
    VENDOR_ID = 43, "V", "RFC 7296 §3.12";
    INITIATOR_SELECTORS = 44, "TSi", "RFC 7296 §3.13";
    RESPONDER_SELECTORS = 45, "TSr", "RFC 7296 §3.13";
    ENCRYPTED = 46, "SK", "RFC 7296 §3.14";
    CONFIGURATION = 47, "CP", "RFC 7296 §3.15";
    EAP = 48, "EAP", "RFC 7296 §3.16";
    ENCRYPTED_FRAGMENT = 53, "SKF", "RFC 7383 §2.5";
}

impl PayloadType {
    /// Known types are never refused for their critical bit (RFC 7296 §2.5).
    pub const fn is_known(self) -> bool {
        self.name().is_some()
    }

    /// SK and SKF.
    pub(super) const fn is_envelope(self) -> bool {
        matches!(self, Self::ENCRYPTED | Self::ENCRYPTED_FRAGMENT)
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "payload {}", self.0),
        }
    }
}

impl fmt::Debug for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
