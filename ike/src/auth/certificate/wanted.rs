//! Lists that would tell more of a path than we know: which, and where they may be had.

use super::revocation::{self, Evidence};
use super::{Certificate, CertificateCheck, RevocationList, RevocationListError};
use crate::WallTime;
use crate::crypto::Provider;
use crate::identity::DistinguishedName;
use std::fmt;

/// A list that a check of certificates would like to have.
pub struct WantedList {
    provider: &'static Provider,
    uris: Vec<String>,
    certificate: Certificate,
    issuer: Certificate,
}

impl WantedList {
    /// Where it may be had: as the certificate says, and then as we know of its issuer.
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    /// Who has to have signed it.
    pub fn signer(&self) -> &DistinguishedName {
        &self.issuer.subject
    }

    /// The list is one of the issuer's and speaks for the certificate. Whether it is out of date is not
    /// looked at.
    pub fn check(&self, list: &RevocationList) -> Result<(), RevocationListError> {
        let checked = match list.may_speak_for(&self.issuer, &self.certificate) {
            true => list.check_signature(self.provider, &self.issuer),
            false => Err(CertificateCheck::NoRevocationList),
        };
        checked.map_err(|check| RevocationListError::Issuer(Box::new(check)))
    }
}

impl fmt::Debug for WantedList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WantedList").field("signer", self.signer()).field("uris", &self.uris).finish()
    }
}

/// Those that a path lacks, of the issuers next to its end first, each place once.
pub(super) fn lists(
    provider: &'static Provider,
    evidence: &Evidence<'_>,
    path: &[&Certificate],
    now: WallTime,
) -> Vec<WantedList> {
    if evidence.mode == super::Revocation::Off {
        return Vec::new();
    }
    let links = path.iter().zip(path.iter().skip(1));
    let lacking = links.filter(|(certificate, issuer)| {
        let status = revocation::status(provider, evidence, certificate, issuer, now);
        !matches!(status, Ok(()) | Err(CertificateCheck::Revoked))
    });
    lacking.filter_map(|(certificate, issuer)| wanted(provider, evidence, certificate, issuer)).collect()
}

fn wanted(
    provider: &'static Provider,
    evidence: &Evidence<'_>,
    certificate: &Certificate,
    issuer: &Certificate,
) -> Option<WantedList> {
    let uris = revocation::uris(evidence.store, certificate, issuer);
    if uris.is_empty() {
        return None;
    }
    let [certificate, issuer] = [certificate, issuer].map(|it| Certificate::from_der(&it.der).ok());
    Some(WantedList { provider, uris, certificate: certificate?, issuer: issuer? })
}
