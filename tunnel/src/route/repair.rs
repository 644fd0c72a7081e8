//! What others change in the kernel, and how it is put right.

use super::error::{RouteError, Trouble};
use super::flow::Flow;
use super::install::{Installed, Table};
use super::kernel::{self, Added, CHARON_RULE, HostAddress, Link, Rule, To};
use super::netlink::Message;
use super::prefix::{Family, Prefix};
use super::watch::Wake;
use super::{Changes, CharonRule, Routes};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
const DELETE_ROUTE: u16 = 25;
const DELETE_RULE: u16 = 33;

/// What the kernel's messages give reason to look at.
#[derive(Default)]
struct Suspects {
    addresses: bool,
    ours: bool,
}

impl Routes {
    /// Looks at what has changed, and puts back what somebody has taken away: at once, but not more than a few
    /// times a second.
    pub fn handle_changes(&mut self) -> Changes {
        let wake = self.watch.woken();
        let mut suspects = self.read_changes();
        suspects.ours |= wake == Wake::Retry;
        if wake == Wake::Look {
            suspects.ours |= self.filter.as_ref().is_some_and(|filter| filter.dropped().is_none());
        }
        let mut changes = Changes::default();
        if suspects.addresses {
            changes.addresses_changed = self.watched(Self::refresh_addresses).unwrap_or_default();
        }
        if suspects.ours && self.watch.may_repair() {
            changes.repaired = self.watched(Self::audit).unwrap_or_default();
        }
        changes
    }

