//! The peer's AUTH payload.

use super::algorithm::{Algorithm, HashAlgorithm, KeyKind, accepted_hashes};
use super::failure::{AuthFailure, ExpectedMethod};
use super::octets::psk_auth_by;
use super::{
    CertificateVerdict, EndEntity, RemoteAuth, RemoteCertificates, RemoteKeys, RevocationList, RsaSha1,
    WantedList, encoding, method,
};
use crate::WallTime;
use crate::crypto::{PrfId, Provider, SignatureEncoding, SignatureScheme, VerifyInput};
use crate::identity::{Identity, IdentityPattern};
use crate::wire::{AuthPayload, CertificatePayload, IdPayload};
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// All that it takes to check the peer's AUTH payload, on any thread.
pub struct VerifyTask {
    /// Algorithms.
    pub provider: &'static Provider,
    /// The PRF that was negotiated.
    pub prf: PrfId,
    /// How the peer has to prove who it is.
    pub remote: Arc<RemoteAuth>,
    /// Who it has to be.
    pub expected: IdentityPattern,
    /// Its ID payload.
    pub id: IdPayload,
    /// Its CERT payloads.
    pub certificates: Vec<CertificatePayload>,
    /// Its AUTH payload.
    pub auth: AuthPayload,
    /// What it signed: [`signed_octets`](super::signed_octets) of its side.
    pub octets: Vec<u8>,
    /// The wall clock, for its certificates.
    pub wall: WallTime,
}

/// Proof that a peer is who it says it is; only [`VerifyTask::run`] makes one.
#[derive(Clone, Debug)]
pub struct Authenticated {
    identity: Identity,
    method: u8,
    valid_until: Option<WallTime>,
}

impl Authenticated {
    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The AUTH method that proved it.
    pub fn method(&self) -> u8 {
        self.method
    }

    /// When the first certificate of its path expires; none without certificates.
    pub fn valid_until(&self) -> Option<WallTime> {
        self.valid_until
    }
}

impl VerifyTask {
    /// Checks identity, certificates and AUTH.
    pub fn run(&self) -> Result<Authenticated, AuthFailure> {
        self.run_with(&[])
    }

    /// The same with lists that were got of those [wanted](Self::wanted_lists).
    pub fn run_with(&self, lists: &[Arc<RevocationList>]) -> Result<Authenticated, AuthFailure> {
        let identity = self.claimed_identity()?;
        let valid_until = match &*self.remote {
            RemoteAuth::Psk(secret) => self.check_psk(secret).map(|()| None)?,
            RemoteAuth::RawKeys(keys) => self.check_pinned(keys).map(|()| None)?,
            RemoteAuth::Certificates(wanted) => Some(self.check_certificates(wanted, &identity, lists)?),
        };
        Ok(Authenticated { identity, method: self.auth.method, valid_until })
    }

