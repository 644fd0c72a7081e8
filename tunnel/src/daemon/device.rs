//! Where inner packets come from and go to.

use crate::config::{DeviceKind, NodeSettings};
use crate::io::Device;
use crate::route::RouteSettings;
use rustix::event::{EventfdFlags, eventfd};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use tidegate_esp::segment::Offloads;
use tidegate_esp::virtio::VirtioHeader;

/// A device that gives nothing and takes everything.
struct Nothing {
    /// Never readable, as nobody ever counts it up.
    never: OwnedFd,
}

pub(super) fn open(node: &NodeSettings) -> io::Result<Arc<dyn Device>> {
    match node.device.kind {
        DeviceKind::None => {
            Ok(Arc::new(Nothing { never: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? }))
        }
        DeviceKind::Tun => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Routes lead to interfaces only.
pub(super) fn routes(node: &NodeSettings) -> Option<RouteSettings> {
    match node.device.kind {
        DeviceKind::None => None,
        DeviceKind::Tun => Some(RouteSettings::default()),
    }
}

/// Our own packets bear a mark where rules have to tell them from others.
pub(super) fn mark(node: &NodeSettings) -> Option<u32> {
    routes(node).map(|_| node.routes.mark)
}

impl Device for Nothing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.never.as_fd()
    }

    fn read(&self, _: &mut [u8]) -> io::Result<(VirtioHeader, usize)> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn write(&self, _: &VirtioHeader, _: &[IoSlice<'_>]) -> io::Result<()> {
        Ok(())
    }

    fn offloads(&self) -> Offloads {
        Offloads { tcp: false, udp: false }
    }

    fn mtu(&self) -> usize {
        DEFAULT_MTU
    }

    fn interface(&self) -> Option<&str> {
        None
    }
}

/// A link of 1500 bytes leaves this much inside for every suite, in UDP over IPv6.
const DEFAULT_MTU: usize = 1400;
