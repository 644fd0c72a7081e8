//! The authority: it makes itself, and issues certificates to nodes.

use super::certificate::{self, Content, Purpose};
use super::describe::Description;
use super::{AlternativeName, KeyChoice, NewKey, PkiError};
use der::pem::{LineEnding, encode_string};
use std::time::Duration;
use tidegate_ike::WallTime;
use tidegate_ike::crypto::{RING, SigningKey, pem};
use tidegate_ike::identity::DistinguishedName;
use x509_cert::time;

const DAY: u64 = 24 * 60 * 60;
/// Clocks of nodes differ; a certificate made this minute is to be good at once.
const SLACK: u64 = 5 * 60;

/// A certificate authority with its private key.
pub struct Authority {
    certificate: Vec<u8>,
    subject: DistinguishedName,
    key_id: Vec<u8>,
    not_after: WallTime,
    key: Box<dyn SigningKey>,
}

/// From when to when a certificate is good, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: WallTime,
    /// The last second.
    pub not_after: WallTime,
}

/// Whom a certificate is for.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub subject: DistinguishedName,
    /// Other names that it may give.
    pub names: Vec<AlternativeName>,
    /// From when to when.
    pub validity: Validity,
}

/// A certificate with the key that was made for it.
pub struct Issued {
    /// In DER.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: NewKey,
}

impl Authority {
    /// Makes an authority, and its key with it.
    pub fn create(
        subject: DistinguishedName,
        kind: KeyChoice,
        validity: Validity,
    ) -> Result<(Self, NewKey), PkiError> {
        let new = NewKey::generate(kind)?;
        let key = (RING.load_key)(new.der()).map_err(PkiError::BadKey)?;
        let key_id = certificate::key_id(key.public_key())?;
        let content = Content {
            issuer: &subject,
            subject: &subject,
            public_key: key.public_key(),
            issuer_key_id: &key_id,
            validity,
            purpose: Purpose::Authority,
        };
        let certificate = certificate::write(&content, key.as_ref())?;
        Ok((Self { certificate, subject, key_id, not_after: validity.not_after, key }, new))
    }

    /// Takes up an authority from its files: the first certificate of one, the first key of the other.
    pub fn load(certificate: &str, key: &str) -> Result<Self, PkiError> {
        let certificates = pem::certificates(certificate).map_err(PkiError::Certificate)?;
        let certificate = certificates.into_iter().next().ok_or(PkiError::Malformed)?;
        let description = Description::of(&certificate)?;
        let key = pem::private_key(key).map_err(PkiError::Key)?;
        let key = (RING.load_key)(&key).map_err(PkiError::BadKey)?;
        if description.public_key != key.public_key() {
            return Err(PkiError::Mismatch);
        }
        if !description.is_authority {
            return Err(PkiError::NotAuthority);
        }
        let key_id = match description.key_id {
            Some(key_id) => key_id,
            None => certificate::key_id(key.public_key())?,
        };
        Ok(Self {
            certificate,
            subject: description.subject,
            key_id,
            not_after: description.validity.not_after,
            key,
        })
    }

    /// Makes a key for a node and certifies it.
    pub fn issue(&self, node: &Node, kind: KeyChoice) -> Result<Issued, PkiError> {
        // A certificate that outlives its authority's is worth nothing from then on.
        if node.validity.not_after > self.not_after {
            return Err(PkiError::Validity);
        }
        let new = NewKey::generate(kind)?;
        let key = (RING.load_key)(new.der()).map_err(PkiError::BadKey)?;
        let content = Content {
            issuer: &self.subject,
            subject: &node.subject,
            public_key: key.public_key(),
            issuer_key_id: &self.key_id,
            validity: node.validity,
            purpose: Purpose::Node(&node.names),
        };
        Ok(Issued { certificate: certificate::write(&content, self.key.as_ref())?, key: new })
    }

    /// Its own certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its own certificate in PEM.
    pub fn pem(&self) -> String {
        certificate_pem(&self.certificate)
    }

    /// Until when it may issue.
    pub fn not_after(&self) -> WallTime {
        self.not_after
    }
}

impl Issued {
    /// The certificate in PEM.
    pub fn pem(&self) -> String {
        certificate_pem(&self.certificate)
    }
}

fn certificate_pem(der: &[u8]) -> String {
    encode_string("CERTIFICATE", LineEnding::LF, der)
        .expect("the label is one that PEM allows, and the length fits")
}

impl Validity {
    /// From a few minutes ago, for clocks differ, for so many days.
    pub fn days(now: WallTime, days: u32) -> Self {
        Self {
            not_before: WallTime(now.0.saturating_sub(SLACK)),
            not_after: WallTime(now.0.saturating_add(u64::from(days) * DAY)),
        }
    }

    /// RFC 5280 §4.1.2.5: two digits of the year up to 2049, four from then on.
    pub(super) fn to_x509(self) -> Result<time::Validity, PkiError> {
        let date = |at: WallTime| {
            let date = der::DateTime::from_unix_duration(Duration::from_secs(at.0));
            date.map(time::Time::from).map_err(|_| PkiError::Validity)
        };
        if self.not_after < self.not_before {
            return Err(PkiError::Validity);
        }
        Ok(time::Validity::new(date(self.not_before)?, date(self.not_after)?))
    }
}
