//! What is wrong with what a client loads.

use crate::vici::credentials::CredentialFault;
use std::fmt;
use std::io;
use tidegate_esp::ParseSelectorError;
use tidegate_ike::crypto::pem::PemError;
use tidegate_ike::identity::IdentityError;
use tidegate_ike::proposal::ProposalError;

/// Why something is not loaded.
#[derive(Clone, Debug, PartialEq)]
pub enum LoadFault {
    /// Nobody knows such an option, or not as a value, or not as a list.
    UnknownOption {
        /// Where it stands.
        option: String,
    },
    /// Nobody knows such a section.
    UnknownSection {
        /// Where it stands.
        section: String,
    },
    /// It has to be there.
    Missing {
        /// Where it would stand.
        option: String,
    },
    /// A value makes no sense.
    Invalid {
        /// Where it stands.
        option: String,
        /// As it was written.
        value: String,
        /// Why not.
        fault: ValueFault,
    },
    /// A value makes sense, and we do not do it.
    Unsupported {
        /// Where it stands.
        option: String,
        /// As it was written.
        value: String,
        /// Why not, and what to write in its place where there is something.
        reason: &'static str,
    },
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueFault {
    /// Not UTF-8.
    Text,
    /// Neither yes nor no.
    Flag,
    /// No number, or one that is too great.
    Number {
        /// The greatest that would do.
        most: u64,
    },
    /// No time.
    Time,
    /// No number of bytes.
    Size,
    /// None of these words.
    Choice(&'static [&'static str]),
    /// Not six binary digits.
    Dscp,
    /// Neither an address, nor several, nor a name.
    Address,
    /// No address.
    Ip,
    /// No addresses to give away.
    Addresses,
    /// No authentication method.
    Auth,
    /// No identity.
    Identity(IdentityError),
    /// No proposal.
    Proposal(ProposalError),
    /// No selector.
    Selector(ParseSelectorError),
    /// No certificate.
    Certificate(CredentialFault),
    /// No public key.
    PublicKey(PemError),
    /// A file that cannot be read.
    File(io::ErrorKind),
    /// A limit below the one that it has to be above.
    Below(&'static str),
}

/// What was taken, and does not do what it seems to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The option.
    pub option: String,
    /// As it was written.
    pub value: String,
    /// Why it does nothing.
    pub reason: &'static str,
}

impl fmt::Display for LoadFault {
    /// As charon begins, then with where and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownOption { option } => write!(f, "unknown option: {option}, config discarded"),
            Self::UnknownSection { section } => write!(f, "invalid section: {section}"),
            Self::Missing { option } => write!(f, "missing option: {option}, config discarded"),
            Self::Invalid { option, value, fault } => {
                write!(f, "invalid value for: {option}, config discarded: {value:?} is {fault}")
            }
            Self::Unsupported { option, value, reason } => {
                write!(f, "unsupported value for: {option}, config discarded: {value:?}: {reason}")
            }
        }
    }
}

impl std::error::Error for LoadFault {}

impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("not UTF-8"),
            Self::Flag => f.write_str("neither yes nor no"),
            Self::Number { most } => write!(f, "not a number from 0 to {most}"),
            Self::Time => f.write_str("not a time such as 30, 30s, 5m, 4h or 1d"),
            Self::Size => f.write_str("not a size such as 1000, 500k, 100m or 1g"),
            Self::Choice(words) => write!(f, "none of {}", words.join(", ")),
            Self::Dscp => f.write_str("not six binary digits"),
            Self::Address => f.write_str("neither an address, a subnet, a range nor a DNS name"),
            Self::Ip => f.write_str("not an address"),
            Self::Addresses => f.write_str("neither a subnet nor a range of addresses"),
            Self::Auth => f.write_str("not an authentication method"),
            Self::Identity(error) => write!(f, "no identity: {error}"),
            Self::Proposal(error) => write!(f, "no proposal: {error}"),
            Self::Selector(error) => write!(f, "no traffic selector: {error}"),
            Self::Certificate(fault) => write!(f, "no certificate: {fault}"),
            Self::PublicKey(error) => write!(f, "no public key: {error}"),
            Self::File(kind) => write!(f, "a file that cannot be read: {kind}"),
            Self::Below(other) => write!(f, "less than {other}"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.option, self.value, self.reason)
    }
}
