//! Secrets for peers of which only a pattern is known before they come.

use crate::crypto::Secret;
use crate::identity::{Identity, IdentityPattern, MatchQuality};
use std::fmt;
use std::sync::Arc;

/// The secrets that one identity of ours shares, each with whom it is for.
#[derive(Clone)]
pub struct PskBook {
    ours: Identity,
    entries: Arc<[Entry]>,
}

/// A secret and its owners, of either end; without any it is for everybody.
#[derive(Clone)]
pub struct Entry {
    /// Who may use it.
    pub owners: Vec<IdentityPattern>,
    /// The secret.
    pub secret: Secret,
}

/// How well an entry fits: the peer counts for more than we do.
type Fit = (Option<MatchQuality>, Option<MatchQuality>);

impl PskBook {
    /// The secrets of this identity of ours.
    pub fn new(ours: Identity, entries: Vec<Entry>) -> Self {
        Self { ours, entries: entries.into() }
    }

    /// The secret that fits best between us and this peer; the first of those that fit alike. A peer that is not
    /// known fits nothing but what is for everybody, or for us.
    pub fn secret(&self, peer: Option<&Identity>) -> Option<&Secret> {
        let mut best: Option<(Fit, &Secret)> = None;
        // All of them, whoever asks: how long it takes says nothing of who is known.
        for entry in &*self.entries {
            let fit = self.fit(entry, peer);
            if fit != (None, None) && best.is_none_or(|(known, _)| fit > known) {
                best = Some((fit, &entry.secret));
            }
        }
        best.map(|(_, secret)| secret)
    }

    fn fit(&self, entry: &Entry, peer: Option<&Identity>) -> Fit {
        if entry.owners.is_empty() {
            return (Some(MatchQuality::ANY), Some(MatchQuality::ANY));
        }
        let of = |identity: &Identity| entry.owners.iter().filter_map(|owner| owner.matches(identity)).max();
        (peer.and_then(of), of(&self.ours))
    }
}

impl fmt::Debug for PskBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owners = self.entries.iter().map(|entry| &entry.owners);
        f.debug_struct("PskBook")
            .field("ours", &self.ours)
            .field("owners", &owners.collect::<Vec<_>>())
            .finish()
    }
}
