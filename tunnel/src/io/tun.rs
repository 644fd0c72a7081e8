//! The plain TUN device of Linux: one packet a read or write, nothing joined.

use super::descriptor::{read_packet, write_packet};
use super::{Device, netlink};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkFlags, LinkMessage,
};
use rustix::io::Errno;
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use tidegate_esp::virtio::VirtioHeader;
use tun_tap::{Iface, Mode};

/// The kernel's limit, without the zero at the end.
const NAME_MAX: usize = 15;

/// How many packets the kernel keeps for us to read; more are dropped, and counted by the interface. It bridges a
/// millisecond at a million packets a second, and at 10,000 the 100 ms for which a thread waits that shares its core
/// with five others. With half as many, a machine that compiled something lost packets in five runs of six, with
/// this in one. More would only be late: super-packets of 64 KiB take as many places as the smallest ones, and 1,000
/// of them are 64 MiB, at 5 Gb/s 100 ms.
pub(super) const QUEUE: usize = 1000;

/// A TUN interface of ours. It goes when this is dropped, with its addresses and routes.
#[derive(Debug)]
pub struct Tun {
    descriptor: OwnedFd,
    name: String,
    mtu: usize,
}

/// Why there is no TUN interface.
#[derive(Debug)]
pub enum TunError {
    /// No interface can have that name.
    Name(String),
    /// There is no `/dev/net/tun`.
    NoDevice,
    /// We may not make interfaces.
    NotPermitted {
        /// How it was to be named.
        name: String,
        /// What the system says.
        error: io::Error,
    },
    /// Someone else holds an interface of that name, or there is one of another kind.
    InUse {
        /// The name.
        name: String,
    },
    /// The kernel has no offloads for it.
    Offloads {
        /// How it was to be named.
        name: String,
        /// What the system says.
        error: io::Error,
    },
    /// The interface cannot be brought up with that MTU.
    Link {
        /// The interface.
        name: String,
        /// The MTU.
        mtu: usize,
        /// What the system says.
        error: io::Error,
    },
    /// Something else.
    Other {
        /// How it was to be named.
        name: String,
        /// What the system says.
        error: io::Error,
    },
}

impl Tun {
    /// Makes an interface and brings it up. A `%d` in its name is replaced by the first number that is free.
    pub fn create(name: &str, mtu: usize) -> Result<Self, TunError> {
        check_name(name)?;
        let interface =
            Iface::without_packet_info(name, Mode::Tun).map_err(|error| TunError::of(name, error))?;
        let name = interface.name().to_owned();
        let descriptor = own(interface);
        rustix::io::ioctl_fionbio(&descriptor, true).map_err(|error| TunError::of(&name, error.into()))?;
        bring_up(&name, mtu).map_err(|error| TunError::Link { name: name.clone(), mtu, error })?;
        Ok(Self { descriptor, name, mtu })
    }

    /// What the interface is called.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Device for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<(VirtioHeader, usize)> {
        read_packet(self.descriptor.as_fd(), buffer)
    }

    fn write(&self, _virtio: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        write_packet(self.descriptor.as_fd(), parts)
    }

    fn queue_length(&self) -> Option<usize> {
        Some(QUEUE)
    }

    fn missed(&self) -> Option<u64> {
        missed(&self.name)
    }

    fn mtu(&self) -> usize {
        self.mtu
    }

    fn interface(&self) -> Option<&str> {
        Some(&self.name)
    }
}

pub(super) fn check_name(name: &str) -> Result<(), TunError> {
    let fits = !name.is_empty() && name.len() <= NAME_MAX && !name.contains(is_unfit);
    if fits { Ok(()) } else { Err(TunError::Name(name.to_owned())) }
}

fn is_unfit(character: char) -> bool {
    matches!(character, '/' | ':') || character.is_whitespace() || character.is_control()
}

#[allow(unsafe_code)]
fn own(interface: Iface) -> OwnedFd {
    // SAFETY: the interface gives its open descriptor away, and nothing else knows it.
    unsafe { OwnedFd::from_raw_fd(interface.into_raw_fd()) }
}

pub(super) fn bring_up(name: &str, mtu: usize) -> io::Result<()> {
    let index = index(name)?;
    // IPv6 would give the interface an address of its link and talk into the tunnel by itself. Where there
    // is no IPv6, there is nothing to switch off.
    let _ = set_link(index, |link| {
        let quiet = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
        link.attributes.push(LinkAttribute::AfSpecUnspec(vec![quiet]));
    });
    let mtu = u32::try_from(mtu).map_err(|_| io::ErrorKind::InvalidInput)?;
    set_link(index, |link| {
        link.attributes.push(LinkAttribute::Mtu(mtu));
        link.attributes.push(LinkAttribute::TxQueueLen(QUEUE as u32));
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
    })
}

fn set_link(index: u32, change: impl FnOnce(&mut LinkMessage)) -> io::Result<()> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    change(&mut link);
    netlink::order(RouteNetlinkMessage::SetLink(link))
}

/// How many packets there was no room for in the queue of this interface.
pub(super) fn missed(name: &str) -> Option<u64> {
    link(name).ok()?.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Stats64(statistics) => Some(statistics.tx_dropped),
        _ => None,
    })
}

fn index(name: &str) -> io::Result<u32> {
    Ok(link(name)?.header.index)
}

fn link(name: &str) -> io::Result<LinkMessage> {
    let named = |link: &LinkMessage| {
        link.attributes.iter().any(|it| matches!(it, LinkAttribute::IfName(it) if it == name))
    };
    let links = netlink::dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let found = links.into_iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) if named(&link) => Some(link),
        _ => None,
    });
    found.ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl TunError {
    pub(super) fn of(name: &str, error: io::Error) -> Self {
        let name = name.to_owned();
        match Errno::from_io_error(&error) {
            // NODEV: the file is there, the kernel's part is not.
            Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => Self::NoDevice,
            Some(Errno::PERM | Errno::ACCESS) => Self::NotPermitted { name, error },
            // INVAL: there is an interface by that name, and it is no TUN.
            Some(Errno::BUSY | Errno::INVAL) => Self::InUse { name },
            _ => Self::Other { name, error },
        }
    }
}

impl fmt::Display for TunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(
                f,
                "no interface can be named {name:?}: 1 to {NAME_MAX} characters without blanks, slashes and colons"
            ),
            Self::NoDevice => f.write_str(
                "there is no /dev/net/tun: load the kernel module (modprobe tun), or give the container the device",
            ),
            Self::NotPermitted { name, error } => {
                write!(f, "interface {name} cannot be made ({error}): grant CAP_NET_ADMIN and access to /dev/net/tun")
            }
            Self::InUse { name } => {
                write!(f, "interface {name} is in use, or no TUN device: choose another name, or stop who has it")
            }
            Self::Offloads { name, error } => {
                write!(f, "interface {name} cannot have offloads ({error}): do without (offload = false)")
            }
            Self::Link { name, mtu, error } => {
                write!(f, "interface {name} cannot be brought up with an MTU of {mtu}: {error}")
            }
            Self::Other { name, error } => write!(f, "interface {name} cannot be made: {error}"),
        }
    }
}

impl std::error::Error for TunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotPermitted { error, .. }
            | Self::Offloads { error, .. }
            | Self::Link { error, .. }
            | Self::Other { error, .. } => Some(error),
            Self::Name(_) | Self::NoDevice | Self::InUse { .. } => None,
        }
    }
}
