//! What happens to a packet: protect, bypass or drop (RFC 4301 §4.4.1).
//!
//! Rules are found by the same kind of table that finds an SA: most specific first, see [`Policy::action`].

mod cache;
mod prefix;
mod table;

pub use cache::FlowCache;
pub(crate) use table::{Fit, SelectorTable, check};
pub use table::{PIECES_MAX, TooManyPieces};

use crate::flow::{Flow, FlowError, Inner};
use crate::selector::SelectorPair;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// Whoever rules and SAs belong to: a connection. A flow that a rule gives to one owner is never carried by
/// an SA of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u64);

/// What is done with the packets of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Into a tunnel of this owner, and nowhere else.
    Protect(Owner),
    /// On in clear.
    Bypass,
    /// Nowhere.
    Drop,
}

/// Selectors with what is done to what matches them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What the rule is about.
    pub selectors: Arc<SelectorPair>,
    /// What is done.
    pub action: Action,
}

/// A rule's number; newer rules have higher ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(crate) u64);

/// All rules. A copy costs nothing and stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    table: SelectorTable<Action>,
}

/// Why an inner packet was refused on its way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No packet at all.
    Malformed(FlowError),
    /// A flow that was not negotiated for the SA it came by.
    Selector(Flow),
}

/// Whether a rule that protects comes first, and what it goes by cannot be seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MayBeProtected {
    No,
    Yes,
}

impl Policy {
    /// What is done with a packet on its way out; `None` when no rule says anything, which is to drop it
    /// (RFC 4301 §5.1).
    ///
    /// Of the rules that match, the one counts with the longest remote prefix, then the longest local one,
    /// then a protocol rather than any, then the fewest ports, then the newest.
    ///
    /// A later fragment does not show its ports. Where it may belong to a flow that a rule protects, a rule
    /// behind that one does not let it pass in clear: it is dropped.
    pub fn action(&self, flow: &Flow) -> Option<Action> {
        match self.find(flow) {
            (Some(Action::Bypass), MayBeProtected::Yes) => Some(Action::Drop),
            (action, _) => action,
        }
    }

    /// Whether a packet that came in clear should have come protected, or is a fragment of one that may have
    /// to (RFC 4301 §5.2, §7.4).
    pub fn demands_protection(&self, flow: &Flow) -> bool {
        matches!(self.find(&flow.reversed()), (Some(Action::Protect(_)), _) | (_, MayBeProtected::Yes))
    }

    fn find(&self, flow: &Flow) -> (Option<Action>, MayBeProtected) {
        let mut may_be = MayBeProtected::No;
        let found = self.table.find(flow, |action, fit| match (fit, action) {
            (Fit::Certain, action) => Some(*action),
            (Fit::Possible, Action::Protect(_)) => {
                may_be = MayBeProtected::Yes;
                None
            }
            (Fit::Possible, Action::Bypass | Action::Drop) => None,
        });
        (found, may_be)
    }

    pub(crate) fn insert(&mut self, id: RuleId, rule: &Rule) {
        self.table.insert(&rule.selectors, id.0, rule.action);
    }

    pub(crate) fn remove(&mut self, id: RuleId, rule: &Rule) {
        self.table.remove(&rule.selectors, id.0);
    }
}

/// Reads a packet that came out of an SA and checks that the peer may send it: what was not negotiated is
/// refused (RFC 4301 §5.2, step 4), and so are fragments whose ports cannot be seen where ports were
/// negotiated (RFC 4301 §7).
pub fn admit(selectors: &SelectorPair, packet: &[u8]) -> Result<Inner, Refusal> {
    let inner = Inner::parse(packet).map_err(Refusal::Malformed)?;
    if selectors.admits(&inner.flow) { Ok(inner) } else { Err(Refusal::Selector(inner.flow)) }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "{error}"),
            Self::Selector(flow) => {
                let Flow { source, destination, protocol, .. } = flow;
                write!(f, "{source} to {destination}, protocol {protocol}, was not negotiated")
            }
        }
    }
}

impl Error for Refusal {}
