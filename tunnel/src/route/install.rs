//! Makes the kernel agree with the plan, one flow at a time.

use super::error::RouteError;
use super::flow::{Class, Flow, Narrow, Source};
use super::kernel::{Origin, Rule, Then};
use super::plan::{MOST_TABLES, Way};
use super::prefix::{Family, Prefix};
use super::{Routes, Trouble};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A class's table, as it is in the kernel as far as we know.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) number: u32,
    pub(super) routes: BTreeMap<Prefix, Installed>,
}

/// The routes of one prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Installed {
    /// It leads into the device.
    pub(super) way: Option<Way>,
    /// As the last resort it leads nowhere.
    pub(super) barred: bool,
}

impl Routes {
    /// Makes the kernel agree about these flows, all of them even if some fail; tells of the first failure, and
    /// sees to it that they are tried again.
    pub(super) fn sync_all(&mut self, flows: &[Flow]) -> Result<(), RouteError> {
        let mut result = Ok(());
        for flow in flows {
            self.answer_question(flow);
            let both = self.sync(flow).and(self.sync(&flow.unbound()));
            result = result.and(both);
        }
        if result.is_err() {
            self.watch.failed();
        }
        result
    }

    fn sync(&mut self, flow: &Flow) -> Result<(), RouteError> {
        match self.plan.way(flow) {
            Some(way) => self.install(flow, way),
            None => self.uninstall(flow),
        }
    }

    /// The last resort first and the rule last, so that nothing that is captured goes astray.
    fn install(&mut self, flow: &Flow, way: Way) -> Result<(), RouteError> {
        let fresh = !self.tables.contains_key(&flow.class);
        let number = self.table_for(&flow.class)?;
        let mut now = self.installed(flow);
        if !now.barred {
            self.kernel.bar(number, &flow.remote)?;
            now.barred = true;
            self.note(flow, now);
        }
        let led = if now.way == Some(way) { Ok(()) } else { self.lead(number, flow, way) };
        let ruled = if fresh { self.add_class_rule(&flow.class) } else { Ok(()) };
        self.filter_out(flow);
        led.and(ruled)
    }

    fn lead(&mut self, number: u32, flow: &Flow, way: Way) -> Result<(), RouteError> {
        self.kernel.lead(number, &flow.remote, self.index, &way)?;
        self.note(flow, Installed { way: Some(way), barred: true });
        Ok(())
    }

    pub(super) fn uninstall(&mut self, flow: &Flow) -> Result<(), RouteError> {
        let Some(table) = self.tables.get(&flow.class) else { return Ok(()) };
        let (number, known) = (table.number, table.routes.contains_key(&flow.remote));
        if known {
            self.let_in(flow);
            self.kernel.mislead(number, &flow.remote)?;
            self.kernel.unbar(number, &flow.remote)?;
        }
        let Some(table) = self.tables.get_mut(&flow.class) else { return Ok(()) };
        table.routes.remove(&flow.remote);
        if table.routes.is_empty() { self.drop_table(&flow.class) } else { Ok(()) }
    }

    fn installed(&self, flow: &Flow) -> Installed {
        let table = self.tables.get(&flow.class);
        table.and_then(|table| table.routes.get(&flow.remote)).copied().unwrap_or_default()
    }

    fn note(&mut self, flow: &Flow, now: Installed) {
        if let Some(table) = self.tables.get_mut(&flow.class) {
            table.routes.insert(flow.remote, now);
        }
    }

    // ---- what comes in clear

    fn filter_out(&mut self, flow: &Flow) {
        if let Some(Err(error)) = self.filter.as_mut().map(|filter| filter.add(flow)) {
            self.filter_failed(&error);
        }
    }

    fn let_in(&mut self, flow: &Flow) {
        if let Some(Err(error)) = self.filter.as_mut().map(|filter| filter.remove(flow)) {
            self.filter_failed(&error);
        }
    }

    /// Somebody has changed our table, or there is no memory: it is made anew in a moment.
    fn filter_failed(&mut self, error: &RouteError) {
        self.trouble(Trouble::Repair { why: error.to_string() });
        self.watch.failed();
    }

    // ---- tables and rules

    fn table_for(&mut self, class: &Class) -> Result<u32, RouteError> {
        if let Some(table) = self.tables.get(class) {
            return Ok(table.number);
        }
        let number = self.free_table().ok_or(RouteError::TooManyTables { limit: MOST_TABLES })?;
        self.add_family(class.family())?;
        self.numbers.insert(number, *class);
        self.tables.insert(*class, Table { number, routes: BTreeMap::new() });
        Ok(number)
    }

