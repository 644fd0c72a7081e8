//! The start: what an earlier run has left is taken over as it is.

use super::Routes;
use super::error::{RouteError, Trouble};
use super::filter::Filter;
use super::flow::{Flow, Source};
use super::install::class_of;

impl Routes {
    pub(super) fn adopt(&mut self) -> Result<(), RouteError> {
        self.quieten();
        self.kernel.set_up(self.index, self.settings.mtu)?;
        for rule in self.kernel.rules()? {
            self.families.insert(rule.family);
            let Some((class, number)) = class_of(&rule) else { continue };
            // Two rules for one class are an accident; the second goes with all that should not be there.
            if !self.tables.contains_key(&class) && !self.numbers.contains_key(&number) {
                self.numbers.insert(number, class);
                self.tables.insert(class, super::install::Table { number, ..Default::default() });
            }
        }
        self.read_routes()?;
        let networks = self.tables.iter().filter(|(class, _)| matches!(class.source, Source::Network(_)));
        let flows = networks.flat_map(|(class, table)| {
            table.routes.keys().map(|remote| Flow { class: *class, remote: *remote })
        });
        let flows: Vec<Flow> = flows.collect();
        flows.iter().for_each(|flow| self.plan.adopt(*flow));
        self.read_addresses()?;
        self.open_filter();
        // What is left to do is what a repair does.
        self.audit().map(|_| ())
    }

    fn open_filter(&mut self) {
        match Filter::open(self.settings.filter(), self.plan.flows(), &self.hosts()) {
            Ok(filter) => self.filter = Some(filter),
            Err(error) => self.trouble(Trouble::NoFilter { why: error.to_string() }),
        }
    }
}
