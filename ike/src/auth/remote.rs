//! How the peer has to prove who it is.

use super::{PskBook, TrustStore, encoding};
use crate::crypto::Secret;
use crate::identity::DistinguishedName;
use crate::wire::CertificatePayload;
use std::fmt;
use std::sync::Arc;

/// How the peer has to prove who it is.
pub enum RemoteAuth {
    /// By a secret that both ends know.
    Psk(Secret),
    /// By the one of these secrets that is for who it says it is.
    Psks(PskBook),
    /// By a certificate that leads to an anchor of ours.
    Certificates(RemoteCertificates),
    /// By one of these keys.
    RawKeys(RemoteKeys),
}

/// Which certificates do.
#[derive(Clone, Debug)]
pub struct RemoteCertificates {
    /// Anchors, intermediates and revocation lists.
    pub store: Arc<TrustStore>,
    /// If not empty: one of these has to be among the issuers, up to the anchor.
    pub issuers: Vec<DistinguishedName>,
    /// Whether method 1 will do.
    pub rsa_sha1: RsaSha1,
}

/// Which pinned keys do.
#[derive(Clone, Debug)]
pub struct RemoteKeys {
    /// Each a SubjectPublicKeyInfo in DER.
    pub keys: Vec<Vec<u8>>,
    /// Whether method 1 will do.
    pub rsa_sha1: RsaSha1,
}

/// Whether RSA signatures over SHA-1 (method 1) are taken from old peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RsaSha1 {
    /// They are not: SHA-1 collisions can be bought.
    #[default]
    Refuse,
    /// They are, for want of something better.
    Accept,
}

impl RemoteAuth {
    /// The CERTREQ payloads that tell the peer what we can check (RFC 7296 §3.7).
    pub fn certificate_requests(&self) -> Vec<CertificatePayload> {
        match self {
            Self::Psk(_) | Self::Psks(_) => Vec::new(),
            Self::Certificates(certificates) => certificates.store.certificate_requests(),
            // RFC 7670 §3: the authority field is empty.
            Self::RawKeys(_) => {
                vec![CertificatePayload { encoding: encoding::RAW_PUBLIC_KEY, data: Vec::new() }]
            }
        }
    }
}

impl fmt::Debug for RemoteAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Psk(_) => f.debug_struct("Psk").finish_non_exhaustive(),
            Self::Psks(book) => book.fmt(f),
            Self::Certificates(certificates) => certificates.fmt(f),
            Self::RawKeys(keys) => keys.fmt(f),
        }
    }
}
