//! The way from an end entity to an anchor.
//!
//! A depth-first search, bounded twice: by the length of a path, and by the number of signatures that are
//! tried in all. Names and the cheap checks come before each signature, so that a heap of certificates
//! which all claim to have issued each other costs no more than those few signatures.

use super::revocation::Evidence;
use super::{Certificate, CertificateCheck, CertificateVerdict, Signed, constraints, revocation};
use crate::WallTime;
use crate::auth::algorithm::{HashAlgorithm, KeyKind};
use crate::crypto::{Provider, SignatureEncoding, SignatureScheme, VerifyInput};
use crate::identity::DistinguishedName;

/// Certificates in a path, end entity and anchor included.
const MAX_PATH: usize = 8;
/// Signatures tried for one peer.
const MAX_SIGNATURES: usize = 24;

/// What a search goes by.
pub(super) struct Search<'a> {
    provider: &'a Provider,
    evidence: &'a Evidence<'a>,
    sent: &'a [Certificate],
    issuers: &'a [DistinguishedName],
    now: WallTime,
    signatures_left: usize,
    failure: Option<CertificateVerdict>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        provider: &'a Provider,
        evidence: &'a Evidence<'a>,
        sent: &'a [Certificate],
        issuers: &'a [DistinguishedName],
        now: WallTime,
    ) -> Self {
        Self { provider, evidence, sent, issuers, now, signatures_left: MAX_SIGNATURES, failure: None }
    }

    /// The first path that passes every check, from the end entity to the anchor. If there is none, the
    /// verdict is the first failure on the way: a certificate that was found and refused says more than
    /// one that was not found.
    pub(super) fn run(mut self, leaf: &'a Certificate) -> Result<Vec<&'a Certificate>, CertificateVerdict> {
        let mut path = vec![leaf];
        if self.extend(&mut path) {
            return Ok(path);
        }
        let unknown = || CertificateVerdict::on(leaf, CertificateCheck::NoTrustedIssuer);
        Err(self.failure.unwrap_or_else(unknown))
    }

    fn extend(&mut self, path: &mut Vec<&'a Certificate>) -> bool {
        let Some(last) = path.last().copied() else { return false };
        let store = self.evidence.store;
        for anchor in store.anchors().iter().filter(|anchor| last.may_be_issued_by(anchor)) {
            let linked = self.link(path, last, anchor);
            path.push(anchor);
            let whole = linked.and_then(|()| self.check_whole(path));
            if self.passed(whole) {
                return true;
            }
            path.pop();
        }
        let candidates = self.sent.iter().chain(store.intermediates());
        for issuer in candidates.filter(|issuer| last.may_be_issued_by(issuer)) {
            if path.iter().any(|earlier| earlier.der == issuer.der) || store.is_anchor(issuer) {
                continue;
            }
            let linked = self.link(path, last, issuer);
            if !self.passed(linked) {
                continue;
            }
            path.push(issuer);
            if self.extend(path) {
                return true;
            }
            path.pop();
        }
        self.failure.get_or_insert_with(|| CertificateVerdict::on(last, CertificateCheck::NoTrustedIssuer));
        false
    }

    fn link(
        &mut self,
        path: &[&Certificate],
        subject: &Certificate,
        issuer: &Certificate,
    ) -> Result<(), CertificateVerdict> {
        if path.len() >= MAX_PATH {
            return subject.refuse(CertificateCheck::PathTooLong { limit: MAX_PATH });
        }
        // RFC 5280 §4.2.1.9: self-issued certificates, and the last one, do not count.
        let below = path.iter().skip(1).filter(|certificate| !certificate.is_self_issued()).count();
        let key = issuer.check_issuer(self.now, below)?;
        let scheme_fits = subject.signed.check_algorithm(key);
        scheme_fits.map_err(|check| CertificateVerdict::on(subject, check))?;
        match self.signatures_left.checked_sub(1) {
            Some(left) => self.signatures_left = left,
            None => return subject.refuse(CertificateCheck::SearchExhausted),
        }
        let checked = subject.signed.check_signature(self.provider, &issuer.public_key, key);
        checked.map_err(|check| CertificateVerdict::on(subject, check))
    }

    /// Checks that need the whole path.
    fn check_whole(&self, path: &[&Certificate]) -> Result<(), CertificateVerdict> {
        constraints::check(path)?;
        self.check_issuers(path)?;
        revocation::check(self.provider, self.evidence, path, self.now)
    }

    fn check_issuers(&self, path: &[&Certificate]) -> Result<(), CertificateVerdict> {
        let mut above = path.iter().skip(1);
        if self.issuers.is_empty() || above.any(|issuer| self.issuers.contains(&issuer.subject)) {
            return Ok(());
        }
        match path.first() {
            Some(leaf) => leaf.refuse(CertificateCheck::IssuerNotAllowed),
            None => Ok(()),
        }
    }

    fn passed(&mut self, result: Result<(), CertificateVerdict>) -> bool {
        match result {
            Ok(()) => true,
            Err(verdict) => {
                let earlier = self.failure.as_ref().map(|earlier| &earlier.check);
                if matches!(earlier, None | Some(CertificateCheck::NoTrustedIssuer)) {
                    self.failure = Some(verdict);
                }
                false
            }
        }
    }
}

impl Signed {
    /// The algorithm is a sound one and goes with the key.
    fn check_algorithm(&self, key: KeyKind) -> Result<(), CertificateCheck> {
        self.scheme(key).map(|_| ())
    }

    /// The signature holds.
    pub(super) fn check_signature(
        &self,
        provider: &Provider,
        public_key: &[u8],
        key: KeyKind,
    ) -> Result<(), CertificateCheck> {
        let input = VerifyInput {
            public_key,
            scheme: self.scheme(key)?,
            encoding: SignatureEncoding::Der,
            message: &self.body,
            signature: &self.signature,
        };
        (provider.verify)(input).map_err(CertificateCheck::Signature)
    }

    fn scheme(&self, key: KeyKind) -> Result<SignatureScheme, CertificateCheck> {
        let algorithm = self.algorithm.clone().map_err(CertificateCheck::Algorithm)?;
        if algorithm.hash() == HashAlgorithm::Sha1 {
            return Err(CertificateCheck::Sha1);
        }
        algorithm.scheme(key).ok_or(CertificateCheck::AlgorithmKeyMismatch)
    }
}
