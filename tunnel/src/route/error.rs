//! What goes wrong with routes.

use super::prefix::{Family, Prefix};
use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why traffic could not be captured, or not given back.
#[derive(Debug)]
#[non_exhaustive]
pub enum RouteError {
    /// There is no interface of this name.
    NoInterface {
        /// The name.
        name: String,
    },
    /// The kernel does not speak netlink with us.
    Socket(io::Error),
    /// The kernel refused.
    Refused {
        /// What it was asked for.
        step: Step,
        /// Its reason.
        why: String,
    },
    /// The settings leave no room for our rules ahead of strongSwan's.
    Priority {
        /// What they ask for.
        priority: u32,
    },
    /// There are more tables than there may be: some that are not needed any more could not be given back.
    TooManyTables {
        /// How many there may be.
        limit: u32,
    },
}

/// What was asked of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// To add this rule.
    AddRule(String),
    /// To remove this rule.
    RemoveRule(String),
    /// To list rules.
    ReadRules,
    /// To route this prefix.
    AddRoute(PrefixName),
    /// To forget this prefix.
    RemoveRoute(PrefixName),
    /// To list routes.
    ReadRoutes,
    /// To list interfaces.
    ReadLinks,
    /// To switch our interface on.
    SetUpLink,
    /// To give our interface an address.
    AddAddress(IpAddr),
    /// To take an address from it.
    RemoveAddress(IpAddr),
    /// To list addresses.
    ReadAddresses,
    /// To filter packets that come in clear.
    Filter,
}

/// A prefix, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixName(String);

/// What an operator should know although things go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// Packets in clear that should come protected are let in: the kernel has no packet filter for us.
    NoFilter {
        /// Its reason.
        why: String,
    },
    /// Networks behind this host are captured, but it does not forward packets of this family.
    NotForwarding {
        /// The setting.
        setting: &'static str,
    },
    /// A setting of our interface could not be made.
    Setting {
        /// Its file.
        path: PathBuf,
        /// The kernel's reason.
        why: String,
    },
    /// There are too many prefixes of ours to tell the kernel about each.
    Coarse {
        /// How many of the remote side are captured from everywhere.
        remotes: usize,
    },
    /// Repairs failed.
    Repair {
        /// Why.
        why: String,
    },
}

impl From<Prefix> for PrefixName {
    fn from(prefix: Prefix) -> Self {
        Self(prefix.to_string())
    }
}

impl Trouble {
    pub(super) fn not_forwarding(family: Family) -> Self {
        let setting = match family {
            Family::V4 => "net.ipv4.ip_forward",
            Family::V6 => "net.ipv6.conf.all.forwarding",
        };
        Self::NotForwarding { setting }
    }
}

impl fmt::Display for PrefixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterface { name } => write!(f, "there is no interface {name}"),
            Self::Socket(error) => write!(f, "no netlink socket for routes: {error}"),
            Self::Refused { step, why } => write!(f, "the kernel refused to {step}: {why}"),
            Self::Priority { priority } => {
                write!(
                    f,
                    "rules of priority {priority} leave no room before strongSwan's at 220: at most 215"
                )
            }
            Self::TooManyTables { limit } => {
                write!(f, "all of the {limit} tables are taken, some by what could not be given back")
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddRule(rule) => write!(f, "add the rule \"{rule}\""),
            Self::RemoveRule(rule) => write!(f, "remove the rule \"{rule}\""),
            Self::ReadRules => f.write_str("list rules"),
            Self::AddRoute(prefix) => write!(f, "route {prefix}"),
            Self::RemoveRoute(prefix) => write!(f, "forget the route to {prefix}"),
            Self::ReadRoutes => f.write_str("list routes"),
            Self::ReadLinks => f.write_str("list interfaces"),
            Self::SetUpLink => f.write_str("switch our interface on"),
            Self::AddAddress(address) => write!(f, "give our interface the address {address}"),
            Self::RemoveAddress(address) => write!(f, "take the address {address} from our interface"),
            Self::ReadAddresses => f.write_str("list addresses"),
            Self::Filter => f.write_str("filter packets that come in clear"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFilter { why } => {
                write!(
                    f,
                    "packets in clear that should come protected are let in, as the kernel filters none: {why}"
                )
            }
            Self::NotForwarding { setting } => {
                write!(f, "networks behind this host are captured, but {setting} is 0: set it to 1")
            }
            Self::Setting { path, why } => write!(f, "{} could not be set: {why}", path.display()),
            Self::Coarse { remotes } => write!(
                f,
                "the kernel cannot be told of so many prefixes of ours: whatever goes to or comes from {remotes} of \
                 the remote side is captured, and dropped where no selectors hold it"
            ),
            Self::Repair { why } => write!(f, "routes could not be repaired: {why}"),
        }
    }
}

impl Error for RouteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Socket(error) => Some(error),
            _ => None,
        }
    }
}
