//! Why authentication failed, and through whom.

use super::algorithm::{AlgorithmError, KeyKind};
use super::certificate::CertificateVerdict;
use super::method;
use crate::crypto::{PrfId, SignatureError, SignatureScheme};
use crate::identity::{Identity, IdentityError, IdentityPattern};
use std::fmt;

/// Why one side could not authenticate itself to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// The peer's ID payload makes no sense.
    PeerIdentity(IdentityError),
    /// The peer is not the one we expect.
    IdentityMismatch {
        /// What we expect.
        expected: IdentityPattern,
        /// Who it says it is.
        actual: Identity,
    },
    /// The peer authenticates in another way than we want it to.
    MethodNotAllowed {
        /// What we want.
        expected: ExpectedMethod,
        /// The AUTH method that came.
        actual: u8,
    },
    /// The peer signs over SHA-1 (method 1), which is not accepted; it may have sent no
    /// SIGNATURE_HASH_ALGORITHMS, or not have understood ours.
    RsaSha1Refused,
    /// The two ends hold different secrets.
    WrongPsk,
    /// The configured secret has no bytes.
    EmptyPsk,
    /// No secret is for this peer; nor for one that is not known yet.
    NoPsk {
        /// Who it says it is.
        peer: Option<Identity>,
    },
    /// The peer proves itself in fewer or more rounds than it has to (RFC 4739), or cannot do more than one.
    Rounds {
        /// So many are expected of the one who lacks them.
        expected: usize,
        /// So many there are, or may be.
        actual: usize,
    },
    /// The peer's signature does not hold.
    Signature {
        /// What it claims to be.
        scheme: SignatureScheme,
        /// What is wrong.
        error: SignatureError,
    },
    /// The algorithm in a digital signature (method 14) is malformed or none of ours.
    Algorithm(AlgorithmError),
    /// The peer signed over a hash that we did not announce (RFC 7427 §4).
    HashNotAnnounced {
        /// Its number in the registry.
        hash: u16,
    },
    /// The peer's key is of another kind than its AUTH method or algorithm.
    KeyMismatch {
        /// The AUTH method.
        method: u8,
        /// The key.
        key: KeyKind,
    },
    /// The peer's public key, or ours, is damaged or of no kind we know.
    Key(SignatureError),
    /// The peer's certificates were refused.
    Certificate(Box<CertificateVerdict>),
    /// The peer's certificate is good, and not one of the identity it claims.
    IdentityNotCertified {
        /// Who it says it is.
        identity: Identity,
        /// Whom its certificate names.
        certified: Vec<Identity>,
    },
    /// The peer's key is not among the pinned ones.
    KeyNotPinned,
    /// Somebody who has proved to be the same has an IKE SA with us from another address, and that one stays.
    NotUnique {
        /// Who it is.
        peer: Identity,
    },
    /// Our key cannot sign what this peer can check.
    CannotSign(CannotSign),
    /// The signer failed.
    Signer(SignatureError),
    /// The provider lacks the PRF that was negotiated.
    Prf(PrfId),
}

/// What the peer was to authenticate with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedMethod {
    /// A shared secret.
    Psk,
    /// A signature.
    Signature,
}

/// Why our key cannot sign for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotSign {
    /// The peer announced no hashes, and without them this kind of key would need SHA-1 (RSA) or has no
    /// AUTH method at all (Ed25519).
    NoHashesAnnounced {
        /// Our key.
        key: KeyKind,
    },
    /// The peer announced hashes, but none that goes with our key.
    NoCommonHash {
        /// Our key.
        key: KeyKind,
        /// What the peer announced.
        peer: Vec<u16>,
    },
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Our configuration or our machine.
    Us,
    /// The peer's configuration.
    Peer,
    /// One of the two configurations; from here it cannot be told which.
    Either,
    /// The peer does not follow the protocol, or somebody stands in between.
    Protocol,
}

