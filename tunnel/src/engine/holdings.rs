//! How much an engine holds, so that what grows without an end, or outlives what it belonged to, is seen.

use super::Engine;

/// Numbers of what an engine holds. All of them follow from the SAs that there are, so with the last of these
/// everything is gone but the timers of connections that are to come up again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// IKE SAs of all kinds: those that stand, attempts of ours, and half-open ones.
    pub ike_sas: usize,
    /// IKE SAs whose peers have yet to say who they are.
    pub half_open: usize,
    /// Child SAs.
    pub children: usize,
    /// Inbound SPIs that are given away.
    pub spis: usize,
    /// Addresses of pools that are lent.
    pub leases: usize,
    /// Bytes of incomplete messages.
    pub fragment_bytes: usize,
    /// What is remembered of one SA on behalf of another: who replaces whom, who was refused, who is about to
    /// end.
    pub notes: usize,
    /// The engine's own deadlines.
    pub timers: usize,
}

impl Engine {
    /// How much there is of everything that comes and goes.
    pub fn holdings(&self) -> Holdings {
        let [spis, leases, half_open] = self.ike.resources();
        let numbered = self.numbers.len().saturating_sub(self.ike.len());
        let notes = [
            self.replacements.len(),
            self.refused.len(),
            self.ending.len(),
            self.lookups.len(),
            self.attempts.len(),
            numbered,
        ];
        Holdings {
            ike_sas: self.ike.len(),
            half_open,
            children: self.children.len(),
            spis,
            leases,
            fragment_bytes: self.ike.fragments_held(),
            notes: notes.iter().sum(),
            timers: self.timers.len(),
        }
    }
}
