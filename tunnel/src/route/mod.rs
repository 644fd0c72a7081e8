//! Makes the kernel send captured traffic into the device, and nothing of it elsewhere.
//!
//! # What is put into the kernel
//!
//! Rules of priorities of our own, ahead of strongSwan's 220, all marked as ours by their protocol:
//!
//! | priority | rule | |
//! |---|---|---|
//! | p | `fwmark MARK goto p+4` | our own sockets pass |
//! | p+1 | `from LOCAL lookup T` | a table for each prefix of ours: forwarded traffic, and sockets bound to it |
//! | p+2 | `iif lo from ::/1 goto p+4`, `iif lo from 8000::/1 goto p+4` | IPv6 sockets with an address are done |
//! | p+3 | `iif lo [from 0.0.0.0/32] lookup T` | sockets of this host without an address |
//! | p+4 | `nop` | |
//!
//! (One rule cannot say "from there, and without the mark": `not` turns all of a rule around.) In the tables,
//! each remote prefix has a route into the device and a worse one that is `unreachable`: the first goes with
//! the device when the process dies, the second stays, and the next run adopts it. Selectors with protocols
//! and ports get tables of their own; what a rule cannot tell of them is captured and left to policy.
//! Where there are too many prefixes of ours for a table each, all that goes to the remote ones is captured.
//! Further fragments show no ports, so that where selectors name ports, packets must not be fragmented.
//!
//! A table in the packet filter drops what comes in clear although it is captured in the other direction.
//!
//! Forwarding (`net.ipv4.ip_forward`) is the operator's to switch on; [`Routes::troubles`] tells if it is off.
//!
//! # What is not touched
//!
//! Table 220 is neither trusted nor changed: our rules come before its own, so that what is captured never gets
//! there, whatever others write into it. Its rule is no concern of ours either, unless we are asked to keep it:
//! then it is added where it is missing, and taken away again by whoever added it. No setting that others'
//! interfaces share is changed.

mod adopt;
mod error;
mod filter;
mod flow;
mod install;
mod kernel;
mod netlink;
mod plan;
mod prefix;
mod repair;
mod settings;
mod watch;

pub use error::{PrefixName, RouteError, Step, Trouble};
pub use settings::{CharonRule, RouteSettings};

use crate::action::CaptureId;
use filter::Filter;
use flow::{Class, Flows, Grain};
use kernel::{HostAddress, Kernel};
use plan::Plan;
use prefix::Family;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use tidegate_esp::SelectorPair;
use watch::Watch;

/// How much is kept for an operator to see, and remembered as seen.
const MOST_TROUBLES: usize = 32;

/// Rules and routes of ours in the kernel.
///
/// Dropped without [`close`](Self::close) it leaves them there: captured traffic then goes nowhere, until a
/// later run adopts them.
pub struct Routes {
    settings: RouteSettings,
    kernel: Kernel,
    filter: Option<Filter>,
    plan: Plan,
    /// Our interface's number.
    index: u32,
    tables: BTreeMap<Class, install::Table>,
    numbers: BTreeMap<u32, Class>,
    /// Families that have the rules which do not depend on what is captured.
    families: BTreeSet<Family>,
    /// Families to which we have added strongSwan's rule.
    charon_rules: BTreeSet<Family>,
    /// Addresses that packets may come from.
    addresses: Vec<HostAddress>,
    /// Those of them that peers may reach.
    reachable: Vec<IpAddr>,
    /// Addresses that our interface was given, and how often.
    given: BTreeMap<IpAddr, usize>,
    watch: Watch,
    troubles: Vec<Trouble>,
    told: Vec<Trouble>,
}

/// What has changed in the kernel.
#[derive(Debug, Default)]
pub struct Changes {
    /// The host's addresses are others than before.
    pub addresses_changed: bool,
    /// What somebody had taken away and was put back.
    pub repaired: Vec<String>,
}

impl Routes {
    /// Switches the interface on, and takes over what an earlier run has left; all of that stays captured until
    /// [`settled`](Self::settled).
    pub fn open(settings: RouteSettings) -> Result<Self, RouteError> {
        settings.check()?;
        let kernel = Kernel::open()?;
        let watch = Watch::open().map_err(RouteError::Socket)?;
        let index = kernel.link(&settings.interface)?.index;
        let mut routes = Self {
            settings,
            kernel,
            filter: None,
            plan: Plan::default(),
            index,
            tables: BTreeMap::new(),
            numbers: BTreeMap::new(),
            families: BTreeSet::new(),
            charon_rules: BTreeSet::new(),
            addresses: Vec::new(),
            reachable: Vec::new(),
            given: BTreeMap::new(),
            watch,
            troubles: Vec::new(),
            told: Vec::new(),
        };
        routes.adopt()?;
        Ok(routes)
    }

