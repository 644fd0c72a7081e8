//! What certificates and revocation lists say of themselves, for whoever keeps many of them. Nothing of it
//! has been checked.

use super::revocation::RevocationList;
use super::{Certificate, CertificateCheck, RevocationListError};
use crate::WallTime;
use crate::identity::{DistinguishedName, Identity};

/// What a certificate says.
#[derive(Clone, Debug)]
pub struct CertificateOutline {
    /// Whose it is, as it is encoded.
    pub subject: DistinguishedName,
    /// Who says so.
    pub issuer: DistinguishedName,
    /// Its number with the issuer.
    pub serial: Vec<u8>,
    /// Its key, as SubjectPublicKeyInfo in DER.
    pub public_key: Vec<u8>,
    /// Every identity that it certifies.
    pub identities: Vec<Identity>,
    /// Whether it may issue others.
    pub is_authority: bool,
    /// When its time begins and ends.
    pub validity: (WallTime, WallTime),
    /// Where its issuer's revocation list is to be had by HTTP.
    pub list_uris: Vec<String>,
    subject_key: Option<Vec<u8>>,
    authority_key: Option<Vec<u8>>,
}

/// What a revocation list says.
#[derive(Clone, Debug)]
pub struct RevocationListOutline {
    /// Whose it is.
    pub issuer: DistinguishedName,
    /// When it was made.
    pub this_update: WallTime,
    /// When the next one is due.
    pub next_update: Option<WallTime>,
}

impl CertificateOutline {
    /// Reads a certificate in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateCheck> {
        let certificate = Certificate::from_der(der)?;
        let constraints = certificate.extensions.basic_constraints.as_ref();
        Ok(Self {
            identities: certificate.identities(),
            is_authority: constraints.is_some_and(|constraints| constraints.ca),
            validity: (certificate.not_before, certificate.not_after),
            list_uris: certificate.extensions.list_uris(),
            subject: certificate.subject,
            issuer: certificate.issuer,
            serial: certificate.serial,
            public_key: certificate.public_key,
            subject_key: certificate.extensions.subject_key,
            authority_key: certificate.extensions.authority_key,
        })
    }

    /// RFC 5280 §3.2: issued under its own name.
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// The name and, where both sides give one, the key identifier of the issuer fit.
    pub fn may_be_issued_by(&self, issuer: &Self) -> bool {
        let keys = (&self.authority_key, &issuer.subject_key);
        self.issuer == issuer.subject && !matches!(keys, (Some(wanted), Some(held)) if wanted != held)
    }
}

impl RevocationListOutline {
    /// Reads a revocation list in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, RevocationListError> {
        let list = RevocationList::from_der(der)?;
        let (this_update, next_update) = list.times();
        Ok(Self { issuer: list.issuer().clone(), this_update, next_update })
    }
}
