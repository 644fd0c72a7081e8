//! How a peer has to prove who it is, by what there is to check it.

use super::{CredentialFault, Credentials, Lacking, Proof, SharedSecret, StoredCertificate};
use crate::config::BUILD;
use crate::vici::sections::{Method, RemoteRound, Revocation as Wanted};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use tidegate_ike::auth::{
    EndEntities, RemoteAuth, RemoteCertificates, RemoteKeys, Revocation, RsaSha1, TrustStore,
};
use tidegate_ike::identity::{DistinguishedName, Identity, IdentityPattern};

/// What was made and is still in use, by print: many connections trust the same.
#[derive(Default)]
pub(super) struct Stores(RefCell<BTreeMap<[u8; 32], Weak<RemoteAuth>>>);

impl Credentials {
    /// How the peer has to prove who it is in this round, to us as `ours`.
    pub fn remote(&self, round: &RemoteRound, ours: &Identity) -> Result<Proof<RemoteAuth>, Lacking> {
        match round.method {
            Method::Psk => self.remote_secret(ours, &round.identity),
            Method::Signature(_) => self.by_key(round),
            Method::Any => self.by_anything(round, ours),
        }
    }

    /// A secret that names this very peer says most; certificates come before a secret for anybody.
    fn by_anything(&self, round: &RemoteRound, ours: &Identity) -> Result<Proof<RemoteAuth>, Lacking> {
        let by_key = self.by_key(round);
        let lacks_trust = matches!(by_key, Err(Lacking::Trust(_)));
        if !lacks_trust && !self.has_secret_naming(ours, &round.identity) {
            return by_key;
        }
        match self.remote_secret(ours, &round.identity) {
            Err(Lacking::Secret { peer, .. }) if lacks_trust => Err(Lacking::Anything(peer)),
            other => other,
        }
    }

    fn by_key(&self, round: &RemoteRound) -> Result<Proof<RemoteAuth>, Lacking> {
        if round.certificates.is_empty() && !round.public_keys.is_empty() {
            let keys = round.public_keys.clone();
            let print = self.printer.begin("keys").with_all(keys.iter().map(Vec::as_slice)).finish();
            let auth = RemoteAuth::RawKeys(RemoteKeys { keys, rsa_sha1: RsaSha1::Refuse });
            return Ok(Proof { auth: Arc::new(auth), print });
        }
        let trust = Trust::gather(self, round)?;
        let print = trust.print(self);
        let auth = self.stores.get_or_make(print, || trust.build(self))?;
        Ok(Proof { auth, print })
    }

    fn remote_secret(&self, ours: &Identity, peer: &IdentityPattern) -> Result<Proof<RemoteAuth>, Lacking> {
        let secret = self.secret_for(ours, peer)?;
        let print = self.printer.begin("secret").with(secret.data()).finish();
        Ok(Proof { auth: Arc::new(RemoteAuth::Psk(secret.data().clone())), print })
    }

    fn has_secret_naming(&self, ours: &Identity, peer: &IdentityPattern) -> bool {
        let IdentityPattern::Exact(peer) = peer else { return false };
        self.secrets().filter_map(|secret| secret.fit(ours, peer)).any(super::secret::Fit::names_peer)
    }

    /// The secret that is best meant for the two. Of equally good ones the newest, as with charon.
    pub(super) fn secret_for(
        &self,
        ours: &Identity,
        peer: &IdentityPattern,
    ) -> Result<&Arc<SharedSecret>, Lacking> {
        let IdentityPattern::Exact(peer) = peer else { return self.only_secret_for(ours, peer) };
        let mut best = None;
        for secret in self.secrets() {
            let fit = secret.fit(ours, peer);
            if fit.is_some() && best.is_none_or(|(known, _)| known < fit) {
                best = Some((fit, secret));
            }
        }
        let lacking = || Lacking::Secret { ours: ours.clone(), peer: peer.clone().into() };
        best.map(|(_, secret)| secret).ok_or_else(lacking)
    }

    /// The secret for a peer that is known by a pattern alone: it takes one that leaves no choice.
    fn only_secret_for(
        &self,
        ours: &Identity,
        peer: &IdentityPattern,
    ) -> Result<&Arc<SharedSecret>, Lacking> {
        let mut candidates = self.secrets().filter(|secret| secret.may_be_of(ours));
        let lacking = || Lacking::Secret { ours: ours.clone(), peer: peer.clone() };
        let first = candidates.next().ok_or_else(lacking)?;
        match candidates.all(|other| **other.data() == **first.data()) {
            true => Ok(first),
            false => Err(Lacking::Ambiguous { ours: ours.clone(), peer: peer.clone() }),
        }
    }
}