impl AuthFailure {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::EmptyPsk | Self::Signer(_) | Self::Prf(_) => Blame::Us,
            Self::IdentityMismatch { .. }
            | Self::MethodNotAllowed { .. }
            | Self::RsaSha1Refused
            | Self::WrongPsk
            | Self::KeyNotPinned
            | Self::NoPsk { .. }
            | Self::Rounds { .. }
            | Self::NotUnique { .. }
            | Self::CannotSign(_) => Blame::Either,
            Self::Key(_) | Self::IdentityNotCertified { .. } => Blame::Peer,
            Self::Certificate(verdict) => verdict.blame(),
            Self::PeerIdentity(_)
            | Self::Signature { .. }
            | Self::Algorithm(_)
            | Self::HashNotAnnounced { .. }
            | Self::KeyMismatch { .. } => Blame::Protocol,
        }
    }
}

impl fmt::Display for AuthFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerIdentity(error) => write!(f, "the peer's identity: {error}"),
            Self::IdentityMismatch { expected, actual } => {
                write!(f, "the peer is {actual} where {expected} is expected")
            }
            Self::MethodNotAllowed { expected, actual } => {
                write!(f, "the peer authenticates by {} where {expected} is expected", MethodName(*actual))
            }
            Self::RsaSha1Refused => write!(f, "the peer signs over SHA-1 (method 1), which is not accepted"),
            Self::WrongPsk => write!(f, "the two ends hold different shared secrets"),
            Self::EmptyPsk => write!(f, "the configured shared secret is empty"),
            Self::NoPsk { peer: Some(peer) } => write!(f, "there is no shared secret for {peer}"),
            Self::NoPsk { peer: None } => {
                write!(f, "there is no shared secret for a peer that is not known yet")
            }
            Self::Rounds { expected, actual } => {
                write!(f, "{expected} rounds of authentication are configured where the peer has {actual}")
            }
            Self::Signature { scheme, error } => {
                write!(f, "the peer's {scheme:?} signature does not hold: {error}")
            }
            Self::Algorithm(error) => write!(f, "the peer's signature: {error}"),
            Self::HashNotAnnounced { hash } => {
                write!(f, "the peer signed over hash {hash}, which we did not announce")
            }
            Self::KeyMismatch { method, key } => {
                write!(f, "a key of kind {key} does not go with {}", MethodName(*method))
            }
            Self::Key(error) => write!(f, "unusable public key: {error}"),
            Self::Certificate(verdict) => verdict.fmt(f),
            Self::IdentityNotCertified { identity, certified } => {
                write!(f, "the peer says it is {identity}, and its certificate names ")?;
                for (at, name) in certified.iter().enumerate() {
                    write!(f, "{}{name}", if at == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::KeyNotPinned => write!(f, "the peer's key is not among the pinned ones"),
            Self::NotUnique { peer } => write!(f, "{peer} is connected already, from another address"),
            Self::CannotSign(reason) => reason.fmt(f),
            Self::Signer(error) => write!(f, "our key did not sign: {error}"),
            Self::Prf(prf) => write!(f, "the provider lacks {prf:?}"),
        }
    }
}

impl std::error::Error for AuthFailure {}

impl fmt::Display for CannotSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHashesAnnounced { key } => {
                write!(f, "the peer announced no signature hashes, which our {key} key needs")
            }
            Self::NoCommonHash { key, peer } => {
                write!(f, "our {key} key goes with none of the signature hashes {peer:?} of the peer")
            }
        }
    }
}

impl fmt::Display for ExpectedMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Psk => "a shared secret",
            Self::Signature => "a signature",
        })
    }
}

struct MethodName(u8);

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            method::RSA_SHA1 => f.write_str("RSA with SHA-1 (method 1)"),
            method::SHARED_KEY => f.write_str("a shared secret (method 2)"),
            method::ECDSA_P256 => f.write_str("ECDSA on P-256 (method 9)"),
            method::ECDSA_P384 => f.write_str("ECDSA on P-384 (method 10)"),
            method::ECDSA_P521 => f.write_str("ECDSA on P-521 (method 11)"),
            method::DIGITAL_SIGNATURE => f.write_str("a digital signature (method 14)"),
            other => write!(f, "method {other}"),
        }
    }
}
