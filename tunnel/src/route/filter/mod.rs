//! Packets in clear that should have come through the tunnel, and are dropped (RFC 4301 §5.2).
//!
//! A table of ours in the kernel's packet filter holds each captured pair of prefixes. Pairs of equal lengths
//! share a set, looked up with both addresses cut to these lengths: sets are plain hashes, so that adding or
//! taking away a pair costs the same however many there are, and pairs may overlap as they like. (Sets of
//! intervals in two dimensions refuse some overlaps, and copy themselves at each change.) There are as many
//! rules as combinations of lengths, which are few.

mod expression;
mod script;

use super::error::{RouteError, Step};
use super::flow::{Flow, Narrow, Source};
use super::netlink::{Attributes, Conversation, Refusal, Request};
use super::prefix::{Family, Prefix, octets};
use rustix::io::Errno;
use script::Script;
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

/// Filters what comes in clear.
pub(crate) struct Filter {
    netlink: Conversation,
    settings: FilterSettings,
    shapes: BTreeSet<Shape>,
    flows: HashSet<Flow>,
    hosts: BTreeSet<IpAddr>,
    condition: Condition,
}

/// Whether what the kernel has is what we think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Known,
    Doubtful,
}

/// What does not change.
#[derive(Clone, Debug)]
pub(crate) struct FilterSettings {
    /// The filter's table.
    pub(crate) name: String,
    /// What comes out of this interface was protected.
    pub(crate) interface: String,
    /// UDP ports on which our own outer packets come.
    pub(crate) ports: Vec<u16>,
}

/// What pairs that share a set have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    family: Family,
    remote: u8,
    local: u8,
    narrow: Narrow,
}

impl Filter {
    /// A filter for these flows, in place of one that an earlier run may have left, without a moment between.
    pub(crate) fn open<'a>(
        settings: FilterSettings,
        flows: impl Iterator<Item = &'a Flow>,
        hosts: &BTreeSet<IpAddr>,
    ) -> Result<Self, RouteError> {
        let netlink =
            Conversation::open(netlink_sys::protocols::NETLINK_NETFILTER).map_err(RouteError::Socket)?;
        let (shapes, hosts_known) = (BTreeSet::new(), BTreeSet::new());
        let (flows_known, condition) = (HashSet::new(), Condition::Doubtful);
        let mut filter =
            Self { netlink, settings, shapes, flows: flows_known, hosts: hosts_known, condition };
        filter.rebuild(flows, hosts)?;
        Ok(filter)
    }

    /// Makes it all anew.
    pub(crate) fn rebuild<'a>(
        &mut self,
        flows: impl Iterator<Item = &'a Flow>,
        hosts: &BTreeSet<IpAddr>,
    ) -> Result<(), RouteError> {
        let mut script = Script::new(&self.settings);
        script.base(hosts);
        let flows: HashSet<Flow> = flows.copied().collect();
        let pairs: Vec<(Shape, Vec<u8>)> = flows.iter().filter_map(pair).collect();
        let shapes: BTreeSet<Shape> = pairs.iter().map(|(shape, _)| *shape).collect();
        for shape in &shapes {
            script.shape(shape);
        }
        for (shape, key) in &pairs {
            script.add(&shape.name(), key);
        }
        self.run(script.finish())?;
        self.shapes = shapes;
        self.flows = flows;
        self.hosts.clone_from(hosts);
        self.condition = Condition::Known;
        Ok(())
    }

    /// Drops what comes in clear of this flow.
    pub(crate) fn add(&mut self, flow: &Flow) -> Result<(), RouteError> {
        let Some((shape, key)) = pair(flow).filter(|_| !self.flows.contains(flow)) else { return Ok(()) };
        let mut script = Script::new(&self.settings);
        if !self.shapes.contains(&shape) {
            script.shape(&shape);
        }
        script.add(&shape.name(), &key);
        self.run(script.finish())?;
        self.shapes.insert(shape);
        self.flows.insert(*flow);
        Ok(())
    }

    /// Lets it in again.
    pub(crate) fn remove(&mut self, flow: &Flow) -> Result<(), RouteError> {
        let Some((shape, key)) = pair(flow).filter(|_| self.flows.remove(flow)) else { return Ok(()) };
        let mut script = Script::new(&self.settings);
        script.remove(&shape.name(), &key);
        self.run(script.finish())
    }

    /// Our own addresses, to which outer packets come.
    pub(crate) fn set_hosts(&mut self, hosts: &BTreeSet<IpAddr>) -> Result<(), RouteError> {
        if self.hosts == *hosts {
            return Ok(());
        }
        let mut script = Script::new(&self.settings);
        for address in self.hosts.difference(hosts) {
            script.remove(hosts_of(Family::of(*address)), &octets(*address));
        }
        for address in hosts.difference(&self.hosts) {
            script.add(hosts_of(Family::of(*address)), &octets(*address));
        }
        self.run(script.finish())?;
        self.hosts.clone_from(hosts);
        Ok(())
    }

    /// How many packets were dropped; `None` when somebody has taken the filter away.
    pub(crate) fn dropped(&self) -> Option<u64> {
        const DATA: u16 = 4;
        const PACKETS: u16 = 2;
        let mut packets = None;
        let request = script::read_counter(&self.settings.name);
        let answer = self.netlink.ask_one(request, |message| {
            let data = message.attributes(script::FIXED).find(DATA).map(Attributes);
            let bytes = data.and_then(|data| data.find(PACKETS)).and_then(|bytes| bytes.try_into().ok());
            packets = bytes.map(u64::from_be_bytes);
        });
        answer.ok().and(packets)
    }

    /// Lets everything in again.
    pub(crate) fn close(mut self) -> Result<(), RouteError> {
        let mut script = Script::new(&self.settings);
        script.end();
        self.run(script.finish())
    }

    /// Whether it has to be made anew: a change was refused, or somebody has taken it away.
    pub(crate) fn is_broken(&self) -> bool {
        self.condition == Condition::Doubtful || self.dropped().is_none()
    }

    fn run(&mut self, requests: Vec<Request>) -> Result<(), RouteError> {
        self.netlink.order_at_once(requests).map_err(|refusal| {
            self.condition = Condition::Doubtful;
            RouteError::Refused { step: Step::Filter, why: explain(&refusal) }
        })
    }
}

