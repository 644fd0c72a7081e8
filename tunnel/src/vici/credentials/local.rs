//! How we prove who we are, found among what there is.

use super::{Credentials, Lacking, Proof, StoredCertificate, StoredKey};
use crate::vici::sections::{LocalRound, Method};
use std::sync::Arc;
use tidegate_ike::auth::{LocalAuth, LocalCertificate, MAX_CHAIN, RsaPadding};
use tidegate_ike::identity::{Identity, IdentityPattern};

impl Credentials {
    /// How we prove who we are in this round, and as whom: the round's identity, else the certificate's
    /// subject. For a shared secret it takes to know who the peer is, and the round has to have an identity:
    /// the address that we talk from, where the client names none.
    pub fn local(
        &self,
        round: &LocalRound,
        peer: &IdentityPattern,
    ) -> Result<(Identity, Proof<LocalAuth>), Lacking> {
        match round.method {
            Method::Psk => {
                let ours = round.identity.as_ref().ok_or(Lacking::OurIdentity)?;
                Ok((ours.clone(), self.local_secret(ours, peer)?))
            }
            Method::Signature(signing) => self.by_signature(round, signing.padding.unwrap_or_default()),
            Method::Any => self.by_signature(round, RsaPadding::default()),
        }
    }

    fn by_signature(
        &self,
        round: &LocalRound,
        padding: RsaPadding,
    ) -> Result<(Identity, Proof<LocalAuth>), Lacking> {
        if round.certificates.is_empty() && !round.public_keys.is_empty() {
            return self.by_bare_key(round, padding);
        }
        let (chain, key) = match round.certificates.is_empty() {
            true => self.certificate_of(round.identity.as_ref())?,
            false => self.certificate_of_section(&round.certificates)?,
        };
        let chain: Vec<Vec<u8>> = chain.iter().map(|it| it.der().to_vec()).collect();
        let local = LocalCertificate::new(&chain, Arc::clone(key.signer()), padding)
            .map_err(|error| Lacking::Unusable(Box::new(error)))?;
        let identity = round.identity.clone().unwrap_or_else(|| Identity::Dn(local.subject().clone()));
        let print = self.printer.begin("certificate").with(&[padding as u8]);
        let print = print.with_all(chain.iter().map(Vec::as_slice)).finish();
        Ok((identity, Proof { auth: Arc::new(LocalAuth::Certificate(local)), print }))
    }

    fn by_bare_key(
        &self,
        round: &LocalRound,
        padding: RsaPadding,
    ) -> Result<(Identity, Proof<LocalAuth>), Lacking> {
        let identity = round.identity.clone().ok_or(Lacking::OurIdentity)?;
        let key = round.public_keys.iter().find_map(|public| self.key_of(public));
        let key = Arc::clone(key.ok_or(Lacking::KeyOfPublicKey)?.signer());
        let print = self.printer.begin("key").with(&[padding as u8]).with(key.public_key()).finish();
        Ok((identity, Proof { auth: Arc::new(LocalAuth::RawKey { key, padding }), print }))
    }

    /// The first that there is a key for; the others of the section may be among its issuers.
    fn certificate_of_section(
        &self,
        certificates: &[Vec<u8>],
    ) -> Result<(Vec<Arc<StoredCertificate>>, &StoredKey), Lacking> {
        let read =
            |der: &Vec<u8>| StoredCertificate::from_der(der).map(Arc::new).map_err(Lacking::of_certificate);
        let all = certificates.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let found = all.iter().find_map(|it| Some((it, self.key_of(&it.outline().public_key)?)));
        match (found, all.first()) {
            (Some((certificate, key)), _) => Ok((self.chain(certificate, &all), key)),
            (None, Some(first)) => Err(Lacking::KeyOfCertificate(first.outline().subject.clone())),
            (None, None) => Err(Lacking::OurCertificate),
        }
    }

    /// The certificate of an identity of ours among those that we keep. Of several the one that lasts longest.
    fn certificate_of(
        &self,
        identity: Option<&Identity>,
    ) -> Result<(Vec<Arc<StoredCertificate>>, &StoredKey), Lacking> {
        let identity = identity.ok_or(Lacking::OurCertificate)?;
        let whose = self.certificates().filter(|it| it.outline().identities.contains(identity));
        let ours = whose.filter_map(|it| Some((it, self.key_of(&it.outline().public_key)?)));
        let found = ours.max_by_key(|(it, _)| it.outline().validity.1);
        let (certificate, key) = found.ok_or_else(|| Lacking::CertificateOf(identity.clone()))?;
        Ok((self.chain(certificate, &[]), key))
    }

    /// The certificate, and its issuers as far as they are known: those of the section come first.
    fn chain(
        &self,
        certificate: &Arc<StoredCertificate>,
        section: &[Arc<StoredCertificate>],
    ) -> Vec<Arc<StoredCertificate>> {
        let mut chain = vec![Arc::clone(certificate)];
        while let Some(last) = chain.last().filter(|last| !last.outline().is_self_issued()) {
            let issues = |it: &&Arc<StoredCertificate>| {
                it.outline().is_authority
                    && last.outline().may_be_issued_by(it.outline())
                    && !chain.contains(it)
            };
            let Some(issuer) = section.iter().chain(self.certificates()).find(issues) else { break };
            if chain.len() >= MAX_CHAIN {
                break;
            }
            chain.push(Arc::clone(issuer));
        }
        chain
    }

    /// The private half of a SubjectPublicKeyInfo.
    pub(super) fn key_of(&self, public_key: &[u8]) -> Option<&StoredKey> {
        self.keys().find(|key| key.public_key() == public_key).map(AsRef::as_ref)
    }

    fn local_secret(&self, ours: &Identity, peer: &IdentityPattern) -> Result<Proof<LocalAuth>, Lacking> {
        let secret = self.secret_for(ours, peer)?;
        let print = self.printer.begin("secret").with(secret.data()).finish();
        Ok(Proof { auth: Arc::new(LocalAuth::Psk(secret.data().clone())), print })
    }
}
