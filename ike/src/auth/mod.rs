//! Who the two ends are: shared secrets, certificates and pinned keys (RFC 7296 §2.15, RFC 7427).
//!
//! Authentication is two pieces of plain data that may run on any thread: a [`SignTask`] makes our AUTH
//! payload, a [`VerifyTask`] checks the peer's and its certificates. Only the latter can make an
//! [`Authenticated`], which the state machine wants to see before it goes on: the check cannot be left
//! out. Whatever fails is an [`AuthFailure`] that names the culprit.
//!
//! - `octets`: what AUTH covers, and the shared-secret value.
//! - `algorithm`: signature algorithms and public keys as ASN.1 names them.
//! - `sign`, `verify`: the two tasks.
//! - `certificate`: X.509, the way to an anchor and its checks.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod algorithm;
mod certificate;
mod failure;
mod octets;
mod sign;
mod verify;

pub use algorithm::{Algorithm, AlgorithmError, HashAlgorithm, KeyKind, accepted_hashes};
pub use certificate::{
    CertificateCheck, CertificateVerdict, EndEntity, MAX_CHAIN, MAX_CHAIN_LEN, NameForm, Revocation,
    RevocationListError, TrustStore, WhichCertificate,
};
pub use failure::{AuthFailure, Blame, CannotSign, ExpectedMethod};
pub use octets::{psk_auth, signed_octets};
pub use sign::SignTask;
pub use verify::{Authenticated, VerifyTask};

use crate::crypto::{Secret, SigningKey};
use crate::identity::DistinguishedName;
use crate::wire::CertificatePayload;
use std::fmt;
use std::sync::Arc;

/// AUTH methods (RFC 7296 §3.8, RFC 4754, RFC 7427).
pub mod method {
    /// RSA signature with SHA-1.
    pub const RSA_SHA1: u8 = 1;
    /// Shared key message integrity code.
    pub const SHARED_KEY: u8 = 2;
    /// ECDSA with SHA-256 on P-256.
    pub const ECDSA_P256: u8 = 9;
    /// ECDSA with SHA-384 on P-384.
    pub const ECDSA_P384: u8 = 10;
    /// ECDSA with SHA-512 on P-521.
    pub const ECDSA_P521: u8 = 11;
    /// Digital signature, with its algorithm named.
    pub const DIGITAL_SIGNATURE: u8 = 14;
}

/// CERT encodings (RFC 7296 §3.6, RFC 7670).
pub mod encoding {
    /// An X.509 certificate for signatures.
    pub const X509: u8 = 4;
    /// A SubjectPublicKeyInfo.
    pub const RAW_PUBLIC_KEY: u8 = 15;
}

/// How we prove who we are.
pub enum LocalAuth {
    /// By a secret that both ends know.
    Psk(Secret),
    /// By the key of a certificate.
    Certificate {
        /// The certificate, then its intermediates, each in DER.
        chain: Vec<Vec<u8>>,
        /// The key of the first.
        key: Arc<dyn SigningKey>,
        /// How RSA keys sign; other keys do not care.
        padding: RsaPadding,
    },
    /// By a key that the peer has pinned.
    RawKey {
        /// The key.
        key: Arc<dyn SigningKey>,
        /// How RSA keys sign; other keys do not care.
        padding: RsaPadding,
    },
}

/// How RSA keys sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RsaPadding {
    /// RSASSA-PKCS1-v1_5, which every peer understands.
    #[default]
    Pkcs1,
    /// RSASSA-PSS.
    Pss,
}

/// How the peer has to prove who it is.
pub enum RemoteAuth {
    /// By a secret that both ends know.
    Psk(Secret),
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

impl LocalAuth {
    /// The CERT payloads that go with our AUTH: the end entity's certificate first (RFC 7296 §3.6), then
    /// the intermediates. A root is of no use to the peer, which has it or does not trust it.
    pub fn certificates(&self) -> Vec<CertificatePayload> {
        match self {
            Self::Psk(_) => Vec::new(),
            Self::Certificate { chain, .. } => certificate::without_roots(chain)
                .map(|der| CertificatePayload { encoding: encoding::X509, data: der.clone() })
                .collect(),
            // RFC 7670 §3
            Self::RawKey { key, .. } => {
                let data = key.public_key().to_vec();
                vec![CertificatePayload { encoding: encoding::RAW_PUBLIC_KEY, data }]
            }
        }
    }
}

impl RemoteAuth {
    /// The CERTREQ payloads that tell the peer what we can check (RFC 7296 §3.7).
    pub fn certificate_requests(&self) -> Vec<CertificatePayload> {
        match self {
            Self::Psk(_) => Vec::new(),
            Self::Certificates(certificates) => certificates.store.certificate_requests(),
            // RFC 7670 §3: the authority field is empty.
            Self::RawKeys(_) => {
                vec![CertificatePayload { encoding: encoding::RAW_PUBLIC_KEY, data: Vec::new() }]
            }
        }
    }
}

impl fmt::Debug for LocalAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Psk(_) => f.debug_struct("Psk").finish_non_exhaustive(),
            Self::Certificate { chain, padding, .. } => f
                .debug_struct("Certificate")
                .field("certificates", &chain.len())
                .field("padding", padding)
                .finish_non_exhaustive(),
            Self::RawKey { padding, .. } => {
                f.debug_struct("RawKey").field("padding", padding).finish_non_exhaustive()
            }
        }
    }
}

impl fmt::Debug for RemoteAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Psk(_) => f.debug_struct("Psk").finish_non_exhaustive(),
            Self::Certificates(certificates) => certificates.fmt(f),
            Self::RawKeys(keys) => keys.fmt(f),
        }
    }
}