    /// Sends this traffic into the device, and nowhere else. Captures may overlap or be equal; one of the same
    /// name takes the place of the earlier.
    ///
    /// Whatever can be captured is captured even if it fails. Where the kernel cannot be told so many prefixes of
    /// ours, all that goes to the remote side is captured, from wherever it comes.
    pub fn capture(&mut self, id: CaptureId, selectors: &SelectorPair) -> Result<(), RouteError> {
        let flows = self.plan.fit(Flows::of(selectors));
        if flows.grain == Grain::Coarse {
            let remotes = flows.all.iter().filter(|flow| flow.is_from_anywhere()).count();
            self.trouble(Trouble::Coarse { remotes });
        }
        let touched = self.plan.capture(id, flows.all);
        self.sync_all(&touched)
    }

    /// Gives back what no other capture claims.
    pub fn release(&mut self, id: CaptureId) -> Result<(), RouteError> {
        let touched = self.plan.release(id);
        self.sync_all(&touched)
    }

    /// Says that everything that is to be captured at the start has been: what an earlier run has left and
    /// nobody has claimed is given back.
    pub fn settled(&mut self) -> Result<(), RouteError> {
        let touched = self.plan.settle();
        self.sync_all(&touched)?;
        self.drop_empty_tables()
    }

    /// Sets how long the packets of a capture may be; `None` for as long as the device takes, and never longer
    /// than that. Where captures share a route, the smallest counts.
    pub fn set_mtu(&mut self, id: CaptureId, mtu: Option<usize>) -> Result<(), RouteError> {
        // The kernel believes a route that promises more than its device has.
        let mtu = mtu.filter(|mtu| self.settings.mtu.is_none_or(|device| *mtu < device));
        let mtu = mtu.map(|mtu| u32::try_from(mtu).unwrap_or(u32::MAX));
        let touched = self.plan.limit(id, mtu);
        self.sync_all(&touched)
    }

    /// Gives our interface an address. Given twice, it has to be removed twice.
    pub fn add_address(&mut self, address: IpAddr) -> Result<(), RouteError> {
        self.kernel.add_address(self.index, address)?;
        *self.given.entry(address).or_default() += 1;
        self.refresh_addresses().map(|_| ())
    }

    /// Takes the address away again.
    pub fn remove_address(&mut self, address: IpAddr) -> Result<(), RouteError> {
        match self.given.get_mut(&address) {
            None => return Ok(()),
            Some(times) if *times > 1 => {
                *times -= 1;
                return Ok(());
            }
            Some(_) => self.given.remove(&address),
        };
        self.kernel.remove_address(self.index, address)?;
        self.refresh_addresses().map(|_| ())
    }

    /// Addresses that peers may reach this host at: of interfaces that are up and have a carrier, but not of
    /// ours.
    pub fn local_addresses(&mut self) -> Vec<IpAddr> {
        self.reachable.clone()
    }

    /// How many packets came in clear although they should have come protected, and were dropped; `None` if
    /// they are not filtered. Starts at 0 whenever the filter is made anew.
    pub fn dropped_in_clear(&self) -> Option<u64> {
        self.filter.as_ref()?.dropped()
    }

    /// What an operator should know and was not told yet.
    pub fn troubles(&mut self) -> Vec<Trouble> {
        self.check_forwarding();
        let fresh = std::mem::take(&mut self.troubles);
        self.told.extend(fresh.iter().cloned());
        let forgotten = self.told.len().saturating_sub(MOST_TROUBLES);
        self.told.drain(..forgotten);
        fresh
    }

    /// Something for the operator, once, as long as there is room.
    fn trouble(&mut self, trouble: Trouble) {
        let known = self.told.contains(&trouble) || self.troubles.contains(&trouble);
        if !known && self.troubles.len() < MOST_TROUBLES {
            self.troubles.push(trouble);
        }
    }

    /// Gives back everything.
    pub fn close(mut self) {
        // Each step on its own: what fails is no reason to leave the rest.
        if let Some(filter) = self.filter.take() {
            let _ = filter.close();
        }
        for rule in self.wanted_rules().iter().rev() {
            let _ = self.kernel.remove_rule(rule);
        }
        for family in &self.charon_rules {
            let _ = self.kernel.remove_charon_rule(*family);
        }
        for table in self.tables.values() {
            for remote in table.routes.keys() {
                let _ = self.kernel.mislead(table.number, remote);
                let _ = self.kernel.unbar(table.number, remote);
            }
        }
        for address in self.given.keys() {
            let _ = self.kernel.remove_address(self.index, *address);
        }
    }
}

impl AsFd for Routes {
    /// Readable when [`handle_changes`](Routes::handle_changes) has something to do; wake-ups that it has set
    /// for itself are among that.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}
