//! What we trust: anchors, intermediates and revocation lists.

use super::path::Search;
use super::revocation::{Evidence, Revocation, RevocationList, RevocationListError};
use super::wanted::{self, WantedList};
use super::{Certificate, CertificateCheck, CertificateVerdict, WhichCertificate};
use crate::WallTime;
use crate::auth::encoding;
use crate::crypto::Provider;
use crate::identity::{DistinguishedName, Identity};
use crate::wire::CertificatePayload;
use ring::digest;
use std::fmt;
use std::sync::Arc;

/// Certificates that we read from one peer.
pub const MAX_CHAIN: usize = 10;
/// Bytes of certificates that we read from one peer.
pub const MAX_CHAIN_LEN: usize = 64 * 1024;

/// Anchors, intermediates and revocation lists, all from memory.
pub struct TrustStore {
    build: WallTime,
    revocation: Revocation,
    anchors: Vec<Certificate>,
    intermediates: Vec<Certificate>,
    revocation_lists: Vec<RevocationList>,
    known: Vec<Certificate>,
    end_entities: EndEntities,
    list_uris: Vec<(DistinguishedName, String)>,
}

/// Which end entities do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EndEntities {
    /// Those with a path to an anchor, and those that are known themselves.
    #[default]
    Certified,
    /// None but those that are known themselves.
    Known,
}

/// A peer's certificate that passed every check; only [`TrustStore::verify`] makes one.
#[derive(Clone, Debug)]
pub struct EndEntity {
    public_key: Vec<u8>,
    subject: DistinguishedName,
    serial: Vec<u8>,
    identities: Vec<Identity>,
    valid_until: WallTime,
}

impl TrustStore {
    /// An empty store, which trusts nobody. `build` is when this program was built: a clock that lies
    /// behind it cannot be right, and is told apart from certificates that are not valid yet.
    pub fn new(build: WallTime, revocation: Revocation) -> Self {
        Self {
            build,
            revocation,
            anchors: Vec::new(),
            intermediates: Vec::new(),
            revocation_lists: Vec::new(),
            known: Vec::new(),
            end_entities: EndEntities::default(),
            list_uris: Vec::new(),
        }
    }

    /// Adds a CA to trust, in DER. What could never serve as one is refused at once.
    pub fn add_anchor(&mut self, der: &[u8]) -> Result<(), CertificateVerdict> {
        self.anchors.push(authority(der)?);
        Ok(())
    }

    /// Adds a CA that is not trusted by itself but may stand between a peer and an anchor, in DER.
    pub fn add_intermediate(&mut self, der: &[u8]) -> Result<(), CertificateVerdict> {
        self.intermediates.push(authority(der)?);
        Ok(())
    }

    /// Adds a revocation list, in DER. Its signature is checked when it is asked.
    pub fn add_revocation_list(&mut self, der: &[u8]) -> Result<(), RevocationListError> {
        self.revocation_lists.push(RevocationList::from_der(der)?);
        Ok(())
    }

    /// Adds a peer's own certificate, in DER: it does without a path to an anchor, and the peer need not send
    /// it.
    pub fn add_known(&mut self, der: &[u8]) -> Result<(), CertificateVerdict> {
        self.known.push(read(der, 0)?);
        Ok(())
    }

    /// Says which end entities do.
    pub fn accept(&mut self, end_entities: EndEntities) {
        self.end_entities = end_entities;
    }

    /// Adds a place to ask for the revocation list of a CA, besides what certificates say themselves.
    pub fn add_list_uri(&mut self, issuer: DistinguishedName, uri: String) {
        self.list_uris.push((issuer, uri));
    }

    /// Checks what a peer sent, its own certificate first, each in DER. If `issuers` is not empty, one of
    /// them has to be among the CAs of the path.
    pub fn verify(
        &self,
        provider: &Provider,
        chain: &[&[u8]],
        issuers: &[DistinguishedName],
        now: WallTime,
    ) -> Result<EndEntity, CertificateVerdict> {
        self.verify_with(provider, chain, issuers, now, &[])
    }

    /// The same with further lists, made since the store was.
    pub fn verify_with(
        &self,
        provider: &Provider,
        chain: &[&[u8]],
        issuers: &[DistinguishedName],
        now: WallTime,
        further: &[Arc<RevocationList>],
    ) -> Result<EndEntity, CertificateVerdict> {
        let evidence = Evidence { mode: self.revocation, store: self, further };
        self.search(provider, chain, (issuers, now), &evidence, EndEntity::new)
    }

    /// Checks all but that lists are missing or out of date, and tells of those that are and may be had
    /// somewhere.
    pub(in crate::auth) fn survey(
        &self,
        provider: &'static Provider,
        chain: &[&[u8]],
        issuers: &[DistinguishedName],
        now: WallTime,
    ) -> Result<(EndEntity, Vec<WantedList>), CertificateVerdict> {
        let mode = match self.revocation {
            Revocation::Off => Revocation::Off,
            Revocation::Relaxed | Revocation::IfUri | Revocation::Strict => Revocation::Relaxed,
        };
        let evidence = Evidence { mode, store: self, further: &[] };
        self.search(provider, chain, (issuers, now), &evidence, |leaf, path| {
            (EndEntity::new(leaf, path), wanted::lists(provider, &evidence, path, now))
        })
    }