impl Shape {
    /// The name of its set.
    fn name(&self) -> String {
        let family = match self.family {
            Family::V4 => 4,
            Family::V6 => 6,
        };
        let mut name = format!("v{family}-{}-{}", self.remote, self.local);
        if self.narrow.protocol != 0 {
            name.push_str(&format!("-p{}", self.narrow.protocol));
        }
        for (side, ports) in [("l", self.narrow.local), ("r", self.narrow.remote)] {
            if let Some((first, last)) = ports {
                name.push_str(&format!("-{side}{first}-{last}"));
            }
        }
        name
    }
}

/// The set of our own addresses.
fn hosts_of(family: Family) -> &'static str {
    match family {
        Family::V4 => "hosts4",
        Family::V6 => "hosts6",
    }
}

/// Where a flow is looked up, and as what.
fn pair(flow: &Flow) -> Option<(Shape, Vec<u8>)> {
    let Source::Network(local) = flow.class.source else { return None };
    let Flow { remote, class } = flow;
    let shape =
        Shape { family: local.family(), remote: remote.length, local: local.length, narrow: class.narrow };
    Some((shape, key(remote, &local)))
}

/// A packet's source is remote, its destination local.
fn key(remote: &Prefix, local: &Prefix) -> Vec<u8> {
    [octets(remote.address), octets(local.address)].concat()
}

fn explain(refusal: &Refusal) -> String {
    // What a kernel without nf_tables says to a batch for it.
    if refusal.is(Errno::OPNOTSUPP) || refusal.is(Errno::AFNOSUPPORT) || refusal.is(Errno::INVAL) {
        return format!("{refusal} (is nf_tables in this kernel?)");
    }
    refusal.to_string()
}