    /// Revocation lists that would tell more of the peer's certificates, and may be had somewhere. Only a peer
    /// that has proven itself with a chain that holds otherwise makes us want any: nobody else is to have us
    /// fetch things.
    pub fn wanted_lists(&self) -> Vec<WantedList> {
        match &*self.remote {
            RemoteAuth::Certificates(wanted) => self.lists_lacking(wanted).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn lists_lacking(&self, wanted: &RemoteCertificates) -> Result<Vec<WantedList>, AuthFailure> {
        let identity = self.claimed_identity()?;
        first_good(self.chains(wanted, &identity), |chain| {
            let surveyed = wanted.store.survey(self.provider, chain, &wanted.issuers, self.wall);
            let (end_entity, lists) = surveyed.map_err(refused)?;
            if !lists.is_empty() {
                self.check_end_entity(wanted, &identity, &end_entity)?;
            }
            Ok(lists)
        })
    }

    fn claimed_identity(&self) -> Result<Identity, AuthFailure> {
        let identity = Identity::from_payload(&self.id).map_err(AuthFailure::PeerIdentity)?;
        match self.expected.matches(&identity) {
            Some(_) => Ok(identity),
            None => Err(AuthFailure::IdentityMismatch { expected: self.expected.clone(), actual: identity }),
        }
    }

    fn check_psk(&self, secret: &[u8]) -> Result<(), AuthFailure> {
        if self.auth.method != method::SHARED_KEY {
            return Err(self.wrong_method(ExpectedMethod::Psk));
        }
        let expected = psk_auth_by(self.provider, self.prf, secret, &self.octets)?;
        match bool::from(expected.ct_eq(&self.auth.data)) {
            true => Ok(()),
            false => Err(AuthFailure::WrongPsk),
        }
    }

    fn check_certificates(
        &self,
        wanted: &RemoteCertificates,
        identity: &Identity,
        lists: &[Arc<RevocationList>],
    ) -> Result<WallTime, AuthFailure> {
        // A peer that proves itself in another way sends no certificate: the method says more.
        if self.auth.method == method::SHARED_KEY {
            return Err(self.wrong_method(ExpectedMethod::Signature));
        }
        first_good(self.chains(wanted, identity), |chain| {
            let verified = wanted.store.verify_with(self.provider, chain, &wanted.issuers, self.wall, lists);
            let end_entity = verified.map_err(refused)?;
            self.check_end_entity(wanted, identity, &end_entity)?;
            Ok(end_entity.valid_until())
        })
    }

    /// What the peer sent of certificates, or each that we know for its own: it need not send those
    /// (RFC 7296 §3.6).
    fn chains<'a>(&'a self, wanted: &'a RemoteCertificates, identity: &Identity) -> Vec<Vec<&'a [u8]>> {
        let sent = self.certificates.iter().filter(|it| it.encoding == encoding::X509);
        let sent: Vec<&[u8]> = sent.map(|it| it.data.as_slice()).collect();
        if !sent.is_empty() {
            return vec![sent];
        }
        wanted.store.known_for(identity).map(|known| vec![known]).collect()
    }

    /// The certificate is one of the peer's identity, and the peer has its key.
    fn check_end_entity(
        &self,
        wanted: &RemoteCertificates,
        identity: &Identity,
        end_entity: &EndEntity,
    ) -> Result<(), AuthFailure> {
        if !end_entity.certifies(identity) {
            let certified = end_entity.identities().to_vec();
            return Err(AuthFailure::IdentityNotCertified { identity: identity.clone(), certified });
        }
        self.check_signature(end_entity.public_key(), wanted.rsa_sha1)
    }

    /// A peer that sends its key (RFC 7670) has to send a pinned one; one that does not may have any of
    /// them, and the first failure stands for all.
    fn check_pinned(&self, pinned: &RemoteKeys) -> Result<(), AuthFailure> {
        let sent = self.certificates.iter().find(|it| it.encoding == encoding::RAW_PUBLIC_KEY);
        let candidates = pinned.keys.iter().filter(|key| sent.is_none_or(|sent| sent.data == **key));
        let mut failure = AuthFailure::KeyNotPinned;
        for (tried, key) in candidates.enumerate() {
            match self.check_signature(key, pinned.rsa_sha1) {
                Ok(()) => return Ok(()),
                Err(first) if tried == 0 => failure = first,
                Err(_) => {}
            }
        }
        Err(failure)
    }

    fn check_signature(&self, public_key: &[u8], rsa_sha1: RsaSha1) -> Result<(), AuthFailure> {
        let key = KeyKind::of(public_key).map_err(AuthFailure::Key)?;
        let (scheme, encoding, signature) = self.claimed(key, rsa_sha1)?;
        let input = VerifyInput { public_key, scheme, encoding, message: &self.octets, signature };
        (self.provider.verify)(input).map_err(|error| AuthFailure::Signature { scheme, error })
    }

    /// What the AUTH payload claims its signature to be.
    fn claimed(
        &self,
        key: KeyKind,
        rsa_sha1: RsaSha1,
    ) -> Result<(SignatureScheme, SignatureEncoding, &[u8]), AuthFailure> {
        let data = self.auth.data.as_slice();
        let mismatch = AuthFailure::KeyMismatch { method: self.auth.method, key };
        match (self.auth.method, key) {
            (method::DIGITAL_SIGNATURE, _) => {
                let (algorithm, signature) = split(data)?;
                let scheme = announced(algorithm)?.scheme(key).ok_or(mismatch)?;
                Ok((scheme, SignatureEncoding::Der, signature))
            }
            (method::ECDSA_P256, KeyKind::P256) => {
                Ok((SignatureScheme::EcdsaP256Sha256, SignatureEncoding::Fixed, data))
            }
            (method::ECDSA_P384, KeyKind::P384) => {
                Ok((SignatureScheme::EcdsaP384Sha384, SignatureEncoding::Fixed, data))
            }
            (method::ECDSA_P521, KeyKind::P521) => {
                Ok((SignatureScheme::EcdsaP521Sha512, SignatureEncoding::Fixed, data))
            }
            (method::RSA_SHA1, KeyKind::Rsa { .. }) if rsa_sha1 == RsaSha1::Accept => {
                Ok((SignatureScheme::RsaPkcs1Sha1, SignatureEncoding::Fixed, data))
            }
            (method::RSA_SHA1, KeyKind::Rsa { .. }) => Err(AuthFailure::RsaSha1Refused),
            (method::RSA_SHA1 | method::ECDSA_P256 | method::ECDSA_P384 | method::ECDSA_P521, _) => {
                Err(mismatch)
            }
            _ => Err(self.wrong_method(ExpectedMethod::Signature)),
        }
    }

    fn wrong_method(&self, expected: ExpectedMethod) -> AuthFailure {
        AuthFailure::MethodNotAllowed { expected, actual: self.auth.method }
    }
}

/// What comes of the first chain that does; where none does the first failure stands for all.
fn first_good<T>(
    chains: Vec<Vec<&[u8]>>,
    check: impl Fn(&[&[u8]]) -> Result<T, AuthFailure>,
) -> Result<T, AuthFailure> {
    let mut failure = None;
    for chain in chains {
        match check(&chain) {
            Ok(done) => return Ok(done),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    // A peer without any certificate fails as one.
    failure.map_or_else(|| check(&[]), Err)
}

fn refused(verdict: CertificateVerdict) -> AuthFailure {
    AuthFailure::Certificate(Box::new(verdict))
}

/// RFC 7427 §3: one octet of length, the algorithm, the signature.
fn split(data: &[u8]) -> Result<(Algorithm, &[u8]), AuthFailure> {
    use super::algorithm::AlgorithmError::Malformed;
    let (length, rest) = data.split_first().ok_or(AuthFailure::Algorithm(Malformed))?;
    let (algorithm, signature) =
        rest.split_at_checked(usize::from(*length)).ok_or(AuthFailure::Algorithm(Malformed))?;
    Ok((Algorithm::from_der(algorithm).map_err(AuthFailure::Algorithm)?, signature))
}

/// RFC 7427 §4: the peer picks from the hashes that we sent.
fn announced(algorithm: Algorithm) -> Result<Algorithm, AuthFailure> {
    let hash = HashAlgorithm::number(algorithm.hash());
    match accepted_hashes().contains(&hash) {
        true => Ok(algorithm),
        false => Err(AuthFailure::HashNotAnnounced { hash }),
    }
}

impl fmt::Debug for VerifyTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyTask")
            .field("provider", &self.provider)
            .field("prf", &self.prf)
            .field("remote", &self.remote)
            .field("expected", &self.expected)
            .field("certificates", &self.certificates.len())
            .field("method", &self.auth.method)
            .field("wall", &self.wall)
            .finish_non_exhaustive()
    }
}
