//! Pools that clients load, and all with who has what of them.

use super::Hall;
use super::command::{failure, success};
use crate::vici::control::Control;
use crate::vici::load::DescribedPool;
use crate::vici::message::{Element, Message};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tidegate_esp::AddressRange;
use tidegate_ike::pool::PoolReport;
use tokio::sync::Mutex;

/// Pools that clients have loaded, each with the address that it is shown by.
pub(super) type Pools = Mutex<BTreeMap<Arc<str>, IpAddr>>;

/// Far more than anybody gives addresses from.
const MOST: usize = 1024;

/// Loads pools, each a section of its name.
pub(super) async fn load<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let mut ours = hall.pools.lock().await;
    for (name, element) in arguments.elements() {
        let Element::Section(section) = element else {
            return failure(format_args!("invalid attribute: {name}"));
        };
        let DescribedPool { pool, base } = match DescribedPool::read(name, section) {
            Ok(described) => described,
            Err(fault) => return failure(fault),
        };
        let known = match known(hall, name).await {
            Ok(known) => known,
            Err(answer) => return answer,
        };
        match known {
            Some(_) if !ours.contains_key(name) => return foreign(name),
            Some(known) if known.pool.addresses != pool.addresses && !known.held.is_empty() => {
                return in_use(name, &known, "replace");
            }
            None if ours.len() >= MOST => return failure(format_args!("there are {MOST} pools already")),
            _ => {}
        }
        if let Err(error) = hall.control.load_pool(pool).await {
            return failure(error);
        }
        ours.insert(name.into(), base);
    }
    success()
}

/// Takes a pool away that nobody has an address of.
pub(super) async fn unload<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let Some(name) = arguments.text("name") else { return failure("missing pool name to unload") };
    let mut ours = hall.pools.lock().await;
    match known(hall, name).await {
        Err(answer) => return answer,
        Ok(None) => return failure(format_args!("{name} not found")),
        Ok(Some(_)) if !ours.contains_key(name) => return foreign(name),
        Ok(Some(known)) if !known.held.is_empty() => return in_use(name, &known, "unload"),
        Ok(Some(_)) => {}
    }
    match hall.control.unload_pool(name).await {
        Ok(_) => {
            ours.remove(name);
            success()
        }
        Err(error) => failure(error),
    }
}

/// All pools, and on request who has what.
pub(super) async fn get<C: Control>(hall: &Hall<C>, arguments: &Message) -> Message {
    let ours = hall.pools.lock().await;
    let pools = match hall.control.pools().await {
        Ok(pools) => pools,
        Err(error) => return failure(error),
    };
    let wanted = |report: &&PoolReport| arguments.text("name").is_none_or(|name| *name == *report.pool.name);
    pools.iter().filter(wanted).fold(Message::new(), |all, report| {
        let base = ours.get(&report.pool.name).copied().unwrap_or_else(|| report.pool.addresses.start());
        let mut section = Message::new()
            .with("base", base)
            .with("size", size(&report.pool.addresses))
            .with("online", report.held.len())
            .with("offline", report.remembered.len());
        if arguments.text("leases") == Some("yes") {
            section.put_section("leases", leases(report));
        }
        all.with_section(&report.pool.name, section)
    })
}

fn leases(report: &PoolReport) -> Message {
    let held = report.held.iter().map(|lease| (lease, "online"));
    let all = held.chain(report.remembered.iter().map(|lease| (lease, "offline")));
    all.enumerate().fold(Message::new(), |section, (number, ((address, identity), status))| {
        let lease = Message::new().with("address", address).with("identity", identity).with("status", status);
        section.with_section(&number.to_string(), lease)
    })
}

/// charon counts no further.
fn size(addresses: &AddressRange) -> u128 {
    let count = match (addresses.start(), addresses.end()) {
        (IpAddr::V4(start), IpAddr::V4(end)) => u128::from(end.to_bits().saturating_sub(start.to_bits())),
        (IpAddr::V6(start), IpAddr::V6(end)) => end.to_bits().saturating_sub(start.to_bits()),
        _ => 0,
    };
    count.saturating_add(1).min((1 << 31) - 2)
}

async fn known<C: Control>(hall: &Hall<C>, name: &str) -> Result<Option<PoolReport>, Message> {
    let pools = hall.control.pools().await.map_err(failure)?;
    Ok(pools.into_iter().find(|report| *report.pool.name == *name))
}

fn foreign(name: &str) -> Message {
    failure(format_args!("pool '{name}' comes from the configuration file, which alone can change it"))
}

fn in_use(name: &str, known: &PoolReport, what: &str) -> Message {
    failure(format_args!("{name} has {} online leases, unable to {what}", known.held.len()))
}
