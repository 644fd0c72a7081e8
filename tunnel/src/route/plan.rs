//! What should be in the kernel, worked out from captures; without I/O.
//!
//! Traffic is told apart by a [`Class`]: where it comes from, and what little of ports the kernel can tell.
//! Each class has a rule and a table, and the remote prefixes of its captures are routes in that table. So
//! rules grow with our own prefixes and routes with the peers'.
//!
//! A packet that this host makes on a socket without a source address has a class of its own, as no rule on
//! the source could catch it: there routes give the source address, one of ours that the selectors hold.

use super::prefix::{Family, Prefix};
use crate::action::CaptureId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use tidegate_esp::{Ports, SelectorPair, TrafficSelector};

/// Where traffic comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// A prefix of ours.
    Network(Prefix),
    /// A socket of this host without an address.
    Unbound(Family),
}

/// What the kernel can tell of protocol and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Narrow {
    /// 0 for any.
    pub(crate) protocol: u8,
    /// `None` for any.
    pub(crate) local: Option<(u16, u16)>,
    /// `None` for any.
    pub(crate) remote: Option<(u16, u16)>,
}

/// Traffic that one rule selects and one table routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Class {
    pub(crate) source: Source,
    pub(crate) narrow: Narrow,
}

/// A class and a destination: one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Flow {
    pub(crate) class: Class,
    pub(crate) remote: Prefix,
}

/// How a flow should be routed into the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) mtu: Option<u32>,
    pub(crate) source: Option<IpAddr>,
}

/// All that is captured.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    captures: HashMap<CaptureId, Capture>,
    flows: BTreeMap<Flow, Claims>,
    /// Which of our prefixes each remote one is captured from.
    locals: BTreeMap<(Narrow, Prefix), BTreeSet<Prefix>>,
    hosts: BTreeSet<IpAddr>,
    /// The address that the host would take by itself towards a remote one.
    natural: HashMap<IpAddr, IpAddr>,
}

#[derive(Debug)]
struct Capture {
    flows: Vec<Flow>,
    mtu: Option<u32>,
}

#[derive(Debug, Default)]
struct Claims {
    by: BTreeSet<CaptureId>,
    /// Left by an earlier run, and not given up yet.
    adopted: bool,
}

impl Narrow {
    pub(crate) const ANY: Self = Self { protocol: 0, local: None, remote: None };

    /// What two selectors let the kernel tell; `None` when no packet can match both.
    fn of(local: &TrafficSelector, remote: &TrafficSelector) -> Option<Self> {
        let protocol = match (local.protocol, remote.protocol) {
            (0, protocol) | (protocol, 0) => protocol,
            (a, b) if a == b => a,
            _ => return None,
        };
        let has_ports = [libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_SCTP, libc::IPPROTO_DCCP]
            .contains(&i32::from(protocol));
        let ports = |ports| if has_ports { tellable(ports) } else { None };
        Some(Self { protocol, local: ports(local.ports), remote: ports(remote.ports) })
    }
}

/// The kernel's rules know no port 0 and no range that ends with the last port: there, and where ports cannot
/// be seen, all of them are captured, and policy drops what no selector names.
fn tellable(ports: Ports) -> Option<(u16, u16)> {
    match ports {
        Ports::Range(first, last) if first > 0 && last < u16::MAX => Some((first, last)),
        Ports::Range(..) | Ports::Opaque => None,
    }
}

impl Class {
    pub(crate) fn family(&self) -> Family {
        match self.source {
            Source::Network(prefix) => prefix.family(),
            Source::Unbound(family) => family,
        }
    }
}

impl Flow {
    /// The flow of the same remote prefix from sockets without an address.
    pub(crate) fn unbound(&self) -> Self {
        let source = Source::Unbound(self.class.family());
        Self { class: Class { source, narrow: self.class.narrow }, remote: self.remote }
    }
}

/// The flows of a pair of selectors, each once.
pub(crate) fn flows(selectors: &SelectorPair) -> BTreeSet<Flow> {
    let prefixes = |selector: &TrafficSelector| -> Vec<Prefix> {
        let prefixes = selector.addresses.to_prefixes();
        prefixes.map(|(address, length)| Prefix { address, length }).collect()
    };
    let mut flows = BTreeSet::new();
    for local in &selectors.local {
        for remote in &selectors.remote {
            let Some(narrow) = Narrow::of(local, remote) else { continue };
            let remotes = prefixes(remote);
            for source in prefixes(local) {
                let class = Class { source: Source::Network(source), narrow };
                let same_family = remotes.iter().filter(|remote| remote.family() == source.family());
                flows.extend(same_family.map(|remote| Flow { class, remote: *remote }));
            }
        }
    }
    flows
}

impl Plan {
    /// Adds a capture, or puts it in place of an earlier one of its name; the flows that it touches.
    pub(crate) fn capture(&mut self, id: CaptureId, flows: BTreeSet<Flow>) -> Vec<Flow> {
        let mtu = self.captures.get(&id).and_then(|capture| capture.mtu);
        let added: Vec<Flow> = flows.into_iter().collect();
        for flow in &added {
            self.claim(*flow).by.insert(id);
        }
        let earlier = self.captures.insert(id, Capture { flows: added.clone(), mtu });
        let outdated = earlier.into_iter().flat_map(|earlier| earlier.flows);
        let outdated: Vec<Flow> = outdated.filter(|flow| added.binary_search(flow).is_err()).collect();
        for flow in &outdated {
            self.unclaim(*flow, |claims| {
                claims.by.remove(&id);
            });
        }
        added.into_iter().chain(outdated).collect()
    }

