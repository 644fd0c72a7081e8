//! Settings of routes, and of the interface they lead to.

use super::Routes;
use super::error::{RouteError, Trouble};
use super::filter::FilterSettings;
use super::flow::Source;
use super::prefix::Family;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The last priority that leaves room for our rules ahead of strongSwan's.
const LAST_PRIORITY: u32 = 215;

/// How captured traffic finds its way into the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSettings {
    /// The device's name as an interface.
    pub interface: String,
    /// The first of our routing tables; those behind it are taken as they are needed, up to 4,096.
    pub table: u32,
    /// The first priority of our rules; at most 215, as strongSwan has 220.
    pub priority: u32,
    /// The mark of our own sockets, whose packets are never captured.
    pub mark: u32,
    /// The interface's MTU; `None` leaves it as it is.
    pub mtu: Option<usize>,
    /// UDP ports on which our sockets listen.
    pub ports: Vec<u16>,
    /// What becomes of strongSwan's rule.
    pub charon_rule: CharonRule,
}

/// What becomes of the rule by which strongSwan has its own table looked up: `220: from all lookup 220`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CharonRule {
    /// It is nothing to us.
    #[default]
    Leave,
    /// It is there as long as we are, for those that rely on it.
    Keep,
}

impl Default for RouteSettings {
    fn default() -> Self {
        Self {
            interface: "tidegate0".to_owned(),
            table: 2460,
            priority: 210,
            mark: 0x7d6,
            mtu: None,
            ports: vec![500, 4500],
            charon_rule: CharonRule::Leave,
        }
    }
}

impl RouteSettings {
    pub(super) fn check(&self) -> Result<(), RouteError> {
        match self.priority {
            1..=LAST_PRIORITY => Ok(()),
            priority => Err(RouteError::Priority { priority }),
        }
    }

    pub(super) fn filter(&self) -> FilterSettings {
        FilterSettings {
            name: format!("tidegate-{}", self.table),
            interface: self.interface.clone(),
            ports: self.ports.clone(),
        }
    }
}

impl Routes {
    /// Settings of our interface and of no other. Loose reverse path filtering, as the way back of a packet may
    /// be another interface; and no link-local chatter into the tunnel.
    pub(super) fn quieten(&mut self) {
        let interface = self.settings.interface.clone();
        let of = |family: &str, name: &str| -> PathBuf {
            Path::new("/proc/sys/net").join(family).join("conf").join(&interface).join(name)
        };
        // Without IPv6 there is nothing to switch off.
        let _ = write(&of("ipv6", "addr_gen_mode"), "1");
        let _ = write(&of("ipv6", "router_solicitations"), "0");
        let _ = write(&of("ipv6", "accept_ra"), "0");
        let filter = of("ipv4", "rp_filter");
        if let Err(why) = write(&filter, "2") {
            self.trouble(Trouble::Setting { path: filter, why: why.to_string() });
        }
    }

    /// Networks behind this host need forwarding.
    pub(super) fn check_forwarding(&mut self) {
        let network = |class: &super::Class| match class.source {
            Source::Network(prefix) if !prefix.is_host() => Some(prefix.family()),
            _ => None,
        };
        let families: BTreeSet<Family> = self.tables.keys().filter_map(network).collect();
        for family in families {
            let path = match family {
                Family::V4 => "/proc/sys/net/ipv4/ip_forward",
                Family::V6 => "/proc/sys/net/ipv6/conf/all/forwarding",
            };
            if fs::read_to_string(path).is_ok_and(|value| value.trim() == "0") {
                self.trouble(Trouble::not_forwarding(family));
            }
        }
    }
}

fn write(path: &Path, value: &str) -> std::io::Result<()> {
    if fs::read_to_string(path)?.trim() == value {
        return Ok(());
    }
    fs::write(path, value)
}
