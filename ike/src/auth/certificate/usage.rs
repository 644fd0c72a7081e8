//! What one certificate may do, looked at alone.

use super::{Certificate, CertificateCheck, CertificateVerdict, oid};
use crate::WallTime;
use crate::auth::algorithm::KeyKind;
use crate::crypto::SignatureError;

impl Certificate {
    /// Checks that hold for any certificate, at any place of a path.
    fn check_alone(&self, now: WallTime) -> Result<KeyKind, CertificateVerdict> {
        if let Some(oid) = self.extensions.unknown_critical {
            return self.refuse(CertificateCheck::UnknownCriticalExtension { oid: oid.to_string() });
        }
        // RFC 5280 §4.1.2.5: both ends included.
        if now < self.not_before {
            return self.refuse(CertificateCheck::NotYetValid { not_before: self.not_before, now });
        }
        if now > self.not_after {
            return self.refuse(CertificateCheck::Expired { not_after: self.not_after, now });
        }
        self.check_key()
    }

    fn check_key(&self) -> Result<KeyKind, CertificateVerdict> {
        match self.key {
            Ok(key) => Ok(key),
            Err(SignatureError::WeakKey { bits }) => self.refuse(CertificateCheck::WeakKey { bits }),
            Err(error) => self.refuse(CertificateCheck::Key(error)),
        }
    }

    /// It may stand for a peer.
    pub(super) fn check_end_entity(&self, now: WallTime) -> Result<(), CertificateVerdict> {
        self.check_alone(now)?;
        // RFC 4945 §5.1.3.2: either bit will do, and so does no extension.
        if let Some(usage) = &self.extensions.key_usage
            && !usage.digital_signature()
            && !usage.non_repudiation()
        {
            return self.refuse(CertificateCheck::KeyUsage);
        }
        // RFC 4945 §5.1.3.12 names IKE and any; most CAs know only servers and clients.
        let allowed = [
            oid::ANY_EXTENDED_KEY_USAGE,
            oid::IPSEC_IKE,
            oid::IKE_INTERMEDIATE,
            oid::SERVER_AUTH,
            oid::CLIENT_AUTH,
        ];
        match &self.extensions.extended_key_usage {
            Some(usages) if !usages.iter().any(|usage| allowed.contains(usage)) => {
                self.refuse(CertificateCheck::ExtendedKeyUsage)
            }
            _ => Ok(()),
        }
    }

    /// It may issue certificates.
    pub(super) fn check_authority(&self) -> Result<(), CertificateVerdict> {
        if let Some(oid) = self.extensions.unknown_critical {
            return self.refuse(CertificateCheck::UnknownCriticalExtension { oid: oid.to_string() });
        }
        self.check_key()?;
        // RFC 5280 §4.2.1.9: without the extension, or without its flag, the key must not check others.
        if !self.extensions.basic_constraints.as_ref().is_some_and(|constraints| constraints.ca) {
            return self.refuse(CertificateCheck::NotCa);
        }
        // RFC 5280 §4.2.1.3
        match &self.extensions.key_usage {
            Some(usage) if !usage.key_cert_sign() => self.refuse(CertificateCheck::KeyUsage),
            _ => Ok(()),
        }
    }

    /// It may issue a certificate now, with so many CAs in between it and the end entity.
    pub(super) fn check_issuer(&self, now: WallTime, below: usize) -> Result<KeyKind, CertificateVerdict> {
        let key = self.check_alone(now)?;
        self.check_authority()?;
        let allowed = self.extensions.basic_constraints.as_ref().and_then(|it| it.path_len_constraint);
        match allowed {
            // RFC 5280 §4.2.1.9
            Some(allowed) if below > usize::from(allowed) => {
                self.refuse(CertificateCheck::PathLength { allowed, actual: below })
            }
            _ => Ok(key),
        }
    }

    pub(super) fn refuse<T>(&self, check: CertificateCheck) -> Result<T, CertificateVerdict> {
        Err(CertificateVerdict::on(self, check))
    }
}
