//! What a new set of connections changes of an old one.

use super::Link;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names of what is different, each list in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the new set alone.
    pub added: Vec<Arc<str>>,
    /// In both, and not the same.
    pub changed: Vec<Arc<str>>,
    /// In the old set alone.
    pub removed: Vec<Arc<str>>,
}

/// Something that is known by its name.
pub trait Named {
    /// Its name.
    fn name(&self) -> &Arc<str>;
}

/// What leads from `old` to `new`.
pub fn diff<T: Named + PartialEq>(old: &[T], new: &[T]) -> Changes {
    let mut changes = Changes::default();
    let before: BTreeMap<&Arc<str>, &T> = old.iter().map(|one| (one.name(), one)).collect();
    let after: BTreeMap<&Arc<str>, &T> = new.iter().map(|one| (one.name(), one)).collect();
    for (name, now) in &after {
        match before.get(*name) {
            None => changes.added.push(Arc::clone(name)),
            Some(was) if was != now => changes.changed.push(Arc::clone(name)),
            Some(_) => {}
        }
    }
    let gone = before.keys().filter(|name| !after.contains_key(**name));
    changes.removed = gone.map(|name| Arc::clone(name)).collect();
    changes
}

impl Changes {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Named for Link {
    fn name(&self) -> &Arc<str> {
        &self.name
    }
}
