//! A shared secret, and whose it is.

use super::{Credentials, Lacking};
use std::fmt;
use tidegate_ike::auth::{PskBook, PskEntry};
use tidegate_ike::crypto::Secret;
use tidegate_ike::identity::{Identity, IdentityError, IdentityPattern, MatchQuality};

/// Whose a secret is.
#[derive(Clone, Debug, PartialEq)]
pub struct Owner(IdentityPattern);

/// A secret of two ends.
pub struct SharedSecret {
    id: Option<String>,
    owners: Vec<Owner>,
    data: Secret,
}

/// What there is for a peer.
pub(super) enum Secrets {
    /// It is known which.
    One(Secret),
    /// That shows when the peer says who it is.
    Book(PskBook),
}

impl Credentials {
    /// The secret that is best meant for the two, of equally good ones the newest. A peer of which only a
    /// pattern is known gets all there are, unless there is no choice.
    pub(super) fn secrets_for(
        &self,
        ours: &Identity,
        peer: &IdentityPattern,
    ) -> Result<(Secrets, [u8; 32]), Lacking> {
        let lacking = || Lacking::Secret { ours: ours.clone(), peer: peer.clone() };
        let entries: Vec<PskEntry> = self.secrets().map(|secret| secret.entry()).collect();
        let first = entries.first().ok_or_else(lacking)?.secret.clone();
        if let IdentityPattern::Exact(peer) = peer {
            let book = PskBook::new(ours.clone(), entries);
            return Ok(self.one(book.secret(Some(peer)).ok_or_else(lacking)?));
        }
        let for_all = |entry: &PskEntry| entry.owners.contains(&IdentityPattern::Any);
        if entries.iter().any(for_all) && entries.iter().all(|entry| *entry.secret == *first) {
            return Ok(self.one(&first));
        }
        let owners = entries.iter().flat_map(|entry| &entry.owners).map(|owner| format!("{owner:?}"));
        let owners: Vec<String> = owners.collect();
        let print = self.printer.begin("secrets").with(ours.to_string().as_bytes());
        let print = print.with_all(owners.iter().map(String::as_bytes));
        let print = print.with_all(entries.iter().map(|entry| entry.secret.as_slice())).finish();
        Ok((Secrets::Book(PskBook::new(ours.clone(), entries)), print))
    }

    fn one(&self, secret: &Secret) -> (Secrets, [u8; 32]) {
        (Secrets::One(secret.clone()), self.printer.begin("secret").with(secret).finish())
    }
}

impl Owner {
    /// Everybody.
    pub const ANY: Self = Self(IdentityPattern::Any);

    /// How well it fits an identity.
    pub fn matches(&self, identity: &Identity) -> Option<MatchQuality> {
        self.0.matches(identity)
    }
}

impl std::str::FromStr for Owner {
    type Err = IdentityError;

    /// Nothing means everybody, as with charon.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        match text.trim() {
            "" => Ok(Self::ANY),
            text => text.parse().map(Self),
        }
    }
}

impl SharedSecret {
    /// Nobody's is everybody's.
    pub fn new(id: Option<String>, mut owners: Vec<Owner>, data: Secret) -> Self {
        if owners.is_empty() {
            owners.push(Owner::ANY);
        }
        Self { id, owners, data }
    }

    /// What a client calls it.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whose it is; never nobody's.
    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.owners == other.owners && *self.data == *other.data
    }

    /// It names this one, rather than anybody.
    pub(super) fn names(&self, identity: &Identity) -> bool {
        self.owners.iter().any(|owner| owner.matches(identity) > Some(MatchQuality::ANY))
    }

    /// As the engine takes it.
    fn entry(&self) -> PskEntry {
        let owners = self.owners.iter().map(|Owner(pattern)| pattern.clone()).collect();
        PskEntry { owners, secret: self.data.clone() }
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSecret")
            .field("id", &self.id)
            .field("owners", &self.owners)
            .finish_non_exhaustive()
    }
}
