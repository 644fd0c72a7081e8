//! Where inner packets come from and go to.

use crate::config::{DeviceKind, DeviceSettings, Offload};
use crate::driver::packets::Threads;
use crate::io::Device;
use crate::io::offload_tun::{OffloadTun, Queues};
use crate::io::tun::{Tun, TunError};
use rustix::event::{EventfdFlags, eventfd};
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use tidegate_esp::virtio::VirtioHeader;

/// A device that gives nothing and takes everything.
struct Nothing {
    /// Never readable, as nobody ever counts it up.
    never: OwnedFd,
    mtu: usize,
}

/// Why there is no device.
#[derive(Debug)]
pub enum DeviceError {
    /// The TUN interface cannot be had.
    Tun(TunError),
    /// Not even one that does nothing.
    Nothing(io::Error),
}

/// Opens what a configuration says, with a queue for each thread; an interface is brought up.
pub fn device(settings: &DeviceSettings, threads: Threads) -> Result<Arc<dyn Device>, DeviceError> {
    match settings.kind {
        DeviceKind::None => {
            let never = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
            let never = never.map_err(|error| DeviceError::Nothing(error.into()))?;
            Ok(Arc::new(Nothing { never, mtu: settings.mtu.into() }))
        }
        DeviceKind::Tun => {
            let (name, mtu) = (&settings.name, settings.mtu.into());
            if settings.offload == Offload::On {
                let queues = if threads.counts().0 > 1 { Queues::Several } else { Queues::One };
                match OffloadTun::create_with(name, mtu, queues) {
                    Ok(tun) => return Ok(Arc::new(tun)),
                    // The plain device does all the same, one packet after the other.
                    Err(error @ TunError::Offloads { .. }) => tracing::warn!(area = "io", "{error}"),
                    Err(error) => return Err(DeviceError::Tun(error)),
                }
            }
            let tun = Tun::create(name, mtu).map_err(DeviceError::Tun)?;
            Ok(Arc::new(tun))
        }
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tun(error) => error.fmt(f),
            Self::Nothing(error) => write!(f, "no device: {error}"),
        }
    }
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

    fn mtu(&self) -> usize {
        self.mtu
    }
}