    fn search<T>(
        &self,
        provider: &Provider,
        chain: &[&[u8]],
        (issuers, now): (&[DistinguishedName], WallTime),
        evidence: &Evidence<'_>,
        found: impl FnOnce(&Certificate, &[&Certificate]) -> T,
    ) -> Result<T, CertificateVerdict> {
        let general = |check| Err(CertificateVerdict::general(check));
        if now < self.build {
            return general(CertificateCheck::ClockBehindBuild { now, build: self.build });
        }
        if chain.len() > MAX_CHAIN {
            return general(CertificateCheck::TooMany { limit: MAX_CHAIN });
        }
        if chain.iter().map(|der| der.len()).fold(0, usize::saturating_add) > MAX_CHAIN_LEN {
            return general(CertificateCheck::TooLong { limit: MAX_CHAIN_LEN });
        }
        let Some((leaf, others)) = chain.split_first() else { return general(CertificateCheck::Missing) };
        let leaf = read(leaf, 0)?;
        let known = self.known.iter().any(|known| known.der == leaf.der);
        if self.end_entities == EndEntities::Known && !known {
            return leaf.refuse(CertificateCheck::NotKnown);
        }
        leaf.check_end_entity(now)?;
        let (sent, unread) = read_all(others);
        match Search::new(provider, evidence, &sent, issuers, now).run(&leaf) {
            Ok(path) => Ok(found(&leaf, &path)),
            Err(verdict)
                if verdict.check == CertificateCheck::NoTrustedIssuer && known && issuers.is_empty() =>
            {
                Ok(found(&leaf, &[&leaf]))
            }
            // The link that is missing may be the one that could not be read.
            Err(verdict) if verdict.check == CertificateCheck::NoTrustedIssuer => {
                Err(unread.unwrap_or(verdict))
            }
            Err(verdict) => Err(verdict),
        }
    }

    /// The CERTREQ payload that names our anchors by the SHA-1 of their public keys (RFC 7296 §3.7); none
    /// without anchors.
    pub fn certificate_requests(&self) -> Vec<CertificatePayload> {
        let hash =
            |anchor: &Certificate| digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &anchor.public_key);
        let data: Vec<u8> = self.anchors.iter().flat_map(|it| hash(it).as_ref().to_vec()).collect();
        match data.is_empty() {
            true => Vec::new(),
            false => vec![CertificatePayload { encoding: encoding::X509, data }],
        }
    }

    /// Certificates that need not be sent by who has this identity, in DER.
    pub(in crate::auth) fn known_for(&self, identity: &Identity) -> impl Iterator<Item = &[u8]> {
        let whose = move |known: &&Certificate| known.identities().contains(identity);
        self.known.iter().filter(whose).map(|known| known.der.as_slice())
    }

    pub(super) fn list_uris(&self, issuer: &Certificate) -> impl Iterator<Item = &String> {
        self.list_uris.iter().filter(|(name, _)| *name == issuer.subject).map(|(_, uri)| uri)
    }

    pub(super) fn anchors(&self) -> &[Certificate] {
        &self.anchors
    }

    pub(super) fn is_anchor(&self, certificate: &Certificate) -> bool {
        self.anchors.iter().any(|anchor| anchor.der == certificate.der)
    }

    pub(super) fn intermediates(&self) -> &[Certificate] {
        &self.intermediates
    }

    pub(super) fn revocation_lists(&self) -> &[RevocationList] {
        &self.revocation_lists
    }
}

fn authority(der: &[u8]) -> Result<Certificate, CertificateVerdict> {
    let certificate = read(der, 0)?;
    certificate.check_authority()?;
    Ok(certificate)
}

fn read(der: &[u8], position: usize) -> Result<Certificate, CertificateVerdict> {
    let unread = |check| CertificateVerdict { check, certificate: WhichCertificate::Unread { position } };
    Certificate::from_der(der).map_err(unread)
}

/// RFC 4945 §3.3.10: what cannot be read or is of no use is passed over.
fn read_all(others: &[&[u8]]) -> (Vec<Certificate>, Option<CertificateVerdict>) {
    let mut certificates = Vec::new();
    let mut unread = None;
    for (at, der) in others.iter().enumerate() {
        match read(der, at.saturating_add(1)) {
            Ok(certificate) => certificates.push(certificate),
            Err(verdict) => unread = unread.or(Some(verdict)),
        }
    }
    (certificates, unread)
}

impl EndEntity {
    fn new(leaf: &Certificate, path: &[&Certificate]) -> Self {
        let earliest = path.iter().map(|certificate| certificate.not_after).min();
        Self {
            public_key: leaf.public_key.clone(),
            subject: leaf.subject.clone(),
            serial: leaf.serial.clone(),
            identities: leaf.identities(),
            valid_until: earliest.unwrap_or(leaf.not_after),
        }
    }

    /// The certificate is one of this identity: the whole of it, without wildcards (RFC 4945 §3.1).
    pub fn certifies(&self, identity: &Identity) -> bool {
        self.identities.contains(identity)
    }

    /// Every identity that the certificate is one of.
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// Its subject.
    pub fn subject(&self) -> &DistinguishedName {
        &self.subject
    }

    /// Its serial number.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Its key, as SubjectPublicKeyInfo in DER.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// When the first certificate of its path expires.
    pub fn valid_until(&self) -> WallTime {
        self.valid_until
    }
}

impl fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subjects: Vec<&DistinguishedName> = self.anchors.iter().map(|it| &it.subject).collect();
        f.debug_struct("TrustStore")
            .field("build", &self.build)
            .field("revocation", &self.revocation)
            .field("anchors", &subjects)
            .field("intermediates", &self.intermediates.len())
            .field("revocation_lists", &self.revocation_lists.len())
            .field("known", &self.known.len())
            .field("end_entities", &self.end_entities)
            .finish_non_exhaustive()
    }
}
