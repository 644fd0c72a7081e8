//! What a connection lacks.

use std::fmt;
use tidegate_ike::auth::{CertificateCheck, CertificateVerdict, LocalAuthError};
use tidegate_ike::identity::{DistinguishedName, Identity, IdentityPattern};

/// What a connection lacks before it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// We are to prove who we are by a shared secret or a bare key, and nothing says who that is.
    OurIdentity,
    /// No private key for any of a section's certificates; this is the first.
    KeyOfCertificate(DistinguishedName),
    /// No private key for the section's public keys.
    KeyOfPublicKey,
    /// No certificate with a private key for this identity.
    CertificateOf(Identity),
    /// Nothing says by which certificate we prove who we are.
    OurCertificate,
    /// A certificate of a section is no good.
    Unusable(Box<LocalAuthError>),
    /// A certificate of a section cannot be read.
    Unreadable(CertificateCheck),
    /// What a section names as a CA's certificate is none.
    NotAuthority(DistinguishedName),
    /// A CA of a section is no good.
    Authority(Box<CertificateVerdict>),
    /// No shared secret for the two.
    Secret {
        /// Us.
        ours: Identity,
        /// The peer.
        peer: IdentityPattern,
    },
    /// Several secrets would do, and which one shows only when the peer says who it is.
    Ambiguous {
        /// Us.
        ours: Identity,
        /// The peer.
        peer: IdentityPattern,
    },
    /// No CA and no certificate of the peer to check it by.
    Trust(IdentityPattern),
    /// Nothing at all to check this peer by.
    Anything(IdentityPattern),
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OurIdentity => f.write_str("no local id"),
            Self::KeyOfCertificate(subject) => write!(f, "no private key for certificate {subject}"),
            Self::KeyOfPublicKey => f.write_str("no private key for the local public key"),
            Self::CertificateOf(identity) => write!(f, "no certificate with a private key for {identity}"),
            Self::OurCertificate => f.write_str("no local certificate, and no local id to find one by"),
            Self::Unusable(error) => write!(f, "local certificate: {error}"),
            Self::Unreadable(check) => write!(f, "certificate: {check}"),
            Self::NotAuthority(subject) => write!(f, "certificate {subject} is no CA's"),
            Self::Authority(verdict) => write!(f, "CA certificate: {verdict}"),
            Self::Secret { ours, peer } => write!(f, "no shared secret for {ours} and {peer}"),
            Self::Ambiguous { ours, peer } => {
                write!(f, "more than one shared secret for {ours} and {peer}")
            }
            Self::Trust(peer) => write!(f, "no CA certificate to check {peer} by"),
            Self::Anything(peer) => write!(f, "neither CA certificate nor shared secret to check {peer} by"),
        }
    }
}

impl std::error::Error for Lacking {}
