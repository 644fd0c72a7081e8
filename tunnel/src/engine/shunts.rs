//! Children that need no SA: what they carry is passed or dropped. And what brings the others up.

use super::Engine;
use super::link::{Want, open};
use crate::connection::{ChildMode, Start};
use std::sync::Arc;
use tidegate_esp::policy::Action as Fate;

impl Engine {
    /// Puts those rules of a connection in force that are to be so from the start, and renews the others.
    pub(super) fn start_shunts(&mut self, name: &Arc<str>) {
        let Some(link) = self.links.get(name) else { return };
        let wanted = link.wishes.iter().filter(|wish| wish.mode != ChildMode::Tunnel);
        let wanted: Vec<_> = wanted
            .filter(|wish| wish.trapped || wish.start != Start::Wait)
            .map(|wish| Arc::clone(&wish.name))
            .collect();
        let owner = link.owner;
        wanted.iter().for_each(|child| self.install_child(name, child));
        self.policy.keep_shunts(&mut self.tables, &mut self.actions, owner, &wanted);
    }

    pub(super) fn install_child(&mut self, name: &Arc<str>, child: &Arc<str>) {
        let Some(link) = self.links.get_mut(name) else { return };
        let owner = link.owner;
        let config = link.connection.children.iter().find(|other| other.config.name == *child).map(open);
        let Some(wish) = link.wish_mut(child) else { return };
        wish.trapped = true;
        let fate = match wish.mode {
            ChildMode::Tunnel => {
                if wish.want == Want::Nothing {
                    wish.want = Want::Traffic;
                }
                self.seek_peer_of_traps(name);
                return self.trap_at_addresses(name);
            }
            ChildMode::Pass => Fate::Bypass,
            ChildMode::Drop => Fate::Drop,
        };
        let Some(selectors) = config.map(Arc::new) else { return };
        let shunt = super::policy::Shunt { owner, child: Arc::clone(child), selectors, fate };
        self.policy.put_shunt(&mut self.tables, &mut self.actions, shunt);
    }

    pub(super) fn uninstall_child(&mut self, name: &Arc<str>, child: &Arc<str>) {
        let Some(link) = self.links.get_mut(name) else { return };
        let owner = link.owner;
        let Some(wish) = link.wish_mut(child) else { return };
        wish.trapped = false;
        if wish.mode != ChildMode::Tunnel {
            return self.policy.withdraw_shunt(&mut self.tables, &mut self.actions, owner, child);
        }
        if wish.want == Want::Traffic {
            wish.want = Want::Nothing;
        }
        self.protect(name);
    }
}
