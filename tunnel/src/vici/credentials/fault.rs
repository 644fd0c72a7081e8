//! Why a credential is not taken.

use super::LockFault;
use std::fmt;
use tidegate_ike::auth::{CertificateCheck, CertificateVerdict, RevocationListError};
use tidegate_ike::crypto::KeyError;
use tidegate_ike::crypto::pem::PemError;

/// Why a credential is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialFault {
    /// Neither PEM nor DER.
    Encoding(PemError),
    /// No certificate.
    Certificate(CertificateCheck),
    /// A certificate that could never be an authority's.
    Authority(Box<CertificateVerdict>),
    /// It was to be an authority's, and does not say that it is one.
    NotAuthority,
    /// No revocation list.
    List(RevocationListError),
    /// No private key that we can use.
    Key(KeyError),
    /// A private key that stays locked.
    Locked(LockFault),
    /// A key of another kind than was said.
    KeyKind {
        /// What was said.
        wanted: &'static str,
        /// What it is.
        actual: &'static str,
    },
    /// There are as many as we keep.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many that is.
        limit: usize,
    },
}

impl fmt::Display for CredentialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding(PemError::Missing) => f.write_str("neither PEM nor DER"),
            Self::Encoding(error) => error.fmt(f),
            Self::Certificate(check) => check.fmt(f),
            Self::Authority(verdict) => verdict.fmt(f),
            Self::NotAuthority => f.write_str("ca certificate lacks CA basic constraint, rejected"),
            Self::List(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::Locked(fault) => fault.fmt(f),
            Self::KeyKind { wanted, actual } => write!(f, "the key is {actual}, not {wanted}"),
            Self::TooMany { what, limit } => write!(f, "there are {limit} {what} already"),
        }
    }
}

impl std::error::Error for CredentialFault {}
