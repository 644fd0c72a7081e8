//! Sockets and devices. The only place with unsafe code: the system calls that no library wraps.

pub mod addresses;
pub mod batch;
pub mod clock;
pub mod descriptor;
mod granted;
mod netlink;
pub mod netstack;
pub mod offload_tun;
pub mod privileges;
pub(crate) mod readable;
pub mod seccomp;
pub mod tun;
pub mod udp;

use batch::{ReceiveBatch, SendBatch};
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use tidegate_esp::segment::Offloads;
use tidegate_esp::virtio::VirtioHeader;

/// Where inner packets come from and go to.
///
/// A device may hand out super-packets, with a virtio header that says how to cut them; a plain one gives
/// [`VirtioHeader::default`]. One thread reads; several may write at once, and while that one reads.
pub trait Device: Send + Sync {
    /// Readable while [`read`](Self::read) has something to give.
    fn as_fd(&self) -> BorrowedFd<'_>;

    /// The next packet, without waiting for one: [`io::ErrorKind::WouldBlock`] when there is none.
    fn read(&self, buffer: &mut [u8]) -> io::Result<(VirtioHeader, usize)>;

    /// Takes a packet given in parts, without waiting: [`io::ErrorKind::WouldBlock`] when there is no room,
    /// and the packet is lost.
    fn write(&self, virtio: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()>;

    /// What may be joined before it is written: nothing, where a device does not say otherwise. It may become less
    /// while the device is in use.
    fn offloads(&self) -> Offloads {
        Offloads { tcp: false, udp: false }
    }

    /// Another queue of the same device, for a thread of its own: what is read of the one is not read of the other,
    /// and a flow stays with one. `None` where there is but this.
    fn another_queue(&self) -> io::Result<Option<Arc<dyn Device>>> {
        Ok(None)
    }

    /// How many packets wait in it at most to be read.
    fn queue_length(&self) -> Option<usize> {
        None
    }

    /// How many packets were lost because so many waited already, if that is known.
    fn missed(&self) -> Option<u64> {
        None
    }

    /// The longest packet that it takes or gives when nothing is joined.
    fn mtu(&self) -> usize;

    /// Its name as a network interface, if it is one: routes lead to it.
    fn interface(&self) -> Option<&str> {
        None
    }

    /// A peer has given us this address. An interface gets it through the kernel's routes, and whoever handed
    /// a descriptor in hears of it by an event; a stack in this process takes it here.
    fn assign(&self, _address: IpAddr) -> io::Result<()> {
        Ok(())
    }

    /// The address is ours no longer.
    fn withdraw(&self, _address: IpAddr) {}
}

/// Where outer packets come from and go to: sockets, numbered from 0.
///
/// Any number of threads may send at once; from one socket one of them alone receives.
pub trait Wire: Send + Sync {
    /// The descriptors of all sockets, in order: readable while there is something to receive, and in error
    /// while there is something in [`path_mtu_errors`](Self::path_mtu_errors).
    fn fds(&self) -> Vec<BorrowedFd<'_>>;

    /// Which of several threads a socket is for; those that share a port have different ones.
    fn lane(&self, _socket: usize) -> usize {
        0
    }

    /// Adds to an empty batch what a socket has, without waiting, and says how many datagrams that were:
    /// [`io::ErrorKind::WouldBlock`] when there were none.
    fn receive(&self, socket: usize, batch: &mut ReceiveBatch) -> io::Result<usize>;

    /// Sends a batch without waiting. What cannot be sent is dropped; says how much was sent.
    fn send(&self, batch: &SendBatch) -> io::Result<usize>;

    /// Takes out what the network has told a socket: for each, a peer's address and the MTU of the path to it.
    fn path_mtu_errors(&self, socket: usize, found: &mut dyn FnMut(IpAddr, usize));
}