    /// Ends a capture; the flows that it touched.
    pub(crate) fn release(&mut self, id: CaptureId) -> Vec<Flow> {
        let flows = self.captures.remove(&id).map(|capture| capture.flows).unwrap_or_default();
        for flow in &flows {
            self.unclaim(*flow, |claims| {
                claims.by.remove(&id);
            });
        }
        flows
    }

    /// Takes over what an earlier run has left.
    pub(crate) fn adopt(&mut self, flow: Flow) {
        self.claim(flow).adopted = true;
    }

    /// Gives up what was taken over and nobody has claimed; the flows of it.
    pub(crate) fn settle(&mut self) -> Vec<Flow> {
        let adopted = |(flow, claims): (&Flow, &Claims)| claims.adopted.then_some(*flow);
        let flows: Vec<Flow> = self.flows.iter().filter_map(adopted).collect();
        for flow in &flows {
            self.unclaim(*flow, |claims| claims.adopted = false);
        }
        flows
    }

    /// Sets what a capture's packets may have at most; the flows that it touches.
    pub(crate) fn limit(&mut self, id: CaptureId, mtu: Option<u32>) -> Vec<Flow> {
        let Some(capture) = self.captures.get_mut(&id).filter(|capture| capture.mtu != mtu) else {
            return Vec::new();
        };
        capture.mtu = mtu;
        capture.flows.clone()
    }

    /// All that is captured from networks.
    pub(crate) fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.flows.keys()
    }

    /// Our own addresses; whether they are others than before.
    pub(crate) fn set_hosts(&mut self, hosts: BTreeSet<IpAddr>) -> bool {
        let changed = self.hosts != hosts;
        self.hosts = hosts;
        changed
    }

    /// Single remote addresses that are captured from networks which only happen to hold an address of ours:
    /// for them it counts which address the host takes by itself.
    pub(crate) fn question(&self, flow: &Flow) -> Option<IpAddr> {
        let Source::Network(local) = flow.class.source else { return None };
        let asks = flow.remote.is_host() && !local.is_host() && self.host_in(&local).is_some();
        asks.then_some(flow.remote.address)
    }

    /// The answer.
    pub(crate) fn set_natural(&mut self, remote: IpAddr, source: Option<IpAddr>) {
        match source {
            Some(source) => self.natural.insert(remote, source),
            None => self.natural.remove(&remote),
        };
    }

    /// How a flow should be routed; `None` when it is not captured.
    pub(crate) fn way(&self, flow: &Flow) -> Option<Way> {
        match flow.class.source {
            Source::Network(_) => {
                let claims = self.flows.get(flow)?;
                Some(Way { mtu: self.mtu(claims), source: None })
            }
            Source::Unbound(_) => self.unbound_way(flow),
        }
    }

    fn unbound_way(&self, flow: &Flow) -> Option<Way> {
        let locals = self.locals.get(&(flow.class.narrow, flow.remote))?;
        let named = locals.iter().filter(|local| local.is_host()).find_map(|local| self.host_in(local));
        let source =
            named.or_else(|| locals.iter().find_map(|local| self.chance_source(local, &flow.remote)))?;
        let of = |local: &Prefix| {
            let class = Class { source: Source::Network(*local), narrow: flow.class.narrow };
            self.flows.get(&Flow { class, remote: flow.remote }).and_then(|claims| self.mtu(claims))
        };
        Some(Way { mtu: locals.iter().filter_map(of).min(), source: Some(source) })
    }

    /// An address of ours that a network holds which was not selected for its sake. Towards a single address
    /// (another node, as often as not its outer address) it is only taken where the host would take it anyway:
    /// what two nodes have to say to each other is not selected because one of them has an address among pods.
    fn chance_source(&self, local: &Prefix, remote: &Prefix) -> Option<IpAddr> {
        if remote.is_host() {
            return self.natural.get(&remote.address).copied().filter(|source| local.contains(*source));
        }
        self.host_in(local)
    }

    fn host_in(&self, local: &Prefix) -> Option<IpAddr> {
        let range = local.range();
        self.hosts.range(range.start()..=range.end()).next().copied()
    }

    fn mtu(&self, claims: &Claims) -> Option<u32> {
        claims.by.iter().filter_map(|id| self.captures.get(id)?.mtu).min()
    }

    fn claim(&mut self, flow: Flow) -> &mut Claims {
        if let Source::Network(local) = flow.class.source {
            self.locals.entry((flow.class.narrow, flow.remote)).or_default().insert(local);
        }
        self.flows.entry(flow).or_default()
    }

    fn unclaim(&mut self, flow: Flow, give_up: impl FnOnce(&mut Claims)) {
        let Some(claims) = self.flows.get_mut(&flow) else { return };
        give_up(claims);
        if claims.adopted || !claims.by.is_empty() {
            return;
        }
        self.flows.remove(&flow);
        let (key, Source::Network(local)) = ((flow.class.narrow, flow.remote), flow.class.source) else {
            return;
        };
        if let Some(locals) = self.locals.get_mut(&key) {
            locals.remove(&local);
            if locals.is_empty() {
                self.locals.remove(&key);
                self.natural.remove(&flow.remote.address);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "plan_tests.rs"]
mod tests;
