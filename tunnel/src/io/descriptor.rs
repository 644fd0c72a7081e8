//! A device that the embedder has opened: a TUN descriptor, or one end of a pair of sockets.

use super::Device;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tidegate_esp::virtio::VirtioHeader;

/// Inner packets over a descriptor, one a read or write: a TUN descriptor without packet information (as
/// Android's `VpnService` gives one), or a `SOCK_SEQPACKET` or `SOCK_DGRAM` pair of sockets.
#[derive(Debug)]
pub struct Descriptor {
    descriptor: OwnedFd,
    mtu: usize,
}

impl Descriptor {
    /// Takes a descriptor over. It is switched to not waiting, and so is every duplicate of it.
    pub fn new(descriptor: OwnedFd, mtu: usize) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        Ok(Self { descriptor, mtu })
    }
}

impl Device for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<(VirtioHeader, usize)> {
        read_packet(self.descriptor.as_fd(), buffer)
    }

    fn write(&self, _virtio: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        write_packet(self.descriptor.as_fd(), parts)
    }

    fn mtu(&self) -> usize {
        self.mtu
    }
}

/// One packet of a device that hands them out as they are. Nothing read is the end: whoever held the other
/// side has gone.
pub(super) fn read_packet(device: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(VirtioHeader, usize)> {
    match rustix::io::retry_on_intr(|| rustix::io::read(device, &mut *buffer))? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        length => Ok((VirtioHeader::default(), length)),
    }
}

/// One packet, gathered by the kernel. A pipe that is full says that there are no buffers where a socket
/// would say that it has to wait: both mean the same here.
pub(super) fn write_packet(device: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> io::Result<()> {
    match rustix::io::retry_on_intr(|| rustix::io::writev(device, parts)) {
        Ok(_) => Ok(()),
        Err(rustix::io::Errno::NOBUFS) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error.into()),
    }
}
