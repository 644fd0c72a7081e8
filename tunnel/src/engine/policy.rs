//! Rules for workers and captures for the kernel.
//!
//! What is known from the configuration is protected from load until unload, so that nothing leaves in clear
//! before the first SA and after the last. What only an SA makes known, because the peer or an address is not
//! certain before, is protected from its installation until its end.

use crate::action::{Action, CaptureId};
use crate::tables::Tables;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use tidegate_esp::SelectorPair;
use tidegate_esp::policy::{Action as Fate, Owner, Rule, RuleId, TooManyPieces};

/// What is protected for whom.
#[derive(Default)]
pub(super) struct Policy {
    fixed: BTreeMap<Owner, Vec<(Arc<str>, Protection)>>,
    /// A successor carries what its predecessor did.
    shared: HashMap<(Owner, Arc<SelectorPair>), (Protection, usize)>,
    captures: u64,
}

#[derive(Clone, Copy)]
struct Protection {
    rule: RuleId,
    capture: CaptureId,
}

impl Policy {
    /// All that a connection protects, by child, as long as it is loaded; what it protected before goes after the new
    /// is there. All or nothing.
    pub(super) fn replace(
        &mut self,
        tables: &mut Tables,
        actions: &mut VecDeque<Action>,
        owner: Owner,
        all: &[(Arc<str>, Arc<SelectorPair>)],
    ) {
        let protect = |(child, selectors): &(Arc<str>, _)| {
            let protection = self.protect(tables, actions, owner, selectors).ok()?;
            Some((Arc::clone(child), protection))
        };
        let new: Vec<_> = all.iter().filter_map(protect).collect();
        let old = if new.is_empty() { self.fixed.remove(&owner) } else { self.fixed.insert(owner, new) };
        for (_, protection) in old.unwrap_or_default() {
            withdraw(tables, actions, protection);
        }
    }

    /// What one SA protects.
    pub(super) fn share(
        &mut self,
        tables: &mut Tables,
        actions: &mut VecDeque<Action>,
        owner: Owner,
        selectors: &Arc<SelectorPair>,
    ) -> Result<CaptureId, TooManyPieces> {
        let key = (owner, Arc::clone(selectors));
        if let Some((protection, users)) = self.shared.get_mut(&key) {
            *users += 1;
            return Ok(protection.capture);
        }
        let protection = self.protect(tables, actions, owner, selectors)?;
        self.shared.insert(key, (protection, 1));
        Ok(protection.capture)
    }

    /// One SA that protected this is gone.
    pub(super) fn unshare(
        &mut self,
        tables: &mut Tables,
        actions: &mut VecDeque<Action>,
        owner: Owner,
        selectors: &Arc<SelectorPair>,
    ) {
        let key = (owner, Arc::clone(selectors));
        let Some((protection, users)) = self.shared.get_mut(&key) else { return };
        *users -= 1;
        if *users == 0 {
            withdraw(tables, actions, *protection);
            self.shared.remove(&key);
        }
    }

    /// The capture of all that a child protects as long as its connection is loaded.
    pub(super) fn fixed_capture(&self, owner: Owner, child: &str) -> Option<CaptureId> {
        let (_, protection) = self.fixed.get(&owner)?.iter().find(|(name, _)| **name == *child)?;
        Some(protection.capture)
    }

    fn protect(
        &mut self,
        tables: &mut Tables,
        actions: &mut VecDeque<Action>,
        owner: Owner,
        selectors: &Arc<SelectorPair>,
    ) -> Result<Protection, TooManyPieces> {
        let rule = Rule { selectors: Arc::clone(selectors), action: Fate::Protect(owner) };
        let rule = tables.add_rule(rule)?;
        self.captures += 1;
        let capture = CaptureId(self.captures);
        actions.push_back(Action::Capture { capture, selectors: Arc::clone(selectors) });
        Ok(Protection { rule, capture })
    }
}

fn withdraw(tables: &mut Tables, actions: &mut VecDeque<Action>, protection: Protection) {
    actions.push_back(Action::Release(protection.capture));
    tables.remove_rule(protection.rule);
}
