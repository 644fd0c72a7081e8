//! Revocation lists (RFC 5280 §5, §6.3), from memory.

use super::store::TrustStore;
use super::{Certificate, CertificateCheck, CertificateVerdict, Signed, encoded, oid, wall};
use crate::WallTime;
use crate::crypto::Provider;
use crate::identity::DistinguishedName;
use der::Decode;
use std::fmt;
use std::sync::{Arc, OnceLock};
use x509_cert::crl::{CertificateList, RevokedCert};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::DistributionPointName;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, IssuingDistributionPoint};

/// How much revocation lists matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Revocation {
    /// They are not looked at.
    Off,
    /// What a list revokes is refused; a missing or an old one does no harm.
    #[default]
    Relaxed,
    /// As `Strict`, for certificates that say where lists can be had, or whose issuer is known to have one.
    IfUri,
    /// Each certificate below the anchor needs a list of its issuer that is not out of date.
    Strict,
}

/// Why a revocation list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationListError {
    /// No DER, or no revocation list.
    Malformed,
    /// A critical extension that we do not know, of the list or of an entry. A delta list is one.
    UnknownCriticalExtension {
        /// Its object identifier.
        oid: String,
    },
    /// A list that speaks for other issuers, or only of some reasons or of attribute certificates.
    Scope,
    /// Not its issuer's: of another name, or not signed by it.
    Issuer(Box<CertificateCheck>),
}

/// A revocation list, read once. That it can be read says nothing of who has signed it.
#[derive(Debug)]
pub struct RevocationList {
    signed: Signed,
    issuer: DistinguishedName,
    authority_key: Option<Vec<u8>>,
    this_update: WallTime,
    next_update: Option<WallTime>,
    /// In order, for searching.
    serials: Vec<Vec<u8>>,
    scope: Scope,
    /// The key that was found to have signed it: lists are long, and are asked for each peer.
    signed_by: OnceLock<Vec<u8>>,
}

/// Which certificates a list speaks of.
#[derive(Debug, Default)]
struct Scope {
    end_entities_only: bool,
    authorities_only: bool,
    distribution_point: Option<DistributionPointName>,
}

impl RevocationList {
    /// Reads a list in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, RevocationListError> {
        use RevocationListError::Malformed;
        let list = CertificateList::from_der(der).map_err(|_| Malformed)?;
        let body = list.tbs_cert_list;
        if body.signature != list.signature_algorithm {
            return Err(Malformed);
        }
        let mut read = Self {
            signed: Signed::new(der, &list.signature_algorithm, &list.signature).map_err(|_| Malformed)?,
            issuer: super::name(&body.issuer).map_err(|_| Malformed)?,
            authority_key: None,
            this_update: wall(&body.this_update),
            next_update: body.next_update.as_ref().map(wall),
            serials: Vec::new(),
            scope: Scope::default(),
            signed_by: OnceLock::new(),
        };
        for extension in body.crl_extensions.iter().flatten() {
            read.take(extension)?;
        }
        let entries = body.revoked_certificates.unwrap_or_default();
        read.serials = entries.iter().map(serial).collect::<Result<_, _>>()?;
        read.serials.sort_unstable();
        Ok(read)
    }

    /// Who is said to have issued it.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.issuer
    }

    /// When it was made.
    pub fn this_update(&self) -> WallTime {
        self.this_update
    }

    /// When there will be a newer one.
    pub fn next_update(&self) -> Option<WallTime> {
        self.next_update
    }

    /// Made, and not yet to be replaced.
    pub fn is_fresh(&self, now: WallTime) -> bool {
        self.check_fresh(now).is_ok()
    }

    /// RFC 5280 §5.2: a list with a critical extension that we do not know says nothing.
    fn take(&mut self, extension: &Extension) -> Result<(), RevocationListError> {
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            oid::AUTHORITY_KEY => {
                let authority =
                    AuthorityKeyIdentifier::from_der(value).map_err(|_| RevocationListError::Malformed)?;
                self.authority_key = authority.key_identifier.map(|key| key.as_bytes().to_vec());
            }
            oid::ISSUING_DISTRIBUTION_POINT => self.scope = Scope::from_der(value)?,
            oid::CRL_NUMBER | oid::ISSUER_ALT_NAME => {}
            other if extension.critical => {
                return Err(RevocationListError::UnknownCriticalExtension { oid: other.to_string() });
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn may_speak_for(&self, issuer: &Certificate, certificate: &Certificate) -> bool {
        self.is_named_by(issuer) && self.scope.holds(certificate)
    }

    fn is_named_by(&self, issuer: &Certificate) -> bool {
        let keys = (&self.authority_key, &issuer.extensions.subject_key);
        self.issuer == issuer.subject && !matches!(keys, (Some(wanted), Some(held)) if wanted != held)
    }

    pub(super) fn check_signature(
        &self,
        provider: &Provider,
        issuer: &Certificate,
    ) -> Result<(), CertificateCheck> {
        // RFC 5280 §6.3.3 (f)
        if issuer.extensions.key_usage.as_ref().is_some_and(|usage| !usage.crl_sign()) {
            return Err(CertificateCheck::RevocationListKeyUsage);
        }
        if self.signed_by.get().is_some_and(|key| *key == issuer.public_key) {
            return Ok(());
        }
        let forged = CertificateCheck::RevocationListSignature;
        let key = issuer.key.map_err(|_| forged.clone())?;
        self.signed.check_signature(provider, &issuer.public_key, key).map_err(|_| forged)?;
        // Another thread may have been first, with the same key or with one of the same name.
        let _ = self.signed_by.set(issuer.public_key.clone());
        Ok(())
    }

    /// When it was made, and when the next one is due.
    pub(super) fn times(&self) -> (WallTime, Option<WallTime>) {
        (self.this_update, self.next_update)
    }

    fn check_fresh(&self, now: WallTime) -> Result<(), CertificateCheck> {
        if now < self.this_update {
            return Err(CertificateCheck::RevocationListNotYetValid { this_update: self.this_update, now });
        }
        match self.next_update {
            Some(due) if now < due => Ok(()),
            next_update => Err(CertificateCheck::RevocationListStale { next_update, now }),
        }
    }
}

fn serial(entry: &RevokedCert) -> Result<Vec<u8>, RevocationListError> {
    // RFC 5280 §5.3: an entry that we do not understand spoils the list.
    let mut extensions = entry.crl_entry_extensions.iter().flatten();
    match extensions.find(|extension| extension.critical) {
        Some(unknown) => {
            Err(RevocationListError::UnknownCriticalExtension { oid: unknown.extn_id.to_string() })
        }
        None => Ok(entry.serial_number.as_bytes().to_vec()),
    }
}

impl Scope {
    fn from_der(value: &[u8]) -> Result<Self, RevocationListError> {
        let point = IssuingDistributionPoint::from_der(value).map_err(|_| RevocationListError::Malformed)?;
        if point.indirect_crl || point.only_some_reasons.is_some() || point.only_contains_attribute_certs {
            return Err(RevocationListError::Scope);
        }
        Ok(Self {
            end_entities_only: point.only_contains_user_certs,
            authorities_only: point.only_contains_ca_certs,
            distribution_point: point.distribution_point,
        })
    }

    /// RFC 5280 §6.3.3 (b)
    fn holds(&self, certificate: &Certificate) -> bool {
        let authority = certificate.extensions.basic_constraints.as_ref().is_some_and(|it| it.ca);
        if (self.end_entities_only && authority) || (self.authorities_only && !authority) {
            return false;
        }
        let Some(point) = &self.distribution_point else { return true };
        let points = certificate.extensions.distribution_points.iter().flat_map(|points| &points.0);
        points.filter_map(|it| it.distribution_point.as_ref()).any(|named| same_point(named, point))
    }
}

fn same_point(one: &DistributionPointName, other: &DistributionPointName) -> bool {
    match (one, other) {
        (DistributionPointName::FullName(one), DistributionPointName::FullName(other)) => {
            one.iter().any(|name| other.contains(name))
        }
        _ => encoded(one).is_ok_and(|one| encoded(other).is_ok_and(|other| one == other)),
    }
}

/// All that is known of what was revoked, and how much it matters.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    pub(super) mode: Revocation,
    pub(super) store: &'a TrustStore,
    /// Lists that came after the store was made.
    pub(super) further: &'a [Arc<RevocationList>],
}

