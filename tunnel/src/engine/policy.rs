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
    fixed: BTreeMap<Owner, Vec<(Named, Protection)>>,
    /// What needs no SA, by owner and child.
    shunts: BTreeMap<(Owner, Arc<str>), (Shunt, Placed)>,
    /// A successor carries what its predecessor did.
    shared: HashMap<(Owner, Arc<SelectorPair>), (Protection, usize)>,
    captures: u64,
}

/// What a child carries, by its name.
pub(super) type Named = (Arc<str>, Arc<SelectorPair>);

/// What is passed in clear, or dropped.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Shunt {
    pub(super) owner: Owner,
    pub(super) child: Arc<str>,
    pub(super) selectors: Arc<SelectorPair>,
    pub(super) fate: Fate,
}

#[derive(Clone, Copy)]
struct Protection {
    rule: RuleId,
    capture: CaptureId,
}

/// The rule of a shunt. What is dropped has to come to us first.
struct Placed {
    rule: RuleId,
    capture: Option<CaptureId>,
}

impl Policy {
    /// All that a connection protects, by child, as long as it is loaded; what it protected before stays where it
    /// still does, and else goes after the new is there.
    pub(super) fn replace(
        &mut self,
        tables: &mut Tables,
        actions: &mut VecDeque<Action>,
        owner: Owner,
        all: &[Named],
    ) {
        let mut old = self.fixed.remove(&owner).unwrap_or_default();
        let protect = |named: &Named| {
            if let Some(at) = old.iter().position(|(before, _)| before == named) {
                return Some(old.swap_remove(at));
            }
            let protection = self.protect(tables, actions, owner, &named.1).ok()?;
            Some((named.clone(), protection))
        };
        let new: Vec<_> = all.iter().filter_map(protect).collect();
        if !new.is_empty() {
            self.fixed.insert(owner, new);
        }
        for (_, protection) in old {
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
        let (_, protection) = self.fixed.get(&owner)?.iter().find(|((name, _), _)| **name == *child)?;
        Some(protection.capture)
    }

    /// Puts the rule of a shunt in force; an older one of the same child goes when the new is there.
    pub(super) fn put_shunt(&mut self, tables: &mut Tables, actions: &mut VecDeque<Action>, shunt: Shunt) {
        let key = (shunt.owner, Arc::clone(&shunt.child));
        if self.shunts.get(&key).is_some_and(|(before, _)| *before == shunt) {
            return;
        }
        let rule = Rule { selectors: Arc::clone(&shunt.selectors), action: shunt.fate };
        // What is too much for the tables was refused when it was loaded.
        let Ok(rule) = tables.add_rule(rule) else { return };
        let capture = (shunt.fate == Fate::Drop).then(|| self.capture(actions, &shunt.selectors));
        if let Some((_, before)) = self.shunts.insert(key, (shunt, Placed { rule, capture })) {
            before.withdraw(tables, actions);
        }
    }

    /// A shunt is in force no more.
    pub(super) fn withdraw_shunt(
        &mut self,
        tables: &mut Tables,
        actions: &mut VecDeque<Action>,
        owner: Owner,
        child: &Arc<str>,
    ) {
        if let Some((_, placed)) = self.shunts.remove(&(owner, Arc::clone(child))) {
            placed.withdraw(tables, actions);
        }
    }

    /// Of the shunts of an owner these alone are to be in force from now on.
    pub(super) fn keep_shunts(
        &mut self,
        tables: &mut Tables,
        actions: &mut VecDeque<Action>,
        owner: Owner,
        kept: &[Arc<str>],
    ) {
        let from_here = self.shunts.range((owner, Arc::from(""))..);
        let of_owner = from_here.take_while(|((other, _), _)| *other == owner).map(|((_, child), _)| child);
        let gone: Vec<_> = of_owner.filter(|child| !kept.contains(child)).cloned().collect();
        gone.iter().for_each(|child| self.withdraw_shunt(tables, actions, owner, child));
    }

    fn capture(&mut self, actions: &mut VecDeque<Action>, selectors: &Arc<SelectorPair>) -> CaptureId {
        self.captures += 1;
        let capture = CaptureId(self.captures);
        actions.push_back(Action::Capture { capture, selectors: Arc::clone(selectors) });
        capture
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
        let capture = self.capture(actions, selectors);
        Ok(Protection { rule, capture })
    }
}

impl Placed {
    fn withdraw(self, tables: &mut Tables, actions: &mut VecDeque<Action>) {
        actions.extend(self.capture.map(Action::Release));
        tables.remove_rule(self.rule);
    }
}

fn withdraw(tables: &mut Tables, actions: &mut VecDeque<Action>, protection: Protection) {
    actions.push_back(Action::Release(protection.capture));
    tables.remove_rule(protection.rule);
}
