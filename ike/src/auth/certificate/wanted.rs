//! Lists that would tell more of a path than we know: which, and where they may be had.

use super::revocation::{self, Evidence};
use super::{Certificate, CertificateCheck, RevocationList, RevocationListError};
use crate::WallTime;
use crate::crypto::Provider;
use crate::identity::DistinguishedName;
use std::fmt;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

/// Places that are tried for one list.
const MAX_URIS: usize = 8;
/// No place of use has a longer name.
const MAX_URI_LEN: usize = 1024;

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
        if !list.may_speak_for(&self.issuer, &self.certificate) {
            return Err(RevocationListError::Foreign);
        }
        list.check_signature(self.provider, &self.issuer).map_err(|_| RevocationListError::Forged)
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
    let mut uris = evidence.store.list_uris(certificate, issuer);
    uris.retain(|uri| uri.len() <= MAX_URI_LEN);
    uris.truncate(MAX_URIS);
    if uris.is_empty() {
        return None;
    }
    let [certificate, issuer] = [certificate, issuer].map(|it| Certificate::from_der(&it.der).ok());
    Some(WantedList { provider, uris, certificate: certificate?, issuer: issuer? })
}

/// Where a certificate says that its issuer's lists are (RFC 5280 §4.2.1.13). Lists of another issuer or of
/// some reasons only would not be taken.
pub(super) fn uris_in(certificate: &Certificate) -> Vec<String> {
    let points = certificate.extensions.distribution_points.iter().flat_map(|points| &points.0);
    let whole = points.filter(|point| point.reasons.is_none() && point.crl_issuer.is_none());
    let names = whole.filter_map(|point| match &point.distribution_point {
        Some(DistributionPointName::FullName(names)) => Some(names),
        _ => None,
    });
    let uri = |name: &GeneralName| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        _ => None,
    };
    names.flatten().filter_map(uri).collect()
}
