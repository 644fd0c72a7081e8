//! A shared secret, and whose it is.

use std::cmp::Ordering;
use std::fmt;
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

/// How well a secret is meant for two ends. The greater fits better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fit {
    /// Both are named, and none by a wildcard for all.
    both_named: bool,
    peer: Option<MatchQuality>,
    ours: Option<MatchQuality>,
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

    pub(super) fn data(&self) -> &Secret {
        &self.data
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.owners == other.owners && *self.data == *other.data
    }

    /// How well it is meant for these two; `None` if it is neither's.
    pub(super) fn fit(&self, ours: &Identity, peer: &Identity) -> Option<Fit> {
        let best = |identity| self.owners.iter().filter_map(|owner| owner.matches(identity)).max();
        let (ours, peer) = (best(ours), best(peer));
        let named =
            |quality: Option<MatchQuality>| quality.cmp(&Some(MatchQuality::ANY)) == Ordering::Greater;
        let fit = Fit { both_named: named(ours) && named(peer), peer, ours };
        (ours.is_some() || peer.is_some()).then_some(fit)
    }

    /// Whether it may be one that we share with somebody whom we do not know yet.
    pub(super) fn may_be_of(&self, ours: &Identity) -> bool {
        let for_us = self.owners.iter().any(|owner| owner.matches(ours).is_some());
        // One that names peers alone may be anybody's of those.
        for_us || !self.owners.is_empty()
    }
}

impl Fit {
    /// Whether it names the peer, rather than anybody.
    pub(super) fn names_peer(self) -> bool {
        self.peer > Some(MatchQuality::ANY)
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