/// What one round trusts.
struct Trust {
    /// Authorities that clients, files and the section have brought.
    authorities: Vec<Arc<StoredCertificate>>,
    /// Certificates of peers.
    known: Vec<Arc<StoredCertificate>>,
    end_entities: EndEntities,
    /// One of these has to be on the path, if there are any.
    issuers: Vec<DistinguishedName>,
    revocation: Revocation,
}

impl Trust {
    fn gather(credentials: &Credentials, round: &RemoteRound) -> Result<Self, Lacking> {
        let read =
            |der: &Vec<u8>| StoredCertificate::from_der(der).map(Arc::new).map_err(Lacking::of_certificate);
        let asked = round.certificates.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut authorities = round.authorities.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if let Some(other) = authorities.iter().find(|it| !it.outline().is_authority) {
            return Err(Lacking::NotAuthority(other.outline().subject.clone()));
        }
        let issuers = authorities.iter().map(|it| it.outline().subject.clone()).collect();
        for certificate in credentials.certificates().filter(|it| it.outline().is_authority) {
            if !authorities.contains(certificate) {
                authorities.push(Arc::clone(certificate));
            }
        }
        let (known, end_entities) = match asked.is_empty() {
            // What lies in files of charon is there for us to send: it vouches for no peer.
            true => {
                let clients = credentials.clients.certificates().iter();
                (clients.filter(|it| !it.outline().is_authority).cloned().collect(), EndEntities::Certified)
            }
            false => (asked, EndEntities::Known),
        };
        if authorities.is_empty() && known.is_empty() {
            return Err(Lacking::Trust(round.identity.clone()));
        }
        let revocation = match round.revocation {
            Wanted::Relaxed => Revocation::Relaxed,
            Wanted::IfUri => Revocation::IfUri,
            Wanted::Strict => Revocation::Strict,
        };
        Ok(Self { authorities, known, end_entities, issuers, revocation })
    }

    fn print(&self, credentials: &Credentials) -> [u8; 32] {
        let uris = credentials.authorities.values().flat_map(|authority| {
            let subject = authority.certificate().outline().subject.as_der();
            std::iter::once(subject).chain(authority.list_uris().iter().map(String::as_bytes))
        });
        let print = credentials.printer.begin("trust");
        let print = print.with(&[self.revocation as u8, self.end_entities as u8]);
        print
            .with_all(self.authorities.iter().map(|it| it.print().as_slice()))
            .with_all(self.known.iter().map(|it| it.print().as_slice()))
            .with_all(self.issuers.iter().map(DistinguishedName::as_der))
            .with_all(credentials.lists().map(|it| it.print().as_slice()))
            .with_all(uris)
            .finish()
    }

    fn build(&self, credentials: &Credentials) -> Result<RemoteAuth, Lacking> {
        let mut store = TrustStore::new(BUILD, self.revocation);
        let refused = |verdict| Lacking::Authority(Box::new(verdict));
        for authority in &self.authorities {
            // One with its issuer at hand is a step on the way: the path is to show its whole length.
            let has_issuer = !authority.outline().is_self_issued()
                && self.authorities.iter().any(|it| authority.outline().may_be_issued_by(it.outline()));
            let added = match has_issuer {
                true => store.add_intermediate(authority.der()),
                false => store.add_anchor(authority.der()),
            };
            added.map_err(refused)?;
        }
        for known in &self.known {
            store.add_known(known.der()).map_err(refused)?;
        }
        for list in credentials.lists() {
            // It was read before: nothing has changed about that.
            let _ = store.add_revocation_list(list.der());
        }
        for authority in credentials.authorities.values() {
            for uri in authority.list_uris() {
                store.add_list_uri(authority.certificate().outline().subject.clone(), uri.clone());
            }
        }
        store.accept(self.end_entities);
        let (store, issuers) = (Arc::new(store), self.issuers.clone());
        Ok(RemoteAuth::Certificates(RemoteCertificates { store, issuers, rsa_sha1: RsaSha1::Refuse }))
    }
}

impl Stores {
    fn get_or_make(
        &self,
        print: [u8; 32],
        make: impl FnOnce() -> Result<RemoteAuth, Lacking>,
    ) -> Result<Arc<RemoteAuth>, Lacking> {
        let mut made = self.0.borrow_mut();
        if let Some(auth) = made.get(&print).and_then(Weak::upgrade) {
            return Ok(auth);
        }
        made.retain(|_, auth| auth.strong_count() > 0);
        let auth = Arc::new(make()?);
        made.insert(print, Arc::downgrade(&auth));
        Ok(auth)
    }
}

impl Lacking {
    pub(super) fn of_certificate(fault: CredentialFault) -> Self {
        match fault {
            CredentialFault::Authority(verdict) => Self::Authority(verdict),
            CredentialFault::Certificate(check) => Self::Unreadable(check),
            _ => Self::Unreadable(tidegate_ike::auth::CertificateCheck::Malformed),
        }
    }
}
