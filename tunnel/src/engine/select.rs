//! From what an agent names to what there is.

use super::link::{Link, Phase};
use super::{Engine, Selection, Target};
use crate::connection::ChildMode;
use std::collections::BTreeSet;
use std::sync::Arc;
use tidegate_esp::Spi;
use tidegate_ike::{ApiMisuse, SaId};

/// What a selection comes to.
#[derive(Default)]
pub(super) struct Selected {
    pub(super) sas: Vec<SaId>,
    pub(super) children: Vec<Spi>,
}

impl Engine {
    /// The connection and the children that a target means.
    pub(super) fn wanted(&self, target: &Target) -> Result<(Arc<str>, Vec<Arc<str>>), ApiMisuse> {
        match target {
            Target::Connection(name) => {
                let (name, link) = self.link(name)?;
                let tunnels = link.wishes.iter().filter(|wish| wish.mode == ChildMode::Tunnel);
                Ok((name, tunnels.map(|wish| Arc::clone(&wish.name)).collect()))
            }
            Target::Child { .. } => self.named(target),
        }
    }

    /// The same, those included that have nothing to negotiate.
    pub(super) fn named(&self, target: &Target) -> Result<(Arc<str>, Vec<Arc<str>>), ApiMisuse> {
        match target {
            Target::Connection(name) => {
                let (name, link) = self.link(name)?;
                Ok((name, link.wishes.iter().map(|wish| Arc::clone(&wish.name)).collect()))
            }
            Target::Child { connection: Some(name), child } => {
                let (name, link) = self.link(name)?;
                let wish = link.wish(child).ok_or_else(|| ApiMisuse::NoSuchChild(child.to_string()))?;
                Ok((name, vec![Arc::clone(&wish.name)]))
            }
            Target::Child { connection: None, child } => {
                let link = self.links_with(child).next();
                let link = link.ok_or_else(|| ApiMisuse::NoSuchChild(child.to_string()))?;
                Ok((link, vec![Arc::clone(child)]))
            }
        }
    }

    /// What a selection comes to just now.
    pub(super) fn select(&self, selection: &Selection) -> Result<Selected, ApiMisuse> {
        let mut selected = Selected::default();
        match selection {
            Selection::Connection(name) => {
                let (_, link) = self.link(name)?;
                selected.sas.extend(&link.sas);
                if let Phase::Attempting(sa) = link.phase {
                    selected.sas.push(sa);
                }
            }
            Selection::Child { connection, child } => {
                for name in self.links_of(connection.as_ref(), child)? {
                    let wish = self.links.get(&name).and_then(|link| link.wish(child));
                    selected.children.extend(wish.into_iter().flat_map(|wish| &wish.standing));
                }
            }
            Selection::IkeSa(number) => {
                selected.sas.push(*self.by_number.get(number).ok_or(ApiMisuse::NoSuchSa)?);
            }
            Selection::ChildSa(child) => {
                self.ike.sa_of(*child).ok_or(ApiMisuse::NoSuchSa)?;
                selected.children.push(*child);
            }
            Selection::ChildNumber(number) => {
                selected.children.push(*self.children_by_number.get(number).ok_or(ApiMisuse::NoSuchSa)?);
            }
            Selection::Reqid(number) => {
                for (link, child) in self.reqids.of(*number) {
                    let wish = self.links.get(link).and_then(|link| link.wish(child));
                    selected.children.extend(wish.into_iter().flat_map(|wish| &wish.standing));
                }
            }
            Selection::All => selected = self.everything(),
        }
        Ok(selected)
    }

    pub(super) fn everything(&self) -> Selected {
        let sas = self.sas.keys().chain(self.attempts.keys()).copied().collect();
        Selected { sas, children: Vec::new() }
    }

    /// Connections and names of the children of what was selected.
    pub(super) fn names_of(&self, selected: &Selected) -> BTreeSet<(Arc<str>, Arc<str>)> {
        let statuses = selected.sas.iter().filter_map(|sa| self.ike.status(*sa));
        let of_sas = statuses.flat_map(|sa| sa.children().map(|child| child.inbound()).collect::<Vec<_>>());
        let children = of_sas.chain(selected.children.iter().copied());
        let known = children.filter_map(|child| self.children.get(&child));
        let mut names: BTreeSet<_> =
            known.map(|child| (Arc::clone(&child.link), Arc::clone(&child.name))).collect();
        for link in selected.sas.iter().filter_map(|sa| self.attempts.get(sa)) {
            let wishes = self.links.get(link).into_iter().flat_map(|link| &link.wishes);
            names.extend(wishes.map(|wish| (Arc::clone(link), Arc::clone(&wish.name))));
        }
        names
    }

    pub(super) fn link(&self, name: &Arc<str>) -> Result<(Arc<str>, &Link), ApiMisuse> {
        let link = self.links.get_key_value(name);
        let (name, link) = link.ok_or_else(|| ApiMisuse::NoSuchConnection(name.to_string()))?;
        Ok((Arc::clone(name), link))
    }

    pub(super) fn links_of(
        &self,
        connection: Option<&Arc<str>>,
        child: &Arc<str>,
    ) -> Result<Vec<Arc<str>>, ApiMisuse> {
        let no_such = || ApiMisuse::NoSuchChild(child.to_string());
        match connection {
            Some(name) => {
                let (name, link) = self.link(name)?;
                link.wish(child).map(|_| vec![name]).ok_or_else(no_such)
            }
            None => {
                let all: Vec<_> = self.links_with(child).collect();
                if all.is_empty() { Err(no_such()) } else { Ok(all) }
            }
        }
    }

    pub(super) fn links_with(&self, child: &Arc<str>) -> impl Iterator<Item = Arc<str>> {
        let from_here = self.by_child.range((Arc::clone(child), Arc::from(""))..);
        from_here.take_while(move |(other, _)| other == child).map(|(_, link)| Arc::clone(link))
    }
}
