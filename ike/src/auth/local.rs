//! How we prove who we are.

use super::algorithm::KeyKind;
use super::{CertificateCheck, CertificateOutline, encoding};
use crate::crypto::{Secret, SignatureError, SigningKey};
use crate::identity::{DistinguishedName, Identity};
use crate::wire::{CertificatePayload, IdPayload};
use std::fmt;
use std::sync::Arc;

/// How we prove who we are.
pub enum LocalAuth {
    /// By a secret that both ends know.
    Psk(Secret),
    /// By the key of a certificate.
    Certificate(LocalCertificate),
    /// By a key that the peer has pinned.
    RawKey {
        /// The key.
        key: Arc<dyn SigningKey>,
        /// How RSA keys sign; other keys do not care.
        padding: RsaPadding,
    },
}

/// A certificate of ours with its key: the two were seen to belong together.
pub struct LocalCertificate {
    sent: Vec<Vec<u8>>,
    subject: DistinguishedName,
    pub(super) key: Arc<dyn SigningKey>,
    pub(super) padding: RsaPadding,
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

/// Why a certificate of ours cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAuthError {
    /// There is none.
    Missing,
    /// One of the chain cannot be read.
    Unreadable {
        /// Its place, counted from 0.
        position: usize,
        /// What is wrong with it.
        check: CertificateCheck,
    },
    /// Its key is damaged, weak, or of no kind we know.
    Key(SignatureError),
    /// The private key is another certificate's.
    KeyMismatch {
        /// Whose certificate it is.
        subject: DistinguishedName,
    },
}

impl LocalCertificate {
    /// `chain` is the certificate, then its intermediates, each in DER.
    pub fn new(
        chain: &[Vec<u8>],
        key: Arc<dyn SigningKey>,
        padding: RsaPadding,
    ) -> Result<Self, LocalAuthError> {
        let read = |(position, der): (usize, &Vec<u8>)| {
            CertificateOutline::from_der(der).map_err(|check| LocalAuthError::Unreadable { position, check })
        };
        let outlines = chain.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let own = outlines.first().ok_or(LocalAuthError::Missing)?;
        KeyKind::of(&own.public_key).map_err(LocalAuthError::Key)?;
        let subject = own.subject.clone();
        if own.public_key != key.public_key() {
            return Err(LocalAuthError::KeyMismatch { subject });
        }
        // A root is of no use to the peer, which has it or does not trust it.
        let sent = chain.iter().zip(&outlines).enumerate();
        let sent = sent.filter(|(at, (_, outline))| *at == 0 || !outline.is_self_issued());
        let sent = sent.map(|(_, (der, _))| der.clone()).collect();
        Ok(Self { sent, subject, key, padding })
    }

    /// Whose it is.
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }
}

impl LocalAuth {
    /// The CERT payloads that go with our AUTH: the end entity's certificate first (RFC 7296 §3.6), then
    /// the intermediates.
    pub fn certificates(&self) -> Vec<CertificatePayload> {
        match self {
            Self::Psk(_) => Vec::new(),
            Self::Certificate(certificate) => {
                let payload =
                    |der: &Vec<u8>| CertificatePayload { encoding: encoding::X509, data: der.clone() };
                certificate.sent.iter().map(payload).collect()
            }
            // RFC 7670 §3
            Self::RawKey { key, .. } => {
                let data = key.public_key().to_vec();
                vec![CertificatePayload { encoding: encoding::RAW_PUBLIC_KEY, data }]
            }
        }
    }

    /// The ID payload for an identity of ours. A name that is our certificate's subject goes out as the
    /// certificate encodes it, so that a peer may compare the bytes (RFC 4945 §3.1.5).
    pub fn id_payload(&self, identity: &Identity) -> IdPayload {
        match (self, identity) {
            (Self::Certificate(certificate), Identity::Dn(name)) if certificate.subject == *name => {
                Identity::Dn(certificate.subject.clone()).to_payload()
            }
            _ => identity.to_payload(),
        }
    }
}

impl fmt::Debug for LocalAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Psk(_) => f.debug_struct("Psk").finish_non_exhaustive(),
            Self::Certificate(certificate) => certificate.fmt(f),
            Self::RawKey { padding, .. } => {
                f.debug_struct("RawKey").field("padding", padding).finish_non_exhaustive()
            }
        }
    }
}

impl fmt::Debug for LocalCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCertificate")
            .field("subject", &self.subject)
            .field("sent", &self.sent.len())
            .field("padding", &self.padding)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for LocalAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "no certificate"),
            Self::Unreadable { position, check } => write!(f, "certificate {position}: {check}"),
            Self::Key(error) => write!(f, "unusable public key: {error}"),
            Self::KeyMismatch { subject } => {
                write!(f, "the private key is not that of certificate {subject}")
            }
        }
    }
}

impl std::error::Error for LocalAuthError {}