    /// The one behind the last, or where that would be one too many, one that was given back.
    fn free_table(&self) -> Option<u32> {
        let first = self.settings.table;
        let end = first.saturating_add(MOST_TABLES);
        let last = self.numbers.range(first..end).next_back();
        let behind = last.map_or(first, |(number, _)| number.saturating_add(1));
        if behind < end {
            return Some(behind);
        }
        let all = self.numbers.range(first..end).count() as u64 >= u64::from(MOST_TABLES);
        if all { None } else { (first..end).find(|number| !self.numbers.contains_key(number)) }
    }

    fn add_class_rule(&self, class: &Class) -> Result<(), RouteError> {
        match self.class_rule(class) {
            Some(rule) => self.kernel.add_rule(&rule),
            None => Ok(()),
        }
    }

    fn drop_table(&mut self, class: &Class) -> Result<(), RouteError> {
        if let Some(rule) = self.class_rule(class) {
            self.kernel.remove_rule(&rule)?;
        }
        if let Some(table) = self.tables.remove(class) {
            self.numbers.remove(&table.number);
        }
        Ok(())
    }

    pub(super) fn drop_empty_tables(&mut self) -> Result<(), RouteError> {
        let empty = |(class, table): (&Class, &Table)| table.routes.is_empty().then_some(*class);
        let classes: Vec<Class> = self.tables.iter().filter_map(empty).collect();
        classes.iter().try_for_each(|class| self.drop_table(class))
    }

    fn add_family(&mut self, family: Family) -> Result<(), RouteError> {
        if self.families.contains(&family) {
            return Ok(());
        }
        for rule in self.family_rules(family) {
            self.kernel.add_rule(&rule)?;
        }
        self.families.insert(family);
        Ok(())
    }

    /// Whether a rule should be there.
    pub(super) fn wants(&self, rule: &Rule) -> bool {
        let of_class = class_of(rule).and_then(|(class, _)| self.class_rule(&class));
        of_class.as_ref() == Some(rule)
            || self.families.contains(&rule.family) && self.family_rules(rule.family).contains(rule)
    }

    /// All rules that should be there, in the order in which they are added.
    pub(super) fn wanted_rules(&self) -> Vec<Rule> {
        let fixed = self.families.iter().flat_map(|family| self.family_rules(*family));
        let classes = self.tables.keys().filter_map(|class| self.class_rule(class));
        fixed.chain(classes).collect()
    }

    /// Targets before those who jump there.
    fn family_rules(&self, family: Family) -> Vec<Rule> {
        let first = self.settings.priority;
        let end = Then::GoTo(first + 4);
        let rule = |offset, then| Rule {
            family,
            priority: first + offset,
            origin: Origin::Any,
            from: None,
            narrow: Narrow::ANY,
            mark: None,
            then,
        };
        let mut rules = vec![rule(4, Then::Nothing), Rule { mark: Some(self.settings.mark), ..rule(0, end) }];
        if family == Family::V6 {
            // An IPv6 rule with a source never matches a socket without one.
            let halves = [Ipv6Addr::UNSPECIFIED, Ipv6Addr::new(0x8000, 0, 0, 0, 0, 0, 0, 0)];
            rules.extend(halves.map(|half| {
                let from = Some(Prefix { address: IpAddr::V6(half), length: 1 });
                Rule { origin: Origin::ThisHost, from, ..rule(2, end) }
            }));
        }
        rules
    }

    fn class_rule(&self, class: &Class) -> Option<Rule> {
        let then = Then::Table(self.tables.get(class)?.number);
        let (offset, origin, from) = match class.source {
            Source::Network(prefix) => (1, Origin::Any, Some(prefix).filter(|prefix| prefix.length > 0)),
            Source::Unbound(Family::V4) => (3, Origin::ThisHost, Some(NO_ADDRESS)),
            Source::Unbound(Family::V6) => (3, Origin::ThisHost, None),
        };
        let priority = self.settings.priority + offset;
        Some(Rule { family: class.family(), priority, origin, from, narrow: class.narrow, mark: None, then })
    }
}

/// The class that a rule was made for.
pub(super) fn class_of(rule: &Rule) -> Option<(Class, u32)> {
    let Then::Table(number) = rule.then else { return None };
    let source = match (rule.origin, rule.from) {
        (Origin::ThisHost, _) => Source::Unbound(rule.family),
        (Origin::Any, Some(prefix)) => Source::Network(prefix),
        (Origin::Any, None) => Source::Network(Prefix::all(rule.family)),
    };
    Some((Class { source, narrow: rule.narrow }, number))
}

/// What a socket without an address has in its place.
const NO_ADDRESS: Prefix = Prefix { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), length: 32 };