    /// What fails is told and tried again.
    fn watched<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, RouteError>) -> Option<T> {
        let result = act(self);
        if let Err(error) = &result {
            self.trouble(Trouble::Repair { why: error.to_string() });
            self.watch.failed();
        }
        result.ok()
    }

    fn read_changes(&mut self) -> Suspects {
        let mut suspects = Suspects::default();
        loop {
            let mut messages = Vec::new();
            let read = self.watch.read(|message| messages.push((message.kind, message.body.to_vec())));
            for (kind, body) in &messages {
                self.suspect(&mut suspects, &Message::new(*kind, body));
            }
            match read {
                Ok(true) => {}
                Ok(false) => return suspects,
                // Some were lost.
                Err(_) => suspects = Suspects { addresses: true, ours: true },
            }
        }
    }

    fn suspect(&self, suspects: &mut Suspects, message: &Message<'_>) {
        match message.kind {
            NEW_ADDRESS => suspects.addresses = true,
            DELETE_ADDRESS => {
                suspects.addresses = true;
                suspects.ours |= kernel::address_link(message) == self.index;
            }
            NEW_LINK | DELETE_LINK => {
                suspects.addresses = true;
                let link = kernel::parse_link(message);
                let ours = link.index == self.index || link.name == self.settings.interface;
                let well = message.kind == NEW_LINK && link.up && link.index == self.index;
                let sized = self.settings.mtu.is_none_or(|mtu| mtu == link.mtu);
                suspects.ours |= ours && !(well && sized);
            }
            DELETE_ROUTE => suspects.ours |= self.is_missed(message),
            DELETE_RULE => {
                let rule = kernel::parse_rule(message);
                suspects.ours |= self.keeps_charon_rule() && kernel::is_charon_rule(message);
                suspects.ours |= rule.is_some_and(|rule| self.wants(&rule));
            }
            _ => {}
        }
    }

    /// Whether a route that is gone should be there.
    fn is_missed(&self, message: &Message<'_>) -> bool {
        let Some((number, route)) = kernel::parse_route(message) else { return false };
        let table = self.numbers.get(&number).and_then(|class| self.tables.get(class));
        let installed = table.and_then(|table| table.routes.get(&route.remote));
        installed.is_some_and(|installed| match route.to {
            To::Nowhere => installed.barred,
            To::Device { .. } => installed.way.is_some(),
        })
    }

    // ---- putting right

    /// Compares everything of ours with what is in the kernel, and makes it so; tells what was amiss.
    pub(super) fn audit(&mut self) -> Result<Vec<String>, RouteError> {
        let mut repaired = Vec::new();
        self.audit_link(&mut repaired)?;
        self.audit_rules(&mut repaired)?;
        self.audit_routes(&mut repaired)?;
        self.audit_filter(&mut repaired)?;
        self.watch.succeeded();
        Ok(repaired)
    }

    fn audit_link(&mut self, repaired: &mut Vec<String>) -> Result<(), RouteError> {
        let link = self.kernel.link(&self.settings.interface)?;
        let anew = link.index != self.index;
        if anew {
            self.index = link.index;
            self.quieten();
        }
        if !link.up || self.settings.mtu.is_some_and(|mtu| mtu != link.mtu) {
            self.kernel.set_up(self.index, self.settings.mtu)?;
            repaired.push(format!("interface {}", self.settings.interface));
        }
        let here = self.kernel.addresses()?;
        let missing = |address: &&IpAddr| {
            !here.iter().any(|here| here.index == link.index && here.address == **address)
        };
        for address in self.given.keys().filter(missing) {
            self.kernel.add_address(link.index, *address)?;
            repaired.push(format!("address {address}"));
        }
        self.refresh_addresses().map(|_| ())
    }

    fn audit_rules(&mut self, repaired: &mut Vec<String>) -> Result<(), RouteError> {
        let there: BTreeSet<Rule> = self.kernel.rules()?.into_iter().collect();
        for rule in self.wanted_rules().iter().filter(|rule| !there.contains(rule)) {
            self.kernel.add_rule(rule)?;
            repaired.push(format!("rule {rule}"));
        }
        let excess = there.iter().filter(|rule| !self.wants(rule));
        excess.into_iter().try_for_each(|rule| self.kernel.remove_rule(rule))?;
        self.audit_charon_rule(repaired)
    }

    fn keeps_charon_rule(&self) -> bool {
        self.settings.charon_rule == CharonRule::Keep
    }

    fn audit_charon_rule(&mut self, repaired: &mut Vec<String>) -> Result<(), RouteError> {
        let families = Family::ALL.into_iter().filter(|_| self.keeps_charon_rule());
        for family in families.collect::<Vec<_>>() {
            if self.kernel.add_charon_rule(family)? == Added::Now && !self.charon_rules.insert(family) {
                repaired.push(format!("rule {CHARON_RULE}"));
            }
        }
        Ok(())
    }

    fn audit_routes(&mut self, repaired: &mut Vec<String>) -> Result<(), RouteError> {
        let before = self.count_routes();
        let strays = self.read_routes()?;
        let lost = before.saturating_sub(self.count_routes());
        let flows: Vec<Flow> = self.plan.flows().copied().collect();
        self.sync_all(&flows)?;
        self.remove_leftovers()?;
        for (number, remote) in strays {
            self.kernel.mislead(number, &remote)?;
            self.kernel.unbar(number, &remote)?;
        }
        if lost > 0 {
            repaired.push(format!("{lost} routes"));
        }
        Ok(())
    }

    /// What is in our tables although nobody wants it: the kernel had refused to give it back.
    fn remove_leftovers(&mut self) -> Result<(), RouteError> {
        let all = self.tables.iter().flat_map(|(class, table)| {
            table.routes.keys().map(|remote| Flow { class: *class, remote: *remote })
        });
        let leftovers: Vec<Flow> = all.filter(|flow| self.plan.way(flow).is_none()).collect();
        leftovers.iter().try_for_each(|flow| self.uninstall(flow))
    }

    fn audit_filter(&mut self, repaired: &mut Vec<String>) -> Result<(), RouteError> {
        let hosts = self.hosts();
        let Some(filter) = self.filter.as_mut().filter(|filter| filter.is_broken()) else { return Ok(()) };
        filter.rebuild(self.plan.flows(), &hosts)?;
        repaired.push("filter of packets in clear".to_owned());
        Ok(())
    }

    fn count_routes(&self) -> usize {
        let both =
            |installed: &Installed| usize::from(installed.way.is_some()) + usize::from(installed.barred);
        self.tables.values().flat_map(|table| table.routes.values()).map(both).sum()
    }

    /// Learns what is in our tables; returns what is in none of them although it is ours.
    pub(super) fn read_routes(&mut self) -> Result<Vec<(u32, Prefix)>, RouteError> {
        let mut found: BTreeMap<u32, BTreeMap<Prefix, Installed>> = BTreeMap::new();
        let index = self.index;
        for family in Family::ALL {
            self.kernel.routes(family, |number, route| {
                let installed = found.entry(number).or_default().entry(route.remote).or_default();
                match route.to {
                    To::Nowhere => installed.barred = true,
                    // One that leads elsewhere is replaced.
                    To::Device { index: at, way } => installed.way = (at == index).then_some(way),
                }
            })?;
        }
        for Table { number, routes } in self.tables.values_mut() {
            *routes = found.remove(number).unwrap_or_default();
        }
        let strays = found.into_iter();
        Ok(strays
            .flat_map(|(number, routes)| routes.into_keys().map(move |remote| (number, remote)))
            .collect())
    }

    // ---- addresses

    /// Reads the host's addresses, and what depends on them follows; whether others see a change.
    pub(super) fn refresh_addresses(&mut self) -> Result<bool, RouteError> {
        let before = self.reachable.clone();
        if self.read_addresses()? {
            let hosts = self.hosts();
            if let Some(filter) = &mut self.filter {
                filter.set_hosts(&hosts)?;
            }
            let flows: Vec<Flow> = self.plan.flows().copied().collect();
            self.sync_all(&flows)?;
        }
        Ok(before != self.reachable)
    }

    /// Whether they are others than before.
    pub(super) fn read_addresses(&mut self) -> Result<bool, RouteError> {
        let links = self.kernel.links()?;
        let all = self.kernel.addresses()?.into_iter().filter(|found| !found.address.is_loopback());
        let of = |pick: fn(&Link) -> bool| -> BTreeSet<u32> {
            links.iter().filter(|link| pick(link)).map(|link| link.index).collect()
        };
        let (up, running) = (of(|link| link.up), of(|link| link.running));
        self.addresses = all.filter(|found| up.contains(&found.index)).collect();
        let reachable = self.addresses.iter().filter(|found| running.contains(&found.index));
        self.reachable =
            reachable.filter(|found| found.index != self.index).map(|found| found.address).collect();
        let hosts = self.hosts();
        Ok(self.plan.set_hosts(hosts))
    }

    pub(super) fn hosts(&self) -> BTreeSet<IpAddr> {
        self.addresses.iter().map(|HostAddress { address, .. }| *address).collect()
    }

    /// Asks the kernel what the plan needs to know for this flow.
    pub(super) fn answer_question(&mut self, flow: &Flow) {
        if let Some(remote) = self.plan.question(flow) {
            let source = self.kernel.natural_source(remote, self.settings.mark);
            self.plan.set_natural(remote, source);
        }
    }
}
