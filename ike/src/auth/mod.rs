//! Who the two ends are: shared secrets, certificates and pinned keys (RFC 7296 §2.15, RFC 7427).
//!
//! Authentication is two pieces of plain data that may run on any thread: a [`SignTask`] makes our AUTH
//! payload, a [`VerifyTask`] checks the peer's and its certificates. Only the latter can make an
//! [`Authenticated`], which the state machine wants to see before it goes on: the check cannot be left
//! out. Whatever fails is an [`AuthFailure`] that names the culprit.
//!
//! - `local`, `remote`: how we prove who we are, and how the peer has to.
//! - `octets`: what AUTH covers, and the shared-secret value.
//! - `algorithm`: signature algorithms and public keys as ASN.1 names them.
//! - `sign`, `verify`: the two tasks.
//! - `certificate`: X.509, the way to an anchor and its checks.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod algorithm;
mod certificate;
mod failure;
mod local;
mod octets;
mod remote;
mod sign;
mod verify;

pub use algorithm::{Algorithm, AlgorithmError, HashAlgorithm, KeyKind, accepted_hashes};
pub use certificate::{
    CertificateCheck, CertificateOutline, CertificateVerdict, EndEntities, EndEntity, MAX_CHAIN,
    MAX_CHAIN_LEN, NameForm, Revocation, RevocationList, RevocationListError, RevocationListOutline,
    TrustStore, WantedList, WhichCertificate,
};
pub use failure::{AuthFailure, Blame, CannotSign, ExpectedMethod};
pub use local::{LocalAuth, LocalAuthError, LocalCertificate, RsaPadding};
pub use octets::{psk_auth, signed_octets};
pub use remote::{RemoteAuth, RemoteCertificates, RemoteKeys, RsaSha1};
pub use sign::SignTask;
pub use verify::{Authenticated, VerifyTask};

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