/// No certificate of the path, the anchor aside, is revoked.
pub(super) fn check(
    provider: &Provider,
    evidence: &Evidence<'_>,
    path: &[&Certificate],
    now: WallTime,
) -> Result<(), CertificateVerdict> {
    if evidence.mode == Revocation::Off {
        return Ok(());
    }
    for (certificate, issuer) in path.iter().zip(path.iter().skip(1)) {
        let Err(check) = status(provider, evidence, certificate, issuer, now) else { continue };
        if check == CertificateCheck::Revoked {
            return certificate.refuse(check);
        }
        let needed = match evidence.mode {
            Revocation::Strict => true,
            Revocation::IfUri => !uris(evidence.store, certificate, issuer).is_empty(),
            Revocation::Off | Revocation::Relaxed => false,
        };
        if needed {
            return certificate.refuse(check);
        }
    }
    Ok(())
}

/// Where a list for a certificate can be had: what it says itself, and what is known of its issuer.
pub(super) fn uris(store: &TrustStore, certificate: &Certificate, issuer: &Certificate) -> Vec<String> {
    let mut uris = certificate.extensions.list_uris();
    for uri in store.list_uris(issuer) {
        if !uris.contains(uri) {
            uris.push(uri.clone());
        }
    }
    uris.truncate(MAX_URIS);
    uris
}

/// Addresses of one list that are looked at.
const MAX_URIS: usize = 8;

/// The newest list of the issuer decides. One that is out of date still tells what was revoked.
pub(super) fn status(
    provider: &Provider,
    evidence: &Evidence<'_>,
    certificate: &Certificate,
    issuer: &Certificate,
    now: WallTime,
) -> Result<(), CertificateCheck> {
    let mut failure = CertificateCheck::NoRevocationList;
    let mut newest: Option<&RevocationList> = None;
    let lists = evidence.store.revocation_lists().iter().chain(evidence.further.iter().map(Arc::as_ref));
    for list in lists.filter(|list| list.may_speak_for(issuer, certificate)) {
        match list.check_signature(provider, issuer) {
            Ok(()) if newest.is_none_or(|newest| newest.this_update < list.this_update) => {
                newest = Some(list);
            }
            Ok(()) => {}
            Err(check) => failure = check,
        }
    }
    let newest = newest.ok_or(failure)?;
    if newest.serials.binary_search(&certificate.serial).is_ok() {
        return Err(CertificateCheck::Revoked);
    }
    newest.check_fresh(now)
}

impl fmt::Display for RevocationListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "a malformed revocation list"),
            Self::UnknownCriticalExtension { oid } => {
                write!(f, "a revocation list with the unknown critical extension {oid}")
            }
            Self::Scope => write!(f, "a revocation list of other issuers or of some reasons only"),
            Self::Issuer(check) => write!(f, "not a revocation list of its issuer: {check}"),
        }
    }
}

impl std::error::Error for RevocationListError {}
