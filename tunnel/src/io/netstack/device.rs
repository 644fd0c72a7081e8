//! The engine's side of a stack.

use super::outbox::Resume;
use super::shared::Shared;
use crate::io::Device;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use tidegate_esp::virtio::VirtioHeader;

/// A device whose other end is a stack in this process.
#[derive(Debug)]
pub struct NetstackDevice {
    shared: Arc<Shared>,
}

impl NetstackDevice {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Device for NetstackDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.outbox.as_fd()
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<(VirtioHeader, usize)> {
        let (length, resume) = self.shared.outbox.pop(buffer)?;
        if resume == Resume::Now {
            self.shared.with(|_, _| ());
        }
        Ok((VirtioHeader::default(), length))
    }

    /// The stack has dealt with the packet when this returns. It waits for the stack's lock, and for no one else.
    fn write(&self, _virtio: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        if let [packet] = parts {
            self.take(packet);
            return Ok(());
        }
        WHOLE.with_borrow_mut(|whole| {
            whole.clear();
            parts.iter().for_each(|part| whole.extend_from_slice(part));
            self.take(whole);
        });
        Ok(())
    }

    fn mtu(&self) -> usize {
        self.shared.settings.mtu
    }

    fn assign(&self, address: IpAddr) -> io::Result<()> {
        let host = if address.is_ipv4() { 32 } else { 128 };
        self.shared.with(|stack, _| stack.add_address(address, host))
    }

    fn withdraw(&self, address: IpAddr) {
        self.shared.with(|stack, _| stack.remove_address(address));
    }
}

impl NetstackDevice {
    fn take(&self, packet: &[u8]) {
        self.shared.with(|stack, now| stack.take(packet, now, &self.shared.outbox));
    }
}

thread_local! {
    /// Where a packet in parts is put together.
    static WHOLE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}
