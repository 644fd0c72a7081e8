//! What can be wrong with a datagram and with a message, as data, and the one place where a fault of the peer
//! becomes the notification that answers it.

use super::reader::Fault;
use super::{Notify, NotifyType, PayloadType};
use std::fmt;

/// A datagram, or the envelope in it, is not what IKE says it must be, or what we want to send has no form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireError {
    /// A datagram of this many bytes has no room for a header.
    ShortHeader(usize),
    /// The length field and the datagram differ.
    LengthField {
        /// What the field says.
        said: u32,
        /// What arrived.
        datagram: usize,
    },
    /// The initiator's SPI is zero.
    NoInitiatorSpi,
    /// The payloads in front of the envelope are no chain.
    Chain(Fault),
    /// There is neither an SK nor an SKF payload.
    NotProtected,
    /// The fragment fields of an SKF payload are missing or deny each other.
    Fragment(FragmentError),
    /// The padding reaches past the start of what was opened.
    Padding {
        /// The pad length.
        said: u8,
        /// Bytes that were opened, the pad length among them.
        opened: usize,
    },
    /// A message of this many bytes fits into no datagram.
    TooLong(usize),
    /// Nothing fits beside headers, IV, padding and ICV in a datagram of this many bytes.
    NoRoom(usize),
}

/// A fragment that is not taken (RFC 7383 §2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FragmentError {
    /// Number zero, total zero, or a number above the total.
    Number {
        /// Fragment number.
        number: u16,
        /// Total fragments.
        total: u16,
    },
    /// A message in more fragments than we hold.
    TooMany {
        /// Total fragments.
        total: u16,
    },
    /// It belongs to a set that a finer one has replaced.
    Superseded {
        /// Its total.
        total: u16,
        /// The total of the set that we gather.
        current: u16,
    },
    /// The message grows above what we hold.
    TooLong(usize),
}

/// A message holds what its exchange does not allow, or lacks what it needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageError {
    /// An unknown payload that its sender wants understood (RFC 7296 §2.5).
    UnsupportedCritical(u8),
    /// The payloads are no chain.
    Chain(Fault),
    /// The inside of a payload.
    Payload {
        /// Which payload.
        payload: PayloadType,
        /// What is wrong.
        fault: Fault,
    },
    /// The inside of a notification that we know.
    Notify {
        /// Which notification.
        kind: NotifyType,
        /// What is wrong.
        fault: Fault,
    },
    /// A payload that this message needs.
    Missing(PayloadType),
    /// A payload that this message holds at most once.
    Repeated(PayloadType),
    /// A payload that we know and that has no place in this message.
    Misplaced(PayloadType),
    /// A notification that a message holds at most once.
    RepeatedNotify(NotifyType),
    /// SA, TSi and TSr come together or not at all (RFC 7296 §1.2, RFC 6023 §3); this one is missing.
    IncompleteChild(PayloadType),
}

impl MessageError {
    /// The notification that tells the sender of a request. A faulty response is never answered
    /// (RFC 7296 §2.21).
    pub fn answer(&self) -> Notify {
        match self {
            Self::UnsupportedCritical(kind) => {
                Notify::with_data(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD, vec![*kind])
            }
            _ => Notify::new(NotifyType::INVALID_SYNTAX),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Short { needed, left } => write!(f, "{needed} bytes needed, {left} left"),
            Self::Trailing(bytes) => write!(f, "{bytes} bytes too many"),
            Self::Length(length) => write!(f, "impossible length {length}"),
            Self::Count { said, found } => write!(f, "{said} announced, {found} found"),
            Self::TooMany { limit } => write!(f, "more than {limit}"),
            Self::Empty => write!(f, "empty"),
            Self::LastFlag(flag) => write!(f, "wrong last-substructure flag {flag}"),
            Self::ProposalNumber { expected, found } => {
                write!(f, "proposal {found} in the place of {expected}")
            }
            Self::SpiSize { protocol, size } => write!(f, "SPI of {size} bytes for {protocol:?}"),
            Self::ReservedSpi(value) => write!(f, "reserved SPI {value}"),
            Self::RepeatedAttribute(kind) => write!(f, "attribute {kind} twice"),
            Self::Range => write!(f, "range ends before it starts"),
            Self::PrefixLength(length) => write!(f, "prefix length {length}"),
            Self::MixedProtocols => write!(f, "IKE proposed beside another protocol"),
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortHeader(length) => write!(f, "{length} bytes are no IKE header"),
            Self::LengthField { said, datagram } => {
                write!(f, "length field says {said}, the datagram has {datagram}")
            }
            Self::NoInitiatorSpi => write!(f, "the initiator's SPI is zero"),
            Self::Chain(fault) => write!(f, "payload chain: {fault}"),
            Self::NotProtected => write!(f, "no SK or SKF payload"),
            Self::Fragment(error) => error.fmt(f),
            Self::Padding { said, opened } => write!(f, "{said} bytes of padding in {opened}"),
            Self::TooLong(length) => write!(f, "{length} bytes fit into no datagram"),
            Self::NoRoom(length) => write!(f, "no room for a fragment in {length} bytes"),
        }
    }
}

impl fmt::Display for FragmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { number, total } => write!(f, "fragment {number} of {total}"),
            Self::TooMany { total } => write!(f, "{total} fragments are too many"),
            Self::Superseded { total, current } => {
                write!(f, "fragment of a set of {total}, {current} is current")
            }
            Self::TooLong(length) => write!(f, "fragments of {length} bytes in all"),
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedCritical(kind) => write!(f, "unknown critical payload {kind}"),
            Self::Chain(fault) => write!(f, "payload chain: {fault}"),
            Self::Payload { payload, fault } => write!(f, "{payload}: {fault}"),
            Self::Notify { kind, fault } => write!(f, "{kind}: {fault}"),
            Self::Missing(payload) => write!(f, "{payload} is missing"),
            Self::Repeated(payload) => write!(f, "{payload} is repeated"),
            Self::Misplaced(payload) => write!(f, "{payload} does not belong here"),
            Self::RepeatedNotify(kind) => write!(f, "{kind} is repeated"),
            Self::IncompleteChild(payload) => write!(f, "a child without {payload}"),
        }
    }
}

impl std::error::Error for Fault {}
impl std::error::Error for WireError {}
impl std::error::Error for FragmentError {}
impl std::error::Error for MessageError {}
