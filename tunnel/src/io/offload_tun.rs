//! The TUN device of Linux with its offloads: up to 64 KiB of one flow a read or write, checksums left to
//! whoever needs them.

#![allow(unsafe_code)]

use super::Device;
use super::granted::Granted;
use super::tun::{QUEUE, TunError, bring_up, check_name, missed};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use tidegate_esp::segment::Offloads;
use tidegate_esp::virtio::VirtioHeader;

/// Parts of a super-packet, the virtio header among them: more than the worker makes of one.
const PARTS_MAX: usize = 96;
const TCP: u32 = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
/// Since Linux 6.2, both or none.
const UDP: u32 = libc::TUN_F_USO4 | libc::TUN_F_USO6;

/// A TUN interface of ours that gives and takes super-packets. It goes when this is dropped, with its
/// addresses and routes.
#[derive(Debug)]
pub struct OffloadTun {
    descriptor: OwnedFd,
    name: String,
    mtu: usize,
    granted: Arc<Granted>,
    queues: Queues,
}

/// How many threads a device is read by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Queues {
    /// One.
    #[default]
    One,
    /// As many as there are queues. The kernel spreads flows over them by a hash; a flow that packets come in for
    /// goes out by the queue that they were written to.
    Several,
}

impl OffloadTun {
    /// Makes an interface and brings it up. A `%d` in its name is replaced by the first number that is free.
    /// Where the kernel has no offloads for it, that is [`TunError::Offloads`].
    pub fn create(name: &str, mtu: usize) -> Result<Self, TunError> {
        Self::create_with(name, mtu, Queues::One)
    }

    /// The same, for one thread or several to read.
    pub fn create_with(name: &str, mtu: usize, queues: Queues) -> Result<Self, TunError> {
        check_name(name)?;
        let descriptor = open().map_err(|error| TunError::of(name, error))?;
        let refused = |error| TunError::Offloads { name: name.to_owned(), error };
        if features(descriptor.as_fd()).map_err(refused)? & libc::IFF_VNET_HDR.cast_unsigned() == 0 {
            return Err(refused(io::ErrorKind::Unsupported.into()));
        }
        let given = attach(descriptor.as_fd(), name, queues).map_err(|error| TunError::of(name, error))?;
        let offloads = switch_on(descriptor.as_fd()).map_err(refused)?;
        bring_up(&given, mtu).map_err(|error| TunError::Link { name: given.clone(), mtu, error })?;
        Ok(Self { descriptor, name: given, mtu, granted: Arc::new(Granted::new(offloads)), queues })
    }

    /// What the interface is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn put_all(&self, virtio: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let header = virtio.to_bytes();
        if let [whole] = parts {
            return self.put(&[IoSlice::new(&header), *whole]);
        }
        let mut all = [IoSlice::new(&[]); PARTS_MAX];
        let count = parts.len() + 1;
        let used = all.get_mut(..count).ok_or(io::ErrorKind::InvalidInput)?;
        let given = std::iter::once(IoSlice::new(&header)).chain(parts.iter().copied());
        used.iter_mut().zip(given).for_each(|(place, part)| *place = part);
        self.put(used)
    }

    fn put(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        match rustix::io::retry_on_intr(|| rustix::io::writev(&self.descriptor, parts)) {
            Ok(_) => Ok(()),
            Err(Errno::NOBUFS) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Device for OffloadTun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<(VirtioHeader, usize)> {
        let mut header = [0; VirtioHeader::LENGTH];
        let length = rustix::io::retry_on_intr(|| {
            let parts = &mut [IoSliceMut::new(&mut header), IoSliceMut::new(&mut *buffer)];
            rustix::io::readv(&self.descriptor, parts)
        })?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Nothing is left of a packet that is marked as none that was asked for.
        let packet = length.saturating_sub(VirtioHeader::LENGTH);
        Ok(VirtioHeader::parse(&header).map_or_else(|_| Default::default(), |(header, _)| (header, packet)))
    }

    fn write(&self, virtio: &VirtioHeader, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let outcome = self.put_all(virtio, parts);
        self.granted.written(virtio, &outcome, &self.name);
        outcome
    }

    fn offloads(&self) -> Offloads {
        self.granted.offloads()
    }

    fn another_queue(&self) -> io::Result<Option<Arc<dyn Device>>> {
        if self.queues == Queues::One {
            return Ok(None);
        }
        let descriptor = open()?;
        let name = attach(descriptor.as_fd(), &self.name, self.queues)?;
        let granted = Arc::clone(&self.granted);
        Ok(Some(Arc::new(Self { descriptor, name, mtu: self.mtu, granted, queues: self.queues })))
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

fn features(tun: BorrowedFd<'_>) -> io::Result<u32> {
    let mut features: libc::c_uint = 0;
    // SAFETY: the kernel writes an unsigned int, to one that lives on this stack.
    let result = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNGETFEATURES as _, &raw mut features) };
    said(result).map(|()| features)
}

fn open() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open("/dev/net/tun", flags, Mode::empty())?)
}

/// Makes the interface, or a queue of one that has several, and says what it is called.
fn attach(tun: BorrowedFd<'_>, name: &str, queues: Queues) -> io::Result<String> {
    // SAFETY: zeros are a valid `ifreq`: a name without letters, and numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last place stays zero: it ends the name.
    let places = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
    places.zip(name.bytes()).for_each(|(place, byte)| *place = byte as libc::c_char);
    let several = if queues == Queues::Several { libc::IFF_MULTI_QUEUE } else { 0 };
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR | several;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the kernel reads and writes an `ifreq`, which lives on this stack.
    said(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) })?;
    let given = request.ifr_name.iter().map(|&letter| letter as u8).take_while(|&byte| byte != 0);
    Ok(String::from_utf8_lossy(&given.collect::<Vec<_>>()).into_owned())
}

/// Switches on all that the kernel has.
fn switch_on(tun: BorrowedFd<'_>) -> io::Result<Offloads> {
    let length = VirtioHeader::LENGTH as libc::c_int;
    // SAFETY: the kernel reads an int, from one that lives on this stack.
    said(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETHDRSZ as _, &raw const length) })?;
    let udp = set_offloads(tun, TCP | UDP).is_ok();
    if !udp {
        set_offloads(tun, TCP)?;
    }
    Ok(Offloads { tcp: true, udp })
}

fn set_offloads(tun: BorrowedFd<'_>, flags: u32) -> io::Result<()> {
    // SAFETY: takes a number; no memory is read or written.
    said(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD as _, libc::c_ulong::from(flags)) })
}

fn said(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
