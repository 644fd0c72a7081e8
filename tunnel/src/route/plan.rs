//! What should be in the kernel, worked out from captures; without I/O.
//!
//! Traffic is told apart by a [`Class`]: where it comes from, and what little of ports the kernel can tell.
//! Each class has a rule and a table, and the remote prefixes of its captures are routes in that table. So
//! rules grow with our own prefixes and routes with the peers'.
//!
//! A packet that this host makes on a socket without a source address has a class of its own, as no rule on
//! the source could catch it: there routes give the source address, one of ours that the selectors hold.

use super::flow::{Class, Flow, Flows, Grain, Narrow, Source};
use super::prefix::{Family, Prefix};
use crate::action::CaptureId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use tidegate_esp::icmp::IPV6_MTU_MIN;

/// How many tables there may be.
pub(crate) const MOST_TABLES: u32 = 4096;

/// How many classes have tables of their own. One is left over for each family's traffic from anywhere, and one for
/// its sockets without an address.
const MOST_CLASSES: usize = MOST_TABLES as usize - 2 * Family::ALL.len();

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
    /// How many flows each class has, those of sockets without an address among them.
    classes: HashMap<Class, usize>,
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

impl Plan {
    /// These flows as there is room for them. Where a class would be one too many, everything that goes to the same
    /// places is meant instead: rather too much is captured than that something goes out in clear.
    pub(crate) fn fit(&self, Flows { all, mut grain }: Flows) -> Flows {
        let mut fresh = BTreeSet::new();
        let fitted = all.into_iter().map(|flow| {
            let missing = [flow.class, flow.unbound().class].into_iter();
            let missing: Vec<Class> = missing.filter(|class| !self.classes.contains_key(class)).collect();
            if !missing.iter().all(|class| fresh.contains(class)) {
                if self.classes.len() + fresh.len() + missing.len() > MOST_CLASSES {
                    grain = Grain::Coarse;
                    return Flow::from_anywhere(flow.remote);
                }
                fresh.extend(missing);
            }
            flow
        });
        Flows { all: fitted.collect(), grain }
    }

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
                Some(Way { mtu: self.mtu(claims, flow.class.family()), source: None })
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
            self.flows
                .get(&Flow { class, remote: flow.remote })
                .and_then(|claims| self.mtu(claims, class.family()))
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

    fn mtu(&self, claims: &Claims, family: Family) -> Option<u32> {
        let smallest = claims.by.iter().filter_map(|id| self.captures.get(id)?.mtu).min()?;
        Some(match family {
            Family::V4 => smallest,
            // What does not fit then goes in fragments (RFC 2473 §7.1).
            Family::V6 => smallest.max(IPV6_MTU_MIN as u32),
        })
    }

    fn claim(&mut self, flow: Flow) -> &mut Claims {
        if !self.flows.contains_key(&flow) {
            for class in [flow.class, flow.unbound().class] {
                *self.classes.entry(class).or_default() += 1;
            }
        }
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
        [flow.class, flow.unbound().class].iter().for_each(|class| self.lose_flow_of(class));
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

    fn lose_flow_of(&mut self, class: &Class) {
        let Some(flows) = self.classes.get_mut(class) else { return };
        *flows -= 1;
        if *flows == 0 {
            self.classes.remove(class);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "plan_tests.rs"]
mod tests;
