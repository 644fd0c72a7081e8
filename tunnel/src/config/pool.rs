//! `[[pool]]`: addresses to give away.

use super::mistake::Fault;
use super::reader::{At, Context, Section};
use super::{schema, values};
use std::collections::BTreeSet;
use tidegate_ike::pool::Pool;

pub(super) fn read(context: &mut Context<'_>, top: &Section<'_>) -> Vec<At<Pool>> {
    let mut names = BTreeSet::new();
    let mut pools = Vec::new();
    for section in top.sections(context, "pool", &schema::POOL) {
        let Some(pool) = pool(context, &section) else { continue };
        if !names.insert(pool.name.clone()) {
            let fault = Fault::Repeated { what: "pool", name: pool.name.to_string() };
            context.complain(&section.span, fault);
        }
        pools.push(At { value: pool, span: section.span.clone() });
    }
    pools
}

fn pool(context: &mut Context<'_>, section: &Section<'_>) -> Option<Pool> {
    for (key, reason) in [("name", "connections name it"), ("addresses", "they are given to peers")] {
        if !section.has(key) {
            section.missing(context, key, reason);
        }
    }
    let name = section.parse(context, "name", values::non_empty);
    let addresses = section.parse(context, "addresses", values::range);
    let dns = section.parse_all(context, "dns", values::ip);
    let subnets = section.parse_all(context, "subnets", values::prefix);
    Some(Pool { name: name?.into(), addresses: addresses?, dns, subnets, attributes: Vec::new() })
}
